/*
 * stack.h - the processes of a ./run system, kept running until somebody ends it.
 */
#ifndef HL_STACK_H
#define HL_STACK_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "sockets.h"
#include "state.h"

struct stack_plan {
	const struct state	*state;
	const struct conf	*conf;
	const struct front	*front;
	bool			 own_redis;
	unsigned		 connections;	/* nginx's */
	int			 tell;		/* descriptor of who waits for readiness, or -1: gets one byte */
};

/*
 * Starts everything, says when it is ready, starts again what ends, and returns when all has ended: 0 when asked to,
 * 1 when it could not be brought up.  The current directory is the state directory, root's rights are given up.
 */
int	 stack_run(const struct stack_plan *);

#endif
