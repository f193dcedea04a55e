/*
 * conversation_test - accept, commit, claim against a real Redis of its own: once, in order, fenced, sealed.
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
#include "base/str.h"
#include "loop/task.h"
#include "records/conversation.h"
#include "records/recall.h"
#include "records/escalation.h"
#include "own_redis.h"

static struct store *const store = &own_store;

static int
set_up(void **state)
{
	setenv("RATE_LIMIT_SESSION", "60", 1);
	setenv("RATE_LIMIT_ADDRESS", "40", 1);
	setenv("SESSION_TIMEOUT", "60000", 1);
	return own_redis_set_up(state);
}

/* ---- helpers ---- */

static void
new_conversation(struct conversation *conv)
{
	struct limits none = { 0 };
	int64_t retry;

	assert_int_equal(conversation_create(store, "ada", NULL, false, &none, conv, &retry), HL_OK);
}

static enum hl_err
say(const struct conversation *conv, const char *text, const char *client_id, struct acceptance *a)
{
	struct incoming in = { .id = conv->id, .user_id = "ada", .text = text, .text_len = strlen(text), .client_id = client_id,
		.client_named = true };

	return conversation_accept(store, &in, a);
}

static enum hl_err
answer(struct lease *l, const char *text, const char *reason, enum committed *how, int64_t *seq)
{
	struct outgoing o = { .entry = BUF_INIT(4096), .event_head = BUF_INIT(100), .event_tail = BUF_INIT(100),
		.escalation = BUF_INIT(1000), .reason = reason };
	enum hl_err err;

	id_new(o.id);
	id_new(o.escalation_id);
	buf_printf(&o.entry, "{\"role\":\"assistant\",\"content\":\"%s\",\"ts\":1,\"for\":%lld}", text, (long long)l->covered);
	buf_puts(&o.escalation, "{}");
	err = conversation_commit(store, l, &o, how, seq);
	if (err == HL_OK && *how == COMMITTED)
		conversation_remember(store, l, &o, *seq);
	if (err == HL_OK && *how != COMMIT_FENCED) {
		enum committed again;
		int64_t same;

		assert_int_equal(conversation_commit(store, l, &o, &again, &same), HL_OK);
		assert_int_equal(same, *seq);		/* the same commit twice is done once */
	}
	buf_free(&o.entry);
	buf_free(&o.escalation);
	return err;
}

static size_t
messages(const struct conversation *conv)
{
	struct conversation read;
	struct entries all;
	size_t n;

	assert_int_equal(conversation_read(store, conv->id, NULL, 0, false, &read, &all), HL_OK);
	n = all.count;
	entries_free(&all);
	conversation_clear(&read);
	return n;
}

/* ---- the tests ---- */

TASK_TEST(a_message_is_stored_once_and_answered_once)
{
	struct conversation conv;
	struct acceptance first, again, other;
	enum committed how;
	struct entry e;
	int64_t seq;

	(void)arg;
	new_conversation(&conv);
	assert_int_equal(say(&conv, "hello", "c1", &first), HL_OK);
	assert_int_equal(first.how, ACCEPTED_RUN);
	assert_int_equal(first.seq, 1);
	assert_int_equal(first.lease.context.count, 1);
	assert_int_equal(say(&conv, "hello", "c1", &again), HL_OK);
	assert_int_equal(again.how, ACCEPTED_AGAIN);
	assert_false(again.answered);
	assert_string_equal(again.message_id, first.message_id);
	assert_int_equal(say(&conv, "something else", "c1", &other), HL_UNPROCESSABLE);
	assert_int_equal(conversation_answer(store, &conv.place, 1, &e), HL_NOT_FOUND);
	assert_int_equal(answer(&first.lease, "hi", NULL, &how, &seq), HL_OK);
	assert_int_equal(how, COMMITTED);
	assert_int_equal(seq, 2);
	assert_int_equal(conversation_answer(store, &conv.place, 1, &e), HL_OK);
	assert_true(json_view_is(entry_member(&e, "content"), "hi"));
	entry_clear(&e);
	assert_int_equal(say(&conv, "hello", "c1", &again), HL_OK);
	assert_true(again.answered);
	assert_int_equal(messages(&conv), 2);
	lease_clear(&first.lease);
	conversation_clear(&conv);
}

