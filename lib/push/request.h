/*
 * request.h - what a request to the push daemon asks for, checked in the reference's order, and the CORS
 * headers of its answer.  Used by polls and by WebSocket handshakes.  No I/O.
 */
#ifndef HL_PUSH_REQUEST_H
#define HL_PUSH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "push/session.h"

/* What the request says of itself; NULL where it says nothing.  Borrowed. */
struct push_request {
	const char	*method, *query, *origin, *host;
	bool		 upgrade;	/* to a WebSocket */
};

/* A refusal: status of HTTP, number and text of Engine.IO. */
struct refusal { int status, code; const char *text; };

extern const struct refusal refused_transport, refused_sid, refused_method, refused_request, refused_origin,
    refused_protocol, refused_busy;

/*
 * Checks transport, Origin, session and revision.  Returns NULL and the session named (NULL: a handshake), or
 * what is wrong with it.
 */
const struct refusal *request_check(const struct push_request *, struct sessions *, const char *frontend_urls,
	    struct session **ret_session);

/* The value of a member of the query as it stands there; NULL if absent. */
const char *query_get(const char *query, const char *name, size_t *ret_len);

/*
 * Appends the CORS headers, each line ended by CRLF; nothing for our own pages and for callers that are not
 * pages.
 */
void	 request_cors(struct buf *, const struct push_request *, const char *frontend_urls);

/* Whether it is the question that a browser asks before a request across origins. */
bool	 request_is_preflight(const struct push_request *, const char *frontend_urls);

#endif
