/*
 * share.h - how many turns may be under way at once, and how many of them may be one visitor's.  No I/O.
 *
 * Past half of the most there may be, one visitor (userId and address) holds at most a sixteenth of it, or four: one who
 * floods is refused while there is still room for all others.
 */
#ifndef HL_SHARE_H
#define HL_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARE_BUCKETS	4096u
#define SHARE_LEAST	4u

struct shares {
	size_t		 most, total;
	uint64_t	 seed;
	/* Visitors of one bucket share; a seed that nobody knows keeps anybody from choosing whose bucket to fill. */
	uint32_t	 held[SHARE_BUCKETS];
};

void	 shares_init(struct shares *, size_t most);

/* The bucket of a visitor; either text may be NULL. */
unsigned share_of(const struct shares *, const char *address, const char *user_id);

/* False: no room, for this visitor or at all; nothing is taken then. */
bool	 share_take(struct shares *, unsigned bucket);
void	 share_give(struct shares *, unsigned bucket);

#endif
