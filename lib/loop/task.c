/*
 * The switch between stacks is sigsetjmp/siglongjmp without the signal mask (no system call), as QEMU's coroutines do it;
 * ucontext only makes a stack's first frame.  longjmp's fortified form takes a jump to another stack for an attack.
 */
#undef _FORTIFY_SOURCE
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define TASK_STACK	(512u * 1024)	/* instrumented frames are large */
#define FRAME_MAX	8192u
#elif defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define TASK_STACK	(512u * 1024)
#define FRAME_MAX	8192u
#else
#define TASK_STACK	(64u * 1024)
#define FRAME_MAX	512u		/* of list() and suspend() */
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>	/* some instructions that do nothing outside of valgrind */
#else
#define VALGRIND_STACK_REGISTER(from, to)	0u
#define VALGRIND_STACK_DEREGISTER(id)		(void)(id)
#endif

#include "loop/task.h"

#define POOL_MAX	256
#define TRIM_AFTER_MS	100
#define TRIM_AT_ONCE	64u

enum task_state { RUNNING, WAITING, WAITING_ALWAYS, FINISHED };

struct task {
	sigjmp_buf	 here;		/* where it goes on */
	sigjmp_buf	 caller;	/* where its resumer goes on */
	void		(*run)(void *);
	void		*arg;
	uv_loop_t	*loop;
	char		*stack;		/* lowest address, the guard page */
	struct task	*before;	/* who ran when it was resumed; in the pool: the next one */
	struct task	*older, *newer;	/* among those that wait with a whole stack */
	char		*low;		/* while it waits: nothing below this address is in use */
	uint64_t	 since;		/* when that began, uv_now() */
	bool		 listed;
	enum task_state	 state;
	bool		 cancelled;
	bool		 traced;
	struct trace	 trace;		/* then */
	unsigned	 stack_id;	/* valgrind's */
#ifdef __SANITIZE_ADDRESS__
	const void	*caller_bottom;
	size_t		 caller_size;
	void		*fake, *caller_fake;
#elif defined(__SANITIZE_THREAD__)
	void		*fiber, *caller_fiber;
#endif
};

/* One loop and one thread a process: what runs now is a property of that thread. */
static __thread struct task *current, *pool;
static __thread size_t pooled, running;
static __thread struct task *oldest, *newest;	/* see trim_some() */

/* ---- switching ---- */

#ifdef __SANITIZE_ADDRESS__
static void
leaving_to_task(struct task *t)
{
	__sanitizer_start_switch_fiber(&t->caller_fake, t->stack, TASK_STACK);
}

static void
back_in_caller(struct task *t)
{
	__sanitizer_finish_switch_fiber(t->caller_fake, NULL, NULL);
}

static void
leaving_to_caller(struct task *t)
{
	__sanitizer_start_switch_fiber(&t->fake, t->caller_bottom, t->caller_size);
}

static void
entered_task(struct task *t)
{
	__sanitizer_finish_switch_fiber(t->fake, &t->caller_bottom, &t->caller_size);
}
#else
#define leaving_to_task(t)
#define back_in_caller(t)
#define leaving_to_caller(t)
#define entered_task(t)
#endif

/* ThreadSanitizer keeps the points that can be jumped to with each fiber: it is told between the point and the jump. */
#ifdef __SANITIZE_THREAD__
#define fiber_new(t)		((t)->fiber = __tsan_create_fiber(0))
#define fiber_free(t)		__tsan_destroy_fiber((t)->fiber)
#define fiber_to_task(t)	((t)->caller_fiber = __tsan_get_current_fiber(), __tsan_switch_to_fiber((t)->fiber, 0))
#define fiber_to_caller(t)	__tsan_switch_to_fiber((t)->caller_fiber, 0)
#else
#define fiber_new(t)
#define fiber_free(t)
#define fiber_to_task(t)	(void)0
#define fiber_to_caller(t)	(void)0
#endif

/* ---- what a long wait holds ---- */

