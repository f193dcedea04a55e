/*
 * trace.h - which request something is done for, so that lines in logs, here and elsewhere, can be put together.
 *
 * W3C Trace Context Level 1: a request that comes with a valid header traceparent belongs to that trace; another one begins
 * a trace of its own, whose id is drawn when it is first needed.  Requests to model servers go on as its children.  What runs
 * now belongs to one trace or none: tasks carry it along (loop/task.h), log lines name it (log.h).
 *
 * What others keep for a trace, its header tracestate, goes on as it came, up to what everybody has to let pass: members that
 * are more than that are left out, from the end.
 */
#ifndef HL_TRACE_H
#define HL_TRACE_H

#include <stdbool.h>

#define TRACE_ID_LEN		32
#define TRACE_PARENT_LEN	55	/* 00-(32)-(16)-(2) */
#define TRACE_REQUEST_MAX	128
#define TRACE_STATE_MAX		512	/* bytes */
#define TRACE_STATE_MEMBERS	32

struct trace_state;			/* one text, of all that belong to the trace in this process */

struct trace {
	char	 id[TRACE_ID_LEN + 1];		/* "": not drawn yet */
	char	 flags[3];
	char	 request[TRACE_REQUEST_MAX + 1];	/* the request's id; "": of none */
	struct trace_state *state;		/* NULL: there is none.  A copy of all this is another owner: trace_share() */
};

/* header may be NULL.  False: it is none that counts, and a trace begins. */
bool	 trace_begin(struct trace *, const char *header, const char *request_id);

/* The header tracestate, of a trace that did not begin here; what is none, or without memory, is left out. */
void	 trace_take_state(struct trace *, const char *header);

/* Both are owners now, and each is to be ended: *to was none. */
void	 trace_share(struct trace *to, const struct trace *from);
void	 trace_end(struct trace *);

const char *trace_id(struct trace *);

/* The header's value for a request that is made for it: each has another parent. */
void	 trace_child(struct trace *, char out[TRACE_PARENT_LEN + 1]);

/* The whole line of the header for a request that is made for what runs now; false: there is nothing. */
#define TRACE_HEADER_MAX	80
bool	 trace_header(char out[TRACE_HEADER_MAX]);

/* The same of tracestate; NULL: there is none.  It lives as long as what runs now. */
const char *trace_state_header(void);

/* What runs now; NULL: nothing in particular.  Returns what was said before; both are borrowed. */
struct trace *trace_switch(struct trace *);
struct trace *trace_now(void);

#endif
