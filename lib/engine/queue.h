/*
 * queue.h - who may ask the model next, when only so many may at once.  No I/O.
 *
 * Round robin: companies take turns, among a company's turns its visitors take turns, and a visitor's own come in their
 * order.  So however many one of them has waiting, another waits for one of his at most.
 */
#ifndef HL_QUEUE_H
#define HL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define QUEUE_BUCKETS	1024u

/* A company, a visitor, or (without children) a turn; those below one parent are a ring. */
struct queue_node {
	struct queue_node *parent, *next, *before, *first, *in_bucket;
	uint64_t	 key;
};

/* Lies with who waits, and must stay there until the turn has begun or is withdrawn. */
struct queue_turn {
	struct queue_node node;
	bool		 begun;		/* may ask */
	void		*arg;		/* the caller's */
};

struct queue {
	size_t		 most;		/* 0: no bound */
	size_t		 under_way, waiting;
	uint64_t	 seed;		/* that nobody knows: no visitor can be made to share another one's place */
	struct queue_node root;
	struct queue_node *table[QUEUE_BUCKETS];
};

void	 queue_init(struct queue *, size_t most);

/* turn->begun says whether it may go at once.  Otherwise it waits until queue_end() returns it, or it is withdrawn. */
enum hl_err queue_enter(struct queue *, struct queue_turn *, const char *company, const char *visitor) HL_MUST_CHECK;
void	 queue_withdraw(struct queue *, struct queue_turn *);	/* one that has not begun */

/* One that had begun is over.  Returns the one that begins in its place, for its caller to be woken, or NULL. */
struct queue_turn *queue_end(struct queue *);

#endif