/* The first message is asked, the second one its answer; *id gets the answer's. */
static void
one_answer(struct conversation *conv, const char *text, char id[ID_LEN + 1])
{
	struct acceptance a;
	enum committed how;
	struct entry e;
	int64_t seq;

	new_conversation(conv);
	assert_int_equal(say(conv, "hello", "c1", &a), HL_OK);
	assert_int_equal(answer(&a.lease, text, NULL, &how, &seq), HL_OK);
	assert_int_equal(conversation_answer(store, &conv->place, 1, &e), HL_OK);
	strcpy(id, e.id);
	entry_clear(&e);
	lease_clear(&a.lease);
}

TASK_TEST(an_answer_that_was_talked_over_is_what_was_heard_of_it)
{
	static const char heard[] = "I am \"glad\"", stored[] = "\"content\":\"I am \\\"glad\\\"\",\"interrupted\":true,";
	struct conversation conv;
	char id[ID_LEN + 1];
	struct entry e;

	(void)arg;
	one_answer(&conv, "I am glad that you ask", id);
	assert_int_equal(conversation_cut(store, &conv.place, id, 2, heard, strlen(heard)), HL_OK);
	assert_int_equal(conversation_answer(store, &conv.place, 1, &e), HL_OK);
	assert_non_null(memmem(e.text.data, e.text.len, stored, sizeof(stored) - 1));
	assert_string_equal(e.id, id);
	entry_clear(&e);
	assert_int_equal(messages(&conv), 2);
	conversation_clear(&conv);
}

TASK_TEST(only_the_assistants_own_answer_is_cut)
{
	struct conversation conv;
	char id[ID_LEN + 1], other[ID_LEN + 1];
	struct entry e;

	(void)arg;
	one_answer(&conv, "I am glad", id);
	id_new(other);
	assert_int_equal(conversation_cut(store, &conv.place, other, 2, "I", 1), HL_NOT_FOUND);	/* another answer */
	assert_int_equal(conversation_cut(store, &conv.place, id, 1, "I", 1), HL_NOT_FOUND);	/* the customer's words */
	assert_int_equal(conversation_cut(store, &conv.place, id, 3, "I", 1), HL_NOT_FOUND);
	assert_int_equal(conversation_answer(store, &conv.place, 1, &e), HL_OK);
	assert_true(json_view_is(entry_member(&e, "content"), "I am glad"));
	entry_clear(&e);
	assert_int_equal(conversation_delete(store, conv.id), HL_OK);
	assert_int_equal(conversation_cut(store, &conv.place, id, 2, "I", 1), HL_NOT_FOUND);
	conversation_clear(&conv);
}

TASK_TEST(strangers_and_unknown_sessions_are_refused)
{
	struct conversation conv, read;
	struct entries none;
	struct incoming in = { .user_id = "eve", .text = "x", .text_len = 1, .client_id = "c" };
	struct acceptance a;

	(void)arg;
	new_conversation(&conv);
	in.id = conv.id;
	assert_int_equal(conversation_accept(store, &in, &a), HL_FORBIDDEN);
	in.id = "AAAAAAAAAAAAAAAAAAAAAA";
	assert_int_equal(conversation_accept(store, &in, &a), HL_NOT_FOUND);
	in.id = "../../etc/passwd";
	assert_int_equal(conversation_accept(store, &in, &a), HL_NOT_FOUND);
	assert_int_equal(conversation_read(store, conv.id, "eve", 0, false, &read, &none), HL_FORBIDDEN);
	assert_int_equal(messages(&conv), 0);
	conversation_clear(&conv);
}

TASK_TEST(messages_that_come_meanwhile_are_one_next_turn)
{
	struct conversation conv;
	struct acceptance first, second, third;
	enum committed how;
	bool changed;
	int64_t seq;

	(void)arg;
	new_conversation(&conv);
	assert_int_equal(say(&conv, "one", "c1", &first), HL_OK);
	assert_int_equal(say(&conv, "two", "c2", &second), HL_OK);
	assert_int_equal(say(&conv, "three", "c3", &third), HL_OK);
	assert_int_equal(second.how, ACCEPTED_QUEUED);
	assert_int_equal(answer(&first.lease, "to one", NULL, &how, &seq), HL_OK);
	assert_int_equal(how, COMMITTED_MORE);
	assert_int_equal(conversation_peek(store, &first.lease, &changed), HL_OK);
	assert_true(changed);
	assert_int_equal(first.lease.covered, 3);
	assert_int_equal(first.lease.before, 1);
	assert_int_equal(answer(&first.lease, "to the rest", NULL, &how, &seq), HL_OK);
	assert_int_equal(how, COMMITTED);
	assert_int_equal(seq, 5);
	lease_clear(&first.lease);
	conversation_clear(&conv);
}

