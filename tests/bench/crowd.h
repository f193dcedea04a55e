/*
 * crowd.h - what all who measure with many customers have in common: they connect some at a time, say
 * {"event":"ready"} when all are prepared, wait for a line on standard input, and begin spread over the ramp.
 *
 * crowd_run() ends when the loop does; the crowd's own calls end the process.  Of what goes wrong the first thing is kept and the
 * number counted; before all are ready it ends the process with 1 and a line on standard error.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "wire.h"

struct crowd {
	const char	*name;			/* of the program */
	struct wire	*(*wire)(struct crowd *, unsigned number);
	void		 (*go)(struct crowd *, bool ended);	/* the line came, or the end of the input */
	uv_loop_t	*loop;
	uv_timer_t	 timer, end_timer;	/* data is the crowd */
	uv_pipe_t	 input;
	char		 problem[200];
	uint64_t	 begin_ns;		/* when the line came */
	unsigned	 count, seconds, ramp_ms, opened, ready, begun, errors;
	int		 port;
	bool		 going;
};

/* The options that all have, in an array for getopt_long(). */
#define CROWD_OPTIONS \
	{ "port", required_argument, NULL, 'p' }, { "users", required_argument, NULL, 'u' }, \
	{ "seconds", required_argument, NULL, 's' }, { "ramp", required_argument, NULL, 'r' }

/* False: it is none of them. */
bool	 crowd_option(struct crowd *, int option, const char *value);
/* opening: how many prepare at the same time.  Returns what the process exits with. */
int	 crowd_run(struct crowd *, unsigned opening);
void	 crowd_open(struct crowd *, unsigned more);	/* so many of those who are not connected yet */
void	 crowd_ready(struct crowd *);			/* one more is prepared */
/* The number of one who begins now; false: nobody's moment has come. */
bool	 crowd_next(struct crowd *, unsigned *ret_number);
void	 crowd_failed(struct crowd *, const char *why, size_t len, bool prepared);
void	 crowd_print_problem(const struct crowd *);	/* ,"problem":"…" to standard output; nothing if there was none */

#endif
