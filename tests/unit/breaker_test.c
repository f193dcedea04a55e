/*
 * breaker_test - when a failing server is left alone, and when it is asked again; the clock is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/breaker.h"

#define T0	1000000

static int64_t
open_it(struct breaker *b, int64_t now)
{
	for (unsigned i = 1; i < BREAKER_FAILURES; i++)
		assert_false(breaker_bad(b, false, -1, now));
	assert_int_equal(breaker_ask(b, now), BREAKER_ASK);
	assert_true(breaker_bad(b, false, -1, now));
	return b->until_ms;
}

static void
failures_in_a_row_open_it(void **state)
{
	struct breaker b = { 0 };
	int64_t until = open_it(&b, T0);

	(void)state;
	assert_in_range(until - T0, BREAKER_PAUSE * 3 / 4, BREAKER_PAUSE);
	assert_int_equal(breaker_ask(&b, until - 1), BREAKER_LEAVE);
	assert_false(breaker_bad(&b, false, -1, T0 + 1));	/* what was under way changes nothing */
	assert_int_equal(b.until_ms, until);
}

static void
a_probe_that_fails_when_it_has_been_closed_is_one_failure(void **state)
{
	struct breaker b = { 0 };
	int64_t until = open_it(&b, T0);

	(void)state;
	assert_int_equal(breaker_ask(&b, until), BREAKER_PROBE);
	assert_true(breaker_good(&b));		/* what had been asked before it opened */
	assert_false(breaker_bad(&b, true, -1, until + 1));
	assert_int_equal(breaker_ask(&b, until + 1), BREAKER_ASK);
}

static void
a_success_between_starts_the_count_again(void **state)
{
	struct breaker b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 3 * BREAKER_FAILURES; i++) {
		assert_false(breaker_bad(&b, false, -1, T0 + i));
		if (i % 4 == 3)
			assert_false(breaker_good(&b));
	}
}

static void
failures_far_apart_do_not_open_it(void **state)
{
	struct breaker b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		assert_false(breaker_bad(&b, false, -1, T0 + i * (BREAKER_WINDOW / 3)));
}

static void
one_probe_at_a_time_and_longer_pauses(void **state)
{
	struct breaker b = { 0 };
	int64_t until = open_it(&b, T0), pause = BREAKER_PAUSE;

	(void)state;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(breaker_ask(&b, until), BREAKER_PROBE);
		assert_int_equal(breaker_ask(&b, until + 60000), BREAKER_LEAVE);
		assert_true(breaker_bad(&b, true, -1, until));
		pause = pause * 2 < BREAKER_PAUSE_MAX ? pause * 2 : BREAKER_PAUSE_MAX;
		assert_in_range(b.until_ms - until, pause * 3 / 4, pause);
		until = b.until_ms;
	}
	assert_int_equal(breaker_ask(&b, until), BREAKER_PROBE);
	assert_true(breaker_good(&b));
	assert_int_equal(breaker_ask(&b, until), BREAKER_ASK);
	assert_in_range(open_it(&b, until) - until, BREAKER_PAUSE * 3 / 4, BREAKER_PAUSE);
}

static void
a_probe_that_is_given_up_makes_room_for_another(void **state)
{
	struct breaker b = { 0 };
	int64_t until = open_it(&b, T0);

	(void)state;
	assert_int_equal(breaker_ask(&b, until), BREAKER_PROBE);
	breaker_unknown(&b, true);
	assert_int_equal(breaker_ask(&b, until), BREAKER_PROBE);
}

static void
what_the_server_asks_for_is_obeyed(void **state)
{
	struct breaker b = { 0 };

	(void)state;
	assert_true(breaker_bad(&b, false, 45000, T0));
	assert_int_equal(b.until_ms, T0 + 45000);
	assert_int_equal(breaker_ask(&b, T0 + 45000), BREAKER_PROBE);
	assert_true(breaker_bad(&b, true, INT64_MAX / 2, T0 + 45000));
	assert_int_equal(b.until_ms, T0 + 45000 + BREAKER_ASKED_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_in_a_row_open_it),
		cmocka_unit_test(a_probe_that_fails_when_it_has_been_closed_is_one_failure),
		cmocka_unit_test(a_success_between_starts_the_count_again),
		cmocka_unit_test(failures_far_apart_do_not_open_it),
		cmocka_unit_test(one_probe_at_a_time_and_longer_pauses),
		cmocka_unit_test(a_probe_that_is_given_up_makes_room_for_another),
		cmocka_unit_test(what_the_server_asks_for_is_obeyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
