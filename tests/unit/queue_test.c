/*
 * queue_test - when only so many may ask at once, everybody gets a turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/queue.h"

static struct queue queue;
static struct queue_turn turns[64];

static struct queue_turn *
enter(unsigned i, const char *company, const char *visitor)
{
	turns[i] = (struct queue_turn){ 0 };
	assert_int_equal(queue_enter(&queue, &turns[i], company, visitor), HL_OK);
	return &turns[i];
}

/* Who begins, one after the other, as numbers; each ends at once. */
static const char *
order(void)
{
	static char text[256];
	struct queue_turn *t;

	*text = '\0';
	while ((t = queue_end(&queue)) != NULL)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", *text ? " " : "", (int)(t - turns));
	return text;
}

/* Nothing is left behind: the table is empty, so that no memory is held. */
static void
assert_empty(void)
{
	assert_int_equal(queue.under_way, 0);
	assert_int_equal(queue.waiting, 0);
	assert_null(queue.root.first);
	for (size_t i = 0; i < QUEUE_BUCKETS; i++)
		assert_null(queue.table[i]);
}

static void
without_a_bound_all_go_at_once(void **state)
{
	(void)state;
	queue_init(&queue, 0);
	for (unsigned i = 0; i < 20; i++)
		assert_true(enter(i, "a", "x")->begun);
	for (unsigned i = 0; i < 20; i++)
		assert_null(queue_end(&queue));
	assert_empty();
}

static void
one_visitor_keeps_his_order(void **state)
{
	(void)state;
	queue_init(&queue, 2);
	assert_true(enter(0, "a", "x")->begun);
	assert_true(enter(1, "a", "x")->begun);
	for (unsigned i = 2; i < 6; i++)
		assert_false(enter(i, "a", "x")->begun);
	assert_ptr_equal(queue_end(&queue), &turns[2]);
	assert_true(turns[2].begun);
	assert_int_equal(queue.under_way, 2);
	assert_ptr_equal(queue_end(&queue), &turns[3]);
	assert_string_equal(order(), "4 5");
	assert_null(queue_end(&queue));
	assert_empty();
}

static void
visitors_take_turns(void **state)
{
	(void)state;
	queue_init(&queue, 1);
	enter(0, "a", "flood");
	for (unsigned i = 1; i < 6; i++)
		enter(i, "a", "flood");
	enter(6, "a", "y");
	enter(7, "a", "z");
	enter(8, "a", "y");
	assert_string_equal(order(), "1 6 7 2 8 3 4 5");
	assert_empty();
}

static void
companies_take_turns_whatever_their_visitors(void **state)
{
	char name[8];

	(void)state;
	queue_init(&queue, 1);
	enter(0, "big", "x");
	for (unsigned i = 1; i < 6; i++) {
		snprintf(name, sizeof(name), "%u", i);
		enter(i, "big", name);
	}
	enter(6, "small", "x");
	enter(7, "small", "x");
	assert_string_equal(order(), "1 6 2 7 3 4 5");
	assert_empty();
}

static void
who_goes_away_is_passed_over(void **state)
{
	(void)state;
	queue_init(&queue, 1);
	enter(0, "a", "x");
	enter(1, "a", "x");
	enter(2, "b", "x");
	enter(3, "b", "y");
	queue_withdraw(&queue, &turns[2]);
	queue_withdraw(&queue, &turns[1]);
	assert_int_equal(queue.waiting, 1);
	assert_string_equal(order(), "3");
	assert_empty();
	enter(4, "a", "x");
	enter(5, "a", "x");
	queue_withdraw(&queue, &turns[5]);
	assert_null(queue_end(&queue));
	assert_empty();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_bound_all_go_at_once),
		cmocka_unit_test(one_visitor_keeps_his_order),
		cmocka_unit_test(visitors_take_turns),
		cmocka_unit_test(companies_take_turns_whatever_their_visitors),
		cmocka_unit_test(who_goes_away_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
