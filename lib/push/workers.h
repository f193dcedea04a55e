/*
 * workers.h - jobs done by a bounded number of tasks, first come, first served.
 *
 * A socket or a room that has something to ask is a job; ten thousand of them at once cost ten thousand queue
 * entries, not ten thousand stacks and connections.
 */
#ifndef HL_WORKERS_H
#define HL_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

/* Part of what it works on.  All zero but run is a fresh one. */
struct job {
	struct job	*next;
	bool		(*run)(struct job *);	/* in a task; false: the job has been freed */
	uint8_t		 state;
};

struct workers {
	uv_loop_t	*loop;
	struct job	*head, *last;
	unsigned	 running, max;
};

/* Has run() called; once more if it is running already. */
void	 workers_add(struct workers *, struct job *);
bool	 job_is_idle(const struct job *);	/* neither waiting nor running */

#endif
