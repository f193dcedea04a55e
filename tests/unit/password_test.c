/*
 * password_test - bcrypt: what another library hashed is recognised, what is no such hash matches nothing, nobody's takes as
 * long as anybody's, and the queue in front of it has an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "loop/lane.h"
#include "services/password.h"
#include "vectors.h"

/* ---- golden vectors ---- */

/* bcryptjs cuts at 72 bytes: a longer password matches there if it begins like the right one, and nowhere here. */
static void
check_password(struct json_object *v, struct json_object *password, bool matches)
{
	struct buf text = BUF_INIT(1024);

	bytes_of(password, &text);
	if (strlen(text.data) != text.len)		/* NUL: no password that comes in has one */
		assert_int_equal(json_check("\"\\u0000\"", 8, JSON_STRICT), HL_BAD_JSON);
	else if (password_matches(json_object_get_string(member(v, "hash")), text.data) !=
	    (matches && text.len <= PASSWORD_BYTES_MAX))
		fail_msg("%s: %s", name_of(v), text.data);
	buf_free(&text);
}

static void
golden_vectors_match_and_do_not(void **state)
{
	struct json_object *file = json_object_from_file(SRCDIR "/tests/vectors/bcrypt.json"), *v;

	(void)state;
	assert_non_null(file);
	assert_true(json_object_array_length(member(file, "vectors")) >= 17);
	FOR_EACH(v, member(file, "vectors")) {
		check_password(v, member(v, "password"), json_object_get_boolean(member(v, "matches")));
		check_password(v, member(member(v, "wrong"), "password"),
		    json_object_get_boolean(member(member(v, "wrong"), "matches")));
	}
	FOR_EACH(v, member(file, "invalidHashes"))
		assert_false(password_matches(json_object_get_string(member(v, "hash")), "secret"));
	json_object_put(file);
}

static void
what_is_hashed_is_recognised(void **state)
{
	char a[PASSWORD_HASH_LEN + 1], b[PASSWORD_HASH_LEN + 1], too_long[PASSWORD_BYTES_MAX + 2];

	(void)state;
	assert_int_equal(password_hash(4, "Correct1horse", a), HL_OK);
	assert_int_equal(password_hash(4, "Correct1horse", b), HL_OK);
	assert_memory_equal(a, "$2b$04$", 7);
	assert_string_not_equal(a, b);
	assert_true(password_matches(a, "Correct1horse"));
	assert_true(password_matches(b, "Correct1horse"));
	assert_false(password_matches(a, "Correct1hors"));
	assert_false(password_matches(a, ""));
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	assert_int_equal(password_hash(4, too_long, a), HL_INTERNAL);
	assert_int_equal(password_hash(3, "x", a), HL_INTERNAL);
}

