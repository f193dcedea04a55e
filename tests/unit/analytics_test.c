/*
 * analytics_test - sums are stored once, wait while they cannot be, and come together by day and agent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "own_redis.h"
#include "records/analytics.h"

#define ACCOUNT	"AAAAAAAAAAAAAAAAAAAAAA"
#define ROBIN	"RRRRRRRRRRRRRRRRRRRRRR"
#define WREN	"WWWWWWWWWWWWWWWWWWWWWW"

static int64_t today;

static int
clean(void **state)
{
	(void)state;
	today = clock_wall_ms() / CLOCK_DAY_MS;
	return 0;
}

TASK_TEST(forget_all)
{
	(void)arg;
	own_redis("FLUSHALL");
}

static int64_t
stored(const char *account, int64_t day, const char *field)
{
	return redis_int(own_redis("HGET an:{0}:%s:%lld %s", account, (long long)day, field));
}

static void
flush(struct sums *s, int64_t expected_lost)
{
	int64_t lost;

	assert_int_equal(sums_flush(&own_store, s, &lost), HL_OK);
	assert_int_equal(lost, expected_lost);
}

TASK_TEST(sums_are_stored_for_the_session_owner_and_the_installation)
{
	struct sums *s;

	(void)arg;
	assert_int_equal(sums_new(&s), HL_OK);
	flush(s, 0);
	sums_add(s, today, "volume", 1);
	sums_add(s, today, "volume", 2);
	sums_add(s, today - 1, "volume", 5);
	sums_add(s, today, "s1", 1);
	sums_add(s, today, "s1", -1);
	sums_add(s, today, "s0", 0);
	assert_int_equal(stored("chat", today, "-:volume"), 0);
	flush(s, 0);
	flush(s, 0);
	assert_int_equal(stored("chat", today, "-:volume"), 3);
	assert_int_equal(stored("all", today, "-:volume"), 3);
	assert_int_equal(stored("chat", today - 1, "-:volume"), 5);
	assert_int_equal(redis_type(own_redis("HGET an:{0}:chat:%lld -:s0", (long long)today)), REDIS_NIL);
	assert_int_equal(redis_int(own_redis("EXPIRETIME an:{0}:chat:%lld", (long long)today)),
	    (today + ANALYTICS_KEEP_DAYS) * 86400);
	sums_add(s, today, "volume", 4);
	flush(s, 0);
	assert_int_equal(stored("chat", today, "-:volume"), 7);
	sums_free(s);
}

/* A batch whose reply was lost has been stored; what is sent again must not count again, what came later must. */
TASK_TEST(a_batch_that_is_sent_twice_is_counted_once)
{
	const struct redis_reply *keys;
	struct sums *s;
	char key[CONVERSATION_KEY_MAX];

	(void)arg;
	assert_int_equal(sums_new(&s), HL_OK);
	sums_add(s, today, "asked", 1);
	flush(s, 0);
	keys = own_redis("KEYS an:{0}:flushed:*");
	assert_int_equal(redis_length(keys), 1);
	snprintf(key, sizeof(key), "%s", redis_str(redis_at(keys, 0), NULL));
	own_redis("SET %s 2", key);		/* as if the second had been stored */
	sums_add(s, today, "asked", 10);
	flush(s, 0);
	assert_int_equal(stored("chat", today, "-:asked"), 1);
	sums_add(s, today, "asked", 100);
	flush(s, 0);
	assert_int_equal(stored("chat", today, "-:asked"), 101);
	sums_free(s);
}

/* The store refuses, and later takes them; meanwhile more comes. */
TASK_TEST(what_cannot_be_stored_waits)
{
	struct sums *s;
	int64_t lost;

	(void)arg;
	assert_int_equal(sums_new(&s), HL_OK);
	own_redis("CONFIG SET maxmemory 1");
	for (int i = 0; i < 300; i++) {
		char metric[16];

		snprintf(metric, sizeof(metric), "t%d", i % 150);
		sums_add(s, today - i / 150, metric, 1);
	}
	assert_int_equal(sums_flush(&own_store, s, &lost), HL_STORE);
	sums_add(s, today, "t3", 1);
	assert_int_equal(sums_flush(&own_store, s, &lost), HL_STORE);
	own_redis("CONFIG SET maxmemory 0");
	flush(s, 0);
	assert_int_equal(stored("chat", today, "-:t3"), 2);
	assert_int_equal(stored("chat", today - 1, "-:t149"), 1);
	assert_int_equal(redis_int(own_redis("HLEN an:{0}:chat:%lld", (long long)today)), 150);
	sums_free(s);
}

