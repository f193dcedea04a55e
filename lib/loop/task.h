/*
 * task.h - a request as a task with a stack of its own, on one libuv loop.
 *
 * A task runs until it waits; whoever completes its wait wakes it.  All of it happens on one thread, so tasks share
 * data without locks, and a handler reads from top to bottom.  "Suspends" in a header means: other tasks run meanwhile.
 * A stack is 64 KiB with a guard page: no large arrays and no deep recursion in a task.
 */
#ifndef HL_TASK_H
#define HL_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/error.h"
#include "base/trace.h"

struct task;

/* Runs run(arg) as a task at once; it may have finished when this returns.  HL_NO_MEMORY: it was not run. */
enum hl_err task_start(uv_loop_t *, void (*run)(void *), void *arg) HL_MUST_CHECK;

struct task *task_self(void);		/* NULL on the loop's own stack */

/*
 * The running task is at work for that request; what it starts from now on is, too, and so are its lines in the log
 * (trace_now()).  Taken over: the task ends it.
 */
void	 task_traces(const struct trace *);

/*
 * Suspends until task_wake().  Returns HL_OK, or HL_CANCELLED if the task has been cancelled (at once, when it was
 * cancelled before).  After HL_CANCELLED the caller must itself withdraw whatever would have woken it.
 */
enum hl_err task_wait(void) HL_MUST_CHECK;

/* As task_wait(), but cancellation does not end it: for short waits on something that points into this stack. */
void	 task_wait_always(void);

/*
 * Makes a waiting task go on, before this returns; does nothing to one that does not wait.  So a waiter loops over its
 * own condition, and whoever completes it sets that first.  May be called on the loop's stack or from another task.
 */
void	 task_wake(struct task *);

/* Ends the current and every later task_wait() of that task with HL_CANCELLED. */
void	 task_cancel(struct task *);
bool	 task_cancelled(void);		/* of the running task */
void	 task_uncancel(void);		/* the running task has been told something else than to end: it may wait again */

enum hl_err task_sleep(int64_t ms) HL_MUST_CHECK;	/* suspends; HL_CANCELLED cuts it short */

/* Suspends until somebody sets *flag and wakes the task: HL_TIMEOUT if that takes longer than ms. */
enum hl_err task_wait_flag(const bool *flag, int64_t ms) HL_MUST_CHECK;

/* Runs work(arg) on libuv's thread pool; suspends until it is done, whatever happens to the task. */
enum hl_err task_work(void (*work)(void *), void *arg) HL_MUST_CHECK;

uv_loop_t *task_loop(void);		/* of the running task */
size_t	 task_count(void);		/* tasks that have started and not ended */

#endif
