/*
 * desk_test - desk conversations against a real Redis: who may have them, what a turn stores, lists, what is left of one
 * that is deleted, and numbers that equal a recount whatever happens at once.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "loop/task.h"
#include "records/desk.h"
#include "records/escalation.h"
#include "own_redis.h"

static struct store *const store = &own_store;

/* Keyed names of accounts and agents; nothing is stored of them here. */
static char ann[CRYPTO_NAME_LEN + 1], bob[CRYPTO_NAME_LEN + 1], agents[3][CRYPTO_NAME_LEN + 1];
static char ann_id[ID_LEN + 1];

static int
set_up(void **state)
{
	int failed = own_redis_set_up(state);

	id_new(ann_id);
	id_new(ann);
	id_new(bob);
	for (int i = 0; i < 3; i++)
		id_new(agents[i]);
	return failed;
}

/* ---- hands ---- */

static const struct desk_access by_ann = { .account = ann }, by_bob = { .account = bob }, by_nobody = { .by_id = true };

static void
begin(const char *account, const char *agent, bool anonymous, struct desk_conversation *c)
{
	struct desk_new n = { .account = account, .user_id = ann_id, .agent = agent, .company = agent ? "Kettle & Co" : NULL,
		.simulator = agent == NULL, .anonymous = anonymous, .welcome = "Welcome! \"What\" can I do?" };
	int64_t retry;

	assert_int_equal(desk_create(store, &n, c, &retry), HL_OK);
}

static enum hl_err
say(const char *id, const char *account, bool by_id, const char *text, struct acceptance *a)
{
	char client_id[ID_LEN + 1];
	struct incoming in = { .id = id, .account = account, .by_id = by_id, .text = text, .text_len = strlen(text),
		.client_id = client_id, .client_named = true };

	id_new(client_id);
	return conversation_accept(store, &in, a);
}

static bool others_write;	/* what was stored may be gone at once */

static enum committed
answer(struct lease *l, const char *reason, const struct found *found)
{
	struct outgoing o = { .entry = BUF_INIT(4096), .event_head = BUF_INIT(100), .event_tail = BUF_INIT(100),
		.escalation = BUF_INIT(1000), .reason = reason, .found = *found };
	enum committed how, again;
	int64_t seq, same;

	id_new(o.id);
	id_new(o.escalation_id);
	if (*l->escalation_id)
		strcpy(o.escalation_id, l->escalation_id);
	counts_add(&o.counts, l->desk.agent, "answers", 1);
	buf_printf(&o.entry, "{\"role\":\"assistant\",\"content\":\"an answer\",\"ts\":1,\"for\":%lld}", (long long)l->covered);
	buf_puts(&o.escalation, "{\"sessionId\":");
	json_view_write(&o.escalation, json_view_get(l->data, "id"));
	buf_putc(&o.escalation, '}');
	assert_int_equal(conversation_commit(store, l, &o, &how, &seq), HL_OK);
	if (how != COMMIT_FENCED && !others_write) {
		assert_int_equal(conversation_commit(store, l, &o, &again, &same), HL_OK);
		assert_int_equal(same, seq);		/* the same commit twice is done, and counted, once */
	}
	buf_free(&o.entry);
	buf_free(&o.escalation);
	return how;
}

/* A message and its answer. */
static void
turn(const char *id, const char *account, bool by_id, const char *text, const char *reason, const struct found *found)
{
	struct acceptance a;

	assert_int_equal(say(id, account, by_id, text, &a), HL_OK);
	assert_int_equal(a.how, ACCEPTED_RUN);
	assert_int_equal(answer(&a.lease, reason, found), COMMITTED);
	lease_clear(&a.lease);
}

static void
read_one(const struct desk_access *by, const char *id, struct desk_conversation *c)
{
	assert_int_equal(desk_read(store, by, id, 0, c), HL_OK);
}

static void
assert_gone(const struct desk_access *by, const char *id)
{
	struct desk_conversation c;

	assert_int_equal(desk_read(store, by, id, 0, &c), HL_NOT_FOUND);
}

static int64_t
analytics(const char *account, const char *agent, const char *metric)
{
	char key[CONVERSATION_KEY_MAX];

	analytics_key(account, clock_wall_ms() / DESK_DAY_MS, key);
	return redis_int(own_redis("HGET %s %s:%s", key, agent, metric));
}

/* ---- one conversation ---- */

TASK_TEST(a_conversation_is_kept_as_it_was_begun)
{
	struct desk_conversation c, read;
	const char *text;
	size_t len;

	(void)arg;
	begin(ann, agents[0], false, &c);
	assert_int_equal(c.seq, 1);
	assert_int_equal(c.messages.count, 1);
	read_one(&by_ann, c.id, &read);
	assert_string_equal(read.id, c.id);
	assert_string_equal(read.user_id, ann_id);
	assert_string_equal(read.agent, agents[0]);
	assert_string_equal(read.account, ann);
	assert_int_equal(read.sentiment, SENTIMENT_PENDING);
	assert_int_equal(read.status, DESK_ACTIVE);
	assert_int_equal(read.messages.count, 1);
	text = entry_content(&read.messages.list[0], &len);
	assert_int_equal(len, strlen("Welcome! \"What\" can I do?"));
	assert_memory_equal(text, "Welcome! \"What\" can I do?", len);
	assert_string_equal(read.messages.list[0].id, c.messages.list[0].id);
	assert_true(c.version > 0 && c.version == read.version);
	assert_int_equal(redis_int(own_redis("PTTL c:{0}:%s", c.place.h)), -1);
	desk_clear(&read);
	desk_clear(&c);
}