TASK_TEST(memory_is_bounded_and_what_is_lost_is_said)
{
	struct sums *s;

	(void)arg;
	assert_int_equal(sums_new(&s), HL_OK);
	for (int i = 0; i < SUMS_MAX + 10; i++)
		sums_add(s, today - i, "volume", 1);
	flush(s, 10);
	flush(s, 0);
	sums_free(s);
}

/* ---- reading ---- */

static void
put(const char *account, int64_t day, const char *field, int64_t by)
{
	own_redis("HINCRBY an:{0}:%s:%lld %s %lld", account, (long long)day, field, (long long)by);
}

static const struct figures *
of_agent(const struct report *r, const char *h)
{
	for (size_t i = 0; i < r->agent_count; i++)
		if (strcmp(r->agents[i].h, h) == 0)
			return &r->agents[i].figures;
	return NULL;
}

TASK_TEST(a_report_adds_up_by_day_and_by_agent)
{
	struct analytics_query q = { .account = ACCOUNT, .from = today - 20, .to = today };
	struct report *r;

	(void)arg;
	put(ACCOUNT, today, ROBIN ":volume", 3);
	put(ACCOUNT, today, WREN ":volume", 4);
	put(ACCOUNT, today - 20, ROBIN ":volume", 5);
	put(ACCOUNT, today - 20, "-:t40", 2);
	put(ACCOUNT, today - 21, ROBIN ":volume", 100);
	put(ACCOUNT, today + 1, ROBIN ":volume", 100);
	put(ACCOUNT, today, "-:unknown", 1);
	put(ACCOUNT, today, "-:t200", 1);
	put(ACCOUNT, today, "-:tx", 1);
	put(ACCOUNT, today, "nonsense", 1);
	put("chat", today - 3, "-:volume", 7);
	assert_int_equal(analytics_read(&own_store, &q, &r), HL_OK);
	assert_int_equal(r->day_count, 21);
	assert_int_equal(r->total.sums[METRIC_VOLUME], 12);
	assert_int_equal(r->days[0].sums[METRIC_VOLUME], 5);
	assert_int_equal(r->days[20].sums[METRIC_VOLUME], 7);
	assert_int_equal(r->days[0].answer.counts[40], 2);
	assert_int_equal(histogram_total(&r->total.answer), 2);
	assert_int_equal(r->agent_count, 3);
	assert_int_equal(of_agent(r, ROBIN)->sums[METRIC_VOLUME], 8);
	assert_int_equal(of_agent(r, WREN)->sums[METRIC_VOLUME], 4);
	assert_int_equal(of_agent(r, "")->answer.counts[40], 2);
	report_free(r);
	q.chat = true;
	assert_int_equal(analytics_read(&own_store, &q, &r), HL_OK);
	assert_int_equal(r->days[17].sums[METRIC_VOLUME], 7);
	assert_int_equal(r->total.sums[METRIC_VOLUME], 19);
	report_free(r);
	q = (struct analytics_query){ .account = ACCOUNT, .agent = WREN, .from = today - 20, .to = today };
	assert_int_equal(analytics_read(&own_store, &q, &r), HL_OK);
	assert_int_equal(r->total.sums[METRIC_VOLUME], 4);
	assert_int_equal(r->agent_count, 1);
	report_free(r);
}

/* However many have been deleted, a report is of bounded size, and loses nothing. */
TASK_TEST(too_many_agents_come_together)
{
	struct analytics_query q = { .account = ACCOUNT, .from = today, .to = today };
	struct report *r;

	(void)arg;
	for (int i = 0; i < ANALYTICS_AGENTS_MAX + 500; i++) {
		char field[64];

		snprintf(field, sizeof(field), "%022d:volume", i);
		put(ACCOUNT, today, field, 1);
	}
	assert_int_equal(analytics_read(&own_store, &q, &r), HL_OK);
	assert_int_equal(r->agent_count, ANALYTICS_AGENTS_MAX + 1);
	assert_int_equal(of_agent(r, "?")->sums[METRIC_VOLUME], 500);
	assert_int_equal(r->total.sums[METRIC_VOLUME], ANALYTICS_AGENTS_MAX + 500);
	report_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sums_are_stored_for_the_session_owner_and_the_installation, clean),
		cmocka_unit_test(forget_all),
		cmocka_unit_test_setup(a_batch_that_is_sent_twice_is_counted_once, clean),
		cmocka_unit_test(forget_all),
		cmocka_unit_test_setup(what_cannot_be_stored_waits, clean),
		cmocka_unit_test_setup(memory_is_bounded_and_what_is_lost_is_said, clean),
		cmocka_unit_test(forget_all),
		cmocka_unit_test_setup(a_report_adds_up_by_day_and_by_agent, clean),
		cmocka_unit_test(forget_all),
		cmocka_unit_test_setup(too_many_agents_come_together, clean),
	};

	return cmocka_run_group_tests(tests, own_redis_set_up, own_redis_tear_down);
}
