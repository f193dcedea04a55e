/*
 * server.h - an HTTP/1.1 server on the test's own loop.  Each request runs serve() as a task, which sends bytes, sleeps
 * and hangs up as the test wants; nothing is added to what it sends.
 */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "base/buf.h"

struct server;
struct server_call;

typedef void (*server_serve)(struct server_call *, void *arg);

/* On a unix socket, or with path NULL on a free port of 127.0.0.1. */
struct server *server_new(uv_loop_t *, const char *path, server_serve, void *arg);
void	 server_free(struct server *);
int	 server_port(const struct server *);
unsigned server_connections(const struct server *);	/* accepted so far */
unsigned server_open(const struct server *);		/* open now */

const char *call_head(const struct server_call *);	/* request line and headers */
const char *call_body(const struct server_call *);
size_t	 call_body_len(const struct server_call *);
bool	 call_gone(const struct server_call *);		/* the client has hung up */
void	 call_send(struct server_call *, const char *, size_t);
void	 call_text(struct server_call *, const char *);
/* Status line, headers ("" or lines with CRLF), Content-Length and body. */
void	 call_answer(struct server_call *, int status, const char *headers, const char *body);
void	 call_chunk(struct server_call *, const char *);	/* chunked coding; "" ends it */
void	 call_hang_up(struct server_call *, bool reset);

#endif
