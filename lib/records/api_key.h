/*
 * api_key.h - the keys by which other programs use an account's agents as a model (POST /v1/chat/completions).
 *
 * A key is shown once, when it is made; what is stored finds it again and does not tell it.  Each function is one Redis
 * script, atomic, and suspends.  Keys (K = crypto_name("api-key", the key's text), N = crypto_name("api-key-name", its name),
 * H the account's keyed name; neither texts nor names are in a key):
 *
 *   k:{S}:K       hash  clear: ow owner (H), n N, cr made, lu last used (ms, to the minute); sealed: d = {"name"}
 *   u:{S}:H:keys  hash  N -> K: the account's
 *   keys:{S}      zset  K by the time they were made
 */
#ifndef HL_API_KEY_H
#define HL_API_KEY_H

#include "records/conversation.h"

#define API_KEY_PREFIX		"sk-hl-"
#define API_KEY_LEN		(sizeof(API_KEY_PREFIX) - 1 + 2 * ID_LEN)	/* bytes of its text: 264 bits are random */
#define API_KEY_NAME_MAX	100	/* bytes */
#define API_KEYS_MAX		100	/* of an account */
#define API_KEYS_PAGE		200

struct api_key {
	char	 h[CRYPTO_NAME_LEN + 1];	/* its keyed name: what it may be called where its text may not */
	char	 owner[CRYPTO_NAME_LEN + 1];	/* its account's */
	char	 name[API_KEY_NAME_MAX + 1];
	int64_t	 created_ms, used_ms;		/* used: 0 never */
};

/*
 * Makes one and fills *ret; text gets what the caller shows and forgets.  name: UTF-8, one line.  HL_CONFLICT: the account has
 * one of this name.  HL_TOO_LARGE: it has as many as it may.  HL_NOT_FOUND: there is no such account.
 */
enum hl_err api_key_create(struct store *, const char *owner, const char *name, char text[API_KEY_LEN + 1],
	    struct api_key *ret) HL_MUST_CHECK;

/* From then on it is nobody's.  HL_NOT_FOUND: the account has none of this name. */
enum hl_err api_key_remove(struct store *, const char *owner, const char *name) HL_MUST_CHECK;

/* All, oldest first, from an index on, at most API_KEYS_PAGE; the caller gives room for them. */
enum hl_err api_key_list(struct store *, size_t from, struct api_key *ret, size_t *ret_count) HL_MUST_CHECK;

/*
 * Whose is it?  Notes that it was used.  name is left empty.  count: counts for RATE_LIMIT_KEY.  HL_UNAUTHORIZED: no key, or
 * not one any more.  HL_TOO_MANY: *retry_ms says when to try again.
 */
enum hl_err api_key_use(struct store *, const char *text, bool count, struct api_key *ret, int64_t *retry_ms) HL_MUST_CHECK;

#endif
