/*
 * clock.h - wall time for what people see and the store keeps, monotonic time for how long something took.
 */
#ifndef HL_CLOCK_H
#define HL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_ISO_LEN	24
#define CLOCK_DAY_LEN	10
#define CLOCK_DAY_MS	INT64_C(86400000)

int64_t	 clock_wall_ms(void);			/* since 1970, UTC; unlike time(2) not behind a file that was written just now */
int64_t	 clock_mono_ms(void);			/* since some moment, never goes back */
int64_t	 clock_mono_us(void);			/* the same in microseconds */
void	 clock_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1]);	/* 2026-01-31T12:00:00.000Z */

/* Days are whole days since 1970, UTC: 2026-01-31.  False: not written like that, no such day, or before 1970. */
void	 clock_day(int64_t day, char out[CLOCK_DAY_LEN + 1]);
bool	 clock_day_parse(const char *, int64_t *ret_day);

#endif
