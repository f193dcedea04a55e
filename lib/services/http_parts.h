/*
 * http_parts.h - what the files that make up the HTTP client share: http.c, the exchanges and the tasks that wait for them,
 * http_multi.c, libcurl's multi interface on the loop, http_request.c, what libcurl is told of a request.  Not for others.
 *
 * libcurl calls back from inside its own functions, and must not be called from there; a woken task would do just
 * that.  So callbacks only take down what happened and put the stream on the ready list; the tasks are woken when this turn of
 * the loop has read all that had come.
 */
#ifndef HL_HTTP_PARTS_H
#define HL_HTTP_PARTS_H

#include <sys/queue.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "services/http.h"

#define MULTIS_MAX	128u
#define RECEIVE_SIZE	2048L		/* libcurl's buffer, one for each call under way */
#define PROBLEM_SIZE	CURL_ERROR_SIZE

struct multi {
	struct http	*http;
	CURLM		*curl;
	uv_timer_t	 timer;
	unsigned	 calls;
	uint64_t	 idle_since;
};

struct watch;

struct http_stream {
	struct http	*http;
	LIST_ENTRY(http_stream)	 link;		/* among the live ones, or in the pool */
	CURL		*easy;
	uv_timer_t	 timer;
	/* from here on of one exchange */
	struct multi	*multi;			/* NULL: libcurl is done with it */
	struct curl_slist *headers;
	struct task	*task;			/* who waits for it, or NULL */
	TAILQ_ENTRY(http_stream) ready_link;
	enum hl_err	 err;			/* how it ended, when done */
	int		 status;
	bool		 ready, headers_done, done, paused, finishing, overdue;
	size_t		 header_bytes, max_body, body_bytes;
	uint64_t	 idle_ms, quiet_since, ends_at;
	struct buf	 in;			/* read and not yet asked for */
	struct buf	 lent;			/* what the last http_read() gave out */
	char		 content_type[64];
	char		 problem[PROBLEM_SIZE];
};

LIST_HEAD(stream_list, http_stream);
TAILQ_HEAD(ready_list, http_stream);

struct http {
	uv_loop_t	*loop;
	uv_timer_t	 sweeper;
	uv_check_t	 turn_read;		/* while anything is ready */
	uv_idle_t	 no_sleep;		/* likewise */
	struct multi	*multis[MULTIS_MAX];
	unsigned	 multi_count;
	struct watch	**watches;		/* by descriptor */
	size_t		 watches_size;
	struct stream_list live, pool;
	struct ready_list ready;
	unsigned	 pooled;
	unsigned	 handles;		/* of libuv, not yet closed */
	bool		 freed;
	char		*no_proxy;
	char		 problem[PROBLEM_SIZE];
};

/* ---- http.c ---- */

void	 stream_done(struct http_stream *, enum hl_err, const char *problem);	/* the first error is the one that counts */
void	 handle_closed(struct http *);	/* one of libuv's, counted in handles */
enum hl_err from_curl(CURLcode) HL_MUST_CHECK;
/* What libcurl calls with a line of the answer's head, and with a piece of its body. */
size_t	 on_header(char *line, size_t size, size_t n, void *stream);
size_t	 on_body(char *bytes, size_t size, size_t n, void *stream);

/* ---- http_multi.c ---- */

/* Gives it to one of the multis, which begins it. */
enum hl_err multi_add(struct http_stream *) HL_MUST_CHECK;
void	 multi_remove(struct http_stream *);	/* libcurl is done with it, or is not asked on */
void	 multi_free_all(struct http *);

int	 on_close_socket(void *http, curl_socket_t);	/* what libcurl calls to close a connection's socket */

/* ---- http_request.c ---- */

/* The method, the address, the headers and how to connect.  The body stays where it is. */
enum hl_err request_describe(struct http_stream *, const struct http_request *) HL_MUST_CHECK;

#endif