/* Makes the lease look as if it had run out, as it does when a process dies. */
static void
expire_lease(const struct place *p)
{
	struct redis_arg args[] = { RA("ZADD"), RA("due:{0}"), RA("1"), RA(p->h) };
	const struct redis_reply *reply;

	assert_int_equal(redis_call(store->redis, args, 4, &reply), HL_OK);
}

TASK_TEST(a_lease_that_ends_far_from_now_ends_soon)
{
	struct conversation conv;
	struct acceptance accepted;
	struct place due[4];
	char far[32];
	struct redis_arg set[] = { RA("ZADD"), RA("due:{0}"), RA("0"), RA("") }, get[] = { RA("ZSCORE"), RA("due:{0}"), RA("") };
	const struct redis_reply *reply;
	int64_t ends;
	size_t n;

	(void)arg;
	new_conversation(&conv);
	assert_int_equal(say(&conv, "hello", "c1", &accepted), HL_OK);
	set[3] = get[2] = RA(conv.place.h);
	snprintf(far, sizeof(far), "%lld", (long long)clock_wall_ms() + 3600000);	/* as when the server's clock is set back */
	set[2] = RA(far);
	assert_int_equal(redis_call(store->redis, set, 4, &reply), HL_OK);
	assert_int_equal(conversation_overdue(store, due, 4, &n), HL_OK);
	assert_int_equal(n, 0);
	assert_int_equal(redis_call(store->redis, get, 3, &reply), HL_OK);
	ends = redis_int(reply);
	assert_in_range(ends, clock_wall_ms(), clock_wall_ms() + LEASE_MS);
	lease_clear(&accepted.lease);
	conversation_clear(&conv);
}

TASK_TEST(who_has_lost_the_lease_cannot_answer)
{
	struct conversation conv;
	struct acceptance slow;
	struct place due[4];
	struct lease taken, late;
	enum committed how;
	int64_t seq;
	size_t n;

	(void)arg;
	new_conversation(&conv);
	assert_int_equal(say(&conv, "hello", "c1", &slow), HL_OK);
	assert_int_equal(conversation_claim(store, &conv.place, &late), HL_CONFLICT);
	expire_lease(&conv.place);
	assert_int_equal(conversation_overdue(store, due, 4, &n), HL_OK);
	assert_int_equal(n, 1);
	assert_string_equal(due[0].h, conv.place.h);
	assert_int_equal(conversation_claim(store, &conv.place, &taken), HL_OK);
	assert_int_equal(taken.attempt, 2);
	assert_int_equal(conversation_claim(store, &conv.place, &late), HL_CONFLICT);
	assert_int_equal(answer(&slow.lease, "too late", NULL, &how, &seq), HL_OK);
	assert_int_equal(how, COMMIT_FENCED);
	assert_int_equal(answer(&taken, "in time", NULL, &how, &seq), HL_OK);
	assert_int_equal(how, COMMITTED);
	assert_int_equal(messages(&conv), 2);
	assert_int_equal(conversation_overdue(store, due, 4, &n), HL_OK);
	assert_int_equal(n, 0);
	lease_clear(&slow.lease);
	lease_clear(&taken);
	conversation_clear(&conv);
}

TASK_TEST(a_second_escalation_joins_the_first)
{
	struct conversation conv;
	struct acceptance a, b;
	enum committed how;
	int64_t seq;

	(void)arg;
	new_conversation(&conv);
	assert_int_equal(say(&conv, "a manager!", "c1", &a), HL_OK);
	assert_string_equal(a.lease.escalation_id, "");
	assert_int_equal(answer(&a.lease, "one comes", "keyword", &how, &seq), HL_OK);
	assert_int_equal(say(&conv, "hello?", "c2", &b), HL_OK);
	assert_int_equal(strlen(b.lease.escalation_id), ID_LEN);
	lease_clear(&a.lease);
	lease_clear(&b.lease);
	conversation_clear(&conv);
}

