/*
 * account.h - the people who own agents and conversations, and the administrators.
 *
 * Each function is one Redis command or script, atomic, and suspends.  Keys (H is the keyed name of an account's id, E of
 * its address, F of a refresh family; ids, addresses and tokens are in no key):
 *
 *   u:{S}:H           hash   clear: cr, up (ms), role (admin, user), v version, em E, nb tokens issued before it are void (s);
 *                            sealed: d = {"id","name","email","avatar"?}, pw the bcrypt hash
 *   u:{S}:H:families  zset   F by the time of its last use (ms)
 *   u:{S}:H:good      zset   keyed names of networks that its password came from, by time (ms)
 *   accounts:{S}      zset   H by creation
 *   email:{S}:E       string H
 *   first:{S}         string H of the first administrator
 *   rf:{S}:F          hash   u (H), cur keyed name of the token that is next; expires when nobody comes any more
 *   lf:{S}:…          string failed sign-ins (GCRA, as rl:), see sign_in_begin()
 */
#ifndef HL_ACCOUNT_H
#define HL_ACCOUNT_H

#include "records/conversation.h"
#include "services/jwt.h"

/*
 * Who sent this access token: it is checked and the account is loaded.  role comes from the store; a token that names a
 * role itself and no stored account is one of `helpline token`: stored is false then, and it owns nothing.
 * HL_UNAUTHORIZED: not valid, or void since the password was changed.  A store that fails is asked again for
 * ACCOUNT_PATIENCE_MS, because clients sign their user out at any failure; then HL_STORE.
 */
#define ACCOUNT_PATIENCE_MS	8000
enum hl_err account_verify(struct store *, const char *token, struct account *ret) HL_MUST_CHECK;

/* By its keyed name: HL_NOT_FOUND.  Not asked again. */
enum hl_err account_load(struct store *, const char *h, struct account *ret) HL_MUST_CHECK;

/* The keyed name of an account's id. */
void	 account_name(const struct store *, const char *id, char out[CRYPTO_NAME_LEN + 1]);

#endif
