/*
 * hearing.h - speech written down: POST {SPEECH_BASE_URL or OPENAI_BASE_URL}/audio/transcriptions.
 *
 * Asked once more if the server failed for a passing reason and there is time; a server that keeps failing is left alone
 * for a while (breaker.h), so that nobody waits for it in vain.
 */
#ifndef HL_HEARING_H
#define HL_HEARING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/sound.h"
#include "engine/budget.h"
#include "services/http.h"

#define HEARING_WORDS_MAX	65536u		/* bytes of what was said */
#define HEARING_TIMEOUT_MS	30000		/* for one recording, both attempts together */

struct ear;		/* of a program */

/* Both must outlive it. */
enum hl_err ear_new(struct store *, struct http *, struct ear **ret) HL_MUST_CHECK;
void	 ear_free(struct ear *);		/* nobody hears with it, or NULL */

/* A whole recording; borrowed while it is heard. */
struct recording {
	enum container	 container;
	const void	*bytes;
	size_t		 len;
	int64_t		 duration_ms;	/* 0: the file does not say */
	struct bill	 bill;
	const char	*prompt;	/* words that may occur, for the server; or NULL */
	int64_t		 timeout_ms;	/* 0: HEARING_TIMEOUT_MS */
};

/*
 * Suspends.  words gets what was said, trimmed, valid UTF-8; nothing was said: empty.  HL_UPSTREAM: the server failed, or
 * what it says is no transcript; HL_UNPROCESSABLE: it takes this for no sound that it can read; HL_TIMEOUT; HL_BUSY: not
 * configured, or it is left alone at the moment; HL_TOO_MANY: a limit of a day's spend is reached (budget.h); HL_CANCELLED.  problem, for the log, says why.
 */
enum hl_err ear_hear(struct ear *, const struct recording *, struct buf *words, struct buf *problem) HL_MUST_CHECK;

/* The same of samples in memory: 16 bit, little-endian, one channel. */
enum hl_err ear_hear_samples(struct ear *, const struct bill *, const void *samples, size_t bytes, unsigned rate, int64_t timeout_ms,
	    struct buf *words, struct buf *problem) HL_MUST_CHECK;

#endif