TASK_TEST(a_request_that_comes_twice_begins_one)
{
	struct desk_new n = { .account = ann, .user_id = ann_id, .agent = agents[0], .company = "Kettle & Co", .welcome = "Welcome!",
		.title = "About a kettle", .once = "4-1-1-1700000000.000" };
	struct desk_conversation first, again, other;
	struct desk_stats before, after;
	int64_t retry;

	(void)arg;
	assert_int_equal(desk_stats(store, ann, &before), HL_OK);
	assert_int_equal(desk_create(store, &n, &first, &retry), HL_OK);
	assert_int_equal(desk_create(store, &n, &again, &retry), HL_OK);
	assert_string_equal(again.id, first.id);
	assert_string_equal(again.title.data, "About a kettle");
	assert_int_equal(again.created_ms, first.created_ms);
	assert_int_equal(again.messages.count, 1);
	assert_string_equal(again.messages.list[0].id, first.messages.list[0].id);
	assert_int_equal(desk_stats(store, ann, &after), HL_OK);
	assert_int_equal(after.calls, before.calls + 1);
	n.account = bob;		/* the same name of a request is somebody else's */
	assert_int_equal(desk_create(store, &n, &other, &retry), HL_OK);
	assert_string_not_equal(other.id, first.id);
	assert_int_equal(desk_delete(store, &by_ann, first.id, true), HL_OK);
	assert_int_equal(desk_delete(store, &by_bob, other.id, true), HL_OK);
	desk_clear(&other);
	assert_int_equal(desk_create(store, &n, &other, &retry), HL_NOT_FOUND);	/* it may be on its way still */
	desk_stats_free(&before);
	desk_stats_free(&after);
	desk_clear(&first);
	desk_clear(&again);
	desk_clear(&other);
}

TASK_TEST(others_do_not_find_it)
{
	struct desk_access admin = { .account = bob, .admin = true }, guest = { .account = bob, .by_id = true };
	struct desk_change change = { .satisfaction = 5 };
	struct desk_conversation c, read;
	struct conversation session;
	struct entries none;
	struct acceptance a;
	struct incoming in = { .user_id = ann_id, .text = "x", .text_len = 1, .client_id = "c" };
	int64_t retry;

	(void)arg;
	begin(ann, agents[0], false, &c);
	assert_gone(&by_bob, c.id);
	assert_gone(&by_nobody, c.id);
	assert_gone(&guest, c.id);
	assert_gone(&by_ann, "not an id");
	assert_int_equal(desk_change(store, &by_bob, c.id, &change, &read), HL_NOT_FOUND);
	assert_int_equal(desk_change(store, &admin, c.id, &change, &read), HL_NOT_FOUND);	/* reads only */
	assert_int_equal(desk_delete(store, &by_bob, c.id, false), HL_NOT_FOUND);
	assert_int_equal(say(c.id, bob, false, "x", &a), HL_NOT_FOUND);
	assert_int_equal(say(c.id, NULL, true, "x", &a), HL_NOT_FOUND);
	read_one(&admin, c.id, &read);
	desk_clear(&read);
	/* the chat API has no part in it, nor the desk in a session */
	in.id = c.id;
	assert_int_equal(conversation_accept(store, &in, &a), HL_NOT_FOUND);
	assert_int_equal(conversation_read(store, c.id, NULL, 0, true, &session, &none), HL_NOT_FOUND);
	assert_int_equal(conversation_create(store, "ada", NULL, false, &(struct limits){ 0 }, &session, &retry), HL_OK);
	assert_gone(&admin, session.id);
	assert_int_equal(say(session.id, ann, true, "x", &a), HL_NOT_FOUND);
	assert_int_equal(say(session.id, NULL, true, "x", &a), HL_NOT_FOUND);
	conversation_clear(&session);
	desk_clear(&c);
}

