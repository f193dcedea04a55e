/*
 * notify.h - what systemd is told of us (sd_notify(3)): ready, alive, ending.  Without NOTIFY_SOCKET nobody is told, and
 * nothing here does anything.
 */
#ifndef HL_NOTIFY_H
#define HL_NOTIFY_H

#include <stdint.h>
#include <sys/types.h>

#include <uv.h>

/*
 * READY=1, or to the process that this one replaces (renew.h), which tells systemd; then, if the unit has a WatchdogSec=, WATCHDOG=1 twice in that time, from the loop: one that stands still is
 * found out.  Does not keep the loop going.
 */
void	 notify_ready(uv_loop_t *);

/* RELOADING=1, and how it ended: another process, which is to be watched from now on, or 0: none, this one goes on. */
void	 notify_reloading(void);
void	 notify_reloaded(pid_t other);

/* STOPPING=1.  What has begun may take up to ms; so much time is asked for. */
void	 notify_stopping(int64_t ms);

/* Closes the handle, for a loop that is run until none is left. */
void	 notify_end(void);

#endif
