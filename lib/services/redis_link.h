/*
 * redis_link.h - what redis.c, redis_link.c and redis_sub.c share: connections that come back by themselves.  Not for
 * others.
 *
 * With sentinels every connection begins with a question to them, in turn: where is the master?  What they name must say
 * itself (ROLE) that it is one; a replica that has not heard of its promotion yet, or an old master that has just come
 * back, is left and the next sentinel asked.
 */
#ifndef HL_REDIS_LINK_H
#define HL_REDIS_LINK_H

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include "services/redis.h"

struct address {
	char	*host;		/* NULL: socket */
	int	 port;
	char	*socket;
	char	*user, *password;
	int	 db;
};

enum link_kind { LINK_COMMANDS, LINK_SUBSCRIPTIONS };

/* One connection that comes back by itself. */
struct link {
	struct redis	*redis;
	enum link_kind	 kind;
	redisAsyncContext *ac;		/* NULL while there is none */
	redisAsyncContext *asking;	/* a sentinel */
	size_t		 sentinel;	/* whom to ask, counted on for ever */
	unsigned	 asked;		/* sentinels in this round */
	bool		 up;
	bool		 closing;
	unsigned	 life;		/* how often it was up */
	uv_timer_t	 retry;
	uv_timer_t	 limit;		/* of a sentinel's answer, and of becoming up after it */
	int64_t		 delay_ms;
	size_t		 pending;	/* commands without a reply */
	int64_t		 oldest_mono_ms;	/* since when nothing came back though something should */
};

struct channel;
struct call;

struct redis {
	uv_loop_t	*loop;
	struct address	 address;	/* with sentinels, only how to sign in */
	struct address	*sentinels;
	size_t		 sentinel_count;
	char		*master;	/* its name */
	char		 replicas[12];	/* that must confirm what is acknowledged; "0": none */
	struct link	 commands, subscriptions;
	struct buf	 command;	/* the one that is being sent */
	uv_timer_t	 watchdog;
	uv_prepare_t	 confirm;	/* sends WAIT behind the scripts of one turn of the loop */
	struct call	*unconfirmed;	/* those scripts */
	int64_t		 time_asked_mono_ms, time_ahead_ms;	/* the server's time less our monotonic one */
	unsigned	 time_life;	/* of the connection by which it was asked; 0: never */
	enum redis_state state;
	char		 problem[160];
	struct channel	**table;
	size_t		 buckets, channels;
	int		 open_handles;	/* while closing */
};

/* HL_BAD_REQUEST: an address that is none. */
enum hl_err links_open(struct redis *, const struct conf *) HL_MUST_CHECK;
void	 links_free(struct redis *);

/* Starts to connect; it goes on trying by itself. */
/*
 * Is something said before we are let in?  Until that is answered nothing else is sent: it could be carried out as somebody
 * else's, or in another database.
 */
bool	 link_must_greet(const struct redis *);
void	 link_connect(struct link *);

/* Gives a connection up: every waiting call fails, and it is made anew. */
void	 link_failed(struct link *, const char *why);

/* Takes both down for good; closed is called for each handle. */
#define LINK_HANDLES	2
void	 link_close(struct link *, uv_close_cb closed);

/* Once a second: is the server still there, and still the master? */
void	 links_watch(struct redis *);

void	 note_problem(struct redis *, enum redis_state, const char *why);

/* The connection for subscriptions is up again. */
void	 subs_resume(struct redis *);

/* Table of channels: made with the connections, given back when they are closed. */
enum hl_err subs_open(struct redis *) HL_MUST_CHECK;
void	 subs_free(struct redis *);

#endif
