/*
 * completion.h - what a chat completion request asks for (OpenAI's API, POST /v1/chat/completions).
 */
#ifndef HL_DESK_COMPLETION_H
#define HL_DESK_COMPLETION_H

#include "api/call.h"
#include "engine/relay.h"

#define COMPLETION_TEXT_MAX	(512u * 1024)

/* Texts are borrowed from the body and from text. */
struct completion_request {
	const char	*model;
	struct talk	 talk;
	struct talk_message *messages;	/* talk's */
	bool		 stream, usage;	/* usage: at the end of the stream */
	struct buf	 text;		/* contents that came in parts, one behind the other */
	struct buf	 instructions;	/* what the program says */
};

/*
 * Reads the body.  What the agent's own settings decide (temperature, top_p, the penalties, max_tokens, seed, …) is checked and
 * left aside, as are tools, tool calls and their results: an agent calls none.  What would give another kind of answer than the
 * caller expects is HL_BAD_REQUEST, with the parameter's name.
 */
enum hl_err completion_request_read(struct call *, struct completion_request *ret) HL_MUST_CHECK;
void	 completion_request_free(struct completion_request *);

#endif
