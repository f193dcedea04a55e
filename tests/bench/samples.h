/*
 * samples.h - what was measured, in milliseconds, and what is told of it.
 */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>

struct samples { double *ms; size_t count, cap; };

void	 samples_add(struct samples *, double ms);
/* ,"name":{"count","p50","p99","max"} to standard output; nothing if there are none. */
void	 samples_print(const char *name, struct samples *);

#endif
