/*
 * load.h - many customers at once, each of whom asks the next question when the last one is answered; or listens.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "wire.h"

#define SESSION_MAX	64

struct load;

struct user {
	struct wire	 wire;		/* first: a wire is its user */
	struct load	*load;
	struct answer	 answer;	/* REST */
	struct buf	 frames;	/* socket */
	char		 session[SESSION_MAX];
	unsigned	 number, questions;
	uint64_t	 asked_ns;
	void		(*join)(struct user *);	/* socket */
	bool		 ready, waiting, lost;
};

/* How a customer talks: over REST, over a socket, or not at all: all sockets of one session, that hear what is said to it. */
struct way {
	const char	*name;
	void		(*prepare)(struct user *);	/* connected; ends with user_ready() */
	void		(*ask)(struct user *);		/* ends with user_answered() or user_failed(); NULL: listens */
	void		(*bytes)(struct user *, const char *, size_t);
};
extern const struct way way_rest, way_socket, way_room;

bool	 load_streams(const struct load *);
int	 load_port(const struct load *);
#define QUESTION_MAX	128u
void	 user_question(const struct user *, char ret[QUESTION_MAX]);
const struct user *load_first(const struct load *);	/* whose session the sockets of a room join */

/* user_ready() has read the session's id out of text, where it is the string member "sessionId". */
void	 user_ready(struct user *, const char *text, size_t len);
/* What of an answer has come while it is written: its tokens' delays are noted. */
void	 user_delta(struct user *, const char *text, size_t len);
/* A listener has got one of the events that are expected. */
void	 user_heard(struct user *);
/* The whole answer. */
void	 user_answered(struct user *, const char *text, size_t len);
void	 user_failed(struct user *, const char *why, size_t len);

#endif
