/*
 * lane.h - so many tasks at once, and no more: the others wait their turn, in their order.
 */
#ifndef HL_LANE_H
#define HL_LANE_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/task.h"

/* Who is in a lane or waits for it; lies on the task's stack from lane_enter() to lane_leave(). */
struct lane_user {
	struct lane_user *next;
	struct task	*task;
	const char	*name;
	bool		 in;
};

/* Lanes of different names have nothing to do with each other.  All zero is empty. */
struct lanes { struct lane_user *first; };

/*
 * Suspends until fewer than most tasks are in the lane of that name, which is borrowed until lane_leave().  HL_CANCELLED: the
 * task is not in it, and must not leave.  Each step takes time in proportion to those that are in a lane or wait.
 */
enum hl_err lane_enter(struct lanes *, const char *name, unsigned most, struct lane_user *mine) HL_MUST_CHECK;
void	 lane_leave(struct lanes *, struct lane_user *mine);
size_t	 lane_length(const struct lanes *, const char *name);	/* in it and waiting */

#endif
