/*
 * clock.h - wall time for what people see and the store keeps, monotonic time for how long something took.
 */
#ifndef HL_CLOCK_H
#define HL_CLOCK_H

#include <stdint.h>

#define CLOCK_ISO_LEN	24

int64_t	 clock_wall_ms(void);			/* since 1970, UTC */
int64_t	 clock_mono_ms(void);			/* since some moment, never goes back */
void	 clock_iso(int64_t wall_ms, char out[CLOCK_ISO_LEN + 1]);	/* 2026-01-31T12:00:00.000Z */

#endif
