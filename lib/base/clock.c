#include <time.h>

#include "base/clock.h"

static int64_t
now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_wall_ms(void)
{
	return now_ms(CLOCK_REALTIME);
}

int64_t
clock_mono_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

void
clock_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	unsigned ms = (unsigned)(wall_ms % 1000);

	gmtime_r(&seconds, &tm);
	strftime(out, CLOCK_ISO_LEN + 1, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
	for (int i = 22; i >= 20; i--, ms /= 10)
		out[i] = (char)('0' + ms % 10);
}
