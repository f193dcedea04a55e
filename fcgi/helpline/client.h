/*
 * client.h - HTTP for a subcommand that asks a few questions and ends.
 */
#ifndef HL_CLIENT_H
#define HL_CLIENT_H

#include <uv.h>

#include "base/buf.h"
#include "base/error.h"
#include "services/http.h"

#define CLIENT_MAX_BODY	(1u << 20)

struct client { uv_loop_t *loop; struct http *http; };

/* Runs work(client, arg) as a task on a loop of its own, and returns when it has ended. */
enum hl_err client_run(void (*work)(struct client *, void *), void *arg) HL_MUST_CHECK;

/* The whole exchange: the status in *ret_status, the body added to body (emptied first).  Suspends. */
enum hl_err client_call(struct client *, const struct http_request *, int *ret_status, struct buf *body) HL_MUST_CHECK;

#endif
