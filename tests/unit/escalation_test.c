/*
 * escalation_test - keywords as whole words in any script, and who asks for a person.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "engine/escalation.h"
#include "escalation_sentences.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))

/* ---- keywords ---- */

struct keyword_case {
	const char *spec, *message, *found;
};

static const struct keyword_case cases[] = {
	{ "", "this is URGENT!", "urgent" },
	{ "", "Manager!", "manager" },
	{ "", "ask the manager's office", "manager" },
	{ "", "your management is fine", NULL },
	{ "", "an insurgent", NULL },
	{ "", "two complaints", "complaints" },
	{ "", "emergencies only", "emergencies" },
	{ "", "supervisors, please", "supervisors" },
	{ "", "", NULL },
	{ "  ", "urgent", "urgent" },
	{ ", ,", "urgent", "urgent" },
	{ "none", "urgent manager", NULL },
	{ " None ", "urgent manager", NULL },
	{ "none, of this", "of this", "of this" },
	{ "Refund", "REFUND", "Refund" },
	{ "refund,,legal action , ", "Legal\n\t action now", "legal action" },
	{ "legal action", "legal  \xc2\xa0 action", "legal action" },
	{ "legal  action", "legal action", "legal  action" },
	{ "legal action", "illegal actions", NULL },
	{ "legal action", "legal, action", NULL },
	{ "second,first", "first and second", "second" },		/* the list's order */
	{ "can't wait", "I can’t wait", "can't wait" },
	{ "c++", "my C++ code", "c++" },
	{ "c++", "my c+++ code", "c++" },
	{ "!!!", "now!!!", "!!!" },
	{ "a1", "a12", NULL },
	{ "a1", "a1_2", "a1" },
	{ "straße", "die STRAẞE", "straße" },
	{ "жалоба", "ЖАЛОБА!", "жалоба" },
	{ "жалоба", "жалобами", NULL },
	{ "διευθυντής", "ΔΙΕΥΘΥΝΤΉΣ", "διευθυντής" },
	{ "café", "CAFÉ", "café" },
	{ "café", "cafés", NULL },
	{ "مدير", "أريد مدير الآن", "مدير" },
	{ "经理", "我要找经理投诉", "经理" },
	{ "投诉", "我要找经理投诉", "投诉" },
	{ "マネージャー", "マネージャーを呼んで", "マネージャー" },
	{ "责任", "经理", NULL },
	{ "ผู้จัดการ", "ขอคุยกับผู้จัดการหน่อย", "ผู้จัดการ" },
	{ "매니저", "매니저를 불러 주세요", "매니저" },
	{ "vip", "我是VIP客户", "vip" },				/* letters of two scripts do not join */
	{ "vip", "vipers", NULL },
	{ "manager", "man\u00adager", "manager" },			/* a soft hyphen cannot be seen */
	{ "\u200bboss ", "the boss", "boss" },
};

static void
keywords_match_whole_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct keywords *list = NULL;
		const char *found;

		assert_int_equal(keywords_new(cases[i].spec, &list), HL_OK);
		found = keywords_match(list, cases[i].message, strlen(cases[i].message));
		if (cases[i].found && !found)
			fail_msg("\"%s\" not found in \"%s\"", cases[i].found, cases[i].message);
		else if (cases[i].found)
			assert_non_null(strstr(found, cases[i].found));
		else if (found)
			fail_msg("\"%s\" found in \"%s\"", found, cases[i].message);
		keywords_free(list);
	}
	keywords_free(NULL);
}

static void
hundreds_of_keywords_in_a_long_message(void **state)
{
	struct keywords *list = NULL;
	struct buf spec = BUF_INIT(1 << 20), message = BUF_INIT(1 << 20);

	(void)state;
	for (int i = 0; i < 800; i++)
		buf_printf(&spec, "word%d two%d, ", i, i);
	while (message.len < 128 * 1024)
		buf_puts(&message, "word1 two2 wordy 字");
	assert_int_equal(keywords_new(spec.data, &list), HL_OK);
	assert_null(keywords_match(list, message.data, message.len));
	buf_puts(&message, " Word799   Two799");
	assert_string_equal(keywords_match(list, message.data, message.len), "word799 two799");
	keywords_free(list);
	buf_free(&message);
	buf_free(&spec);
}

/* ---- asking for a person ---- */

static bool
asks(const char *sentence)
{
	return asks_for_person(sentence, strlen(sentence));
}

