/*
 * auth.h - who calls: the access token of a request.
 */
#ifndef HL_AUTH_H
#define HL_AUTH_H

#include "api/call.h"
#include "services/jwt.h"

/* Authorization: Bearer TOKEN.  HL_UNAUTHORIZED, with a sentence that says how to get one. */
enum hl_err call_account(struct call *, struct account *ret) HL_MUST_CHECK;

#endif
