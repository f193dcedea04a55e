/*
 * client.h - what the files that make up Socket.IO share: socket.c, where clients speak, asking.c, where what they said is
 * asked of the events program, late.c, the joins that wait, returning.c, where those come back that were cut off, roster.c,
 * where sockets are found by their sid, emitter.c, where other programs emit.  Not for others.
 */
#ifndef HL_CLIENT_H
#define HL_CLIENT_H

#include "push/socket.h"

/* A session that speaks Socket.IO; lives until its last socket has been taken leave of. */
struct client {
	struct hub	*hub;
	struct session	*session;	/* NULL once it is over */
	struct sio_decoder decoder;
	struct socket	*sockets;	/* that have not left */
	unsigned	 refs;		/* the session and every socket */
	char		 address[SESSION_ADDRESS_MAX];
};

enum question_kind { ASK_CONNECT, ASK_EVENT };

#define EVENT_NAME_MAX	32u		/* nobody waits for an event with a longer one */

/* Something that a client said and that is to be asked. */
struct question {
	struct question	*next;
	enum question_kind kind;
	bool		 wants_ack;
	bool		 acked;
	char		 id[SIO_MAX_ID + 1];	/* of the acknowledgement */
	char		 event[EVENT_NAME_MAX];	/* its name as JSON, or "" */
	char		*client_id;		/* the event's clientMessageId as JSON, or NULL */
	struct lost	*lost;			/* what a client that comes back was, or NULL */
	int64_t		 seen;			/* the seq to which it came */
	size_t		 len;
	char		 members[];		/* of the request, without the common ones */
};

/* A join that waits (late.c). */
struct late {
	struct late	*next;
	int64_t		 until_ms;		/* clock_mono_ms() */
	int64_t		 tells_to;		/* it is in that room by now, and what is behind that seq needs not be told */
	bool		 alone;			/* of what it repeats: wants that answer, whatever else is told */
	bool		 failed;
	char		 join[];		/* as it came */
};

struct socket {
	struct socket	*next;
	struct client	*client;
	struct job	 job;
	struct question	*first, *last;
	struct late	*late;
	struct deadline	 patience;	/* with the first of them; expired is NULL: there never was one */
	unsigned	 waiting;
	size_t		 waiting_bytes;
	struct member	*members;	/* rooms */
	char		*state;		/* JSON that the events program wants back, or NULL */
	struct socket	*next_in_roster;
	unsigned	 mark;		/* of the last emission that concerned it */
	bool		 connected;	/* the events program has let it in … */
	int64_t		 connected_ms;	/* … then */
	bool		 left;
	struct wire_pipe *line;		/* line.h: of a live call, or NULL */
	int64_t		 told_no_call_ms;
	bool		 cut_off;	/* left because its session ended: it may come back */
	struct deadline	 ends;		/* when its token does; expired is NULL: it came with none */
	struct own	 own;
	char		 sid[ID_LEN + 1];	/* public */
	char		 pid[ID_LEN + 1];	/* known to its client alone */
	size_t		 nsp_len;
	char		 nsp[];
};

static inline struct span
nsp_of(const struct socket *s)
{
	return (struct span){ s->nsp, s->nsp_len };
}

/* socket.c */
void	 socket_leave(struct socket *);	/* out of its client's sight; its job takes leave of the events program and frees it */
void	 socket_packet(struct socket *, enum sio_type, struct span data);	/* CONNECT and the like: an object or nothing */
/* An event or an acknowledgement; id may be empty. */
enum hl_err socket_args(struct socket *, enum sio_type, struct span id, struct span args) HL_MUST_CHECK;
/* The events of one counted message: the first one with the offset, of the room with that tag; NULL: with none. */
enum hl_err socket_message(struct socket *, const char *tag, struct span message) HL_MUST_CHECK;
void	 socket_let_in(struct socket *);	/* sends CONNECT */
/* From then on (clock_mono_ms(); 0: never) it is as if it had not come: its session is closed, and it is not remembered. */
enum hl_err socket_ends(struct socket *, int64_t at_ms) HL_MUST_CHECK;
/* Arguments, with an offset where there is one (NULL: none). */
enum hl_err socket_counted(struct socket *, struct span args, const char *offset) HL_MUST_CHECK;
/*
 * An error event, and a negative acknowledgement where one is wanted.  message and code are JSON strings; q NULL: it is about
 * none.
 */
void	 socket_error(struct socket *, struct question *, const char *message, const char *code);
void	 socket_own_error(struct socket *, struct question *, enum hl_err);	/* with the error's own sentence */
void	 socket_free(struct socket *);

/* asking.c */
bool	 socket_run(struct job *);	/* one question, or the leave-taking when there is none left: then it is freed */
/* members: of the request, without the common ones; copied.  NULL: no memory, or they were too long. */
struct question *question_new(enum question_kind, const struct buf *members);
void	 question_add(struct socket *, struct question *take_question);
bool	 socket_is_in(struct socket *, struct span room);	/* room: as JSON */
/* Makes it a member, not live yet. */
enum hl_err socket_join(struct socket *, const char *room, struct member **ret) HL_MUST_CHECK;

/* late.c */
bool	 late_put_off(struct socket *, struct span join);	/* false: it is to be joined now */
void	 late_joined(struct socket *, const char *room, int64_t tells_to);	/* it is in that room by now */
struct late *late_take(struct socket *);	/* one that need not wait any more; the caller frees it.  NULL: none */
void	 late_again(struct socket *, struct late *take_late);	/* it failed */
void	 late_wait(struct socket *);		/* has its job run when the next one is due */
void	 late_free(struct socket *);

/* returning.c */
void	 socket_remember(struct socket *);	/* before it is freed, if it may come back */
/* Whether auth names a socket that is remembered; then *ret_seen is how far its client came. */
struct lost *returning(struct hub *, struct span nsp, struct span auth, int64_t *ret_seen);
/*
 * Suspends.  Makes the new socket the one that was lost: rooms, state, what was missed, then CONNECT.  Otherwise it is as
 * new, and is to be connected as any.
 */
bool	 socket_return(struct socket *, const struct lost *, int64_t seen);

/* roster.c */
enum hl_err roster_init(struct roster *) HL_MUST_CHECK;
void	 roster_free(struct roster *);
void	 roster_add(struct roster *, struct socket *);
void	 roster_remove(struct roster *, struct socket *);
void	 roster_rename(struct roster *, struct socket *, const char *sid);
struct socket *roster_find(const struct roster *, struct span sid);

/* emitter.c: subscribes to what @socket.io/redis-emitter publishes. */
enum hl_err emitter_start(struct hub *, struct redis *) HL_MUST_CHECK;

#endif
