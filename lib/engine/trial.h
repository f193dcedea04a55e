/*
 * trial.h - an agent is asked without a conversation that is stored: by its owner, to try it, or by a program that keeps the
 * conversation itself.
 */
#ifndef HL_TRIAL_H
#define HL_TRIAL_H

#include "engine/answer.h"
#include "records/agent.h"
#include "records/relayed.h"

struct trial {
	struct buf	 text;
	const char	*model;		/* its name in the settings; "offline": no model is configured; "helpline": none was needed */
	int64_t		 latency_ms, prompt_tokens, completion_tokens;
};
void	 trial_free(struct trial *);

/*
 * As a customer would ask it in a new conversation.  Suspends until the answer is there.  What it costs counts for DAILY_SPEND_LIMIT.  HL_UPSTREAM: the model could not answer,
 * or may not today; problem says why, for the log.
 */
enum hl_err trial_ask(const struct thinker *, const struct agent *, const char *message, size_t len, struct trial *ret,
	    struct buf *problem) HL_MUST_CHECK;

/* What a program knows of its conversation. */
struct talk {
	const struct talk_message	*messages;	/* oldest first; none is empty */
	size_t				 count;
	const char			*instructions;	/* what it tells the agent besides, below the agent's own; "" is nothing */
	size_t				 instructions_len;
	const char			*visitor;	/* who speaks, as it calls him, for UPSTREAM_CONCURRENCY; NULL: it does not say */
	const char			*customer;	/* the same, if that says who he is; NULL: it does not */
	const char			*conversation;	/* which one it is: its id here, or a name of its own; NULL: it does not say */
	const struct entries		*here;		/* what is stored of it, of which the program does not know what people wrote; NULL: nothing */
	const struct buf		*note;		/* of the person who gave it back; NULL: none */
};
size_t	 talk_answered(const struct talk *);	/* how many of the messages have been answered: those after them have not */

/*
 * Suspends.  The messages after the agent's last one are answered; there may be none, when it is to speak first.  delta as in
 * answer_think().  told: people hear of an escalation, and this is the id of the one that is open ("": none is), so that the answer may say so;
 * NULL: that is up to the program, which learns of it by the verdict's reason, "ai_unavailable" too.  What it costs counts for
 * DAILY_SPEND_LIMIT, and for PUBLIC_SPEND_LIMIT of the agent's owner.
 */
enum hl_err trial_talk(const struct thinker *, const struct agent *, const struct talk *, const char *told,
	    enum hl_err (*delta)(void *, const char *, size_t), void *arg, struct verdict *ret) HL_MUST_CHECK;

#endif
