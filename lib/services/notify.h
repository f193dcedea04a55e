/*
 * notify.h - what systemd is told of us (sd_notify(3)): ready, alive, ending.  Without NOTIFY_SOCKET nobody is told, and
 * nothing here does anything.
 */
#ifndef HL_NOTIFY_H
#define HL_NOTIFY_H

#include <stdint.h>

#include <uv.h>

/*
 * READY=1; then, if the unit has a WatchdogSec=, WATCHDOG=1 twice in that time, from the loop: one that stands still is
 * found out.  Does not keep the loop going.
 */
void	 notify_ready(uv_loop_t *);

/* STOPPING=1.  What has begun may take up to ms; so much time is asked for. */
void	 notify_stopping(int64_t ms);

/* Closes the handle, for a loop that is run until none is left. */
void	 notify_end(void);

#endif
