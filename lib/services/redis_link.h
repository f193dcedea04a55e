/*
 * redis_link.h - what redis.c and redis_sub.c share: connections that come back by themselves.  Not for others.
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
	bool		 up;
	bool		 closing;
	uv_timer_t	 retry;
	int64_t		 delay_ms;
	size_t		 pending;	/* commands without a reply */
	int64_t		 oldest_mono_ms;	/* since when nothing came back though something should */
};

struct channel;

struct redis {
	uv_loop_t	*loop;
	struct address	 address;
	struct link	 commands, subscriptions;
	uv_timer_t	 watchdog;
	char		 problem[160];
	struct channel	**table;
	size_t		 buckets, channels;
	int		 open_handles;	/* while closing */
};

/* Starts to connect; it goes on trying by itself. */
void	 link_connect(struct link *);

/* The connection for subscriptions is up again. */
void	 subs_resume(struct redis *);

/* Table of channels: made with the connections, given back when they are closed. */
enum hl_err subs_open(struct redis *) HL_MUST_CHECK;
void	 subs_free(struct redis *);

#endif
