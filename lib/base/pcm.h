/*
 * pcm.h - samples of sound, 16 bit, mono: from one rate to another, piece by piece.  No I/O.
 */
#ifndef HL_PCM_H
#define HL_PCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

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

/* The header of a .wav file of 16-bit samples, whose length may be open. */
struct wav_head { unsigned rate, channels; size_t at; };	/* at: where the samples begin */
/* False: it is not whole yet.  HL_UPSTREAM: this is none, or of other samples. */
enum hl_err wav_head_read(const void *, size_t, struct wav_head *ret, bool *ret_whole) HL_MUST_CHECK;

#endif