static void
unlist(struct task *t)
{
	if (!t->listed)
		return;
	*(t->older ? &t->older->newer : &oldest) = t->newer;
	*(t->newer ? &t->newer->older : &newest) = t->older;
	t->listed = false;
}

static void
list(struct task *t)
{
	t->low = (char *)__builtin_frame_address(0) - FRAME_MAX;
	t->since = uv_now(t->loop);
	t->older = newest;
	t->newer = NULL;
	*(newest ? &newest->newer : &oldest) = t;
	newest = t;
	t->listed = true;
}

static void
trim(struct task *t)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), low = (uintptr_t)t->low & ~(page - 1);
	char *bottom = t->stack + page;

	if (low > (uintptr_t)bottom)
		madvise(bottom, low - (uintptr_t)bottom, MADV_DONTNEED);
}

/*
 * A task that waits for a model has been deep before: parsing, searching, TLS.  What its stack had there is given back
 * once it has waited a while, by the next ones that begin to wait; a quick answer costs nothing.
 */
static void
trim_some(uint64_t now)
{
	for (unsigned i = 0; i < TRIM_AT_ONCE && oldest && now - oldest->since >= TRIM_AFTER_MS; i++) {
		trim(oldest);
		unlist(oldest);
	}
}

static void
suspend(struct task *self, enum task_state state)
{
	self->state = state;
	if (state != FINISHED) {
		trim_some(uv_now(self->loop));
		list(self);
	}
	leaving_to_caller(self);
	if (sigsetjmp(self->here, 0) == 0) {
		fiber_to_caller(self);
		siglongjmp(self->caller, 1);
	}
	entered_task(self);
}

/* The first frame of a stack: reports back to task_new() at once, then serves one run after the other. */
static void
first_frame(unsigned high, unsigned low)
{
	struct task *self = (struct task *)((uintptr_t)high << 32 | (uintptr_t)low);

	entered_task(self);
	for (;;) {
		suspend(self, FINISHED);
		self->run(self->arg);
	}
}

static bool
make_stack(struct task *t)
{
	ucontext_t first, here;

	t->stack = mmap(NULL, TASK_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
	    -1, 0);
	if (t->stack == MAP_FAILED)
		return false;
	if (mprotect(t->stack, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE) != 0 || getcontext(&first) != 0) {
		munmap(t->stack, TASK_STACK);
		return false;
	}
	first.uc_stack.ss_sp = t->stack;
	first.uc_stack.ss_size = TASK_STACK;
	first.uc_link = NULL;
	makecontext(&first, (void (*)(void))first_frame, 2, (unsigned)((uintptr_t)t >> 32), (unsigned)(uintptr_t)t);
	t->stack_id = VALGRIND_STACK_REGISTER(t->stack, t->stack + TASK_STACK);
	fiber_new(t);
	leaving_to_task(t);
	if (sigsetjmp(t->caller, 0) == 0) {
		fiber_to_task(t);
		swapcontext(&here, &first);
	}
	back_in_caller(t);
	return true;
}

static struct task *
task_new(void)
{
	struct task *t = pool;

	if (t) {
		pool = t->before;
		pooled--;
		return t;
	}
	t = calloc(1, sizeof(*t));
	if (t && !make_stack(t)) {
		free(t);
		t = NULL;
	}
	return t;
}

static void
task_free(struct task *t)
{
	running--;
	if (t->traced)
		trace_end(&t->trace);
	if (pooled < POOL_MAX) {
		t->before = pool;
		pool = t;
		pooled++;
		return;
	}
	VALGRIND_STACK_DEREGISTER(t->stack_id);
	fiber_free(t);
	munmap(t->stack, TASK_STACK);
	free(t);
}

static void
resume(struct task *t)
{
	struct trace *before = trace_switch(t->traced ? &t->trace : NULL);

	unlist(t);
	t->before = current;
	t->state = RUNNING;
	current = t;
	leaving_to_task(t);
	if (sigsetjmp(t->caller, 0) == 0) {
		fiber_to_task(t);
		siglongjmp(t->here, 1);
	}
	back_in_caller(t);
	(void)trace_switch(before);
	current = t->before;
	if (t->state == FINISHED)
		task_free(t);
}

