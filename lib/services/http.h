/*
 * http.h - HTTP requests to others (libcurl on the loop), read by a task piece by piece.
 */
#ifndef HL_HTTP_H
#define HL_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/error.h"

struct http;		/* the client: connections are kept and shared by all tasks */
struct http_stream;	/* one exchange */

struct http_request {
	const char	*method;	/* "GET", "POST" */
	const char	*url;		/* http or https; redirects are not followed */
	const char	*unix_socket;	/* or NULL */
	const char	*const *headers;	/* "Name: value" lines, ended by NULL; or NULL */
	const void	*body;		/* borrowed until http_open() returns; NULL: none */
	size_t		 body_len;
	int64_t		 connect_ms;	/* until connected; 0: 10 s */
	int64_t		 total_ms;	/* whole exchange; 0: no limit */
	int64_t		 idle_ms;	/* longest silence while waiting or reading; 0: no limit */
	size_t		 max_body;	/* bytes of the answer; beyond it HL_TOO_LARGE; 0: 1 MiB */
};

/* The program ignores SIGPIPE. */
enum hl_err http_new(uv_loop_t *, struct http **ret) HL_MUST_CHECK;
/* No task may be in an exchange.  The loop must run once more to close what it holds. */
void	 http_free(struct http *);

/*
 * Sends and suspends until the answer's status and headers are there.  HL_UPSTREAM: no connection, or it
 * broke; HL_TIMEOUT; HL_CANCELLED; HL_BAD_REQUEST: the address is not one.  Whatever it returns, *ret is
 * set (NULL on failure) and http_close() takes it.
 */
enum hl_err http_open(struct http *, const struct http_request *, struct http_stream **ret) HL_MUST_CHECK;
int	 http_status(const struct http_stream *);
const char *http_content_type(const struct http_stream *);	/* lower case, without parameters; "" if none */
const char *http_header(const struct http_stream *, const char *name);	/* NULL if absent */
const char *http_problem(const struct http *);			/* libcurl's sentence for the last failure */

/*
 * The next piece of the body, borrowed until the next call; suspends while there is none.  *len == 0: the
 * end.  A body cut short of its Content-Length or last chunk is HL_UPSTREAM; one that simply ends with the
 * connection is not an error that HTTP/1.1 can tell, so a reader of streams judges by what it has read.  A
 * slow reader stops the sender: at most 64 KiB wait here.
 */
enum hl_err http_read(struct http_stream *, const char **ret_data, size_t *ret_len) HL_MUST_CHECK;
/* The idle_ms from now on: a reader that has what it came for waits less for the rest. */
void	 http_patience(struct http_stream *, int64_t idle_ms);
void	 http_close(struct http_stream *);	/* NULL is allowed; ends an exchange that is still under way */

/*
 * As http_close(), for a reader that has read all that matters (a stream's last event, say) while the end
 * of the body is still to come: it is awaited for a second in the background and dropped, so that the
 * connection can be used again.  Closing it would cost the next exchange a new connection.
 */
void	 http_finish(struct http_stream *);

#endif
