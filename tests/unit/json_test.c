/*
 * json_test - what is JSON, what is not, and that nothing is lost between reading and writing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/json_view.h"
#include "base/str.h"

static enum hl_err
parse(const char *text, struct json **doc)
{
	return json_parse(text, strlen(text), doc);
}

static void
good_documents_come_back_as_they_were(void **state)
{
	static const char *const same[] = { "{\"a\":1,\"b\":[null,true,false,\"x\"]}", "12", "null", "[]", "{}", "\"\"", "[1.5,-0.25]",
		"{\"é\":\"😀\"}", "[[[[[]]]]]",
		"[9223372036854775807,-9223372036854775808,9223372036854775808,-9223372036854775809,1e400,0.10]", "{\"\":\"\\n\\\\\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		struct buf out = BUF_INIT(1000);
		struct json *doc;

		assert_int_equal(parse(same[i], &doc), HL_OK);
		json_write(&out, doc);
		assert_string_equal(out.data, same[i]);
		json_free(doc);
		buf_free(&out);
	}
}

static void
bad_documents_are_refused(void **state)
{
	static const char *const bad[] = { "", " ", "{", "[1,]", "{\"a\":1,}", "{a:1}", "'a'", "[01]", "[1.]", "[.5]", "[1e]", "[+1]", "[NaN]",
		"nul", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\u0000\"", "\"\n\"", "[1] 2",
		"{\"a\":1,\"a\":2}", "[{\"x\":{\"b\":1,\"b\":1}}]", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xff\"", "\"\xf4\x90\x80\x80\"" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct json *doc;

		if (parse(bad[i], &doc) != HL_BAD_JSON)
			fail_msg("taken for JSON: %s", bad[i]);
		assert_null(doc);
	}
}

static void
what_javascript_takes_is_passed_on(void **state)
{
	static const char *const odd[] = { "\"\\ud800\"", "\"\\u0000\"", "{\"a\":1,\"a\":2}" };

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_int_equal(json_check(odd[i], strlen(odd[i]), JSON_JS), HL_OK);
}

static void
too_deep_is_told_from_malformed(void **state)
{
	static const struct { const char *open, *close; enum hl_err err; } deep[] = {
		{ "[", "]", HL_TOO_LARGE }, { "[\"]\\\"\",", "]", HL_TOO_LARGE }, { "{\"}\":", "}", HL_TOO_LARGE }, { "[", "", HL_BAD_JSON },
		{ "[", "]]", HL_BAD_JSON }, { "[", "\"]", HL_BAD_JSON }, { "[\\", "]", HL_BAD_JSON },
	};
	struct buf b = BUF_INIT(1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(deep) / sizeof(deep[0]); i++) {
		buf_reset(&b);
		for (int k = 0; k <= JSON_MAX_DEPTH; k++)
			buf_puts(&b, deep[i].open);
		buf_putc(&b, '0');
		for (int k = 0; k <= JSON_MAX_DEPTH; k++)
			buf_puts(&b, deep[i].close);
		assert_int_equal(json_check(b.data, b.len, JSON_JS), deep[i].err);
		assert_int_equal(json_check(b.data, b.len, JSON_STRICT), HL_BAD_JSON);
	}
	buf_free(&b);
}

static void
depth_and_number_of_values_are_bounded(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct json *doc;

	(void)state;
	for (int i = 0; i < JSON_MAX_DEPTH; i++)
		buf_putc(&b, '[');
	for (int i = 0; i < JSON_MAX_DEPTH; i++)
		buf_putc(&b, ']');
	assert_int_equal(json_parse(b.data, b.len, &doc), HL_OK);
	json_free(doc);
	buf_reset(&b);
	for (int i = 0; i < 100000; i++)
		buf_putc(&b, '[');
	assert_int_equal(json_parse(b.data, b.len, &doc), HL_BAD_JSON);
	buf_reset(&b);
	buf_putc(&b, '[');
	for (int i = 0; i < JSON_MAX_NODES; i++)
		buf_puts(&b, "0,");
	buf_puts(&b, "0]");
	assert_int_equal(json_parse(b.data, b.len, &doc), HL_BAD_JSON);
	buf_free(&b);
}

static void
members_are_found_by_type(void **state)
{
	struct json *doc;
	int64_t i;
	double d;
	size_t len;

	(void)state;
	assert_int_equal(parse("{\"s\":\"a\",\"n\":null,\"i\":7,\"f\":1.5,\"b\":true,\"big\":1e400,\"l\":[1,null]}", &doc), HL_OK);
	assert_string_equal(json_string(json_get(doc, "s"), &len), "a");
	assert_int_equal(len, 1);
	assert_null(json_get(doc, "none"));
	assert_int_equal(json_kind(json_get(doc, "n")), JSON_NULL);
	assert_true(json_integer(json_get(doc, "i"), &i) && i == 7);
	assert_false(json_integer(json_get(doc, "f"), &i));
	assert_true(json_number(json_get(doc, "f"), &d) && d > 1.4);
	assert_false(json_number(json_get(doc, "big"), &d));
	assert_true(json_true(json_get(doc, "b")));
	assert_int_equal(json_length(json_get(doc, "l")), 2);
	assert_int_equal(json_kind(json_at(json_get(doc, "l"), 1)), JSON_NULL);
	assert_null(json_string(json_get(doc, "i"), NULL));
	json_free(doc);
}

static void
text_is_written_so_that_it_reads_back(void **state)
{
	struct buf b = BUF_INIT(1000);
	struct json *doc;
	size_t len;

	(void)state;
	buf_json(&b, "a\"\\\n\t\x01é\x7f", 9);
	assert_int_equal(json_parse(b.data, b.len, &doc), HL_OK);
	assert_memory_equal(json_string(doc, &len), "a\"\\\n\t\x01é\x7f", 9);
	assert_int_equal(len, 9);
	json_free(doc);
	buf_free(&b);
}

static void
plain_text_ends_at_the_first_byte_to_escape(void **state)
{
	static const char odd[] = { '"', '\\', '\0', '\n', 0x1f };
	char text[48];

	(void)state;
	for (size_t len = 0; len <= sizeof(text); len++)
		for (size_t at = 0; at <= len; at++)
			for (size_t i = 0; i < sizeof(odd); i++) {
				memset(text, at % 2 ? 0xff : ' ', sizeof(text));
				if (at < len)
					text[at] = text[len - 1] = odd[i];
				assert_int_equal(str_json_plain(text, text + len), at);
				assert_int_equal(str_json_ascii(text, text + len), at % 2 ? 0 : at);
			}
	for (size_t at = 0; at < sizeof(text); at++) {
		memset(text, 0x7f, sizeof(text));
		text[at] = (char)0x80;
		assert_int_equal(str_json_ascii(text, text + sizeof(text)), at);
		assert_int_equal(str_json_plain(text, text + sizeof(text)), sizeof(text));
	}
}

static void
text_is_utf8_wherever_its_bytes_lie(void **state)
{
	char text[40];

	(void)state;
	for (size_t len = 1; len <= sizeof(text); len++)
		for (size_t at = 0; at < len; at++) {
			memset(text, 'a', sizeof(text));
			assert_true(utf8_valid(text, at));
			text[at] = '\xff';
			assert_false(utf8_valid(text, len));
			assert_true(utf8_valid(text, at));
			memcpy(text + at, "\xc3\xbc", at + 1 < sizeof(text) ? 2 : 1);
			assert_int_equal(utf8_valid(text, len), at + 1 < len);	/* a letter, or the half of one */
		}
}

