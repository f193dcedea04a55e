/*
 * vad.h - when does somebody speak?  By energy, against the noise that there is.  No I/O.
 *
 * The noise is what the quietest moments of the last two seconds had, so a fan that starts is speech for two seconds at
 * most.  Speech begins when most of 60 ms were louder than it by a margin, and is over after VAD_HANG_MS without that.  A
 * click is shorter, and begins nothing.
 */
#ifndef HL_VAD_H
#define HL_VAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VAD_RATE	16000u		/* samples a second that it is fed with */
#define VAD_FRAME	160u		/* samples of ten milliseconds */
#define VAD_HANG_MS	550		/* silence that ends what was said */
#define VAD_BLOCKS	8		/* of a quarter of a second each: where the quietest moment is looked for */

enum vad_event { VAD_NOTHING, VAD_BEGINS, VAD_ENDS };

struct vad {
	int16_t		 frame[VAD_FRAME];	/* that is being filled */
	unsigned	 filled;
	unsigned	 recent;		/* the last frames, a bit each: louder than the noise */
	bool		 speaking;
	unsigned	 quiet_ms;		/* since the last loud frame, while speaking */
	int64_t		 heard_ms, voiced_ms;	/* in all; loud in what is being said */
	double		 before;		/* the sample before, for the slope */
	double		 level, smooth;		/* of the last frame, dB below full scale; its mean with the ones before */
	double		 block[VAD_BLOCKS];	/* the quietest frame of each */
	unsigned	 block_at, block_ms;
	double		 margin;		/* dB */
};

void	 vad_init(struct vad *);

/* While we speak ourselves: our own sound comes back, damped by the other side's echo canceller. */
void	 vad_guard(struct vad *, bool on);

/*
 * Takes samples up to the first event; *ret_used says how many.  Samples are in machine order and need not be aligned.
 */
enum vad_event vad_feed(struct vad *, const void *samples, size_t n, size_t *ret_used);

bool	 vad_speaking(const struct vad *);
double	 vad_noise(const struct vad *);		/* dB */

#endif
