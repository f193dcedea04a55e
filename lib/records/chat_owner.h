/*
 * chat_owner.h - whose the sessions of the chat API are: the account's that CHAT_OWNER names by its address, or, if that is
 * not set, the first administrator's.  Nothing of it is stored with a session: with another setting they are another's.
 *
 *   chat:{S}:N  string  H of the account that had the address when that was first asked; N: its keyed name.  It stays the owner
 *                       when its address changes, and who takes that address is none.
 */
#ifndef HL_CHAT_OWNER_H
#define HL_CHAT_OWNER_H

#include "records/account.h"

/* Its keyed name; HL_NOT_FOUND: there is none.  Suspends. */
enum hl_err chat_owner(struct store *, char ret_h[CRYPTO_NAME_LEN + 1]) HL_MUST_CHECK;

/* Is it this account?  Suspends. */
enum hl_err chat_owned_by(struct store *, const struct account *, bool *ret) HL_MUST_CHECK;

#endif
