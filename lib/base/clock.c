#include <stdio.h>
#include <string.h>
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

int64_t
clock_mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void
clock_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1])
{
	static _Thread_local struct { time_t seconds; char text[CLOCK_ISO_LEN + 1]; } last;	/* mostly it is that one again */
	time_t seconds = (time_t)(wall_ms / 1000);
	unsigned ms = (unsigned)(wall_ms % 1000);
	struct tm tm;

	if (seconds != last.seconds || *last.text == '\0') {
		gmtime_r(&seconds, &tm);
		strftime(last.text, sizeof(last.text), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
		last.seconds = seconds;
	}
	memcpy(out, last.text, sizeof(last.text));
	for (int i = 22; i >= 20; i--, ms /= 10)
		out[i] = (char)('0' + ms % 10);
}

void
clock_day(int64_t day, char out[CLOCK_DAY_LEN + 1])
{
	char iso[CLOCK_ISO_LEN + 1];

	clock_iso(day * CLOCK_DAY_MS, iso);
	memcpy(out, iso, CLOCK_DAY_LEN);
	out[CLOCK_DAY_LEN] = '\0';
}

bool
clock_day_parse(const char *text, int64_t *ret_day)
{
	char again[CLOCK_DAY_LEN + 1];
	int year, month, day;
	struct tm tm = { 0 };

	*ret_day = 0;
	if (strlen(text) != CLOCK_DAY_LEN || strspn(text, "0123456789-") != CLOCK_DAY_LEN ||
	    sscanf(text, "%4d-%2d-%2d", &year, &month, &day) != 3 || year < 1970)
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	*ret_day = (int64_t)timegm(&tm) / (CLOCK_DAY_MS / 1000);
	clock_day(*ret_day, again);
	return strcmp(text, again) == 0;	/* there is no 30th of February */
}
