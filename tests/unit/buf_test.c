/*
 * buf_test - what buf_printf() writes is what printf(3) does; what does not fit leaves an error, not half an escape.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

#define SAME(...) do {										\
	char expected[256];									\
	struct buf b = BUF_INIT(1024);								\
												\
	buf_puts(&b, "before ");								\
	buf_printf(&b, __VA_ARGS__);								\
	snprintf(expected, sizeof(expected), __VA_ARGS__);					\
	assert_int_equal(buf_err(&b), HL_OK);							\
	assert_string_equal(b.data + strlen("before "), expected);				\
	assert_int_equal(b.len, strlen("before ") + strlen(expected));				\
	buf_free(&b);										\
} while (0)

static void
formats_are_those_of_printf(void **state)
{
	const char *volatile none = NULL;	/* hidden from the compiler, which would warn */

	(void)state;
	SAME("nothing to fill in");
	SAME("%s", "");
	SAME("%s and %s", "one", "other");
	SAME("%s", none);
	SAME("%d %d %d", 0, -1, INT32_MIN);
	SAME("%u %u", 0u, UINT32_MAX);
	SAME("%zu %zu", (size_t)0, SIZE_MAX / 2);
	SAME("%lld %lld %lld", 0LL, (long long)INT64_MIN, (long long)INT64_MAX);
	SAME("%s:%lld,%u%s", "a", 7LL, 8u, "}");
	SAME("%d %%, %.3g and %s", 50, 0.125, "text");	/* not all of them plain */
	SAME("%04d-%.*s", 42, 3, "abcdef");
	SAME("%lu %c %x", 5ul, 'c', 255u);
}

static void
what_is_longer_than_the_first_room_is_whole(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	SAME("%s", text);
	SAME("%.150s", text);
}

static void
beyond_the_cap_is_an_error(void **state)
{
	struct buf b = BUF_INIT(8);

	(void)state;
	buf_printf(&b, "%s", "12345678");
	assert_int_equal(buf_err(&b), HL_OK);
	buf_printf(&b, "%d", 9);
	assert_int_equal(buf_err(&b), HL_TOO_LARGE);
	assert_string_equal(b.data, "12345678");
	buf_reset(&b);
	buf_printf(&b, "%.3f", 12345678.0);
	assert_int_equal(buf_err(&b), HL_TOO_LARGE);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_are_those_of_printf),
		cmocka_unit_test(what_is_longer_than_the_first_room_is_whole),
		cmocka_unit_test(beyond_the_cap_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