/* ---- the interface ---- */

/* The id is drawn before it is copied: both are of one trace. */
static void
inherit_trace(struct task *t)
{
	t->traced = current && current->traced;
	if (!t->traced)
		return;
	(void)trace_id(&current->trace);
	trace_share(&t->trace, &current->trace);
}

enum hl_err
task_start(uv_loop_t *loop, void (*run)(void *), void *arg)
{
	struct task *t = task_new();

	if (t == NULL)
		return HL_NO_MEMORY;
	t->run = run;
	t->arg = arg;
	t->loop = loop;
	t->cancelled = false;
	inherit_trace(t);
	running++;
	resume(t);
	return HL_OK;
}

void
task_traces(const struct trace *trace)
{
	if (current->traced)
		trace_end(&current->trace);
	current->trace = *trace;
	current->traced = true;
	(void)trace_switch(&current->trace);
}

struct task *
task_self(void)
{
	return current;
}

enum hl_err
task_wait(void)
{
	if (!current->cancelled)
		suspend(current, WAITING);
	return current->cancelled ? HL_CANCELLED : HL_OK;
}

void
task_wait_always(void)
{
	suspend(current, WAITING_ALWAYS);
}

void
task_wake(struct task *t)
{
	if (t->state == WAITING || t->state == WAITING_ALWAYS)
		resume(t);
}

void
task_cancel(struct task *t)
{
	t->cancelled = true;
	if (t->state == WAITING)
		resume(t);
}

bool
task_cancelled(void)
{
	return current->cancelled;
}

void
task_uncancel(void)
{
	current->cancelled = false;
}

uv_loop_t *
task_loop(void)
{
	return current->loop;
}

size_t
task_count(void)
{
	return running;
}

/* ---- waiting for time and for work ---- */

struct waiter {
	struct task	*task;
	bool		 done;
};

static void
waiter_done(struct waiter *w)
{
	w->done = true;
	task_wake(w->task);
}

static void
on_time(uv_timer_t *timer)
{
	waiter_done(timer->data);
}

static void
on_closed(uv_handle_t *handle)
{
	waiter_done(handle->data);
}

enum hl_err
task_wait_flag(const bool *flag, int64_t ms)
{
	struct waiter w = { .task = task_self() };
	uv_timer_t timer;
	enum hl_err err = HL_OK;

	uv_timer_init(task_loop(), &timer);
	timer.data = &w;
	uv_update_time(task_loop());
	uv_timer_start(&timer, on_time, ms > 0 ? (uint64_t)ms : 0, 0);
	while (!*flag && !w.done && err == HL_OK)
		err = task_wait();
	if (err == HL_OK && !*flag)
		err = HL_TIMEOUT;
	w.done = false;
	uv_close((uv_handle_t *)&timer, on_closed);	/* the handle lies on this stack until then */
	while (!w.done)
		task_wait_always();
	return err;
}

enum hl_err
task_sleep(int64_t ms)
{
	bool never = false;
	enum hl_err err = task_wait_flag(&never, ms);

	return err == HL_TIMEOUT ? HL_OK : err;
}

struct work {
	struct waiter	 waiter;
	uv_work_t	 request;
	void		(*work)(void *);
	void		*arg;
};

static void
on_pool(uv_work_t *request)
{
	struct work *w = request->data;

	w->work(w->arg);
}

static void
on_work_done(uv_work_t *request, int status)
{
	struct work *w = request->data;

	(void)status;
	waiter_done(&w->waiter);
}

enum hl_err
task_work(void (*work)(void *), void *arg)
{
	struct work w = { .waiter.task = task_self(), .work = work, .arg = arg };

	w.request.data = &w;
	if (uv_queue_work(task_loop(), &w.request, on_pool, on_work_done) != 0)
		return HL_NO_MEMORY;
	while (!w.waiter.done)
		task_wait_always();
	return HL_OK;
}
