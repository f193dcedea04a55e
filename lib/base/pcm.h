/*
 * pcm.h - samples of sound, 16 bit, mono: from one rate to another, piece by piece.  No I/O.
 */
#ifndef HL_PCM_H
#define HL_PCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PCM_RATE_MIN	8000u
#define PCM_RATE_MAX	48000u

/* By straight lines between samples, after a mean over as many as become one: good enough for speech. */
struct resampler {
	unsigned	 from, to;	/* samples a second */
	unsigned	 phase;		/* of the next one to give, in parts of `to` behind `last` */
	int16_t		 last;
	int32_t		 sum;		/* of the mean */
};

void	 resampler_init(struct resampler *, unsigned from, unsigned to);
/* Appends to out; samples need not be aligned. */
void	 resampler_feed(struct resampler *, const void *samples, size_t n, struct buf *out);

#endif
