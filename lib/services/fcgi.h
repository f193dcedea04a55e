/*
 * fcgi.h - the server side of FastCGI on the loop: libfcgi parses a request, a task handles it, records go out
 * without blocking.
 *
 * Connections are nginx's (fastcgi_keep_conn on) or fcgi_client.h's: one request at a time each.  The listening socket must
 * be reachable by those two alone, and nginx must buffer requests, because the parser reads blockingly (SO_RCVTIMEO bounds
 * it): a client must not run on its server's thread.
 */
#ifndef HL_FCGI_H
#define HL_FCGI_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "base/error.h"

#define FCGI_MAX_BODY	(1u << 21)	/* bytes; nginx limits first */

struct fcgi_server;
struct fcgi_request;

/* Runs as a task.  When it returns, the request is ended. */
typedef void (*fcgi_handler)(struct fcgi_request *, void *arg);

/* Takes the listening descriptor (any state; it is made non-blocking). */
enum hl_err fcgi_serve(uv_loop_t *, int take_listener, fcgi_handler, void *arg, struct fcgi_server **ret_server) HL_MUST_CHECK;

/* Stops accepting and ends kept connections as they fall idle; then calls done(arg). */
void	 fcgi_hold(struct fcgi_server *, bool);	/* accepts nothing; false: again */
void	 fcgi_drain(struct fcgi_server *, void (*done)(void *), void *arg);
void	 fcgi_free(struct fcgi_server *);	/* one that is drained, or NULL; the loop must run once more */

/* A FastCGI parameter ("REQUEST_METHOD", "HTTP_ORIGIN", …), the first of that name, or NULL; lives as long as the request. */
const char *fcgi_param(const struct fcgi_request *, const char *name);
const char *fcgi_body(const struct fcgi_request *, size_t *len);	/* never NULL */
bool	 fcgi_body_cut(const struct fcgi_request *);	/* shorter than CONTENT_LENGTH said: the client broke off */

/*
 * Queues bytes of the answer, CGI headers first; they go out when the handler returns, or with fcgi_flush(), which
 * suspends while more than FCGI_MAX_QUEUE bytes wait for a slow client.  HL_CANCELLED: the client has gone; nothing
 * more can be sent.
 */
#define FCGI_MAX_QUEUE	(256u * 1024)
enum hl_err fcgi_write(struct fcgi_request *, const void *, size_t) HL_MUST_CHECK;
enum hl_err fcgi_flush(struct fcgi_request *) HL_MUST_CHECK;

/* Without suspending: what the socket takes.  HL_BUSY: more than FCGI_MAX_QUEUE bytes wait, as before. */
enum hl_err fcgi_push(struct fcgi_request *) HL_MUST_CHECK;

/* The same, of the last bytes: nothing may follow.  Of many, what the socket takes at once is not copied. */
enum hl_err fcgi_write_last(struct fcgi_request *, const void *, size_t) HL_MUST_CHECK;

/*
 * What was written is not all, and never will be: when the handler returns the connection is closed without the record that
 * ends an answer, so that nginx, with fastcgi_buffering on, breaks off what it sends the client.
 */
void	 fcgi_break_off(struct fcgi_request *);

/*
 * By default a task is cancelled when its client goes away.  A handler may instead name what to call then (on the
 * loop's stack), or NULL for nothing at all.
 */
void	 fcgi_on_gone(struct fcgi_request *, void (*gone)(void *), void *arg);

#endif