TASK_TEST(floods_are_limited_and_a_repeated_message_is_not)
{
	struct conversation conv;
	struct acceptance a;
	enum hl_err err = HL_OK;
	char id[16];
	int taken = 0;

	(void)arg;
	new_conversation(&conv);
	for (int i = 0; i < 60 && err == HL_OK; i++) {
		struct incoming in = { .id = conv.id, .user_id = "ada", .text = "x", .text_len = 1, .client_id = id,
			.client_named = true, .limits.session = conv.id };

		snprintf(id, sizeof(id), "c%d", i);
		err = conversation_accept(store, &in, &a);
		if (err == HL_OK) {
			taken++;
			lease_clear(&a.lease);
		}
	}
	assert_int_equal(err, HL_TOO_MANY);
	assert_true(a.retry_ms > 0);
	assert_in_range(taken, 15, 18);		/* a quarter of a minute's worth at once */
	assert_int_equal(say(&conv, "x", "c0", &a), HL_OK);
	assert_int_equal(a.how, ACCEPTED_AGAIN);
	conversation_clear(&conv);
}

/* The seqs of a context, "3 4 5 ", each with the text that its number says. */
static void
check_context(const struct entries *context, int64_t first, int64_t last)
{
	assert_int_equal(context->count, last - first + 1);
	for (size_t i = 0; i < context->count; i++) {
		const struct entry *e = &context->list[i];
		char expected[32];
		const char *text;
		size_t len;

		snprintf(expected, sizeof(expected), "%s %lld", e->user ? "question" : "answer", (long long)e->seq);
		assert_int_equal(e->seq, first + (int64_t)i);
		text = entry_content(e, &len);
		assert_int_equal(len, strlen(expected));
		assert_memory_equal(text, expected, len);
	}
}

TASK_TEST(what_is_remembered_is_as_what_is_read)
{
	struct conversation conv;
	struct acceptance a;
	enum committed how;
	char text[32], id[16];
	int64_t seq;

	(void)arg;
	new_conversation(&conv);
	assert_int_equal(recall_new(&store->recall), HL_OK);
	for (int64_t n = 1; n <= 31; n += 2) {
		struct entries remembered = { 0 };

		if (n == 21)		/* as if the store's connection had been made anew: nothing is believed */
			assert_int_equal(recall_take(store->recall, &conv.place, redis_life(store->redis) + 1, &remembered), 0);
		if (n == 25)		/* forgotten: read again */
			assert_int_equal(recall_take(store->recall, &conv.place, redis_life(store->redis), &remembered), n - 1);
		entries_free(&remembered);
		snprintf(text, sizeof(text), "question %lld", (long long)n);
		snprintf(id, sizeof(id), "r%lld", (long long)n);
		assert_int_equal(say(&conv, text, id, &a), HL_OK);
		assert_int_equal(a.how, ACCEPTED_RUN);
		check_context(&a.lease.context, n > store->conf->history ? n - store->conf->history + 1 : 1, n);
		snprintf(text, sizeof(text), "answer %lld", (long long)n + 1);
		assert_int_equal(answer(&a.lease, text, NULL, &how, &seq), HL_OK);
		assert_int_equal(seq, n + 1);
		lease_clear(&a.lease);
	}
	recall_free(store->recall);
	store->recall = NULL;
	conversation_clear(&conv);
}

TASK_TEST(a_full_conversation_takes_no_more)
{
	struct redis_arg args[4] = { RA("HSET"), { 0 }, RA("lb"), RA("4194300") };
	const struct redis_reply *reply;
	struct conversation conv;
	struct acceptance a;
	char key[CONVERSATION_KEY_MAX];

	(void)arg;
	new_conversation(&conv);
	snprintf(key, sizeof(key), "c:{0}:%s", conv.place.h);
	args[1] = RA(key);
	assert_int_equal(redis_call(store->redis, args, 4, &reply), HL_OK);
	assert_int_equal(say(&conv, "one more", "c1", &a), HL_TOO_LARGE);
	assert_int_equal(messages(&conv), 0);
	conversation_clear(&conv);
}

/* A conversation with a message that is being answered and an escalation that is open. */
static void
new_escalation(struct conversation *conv, struct acceptance *late, struct escalation *e)
{
	struct acceptance a;
	enum committed how;
	int64_t seq;

	new_conversation(conv);
	assert_int_equal(say(conv, "a manager!", "c1", &a), HL_OK);
	assert_int_equal(answer(&a.lease, "one comes", "keyword", &how, &seq), HL_OK);
	lease_clear(&a.lease);
	assert_int_equal(say(conv, "hello?", "c2", late), HL_OK);
	assert_int_equal(escalation_read(store, late->lease.escalation_id, e), HL_OK);
	assert_string_equal(e->place.h, conv->place.h);
	assert_string_equal(e->status, "open");
}

