/*
 * person_test - what people type about themselves: what is taken, what is refused, and that no text takes long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/person.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static const char *
email_problem(const char *text, char folded[PERSON_EMAIL_MAX + 1])
{
	if (!person_email_fold(text, strlen(text), folded))
		return "too long";
	return person_email_problem(folded, strlen(folded));
}

static void
addresses_are_taken_as_they_are_written(void **state)
{
	static const char *const good[][2] = {
		{ "a+b@c.info", "a+b@c.info" }, { "  ADA@Example.COM\t\n", "ada@example.com" }, { "o'brien@sub.example.museum", NULL },
		{ "x@x.co", NULL }, { "first.last@xn--bcher-kva.example", NULL }, { "!#$%&'*+/=?^_`{|}~-@a-b.c1", NULL },
		{ "1234567890123456789012345678901234567890123456789012345678901234@example.info", NULL },
	};
	char folded[PERSON_EMAIL_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		if (email_problem(good[i][0], folded))
			fail_msg("%s: %s", good[i][0], email_problem(good[i][0], folded));
		assert_string_equal(folded, good[i][1] ? good[i][1] : good[i][0]);
	}
}

static void
what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "@", "a@", "@b.info", "a", "a@b", "a@b.", "a@.b", "a@b..info", "a@@b.info", "a@b@c.info", ".a@b.info", "a.@b.info",
		"a..b@c.info", "a b@c.info", "a@b c.info", "a@-b.info", "a@b-.info", "a@b.i", "a@127.0.0.1", "a@b.123", "a@[::1]",
		"\"a b\"@c.info", "a@b_c.info", "<a@b.info>", "a@b.info,c@d.info", "a@b.info\r\nBcc: c", "\xc3\xa4@b.info",
		"a@\xc3\xa4.info", "a\\@b.info", "a(c)@b.info", "mailto:a@b.info",
		"12345678901234567890123456789012345678901234567890123456789012345@example.info",
		"a@1234567890123456789012345678901234567890123456789012345678901234.info",
	};
	char folded[PERSON_EMAIL_MAX + 1], nul[] = "a@b.info\0x";

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		if (email_problem(bad[i], folded) == NULL)
			fail_msg("%s was taken", bad[i]);
	assert_non_null(person_email_problem(nul, sizeof(nul) - 1));
}

static void
names_are_taken_and_refused(void **state)
{
	static const char *const good[] = { "Al", "O'Brien & Sons", "\xe6\x9d\x8e\xe5\xb0\x8f", "\xd9\x85\xd8\xad\xd9\x85\xd8\xaf",
		"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac", "Jos\xc3\xa9" };
	static const char *const bad[] = { "", "A", "  ", "\xe2\x80\x83\xe2\x80\x83", "A<b", "A>b", "A\nb", "A\tb", "A\x7f" "b", "A\xc2\x85" "b",
		"A\xe2\x80\xae" "b", "A\xe2\x81\xa6" "b", "A\xe2\x80\xa8" "b", "A\xef\xbb\xbf" "b", "A\xef\xbf\xbe" "b", "A\xee\x80\x80" "b",
		"A\xf3\xa0\x80\x81" "b", "A\xf4\x8f\xbf\xbf" "b", "\xe3\x85\xa4\xe3\x85\xa4", "\xe2\xa0\x80\xe2\xa0\x80", "A\xef\xbe\xa0" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (person_name_problem(good[i], strlen(good[i])))
			fail_msg("%s: %s", good[i], person_name_problem(good[i], strlen(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++)
		if (person_name_problem(bad[i], strlen(bad[i])) == NULL)
			fail_msg("name %zu was taken", i);
}

static void
names_have_at_most_fifty_characters(void **state)
{
	char name[4 * 51 + 1] = "";

	(void)state;
	for (size_t i = 0; i < 50; i++)
		strcat(name, "\xf0\x9f\x98\x80");
	assert_null(person_name_problem(name, strlen(name)));
	strcat(name, "x");
	assert_non_null(person_name_problem(name, strlen(name)));
}

static void
passwords_need_length_cases_and_a_digit(void **state)
{
	char text[PERSON_PASSWORD_MAX + 2] = "Ab1";

	(void)state;
	assert_null(person_password_problem("Abcde1", 6));
	assert_non_null(person_password_problem("Abcd1", 5));
	assert_non_null(person_password_problem("abcde1", 6));
	assert_non_null(person_password_problem("ABCDE1", 6));
	assert_non_null(person_password_problem("Abcdef", 6));
	assert_non_null(person_password_problem("ABCDE1\xd9\xa3", 8));			/* another script's digit */
	assert_non_null(person_password_problem("ABCDE1\xe4\xb8\xad", 9));		/* and a letter without cases are no lower-case ones */
	assert_null(person_password_problem("\xd0\x9f\xd0\xb0\xd1\x80" "1", 7));		/* Пар1 */
	memset(text + 3, 'x', PERSON_PASSWORD_MAX - 3);
	assert_null(person_password_problem(text, PERSON_PASSWORD_MAX));
	text[PERSON_PASSWORD_MAX] = 'x';
	assert_non_null(person_password_problem(text, PERSON_PASSWORD_MAX + 1));
}

/* Twice the text, twice the time: a megabyte is checked in a moment, whatever is in it. */
static void
no_text_takes_long(void **state)
{
	static const char *const pieces[] = { "a", "a.", "a@", "@", ".", "a-", " ", "\xc3\xa4" };
	const size_t len = 1u << 20;
	char *text = malloc(len + 1), folded[PERSON_EMAIL_MAX + 1];
	clock_t began = clock();

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		size_t n = strlen(pieces[i]);

		for (size_t at = 0; at < len; at++)
			text[at] = pieces[i][at % n];
		text[len] = '\0';
		(void)person_email_fold(text, len, folded);
		(void)person_email_problem(text, len);
		(void)person_name_problem(text, len);
		(void)person_line_ok(text, len);
		(void)person_password_problem(text, len);
	}
	free(text);
	assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 5);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_taken_as_they_are_written),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(names_are_taken_and_refused),
		cmocka_unit_test(names_have_at_most_fifty_characters),
		cmocka_unit_test(passwords_need_length_cases_and_a_digit),
		cmocka_unit_test(no_text_takes_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
