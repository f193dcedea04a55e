/*
 * histogram.h - how times are spread, in a few numbers that add up: buckets whose width grows with the value.
 *
 * Values below 8 have a bucket each; above, every doubling has eight of the same width.  What a percentile says is of the
 * same bucket as the value of that rank, so it is off by at most a sixteenth of it (HISTOGRAM_ERROR); below 16 not at all.
 * From HISTOGRAM_MOST on everything is in the last bucket, and the error is unbounded there.
 */
#ifndef HL_HISTOGRAM_H
#define HL_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_ERROR		0.0625
#define HISTOGRAM_BUCKETS	200
#define HISTOGRAM_MOST		INT64_C(134217728)	/* of milliseconds: 37 hours */

struct histogram { int64_t counts[HISTOGRAM_BUCKETS]; };

unsigned histogram_bucket(int64_t value);	/* negative: the first one */
int64_t	 histogram_value(unsigned bucket);	/* what stands for the values of a bucket */
int64_t	 histogram_total(const struct histogram *);

/* The value at or below which that part (0…1) of all values are, by nearest rank; -1: there are none. */
int64_t	 histogram_percentile(const struct histogram *, double part);

#endif
