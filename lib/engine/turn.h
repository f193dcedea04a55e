/*
 * turn.h - the life of a message: accepted once, answered once, or handed over (design: data.md).
 *
 * A conversation has at most one runner at a time, in one process: whoever accepted the message that found nobody
 * running.  It holds the lease, renews it, asks, tells those who listen, and commits under its fencing number.  When it
 * dies, another process takes the conversation over: one that sees the death (holder.h) with its next look, which is each
 * second and at its start; any other once the lease has run out.
 */
#ifndef HL_TURN_H
#define HL_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "records/conversation.h"
#include "services/crypto.h"
#include "services/redis.h"

struct ear;
struct engine;
struct speaker;
struct thinker;
struct turn;		/* one accepted message, as its caller sees it */

/* redis and crypto are borrowed.  On failure *problem has the sentence. */
enum hl_err engine_open(uv_loop_t *, const struct conf *, struct redis *, const struct crypto *, struct engine **ret,
	    struct buf *problem) HL_MUST_CHECK;

/* Takes no more conversations over and calls done(arg) when those that run are finished. */
void	 engine_drain(struct engine *, void (*done)(void *), void *arg);
/* What it answers with, for whoever asks outside a conversation. */
const struct thinker *engine_thinker(const struct engine *);
struct speaker *engine_speaker(const struct engine *);	/* speech.h */
struct ear *engine_ear(const struct engine *);		/* hearing.h */

/* Its client of other servers: connections are kept and shared. */
struct http *engine_http(const struct engine *);

void	 engine_free(struct engine *);		/* one that is drained, or NULL */

/*
 * Stores the message (or finds that it is stored).  From HL_OK on it is answered whatever happens to the caller, as long
 * as he ends with turn_wait() or turn_leave().  Errors as conversation_accept(), and HL_BUSY, before anything is stored,
 * when too many wait, or too many of this visitor (share.h).
 * Suspends.
 */
enum hl_err turn_accept(struct engine *, const struct incoming *, struct turn **ret, int64_t *retry_ms) HL_MUST_CHECK;

int64_t	 turn_seq(const struct turn *);
const char *turn_message_id(const struct turn *);
int64_t	 turn_time(const struct turn *);	/* when it was accepted, ms */
bool	 turn_repeated(const struct turn *);	/* had been accepted before */
bool	 turn_was_answered(const struct turn *);	/* … and answered */
bool	 turn_is_assistants(const struct turn *);	/* no person had the conversation then */

/*
 * Suspends until the message is answered; may do the work itself.  deltas: told what the model writes, from the start of
 * the text, also if it has begun already; NULL if nobody wants to know.  It must not suspend, for others wait for the same;
 * an error that it returns only ends its being told.  When a person has the conversation, or takes it meanwhile, ret is what
 * says so: not stored, its seq is 0.
 * HL_TIMEOUT: not answered in time (it will be); HL_STORE.  ret is the stored answer, entry_clear() it.
 * Not cancellable.
 */
struct turn_deltas {
	enum hl_err	(*delta)(void *arg, int64_t attempt, unsigned index, const char *text, size_t len);
	void		*arg;
};
enum hl_err turn_wait(struct turn *take, const struct turn_deltas *deltas, struct entry *ret) HL_MUST_CHECK;

/*
 * Who waits with these deltas wants no more of the answer: he speaks, or has hung up.  If nobody else waits for it here the
 * model is not asked on, and what it has written so far is the answer, or "…" where that is nothing; it is committed as every
 * answer is.  Nothing happens when it is written already, or another process writes it.  May be called on the loop's stack.
 */
void	 turn_enough(struct engine *, const struct place *, const struct turn_deltas *);

/* Does not wait: the work goes on in a task of its own. */
void	 turn_leave(struct turn *take);

#endif