TASK_TEST(one_begun_without_a_token_is_open_to_its_id_until_it_ends_or_idles)
{
	static const struct found nothing = { .sentiment = SENTIMENT_NEUTRAL };
	struct desk_change end = { .set_status = true, .status = DESK_COMPLETED };
	struct desk_access guest = { .account = bob, .by_id = true };
	struct desk_conversation c, read;
	struct acceptance a;

	(void)arg;
	begin(ann, agents[0], true, &c);
	assert_gone(&by_bob, c.id);		/* a list of one's own does not show it */
	turn(c.id, NULL, true, "hello", NULL, &nothing);
	turn(c.id, bob, true, "hello", NULL, &nothing);
	turn(c.id, ann, false, "hello", NULL, &nothing);
	read_one(&by_nobody, c.id, &read);
	assert_int_equal(read.messages.count, 7);
	desk_clear(&read);
	read_one(&guest, c.id, &read);
	desk_clear(&read);
	own_redis("HSET c:{0}:%s lm %lld", c.place.h,
	    (long long)(clock_wall_ms() - store->conf->session_timeout_ms - 10000));
	assert_gone(&by_nobody, c.id);
	assert_int_equal(say(c.id, NULL, true, "x", &a), HL_NOT_FOUND);
	desk_clear(&c);
	begin(ann, agents[0], true, &c);
	assert_int_equal(desk_change(store, &by_ann, c.id, &end, &read), HL_OK);
	desk_clear(&read);
	assert_gone(&by_nobody, c.id);
	assert_int_equal(say(c.id, NULL, true, "x", &a), HL_NOT_FOUND);
	turn(c.id, ann, false, "one more thing", NULL, &nothing);	/* its owner goes on */
	read_one(&by_nobody, c.id, &read);
	assert_int_equal(read.status, DESK_ACTIVE);
	assert_int_equal(read.ended_ms, 0);
	desk_clear(&read);
	desk_clear(&c);
}

TASK_TEST(a_turn_stores_what_it_found)
{
	struct found found = { .sentiment = SENTIMENT_NEGATIVE, .intents = 1, .title = "Kettle does not boil",
		.agent = agents[1], .company = "Boilers" };
	struct desk_change rename = { .title = "Mine \xc3\xa4", .title_by_person = true };
	struct desk_conversation c, read;
	struct acceptance a;
	char longest[DESK_TITLE_MAX + 2];

	(void)arg;
	begin(ann, NULL, false, &c);
	assert_int_equal(say(c.id, ann, false, "my kettle", &a), HL_OK);
	assert_true(a.lease.desk.desk && a.lease.desk.simulator && !a.lease.desk.answered && !a.lease.desk.title_by_person);
	assert_string_equal(a.lease.desk.account, ann);
	assert_string_equal(a.lease.desk.agent, "");
	assert_int_equal(a.lease.desk.sentiment, SENTIMENT_PENDING);
	assert_true(json_view_is(json_view_get(a.lease.data, "id"), c.id));
	assert_true(json_view_is(json_view_get(a.lease.data, "userId"), ann_id));
	assert_int_equal(a.lease.context.count, 2);
	assert_int_equal(answer(&a.lease, NULL, &found), COMMITTED);
	lease_clear(&a.lease);
	assert_int_equal(analytics(ann, "-", "answers"), 1);
	read_one(&by_ann, c.id, &read);
	assert_string_equal(read.title.data, "Kettle does not boil");
	assert_string_equal(read.agent, agents[1]);
	assert_int_equal(read.sentiment, SENTIMENT_NEGATIVE);
	assert_true(read.first_ms > 0 && read.last_ms >= read.first_ms);
	desk_clear(&read);

	found = (struct found){ .sentiment = SENTIMENT_POSITIVE, .intents = 8, .title = "Something else" };
	assert_int_equal(say(c.id, ann, false, "thanks", &a), HL_OK);
	assert_true(a.lease.desk.answered);
	assert_int_equal(a.lease.desk.sentiment, SENTIMENT_NEGATIVE);
	assert_int_equal(a.lease.desk.intents, 1);
	assert_string_equal(a.lease.desk.title.data, "Kettle does not boil");
	assert_string_equal(a.lease.desk.agent, agents[1]);
	assert_int_equal(desk_change(store, &by_ann, c.id, &rename, &read), HL_OK);	/* while the turn is under way */
	assert_string_equal(read.title.data, "Mine \xc3\xa4");
	assert_int_equal(read.messages.count, 4);
	desk_clear(&read);
	assert_int_equal(answer(&a.lease, NULL, &found), COMMITTED);
	lease_clear(&a.lease);
	read_one(&by_ann, c.id, &read);
	assert_string_equal(read.title.data, "Mine \xc3\xa4");
	assert_true(read.title_by_person);
	assert_int_equal(read.intents, 9);
	desk_clear(&read);

	/* a title of any length comes back, also a shorter one after a longer one */
	memset(longest, 'x', sizeof(longest));
	for (size_t len = DESK_TITLE_MAX; len > 0; len = len > 90 ? 90 : len > 80 ? len - 1 : len / 2) {
		longest[len] = '\0';
		rename.title = longest;
		assert_int_equal(desk_change(store, &by_ann, c.id, &rename, &read), HL_OK);
		assert_int_equal(read.title.len, len);
		desk_clear(&read);
	}
	memset(longest, 'x', DESK_TITLE_MAX + 1);
	longest[DESK_TITLE_MAX + 1] = '\0';
	assert_int_equal(desk_change(store, &by_ann, c.id, &rename, &read), HL_TOO_LARGE);
	desk_clear(&c);
}

