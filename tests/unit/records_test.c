/*
 * records_test - small records against a real Redis: API keys, staying signed in, who may register, work over all of an
 * account's, what is spent a day, whose the chat is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "records/account.h"
#include "records/agent.h"
#include "records/api_key.h"
#include "records/chat_owner.h"
#include "records/job.h"
#include "records/sign_in.h"
#include "services/redis.h"
#include "own_redis.h"

#define HASH	"$2b$12$abcdefghijklmnopqrstuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"

static struct store *const store = &own_store;

static void
new_account(const char *email, bool admin, struct account *a)
{
	*a = (struct account){ .admin = admin };
	id_new(a->id);
	snprintf(a->name, sizeof(a->name), "Some Body");
	snprintf(a->email, sizeof(a->email), "%s", email);
	assert_int_equal(account_create(store, HASH, a), HL_OK);
	assert_true(a->stored);
}

static int
set_up(void **state)
{
	setenv("RATE_LIMIT_KEY", "60", 1);
	return own_redis_set_up(state);
}

/* ---- API keys ---- */

TASK_TEST(a_request_that_comes_twice_makes_one_agent)
{
	const struct agent texts = { .name = "Kim", .company = "Kettle & Co", .personality = "brief", .company_info = "", .temperature = -1 };
	struct agent first = texts, again = texts, other = texts;
	struct account ann, bob;
	struct agents all;

	(void)arg;
	new_account("agents@example.com", false, &ann);
	new_account("others@example.com", false, &bob);
	assert_int_equal(agent_create(store, ann.h, "4-1-1-1700000000.000", &first), HL_OK);
	assert_int_equal(agent_create(store, ann.h, "4-1-1-1700000000.000", &again), HL_OK);
	assert_string_equal(again.id, first.id);
	assert_int_equal(again.created_ms, first.created_ms);
	assert_int_equal(again.version, 1);
	assert_int_equal(agent_create(store, bob.h, "4-1-1-1700000000.000", &other), HL_OK);
	assert_string_not_equal(other.id, first.id);
	assert_int_equal(agent_list(store, ann.h, &all, NULL), HL_OK);
	assert_int_equal(all.count, 1);
	agents_free(&all);
}

TASK_TEST(a_key_is_its_owners_until_it_is_removed)
{
	struct api_key made, used, list[API_KEYS_PAGE];
	char text[API_KEY_LEN + 1], other[API_KEY_LEN + 1];
	struct account ann;
	int64_t retry;
	size_t n;

	(void)arg;
	new_account("key@example.com", false, &ann);
	assert_int_equal(api_key_create(store, ann.h, "worker \"one\"", text, &made), HL_OK);
	assert_int_equal(strlen(text), API_KEY_LEN);
	assert_string_equal(made.owner, ann.h);
	assert_true(made.created_ms > 0);
	assert_int_equal(api_key_create(store, ann.h, "worker \"one\"", other, &used), HL_CONFLICT);
	assert_int_equal(api_key_list(store, 0, list, &n), HL_OK);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].name, "worker \"one\"");
	assert_string_equal(list[0].h, made.h);
	assert_int_equal(list[0].used_ms, 0);
	assert_int_equal(api_key_use(store, text, false, &used, &retry), HL_OK);
	assert_string_equal(used.owner, ann.h);
	assert_string_equal(used.h, made.h);
	assert_int_equal(used.created_ms, made.created_ms);
	assert_true(used.used_ms >= made.created_ms);
	assert_int_equal(api_key_list(store, 0, list, &n), HL_OK);
	assert_int_equal(list[0].used_ms, used.used_ms);
	assert_int_equal(api_key_list(store, 1, list, &n), HL_OK);
	assert_int_equal(n, 0);
	assert_int_equal(api_key_remove(store, ann.h, "worker"), HL_NOT_FOUND);
	assert_int_equal(api_key_remove(store, ann.h, "worker \"one\""), HL_OK);
	assert_int_equal(api_key_use(store, text, false, &used, &retry), HL_UNAUTHORIZED);
	assert_int_equal(redis_int(own_redis("EXISTS k:{0}:%s", made.h)), 0);	/* being used has not brought it back */
	assert_int_equal(api_key_remove(store, ann.h, "worker \"one\""), HL_NOT_FOUND);
}

