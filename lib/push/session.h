/*
 * session.h - Engine.IO v4 sessions: heartbeat, polling, upgrade, close.  The rules without I/O.
 *
 * A session speaks through a held GET (struct poll) or a WebSocket (struct websocket); both belong to the I/O
 * side, which reports what arrives and does what struct session_io says.  Deadlines are tested when something
 * arrives for a session, not only when the timer fires.  What one turn of the loop sends leaves together, at
 * sessions_flush().
 */
#ifndef HL_SESSION_H
#define HL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "push/deadline.h"
#include "push/message.h"

#define SESSION_ADDRESS_MAX	46	/* an IPv6 address as text, with its NUL */
/*
 * A sid is the digit of the pushd that made it, by which nginx finds the way back to it, and an id.
 */
#define SESSION_SID_LEN		(1 + ID_LEN)
#define SESSION_UPGRADE_MS	10000	/* from opening a WebSocket for an upgrade to finishing it */
#define SESSION_SOON_MS		1000
#define SESSION_PART_MS		1000	/* from telling a client that it is to come again to its end */
#define SESSION_BREATH_MS	50	/* who has just posted is about to say more … */
#define SESSION_SPEAK_MS	400	/* … but is not waited for longer when all are to go */
#define SESSION_LINGER_MS	30000	/* how long a session that we closed waits for the GET that tells its client */

struct poll;		/* a held GET */
struct websocket;
struct sessions;

struct session_io {
	int64_t	(*now_ms)(void);
	/* Answers a held GET: HL_OK with the payload, else refused.  The session has forgotten it already. */
	void	(*answer)(struct poll *, enum hl_err, const char *payload, size_t len);
	/*
	 * Queues a message; the I/O side sends it soon.  An error: the reader is too slow, or there is no
	 * memory.
	 */
	enum hl_err (*send)(struct websocket *, struct message *);
	/* Whether it would go out at once; NULL: always. */
	bool	(*ready)(const struct websocket *);
	/* Closes after what is queued, with a close frame.  The session has forgotten it already. */
	void	(*end)(struct websocket *);
	/*
	 * Queues a close frame, and nothing behind it; what the client said before it saw that still arrives, then its going away.
	 * An error: as of send.
	 */
	enum hl_err (*part)(struct websocket *);
};

struct session;

/* What runs on top of sessions. */
struct session_app {
	enum hl_err (*open)(void *arg, struct session *);
	/* One message; bytes are borrowed.  An error is the client's mistake: the session is closed. */
	enum hl_err (*message)(struct session *, const char *, size_t, bool binary);
	/* Whether nothing that was said on it is still being asked; NULL: never anything. */
	bool	(*idle)(const struct session *);
	/* Exactly once for every session whose open() returned HL_OK; the session takes nothing any more. */
	void	(*closed)(struct session *);
};

struct session_rules {
	int64_t	 ping_interval_ms, ping_timeout_ms;
	int64_t	 join_timeout_ms;	/* until session_joined(); 0: for ever */
	size_t	 max_payload;		/* told to clients; the I/O side enforces it */
	size_t	 max_sessions;
	int	 instance;		/* 0 to 9: which of several daemons this one is */
};

struct sessions {
	const struct session_rules *rules;
	const struct session_io	*io;
	const struct session_app *app;
	void			*app_arg;
	struct deadlines	*deadlines;
	struct session		**table;
	size_t			 buckets, count;
	struct session		*dirty;		/* to be flushed */
	struct session		*dead;		/* to be freed */
	struct message		*ping, *probe_answer, *give_up;
	bool			 closing;	/* no new ones … */
	int64_t			 closing_ms;	/* … since then */
};

struct session {
	struct sessions		*all;
	struct session		*next;		/* in its bucket, or among the dead */
	struct session		*next_dirty;
	void			*user;		/* the application's */
	struct poll		*poll;		/* the held GET */
	struct websocket	*ws;		/* the transport, once there is one */
	struct websocket	*probe;		/* a WebSocket that wants to become it */
	struct queue		 queue;		/* while polling */
	struct deadline		 deadline;	/* the earliest of the next ones; 0: off */
	int64_t			 ping_due_ms, pong_due_ms, join_due_ms, upgrade_due_ms, part_due_ms, linger_due_ms;
	char			 sid[SESSION_SID_LEN + 1];	/* a secret: it opens the session */
	char			 address[SESSION_ADDRESS_MAX];
	char			*authorization;	/* the header of its handshake, or NULL */
	bool			 is_dirty, is_dead;
	bool			 overflow;	/* the reader is too slow: closed at the next flush */
	bool			 probed;	/* "2probe" has been seen: GETs are not held any more */
	int64_t			 posted_ms;	/* when its client last did; 0: never */
	bool			 parted;	/* its client has been told to come again: nothing is sent any more */
};

enum hl_err sessions_init(struct sessions *, const struct session_rules *, const struct session_io *,
    const struct session_app *, void *app_arg, struct deadlines *) HL_MUST_CHECK;
void	 sessions_free(struct sessions *);
/*
 * Tells clients to come again, and takes no new ones: those that poll and say nothing just now, and up to so many with a WebSocket
 * that are idle; false when none is left.  What a client says before it has heard of that is still taken.
 */
bool	 sessions_part_some(struct sessions *, size_t websockets);
void	 sessions_part_all(struct sessions *);
void	 sessions_flush(struct sessions *);
bool	 sessions_idle(const struct sessions *);	/* sessions_flush() has nothing to do */

/*
 * A handshake; ws is NULL when it came by polling: then hand the GET to session_poll().  HL_BUSY: too many,
 * or closing; HL_NO_MEMORY.
 */
enum hl_err session_open(struct sessions *, struct websocket *, const char *address,
    struct session **ret) HL_MUST_CHECK;
/* Keeps the header Authorization of its handshake; NULL for none. */
void	 session_authorize(struct session *, const char *header);
struct session *session_find(struct sessions *, const char *sid, size_t len);	/* NULL: unknown, or over */
bool	 session_is_polling(const struct session *);

/* A GET; it is answered at once or held. */
void	 session_poll(struct session *, struct poll *);
/* A POST's body.  HL_NOT_FOUND: the session is over already; another error: it is now, answer 400. */
enum hl_err session_post(struct session *, const char *, size_t) HL_MUST_CHECK;
/* A WebSocket with this session's sid.  An error: end it, the session does not want it. */
enum hl_err session_probe(struct session *, struct websocket *) HL_MUST_CHECK;
/* A whole message of the session's WebSocket or probe. */
void	 session_frame(struct session *, struct websocket *, const char *, size_t, bool binary);
/* They went away by themselves. */
void	 session_poll_lost(struct session *, struct poll *);
void	 session_ws_lost(struct session *, struct websocket *);

/* For the application. */
void	 session_send(struct session *, struct message *);	/* takes a reference of its own */
bool	 session_ready(const struct session *);		/* what is sent now need not wait */
void	 session_joined(struct session *);
/* Unless its client does so first: one that got its last packet together with the end would see the end alone. */
void	 session_close_soon(struct session *);
void	 session_close(struct session *);		/* what is queued still goes out */

#endif