TASK_TEST(a_turn_is_recovered_with_what_the_engine_must_know)
{
	struct desk_conversation c;
	struct acceptance a;
	struct lease l;

	(void)arg;
	begin(ann, agents[0], false, &c);
	assert_int_equal(say(c.id, ann, false, "hello", &a), HL_OK);
	lease_clear(&a.lease);
	own_redis("ZADD due:{0} XX 0 %s", c.place.h);
	assert_int_equal(conversation_claim(store, &c.place, &l), HL_OK);
	assert_true(l.desk.desk);
	assert_string_equal(l.desk.agent, agents[0]);
	assert_true(json_view_is(json_view_get(l.data, "id"), c.id));
	assert_int_equal(answer(&l, NULL, &(struct found){ 0 }), COMMITTED);
	lease_clear(&l);
	assert_int_equal(redis_int(own_redis("PTTL c:{0}:%s", c.place.h)), -1);
	assert_int_equal(redis_int(own_redis("HEXISTS c:{0}:%s by", c.place.h)), 0);
	desk_clear(&c);
}

/* ---- with a person, and the end of everything ---- */

static size_t
keys_that_name(const char *h)
{
	const struct redis_reply *reply = own_redis("KEYS *%s*", h);

	return redis_length(reply);
}

TASK_TEST(its_escalation_belongs_to_its_owner_and_ends_with_it)
{
	static const struct found upset = { .sentiment = SENTIMENT_URGENT };
	struct staff staff = { .name = "sue" };
	struct reply text = { .text = "I am here", .len = 9, .client_id = "r1", .client_named = true };
	char other[CRYPTO_NAME_LEN + 1], last[ID_LEN + 1];
	struct desk_conversation c, read;
	struct escalations mine;
	struct escalation e;
	struct entry entry;
	struct acceptance a;

	(void)arg;
	id_new(other);
	begin(other, agents[0], false, &c);
	for (int i = 0; i < 2; i++) {
		turn(c.id, other, false, "a person, please", "asked_for_person", &upset);
		assert_int_equal(escalation_list_of(store, ann, "", &mine), HL_OK);
		assert_int_equal(mine.count, 0);
		escalations_free(&mine);
		assert_int_equal(escalation_list_of(store, other, "", &mine), HL_OK);
		assert_int_equal(mine.count, 1);
		strcpy(last, mine.list[0].id);
		escalations_free(&mine);
		assert_int_equal(escalation_read(store, last, &e), HL_OK);
		assert_string_equal(e.account, other);
		assert_int_equal(escalation_take(store, &e, &staff), HL_OK);
		assert_int_equal(escalation_reply(store, &e, &staff, &text, &entry), HL_OK);
		entry_clear(&entry);
		text.client_id = "r2";
		assert_int_equal(say(c.id, other, false, "thanks", &a), HL_OK);
		assert_false(a.owner_ai);
		assert_int_equal(redis_int(own_redis("PTTL e:{0}:%s", last)), -1);
		assert_int_equal(redis_int(own_redis("PTTL c:{0}:%s", c.place.h)), -1);
		if (i == 0)
			assert_int_equal(escalation_return(store, &e, &staff, "be kind"), HL_OK);
		escalation_clear(&e);
	}
	read_one(&(struct desk_access){ .account = other }, c.id, &read);
	assert_true(read.person && read.escalated);
	assert_int_equal(read.seq, 9);
	desk_clear(&read);
	assert_int_equal(analytics(other, agents[0], "escalated"), 1);
	assert_int_equal(analytics(other, agents[0], "asked"), 4);
	assert_int_equal(analytics(other, agents[0], "replies"), 2);
	assert_int_equal(desk_delete(store, &(struct desk_access){ .account = other }, c.id, false), HL_OK);
	assert_gone(&(struct desk_access){ .account = other }, c.id);
	assert_int_equal(keys_that_name(c.place.h), 0);
	assert_int_equal(keys_that_name(last), 0);
	assert_int_equal(redis_length(own_redis("ZRANGE u:{0}:%s:conversations 0 -1", other)), 0);
	assert_int_equal(redis_length(own_redis("ZRANGE u:{0}:%s:recent 0 -1", other)), 0);
	assert_int_equal(redis_length(own_redis("ZRANGE u:{0}:%s:open 0 -1", other)), 0);
	assert_int_equal(redis_type(own_redis("ZSCORE due:{0} %s", c.place.h)), REDIS_NIL);
	assert_int_equal(redis_type(own_redis("ZSCORE open:{0} %s", last)), REDIS_NIL);
	assert_int_equal(redis_length(own_redis("KEYS e:*")), 0);
	assert_int_equal(analytics(other, agents[0], "escalated"), 0);
	desk_clear(&c);
}

