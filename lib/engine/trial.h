/*
 * trial.h - an agent is asked once, as a customer would ask it in a new conversation, and nothing of it is stored.
 */
#ifndef HL_TRIAL_H
#define HL_TRIAL_H

#include "engine/answer.h"
#include "records/agent.h"

struct trial {
	struct buf	 text;
	const char	*model;		/* its name in the settings; "offline": no model is configured; "helpline": none was needed */
	int64_t		 latency_ms, prompt_tokens, completion_tokens;
};
void	 trial_free(struct trial *);

/*
 * Suspends until the answer is there.  What it costs counts for DAILY_SPEND_LIMIT.  HL_UPSTREAM: the model could not answer,
 * or may not today; problem says why, for the log.
 */
enum hl_err trial_ask(const struct thinker *, const struct agent *, const char *message, size_t len, struct trial *ret,
	    struct buf *problem) HL_MUST_CHECK;

#endif
