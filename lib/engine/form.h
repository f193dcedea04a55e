/*
 * form.h - the body of a chat completion request, and what a server would not have in it.  No I/O.
 */
#ifndef HL_FORM_H
#define HL_FORM_H

#include <stdint.h>

#include "base/buf.h"
#include "engine/completion.h"
#include "engine/provider.h"

/* What is left out, a bit set. */
enum form_without {
	WITHOUT_FORMAT		= 1,	/* response_format, and the sentence that explains it */
	WITHOUT_USAGE		= 2,	/* stream_options */
	WITHOUT_NEW_LIMIT	= 4,	/* max_completion_tokens, of which Ollama takes no notice: max_tokens stands in */
	WITHOUT_LIMIT		= 8,	/* neither of them */
	WITHOUT_STREAM		= 16,	/* the answer comes whole */
	WITHOUT_CLOSED_SCHEMA	= 32,	/* additionalProperties in the schema, which Gemini may refuse */
	WITHOUT_TEMPERATURE	= 64
};

struct form {
	const char	*model;
	int64_t		 max_tokens;	/* unless the question says */
	unsigned	 without;
};

void	 form_write(struct buf *, const struct form *, const struct question *);

/*
 * What to leave out next after an answer 400 or 422 with this body: the parameters it names that were sent.
 * 0: it was not about one of them.
 */
unsigned form_refused(unsigned without, const struct upstream_error *, const char *body, size_t len);

#endif
