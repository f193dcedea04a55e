/*
 * password.h - password hashes: bcrypt ($2b$; $2a$ and $2y$ verify too) by libxcrypt, which stays behind this header.
 *
 * A hash keeps a core busy for tenths of a second, so it is made in libuv's thread pool, at a low priority, as many at
 * once as there are cores.  The others wait their turn, and whoever would wait longer than PASSWORD_PATIENCE_MS is
 * refused; one source of requests may fill half of that.
 */
#ifndef HL_PASSWORD_H
#define HL_PASSWORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define PASSWORD_HASH_LEN	60
#define PASSWORD_BYTES_MAX	72	/* bcrypt looks at no more: what is longer matches nothing */
#define PASSWORD_COST_MAX	15	/* a stored hash that costs more matches nothing */
#define PASSWORD_PATIENCE_MS	30000

struct passwords;

enum hl_err passwords_new(int cost, struct passwords **ret) HL_MUST_CHECK;
void	 passwords_free(struct passwords *);	/* nobody may be waiting; or NULL */

/*
 * source is who asks, an address.  Both suspend.  HL_BUSY: too many wait already, *retry_ms says when to come again.  HL_CANCELLED: while it waited.
 */
enum hl_err passwords_make(struct passwords *, const char *source, const char *password,
	    char ret[PASSWORD_HASH_LEN + 1], int64_t *retry_ms) HL_MUST_CHECK;

/* hash NULL: nobody's.  What does not match takes the time of the setting's cost, or of the hash's own if that is higher. */
enum hl_err passwords_check(struct passwords *, const char *source, const char *hash, const char *password,
	    bool *ret_matches, int64_t *retry_ms) HL_MUST_CHECK;

/* Whether it is as one that would be made now: its cost is that of the setting, its form $2b$. */
bool	 passwords_current(const struct passwords *, const char *hash);

/* The same, at once, for who has nothing else to do.  HL_INTERNAL: no randomness, or the library refuses. */
enum hl_err password_hash(int cost, const char *password, char ret[PASSWORD_HASH_LEN + 1]) HL_MUST_CHECK;
bool	 password_matches(const char *hash, const char *password);

#endif
