/*
 * provider.h - one question to an OpenAI-compatible server (or its stand-in, the offline responder is not
 * one).
 *
 * One upstream request per turn, streamed.  The answer's confidence, intents and sentiment, and a title if one is wanted,
 * come in that same request by structured output; a server that refuses it, or any other parameter, is asked once more
 * without and remembered. Retries with jitter, obeying Retry-After, as long as the turn's time allows and
 * no text has come; then the second server, at once if the first is left alone (breaker.h).  Each request waits for its
 * turn if there is a bound on those under way (queue.h), within the question's time.
 */
#ifndef HL_PROVIDER_H
#define HL_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "engine/title.h"
#include "services/http.h"

struct providers;	/* the configured servers, what is known of each */

/* Both must outlive it. */
enum hl_err providers_new(const struct conf *, struct http *, struct providers **ret) HL_MUST_CHECK;
void	 providers_free(struct providers *);
bool	 providers_configured(const struct providers *);	/* false: only the offline responder is there */

enum role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT };
struct prompt_message { enum role role; const char *text; size_t len; };

struct question {
	const struct prompt_message	*messages;	/* the system prompt first; one in several parts becomes one message */
	size_t				 count;
	int64_t				 deadline_mono_ms;	/* clock_mono_ms() at which the turn must be over */
	int64_t				 max_tokens;		/* 0: MAX_ANSWER_TOKENS */
	double				 temperature;
	bool				 has_temperature;	/* else the model's own */
	bool				 want_title;		/* of the conversation, with the answer */

	/*
	 * Called on the task's stack for each piece of the visible answer as it comes (JSON already taken off); may
	 * suspend.  An error it returns ends the exchange and is passed on.  May be NULL.
	 */
	enum hl_err	(*delta)(void *arg, const char *text, size_t len);
	void		*arg;
	const char	*company, *visitor;	/* who asks, for UPSTREAM_CONCURRENCY (queue.h); NULL is a name, too */
};

struct model_answer {
	struct buf	 text;
	const char	*provider;	/* "openai", "gemini", "fallback": lives as long as the providers */
	bool		 structured;	/* the members below were said by the model */
	double		 confidence;
	bool		 has_confidence;
	bool		 wants_person;
	char		 sentiment[64];	/* as printed, cut; "" if it did not say */
	char		 intents[4][16];
	size_t		 intent_count;
	char		 title[TITLE_MAX + 1];	/* cleaned; "" if it did not say */
	char		 finish[24];	/* finish_reason */
	int64_t		 prompt_tokens, completion_tokens;	/* 0 if not told */
	unsigned	 requests;	/* sent in all, retries counted */
};

void	 model_answer_init(struct model_answer *);
void	 model_answer_free(struct model_answer *);

/*
 * Suspends until the answer is complete.  HL_UPSTREAM: no server could give one; HL_TIMEOUT: the deadline
 * passed; HL_CANCELLED; or what delta returned.  problem (for the log: no customer's words, no key) says
 * why.
 */
enum hl_err provider_ask(struct providers *, const struct question *, struct model_answer *ret,
    struct buf *problem) HL_MUST_CHECK;

#endif
