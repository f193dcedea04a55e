/*
 * tokens.h - access tokens whose signature this process has checked already.
 *
 * A signed-in page sends the same token with each call, and to take it apart and check it is a third of what a short call
 * costs.  Kept is what it says, by its keyed name (services/crypto.h): not the token.  Whether its time is over, and what the store says of
 * its account, is looked at each time.  Bounded: TOKENS of them, a newer one in an older one's place.
 */
#ifndef HL_TOKENS_H
#define HL_TOKENS_H

#include "records/conversation.h"
#include "services/jwt.h"

#define TOKENS	1024u

struct tokens;

/* account_of_token() with the account's keyed name, remembered in store->tokens, which free(3) frees. */
enum hl_err tokens_account(struct store *, const char *token, struct account *ret) HL_MUST_CHECK;

#endif