static void
folding_and_words_know_scripts(void **state)
{
	struct buf b = BUF_INIT(1000);

	(void)state;
	str_fold(&b, "ÄÖÜ ΣΑΣ Ж", strlen("ÄÖÜ ΣΑΣ Ж"));
	assert_string_equal(b.data, "äöü σασ ж");
	buf_free(&b);
	assert_true(uni_is_letter_or_digit(0x4e2d));
	assert_true(uni_is_letter_or_digit(0x93e));		/* a Devanagari vowel sign */
	assert_false(uni_is_letter_or_digit(0x2014));
	assert_true(str_blank(" \t\n\xc2\xa0\xe2\x80\x8b", 8));
	assert_true(str_blank("\u3164\u115f\u2800\u0301\u200d\ufe0f\U000e0020", strlen("\u3164\u115f\u2800\u0301\u200d\ufe0f\U000e0020")));
	assert_true(str_blank("\001\033\177\302\200\ufff9\ufffe\ufdd0", strlen("\001\033\177\302\200\ufff9\ufffe\ufdd0")));
	assert_false(str_blank(" x ", 3));
	assert_false(str_blank("\u2764\ufe0f", strlen("\u2764\ufe0f")));
	assert_false(str_blank("\u093e", strlen("\u093e")));
	assert_int_equal(utf8_cut("aé", 3, 2), 1);
}

/* ---- views ---- */

static struct json_view
view(const char *text)
{
	struct json_view v;

	assert_int_equal(json_view_open(text, strlen(text), JSON_JS, &v), HL_OK);
	return v;
}

