/*
 * fcgi_answer.h - reads what a FastCGI program answers to one request, as it comes in: no I/O.
 *
 * Records as in FastCGI 1.0, section 3.3; STDOUT is the answer (5.3), STDERR is dropped, END_REQUEST (5.5) is the end.
 * Every request has the id FCGI_ANSWER_ID: a connection of ours carries one at a time.
 */
#ifndef HL_FCGI_ANSWER_H
#define HL_FCGI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define FCGI_ANSWER_ID	1

/* All zero: before the first byte. */
struct fcgi_answer {
	unsigned char	 head[8];	/* of the record under way */
	size_t		 head_len;
	size_t		 content, padding;	/* of it, still to come */
	unsigned char	 end[8];	/* END_REQUEST's body */
	bool		 ended;
};

/*
 * Adds to *out what of the answer is in these bytes.  HL_UPSTREAM: they are not what a program may send, or tell of failure,
 * or go on after the end; HL_TOO_LARGE, HL_NO_MEMORY: of *out.  After an error, or the end, nothing more may be fed.
 */
enum hl_err fcgi_answer_feed(struct fcgi_answer *, const char *, size_t, struct buf *out) HL_MUST_CHECK;

/*
 * Takes the head, which ends with an empty line, from the front of a whole answer (RFC 3875, section 6.2): what is left is the
 * body.  *ret_status: of the Status line, 200 without one.  HL_UPSTREAM: it is none.
 */
enum hl_err fcgi_answer_head(struct buf *answer, int *ret_status) HL_MUST_CHECK;

#endif
