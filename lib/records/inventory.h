/*
 * inventory.h - everything that Helpline has in a store, whatever it is: for what must go over all of it, as a backup or the
 * erasure of a person does.  Not for requests: it reads the names of all keys.
 *
 * One table says which keys there are and of which type; a key of a kind that is not in it is not ours, as the store may be
 * shared.  PASSING are limits, locks and marks of running processes: they are neither saved nor make a store "not empty".
 * Who adds a kind of key adds it there; tests compare it with what a busy system has.
 */
#ifndef HL_INVENTORY_H
#define HL_INVENTORY_H

#include "records/conversation.h"

#define INVENTORY_KEY_MAX	160	/* bytes of a key's name, with the NUL */

enum stored_type { STORED_STRING, STORED_HASH, STORED_LIST, STORED_ZSET, STORED_TYPES };

/* Of what type is a key of that name, by the table?  False: it is none of ours. */
bool	 inventory_type(const char *key, enum stored_type *ret, bool *ret_passing);

/* Names, sorted: what belongs together (a conversation, its log, …) stands together. */
struct inventory { char **keys; size_t count; };
void	 inventory_free(struct inventory *);

/* All keys that are not passing; with_passing: those too.  Suspends often. */
enum hl_err inventory_read(struct store *, bool with_passing, struct inventory *ret) HL_MUST_CHECK;

/* Have the two keys the same stem "kind:{S}:H", so that they are read in one step? */
bool	 inventory_together(const char *key, const char *other);

/*
 * What a key holds.  items are a hash's fields and values and a sorted set's members and scores in turn, a list's items, or
 * one string; they are borrowed until the task suspends.  expires_ms: wall time by the store's clock; 0: never.  gone: the
 * key is not there any more.
 */
struct stored {
	const char	*key;			/* borrowed from the caller */
	enum stored_type type;
	int64_t		 expires_ms;
	bool		 gone;
	const struct redis_reply *items;	/* of a string: itself */
};
size_t	 stored_count(const struct stored *);
const char *stored_item(const struct stored *, size_t, size_t *len);

/* Several keys as they are at one moment, at most INVENTORY_STEP. */
#define INVENTORY_STEP	16
enum hl_err inventory_get(struct store *, const char *const *keys, size_t count, struct stored *ret) HL_MUST_CHECK;

/* Adds to a key, which is made if it is missing: items as above, at most INVENTORY_ITEMS. */
#define INVENTORY_ITEMS	44	/* a command has 48 arguments at most (services/redis.c) */
struct redis_arg;
enum hl_err inventory_add(struct store *, const char *key, enum stored_type, const struct redis_arg *items, size_t count)
	    HL_MUST_CHECK;
enum hl_err inventory_expire(struct store *, const char *key, int64_t expires_ms) HL_MUST_CHECK;
enum hl_err inventory_remove(struct store *, const char *key) HL_MUST_CHECK;

/*
 * Asks the server to hold all writes for ms at most (CLIENT PAUSE), so that many steps see one moment, or to go on.
 * HL_INTERNAL: it does not allow that.
 */
enum hl_err inventory_hold(struct store *, int64_t ms) HL_MUST_CHECK;
enum hl_err inventory_go_on(struct store *) HL_MUST_CHECK;

/*
 * Has the server write its append-only file and its dump anew, if it has them, so that what was removed is in neither.
 * HL_INTERNAL: it does not allow that, or failed; HL_TIMEOUT.
 */
enum hl_err inventory_rewrite(struct store *, int64_t ms) HL_MUST_CHECK;

#endif