TASK_TEST(what_is_no_key_opens_nothing)
{
	static const char *const bad[] = { "", "sk-hl-", "sk-hl-short", "sk-xx-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"sk-hl-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "sk-hl-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	char nobody[CRYPTO_NAME_LEN + 1], text[API_KEY_LEN + 1];
	struct api_key k;
	int64_t retry;

	(void)arg;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(api_key_use(store, bad[i], true, &k, &retry), HL_UNAUTHORIZED);
	id_new(nobody);
	assert_int_equal(api_key_create(store, nobody, "x", text, &k), HL_NOT_FOUND);
	assert_int_equal(api_key_use(store, text, true, &k, &retry), HL_UNAUTHORIZED);
}

TASK_TEST(an_account_has_so_many_keys_and_all_are_listed_in_pages)
{
	char text[API_KEY_LEN + 1], name[16];
	struct account ann, bob;
	struct api_key k, *list = calloc(API_KEYS_PAGE, sizeof(*list));
	size_t n;

	(void)arg;
	new_account("many@example.com", false, &ann);
	new_account("more@example.com", false, &bob);
	for (int i = 0; i < 2 * API_KEYS_MAX; i++) {
		snprintf(name, sizeof(name), "key %d", i);
		assert_int_equal(api_key_create(store, i % 2 ? bob.h : ann.h, name, text, &k), HL_OK);
	}
	assert_int_equal(api_key_create(store, ann.h, "one more", text, &k), HL_TOO_LARGE);
	assert_int_equal(api_key_list(store, 0, list, &n), HL_OK);
	assert_int_equal(n, API_KEYS_PAGE);
	assert_int_equal(api_key_list(store, API_KEYS_PAGE - 1, list, &n), HL_OK);
	assert_int_equal(n, 1);
	assert_int_equal(api_key_remove(store, ann.h, "key 0"), HL_OK);
	assert_int_equal(api_key_create(store, ann.h, "one more", text, &k), HL_OK);
	free(list);
}

TASK_TEST(a_key_is_used_so_often_and_then_waits)
{
	char text[API_KEY_LEN + 1];
	struct account ann;
	struct api_key k;
	int64_t retry = 0;
	enum hl_err err = HL_OK;
	int taken = 0;

	(void)arg;
	new_account("busy@example.com", false, &ann);
	assert_int_equal(api_key_create(store, ann.h, "x", text, &k), HL_OK);
	while (taken < 200 && (err = api_key_use(store, text, true, &k, &retry)) == HL_OK)
		taken++;
	assert_int_equal(err, HL_TOO_MANY);
	assert_in_range(taken, 1, 100);
	assert_in_range(retry, 1, 60000);
	assert_int_equal(api_key_use(store, text, false, &k, &retry), HL_OK);	/* one that does not count */
}

/* ---- staying signed in ---- */

TASK_TEST(a_refresh_token_works_once_and_again_only_for_the_same_request)
{
	char first[REFRESH_LEN + 1], second[REFRESH_LEN + 1], third[REFRESH_LEN + 1], again[REFRESH_LEN + 1];
	struct account ann, got;

	(void)arg;
	new_account("stay@example.com", false, &ann);
	assert_int_equal(refresh_begin(store, &ann, first), HL_OK);
	assert_int_equal(refresh_exchange(store, first, "request-1", &got, second), HL_OK);
	assert_string_equal(got.id, ann.id);
	assert_string_equal(got.email, "stay@example.com");
	assert_string_equal(got.family, ann.family);
	/* The answer was lost: the same request is the same exchange. */
	assert_int_equal(refresh_exchange(store, first, "request-1", &got, again), HL_OK);
	assert_string_equal(again, second);
	assert_int_equal(refresh_exchange(store, second, "request-2", &got, third), HL_OK);
	/* Somebody comes with the first one: over for both. */
	assert_int_equal(refresh_exchange(store, first, "request-3", &got, again), HL_UNAUTHORIZED);
	assert_int_equal(refresh_exchange(store, third, "request-4", &got, again), HL_UNAUTHORIZED);
	assert_int_equal(redis_int(own_redis("ZCARD u:{0}:%s:families", ann.h)), 0);
	assert_int_equal(redis_int(own_redis("EXISTS rf:{0}:%s", ann.family)), 0);
	/* So is the last one in another request, while its successor has not been used yet. */
	assert_int_equal(refresh_begin(store, &ann, first), HL_OK);
	assert_int_equal(refresh_exchange(store, first, "request-5", &got, second), HL_OK);
	assert_int_equal(refresh_exchange(store, first, "request-6", &got, again), HL_UNAUTHORIZED);
	assert_int_equal(refresh_exchange(store, second, "request-7", &got, again), HL_UNAUTHORIZED);
}

TASK_TEST(a_family_that_was_ended_or_forgotten_is_over)
{
	static const char *const bad[] = { "", ".", "aaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaa",
		"aaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaa!",
		"aaaaaaaaaaaaaaaaaaaaa!.aaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaa" };
	char token[REFRESH_LEN + 1], next[REFRESH_LEN + 1];
	struct account ann, got;

	(void)arg;
	new_account("leave@example.com", false, &ann);
	assert_int_equal(refresh_begin(store, &ann, token), HL_OK);
	assert_int_equal(refresh_end(store, token), HL_OK);
	assert_int_equal(refresh_exchange(store, token, "r", &got, next), HL_UNAUTHORIZED);
	assert_int_equal(redis_int(own_redis("ZCARD u:{0}:%s:families", ann.h)), 0);
	assert_int_equal(refresh_end(store, token), HL_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(refresh_exchange(store, bad[i], "r", &got, next), HL_UNAUTHORIZED);
		assert_int_equal(refresh_end(store, bad[i]), HL_OK);
	}
	/* The account is removed while a family goes on. */
	assert_int_equal(refresh_begin(store, &ann, token), HL_OK);
	own_redis("DEL u:{0}:%s", ann.h);
	assert_int_equal(refresh_exchange(store, token, "r", &got, next), HL_UNAUTHORIZED);
	/* Whoever signs in while the password is changed has the old one. */
	new_account("change@example.com", false, &ann);
	own_redis("HSET u:{0}:%s nb %lld", ann.h, (long long)ann.not_before_s + 1);
	assert_int_equal(refresh_begin(store, &ann, token), HL_NOT_FOUND);
}

TASK_TEST(of_too_many_families_the_least_used_end)
{
	char oldest[REFRESH_LEN + 1], token[REFRESH_LEN + 1], kept[REFRESH_LEN + 1] = "";
	struct account ann, got;

	(void)arg;
	new_account("devices@example.com", false, &ann);
	assert_int_equal(refresh_begin(store, &ann, oldest), HL_OK);
	own_redis("ZADD u:{0}:%s:families 1 %s", ann.h, ann.family);
	own_redis("ZADD u:{0}:%s:families %lld not-there-any-more", ann.h, (long long)clock_wall_ms() - REFRESH_LIFE_MS - 1000);
	for (int i = 0; i < 70; i++) {
		assert_int_equal(refresh_begin(store, &ann, token), HL_OK);
		if (i == 69)
			strcpy(kept, token);
	}
	assert_in_range(redis_int(own_redis("ZCARD u:{0}:%s:families", ann.h)), 1, 64);
	assert_int_equal(refresh_exchange(store, kept, "r", &got, token), HL_OK);
}

TASK_TEST(a_school_class_may_register_at_once_and_then_one_waits)
{
	int64_t retry = 0;
	struct conf off = *own_store.conf;
	const struct conf *on = own_store.conf;

	(void)arg;
	for (int i = 0; i < 60; i++)
		assert_int_equal(sign_in_may_register(store, i % 2 ? "2001:db8:9:9::1" : "2001:db8:9:9::2", &retry), HL_OK);
	assert_int_equal(sign_in_may_register(store, "2001:db8:9:9::3", &retry), HL_TOO_MANY);
	assert_in_range(retry, 1, 10000);
	assert_int_equal(sign_in_may_register(store, "192.0.2.1", &retry), HL_OK);
	off.rate_limits = false;
	own_store.conf = &off;
	assert_int_equal(sign_in_may_register(store, "2001:db8:9:9::3", &retry), HL_OK);
	own_store.conf = on;
}

/* ---- work over all of an account's ---- */

TASK_TEST(of_a_kind_of_work_one_is_done_at_a_time)
{
	char account[CRYPTO_NAME_LEN + 1];
	struct job first, second, seen;

	(void)arg;
	id_new(account);
	assert_int_equal(job_read(store, account, "count", &seen), HL_NOT_FOUND);
	assert_int_equal(job_begin(store, account, "count", 10, &first), HL_OK);
	first.done = 4;
	first.changed = 1;
	assert_int_equal(job_step(store, &first), HL_OK);
	assert_int_equal(job_begin(store, account, "count", 99, &second), HL_CONFLICT);
	assert_true(second.running);
	assert_int_equal(second.total, 10);
	assert_int_equal(second.done, 4);
	assert_int_equal(second.changed, 1);
	assert_int_equal(job_begin(store, account, "another", 1, &second), HL_OK);
	first.done = 10;
	assert_int_equal(job_end(store, &first), HL_OK);
	assert_int_equal(job_read(store, account, "count", &seen), HL_OK);
	assert_false(seen.running);
	assert_int_equal(seen.done, 10);
	assert_int_equal(job_step(store, &first), HL_CONFLICT);		/* it is nobody's any more */
	assert_int_equal(job_begin(store, account, "count", 3, &second), HL_OK);
	assert_int_equal(job_read(store, account, "count", &seen), HL_OK);
	assert_true(seen.running);
	assert_int_equal(seen.done, 0);
}

TASK_TEST(who_has_not_been_heard_of_is_dead_and_the_next_one_begins)
{
	char account[CRYPTO_NAME_LEN + 1];
	struct job dead, next, seen;

	(void)arg;
	id_new(account);
	assert_int_equal(job_begin(store, account, "count", 10, &dead), HL_OK);
	own_redis("HSET job:{0}:%s:count until %lld", account, (long long)clock_wall_ms() - 1);
	assert_int_equal(job_read(store, account, "count", &seen), HL_OK);
	assert_false(seen.running);
	assert_int_equal(job_begin(store, account, "count", 12, &next), HL_OK);
	assert_int_equal(job_step(store, &dead), HL_CONFLICT);
	assert_int_equal(job_end(store, &dead), HL_CONFLICT);
	assert_int_equal(job_read(store, account, "count", &seen), HL_OK);
	assert_true(seen.running);
	assert_int_equal(seen.total, 12);
}

/* ---- what is spent ---- */

TASK_TEST(a_days_limit_is_passed_by_one_at_most_and_told_what_it_did_cost)
{
	const struct spend_limit tokens = { .most = 100 }, money = { .money = true, .most = 50 };
	struct spend one = { .tokens = 60, .micro_money = 30 }, two = one, three = one, other = one;
	bool within;

	(void)arg;
	assert_int_equal(spend_reserve(store, &tokens, &one, &within), HL_OK);
	assert_true(within);
	assert_int_equal(spend_reserve(store, &tokens, &two, &within), HL_OK);
	assert_true(within);
	assert_int_equal(spend_reserve(store, &tokens, &three, &within), HL_OK);
	assert_false(within);
	assert_int_equal(spend_reserve(store, &money, &three, &within), HL_OK);
	assert_false(within);
	id_new(other.account);
	assert_int_equal(spend_reserve(store, &tokens, &other, &within), HL_OK);
	assert_true(within);
	/* They were cheaper than that: there is room again. */
	assert_int_equal(spend_settle(store, &one, 10, 5), HL_OK);
	assert_int_equal(spend_settle(store, &two, 20, 5), HL_OK);
	assert_int_equal(redis_int(own_redis("HGET spend:{0}:%s t", one.day)), 30);
	assert_int_equal(redis_int(own_redis("HGET spend:{0}:%s m", one.day)), 10);
	assert_int_equal(spend_reserve(store, &money, &three, &within), HL_OK);
	assert_true(within);
	assert_in_range(redis_int(own_redis("TTL spend:{0}:%s", one.day)), 3000000, 3456000);
}

/* As if the time that a turn can take were over for all that is under way. */
static void
age_what_is_held(const char *day)
{
	int64_t count = redis_int(own_redis("ZCARD spend:{0}:%s:held", day));

	for (int64_t i = 0; i < count; i++) {
		char member[64];

		/* The newest goes to the front, so that each comes last once. */
		snprintf(member, sizeof(member), "%s", redis_str(redis_at(own_redis("ZRANGE spend:{0}:%s:held -1 -1", day), 0), NULL));
		own_redis("ZADD spend:{0}:%s:held XX %lld %s", day, (long long)(1 + i), member);
	}
}

TASK_TEST(what_a_dead_process_had_reserved_counts_no_longer_than_a_turn_can_take)
{
	const struct spend_limit tokens = { .most = 100 };
	struct spend dead = { .tokens = 100, .micro_money = 0 }, late = { .tokens = 40, .micro_money = 7 }, next = late;
	int64_t before;
	bool within;

	(void)arg;
	own_redis("FLUSHALL");
	assert_int_equal(spend_reserve(store, &tokens, &late, &within), HL_OK);
	assert_int_equal(spend_reserve(store, &tokens, &dead, &within), HL_OK);
	assert_true(within);
	assert_int_equal(spend_reserve(store, &tokens, &next, &within), HL_OK);
	assert_false(within);
	age_what_is_held(dead.day);
	assert_int_equal(spend_reserve(store, &tokens, &next, &within), HL_OK);
	assert_true(within);
	before = redis_int(own_redis("HGET spend:{0}:%s t", dead.day));
	assert_int_equal(before, 40);
	/* One that took longer than it can is counted all the same, once. */
	assert_int_equal(spend_settle(store, &late, 30, 5), HL_OK);
	assert_int_equal(redis_int(own_redis("HGET spend:{0}:%s t", dead.day)), before + 30);
	assert_int_equal(spend_settle(store, &next, 10, 1), HL_OK);
	assert_int_equal(redis_int(own_redis("HGET spend:{0}:%s t", dead.day)), 40);
	assert_int_equal(redis_int(own_redis("HGET spend:{0}:%s m", dead.day)), 6);
	assert_int_equal(redis_int(own_redis("EXISTS spend:{0}:%s:held", dead.day)), 0);
}

/* ---- whose the chat is ---- */

TASK_TEST(the_chat_is_the_first_administrators_or_whose_the_settings_say)
{
	const struct conf *usual = own_store.conf;
	struct conf named = *usual;
	struct account root, ann, stranger = { .admin = true };
	char h[CRYPTO_NAME_LEN + 1];
	bool is;

	(void)arg;
	own_redis("DEL first:{0}");
	new_account("owner@example.com", false, &ann);
	assert_int_equal(chat_owner(store, h), HL_NOT_FOUND);
	assert_int_equal(chat_owned_by(store, &ann, &is), HL_OK);
	assert_false(is);
	new_account("root@example.com", true, &root);
	assert_int_equal(chat_owner(store, h), HL_OK);
	assert_string_equal(h, root.h);
	assert_int_equal(chat_owned_by(store, &root, &is), HL_OK);
	assert_true(is);
	assert_int_equal(chat_owned_by(store, &ann, &is), HL_OK);
	assert_false(is);
	assert_int_equal(chat_owned_by(store, &stranger, &is), HL_OK);
	assert_false(is);
	own_store.conf = &named;
	named.chat_owner = " Owner@Example.COM ";
	assert_int_equal(chat_owner(store, h), HL_OK);
	assert_string_equal(h, ann.h);
	assert_int_equal(chat_owned_by(store, &ann, &is), HL_OK);
	assert_true(is);
	assert_int_equal(chat_owned_by(store, &root, &is), HL_OK);
	assert_false(is);
	named.chat_owner = "nobody@example.com";
	assert_int_equal(chat_owner(store, h), HL_NOT_FOUND);
	named.chat_owner = "no address";
	assert_int_equal(chat_owner(store, h), HL_NOT_FOUND);
	assert_int_equal(chat_owned_by(store, &ann, &is), HL_OK);
	assert_false(is);
	own_store.conf = usual;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_that_comes_twice_makes_one_agent),
		cmocka_unit_test(a_key_is_its_owners_until_it_is_removed),
		cmocka_unit_test(what_is_no_key_opens_nothing),
		cmocka_unit_test(an_account_has_so_many_keys_and_all_are_listed_in_pages),
		cmocka_unit_test(a_key_is_used_so_often_and_then_waits),
		cmocka_unit_test(a_refresh_token_works_once_and_again_only_for_the_same_request),
		cmocka_unit_test(a_family_that_was_ended_or_forgotten_is_over),
		cmocka_unit_test(of_too_many_families_the_least_used_end),
		cmocka_unit_test(a_school_class_may_register_at_once_and_then_one_waits),
		cmocka_unit_test(of_a_kind_of_work_one_is_done_at_a_time),
		cmocka_unit_test(who_has_not_been_heard_of_is_dead_and_the_next_one_begins),
		cmocka_unit_test(a_days_limit_is_passed_by_one_at_most_and_told_what_it_did_cost),
		cmocka_unit_test(what_a_dead_process_had_reserved_counts_no_longer_than_a_turn_can_take),
		cmocka_unit_test(the_chat_is_the_first_administrators_or_whose_the_settings_say),
	};

	return cmocka_run_group_tests(tests, set_up, own_redis_tear_down);
}
