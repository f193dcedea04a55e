/*
 * answer.h - from what a customer has written to what is said in return: knowledge, model or offline responder, and
 * whether a person should take over.
 */
#ifndef HL_ANSWER_H
#define HL_ANSWER_H

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "engine/escalation.h"
#include "engine/insight.h"
#include "engine/knowledge.h"
#include "engine/provider.h"
#include "engine/speech.h"
#include "records/conversation.h"

/* What is said, and not stored, when a person has the conversation. */
#define ANSWER_BY_PERSON "A person from our team has taken over this conversation and answers here."

#define ANSWER_MAX	(256u * 1024)	/* bytes */

struct thinker {
	const struct conf	*conf;
	struct store		*store;
	struct providers	*providers;
	struct knowledge	*knowledge;
	struct keywords		*keywords;
	struct companies	*companies;
};

/* What a turn came to. */
struct verdict {
	struct buf	 text;
	double		 confidence;
	const char	*provider;	/* the model's server; "helpline": our own words; "offline": no model at all.  Static */
	const char	*reason;	/* of an escalation: keyword, asked_for_person, low_confidence, sentiment,
					 * ai_unavailable; or NULL */
	const char	*keyword;	/* with the first of them */
	struct passages	 passages;
	enum sentiment	 sentiment;
	unsigned	 intents;
	unsigned	 requests;	/* sent upstream */
	bool		 over_budget;	/* with ai_unavailable: the day's money is spent */
	int64_t		 prompt_tokens, completion_tokens;
	/* Of a desk conversation: */
	char		 title[TITLE_MAX + 1];		/* the model's, "" if it gave none; by rules then, where one is needed */
	char		 agent[CRYPTO_NAME_LEN + 1];	/* keyed name of the one that was found by the customer's words; "": none */
	struct buf	 company;			/* its company's name */
	struct buf	 speaker;			/* of a simulator's: the event's member demoAgent, JSON; else empty */
	char		 voice[SPEECH_VOICE_MAX + 1];	/* the agent's; "": it has none of its own */
	char		 audio_url[SPEECH_URL_MAX];	/* of what is said; "": there is no sound */
	bool		 silent;			/* none, for a limit of a day's spend is reached */
	struct buf	 sound;				/* it, for the event; else empty */
	struct buf	 problem;	/* why the model could not answer, for the log */
};

void	 verdict_init(struct verdict *);
void	 verdict_free(struct verdict *);

/* Is this one of the messages that the turn answers? */
bool	 answer_covers(const struct lease *, const struct entry *);

/*
 * Suspends.  delta as in struct question: what it is given, joined, is how the answer's text begins.  Only HL_CANCELLED,
 * HL_NO_MEMORY, HL_TOO_LARGE and what delta returned are failures; a model that cannot be reached is an answer that says so and
 * hands over.
 */
enum hl_err answer_think(const struct thinker *, const struct lease *, enum hl_err (*delta)(void *, const char *, size_t),
	    void *arg, struct verdict *ret) HL_MUST_CHECK;

/* After HL_CANCELLED, by who wants no more: what was given to delta is the answer.  HL_TOO_LARGE. */
enum hl_err answer_so_far(struct verdict *, const struct buf *given) HL_MUST_CHECK;

/* Makes it the answer that there is none, and hands over. */
void	 answer_give_up(struct verdict *, enum hl_err why);

/*
 * Entry, events, escalation record and findings of a verdict; out->id and out->escalation_id are set already.  The findings
 * point into the verdict.
 */
enum hl_err answer_write(const struct lease *, struct verdict *, int64_t at_ms, struct outgoing *out) HL_MUST_CHECK;
void	 outgoing_free(struct outgoing *);

#endif
