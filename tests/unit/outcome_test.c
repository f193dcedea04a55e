/*
 * outcome_test - what a conversation comes to by its messages; and bodies that are kept for as long as nothing changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "api/kept.h"
#include "engine/outcome.h"
#include "loop/task.h"
#include "records/entry.h"

static void
say(struct entries *es, const char *role, const char *content, const char *more)
{
	struct buf json = BUF_INIT(1u << 20);
	struct entry e;

	buf_printf(&json, "{\"role\":\"%s\",\"content\":", role);
	buf_json_str(&json, content);
	buf_printf(&json, ",\"ts\":1%s}", more);
	assert_int_equal(entry_make((int64_t)es->count + 1, "AAAAAAAAAAAAAAAAAAAAAA", &json, &e), HL_OK);
	assert_int_equal(entries_add(es, &e), HL_OK);
	buf_free(&json);
}

static void
a_message_is_judged_by_the_turn_that_answered_it(void **state)
{
	struct entries es = { 0 };
	struct insight found;

	(void)state;
	say(&es, "user", "This is terrible, cancel my order", "");						/* 1 */
	say(&es, "user", "And I want to buy a lamp", "");							/* 2, while 1 is answered */
	say(&es, "assistant", "Sorry.", ",\"for\":1,\"sentiment\":\"urgent\",\"intents\":[\"support\"]");
	say(&es, "assistant", "Gladly.", ",\"for\":2,\"sentiment\":\"positive\",\"intents\":[\"purchase\"]");
	say(&es, "user", "This is awful", "");								/* 5, to a person */
	say(&es, "assistant", "I see.", ",\"by\":\"human\",\"for\":5");
	say(&es, "user", "Thanks a lot", "");
	say(&es, "assistant", "Welcome.", ",\"for\":7,\"sentiment\":\"positive\",\"intents\":[\"general\"]");
	assert_true(insight_of(&es, 0, &found));
	assert_int_equal(found.sentiment, SENTIMENT_URGENT);
	assert_true(insight_of(&es, 1, &found));
	assert_int_equal(found.sentiment, SENTIMENT_POSITIVE);
	assert_true(insight_of(&es, 4, &found));
	assert_int_equal(found.sentiment, SENTIMENT_NEGATIVE);
	assert_true(insight_of(&es, 6, &found));
	assert_int_equal(found.sentiment, SENTIMENT_POSITIVE);
	entries_free(&es);
}

static void
what_turns_found_wins_and_rules_fill_in(void **state)
{
	struct entries es = { 0 };
	struct insight found;
	struct outcome o;

	(void)state;
	say(&es, "assistant", "Welcome!", "");
	say(&es, "user", "This is terrible", "");
	say(&es, "assistant", "Sorry.", ",\"sentiment\":\"urgent\",\"intents\":[\"support\",\"nonsense\",7]");
	say(&es, "user", "I want to buy a lamp", "");
	assert_false(insight_of(&es, 0, &found));
	assert_true(insight_of(&es, 1, &found));
	assert_int_equal(found.sentiment, SENTIMENT_URGENT);
	assert_int_equal(found.intents, INTENT_SUPPORT);
	assert_true(insight_of(&es, 3, &found));
	assert_int_equal(found.intents, INTENT_PURCHASE);
	outcome_of(&es, false, &o);
	assert_true(o.written);
	assert_int_equal(o.sentiment, SENTIMENT_URGENT);
	assert_int_equal(o.intents, INTENT_SUPPORT | INTENT_PURCHASE);
	outcome_of(&es, true, &o);
	assert_int_equal(o.sentiment, SENTIMENT_NEGATIVE);
	assert_int_equal(o.intents, INTENT_PURCHASE);
	assert_true(strlen(o.title) > 0);
	entries_free(&es);
}

static void
who_wrote_nothing_is_neutral(void **state)
{
	struct entries es = { 0 };
	struct outcome o;

	(void)state;
	say(&es, "assistant", "Welcome, this is terrible!", ",\"sentiment\":\"madness\"");
	outcome_of(&es, false, &o);
	assert_false(o.written);
	assert_int_equal(o.sentiment, SENTIMENT_NEUTRAL);
	assert_int_equal(o.intents, 0);
	assert_true(strlen(o.title) > 0);
	entries_free(&es);
}

/* ---- kept bodies ---- */

static void
name_body(unsigned n, char name[CRYPTO_NAME_LEN + 1])
{
	snprintf(name, CRYPTO_NAME_LEN + 1, "%022u", n);
}

