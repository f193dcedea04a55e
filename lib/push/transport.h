/*
 * transport.h - sessions on real connections: polls by FastCGI, WebSockets on a listening socket of their
 * own, one timer and one flush a turn of the loop for all of them.
 */
#ifndef HL_TRANSPORT_H
#define HL_TRANSPORT_H

#include <stdbool.h>

#include <uv.h>

#include "base/conf.h"
#include "base/error.h"
#include "push/session.h"
#include "services/fcgi.h"

struct websockets;

struct transport {
	uv_loop_t		*loop;
	const struct conf	*conf;
	struct session_rules	 rules;
	struct sessions		 sessions;
	struct deadlines	 deadlines;
	struct fcgi_server	*polls;
	struct websockets	*websockets;
	uv_prepare_t		 prepare;
	uv_timer_t		 timer;		/* for the deadlines */
	uv_timer_t		 limit;		/* of draining */
	uv_timer_t		 turn;		/* until another process has stopped taking polls */
	int			 polls_listener;	/* borrowed from polls */
	int			 turn_fd;	/* a socket whose name says that this one takes them; -1 */
	int64_t			 turn_by_ms;	/* when it takes them anyway */
	size_t			 portion;	/* WebSockets closed in one step of draining */
	int			 spread_ms;
	int64_t			 armed_ms;	/* what the timer is set for; 0: nothing */
	bool			 refuses_polls, polls_drained;
	void			(*drained)(void *);
	void			*drained_arg;
};

/* All zero but for deadlines, which others may have begun to use.  Takes both descriptors.  The transport must stay where it is until the process ends. */
enum hl_err transport_start(struct transport *, uv_loop_t *, const struct conf *, int take_polls,
    int take_websockets, const struct session_app *, void *app_arg) HL_MUST_CHECK;

/*
 * Takes no new WebSockets, and a moment later no polls, tells every client to come again (they do by themselves), many
 * WebSockets in portions and each when what was said on it has been answered, and calls drained(arg) when the last byte
 * is out or a few seconds have passed.
 */
void	 transport_drain(struct transport *, void (*drained)(void *), void *arg);

/* polling.c: the handler of FastCGI requests; arg is the transport. */
void	 polling_handler(struct fcgi_request *, void *arg);
void	 polling_answer(struct poll *, enum hl_err, const char *payload, size_t len);

#endif
