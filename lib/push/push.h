/*
 * push.h - the push daemon whole: sockets, their transport, the events program and Redis behind them.
 */
#ifndef HL_PUSH_H
#define HL_PUSH_H

#include <uv.h>

#include "base/conf.h"
#include "base/error.h"
#include "push/socket.h"
#include "push/transport.h"

struct push {
	struct transport transport;
	struct hub	 hub;
	struct redis	*redis;
	struct fcgi_client *events;
	uv_timer_t	 ending;
	int64_t		 end_by_ms;
};

/* Takes the descriptors.  It must stay where it is until the loop has ended. */
enum hl_err push_start(struct push *, uv_loop_t *, const struct conf *, int take_polls,
    int take_websockets) HL_MUST_CHECK;

/*
 * Stops accepting, closes the transports (never a namespace: clients come back by themselves), lets what is
 * being asked be answered, and stops the loop; a few seconds at most.
 */
void	 push_drain(struct push *);
void	 push_free(struct push *);

#endif