TASK_TEST(what_follows_from_messages_is_refused_when_there_are_more)
{
	struct desk_change change = { .set_insight = true, .sentiment = SENTIMENT_URGENT };
	struct desk_conversation c, read;
	struct acceptance a;

	(void)arg;
	begin(ann, agents[0], false, &c);
	change.if_seq = c.seq;
	assert_int_equal(say(c.id, ann, false, "hello", &a), HL_OK);
	assert_int_equal(desk_change(store, &by_ann, c.id, &change, &read), HL_CONFLICT);
	change.if_seq++;
	assert_int_equal(desk_change(store, &by_ann, c.id, &change, &read), HL_OK);
	assert_int_equal(read.sentiment, SENTIMENT_URGENT);
	assert_int_equal(desk_delete(store, &by_ann, c.id, false), HL_OK);
	lease_clear(&a.lease);
	desk_clear(&read);
	desk_clear(&c);
}

TASK_TEST(a_turn_of_a_deleted_conversation_is_fenced)
{
	struct desk_conversation c;
	struct acceptance a;

	(void)arg;
	begin(ann, agents[0], false, &c);
	assert_int_equal(say(c.id, ann, false, "hello", &a), HL_OK);
	assert_int_equal(desk_delete(store, &by_ann, c.id, false), HL_OK);
	assert_int_equal(answer(&a.lease, NULL, &(struct found){ 0 }), COMMIT_FENCED);
	assert_int_equal(keys_that_name(c.place.h), 0);
	lease_clear(&a.lease);
	desk_clear(&c);
}

/* ---- lists ---- */

#define MANY	120

static void
list(struct desk_query *q, struct desk_page *page)
{
	assert_int_equal(desk_list(store, q, page), HL_OK);
}

TASK_TEST(pages_show_each_once_newest_first)
{
	char account[CRYPTO_NAME_LEN + 1], ids[MANY][ID_LEN + 1];
	struct desk_query q = { .account = account, .limit = 7 };
	struct desk_conversation c;
	struct desk_page page;
	char cursor[DESK_CURSOR_MAX] = "";
	int seen = MANY;

	(void)arg;
	id_new(account);
	for (int i = 0; i < MANY; i++) {
		begin(account, agents[0], false, &c);
		own_redis("ZADD u:{0}:%s:conversations XX %d %s", account, 1000 + i / 10, c.place.h);	/* many of one time */
		strcpy(ids[i], c.id);
		desk_clear(&c);
	}
	do {
		q.cursor = cursor;
		list(&q, &page);
		assert_true(page.count > 0);
		for (size_t i = 0; i < page.count; i++) {
			int at = -1;

			for (int j = 0; j < MANY; j++)
				if (str_equal(ids[j], page.list[i].id))
					at = j;
			assert_true(at >= 0);
			assert_true(at / 10 == (seen - 1) / 10);
			ids[at][0] = '\0';
			seen--;
		}
		strcpy(cursor, page.cursor);
		/* the one that the cursor names may go meanwhile */
		if (*cursor)
			assert_int_equal(desk_delete(store, &(struct desk_access){ .account = account },
			    page.list[page.count - 1].id, false), HL_OK);
		desk_page_free(&page);
	} while (*cursor);
	assert_int_equal(seen, 0);
	q.cursor = "1.x";
	assert_int_equal(desk_list(store, &q, &page), HL_BAD_REQUEST);
	q.cursor = "12345678901234567890.aaaaaaaaaaaaaaaaaaaaaa";
	assert_int_equal(desk_list(store, &q, &page), HL_BAD_REQUEST);
}

/* How many of a page are as they were known to be; all of the page is known afterwards. */
static size_t
same_as_known(struct desk_query *q, struct desk_known *known)
{
	struct desk_page page;
	size_t same = 0;

	list(q, &page);
	for (size_t i = 0; i < page.count; i++) {
		const struct desk_conversation *c = &page.list[i];

		same += c->same;
		if (!c->same) {
			assert_string_not_equal(c->id, "");
			assert_int_equal(c->messages.count, c->seq);
			assert_true(c->changed <= page.version);
			known[i].changed = c->changed;
		}
		memcpy(known[i].h, c->place.h, sizeof(known[i].h));
	}
	q->known = known;
	q->known_count = page.count;
	q->known_version = page.version;
	desk_page_free(&page);
	return same;
}

