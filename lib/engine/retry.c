#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "engine/retry.h"

bool
retry_helps(int status, const char *code, const char *should_retry)
{
	if (strcmp(code, "insufficient_quota") == 0)
		return false;
	if (should_retry && strcasecmp(should_retry, "true") == 0)
		return true;
	if (should_retry && strcasecmp(should_retry, "false") == 0)
		return false;
	return status == 408 || status == 409 || status == 429 || status >= 500;
}

/* A number and nothing else, scaled; -1 if it is none or senseless. */
static int64_t
number(const char *text, double scale)
{
	char *end;
	double v;

	if (text == NULL || *text < '0' || *text > '9')
		return -1;
	v = strtod(text, &end) * scale;
	return *end == '\0' && v >= 0 && v < 1e15 ? (int64_t)v : -1;
}

/*
 * An HTTP date (RFC 9110, section 5.6.7; only the form that may be sent), in ms since 1970; -1 if it is
 * none.
 */
static int64_t
http_date(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

	return end && *end == '\0' ? (int64_t)timegm(&tm) * 1000 : -1;
}

int64_t
retry_after(const char *ms, const char *after, int64_t wall_ms)
{
	int64_t wait = number(ms, 1);

	if (wait >= 0 || after == NULL)
		return wait;
	wait = number(after, 1000);
	if (wait >= 0)
		return wait;
	wait = http_date(after);
	return wait < 0 ? -1 : wait > wall_ms ? wait - wall_ms : 0;
}

int64_t
retry_backoff(unsigned failures)
{
	int64_t wait = failures < 4 ? 500 << failures : 8000;
	uint16_t random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);	/* failing, it leaves no jitter */
	return wait - wait / 4 * random / UINT16_MAX;
}
