/*
 * kept.h - bodies of answers that were made a moment ago, good for as long as what they were made of has the same version.
 *
 * Bounded: KEPT_COUNT bodies, KEPT_BYTES in all, none of more than KEPT_ONE; who has not been asked for longest goes first,
 * and at the next addition all that nobody has asked for in KEPT_MS.  They are what customers said, in clear: in memory only.
 * Of many who want the same body at once one makes it, the others wait.
 */
#ifndef HL_KEPT_H
#define HL_KEPT_H

#include <stdbool.h>

#include "base/buf.h"
#include "services/crypto.h"

#define KEPT_COUNT	256
#define KEPT_BYTES	(8u << 20)
#define KEPT_ONE	(1u << 20)
#define KEPT_MS		60000

struct kept;
struct task;

enum hl_err kept_new(struct kept **ret) HL_MUST_CHECK;
void	 kept_free(struct kept *);		/* NULL is allowed; nobody makes anything any more */

/*
 * name: what is asked for, and by whom (a keyed name).  Borrowed until the task suspends; NULL: it is not there.
 */
struct kept_body {
	struct buf	 body, packed;
	struct buf	 link;		/* the value of Link; may be empty */
	struct buf	 parts;		/* what its maker has written down to make the next version from it; may be empty */
};
const struct kept_body *kept_find(struct kept *, const char *name, int64_t version);

/* The last version, whichever it is. */
const struct kept_body *kept_last(struct kept *, const char *name, int64_t *ret_version);

/* The same body as gzip, made when it is first asked for; NULL: it is not there, or would not be shorter. */
const struct buf *kept_packed(struct kept *, const char *name, int64_t version);

/*
 * True: the caller makes it, and ends that with kept_made().  False, after it has suspended: somebody else did, or failed to;
 * look again.
 */
struct making {
	struct making	*next;
	char		 name[CRYPTO_NAME_LEN + 1];
	int64_t		 version;
	struct kept_waiter *waiters;
};
bool	 kept_make(struct kept *, const char *name, int64_t version, struct making *);

/* NULL: it failed.  Copies what it keeps: all but packed.  Without memory for it, or too large, it is not kept. */
void	 kept_made(struct kept *, struct making *, const struct kept_body *);

#endif
