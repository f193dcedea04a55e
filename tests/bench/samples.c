#include <stdio.h>
#include <stdlib.h>

#include "samples.h"

void
samples_add(struct samples *s, double ms)
{
	if (s->count == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 4096;
		s->ms = realloc(s->ms, s->cap * sizeof(*s->ms));
		if (s->ms == NULL)
			abort();
	}
	s->ms[s->count++] = ms;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void
samples_print(const char *name, struct samples *s)
{
	if (s->count == 0)
		return;
	qsort(s->ms, s->count, sizeof(*s->ms), compare);
	printf(",\"%s\":{\"count\":%zu,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name, s->count, s->ms[s->count / 2],
	    s->ms[(size_t)((double)(s->count - 1) * 0.99)], s->ms[s->count - 1]);
}
