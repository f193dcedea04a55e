/*
 * account.h - the people who own agents and conversations, and the administrators.
 *
 * Each function is one Redis command or script, atomic, and suspends.  Keys (H is the keyed name of an account's id, E
 * of its address, F of a refresh family; ids, addresses and tokens are in no key):
 *
 *   u:{S}:H           hash   clear: cr, up (ms), role (admin, user), v version, em E, nb tokens issued before it are
 *                            void (s); over:F when F ended (ms), for as long as its access tokens would live, of the
 *                            newest FAMILIES_OVER; sealed: d = {"id","name","email","avatar"?}, pw the bcrypt hash
 *   u:{S}:H:families  zset   F by the time of its last use (ms)
 *   u:{S}:H:good      zset   keyed names of networks that its password came from, by time (ms)
 *   accounts:{S}      zset   H by creation
 *   email:{S}:E       string H
 *   first:{S}         string H of the first administrator
 *   rf:{S}:F          hash   u (H), cur and prev: keyed names of the tokens that are next and were last, un the former if nobody was told it; expires when
 *                            nobody comes any more
 *   lf:{S}:…          string failed sign-ins (GCRA, as rl:), see sign_in.h
 */
#ifndef HL_ACCOUNT_H
#define HL_ACCOUNT_H

#include "records/conversation.h"
#include "services/jwt.h"
#include "services/password.h"

/*
 * Who sent this access token: it is checked and the account is loaded.  role comes from the store; a token that names a
 * role itself and no stored account is one of `helpline token`: stored is false then, and it owns nothing.
 * HL_UNAUTHORIZED: not valid, or void since the password was changed or its family ended (sign_in.h).  A store that fails is asked again for
 * ACCOUNT_PATIENCE_MS, because clients sign their user out at any failure; then HL_STORE.
 */
#define ACCOUNT_PATIENCE_MS	8000
enum hl_err account_verify(struct store *, const char *token, struct account *ret) HL_MUST_CHECK;

/* And with it, in the same trip to the store, the version of its lists (desk_version()). */
enum hl_err account_verify_lists(struct store *, const char *token, struct account *ret, int64_t *ret_version) HL_MUST_CHECK;

/* By its keyed name, or by its folded address: HL_NOT_FOUND.  Not asked again. */
enum hl_err account_load(struct store *, const char *h, struct account *ret) HL_MUST_CHECK;
enum hl_err account_find(struct store *, const char *email, struct account *ret) HL_MUST_CHECK;

/* The first administrator's keyed name: HL_NOT_FOUND if there is none. */
enum hl_err account_first(struct store *, char ret_h[CRYPTO_NAME_LEN + 1]) HL_MUST_CHECK;

/* The keyed name of an account's id. */
void	 account_name(const struct store *, const char *id, char out[CRYPTO_NAME_LEN + 1]);

/*
 * Stores a with this password hash: its id, name, email (folded) and admin are given, the rest is filled in.  The same
 * id and address twice is once.  HL_CONFLICT: the address has an account.
 */
enum hl_err account_create(struct store *, const char *hash, struct account *a) HL_MUST_CHECK;

/*
 * Stores the name, email (folded) and avatar of a, which was loaded; hash, unless NULL, is of a new password: tokens
 * issued before are void, and all refresh families but a->family end.  a gets what is stored then.  HL_CONFLICT:
 * another account has the address.  HL_UNPROCESSABLE: it has changed since it was loaded.  HL_NOT_FOUND.
 */
enum hl_err account_change(struct store *, const char *hash, struct account *a) HL_MUST_CHECK;

/* Another hash of the same password, unless the account has changed since it was loaded: then nothing, and no error. */
enum hl_err account_rehash(struct store *, const struct account *, const char *hash) HL_MUST_CHECK;

/* The place of the first administrator who is none any more goes on to the next oldest. */
enum hl_err account_set_role(struct store *, bool admin, struct account *a) HL_MUST_CHECK;

/*
 * Removes the account itself, its address and its refresh families; what belongs to it is the caller's (belongings.h).  Its
 * tokens are void, its sockets closed; another administrator is the first one then.
 */
enum hl_err account_remove(struct store *, const struct account *) HL_MUST_CHECK;

/*
 * The channel that sockets which came with a token of the account listen to, and what emitters call it: whoever loses
 * rights (a new password, no administrator any more) has them closed, for a token is looked at once, when they connect.
 * Likewise of a family, by its F, for who signs out.  A room is ACCOUNT_ROOM and what emitters call it.
 */
#define ACCOUNT_ROOM		"room:"
#define ACCOUNT_ROOM_MAX	64
void	 account_room(const char *h_or_f, char ret_room[ACCOUNT_ROOM_MAX], char ret_alias[ACCOUNT_ROOM_MAX]);

/* Keyed names, oldest first, from an index on, at most ACCOUNTS_PAGE; the caller gives room for them. */
#define ACCOUNTS_PAGE	200
enum hl_err account_list(struct store *, size_t from, char (*ret_h)[CRYPTO_NAME_LEN + 1], size_t *ret_count)
	    HL_MUST_CHECK;

/* ---- for sign_in.c ---- */

#define ACCOUNT_KEY_MAX	CONVERSATION_KEY_MAX

void	 account_key(const char *h, const char *more, char out[ACCOUNT_KEY_MAX]);
void	 account_email_key(const struct store *, const char *email, char out[ACCOUNT_KEY_MAX]);

/* The fields of an account as ACCOUNT_FIELDS lists them, from an index of a reply on. */
#define ACCOUNT_FIELDS	"'cr', 'up', 'role', 'v', 'nb', 'd'"
enum hl_err account_read(const struct store *, const char *h, const struct redis_reply *, size_t from,
	    struct account *ret) HL_MUST_CHECK;
enum hl_err account_open_hash(const struct store *, const char *h, const struct redis_reply *,
	    char ret[PASSWORD_HASH_LEN + 1]) HL_MUST_CHECK;

#endif
