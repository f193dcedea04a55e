#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/task.h"
#include "push/answer.h"
#include "push/room.h"

#define BUCKETS		256u
#define ALIAS_BUCKETS	4096u
#define ALIAS_MAX	256u	/* bytes */
#define FAILURES_MAX	8u		/* that make the pause between two tries longer */
#define PAUSE_MAX_MS	5000

/* A task that waits for the subscription. */
struct waiter {
	struct waiter	*next;
	struct task	*task;
	struct deadline	 deadline;
	bool		 done;
};

struct room {
	struct rooms	*rooms;
	struct room	*next;		/* in its bucket */
	struct room	*next_alias;	/* in the bucket of aliases */
	char		*alias;		/* or NULL */
	size_t		 alias_len;
	char		 tag[PUBLICATION_TAG_MAX];
	struct redis_sub *sub;
	struct member	*members;
	struct waiter	*waiters;
	bool		 was_ready;
	bool		 waking;	/* wake_waiters() is at work: do not free it */
	int64_t		 epoch;		/* the highest seen */
	struct job	 replay;
	bool		 replaying;
	/* the seq that a replay has been asked for: no gap before it counts any more */
	int64_t		 asked;
	unsigned	 failures;
	struct deadline	 retry;		/* of a replay that failed */
	struct held_list held;		/* while replaying */
	bool		 overflow;	/* some could not be held: one more replay brings them */
	bool		 again;		/* a replay was asked for while one was running */
	char		 name[];
};

/* ---- the table ---- */