TASK_TEST(what_is_known_is_read_again_when_it_has_changed)
{
	char account[CRYPTO_NAME_LEN + 1];
	const struct desk_access own = { .account = account };
	const struct desk_change title = { .title = "Another" };
	struct desk_query q = { .account = account, .limit = DESK_LIST_MAX };
	struct desk_known known[DESK_LIST_MAX];
	struct desk_conversation c, third;

	(void)arg;
	id_new(account);
	for (int i = 0; i < DESK_LIST_MAX; i++) {
		begin(account, agents[0], false, &c);
		third = c;
		desk_clear(&c);
	}
	own_redis("ZADD u:{0}:%s:conversations XX 1 %s", account, third.place.h);	/* the order is no other than it was */
	assert_int_equal(same_as_known(&q, known), 0);
	assert_int_equal(same_as_known(&q, known), DESK_LIST_MAX);
	assert_int_equal(desk_change(store, &own, third.id, &title, &c), HL_OK);
	desk_clear(&c);
	assert_int_equal(same_as_known(&q, known), DESK_LIST_MAX - 1);
	assert_int_equal(same_as_known(&q, known), DESK_LIST_MAX);
	own_redis("HDEL c:{0}:%s cv", third.place.h);		/* from before there were such numbers */
	assert_int_equal(same_as_known(&q, known), DESK_LIST_MAX - 1);
	assert_int_equal(desk_change(store, &own, third.id, &title, &c), HL_OK);
	desk_clear(&c);
	assert_int_equal(same_as_known(&q, known), DESK_LIST_MAX - 1);
	own_redis("HINCRBY st:{0}:%s v 1", account);
	own_redis("HSET st:{0}:%s av %lld", account, (long long)q.known_version + 1);	/* an agent was deleted */
	assert_int_equal(same_as_known(&q, known), 0);
	assert_int_equal(same_as_known(&q, known), DESK_LIST_MAX);
}

TASK_TEST(filters_and_texts_find_what_they_name)
{
	static const struct found glad = { .sentiment = SENTIMENT_POSITIVE, .title = "\xc3\x84pfel und Birnen" };
	struct desk_change end = { .set_status = true, .status = DESK_COMPLETED };
	char account[CRYPTO_NAME_LEN + 1];
	struct desk_query q = { .account = account, .limit = 50 };
	struct desk_conversation c, read;
	struct desk_page page;
	char target[ID_LEN + 1];

	(void)arg;
	id_new(account);
	for (int i = 0; i < 40; i++) {
		begin(account, agents[i % 2], false, &c);
		if (i == 5) {
			turn(c.id, account, false, "Where is my STRASSE?", NULL, &glad);
			assert_int_equal(desk_change(store, &(struct desk_access){ .account = account }, c.id, &end, &read), HL_OK);
			desk_clear(&read);
			strcpy(target, c.id);
		}
		desk_clear(&c);
	}
	q.agent = agents[1];
	list(&q, &page);
	assert_int_equal(page.count, 20);
	desk_page_free(&page);
	q = (struct desk_query){ .account = account, .limit = 50, .by_status = true, .status = DESK_COMPLETED };
	list(&q, &page);
	assert_int_equal(page.count, 1);
	assert_string_equal(page.list[0].id, target);
	assert_string_equal(page.cursor, "");
	desk_page_free(&page);
	q = (struct desk_query){ .account = account, .limit = 50, .by_sentiment = true, .sentiment = SENTIMENT_PENDING };
	list(&q, &page);
	assert_int_equal(page.count, 39);
	desk_page_free(&page);
	static const char *const found[] = { "my strasse", "\xc3\xa4PFEL", "birnen" };

	for (size_t i = 0; i < 3; i++) {
		q = (struct desk_query){ .account = account, .limit = 50, .text = found[i] };
		list(&q, &page);
		assert_int_equal(page.count, 1);
		assert_string_equal(page.list[0].id, target);
		desk_page_free(&page);
	}
	q.text = "welcome!";
	q.limit = 10;
	list(&q, &page);
	assert_int_equal(page.count, 10);
	assert_true(*page.cursor);
	q.cursor = strdup(page.cursor);
	desk_page_free(&page);
	q.limit = 50;
	list(&q, &page);
	assert_int_equal(page.count, 30);
	desk_page_free(&page);
	free((char *)(uintptr_t)q.cursor);
}

TASK_TEST(a_search_opens_five_hundred_at_most)
{
	char account[CRYPTO_NAME_LEN + 1];
	struct desk_query q = { .account = account, .limit = 50, .text = "nobody said this" };
	struct desk_conversation c;
	struct desk_page page;

	(void)arg;
	id_new(account);
	for (int i = 0; i < DESK_SCAN_MAX + 30; i++) {
		begin(account, agents[0], false, &c);
		desk_clear(&c);
	}
	list(&q, &page);
	assert_int_equal(page.count, 0);
	assert_true(*page.cursor);
	q.cursor = strdup(page.cursor);
	desk_page_free(&page);
	list(&q, &page);
	assert_string_equal(page.cursor, "");
	desk_page_free(&page);
	free((char *)(uintptr_t)q.cursor);
}

/* ---- numbers ---- */

/* What the lists come to. */
static void
recount(const char *account, struct desk_stats *st, int64_t days[9])
{
	struct desk_query q = { .account = account, .limit = DESK_LIST_MAX };
	char cursor[DESK_CURSOR_MAX] = "";
	struct desk_page page;

	*st = (struct desk_stats){ 0 };
	memset(days, 0, 9 * sizeof(days[0]));
	do {
		q.cursor = cursor;
		list(&q, &page);
		for (size_t i = 0; i < page.count; i++) {
			const struct desk_conversation *c = &page.list[i];
			bool over = c->status != DESK_ACTIVE;

			assert_int_equal(c->seq, c->messages.count);
			st->calls++;
			st->messages += (int64_t)c->messages.count;
			st->timed += c->first_ms > 0;
			st->seconds += desk_duration(c);
			if (c->last_ms > st->last_ms)
				st->last_ms = c->last_ms;
			if (c->sentiment != SENTIMENT_PENDING)
				st->sentiments[c->sentiment]++;
			st->company_count |= *c->agent != '\0';
			days[0]++;
			days[1] += over;
			days[2] += c->escalated;
			days[3] += over && !c->escalated;
			if (c->satisfaction)
				days[3 + c->satisfaction]++;
		}
		strcpy(cursor, page.cursor);
		desk_page_free(&page);
	} while (*cursor);
}

