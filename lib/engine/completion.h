/*
 * completion.h - what a chat completion says, read as it comes or whole.  No I/O.
 *
 * Servers differ: unknown members are ignored, choices may be empty, content, delta, usage, index and id
 * may be missing, an error may be an object, an array or a string.  Only finish_reason says that an answer
 * is whole.
 */
#ifndef HL_COMPLETION_H
#define HL_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "engine/peel.h"
#include "engine/provider.h"

#define ANSWER_TEXT_MAX	(256u * 1024)
#define ERROR_BODY_MAX	(32u * 1024)

/* Words that programs compare; never a server's sentence. */
struct upstream_error {
	char	 code[48];	/* error.code or, without one, error.type or .status; "" if there is none */
	char	 param[48];	/* up to its first . or [ */
	int	 status;	/* a code that is an HTTP status (OpenRouter, vLLM, Gemini), else 0 */
};

void	 upstream_error_read(struct upstream_error *, const char *body, size_t len);

struct completion {
	struct peel	 peel;
	struct buf	 content;	/* as the model wrote it */
	struct buf	*text;		/* what the customer sees of it; the caller's */
	char		 finish[24];
	bool		 structured, over, refusal, tool_calls;
	bool		 ollama;	/* the server says that it is one */
	int64_t		 prompt_tokens, completion_tokens;
	struct buf	 error;		/* the event that told of an error */
	struct buf	 form;		/* the last event that was a piece of text and nothing else; empty: none was */
	size_t		 said_at, said_end;	/* its text, in it */
};

/* structured: the members of the schema were asked for. */
void	 completion_init(struct completion *, bool structured, struct buf *text);
void	 completion_free(struct completion *);

/*
 * One event of the stream, or the whole body.  over is true after [DONE].  HL_UPSTREAM: it tells of an
 * error, kept in .error; HL_BAD_JSON: it is none; HL_TOO_LARGE.
 */
enum hl_err completion_event(struct completion *, const char *data, size_t len) HL_MUST_CHECK;

/*
 * Nothing more comes: fills what the model said into *a (all but text and requests).  On HL_UPSTREAM *why
 * says what is wrong with it and *again whether asking the same server again can help.
 */
enum hl_err completion_end(struct completion *, struct model_answer *a, const char **why,
    bool *again) HL_MUST_CHECK;

#endif