static void
keep(struct kept *k, unsigned n, int64_t version, size_t bytes)
{
	struct kept_body made = { .body = BUF_INIT(2 * KEPT_ONE), .link = BUF_INIT(64), .parts = BUF_INIT(64) };
	char name[CRYPTO_NAME_LEN + 1];
	struct making m;

	name_body(n, name);
	assert_non_null(buf_reserve(&made.body, bytes));
	memset(made.body.data, 'x', bytes);
	buf_grow(&made.body, bytes);
	buf_puts(&made.link, n % 2 ? "<next>" : "");
	buf_puts(&made.parts, "parts");
	assert_true(kept_make(k, name, version, &m));
	kept_made(k, &m, &made);
	buf_free(&made.body);
	buf_free(&made.link);
	buf_free(&made.parts);
}

static const struct kept_body *
look(struct kept *k, unsigned n, int64_t version)
{
	char name[CRYPTO_NAME_LEN + 1];

	name_body(n, name);
	return kept_find(k, name, version);
}

static void
a_body_is_kept_for_its_version_and_within_bounds(void **state)
{
	char name[CRYPTO_NAME_LEN + 1];
	struct kept *k;
	unsigned left = 0;
	int64_t last = 0;

	(void)state;
	assert_int_equal(kept_new(&k), HL_OK);
	name_body(1, name);
	assert_null(kept_last(k, name, &last));
	keep(k, 1, 7, 100);
	assert_ptr_equal(kept_last(k, name, &last), look(k, 1, 7));
	assert_int_equal(last, 7);
	assert_string_equal(kept_last(k, name, &last)->parts.data, "parts");
	assert_int_equal(look(k, 1, 7)->body.len, 100);
	assert_string_equal(look(k, 1, 7)->link.data, "<next>");
	assert_null(look(k, 1, 8));
	assert_null(look(k, 2, 7));
	keep(k, 1, 8, 50);
	assert_null(look(k, 1, 7));
	assert_int_equal(look(k, 1, 8)->body.len, 50);
	keep(k, 3, 1, KEPT_ONE + 1);
	assert_null(look(k, 3, 1));
	for (unsigned i = 10; i < 10 + 2 * KEPT_COUNT; i++)
		keep(k, i, 1, KEPT_ONE / 8);
	for (unsigned i = 10; i < 10 + 2 * KEPT_COUNT; i++)
		left += look(k, i, 1) != NULL;
	assert_in_range(left, KEPT_BYTES / (KEPT_ONE / 8) - 2, KEPT_BYTES / (KEPT_ONE / 8));
	assert_non_null(look(k, 9 + 2 * KEPT_COUNT, 1));
	kept_free(k);
	kept_free(NULL);
}

struct asker { struct kept *kept; bool made, found; };

static void
ask(void *arg)
{
	struct asker *a = arg;
	char name[CRYPTO_NAME_LEN + 1];
	struct kept_body made = { .body = BUF_INIT(100) };
	struct making m;

	name_body(1, name);
	while (!a->found && !a->made) {
		a->found = kept_find(a->kept, name, 1) != NULL;
		if (a->found || !kept_make(a->kept, name, 1, &m))
			continue;
		assert_int_equal(task_sleep(5), HL_OK);
		buf_puts(&made.body, "[]");
		kept_made(a->kept, &m, &made);
		a->made = true;
	}
	buf_free(&made.body);
}

static void
of_many_one_makes_it(void **state)
{
	struct asker askers[20];
	struct kept *k;
	unsigned made = 0, found = 0;

	(void)state;
	assert_int_equal(kept_new(&k), HL_OK);
	for (size_t i = 0; i < 20; i++) {
		askers[i] = (struct asker){ .kept = k };
		assert_int_equal(task_start(uv_default_loop(), ask, &askers[i]), HL_OK);
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	for (size_t i = 0; i < 20; i++) {
		made += askers[i].made;
		found += askers[i].found;
	}
	assert_int_equal(made, 1);
	assert_int_equal(found, 19);
	kept_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_turns_found_wins_and_rules_fill_in),
		cmocka_unit_test(a_message_is_judged_by_the_turn_that_answered_it),
		cmocka_unit_test(who_wrote_nothing_is_neutral),
		cmocka_unit_test(a_body_is_kept_for_its_version_and_within_bounds),
		cmocka_unit_test(of_many_one_makes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
