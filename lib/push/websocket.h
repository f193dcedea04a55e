/*
 * websocket.h - WebSocket connections: accepting, handshake, frames in (frames.h), frames out.
 *
 * A connection that is silent holds no buffers: the parser's context exists only while part of a frame or of
 * a fragmented message is pending.
 */
#ifndef HL_WEBSOCKET_H
#define HL_WEBSOCKET_H

#include <stdbool.h>

#include <uv.h>

#include "base/error.h"
#include "push/message.h"

#define WEBSOCKET_HANDSHAKE_MS	10000	/* from accepting to the end of the request's head */
#define WEBSOCKET_CLOSE_MS	2000	/* for the last bytes and the other side's end */

struct transport;
struct websockets;
struct websocket;

enum hl_err websockets_start(struct transport *, int take_listener, struct websockets **ret) HL_MUST_CHECK;
void	 websockets_drain(struct websockets *);		/* accepts no more and drops half-open ones */
void	 websockets_flush(struct websockets *);
bool	 websockets_idle(const struct websockets *);	/* nothing to flush */
size_t	 websockets_count(const struct websockets *);	/* open connections, half-open ones included */

/* For struct session_io. */
enum hl_err websocket_send(struct websocket *, struct message *);
bool	 websocket_ready(const struct websocket *);
void	 websocket_end(struct websocket *);
enum hl_err websocket_part(struct websocket *) HL_MUST_CHECK;

#endif
