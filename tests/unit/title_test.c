/*
 * title_test - what conversations are called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "engine/title.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))

struct sample { const char *from, *title; };

static const struct sample by_rules[] = {
	{ "Where is my order?", "Where is my order" },
	{ "hello there! where is my order?", "Where is my order" },
	{ "Hi, I want to return the lamp that I bought last week because it flickers", "I want to return the lamp" },
	{ "How much is the delivery to the islands and to the mountains", "How much is the delivery" },
	{ "I can't log in", "I can\u02bct log in" },
	{ "Refund", "Conversation about Refund" },
	{ "late delivery", "Conversation about late delivery" },
	{ "Hello", "Conversation about Hello" },
	{ "Hello!!! Please!", "Conversation about Hello Please" },
	{ "", "Conversation with a customer" },
	{ " \n\t ", "Conversation with a customer" },
	{ "\U0001f642\U0001f642 ?!", "Conversation with a customer" },
	{ "He said \"never again\" to me", "He said never again to me" },
	{ "'quoted' \u201eGänsefüßchen\u201c \u00abguillemets\u00bb `ticks`", "Quoted Gänsefüßchen guillemets ticks" },
	{ "<script>alert(1)</script>", "Script alert 1 script" },
	{ "the order 12-34/A costs 3.50 now", "The order 12-34/A costs 3.50 now" },
	{ "It broke. It is broken since yesterday", "It broke It is broken since" },
	{ "It just broke. Since yesterday it is broken", "It just broke" },
	{ "über die Lieferung nach Köln", "Über die Lieferung nach Köln" },
	{ "\u043f\u0440\u0438\u0432\u0435\u0442, \u0433\u0434\u0435 \u043c\u043e\u0439 \u0437\u0430\u043a\u0430\u0437?",
	  "\u0413\u0434\u0435 \u043c\u043e\u0439 \u0437\u0430\u043a\u0430\u0437" },
	{ "\u4f60\u597d\uff01\u6211\u7684\u8ba2\u5355\u4ec0\u4e48\u65f6\u5019\u5230\uff1f",
	  "Conversation about \u6211\u7684\u8ba2\u5355\u4ec0\u4e48\u65f6\u5019\u5230" },
	{ "\u0645\u062a\u0649 \u064a\u0635\u0644 \u0637\u0644\u0628\u064a\u061f", "\u0645\u062a\u0649 \u064a\u0635\u0644 \u0637\u0644\u0628\u064a" },
	{ "a\u202etxt.exe b\u200bc d\ae", "A txt.exe b c d e" },
	{ "\u0915\u094d\u200d\u0937 \u0939\u0948 \u0915\u0939\u093e\u0901", "\u0915\u094d\u200d\u0937 \u0939\u0948 \u0915\u0939\u093e\u0901" },
};

static const struct sample printed[] = {
	{ "Late delivery of lamp", "Late delivery of lamp" },
	{ "\"Late delivery of lamp\"", "Late delivery of lamp" },
	{ "Title: **Late delivery of lamp**.", "Title Late delivery of lamp" },
	{ "one two three four five six seven eight", "One two three four five six" },
	{ "Refund", "Conversation about Refund" },
	{ "Customer\u2019s late order", "Customer\u02bcs late order" },
	{ "\u8ba2\u5355\u914d\u9001\u5ef6\u8fdf", "Conversation about \u8ba2\u5355\u914d\u9001\u5ef6\u8fdf" },
	{ "\n\n- first\n- second\n- third", "First second third" },
	{ "\u0300' hello \u17b4- world there", "Hello world there" },
};

static void
check(const struct sample *s, const char *got)
{
	if (strcmp(got, s->title) != 0)
		fail_msg("\"%s\" gave \"%s\", not \"%s\"", s->from, got, s->title);
}

static void
titles_by_rules(void **state)
{
	char out[TITLE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(by_rules); i++) {
		title_of(by_rules[i].from, strlen(by_rules[i].from), out);
		check(&by_rules[i], out);
	}
}

static void
titles_of_models_are_cleaned(void **state)
{
	static const char *const none[] = { "", "\"\"", " ... ", "\U0001f642", "\u3164\u3164 \uffa0", "\u0301\u0302 \u0345" };
	char out[TITLE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(printed); i++) {
		assert_true(title_clean(printed[i].from, strlen(printed[i].from), out));
		check(&printed[i], out);
	}
	for (size_t i = 0; i < COUNT(none); i++) {
		assert_false(title_clean(none[i], strlen(none[i]), out));
		assert_string_equal(out, "");
	}
}

static void
check_shape(const char *title)
{
	size_t words = 1;

	assert_true(utf8_valid(title, strlen(title)));
	assert_true(strlen(title) <= TITLE_MAX);
	assert_null(strpbrk(title, "\"'`<>\n\t"));
	for (const char *p = title; (p = strchr(p, ' ')) != NULL; p++)
		words++;
	if (words < 3 || words > 6)
		fail_msg("%zu words: %s", words, title);
}

/* Letters, marks, quotes, spaces and things that are none of these, in any order and any length. */
static void
any_text_gives_a_title(void **state)
{
	static const char *const parts[] = { "a", "word", "\u0301", "\u4e2d", "\U0001f642", "\"", "'", " ", "\u00a0", "-", "\u202e", ".",
		"\u0e01", "\U00020000", "\u200d", "<", "\u201c", "hello", "ß", "\xff", "\n" };
	char text[6000], out[TITLE_MAX + 1];
	unsigned seed = 1;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		size_t len = 0, most = round % 10 == 0 ? sizeof(text) - 8 : 200, kinds = 1 + round % COUNT(parts);

		while (len < most) {
			const char *part;

			seed = seed * 1103515245u + 12345u;
			part = parts[(seed >> 16) % kinds];
			memcpy(text + len, part, strlen(part));
			len += strlen(part);
			if ((seed >> 8) % 97 == 0)
				break;
		}
		title_of(text, len, out);
		check_shape(out);
		if (title_clean(text, len, out))
			check_shape(out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(titles_by_rules),
		cmocka_unit_test(titles_of_models_are_cleaned),
		cmocka_unit_test(any_text_gives_a_title),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