static size_t
count_asking(const char *const *sentences, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += asks(sentences[i]);
	return n;
}

static void
what_must_always_be_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(surely_asking); i++)
		if (!asks(surely_asking[i]))
			fail_msg("does not ask: %s", surely_asking[i]);
	for (size_t i = 0; i < COUNT(surely_not_asking); i++)
		if (asks(surely_not_asking[i]))
			fail_msg("asks: %s", surely_not_asking[i]);
	assert_false(asks(""));
	assert_false(asks("?!"));
}

static void
most_who_ask_are_heard(void **state)
{
	size_t found = count_asking(asking, COUNT(asking));

	(void)state;
	print_message("%zu of %zu heard\n", found, COUNT(asking));
	assert_true(found * 100 >= COUNT(asking) * 97);
}

static void
few_others_are_taken_for_asking(void **state)
{
	size_t found = count_asking(not_asking, COUNT(not_asking));

	(void)state;
	print_message("%zu of %zu false alarms\n", found, COUNT(not_asking));
	assert_true(found * 100 <= COUNT(not_asking) * 2);
}

/* One letter swapped with the next in every longer word: still mostly understood. */
static void
typing_mistakes_are_forgiven(void **state)
{
	static const char *const mistyped[] = {
		"can I tlak to a persno", "spaek to a humna", "conncet me with a represnetative",
		"trasnfer me to an agnet",
		"I wnat to cotnact an oeprator", "chattt with someoen", "talkto aperson",
		"speak withsomebody",
		"hunan please", "i need a relpresentative", "live agnt", "AGENTTTTTT", "h\xc3\xbcman agent",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(mistyped); i++)
		if (!asks(mistyped[i]))
			fail_msg("not understood: %s", mistyped[i]);
}

static char *
filled(const char *piece, size_t len)
{
	char *text = malloc(len);

	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = piece[i % strlen(piece)];
	return text;
}

static void
long_messages_are_read_at_both_ends(void **state)
{
	static const char request[] = " please let me speak to a person. ";
	const size_t len = 128 * 1024, n = sizeof(request) - 1;
	char *text = filled("the parcel is late ", len);

	(void)state;
	assert_false(asks_for_person(text, len));
	memcpy(text + 100, request, n);
	assert_true(asks_for_person(text, len));
	memset(text + 100, 'x', n);
	memcpy(text + len - 200, request, n);
	assert_true(asks_for_person(text, len));
	free(text);
}

/* A request must not be lost where a long sentence is cut into batches. */
static void
a_request_anywhere_in_a_long_sentence(void **state)
{
	static const char request[] = " can I speak to a person ";

	(void)state;
	for (size_t at = 0; at < 3000; at += 7) {
		char *text = filled("parcel ", 3500);

		memcpy(text + at, request, sizeof(request) - 1);
		assert_true(asks_for_person(text, 3500));
		free(text);
	}
}

static void
hostile_bytes_do_no_harm(void **state)
{
	static const char *const pieces[] = { "\xff", "\xc3", "\xf0\x9f", "\xed\xa0\x80", "a", "\xcc\x81",
	    "'", "agent", "talk to ", "\n" };
	struct keywords *list = NULL;

	(void)state;
	assert_int_equal(keywords_new("urgent,\xff\xfe,\xe7\xbb", &list), HL_OK);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		char *text = filled(pieces[i], 9001);

		(void)asks_for_person(text, 9001);
		(void)keywords_match(list, text, 9001);
		text[0] = text[9000] = '\0';
		(void)asks_for_person(text, 9001);
		(void)keywords_match(list, text, 9001);
		free(text);
	}
	assert_true(asks_for_person("speak\0 to a person", 18));
	assert_string_equal(keywords_match(list, "so\0urgent", 9), "urgent");
	keywords_free(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keywords_match_whole_words),
		cmocka_unit_test(hundreds_of_keywords_in_a_long_message),
		cmocka_unit_test(what_must_always_be_right),
		cmocka_unit_test(most_who_ask_are_heard),
		cmocka_unit_test(few_others_are_taken_for_asking),
		cmocka_unit_test(typing_mistakes_are_forgiven),
		cmocka_unit_test(long_messages_are_read_at_both_ends),
		cmocka_unit_test(a_request_anywhere_in_a_long_sentence),
		cmocka_unit_test(hostile_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
