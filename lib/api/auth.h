/*
 * auth.h - who calls: the access token of a request.
 */
#ifndef HL_AUTH_H
#define HL_AUTH_H

#include "api/call.h"
#include "records/account.h"

/*
 * Authorization: Bearer TOKEN, checked, and its account loaded (records/account.h says how).  HL_UNAUTHORIZED, with a
 * sentence that says how to get one.  Suspends; needs the store.
 */
enum hl_err call_account(struct call *, struct account *ret) HL_MUST_CHECK;

/* The same, of an account that is stored: for what somebody must own.  A token of helpline token gets HL_FORBIDDEN. */
enum hl_err call_owner(struct call *, struct account *ret) HL_MUST_CHECK;
enum hl_err call_owner_lists(struct call *, struct account *ret, int64_t *ret_version) HL_MUST_CHECK;	/* account_verify_lists() */

#endif