static int64_t
metric_of_all_agents(const char *account, const char *metric)
{
	int64_t n = analytics(account, "-", metric);

	for (int i = 0; i < 3; i++)
		n += analytics(account, agents[i], metric);
	/* a day may have ended meanwhile */
	return n;
}

static void
assert_numbers(const char *account)
{
	static const char *const metrics[] = { "volume", "completed", "escalated", "resolved", "r1", "r2", "r3", "r4", "r5" };
	int64_t days[9], day = clock_wall_ms() / DESK_DAY_MS;
	struct desk_stats kept, counted;

	recount(account, &counted, days);
	assert_int_equal(desk_stats(store, account, &kept), HL_OK);
	assert_int_equal(kept.calls, counted.calls);
	assert_int_equal(kept.messages, counted.messages);
	assert_int_equal(kept.timed, counted.timed);
	assert_int_equal(kept.seconds, counted.seconds);
	assert_int_equal(kept.last_ms, counted.last_ms);
	for (int i = 0; i < SENTIMENTS; i++)
		assert_int_equal(kept.sentiments[i], counted.sentiments[i]);
	assert_int_equal(kept.company_count, counted.company_count);
	if (kept.company_count)
		assert_string_equal(kept.companies[0].data, "Kettle & Co");
	desk_stats_free(&kept);
	for (int i = 0; i < 9; i++) {
		int64_t n = metric_of_all_agents(account, metrics[i]);

		if (clock_wall_ms() / DESK_DAY_MS == day)
			assert_int_equal(n, days[i]);
	}
}

#define POOL	12		/* conversations that writers have at once */

struct writers {
	const char	*account;
	char		 pool[POOL][ID_LEN + 1];
	int		 ops;		/* of each; negative: for ever */
	unsigned	 seed;
};

static unsigned
draw(struct writers *w, unsigned below)
{
	w->seed = w->seed * 1103515245u + 12345u;
	return (w->seed >> 16) % below;
}

static void
one_turn(struct writers *w, const char *id)
{
	struct found found = { .sentiment = (enum sentiment)draw(w, SENTIMENTS), .intents = draw(w, 16), .title = "A new title here" };
	struct acceptance a;

	if (draw(w, 4) == 0) {
		found.agent = agents[draw(w, 3)];
		found.company = "Kettle & Co";
	}
	if (say(id, w->account, false, "hello", &a) != HL_OK || a.how != ACCEPTED_RUN)
		return;
	(void)answer(&a.lease, draw(w, 3) == 0 ? "keyword" : NULL, &found);
	lease_clear(&a.lease);
}

/* One of the operations that change a conversation; others may do the same to it at this moment, so any may fail. */
static void
one_op(struct writers *w, char *id)
{
	struct desk_access by = { .account = w->account };
	struct desk_change change = { 0 };
	struct desk_conversation c;
	struct staff staff = { .name = "sue", .admin = true };
	struct escalations open;
	struct entry entry;
	char text[ID_LEN + 1];
	struct reply reply = { .text = text, .len = ID_LEN, .client_id = text, .client_named = true };

	switch (*id ? draw(w, 10) : 9) {
	case 0:
		change = (struct desk_change){ .set_status = true, .status = (enum desk_status)draw(w, 3) };
		break;
	case 1:
		change = (struct desk_change){ .satisfaction = 1 + (int)draw(w, 5) };
		break;
	case 2:
		change = (struct desk_change){ .set_insight = true, .sentiment = (enum sentiment)draw(w, SENTIMENTS), .title = "Hm" };
		break;
	case 3:
		(void)!desk_delete(store, &by, id, false);
		*id = '\0';
		return;
	case 4:
	case 5:
		id_new(text);
		assert_int_equal(escalation_list_of(store, w->account, "", &open), HL_OK);
		if (open.count) {
			struct escalation *e = &open.list[draw(w, (unsigned)open.count)];

			if (escalation_take(store, e, &staff) == HL_OK && escalation_reply(store, e, &staff, &reply, &entry) == HL_OK)
				entry_clear(&entry);
			if (draw(w, 2))
				(void)!escalation_return(store, e, &staff, "note");
			else
				(void)!escalation_close(store, e, &staff, NULL);
		}
		escalations_free(&open);
		return;
	case 9:
		begin(w->account, draw(w, 3) ? agents[draw(w, 3)] : NULL, draw(w, 2), &c);
		strcpy(id, c.id);
		desk_clear(&c);
		return;
	default:
		one_turn(w, id);
		return;
	}
	if (desk_change(store, &by, id, &change, &c) == HL_OK)
		desk_clear(&c);
}