static const struct staff ada = { "ada", false }, bob = { "bob", false }, admin = { "root", true };

static enum hl_err
person_says(struct escalation *e, const struct staff *who, const char *text, const char *id, int64_t *seq)
{
	const struct reply r = { .text = text, .len = strlen(text), .client_id = id, .client_named = true };
	struct entry stored;
	enum hl_err err = escalation_reply(store, e, who, &r, &stored);

	*seq = stored.seq;
	if (err == HL_OK)
		assert_true(stored.human);
	entry_clear(&stored);
	return err;
}

TASK_TEST(from_a_take_on_the_assistant_is_silent)
{
	struct conversation conv;
	struct acceptance late, during;
	struct escalation e, other;
	struct ownership owner;
	enum committed how;
	bool changed;
	int64_t seq, again;

	(void)arg;
	new_escalation(&conv, &late, &e);
	assert_int_equal(escalation_read(store, e.id, &other), HL_OK);
	assert_int_equal(person_says(&e, &ada, "hi", "r1", &seq), HL_CONFLICT);
	assert_int_equal(escalation_take(store, &e, &ada), HL_OK);
	assert_int_equal(escalation_take(store, &e, &ada), HL_OK);
	assert_int_equal(escalation_take(store, &other, &bob), HL_CONFLICT);
	assert_string_equal(other.taken_by.data, "ada");
	assert_int_equal(conversation_peek(store, &late.lease, &changed), HL_CONFLICT);
	assert_int_equal(answer(&late.lease, "too late", NULL, &how, &seq), HL_OK);
	assert_int_equal(how, COMMIT_FENCED);
	assert_int_equal(conversation_claim(store, &conv.place, &during.lease), HL_CONFLICT);
	assert_int_equal(conversation_owner(store, &conv.place, &owner), HL_OK);
	assert_true(owner.person);
	assert_string_equal(owner.escalation_id, e.id);
	assert_string_equal(owner.reason, "keyword");
	assert_int_equal(say(&conv, "anybody?", "c3", &during), HL_OK);
	assert_int_equal(during.how, ACCEPTED_QUEUED);
	assert_false(during.owner_ai);
	assert_int_equal(person_says(&e, &ada, "I am", "r1", &seq), HL_OK);
	assert_int_equal(person_says(&e, &ada, "I am", "r1", &again), HL_OK);
	assert_int_equal(seq, again);
	assert_int_equal(person_says(&e, &ada, "I am not", "r1", &again), HL_UNPROCESSABLE);
	assert_int_equal(person_says(&other, &bob, "me too", "r2", &again), HL_CONFLICT);
	assert_int_equal(messages(&conv), 5);
	lease_clear(&late.lease);
	escalation_clear(&e);
	escalation_clear(&other);
	conversation_clear(&conv);
}

TASK_TEST(after_a_return_the_assistant_knows_what_was_said)
{
	struct conversation conv;
	struct acceptance late, next;
	struct escalation e;
	enum committed how;
	int64_t seq;

	(void)arg;
	new_escalation(&conv, &late, &e);
	assert_int_equal(escalation_return(store, &e, &ada, NULL), HL_CONFLICT);
	assert_int_equal(escalation_take(store, &e, &ada), HL_OK);
	assert_int_equal(person_says(&e, &ada, "your code is 7", "r1", &seq), HL_OK);
	assert_int_equal(escalation_return(store, &e, &bob, NULL), HL_CONFLICT);
	assert_int_equal(escalation_return(store, &e, &ada, "he is in a hurry"), HL_OK);
	assert_int_equal(escalation_return(store, &e, &ada, "he is in a hurry"), HL_OK);
	assert_int_equal(escalation_close(store, &e, &admin, NULL), HL_CONFLICT);
	assert_string_equal(e.status, "returned");
	assert_int_equal(conversation_claim(store, &conv.place, &next.lease), HL_CONFLICT);	/* nothing is owed */
	assert_int_equal(answer(&late.lease, "too late", NULL, &how, &seq), HL_OK);
	assert_int_equal(how, COMMIT_FENCED);
	assert_int_equal(say(&conv, "what was it?", "c4", &next), HL_OK);
	assert_int_equal(next.how, ACCEPTED_RUN);
	assert_int_equal(next.lease.before, 3);
	assert_string_equal(next.lease.escalation_id, "");
	assert_string_equal(next.lease.note.data, "he is in a hurry");
	assert_true(next.lease.context.list[next.lease.context.count - 2].human);
	assert_int_equal(answer(&next.lease, "it was 7", NULL, &how, &seq), HL_OK);
	assert_int_equal(how, COMMITTED);
	lease_clear(&late.lease);
	lease_clear(&next.lease);
	escalation_clear(&e);
	conversation_clear(&conv);
}

