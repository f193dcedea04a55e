/*
 * socket.h - Socket.IO on top of sessions: namespaces, events in order, acknowledgements, rooms.
 *
 * It knows nothing of chat: what a client says becomes one question to the events program, whose answer says
 * what to emit, to acknowledge, and which rooms to join or leave.  The questions of one socket go one at a
 * time, in order.
 *
 * A client whose connection was cut off and that names its pid and an offset (room.h) within SOCKET_RECOVERY gets its
 * socket back: sid, rooms, state, and what it missed, from the log and before CONNECT, as socket.io-client expects it.  The
 * events program is told of the cut by "disconnect" and is not asked to connect again.  Who cannot be given everything (a
 * restarted or another daemon, no offset yet, two counted rooms, the log gone, its token over, sent away by an emitter while it
 * was gone) is connected as new, without a word; the events program, which is asked then, may know from the offset where it
 * goes on ("back"), and has what such a client says before its page joins wait for that ("unless").  The client strips nothing:
 * handlers see the offset behind an event's own arguments, as with the reference.
 */
#ifndef HL_PUSH_SOCKET_H
#define HL_PUSH_SOCKET_H

#include <stdbool.h>

#include <uv.h>

#include "base/conf.h"
#include "base/error.h"
#include "push/recovery.h"
#include "push/relay.h"
#include "push/room.h"
#include "push/session.h"
#include "push/workers.h"

#define SOCKET_MAX_WAITING	64u		/* events of one socket that have not been asked yet */
#define SOCKET_MAX_BYTES	(1u << 20)	/* of them, or a single one that is longer */
#define EVENT_MAX	(24u << 20)	/* of one, with its attachments in base64: SOCKET_MAX_PAYLOAD is less */
#define CLIENT_MAX_SOCKETS	16u		/* namespaces of one session */
#define MAX_QUESTIONS		256u		/* at once */
#define MAX_REPLAYS		64u		/* at once */

struct socket;

/* All sockets, by their sid. */
struct roster { struct socket **table; size_t buckets, count; unsigned mark; };

/* What all sockets share. */
struct hub {
	struct relay	 relay;
	struct workers	 questions, replays;
	struct rooms	 rooms;
	struct recovery	 recovery;
	struct roster	 roster;
	struct redis_sub *emissions, *requests;
};

enum hl_err hub_init(struct hub *, uv_loop_t *, const struct conf *, struct redis *, struct fcgi_client *,
    struct deadlines *) HL_MUST_CHECK;
void	 hub_free(struct hub *);
bool	 hub_is_idle(const struct hub *);	/* nothing is being asked */

/* The application to give to the transport, with the hub as its argument. */
extern const struct session_app socket_app;

#endif