static void
write_at_random(void *arg)
{
	struct writers *w = arg;

	for (int i = 0; i < w->ops || w->ops < 0; i++) {
		char id[ID_LEN + 1], *slot = w->pool[draw(w, POOL)];

		strcpy(id, slot);
		one_op(w, id);
		strcpy(slot, id);
	}
}

static void
assert_in_task(void *arg)
{
	assert_numbers(arg);
}

static void
numbers_equal_a_recount_with_many_writers(void **state)
{
	char account[CRYPTO_NAME_LEN + 1];
	struct writers w = { .account = account, .ops = 30, .seed = (unsigned)clock_wall_ms() };

	(void)state;
	id_new(account);
	print_message("seed %u\n", w.seed);
	others_write = true;
	for (int round = 0; round < 12; round++) {
		for (int i = 0; i < 7; i++)
			assert_int_equal(task_start(uv_default_loop(), write_at_random, &w), HL_OK);
		while (task_count())
			uv_run(uv_default_loop(), UV_RUN_ONCE);
		own_redis_run(assert_in_task, account);
	}
}

/* Another process writes and is killed, whatever it does: this many times, after so many changes. */
#define KILLS	8
#define CHANGES	60

static void
await_changes(void *arg)
{
	int64_t began, now;

	assert_int_equal(desk_version(store, arg, &began), HL_OK);
	do {
		assert_int_equal(task_sleep(1), HL_OK);
		assert_int_equal(desk_version(store, arg, &now), HL_OK);
	} while (now < began + CHANGES);
}

static void
count_clients(void *arg)
{
	const char *info = redis_str(own_redis("INFO clients"), NULL);

	*(long *)arg = strtol(strstr(info, "connected_clients:") + strlen("connected_clients:"), NULL, 10);
}

/* What the killed one had sent is carried out before the server finds that it has gone. */
static void
await_clients(void *arg)
{
	long clients;

	for (count_clients(&clients); clients > *(long *)arg; count_clients(&clients))
		assert_int_equal(task_sleep(1), HL_OK);
}

static void
numbers_equal_a_recount_when_writers_are_killed(void **state)
{
	char account[CRYPTO_NAME_LEN + 1], seed[16], program[512] = "";
	long clients;

	(void)state;
	/* Its name: what valgrind runs is not what the link leads to. */
	assert_true(readlink("/proc/self/exe", program, sizeof(program) - 1) > 0);
	id_new(account);
	own_redis_run(count_clients, &clients);
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			snprintf(seed, sizeof(seed), "%u", (unsigned)clock_wall_ms() + (unsigned)i);
			execl(program, "desk_test", own_redis_directory(), account, seed, agents[0], agents[1], agents[2],
			    (char *)NULL);
			_exit(127);
		}
		own_redis_run(await_changes, account);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		own_redis_run(await_clients, &clients);
		own_redis_run(assert_in_task, account);
	}
}

static int
be_a_writer(char **argv)
{
	struct writers w = { .account = argv[2], .ops = -1, .seed = (unsigned)strtoul(argv[3], NULL, 10) };

	for (int i = 0; i < 3; i++)
		snprintf(agents[i], sizeof(agents[i]), "%s", argv[4 + i]);
	id_new(ann_id);
	others_write = true;
	if (own_redis_join(argv[1]))
		return 1;
	for (int i = 0; i < 3; i++)
		if (task_start(uv_default_loop(), write_at_random, &w) != HL_OK)
			return 1;
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_conversation_is_kept_as_it_was_begun),
		cmocka_unit_test(a_request_that_comes_twice_begins_one),
		cmocka_unit_test(others_do_not_find_it),
		cmocka_unit_test(one_begun_without_a_token_is_open_to_its_id_until_it_ends_or_idles),
		cmocka_unit_test(a_turn_stores_what_it_found),
		cmocka_unit_test(a_turn_is_recovered_with_what_the_engine_must_know),
		cmocka_unit_test(its_escalation_belongs_to_its_owner_and_ends_with_it),
		cmocka_unit_test(what_follows_from_messages_is_refused_when_there_are_more),
		cmocka_unit_test(a_turn_of_a_deleted_conversation_is_fenced),
		cmocka_unit_test(pages_show_each_once_newest_first),
		cmocka_unit_test(what_is_known_is_read_again_when_it_has_changed),
		cmocka_unit_test(filters_and_texts_find_what_they_name),
		cmocka_unit_test(a_search_opens_five_hundred_at_most),
		cmocka_unit_test(numbers_equal_a_recount_with_many_writers),
		cmocka_unit_test(numbers_equal_a_recount_when_writers_are_killed),
	};

	if (argc == 7)
		return be_a_writer(argv);
	return cmocka_run_group_tests(tests, set_up, own_redis_tear_down);
}
