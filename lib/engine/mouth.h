/*
 * mouth.h - an answer spoken into a live call: piece by piece as samples, a little ahead of the time at which they are
 * played, so that what must be thrown away when somebody interrupts is little.
 */
#ifndef HL_MOUTH_H
#define HL_MOUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "engine/budget.h"

struct speaker;
struct mouth;

#define MOUTH_AHEAD_MS	1500
#define MOUTH_PIECES	256		/* of an answer */

/*
 * Samples: 16 bit, mono, of that rate; at_ms: where in the answer they begin; last, and none: that was all of it; failed, with the
 * last one: something was left out, for the speech server failed or kept silent for too long.
 */
struct mouth_chunk {
	const char	*id;		/* of what is being said */
	unsigned	 index, rate;
	int64_t		 at_ms;
	const void	*samples;
	size_t		 bytes;
	bool		 last, failed;
};

/* chunk must not suspend; gone(arg) is called once, after mouth_free(), when nothing of it runs any more. */
struct mouth_calls {
	void	(*chunk)(void *arg, const struct mouth_chunk *);
	void	(*unpaid)(void *arg);	/* a piece is not said: a limit of a day's spend is reached; nor may this suspend */
	void	(*gone)(void *arg);
	void	*arg;
};

/* patience_ms: for the next samples of a piece; then no more of the answer is said. */
enum hl_err mouth_new(uv_loop_t *, struct speaker *, const struct bill *, int64_t patience_ms, const struct mouth_calls *,
	    struct mouth **ret) HL_MUST_CHECK;
void	 mouth_free(struct mouth *);

/* A new answer, in that voice ("": OPENAI_TTS_VOICE).  What was being said before is thrown away. */
void	 mouth_begin(struct mouth *, const char *voice);
void	 mouth_say(struct mouth *, const char *text, size_t len);	/* the next piece of it */
void	 mouth_end(struct mouth *);		/* that was the last one */
void	 mouth_stop(struct mouth *);		/* at once; what has been said stays known */

const char *mouth_id(const struct mouth *);	/* of the answer; "" before the first one */
bool	 mouth_talks(const struct mouth *);	/* it is being said: by what was sent, it should still be heard */
bool	 mouth_able(const struct mouth *);	/* something of this answer was made, or may still be */
int64_t	 mouth_heard_ms(const struct mouth *);	/* how much of it time allows to have been heard */
/* The words of the first ms, cut between words, with "…" where more would follow. */
void	 mouth_words(const struct mouth *, int64_t ms, struct buf *out);

/* No I/O.  Where each piece lies in the answer; one that was not begun: INT64_MAX. */
struct mouth_piece { const char *text; size_t len; int64_t from_ms, to_ms; };
void	 mouth_cut(const struct mouth_piece *, size_t count, int64_t ms, struct buf *out);

#endif
