#include <math.h>
#include <string.h>

#include "engine/vad.h"

#define FRAME_MS	10
#define BLOCK_MS	250
#define MARGIN_DB	9.0
#define GUARD_DB	6.0
#define FAINTEST_DB	(-58.0)		/* nothing below it is speech, however quiet the room */
#define NOISE_MAX_DB	(-34.0)		/* nobody's noise is louder: speech that began with the first sample is not taken for it */
#define WINDOW		0x3fu		/* six frames … */
#define BEGINS_OF	5		/* … and how many of them must be loud */
#define SILENCE_DB	(-90.0)
#define PRE_EMPHASIS	0.9		/* hum and wind are low, voices are not only */

void
vad_init(struct vad *v)
{
	memset(v, 0, sizeof(*v));
	v->level = v->smooth = SILENCE_DB;
	v->margin = MARGIN_DB;
	for (size_t i = 0; i < VAD_BLOCKS; i++)
		v->block[i] = NOISE_MAX_DB;
}

void
vad_guard(struct vad *v, bool on)
{
	v->margin = on ? MARGIN_DB + GUARD_DB : MARGIN_DB;
}

bool
vad_speaking(const struct vad *v)
{
	return v->speaking;
}

double
vad_noise(const struct vad *v)
{
	double least = NOISE_MAX_DB;

	for (size_t i = 0; i < VAD_BLOCKS; i++)
		least = fmin(least, v->block[i]);
	return fmax(least, SILENCE_DB);
}

static double
frame_level(struct vad *v)
{
	double sum = 0;

	for (size_t i = 0; i < VAD_FRAME; i++) {
		double s = v->frame[i] / 32768.0, slope = s - PRE_EMPHASIS * v->before;

		v->before = s;
		sum += slope * slope;
	}
	return fmax(10 * log10(sum / VAD_FRAME + 1e-12), SILENCE_DB);
}

static void
learn_noise(struct vad *v)
{
	v->smooth += (v->level - v->smooth) * (v->level < v->smooth ? 0.5 : 0.3);
	v->block_ms += FRAME_MS;
	if (v->block_ms > BLOCK_MS) {
		v->block_ms = FRAME_MS;
		v->block_at = (v->block_at + 1) % VAD_BLOCKS;
		v->block[v->block_at] = NOISE_MAX_DB;
	}
	v->block[v->block_at] = fmin(v->block[v->block_at], fmax(v->smooth, v->level));
}

static enum vad_event
judge(struct vad *v)
{
	bool loud = v->level > fmax(vad_noise(v) + v->margin, FAINTEST_DB);

	v->recent = (v->recent << 1 | loud) & WINDOW;
	if (!v->speaking) {
		if (!loud || __builtin_popcount(v->recent) < BEGINS_OF)
			return VAD_NOTHING;
		v->speaking = true;
		v->quiet_ms = 0;
		v->voiced_ms = BEGINS_OF * FRAME_MS;
		return VAD_BEGINS;
	}
	v->quiet_ms = loud ? 0 : v->quiet_ms + FRAME_MS;
	v->voiced_ms += loud ? FRAME_MS : 0;
	if (v->quiet_ms < VAD_HANG_MS)
		return VAD_NOTHING;
	v->speaking = false;
	v->recent = 0;
	return VAD_ENDS;
}

enum vad_event
vad_feed(struct vad *v, const void *samples, size_t n, size_t *ret_used)
{
	enum vad_event event = VAD_NOTHING;
	size_t used = 0;

	while (used < n && event == VAD_NOTHING) {
		size_t take = VAD_FRAME - v->filled;

		if (take > n - used)
			take = n - used;
		memcpy(v->frame + v->filled, (const char *)samples + 2 * used, 2 * take);
		v->filled += (unsigned)take;
		used += take;
		if (v->filled < VAD_FRAME)
			break;
		v->filled = 0;
		v->heard_ms += FRAME_MS;
		v->level = frame_level(v);
		learn_noise(v);
		event = judge(v);
	}
	*ret_used = used;
	return event;
}
