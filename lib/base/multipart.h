/*
 * multipart.h - what a form sends with a file (RFC 7578, RFC 2046), read in place.  No I/O, no memory.
 */
#ifndef HL_MULTIPART_H
#define HL_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define BOUNDARY_MAX	70	/* RFC 2046, section 5.1.1 */

struct multipart {
	const char	*at, *end;
	char		 delimiter[BOUNDARY_MAX + 5];	/* "\r\n--boundary" */
	size_t		 len;				/* of it */
};

/* One part; everything points into the body. */
struct part {
	const char	*name;		/* of the field; as it was sent, not unescaped */
	size_t		 name_len;
	const char	*data;
	size_t		 len;
};

/* Does this Content-Type announce such a body? */
bool	 multipart_is(const char *content_type);

/* body must live as long as the reading.  HL_BAD_REQUEST: no boundary, or the body does not begin with it. */
enum hl_err multipart_open(struct multipart *, const char *content_type, const char *body, size_t len) HL_MUST_CHECK;

/* The next part.  HL_NOT_FOUND: that was the last one.  HL_BAD_REQUEST: cut off or malformed. */
enum hl_err multipart_next(struct multipart *, struct part *ret) HL_MUST_CHECK;

/* The part of this name: HL_NOT_FOUND, HL_BAD_REQUEST.  Of two the first. */
enum hl_err multipart_find(const char *content_type, const char *body, size_t len, const char *name, struct part *ret)
	    HL_MUST_CHECK;

#endif