static void
a_view_finds_what_a_tree_finds(void **state)
{
	static const char text[] = " { \"a\" : [1 , {\"b\":\"]}\\\"\"},[[ ]],-7 ], \"a\":2,\"\\u0062\":3,\"n\":null,\"t\":true,\"d\":\"\\\\\" } ";
	struct json_view doc = view(text), list = json_view_get(doc, "a"), item = { 0 };
	struct buf out = BUF_INIT(100);
	int64_t n;

	(void)state;
	assert_int_equal(json_view_kind(doc), JSON_OBJECT);
	assert_int_equal(doc.end[-1], '}');
	assert_int_equal(json_view_kind(list), JSON_ARRAY);
	assert_true(json_view_next(list, &item));
	assert_true(json_view_integer(item, &n));
	assert_int_equal(n, 1);
	assert_true(json_view_next(list, &item));
	assert_true(json_view_string(json_view_get(item, "b"), &out));
	assert_string_equal(out.data, "]}\"");
	assert_true(json_view_next(list, &item));
	assert_int_equal(json_view_kind(item), JSON_ARRAY);
	assert_true(json_view_next(list, &item));
	assert_true(json_view_integer(item, &n));
	assert_int_equal(n, -7);
	assert_false(json_view_next(list, &item));
	assert_int_equal(json_view_kind(json_view_get(doc, "b")), JSON_NONE);
	assert_int_equal(json_view_kind(json_view_get(doc, "n")), JSON_NULL);
	assert_int_equal(json_view_kind(json_view_get(doc, "t")), JSON_BOOL);
	buf_reset(&out);
	assert_true(json_view_string(json_view_get(doc, "d"), &out));
	assert_string_equal(out.data, "\\");
	buf_reset(&out);
	json_view_write(&out, json_view_get(doc, "t"));
	json_view_write(&out, json_view_get(doc, "absent"));
	assert_string_equal(out.data, "truenull");
	buf_free(&out);
}

static void
a_view_of_text_is_its_characters(void **state)
{
	static const struct { const char *json, *text; } cases[] = {
		{ "\"\"", "" }, { "\"plain \xc3\xa9\"", "plain \xc3\xa9" },
		{ "\"\\b\\f\\n\\r\\t\\/\\\\\\\"\"", "\b\f\n\r\t/\\\"" },
		{ "\"\\u00e9\\u20AC\\ud83d\\ude00\"", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\"\\ud83dx\\ude00\\u0000\"", "\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_view v = view(cases[i].json);
		struct buf out = BUF_INIT(100);
		size_t len;

		assert_true(json_view_string(v, &out));
		assert_string_equal(out.data ? out.data : "", cases[i].text);
		assert_int_equal(json_view_plain(v, &len) != NULL, strchr(cases[i].json, '\\') == NULL);
		buf_free(&out);
	}
	assert_false(json_view_is(view("\"ab\""), "a"));
	assert_true(json_view_is(view("\"ab\""), "ab"));
}

static void
a_view_of_the_wrong_kind_is_nothing(void **state)
{
	static const char *const numbers[] = { "1.5", "1e3", "9223372036854775808", "\"1\"", "null" };
	struct json_view none = { 0 }, item = { 0 };
	struct buf out = BUF_INIT(100);
	int64_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_false(json_view_integer(view(numbers[i]), &n));
	assert_false(json_view_string(view("1"), &out));
	assert_false(json_view_string(none, &out));
	assert_false(json_view_next(view("{\"a\":1}"), &item));
	assert_int_equal(json_view_kind(json_view_get(view("[1]"), "a")), JSON_NONE);
	assert_int_equal(json_view_kind(json_view_get(none, "a")), JSON_NONE);
	assert_int_equal(json_view_open("{\"a\":}", 6, JSON_JS, &none), HL_BAD_JSON);
	assert_null(none.at);
	buf_free(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_documents_come_back_as_they_were),
		cmocka_unit_test(bad_documents_are_refused),
		cmocka_unit_test(what_javascript_takes_is_passed_on),
		cmocka_unit_test(too_deep_is_told_from_malformed),
		cmocka_unit_test(depth_and_number_of_values_are_bounded),
		cmocka_unit_test(members_are_found_by_type),
		cmocka_unit_test(text_is_written_so_that_it_reads_back),
		cmocka_unit_test(plain_text_ends_at_the_first_byte_to_escape),
		cmocka_unit_test(text_is_utf8_wherever_its_bytes_lie),
		cmocka_unit_test(folding_and_words_know_scripts),
		cmocka_unit_test(a_view_finds_what_a_tree_finds),
		cmocka_unit_test(a_view_of_text_is_its_characters),
		cmocka_unit_test(a_view_of_the_wrong_kind_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