static struct room **
slot(struct rooms *rooms, const char *name)
{
	struct room **at = &rooms->table[str_hash(name, strlen(name)) & (rooms->buckets - 1)];

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void
grow(struct rooms *rooms)
{
	struct room **old = rooms->table, *r, *next;
	size_t n = rooms->buckets;

	rooms->table = calloc(n * 4, sizeof(struct room *));
	if (rooms->table == NULL) {
		rooms->table = old;
		return;
	}
	rooms->buckets = n * 4;
	for (size_t i = 0; i < n; i++)
		for (r = old[i]; r; r = next) {
			next = r->next;
			r->next = NULL;
			*slot(rooms, r->name) = r;
		}
	free(old);
}

enum hl_err
rooms_init(struct rooms *rooms)
{
	rooms->buckets = BUCKETS;
	rooms->count = 0;
	rooms->table = calloc(BUCKETS, sizeof(struct room *));
	rooms->aliases = calloc(ALIAS_BUCKETS, sizeof(struct room *));
	return rooms->table && rooms->aliases ? HL_OK : HL_NO_MEMORY;
}

void
rooms_free(struct rooms *rooms)
{
	free(rooms->table);
	free(rooms->aliases);
	rooms->table = rooms->aliases = NULL;
}

/* ---- aliases ---- */

static struct room **
alias_bucket(const struct rooms *rooms, const char *alias, size_t len)
{
	return &rooms->aliases[str_hash(alias, len) % ALIAS_BUCKETS];
}

static void
set_alias(struct room *r, const char *alias, size_t len)
{
	struct room **at;

	if (r->alias || len == 0 || len > ALIAS_MAX || (r->alias = malloc(len)) == NULL)
		return;
	memcpy(r->alias, alias, len);
	r->alias_len = len;
	at = alias_bucket(r->rooms, alias, len);
	r->next_alias = *at;
	*at = r;
	publication_tag(r->name, (struct span){ alias, len }, r->tag);
}

static void
drop_alias(struct room *r)
{
	struct room **at;

	if (r->alias == NULL)
		return;
	at = alias_bucket(r->rooms, r->alias, r->alias_len);
	while (*at != r)
		at = &(*at)->next_alias;
	*at = r->next_alias;
	free(r->alias);
}

void
room_alias(struct member *m, struct span alias)
{
	set_alias(m->room, alias.p, alias.len);
}

struct span
room_alias_of(const struct member *m)
{
	return (struct span){ m->room->alias, m->room->alias_len };
}

const char *
room_tag(const struct member *m)
{
	return m->room->tag;
}

const struct room *
room_called(const struct rooms *rooms, struct span alias, const struct room *after)
{
	const struct room *r = after ? after->next_alias : *alias_bucket(rooms, alias.p, alias.len);

	while (r && (r->alias_len != alias.len || memcmp(r->alias, alias.p, alias.len) != 0))
		r = r->next_alias;
	return r;
}

const struct member *
room_members(const struct room *r)
{
	return r->members;
}

/* ---- lives ---- */

static void
room_free(struct room *r)
{
	drop_alias(r);
	*slot(r->rooms, r->name) = r->next;
	r->rooms->count--;
	redis_unsubscribe(r->sub);
	held_drop(&r->held);
	deadline_end(r->rooms->deadlines, &r->retry);
	free(r);
}

/* Nobody is in it and nobody works on it. */
static bool
room_is_over(const struct room *r)
{
	return r->members == NULL && r->waiters == NULL && !r->waking;
}

/* ---- delivery ---- */

static void
deliver(struct member *m, struct publication *p)
{
	if (p->seq) {
		if (p->seq <= m->last)
			return;
		m->last = p->seq;
	}
	m->room->rooms->deliver(m->owner, p);
}

static bool
has_gap(const struct room *r, const struct publication *p)
{
	if (p->seq == 0 || p->seq <= r->asked)
		return false;
	for (const struct member *m = r->members; m; m = m->next)
		if (m->live && m->last >= 0 && p->seq > m->last + 1)
			return true;
	return false;
}

/* over: what it may lead to has been told to those who are live, the end of an answer before its words. */
static void
deliver_to_all(struct room *r, struct publication *p, bool over)
{
	for (struct member *m = r->members; m; m = m->next) {
		if (m->live && !(over && p->passing))
			deliver(m, p);
		else if (!m->live && !held_add(&m->held, p))
			m->missed = true;	/* a counted one comes back by a replay */
	}
}

static void
ask_replay(struct room *r, int64_t seq)
{
	if (seq > r->asked)
		r->asked = seq;
	if (r->replaying)
		r->again = true;
	else
		workers_add(r->rooms->replays, &r->replay);
	r->replaying = true;
}

/* Of a turn that was taken over.  What is counted is in the log, and was stored before that. */
static bool
is_over(const struct room *r, const struct publication *p)
{
	return p->seq == 0 && p->epoch < r->epoch;
}

static void
raise_epoch(struct room *r, int64_t epoch)
{
	if (epoch > r->epoch)
		r->epoch = epoch;
}

static void
arrived(struct room *r, struct publication *p)
{
	if (is_over(r, p))
		return;
	raise_epoch(r, p->epoch);
	if (!r->replaying && has_gap(r, p))
		ask_replay(r, p->seq);
	if (!r->replaying)
		deliver_to_all(r, p, false);
	else if (!held_add(&r->held, p))
		r->overflow = true;
}

static void
on_message(void *arg, const char *payload, size_t len)
{
	struct room *r = arg;
	struct publication *p;

	if (publication_parse(payload, len, r->rooms->offsets ? r->tag : NULL, &p) != HL_OK)
		return;			/* not ours */
	arrived(r, p);
	publication_unref(p);
}

/* ---- replays ---- */

/* The lowest last of those who count; -1: nobody does. */
static int64_t
lowest_last(const struct room *r)
{
	int64_t lowest = -1;

	for (const struct member *m = r->members; m; m = m->next)
		if (m->live && m->last >= 0 && (lowest < 0 || m->last < lowest))
			lowest = m->last;
	return lowest;
}

/* Of those who are live: how far all of them are after a replay. */
static int64_t
highest_last(const struct room *r)
{
	int64_t highest = -1;

	for (const struct member *m = r->members; m; m = m->next)
		if (m->live && m->last > highest)
			highest = m->last;
	return highest;
}

enum hl_err
room_ask_replay(struct rooms *rooms, const char *room, int64_t after, struct relay_reply *reply, struct answer *answer)
{
	struct buf body = BUF_INIT(4096);
	enum hl_err err;

	buf_puts(&body, "{\"kind\":\"replay\",\"room\":");
	buf_json_str(&body, room);
	buf_printf(&body, ",\"after\":%lld}", (long long)after);
	err = relay_ask(rooms->relay, "", &body, true, reply);
	buf_free(&body);
	return err ? err : answer_parse(reply->body.data, reply->body.len, answer);
}

/* To those who are live; seq 0: it is not counted. */
static void
tell_live(struct room *r, int64_t seq, struct span events)
{
	struct publication *p = publication_new(seq);
	struct span event;
	const char *at = NULL;

	if (p == NULL)
		return;
	while (span_next(events, &at, &event))
		if (publication_add(p, event.p, event.len, seq && r->rooms->offsets ? r->tag : NULL) != HL_OK)
			break;
	for (struct member *m = r->members; m && (seq || p->count); m = m->next)
		if (m->live)
			deliver(m, p);
	publication_unref(p);
}

static void
replay_one(struct room *r, struct span message)
{
	int64_t seq = span_integer(span_member(message, "seq"), 0);

	if (seq > 0)
		tell_live(r, seq, span_member(message, "emit"));
}

/*
 * The store has less than was told: it is a replica that has taken over from a server that told what it had not passed on.
 * What is stored from now on has those numbers anew, and is news.
 */
static void
rewind_to(struct room *r, int64_t seq)
{
	for (struct member *m = r->members; m; m = m->next)
		if (m->last > seq)
			m->last = seq;
	r->epoch = 0;
	r->asked = 0;
}

static enum hl_err
replay(struct room *r, int64_t after)
{
	struct relay_reply reply;
	struct answer answer;
	struct span message;
	const char *at = NULL;
	int64_t epoch = r->epoch;	/* all that told of it was published before the store is asked */
	enum hl_err err = room_ask_replay(r->rooms, r->name, after, &reply, &answer);

	if (err == HL_OK && answer.seq >= 0 && answer.seq < after)
		rewind_to(r, answer.seq);
	while (err == HL_OK && span_next(answer.messages, &at, &message))
		replay_one(r, message);
	if (err == HL_OK) {
		tell_live(r, 0, answer.emit);	/* whose it is now, which is in no log */
		if (r->epoch == epoch)
			r->epoch = answer.epoch;	/* lower: the store that took over has not heard of it */
		else
			raise_epoch(r, answer.epoch);
	}
	relay_reply_free(&reply);
	return err;
}

/* What was held back meanwhile; a gap in it makes one more replay and stays held behind it. */
static void
release(struct room *r)
{
	struct held_list held = r->held;
	unsigned told = held_told(&held, highest_last(r));
	struct publication *p;

	r->held = (struct held_list){ NULL, NULL, 0 };
	while ((p = held_take(&held)) != NULL) {
		bool over = is_over(r, p);		/* by what came behind it, or by the replay */

		if (!over && !r->replaying && has_gap(r, p))
			ask_replay(r, p->seq);
		if (!over && !r->replaying)
			deliver_to_all(r, p, told > 0);
		else if (!over && !held_add(&r->held, p))
			r->overflow = true;
		told -= told > 0;
		publication_unref(p);
	}
}

static void
retry_replay(struct deadline *d)
{
	struct room *r = (struct room *)(void *)((char *)d - offsetof(struct room, retry));

	workers_add(r->rooms->replays, &r->replay);
}

static bool
run_replay(struct job *job)
{
	struct room *r = (struct room *)(void *)((char *)job - offsetof(struct room, replay));
	int64_t after = lowest_last(r);
	enum hl_err err = after >= 0 ? replay(r, after) : HL_OK;

	if (!room_is_over(r) && err) {
		/* The store or the events program is away: what is live stays held back until it is there again. */
		r->failures += r->failures < FAILURES_MAX;
		deadline_set(r->rooms->deadlines, &r->retry,
		    clock_mono_ms() + (r->failures < FAILURES_MAX ? 250 << r->failures / 2 : PAUSE_MAX_MS));
		return true;
	}
	if (room_is_over(r)) {
		room_free(r);
		return false;
	}
	r->failures = 0;
	if (r->overflow)
		held_drop(&r->held);
	if (r->overflow || r->again) {
		r->overflow = r->again = false;
		workers_add(r->rooms->replays, &r->replay);
		return true;
	}
	r->replaying = false;
	release(r);
	return true;
}

/* ---- the subscription ---- */

static void
wake_waiters(struct room *r)
{
	struct waiter *w;

	r->waking = true;
	while ((w = r->waiters) != NULL) {
		r->waiters = w->next;
		w->done = true;
		task_wake(w->task);
	}
	r->waking = false;
	if (room_is_over(r) && job_is_idle(&r->replay))
		room_free(r);
}

/* Also after every reconnection, when publications may have been missed. */
static void
on_ready(void *arg)
{
	struct room *r = arg;

	if (r->was_ready) {
		for (struct member *m = r->members; m; m = m->next)
			m->missed = m->missed || !m->live;
		if (lowest_last(r) >= 0)
			ask_replay(r, r->asked);
	}
	r->was_ready = true;
	wake_waiters(r);
}

static enum hl_err
room_get(struct rooms *rooms, const char *name, struct room **ret)
{
	static const struct redis_sub_calls calls = { on_message, on_ready };
	struct room **at = slot(rooms, name), *r = *at;
	size_t len = strlen(name);
	enum hl_err err = HL_OK;

	*ret = r;
	if (r)
		return HL_OK;
	r = calloc(1, sizeof(*r) + len + 1);
	if (r == NULL)
		return HL_NO_MEMORY;
	memcpy(r->name, name, len);
	publication_tag(r->name, (struct span){ NULL, 0 }, r->tag);
	r->rooms = rooms;
	r->replay.run = run_replay;
	if (deadline_init(rooms->deadlines, &r->retry, retry_replay) != HL_OK) {
		free(r);
		return HL_NO_MEMORY;
	}
	if (strncmp(name, ROOM_LOCAL, sizeof(ROOM_LOCAL) - 1) == 0)
		set_alias(r, name + sizeof(ROOM_LOCAL) - 1, len - (sizeof(ROOM_LOCAL) - 1));
	else
		err = redis_subscribe(rooms->redis, name, &calls, r, &r->sub);
	if (err) {
		deadline_end(rooms->deadlines, &r->retry);
		free(r);
		return err;
	}
	*at = r;
	if (++rooms->count > rooms->buckets)
		grow(rooms);
	*ret = r;
	return HL_OK;
}

/* ---- members ---- */

enum hl_err
room_join(struct rooms *rooms, const char *name, void *owner, struct member **ret)
{
	struct member *m = calloc(1, sizeof(*m));
	struct room *r;
	enum hl_err err = m ? room_get(rooms, name, &r) : HL_NO_MEMORY;

	*ret = NULL;
	if (err) {
		free(m);
		return err;
	}
	m->room = r;
	m->owner = owner;
	m->last = -1;
	m->next = r->members;
	m->link = &r->members;
	if (m->next)
		m->next->link = &m->next;
	r->members = m;
	*ret = m;
	return HL_OK;
}

static void
waited_too_long(struct deadline *d)
{
	struct waiter *w = (struct waiter *)(void *)((char *)d - offsetof(struct waiter, deadline));

	w->done = true;
	task_wake(w->task);
}

enum hl_err
room_wait(struct member *m)
{
	struct room *r = m->room;
	struct waiter w = { .next = r->waiters, .task = task_self() };
	struct waiter **at;

	if (r->sub == NULL || redis_sub_ready(r->sub))
		return HL_OK;
	if (deadline_init(r->rooms->deadlines, &w.deadline, waited_too_long) != HL_OK)
		return HL_NO_MEMORY;
	deadline_set(r->rooms->deadlines, &w.deadline, clock_mono_ms() + ROOM_WAIT_MS);
	r->waiters = &w;
	while (!w.done)
		task_wait_always();
	deadline_end(r->rooms->deadlines, &w.deadline);
	for (at = &r->waiters; *at; at = &(*at)->next)
		if (*at == &w) {
			*at = w.next;
			break;
		}
	return redis_sub_ready(r->sub) ? HL_OK : HL_STORE;
}

void
room_hold(struct member *m)
{
	m->missed = m->missed || m->room->replaying;	/* it gets nothing of that one */
	m->live = false;
}

void
room_go_live(struct member *m, int64_t seq)
{
	struct room *r = m->room;
	unsigned told = held_told(&m->held, seq);
	struct publication *p;

	m->last = seq;
	m->live = true;
	while ((p = held_take(&m->held)) != NULL) {
		/* A counted one behind a gap comes back with the replay, together with what is missing. */
		if (p->seq && m->last >= 0 && p->seq > m->last + 1)
			m->missed = true;
		if (!is_over(r, p) && !(m->missed ? p->seq || p->passing : told > 0 && p->passing))
			deliver(m, p);
		told -= told > 0;
		publication_unref(p);
	}
	if (m->missed && m->last >= 0)
		ask_replay(r, r->asked);
	m->missed = false;
}

void
room_raise_epoch(struct member *m, int64_t epoch)
{
	raise_epoch(m->room, epoch);
}

void
room_leave(struct member *m)
{
	struct room *r = m->room;

	*m->link = m->next;
	if (m->next)
		m->next->link = m->link;
	held_drop(&m->held);
	free(m);
	if (room_is_over(r) && job_is_idle(&r->replay))
		room_free(r);
}

const char *
room_name(const struct member *m)
{
	return m->room->name;
}
