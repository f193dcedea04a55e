/*
 * trace.h - which request something is done for, so that lines in logs, here and elsewhere, can be put together.
 *
 * W3C Trace Context Level 1: a request that comes with a valid header traceparent belongs to that trace; another one begins
 * a trace of its own, whose id is drawn when it is first needed.  Requests to model servers go on as its children.  What runs
 * now belongs to one trace or none: tasks carry it along (loop/task.h), log lines name it (log.h).
 */
#ifndef HL_TRACE_H
#define HL_TRACE_H

#include <stdbool.h>

#define TRACE_ID_LEN		32
#define TRACE_PARENT_LEN	55	/* 00-(32)-(16)-(2) */
#define TRACE_REQUEST_MAX	128

struct trace {
	char	 id[TRACE_ID_LEN + 1];		/* "": not drawn yet */
	char	 flags[3];
	char	 request[TRACE_REQUEST_MAX + 1];	/* the request's id; "": of none */
};

/* header may be NULL.  False: it is none that counts, and a trace begins. */
bool	 trace_begin(struct trace *, const char *header, const char *request_id);

const char *trace_id(struct trace *);

/* The header's value for a request that is made for it: each has another parent. */
void	 trace_child(struct trace *, char out[TRACE_PARENT_LEN + 1]);

/* The whole line of the header for a request that is made for what runs now; false: there is nothing. */
#define TRACE_HEADER_MAX	80
bool	 trace_header(char out[TRACE_HEADER_MAX]);

/* What runs now; NULL: nothing in particular.  Returns what was said before; both are borrowed. */
struct trace *trace_switch(struct trace *);
struct trace *trace_now(void);

#endif
