#include <string.h>

#include "base/pcm.h"

void
resampler_init(struct resampler *r, unsigned from, unsigned to)
{
	*r = (struct resampler){ .from = from, .to = to };
}

static int16_t
sample_at(const void *samples, size_t i)
{
	int16_t s;

	memcpy(&s, (const char *)samples + 2 * i, 2);
	return s;
}

/* How many of the source are one sample for the mean: what would fold back is damped. */
static unsigned
width(const struct resampler *r)
{
	return r->from > r->to ? (r->from + r->to - 1) / r->to : 1;
}

static int16_t
smooth(struct resampler *r, int16_t s)
{
	unsigned n = width(r);

	if (n == 1)
		return s;
	r->sum += (s - r->sum) / (int32_t)n;	/* a running mean, which needs no memory of what went in */
	return (int16_t)r->sum;
}

void
resampler_feed(struct resampler *r, const void *samples, size_t n, struct buf *out)
{
	if (r->from == r->to) {
		buf_add(out, samples, 2 * n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		int16_t next = smooth(r, sample_at(samples, i));

		for (; r->phase < r->to; r->phase += r->from) {
			int32_t between = r->last + (int32_t)((int64_t)(next - r->last) * r->phase / r->to);
			int16_t s = (int16_t)between;

			buf_add(out, &s, 2);
		}
		r->phase -= r->to;
		r->last = next;
	}
}

#define WAV_HEAD_MAX	65536u

static unsigned
little(const unsigned char *p, int bytes)
{
	unsigned n = 0;

	while (bytes-- > 0)
		n = n << 8 | p[bytes];
	return n;
}

static bool
read_format(const unsigned char *p, unsigned size, struct wav_head *ret)
{
	unsigned tag;

	if (size < 16)
		return false;
	tag = little(p, 2);
	ret->channels = little(p + 2, 2);
	ret->rate = little(p + 4, 4);
	return (tag == 1 || tag == 0xfffe) && little(p + 14, 2) == 16 && ret->channels >= 1 && ret->channels <= 2 &&
	    ret->rate >= PCM_RATE_MIN && ret->rate <= PCM_RATE_MAX;
}

enum hl_err
wav_head_read(const void *bytes, size_t len, struct wav_head *ret, bool *ret_whole)
{
	const unsigned char *p = bytes;
	size_t at = 12;

	*ret = (struct wav_head){ 0 };
	*ret_whole = false;
	if (len < 12)
		return HL_OK;
	if (memcmp(p, "RIFF", 4) != 0 || memcmp(p + 8, "WAVE", 4) != 0)
		return HL_UPSTREAM;
	while (at + 8 <= len) {
		size_t size = little(p + at + 4, 4);

		if (memcmp(p + at, "data", 4) == 0) {
			ret->at = at + 8;
			*ret_whole = ret->rate > 0;
			return ret->rate ? HL_OK : HL_UPSTREAM;
		}
		if (size > WAV_HEAD_MAX)
			return HL_UPSTREAM;
		if (at + 8 + size > len)
			return HL_OK;
		if (memcmp(p + at, "fmt ", 4) == 0 && !read_format(p + at + 8, (unsigned)size, ret))
			return HL_UPSTREAM;
		at += 8 + size + (size & 1);
	}
	return at > WAV_HEAD_MAX ? HL_UPSTREAM : HL_OK;
}
