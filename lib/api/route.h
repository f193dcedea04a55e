/*
 * route.h - the table that says what a program answers, and to whom.
 */
#ifndef HL_ROUTE_H
#define HL_ROUTE_H

#include "api/call.h"

enum route_body { BODY_NONE, BODY_OPTIONAL, BODY_JSON, BODY_JSON_LONG };	/* optional: absent, or JSON; long: with attachments */

struct route {
	const char	*method;
	const char	*path;		/* exact, or with one or two segments ":name" in it; the first row that matches */
	enum route_body	 body;
	call_handler	 handler;
};

/* Matches, guards (origin, preflight, body), runs the handler and turns its error into an answer.  Runs as a task. */
void	 route_call(struct app *, const struct route *, size_t count, struct fcgi_request *);

#endif
