/*
 * fcgi_client.h - the client's side of FastCGI on the loop: a program asks another one on the same host at its listening
 * socket, as nginx would, without nginx's and libcurl's share of a request (tests/bench: cost).
 *
 * FastCGI 1.0, sections 5.1 to 5.3.  A connection carries one request at a time and is kept for the next (FCGI_KEEP_CONN).
 */
#ifndef HL_FCGI_CLIENT_H
#define HL_FCGI_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/error.h"

struct fcgi_client;

struct fcgi_question {
	/* name, value, name, value, ..., NULL; CONTENT_LENGTH comes by itself.  HL_TOO_LARGE: more than a record (64 KiB) */
	const char	*const *params;
	const void	*body;		/* borrowed until fcgi_ask() returns */
	size_t		 body_len;	/* at most FCGI_MAX_BODY (fcgi.h), else HL_TOO_LARGE */
	int64_t		 total_ms;	/* for all of it, asking again included */
};

/* path: of the unix socket, borrowed as long as the client lives. */
enum hl_err fcgi_client_new(uv_loop_t *, const char *path, struct fcgi_client **ret) HL_MUST_CHECK;
/* Who is asking still gets an answer; nobody may ask afterwards.  The loop must run on to close what it holds; or NULL. */
void	 fcgi_client_free(struct fcgi_client *);

/*
 * Suspends.  *answer is emptied and gets the body, up to its max (HL_TOO_LARGE).  HL_UPSTREAM: nobody listens, or the
 * connection broke, or what came is no answer: whether the program has done something is unknown; a kept connection that
 * turns out to be dead before the first byte of an answer is replaced by a new one at once, so a program may be asked the
 * same twice, never more often.  HL_TIMEOUT, HL_CANCELLED: so is it then.
 */
enum hl_err fcgi_ask(struct fcgi_client *, const struct fcgi_question *, int *ret_status, struct buf *answer) HL_MUST_CHECK;

#endif
