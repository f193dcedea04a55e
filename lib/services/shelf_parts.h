/*
 * shelf_parts.h - what shelf.c, the sounds, and shelf_tend.c, who cleans up behind them, share.  Not for others.
 */
#ifndef HL_SHELF_PARTS_H
#define HL_SHELF_PARTS_H

#include "services/shelf.h"

enum place { PUBLIC, MAKING, CACHE, PARTS, ORDERS, PLACES };

/* Shared by all processes. */
struct usage { int64_t total, cache, tended_s; };

struct shelf {
	int		 root, places[PLACES], usage_fd;
	struct usage	*usage;
	int64_t		 cache_max, total_max;
	int64_t		 short_mono_ms;		/* when its disk was found to have no room; 0: never */
};

void	 shelf_count_bytes(struct shelf *, int64_t bytes, bool cached);
bool	 shelf_cache_is_full(const struct shelf *);
/* Removes a name, and counts what that gave back: nothing, as long as it has another one. */
bool	 shelf_drop(struct shelf *, enum place, const char *name);
/* Without its maker's lock there is no maker, and it is removed. */
void	 shelf_drop_dead(struct shelf *, const char *name);
void	 shelf_forget_parts(struct shelf *, const char *file);

#endif
