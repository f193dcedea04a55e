/*
 * clock_test - times as people and programs read them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void
a_time_is_written_to_the_millisecond(void **state)
{
	static const struct { int64_t ms; const char *text; } times[] = {
		{ 0, "1970-01-01T00:00:00.000Z" }, { 999, "1970-01-01T00:00:00.999Z" }, { 1000, "1970-01-01T00:00:01.000Z" },
		{ 1709164799042, "2024-02-28T23:59:59.042Z" }, { 1709164799043, "2024-02-28T23:59:59.043Z" },
		{ 1709164800000, "2024-02-29T00:00:00.000Z" }, { 1709164799999, "2024-02-28T23:59:59.999Z" },
		{ 0, "1970-01-01T00:00:00.000Z" },
	};
	char text[CLOCK_ISO_LEN + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		clock_iso(times[i].ms, text);
		assert_string_equal(text, times[i].text);
	}
}

static void
a_day_is_one_of_the_calendar(void **state)
{
	static const char *const none[] = { "", "2023-02-29", "2024-13-01", "2024-00-10", "2024-1-10", "1969-12-31", "2024-02-29 " };
	char text[CLOCK_DAY_LEN + 1];
	int64_t day;

	(void)state;
	assert_true(clock_day_parse("2024-02-29", &day));
	assert_int_equal(day, 19782);
	clock_day(day + 1, text);
	assert_string_equal(text, "2024-03-01");
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_false(clock_day_parse(none[i], &day));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_is_written_to_the_millisecond),
		cmocka_unit_test(a_day_is_one_of_the_calendar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
