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