static bool
is_listed(const char *id)
{
	struct escalations all;
	bool found = false;

	assert_int_equal(escalation_list(store, "", &all), HL_OK);
	for (size_t i = 0; i < all.count; i++)
		found = found || str_equal(all.list[i].id, id);
	escalations_free(&all);
	return found;
}

TASK_TEST(only_an_admin_ends_what_is_not_his)
{
	struct conversation conv;
	struct acceptance late;
	struct escalation e;
	enum committed how;
	int64_t seq;

	(void)arg;
	new_escalation(&conv, &late, &e);
	assert_true(is_listed(e.id));
	assert_int_equal(escalation_close(store, &e, &ada, NULL), HL_CONFLICT);
	assert_int_equal(escalation_close(store, &e, &admin, "nothing to do"), HL_OK);
	assert_string_equal(e.resolution.data, "nothing to do");
	assert_false(is_listed(e.id));
	/* Nobody had taken it: the assistant's turn goes on. */
	assert_int_equal(answer(&late.lease, "in time", NULL, &how, &seq), HL_OK);
	assert_int_equal(how, COMMITTED);
	lease_clear(&late.lease);
	escalation_clear(&e);
	conversation_clear(&conv);
	new_escalation(&conv, &late, &e);
	assert_int_equal(escalation_take(store, &e, &ada), HL_OK);
	assert_true(is_listed(e.id));
	assert_int_equal(escalation_close(store, &e, &bob, NULL), HL_CONFLICT);
	assert_int_equal(escalation_close(store, &e, &admin, NULL), HL_OK);
	assert_int_equal(conversation_delete(store, conv.id), HL_OK);
	assert_int_equal(escalation_take(store, &e, &ada), HL_NOT_FOUND);
	escalation_clear(&e);
	lease_clear(&late.lease);
	conversation_clear(&conv);
}

/* Creates sessions from addresses until one is refused; returns how many were not. */
static int
sessions_from(const char *const addresses[2])
{
	struct conversation conv;
	int64_t retry = 0;
	int taken = 0;

	for (;; taken++) {
		struct limits limits = { .address = addresses[taken % 2] };
		enum hl_err err = conversation_create(store, "ada", NULL, false, &limits, &conv, &retry);

		conversation_clear(&conv);
		if (err == HL_TOO_MANY)
			return taken;
		assert_int_equal(err, HL_OK);
	}
}

TASK_TEST(an_ipv6_network_counts_as_one_address)
{
	static const char *const one[] = { "2001:db8:1:2::1", "2001:db8:1:2:ffff::9" };
	static const char *const two[] = { "2001:db8:1:3::1", "2001:db8:1:4::1" };

	(void)arg;
	assert_in_range(sessions_from(one), 10, 13);
	assert_in_range(sessions_from(two), 20, 26);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_stored_once_and_answered_once),
		cmocka_unit_test(an_answer_that_was_talked_over_is_what_was_heard_of_it),
		cmocka_unit_test(only_the_assistants_own_answer_is_cut),
		cmocka_unit_test(strangers_and_unknown_sessions_are_refused),
		cmocka_unit_test(messages_that_come_meanwhile_are_one_next_turn),
		cmocka_unit_test(a_lease_that_ends_far_from_now_ends_soon),
		cmocka_unit_test(who_has_lost_the_lease_cannot_answer),
		cmocka_unit_test(a_second_escalation_joins_the_first),
		cmocka_unit_test(what_is_remembered_is_as_what_is_read),
		cmocka_unit_test(a_full_conversation_takes_no_more),
		cmocka_unit_test(from_a_take_on_the_assistant_is_silent),
		cmocka_unit_test(after_a_return_the_assistant_knows_what_was_said),
		cmocka_unit_test(only_an_admin_ends_what_is_not_his),
		cmocka_unit_test(an_ipv6_network_counts_as_one_address),
		cmocka_unit_test(floods_are_limited_and_a_repeated_message_is_not),
	};

	return cmocka_run_group_tests(tests, set_up, own_redis_tear_down);
}
