/*
 * retry.h - whether and when a failed request is sent again: as openai-node does it, but never when that
 * cannot help.
 */
#ifndef HL_RETRY_H
#define HL_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#define RETRY_MOST	2u		/* after the first request, to one server */
#define RETRY_WAIT_MAX	10000		/* ms; a server that asks for more is not waited for */

/* should_retry is the header x-should-retry or NULL, code a word of the error or "". */
bool	 retry_helps(int status, const char *code, const char *should_retry);

/*
 * What the headers retry-after-ms and Retry-After (seconds or a date; each may be NULL) ask for, in ms; -1:
 * nothing.
 */
int64_t	 retry_after(const char *ms, const char *after, int64_t wall_ms);

/* 0.5 s doubling to 8 s, less up to a quarter at random, so that not all come back at once. */
int64_t	 retry_backoff(unsigned failures);

#endif
