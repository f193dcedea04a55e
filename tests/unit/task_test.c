/*
 * task_test - tasks: waking, cancelling, sleeping, work in the pool, many at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/task.h"

static uv_loop_t *loop;

static int
open_loop(void **state)
{
	(void)state;
	loop = uv_default_loop();
	return 0;
}

/* ---- waking ---- */

struct ping { struct task *task; int value; int seen[3]; };

static void
wait_for_values(void *arg)
{
	struct ping *p = arg;

	p->task = task_self();
	for (int i = 0; i < 3; i++) {
		task_wait_always();
		p->seen[i] = p->value;
	}
}

static void
a_woken_task_runs_at_once(void **state)
{
	struct ping p = { 0 };

	(void)state;
	assert_int_equal(task_start(loop, wait_for_values, &p), HL_OK);
	for (p.value = 1; p.value <= 3; p.value++) {
		task_wake(p.task);
		assert_int_equal(p.seen[p.value - 1], p.value);
	}
	assert_int_equal(task_count(), 0);
}

static void
wake_the_other(void *arg)
{
	struct ping *p = arg;

	for (p->value = 7; p->value < 10; p->value++)
		task_wake(p->task);
}

static void
one_task_wakes_another(void **state)
{
	struct ping p = { 0 };

	(void)state;
	assert_int_equal(task_start(loop, wait_for_values, &p), HL_OK);
	assert_int_equal(task_start(loop, wake_the_other, &p), HL_OK);
	assert_int_equal(p.seen[2], 9);
	assert_int_equal(task_count(), 0);
}

/* ---- cancelling ---- */

struct cancelled { struct task *task; enum hl_err first, second, third; };

static void
sleep_long(void *arg)
{
	struct cancelled *c = arg;

	c->task = task_self();
	c->first = task_sleep(1000000);
	c->second = task_sleep(1000000);
	task_uncancel();
	c->third = task_sleep(1);
}

static void
cancelling_ends_every_wait_until_it_is_taken_back(void **state)
{
	struct cancelled c = { 0 };

	(void)state;
	assert_int_equal(task_start(loop, sleep_long, &c), HL_OK);
	task_cancel(c.task);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(c.first, HL_CANCELLED);
	assert_int_equal(c.second, HL_CANCELLED);
	assert_int_equal(c.third, HL_OK);
}

/* ---- flags ---- */

struct flagged { struct task *task; bool flag; enum hl_err in_time, late; };

static void
wait_twice(void *arg)
{
	struct flagged *f = arg;

	f->task = task_self();
	f->in_time = task_wait_flag(&f->flag, 1000000);
	f->flag = false;
	f->late = task_wait_flag(&f->flag, 1);
}

static void
a_flag_ends_a_wait_before_its_time(void **state)
{
	struct flagged f = { 0 };

	(void)state;
	assert_int_equal(task_start(loop, wait_twice, &f), HL_OK);
	f.flag = true;
	task_wake(f.task);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(f.in_time, HL_OK);
	assert_int_equal(f.late, HL_TIMEOUT);
}

/* ---- memory ---- */

#define DEEP	32768u

struct diver { struct task *task; uintptr_t deepest; bool kept; };

static __attribute__((noinline)) void
dive(struct diver *d)
{
	volatile char deep[DEEP];

	for (size_t i = 0; i < DEEP; i += 64)
		deep[i] = (char)i;
	d->deepest = (uintptr_t)deep;
}

static void
dive_and_wait(void *arg)
{
	struct diver *d = arg;
	char here[64];

	strcpy(here, "what is above stays");
	d->task = task_self();
	dive(d);
	task_wait_always();
	d->kept = strcmp(here, "what is above stays") == 0;
}

static bool
is_resident(uintptr_t address)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	unsigned char there = 0;

	assert_int_equal(mincore((void *)(address & ~(page - 1)), 1, &there), 0);
	return there & 1;
}

static void
sleep_a_little(void *arg)
{
	(void)arg;
	assert_int_equal(task_sleep(120), HL_OK);
	assert_int_equal(task_sleep(1), HL_OK);
}

static void
a_long_wait_gives_back_the_stack_below_it(void **state)
{
	struct diver d = { 0 };

	(void)state;
	assert_int_equal(task_start(loop, dive_and_wait, &d), HL_OK);
	assert_true(is_resident(d.deepest));
	assert_int_equal(task_start(loop, sleep_a_little, NULL), HL_OK);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_false(is_resident(d.deepest));
	task_wake(d.task);
	assert_true(d.kept);
	assert_int_equal(task_count(), 0);
}

/* ---- work ---- */

static void
add_one(void *arg)
{
	++*(int *)arg;
}

static void
work_in_the_pool(void *arg)
{
	int *sum = arg, mine = 41;

	assert_int_equal(task_work(add_one, &mine), HL_OK);
	*sum += mine;
}

static void
many_tasks_wait_for_the_pool(void **state)
{
	int sum = 0;

	(void)state;
	for (int i = 0; i < 2000; i++)
		assert_int_equal(task_start(loop, work_in_the_pool, &sum), HL_OK);
	assert_int_equal(task_count(), 2000);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(sum, 2000 * 42);
	assert_int_equal(task_count(), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_woken_task_runs_at_once),
		cmocka_unit_test(one_task_wakes_another),
		cmocka_unit_test(cancelling_ends_every_wait_until_it_is_taken_back),
		cmocka_unit_test(a_flag_ends_a_wait_before_its_time),
		cmocka_unit_test(many_tasks_wait_for_the_pool),
		cmocka_unit_test(a_long_wait_gives_back_the_stack_below_it),
	};

	return cmocka_run_group_tests(tests, open_loop, NULL);
}
