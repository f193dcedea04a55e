/*
 * deadline.h - many moments at which something is due, one timer for all of them.  A binary heap, no I/O.
 */
#ifndef HL_DEADLINE_H
#define HL_DEADLINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct deadline {
	int64_t		 at_ms;		/* clock_mono_ms() */
	uint32_t	 slot;		/* 0: not set */
	void		(*expired)(struct deadline *);
};

struct deadlines { struct deadline **heap; size_t count, cap, owners; };

void	 deadlines_free(struct deadlines *);

/*
 * Prepares a deadline that is not set yet; setting it cannot fail then.  deadline_end() gives its place back.
 */
enum hl_err deadline_init(struct deadlines *, struct deadline *,
    void (*expired)(struct deadline *)) HL_MUST_CHECK;
void	 deadline_end(struct deadlines *, struct deadline *);

void	 deadline_set(struct deadlines *, struct deadline *, int64_t at_ms);	/* also moves it */
void	 deadline_clear(struct deadlines *, struct deadline *);

/* Calls expired() of all that are due, each cleared before. */
void	 deadlines_run(struct deadlines *, int64_t now_ms);
int64_t	 deadlines_next(const struct deadlines *);	/* -1: none */

#endif
