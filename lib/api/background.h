/*
 * background.h - work that goes on when the request that asked for it has been answered.
 *
 * It runs as a task.  When the program is to end, its task is cancelled (task_cancelled() says so) and the program waits
 * for it: whoever runs here looks between two steps, and takes no longer than a moment from then on.
 */
#ifndef HL_BACKGROUND_H
#define HL_BACKGROUND_H

#include "api/call.h"

/* HL_BUSY: the program is about to end; HL_NO_MEMORY: in both cases run was not called.  It may have ended when this returns. */
enum hl_err background_start(struct app *, void (*run)(void *), void *arg) HL_MUST_CHECK;

/* Cancels what runs, and calls done(arg) when nothing does any more, maybe at once. */
void	 background_end(struct app *, void (*done)(void *), void *arg);

#endif