static void
what_is_no_hash_matches_nothing(void **state)
{
	static const char *const bad[] = { "", "x", "*0", "$2b$04$", "$1$abcdefgh$abcdefghijklmnopqrstuv",
		"$2b$04$0123456789./ABCDabcdXe53E.8rDBp25oeIyosPV2aF.TOONo6h", "$2b$04$0123456789./ABCDabcdXe53E.8rDBp25oeIyosPV2aF.TOONo6hSx",
		"$2x$04$0123456789./ABCDabcdXe53E.8rDBp25oeIyosPV2aF.TOONo6hS", "$2b$ 4$0123456789./ABCDabcdXe53E.8rDBp25oeIyosPV2aF.TOONo6hS",
		"$2b$31$0123456789./ABCDabcdXe53E.8rDBp25oeIyosPV2aF.TOONo6hS", "$2b$04$0123456789./ABCDabcdXe53E.8rDBp25oeIyosPV2aF:TOONo6hS" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(password_matches(bad[i], "secret"));
	assert_false(password_matches(NULL, "secret"));
	assert_true(password_matches("$2b$04$0123456789./ABCDabcdXe53E.8rDBp25oeIyosPV2aF.TOONo6hS", "secret"));
}

/* ---- the queue ---- */

#define COST	8

static struct passwords *passwords;
static unsigned done, refused, matched;

static double
time_of(const char *hash)
{
	int64_t retry_ms, began = clock_mono_ms();
	bool matches;

	for (int i = 0; i < 8; i++) {
		assert_int_equal(passwords_check(passwords, "one", hash, "secret", &matches, &retry_ms), HL_OK);
		matched += matches;
	}
	return (double)(clock_mono_ms() - began);
}

static void
compare_times(void *arg)
{
	char hash[PASSWORD_HASH_LEN + 1], old[PASSWORD_HASH_LEN + 1];
	int64_t retry_ms;

	assert_int_equal(passwords_make(passwords, "one", "another", hash, &retry_ms), HL_OK);
	assert_int_equal(password_hash(COST - 3, "another", old), HL_OK);
	/* A share of the processor that is taken away in between is no difference of theirs. */
	for (int i = 0; i < 20 && !*(bool *)arg; i++) {
		double real = time_of(hash), nobody = time_of(NULL), before = time_of(old), none = time_of("none");

		*(bool *)arg = nobody > real / 1.5 && nobody < real * 1.5 && before > real / 1.5 && before < real * 1.5 &&
		    none > real / 1.5 && none < real * 1.5 && real > 0;
	}
}

static void
a_wrong_password_takes_equally_long(void **state)
{
	bool alike = false;

	(void)state;
	assert_int_equal(passwords_new(COST, &passwords), HL_OK);
	matched = 0;
	assert_int_equal(task_start(uv_default_loop(), compare_times, &alike), HL_OK);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_true(alike);
	assert_int_equal(matched, 0);
	passwords_free(passwords);
}

static void
one_of_many(void *arg)
{
	int64_t retry_ms = 0;
	bool matches;
	enum hl_err err = passwords_check(passwords, arg, NULL, "secret", &matches, &retry_ms);

	assert_true(err == HL_OK || err == HL_BUSY);
	assert_true(err == HL_OK || retry_ms > 0);
	refused += err == HL_BUSY;
	done++;
}

static void
start_many(unsigned n, const char *source)
{
	while (n--)
		assert_int_equal(task_start(uv_default_loop(), one_of_many, (void *)(uintptr_t)source), HL_OK);
}

/* At cost 18 a hash is taken for sixteen seconds: a few for each core are as many as anybody waits for.  None is made. */
static void
a_queue_that_is_too_long_is_refused(void **state)
{
	(void)state;
	done = refused = 0;
	assert_int_equal(passwords_new(18, &passwords), HL_OK);
	start_many(20, "one");
	assert_in_range(refused, 16, 19);	/* with one core to four */
	assert_int_equal(done, refused);
	refused = 0;
	start_many(1, "another");
	assert_int_equal(refused, 0);
	start_many(20, "a third");
	assert_true(refused > 0);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(done, 41);
	passwords_free(passwords);
}

/* ---- lanes ---- */

static struct lanes lanes;
static unsigned inside[2], most_inside[2], left;
static struct task *sleepers[64];

static void
through_the_lane(void *arg)
{
	size_t which = (size_t)arg % 2;
	struct lane_user mine;

	sleepers[(size_t)arg] = task_self();
	if (lane_enter(&lanes, which ? "one" : "another", 3, &mine) == HL_OK) {
		if (++inside[which] > most_inside[which])
			most_inside[which] = inside[which];
		assert_int_equal(task_sleep((int64_t)((size_t)arg % 5)), HL_OK);
		inside[which]--;
		lane_leave(&lanes, &mine);
	}
	left++;
}

static void
a_lane_holds_so_many_and_names_are_apart(void **state)
{
	(void)state;
	left = 0;
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(task_start(uv_default_loop(), through_the_lane, (void *)i), HL_OK);
	assert_int_equal(lane_length(&lanes, "one"), 20);
	task_cancel(sleepers[38]);	/* these two wait: they are gone, and the others come in all the same */
	task_cancel(sleepers[20]);
	assert_int_equal(left, 2);
	assert_int_equal(lane_length(&lanes, "another"), 18);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	assert_int_equal(left, 40);
	assert_int_equal(most_inside[0], 3);
	assert_int_equal(most_inside[1], 3);
	assert_null(lanes.first);
}

static void
a_hash_is_current_with_the_settings_cost_and_our_own_form(void **state)
{
	static const char *const others[] = { "", "$2b$05$", "$2a$04$", "$2y$04$", "$2b$04", "$2b$4$" };
	char hash[PASSWORD_HASH_LEN + 1];
	struct passwords *p;

	(void)state;
	assert_int_equal(passwords_new(4, &p), HL_OK);
	assert_int_equal(password_hash(4, "Correct1horse", hash), HL_OK);
	assert_true(passwords_current(p, hash));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(passwords_current(p, others[i]));
	passwords_free(p);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_vectors_match_and_do_not),
		cmocka_unit_test(a_hash_is_current_with_the_settings_cost_and_our_own_form),
		cmocka_unit_test(what_is_hashed_is_recognised),
		cmocka_unit_test(what_is_no_hash_matches_nothing),
		cmocka_unit_test(a_wrong_password_takes_equally_long),
		cmocka_unit_test(a_queue_that_is_too_long_is_refused),
		cmocka_unit_test(a_lane_holds_so_many_and_names_are_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
