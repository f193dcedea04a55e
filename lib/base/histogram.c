#include <math.h>

#include "base/histogram.h"

#define EIGHT	3u	/* 2^3 buckets a doubling */

/* The first value of a bucket. */
static int64_t
bucket_begin(unsigned bucket)
{
	unsigned doubling = bucket >> EIGHT;

	if (doubling == 0)
		return bucket;
	return (int64_t)(8 + (bucket & 7)) << (doubling - 1);
}

unsigned
histogram_bucket(int64_t value)
{
	unsigned doubling;

	if (value < 0)
		return 0;
	if (value < 8)
		return (unsigned)value;
	if (value >= HISTOGRAM_MOST)
		return HISTOGRAM_BUCKETS - 1;
	doubling = 63u - (unsigned)__builtin_clzll((unsigned long long)value) - EIGHT;
	return ((doubling + 1) << EIGHT) + ((unsigned)(value >> doubling) & 7);
}

/* Between the first and the last value of the bucket, and equally far from both in proportion. */
int64_t
histogram_value(unsigned bucket)
{
	int64_t first = bucket_begin(bucket), last = bucket_begin(bucket + 1) - 1;

	if (first == last)
		return first;
	return 2 * first * last / (first + last);
}

int64_t
histogram_total(const struct histogram *h)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += h->counts[i];
	return sum;
}

int64_t
histogram_percentile(const struct histogram *h, double part)
{
	int64_t total = histogram_total(h), rank, seen = 0;

	if (total <= 0)
		return -1;
	rank = (int64_t)ceil(part * (double)total);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (h->counts[i] > 0 && seen >= rank)
			return histogram_value(i);
	}
	return -1;
}
