#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/str.h"
#include "engine/aloud.h"
#include "engine/answer.h"
#include "engine/figures.h"
#include "engine/company.h"
#include "engine/hearing.h"
#include "engine/share.h"
#include "engine/turn.h"
#include "loop/task.h"
#include "records/holder.h"
#include "records/recall.h"

#define BUCKETS		4096u
#define TICK_MS		1000		/* a lease lasts four */
#define OVERDUE_AT_ONCE	32u
#define RESTARTS_MAX	8		/* of one turn by messages that keep coming; then it answers what it has seen */
#define COMMIT_TRIES	10		/* within a lease */
#define COMMIT_PAUSE_MAX 1000
#define RECHECK_MS	500		/* while another process answers */
#define WAIT_SLACK_MS	(2 * LEASE_MS)

#define HANDED_KEPT	64

struct waiter;

/* A conversation that was handed over: turns of a lower epoch are over. */
struct handed { struct place place; int64_t epoch; };

/* A conversation whose turn this process runs. */
struct runner {
	struct engine	*engine;
	struct runner	*next;		/* in its bucket */
	struct lease	 lease;
	struct task	*task;		/* while it thinks */
	struct waiter	*waiters;
	struct buf	 text;		/* what has been shown of the answer */
	char		 answer_id[ID_LEN + 1];
	unsigned	 index;		/* of the next delta on the channel */
	bool		 thinking;
	bool		 shown;		/* a delta is out: no starting again */
	bool		 settled;	/* nor for messages that come now: they get the next turn */
	bool		 again;		/* new messages came before that */
	bool		 shared;	/* it holds a place in the engine's shares */
	unsigned	 share;
	bool		 dropped;	/* the conversation has another owner */
	bool		 worded;	/* its model has begun to write */
	int64_t		 began_us;	/* this turn, clock_mono_us() */
	struct speech	*speech;	/* of this turn's answer; NULL: it is not said aloud */
	const struct verdict *verdict;	/* while it thinks */
};

static const char person_text[] = "A person from our team has taken over this conversation and answers here.";
static const char handled_text[] = "A person from our team has seen this message.";

struct engine {
	uv_loop_t	*loop;
	const struct conf *conf;
	struct store	 store;
	char		 holder[HOLDER_MAX];
	struct http	*http;
	struct ear	*ear;
	struct speaker	*speaker;
	struct thinker	 thinker;
	struct runner	*table[BUCKETS];
	size_t		 running;
	struct shares	 shares;	/* of those who wait, in calls and in turns */
	bool		 draining;
	void		(*drained)(void *);
	void		*drained_arg;
	struct task	*maintenance;
	struct redis_sub *handover;
	struct handed	 handed[HANDED_KEPT];	/* the latest, a ring */
	unsigned	 handed_next;
};

/* Somebody who waits for the answer to one message; lies on his stack. */
struct waiter {
	struct waiter	*next;
	struct task	*task;
	struct runner	*runner;
	int64_t		 seq;
	const struct turn_deltas *deltas;
	size_t		 told;		/* bytes of runner->text */
	int64_t		 attempt;	/* that they were of */
	unsigned	 index;
	bool		 done;		/* answered, or the runner has given up */
	bool		 answered;
	bool		 handed_over;	/* a person has it, or had it */
	bool		 goes_on;	/* the answer begins with what was told */
	struct entry	 answer;	/* then */
};

struct turn {
	struct engine	*engine;
	struct acceptance accepted;
	struct place	 place;
	struct runner	*mine;		/* not run yet */
	bool		 shared;	/* as in struct runner, which takes it over */
	unsigned	 share;
};

/* ---- the table of runners ---- */

static struct runner **
slot(struct engine *e, const struct place *p)
{
	struct runner **at;

	for (at = &e->table[str_hash(p->h, strlen(p->h)) % BUCKETS]; *at && strcmp((*at)->lease.place.h, p->h) != 0; at = &(*at)->next)
		;
	return at;
}

/* Was it handed over while the reply that gave us the lease was on its way? */
static bool
was_handed_over(const struct engine *e, const struct lease *l)
{
	for (size_t i = 0; i < HANDED_KEPT; i++)
		if (e->handed[i].epoch > l->epoch && strcmp(e->handed[i].place.h, l->place.h) == 0)
			return true;
	return false;
}

static struct runner *
runner_new(struct engine *e, struct lease *take_lease)
{
	struct runner *r = calloc(1, sizeof(*r));
	struct runner **at = slot(e, &take_lease->place);

	if (r == NULL) {
		lease_clear(take_lease);
		return NULL;
	}
	r->engine = e;
	r->lease = *take_lease;
	r->dropped = was_handed_over(e, &r->lease);
	r->text = BUF_INIT(ANSWER_MAX);
	r->next = *at;			/* an older one for the same conversation is fenced by now; both may be listed */
	*at = r;
	e->running++;
	metrics_set(M_TURNS_NOW, (int64_t)e->running);
	return r;
}

/* Leases are renewed as long as anything runs; maintain() reports the end. */
static void
maybe_drained(struct engine *e)
{
	if (e->draining && e->running == 0 && e->maintenance && speaker_busy(e->speaker) == 0)
		task_cancel(e->maintenance);
}

static void
on_silence(void *arg)
{
	maybe_drained(arg);
}

static void
runner_end(struct runner *r)
{
	struct engine *e = r->engine;
	struct runner **at = slot(e, &r->lease.place);

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	e->running--;
	metrics_set(M_TURNS_NOW, (int64_t)e->running);
	if (r->shared)
		share_give(&e->shares, r->share);
	for (struct waiter *w = r->waiters, *next; w; w = next) {
		next = w->next;
		w->runner = NULL;
		w->done = true;
		task_wake(w->task);
	}
	lease_clear(&r->lease);
	buf_free(&r->text);
	free(r);
	maybe_drained(e);
}

/* ---- telling ---- */

/* What sockets of the conversation get, outside the log: nobody misses anything if it is lost. */
static void
tell_room(const struct runner *r, const struct buf *lines)
{
	struct buf payload = BUF_INIT(ANSWER_MAX);
	char room[CONVERSATION_KEY_MAX];

	conversation_room(&r->lease.place, room);
	buf_printf(&payload, "0 %lld -\n", (long long)r->lease.epoch);
	buf_add(&payload, lines->data, lines->len);
	if (buf_err(&payload) == HL_OK) {
		struct redis_arg args[] = { RA("PUBLISH"), RA(room), RAN(payload.data, payload.len) };

		redis_send(r->engine->store.redis, args, 3);
	}
	buf_free(&payload);
}

static void
tell_delta(struct runner *r, const char *text, size_t len)
{
	struct buf line = BUF_INIT(ANSWER_MAX);

	buf_printf(&line, "[\"%s\",{\"id\":\"%s\",\"attempt\":%lld,\"index\":%u,\"text\":",
	    r->lease.desk.desk ? "ai_delta" : "message-delta", r->answer_id, (long long)r->lease.attempt, r->index++);
	buf_json(&line, text, len);
	buf_puts(&line, "}]");
	if (buf_err(&line) == HL_OK)
		tell_room(r, &line);
	buf_free(&line);
}

static void
waiter_catch_up(struct waiter *w, const struct runner *r)
{
	const struct turn_deltas *d = w->deltas;

	if (d == NULL || w->seq > r->lease.covered || w->told >= r->text.len)
		return;
	if (d->delta(d->arg, r->lease.attempt, w->index++, r->text.data + w->told, r->text.len - w->told) != HL_OK)
		w->deltas = NULL;
	w->told = r->text.len;
	w->attempt = r->lease.attempt;
}

static bool
anybody_listens(const struct runner *r)
{
	if (r->lease.listeners > 0)
		return true;
	for (const struct waiter *w = r->waiters; w; w = w->next)
		if (w->deltas)
			return true;
	return false;
}

/* Before the first word is shown: is the turn still ours, and is the question still the whole question? */
static enum hl_err
check_before_showing(struct runner *r)
{
	bool changed;
	enum hl_err err = conversation_peek(&r->engine->store, &r->lease, &changed);

	if (err)
		return err;
	if (changed) {
		r->again = true;
		return HL_CANCELLED;
	}
	r->shown = true;
	return r->dropped ? HL_CANCELLED : HL_OK;
}

static enum hl_err
on_delta(void *arg, const char *text, size_t len)
{
	struct runner *r = arg;
	enum hl_err err;

	if (!r->worded)
		metrics_took(M_TOOK_FIRST_WORDS, clock_mono_us() - r->began_us);
	r->worded = true;
	if (r->dropped)
		return HL_CANCELLED;
	if (!anybody_listens(r)) {
		if (r->speech)
			speech_feed(r->speech, r->verdict->voice, text, len);
		return HL_OK;
	}
	if (!r->shown && !r->settled && (err = check_before_showing(r)) != HL_OK)
		return err;
	r->shown = true;
	if (r->speech)
		speech_feed(r->speech, r->verdict->voice, text, len);
	buf_add(&r->text, text, len);
	if (r->lease.listeners > 0)
		tell_delta(r, text, len);
	for (struct waiter *w = r->waiters, *next; w; w = next) {
		next = w->next;
		waiter_catch_up(w, r);
	}
	return HL_OK;
}

/* ---- one turn ---- */

static enum hl_err
think(struct runner *r, struct verdict *v)
{
	enum hl_err err = HL_OK;
	bool changed;

	for (int i = 0;; i++) {
		if (r->dropped)
			return HL_CONFLICT;
		r->settled = i == RESTARTS_MAX;
		verdict_free(v);
		verdict_init(v);
		r->verdict = v;
		if (r->speech)
			speech_restart(r->speech);
		r->again = false;
		r->thinking = true;
		err = answer_think(&r->engine->thinker, &r->lease, on_delta, r, v);
		r->thinking = false;
		if (r->dropped || r->again)
			task_uncancel();
		if (r->dropped)
			return HL_CONFLICT;
		if (!r->again)
			return err;
		err = conversation_peek(&r->engine->store, &r->lease, &changed);
		if (err)
			return err;
	}
}

static void
count_turn(const struct verdict *v, const char *outcome, int64_t us)
{
	static const struct { const char *word; enum metric_counter what; } words[] = {
		{ "answered", M_TURN_ANSWERED }, { "escalated", M_TURN_ESCALATED }, { "handed_over", M_TURN_HANDED_OVER },
		{ "fenced", M_TURN_FENCED }, { "keyword", M_ESCALATED_KEYWORD }, { "asked_for_person", M_ESCALATED_ASKED },
		{ "low_confidence", M_ESCALATED_DOUBT }, { "sentiment", M_ESCALATED_MOOD }, { "ai_unavailable", M_ESCALATED_NO_MODEL },
	};
	const char *reason = strcmp(outcome, "escalated") == 0 ? v->reason : "";
	bool known = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		bool is = strcmp(words[i].word, outcome) == 0;

		known = known || is;
		metrics_count(words[i].what, is || strcmp(words[i].word, reason) == 0);
	}
	metrics_count(M_TURN_FAILED, !known);
	metrics_took(M_TOOK_TURN, us);
}

static void
log_turn(const struct verdict *v, const char *outcome, int64_t began_us)
{
	char ms[24], requests[12], confidence[16];
	int64_t us = clock_mono_us() - began_us;

	count_turn(v, outcome, us);
	snprintf(ms, sizeof(ms), "%lld", (long long)(us / 1000));
	snprintf(requests, sizeof(requests), "%u", v->requests);
	snprintf(confidence, sizeof(confidence), "%.3g", v->confidence);
	log_line(LOG_LEVEL_INFO, "turn", "outcome", outcome, "provider", v->provider, "ms", ms, "upstream_requests", requests,
	    "confidence", confidence, "escalation", v->reason, "problem", v->problem.data, NULL);
}

static bool
begins_with(const struct entry *answer, const struct buf *told)
{
	size_t len;
	const char *text = entry_content(answer, &len);

	return told->len == 0 || (len >= told->len && memcmp(text, told->data, told->len) == 0);
}

/* The answer is stored: everyone whose message it covers goes on. */
static void
tell_answered(struct runner *r, int64_t covered, const struct outgoing *o, int64_t seq)
{
	struct waiter **at = &r->waiters, *w;

	while ((w = *at) != NULL) {
		if (w->seq > covered) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->runner = NULL;
		w->done = true;
		w->answered = entry_make(seq, o->id, &o->entry, &w->answer) == HL_OK;
		w->goes_on = w->answered && begins_with(&w->answer, &r->text);
		task_wake(w->task);
		at = &r->waiters;	/* the list may be another one now */
	}
}

/* Tries as long as the lease is surely ours: the same commit twice is done once. */
static enum hl_err
commit(struct runner *r, struct outgoing *o, enum committed *how, int64_t *seq)
{
	int64_t pause = 50;
	enum hl_err err = HL_STORE;

	for (int i = 0; i < COMMIT_TRIES; i++, pause = pause * 3 < COMMIT_PAUSE_MAX ? pause * 3 : COMMIT_PAUSE_MAX) {
		err = conversation_commit(&r->engine->store, &r->lease, o, how, seq);
		if (err != HL_STORE || task_sleep(pause) != HL_OK)
			break;
	}
	return err;
}

/* What cannot be stored because of its size would be thought of again and again: then a person is called instead. */
static enum hl_err
write_and_commit(struct runner *r, struct verdict *v, int64_t at_ms, struct outgoing *o, enum committed *how, int64_t *seq)
{
	enum hl_err err = HL_OK;

	for (int i = 0; i < 2; i++) {
		err = answer_write(&r->lease, v, at_ms, o);
		if (err == HL_OK)
			err = commit(r, o, how, seq);
		if (err != HL_TOO_LARGE)
			break;
		answer_give_up(v, err);
		outgoing_free(o);
	}
	return err;
}

/* ---- aloud ---- */

static enum aloud
way_of(const struct runner *r)
{
	const struct entry *asked = NULL;

	for (size_t i = 0; i < r->lease.context.count; i++)
		if (answer_covers(&r->lease, &r->lease.context.list[i]))
			asked = &r->lease.context.list[i];
	return aloud_of(r->engine->conf, asked);
}

/* From its first sentence on, while the rest is still being written. */
static void
begin_aloud(struct runner *r)
{
	struct engine *e = r->engine;

	r->speech = NULL;
	if (r->lease.desk.desk && !r->lease.probe)
		r->speech = aloud_begin(e->speaker, &e->store, &r->lease.place, r->lease.epoch, r->answer_id, way_of(r));
}

/* What of the sound goes with the text: its address, or, for who wants to wait, itself. */
static void
write_aloud(struct runner *r, struct verdict *v)
{
	if (r->speech == NULL || !speech_has_file(r->speech))
		return;
	speech_url(r->engine->speaker, r->answer_id, v->audio_url);
	if (r->lease.listeners == 0 || way_of(r) != ALOUD_DATA)
		return;
	v->sound = BUF_INIT(SPEECH_INLINE_MAX);
	speech_end(r->speech, v->voice, v->text.data, v->text.len);
	if (speech_whole(r->speech, SPEECH_WAIT_MS, &v->sound) != HL_OK)
		buf_free(&v->sound);
}

/* The rest is said only when it is sure that this is the answer. */
static void
end_aloud(struct runner *r, const struct verdict *v, bool stored)
{
	if (r->speech && stored) {
		speech_end(r->speech, v->voice, v->text.data, v->text.len);
		speech_leave(r->speech);
	} else
		speech_drop(r->speech);
	r->speech = NULL;
}

static enum hl_err
run_turn(struct runner *r, enum committed *how)
{
	int64_t now, covered, seq;
	struct outgoing o = { 0 };
	struct turn_figures figures;
	struct verdict v;
	enum hl_err err;

	verdict_init(&v);
	id_new(o.id);
	strcpy(r->answer_id, o.id);
	buf_reset(&r->text);
	r->index = 0;
	r->shown = r->worded = false;
	r->began_us = clock_mono_us();
	*how = COMMIT_FENCED;
	begin_aloud(r);
	err = think(r, &v);
	if (err == HL_TOO_LARGE) {
		answer_give_up(&v, err);
		err = HL_OK;
	}
	if (err)
		goto out;
	if (*r->lease.escalation_id)
		strcpy(o.escalation_id, r->lease.escalation_id);
	else
		id_new(o.escalation_id);
	covered = r->lease.covered;
	write_aloud(r, &v);
	now = clock_wall_ms();
	figures_of_turn(r->engine->conf, &r->lease, &v, now, &figures);
	o.counts = figures.answer;
	err = write_and_commit(r, &v, now, &o, how, &seq);
	if (err == HL_OK && *how != COMMIT_FENCED) {
		if (!r->lease.desk.desk)
			figures_sum(r->engine->store.sums, &figures, now);
		if (v.reason && *r->lease.escalation_id == '\0')
			strcpy(r->lease.escalation_id, o.escalation_id);
		tell_answered(r, covered, &o, seq);
		if (*how == COMMITTED)
			conversation_remember(&r->engine->store, &r->lease, &o, seq);
	}
out:
	log_turn(&v, r->dropped ? "handed_over" : err ? err_code(err) : *how == COMMIT_FENCED ? "fenced" : v.reason ? "escalated" : "answered", r->began_us);
	end_aloud(r, &v, err == HL_OK && *how != COMMIT_FENCED);
	outgoing_free(&o);
	verdict_free(&v);
	return err;
}

/* One turn after the other until nothing is owed.  only_one: returns true if something still is. */
static bool
runner_run(struct runner *r, bool only_one)
{
	enum committed how = COMMIT_FENCED;
	bool changed;

	r->task = task_self();
	do {
		if (run_turn(r, &how) != HL_OK || how != COMMITTED_MORE)
			return false;
		if (conversation_peek(&r->engine->store, &r->lease, &changed) != HL_OK || !changed)
			return false;
	} while (!only_one);
	return true;
}

static void
run_in_background(void *arg)
{
	struct runner *r = arg;

	(void)runner_run(r, false);
	runner_end(r);
}

static void
runner_background(struct runner *r)
{
	if (task_start(r->engine->loop, run_in_background, r) != HL_OK)
		runner_end(r);		/* its lease runs out, and it is taken over */
}

/* ---- hand-over ---- */

/* Its model is not asked on, nothing more of it is told, and who waits for it goes on. */
static void
runner_drop(struct runner *r)
{
	struct waiter *w;

	r->dropped = true;
	while ((w = r->waiters) != NULL) {
		r->waiters = w->next;
		w->runner = NULL;
		w->done = w->handed_over = true;
		task_wake(w->task);
	}
	if (r->thinking)
		task_cancel(r->task);
}

/* The next one to drop: those before it may be gone by now. */
static struct runner *
runner_below(struct engine *e, const struct place *p, int64_t epoch)
{
	for (struct runner *r = *slot(e, p); r; r = r->next)
		if (!r->dropped && r->lease.epoch < epoch && strcmp(r->lease.place.h, p->h) == 0)
			return r;
	return NULL;
}

static void
on_handover(void *arg, const char *payload, size_t len)
{
	struct engine *e = arg;
	struct handed h;
	struct runner *r;

	if (!handover_parse(payload, len, &h.place, &h.epoch))
		return;
	if (h.epoch == 0) {
		conversation_forget(&e->store, &h.place);
		return;
	}
	e->handed[e->handed_next++ % HANDED_KEPT] = h;
	while ((r = runner_below(e, &h.place, h.epoch)) != NULL)
		runner_drop(r);
}

/* ---- the caller's side ---- */

static void
turn_free(struct turn *t)
{
	if (t->shared)
		share_give(&t->engine->shares, t->share);
	free(t);
}

/* Without memory for it the lease runs out and somebody else answers: the message is stored. */
static void
turn_runs(struct turn *t, bool by_socket)
{
	t->mine = runner_new(t->engine, &t->accepted.lease);
	if (t->mine == NULL)
		return;
	if (t->mine->lease.desk.desk && by_socket)
		t->mine->lease.listeners++;		/* it joins as soon as it is told that this was stored */
	t->mine->shared = true;
	t->mine->share = t->share;
	t->shared = false;
}

enum hl_err
turn_accept(struct engine *e, const struct incoming *in, struct turn **ret, int64_t *retry_ms)
{
	struct turn *t = calloc(1, sizeof(*t));
	struct runner *running;
	enum hl_err err = HL_NO_MEMORY;

	*ret = NULL;
	*retry_ms = 0;
	if (t == NULL)
		return HL_NO_MEMORY;
	t->engine = e;
	t->share = share_of(&e->shares, in->limits.address, in->user_id);
	t->shared = share_take(&e->shares, t->share);
	if (!t->shared) {
		*retry_ms = 2000;
		err = HL_BUSY;
		goto fail;
	}
	err = conversation_accept(&e->store, in, &t->accepted);
	*retry_ms = t->accepted.retry_ms;
	if (err)
		goto fail;
	t->place = conversation_place(&e->store, in->id);
	if (in->user_id && t->accepted.how != ACCEPTED_AGAIN && !t->accepted.lease.probe)
		sums_add(e->store.sums, clock_wall_ms() / CLOCK_DAY_MS, "asked", 1);
	if (t->accepted.how == ACCEPTED_RUN)
		turn_runs(t, in->except != NULL);
	else if (t->accepted.how == ACCEPTED_QUEUED && (running = *slot(e, &t->place)) != NULL && running->thinking &&
	    !running->shown && !running->settled) {
		running->again = true;
		task_cancel(running->task);
	}
	*ret = t;
	return HL_OK;
fail:
	turn_free(t);
	return err;
}

int64_t
turn_seq(const struct turn *t)
{
	return t->accepted.seq;
}

const char *
turn_message_id(const struct turn *t)
{
	return t->accepted.message_id;
}

int64_t
turn_time(const struct turn *t)
{
	return t->accepted.at_ms;
}

bool
turn_repeated(const struct turn *t)
{
	return t->accepted.how == ACCEPTED_AGAIN;
}

void
turn_leave(struct turn *t)
{
	if (t->mine)
		runner_background(t->mine);
	turn_free(t);
}

static void
waiter_add(struct waiter *w, struct runner *r)
{
	w->runner = r;
	w->done = false;
	w->told = 0;
	w->next = r->waiters;
	r->waiters = w;
	if (r->shown)
		waiter_catch_up(w, r);
}

/* Another task of this process runs the conversation. */
static void
wait_for_runner(struct waiter *w, struct runner *r)
{
	waiter_add(w, r);
	while (!w->done)
		task_wait_always();
}

/* The turn is ours: run it here, and leave what comes after it to a task of its own. */
static void
run_own(struct waiter *w, struct runner *r)
{
	waiter_add(w, r);
	if (runner_run(r, true))
		runner_background(r);
	else
		runner_end(r);
}

struct remote { struct task *task; bool heard; };

static void
on_room_message(void *arg, const char *payload, size_t len)
{
	struct remote *m = arg;

	/* Typing and deltas do not count; the answer has a seq. */
	if (len > 2 && payload[0] == '0' && payload[1] == ' ' && !memmem(payload, len, "\n[\"hand-over\"", 13))
		return;
	m->heard = true;
	task_wake(m->task);
}

/* Then there is nothing to wait for: a person has it, or it is deleted. */
static bool
nobody_answers(const struct turn *t, const struct waiter *w)
{
	struct ownership owner;
	enum hl_err err = w->handed_over ? HL_NOT_FOUND : conversation_owner(&t->engine->store, &t->place, &owner);

	return err == HL_NOT_FOUND || (err == HL_OK && owner.person);
}

/* Another process runs it, or will when its lease has run out: its answer is heard of, and looked for now and then. */
static enum hl_err
wait_for_others(struct turn *t, struct waiter *w, struct entry *ret)
{
	static const struct redis_sub_calls calls = { .message = on_room_message };
	int64_t until = clock_mono_ms() + t->engine->conf->turn_timeout_ms + WAIT_SLACK_MS;
	struct remote m = { .task = task_self() };
	struct redis_sub *sub = NULL;
	char room[CONVERSATION_KEY_MAX];
	enum hl_err err;

	conversation_room(&t->place, room);
	err = redis_subscribe(t->engine->store.redis, room, &calls, &m, &sub);
	while (err == HL_OK) {
		struct runner *r = *slot(t->engine, &t->place);

		if (r)			/* taken over by this process in the meantime */
			wait_for_runner(w, r);
		if (w->answered) {
			*ret = w->answer;
			break;
		}
		m.heard = false;
		err = conversation_answer(&t->engine->store, &t->place, t->accepted.seq, ret);
		if (err != HL_NOT_FOUND || nobody_answers(t, w))
			break;
		err = clock_mono_ms() >= until ? HL_TIMEOUT : task_wait_flag(&m.heard, RECHECK_MS);
		if (err == HL_TIMEOUT && clock_mono_ms() < until)
			err = HL_OK;
	}
	redis_unsubscribe(sub);
	return err;
}

/*
 * What of the answer a caller has not been told as it was written: all of it if he came later, its end, or all of it anew,
 * as another attempt, if it is not what he was told the beginning of.
 */
static void
tell_rest(struct waiter *w, const struct entry *answer)
{
	size_t len;
	const char *text = entry_content(answer, &len);
	int64_t attempt = w->attempt ? w->attempt : 1;

	if (w->told && !w->goes_on) {
		attempt++;
		w->told = 0;
		w->index = 0;
	}
	if (w->deltas && w->told < len)
		(void)!w->deltas->delta(w->deltas->arg, attempt, w->index, text + w->told, len - w->told);
}

bool
turn_is_assistants(const struct turn *t)
{
	return t->accepted.how == ACCEPTED_RUN || t->accepted.owner_ai;
}

/* What is true when no assistant answers: it is said, not stored. */
static enum hl_err
tell_person(const struct turn *t, struct entry *ret)
{
	struct buf json = BUF_INIT(2048);
	struct ownership owner;
	enum hl_err err = conversation_owner(&t->engine->store, &t->place, &owner);

	if (err)
		return err;
	buf_puts(&json, "{\"role\":\"assistant\",\"content\":");
	buf_json_str(&json, owner.person ? person_text : handled_text);
	buf_printf(&json, ",\"ts\":%lld,\"needsEscalation\":%s,\"confidence\":1,\"provider\":\"helpline\",\"escalation\":",
	    (long long)clock_wall_ms(), owner.person ? "true" : "false");
	if (owner.person && *owner.escalation_id)
		buf_printf(&json, "{\"reason\":\"%s\",\"id\":\"%s\"}", owner.reason, owner.escalation_id);
	else
		buf_puts(&json, "null");
	buf_puts(&json, ",\"sources\":[]}");
	err = buf_err(&json);
	if (err == HL_OK)
		err = entry_make(0, t->accepted.message_id, &json, ret);
	buf_free(&json);
	return err;
}

enum hl_err
turn_wait(struct turn *t, const struct turn_deltas *deltas, struct entry *ret)
{
	struct waiter w = { .task = task_self(), .seq = t->accepted.seq, .deltas = deltas };
	struct runner *r = *slot(t->engine, &t->place);
	enum hl_err err;

	*ret = (struct entry){ 0 };
	if (t->mine)
		run_own(&w, t->mine);
	else if (r && turn_is_assistants(t) && !(t->accepted.how == ACCEPTED_AGAIN && t->accepted.answered))
		wait_for_runner(&w, r);
	if (w.answered) {
		*ret = w.answer;
		err = HL_OK;
	} else if (t->accepted.answered || w.handed_over || !turn_is_assistants(t))
		err = conversation_answer(&t->engine->store, &t->place, t->accepted.seq, ret);
	else
		err = wait_for_others(t, &w, ret);
	if (err == HL_NOT_FOUND)
		err = tell_person(t, ret);
	if (err == HL_OK)
		tell_rest(&w, ret);
	turn_free(t);
	return err;
}

/* ---- keeping and taking over ---- */

static void
renew_all(struct engine *e)
{
	struct place *places = calloc(e->running + 1, sizeof(*places));
	size_t n = 0;

	if (places == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct runner *r = e->table[i]; r && n < e->running; r = r->next)
			places[n++] = r->lease.place;
	if (conversation_renew(&e->store, places, n) != HL_OK)
		log_line(LOG_LEVEL_WARN, "renew", "problem", redis_problem(e->store.redis), NULL);
	free(places);
}

/* As many as come at once.  How many there were: 0 also when the store is away, which the next tick finds out. */
static size_t
take_some_over(struct engine *e)
{
	struct place overdue[OVERDUE_AT_ONCE];
	struct runner *r;
	struct lease lease;
	size_t n, taken = 0;

	if (conversation_overdue(&e->store, overdue, OVERDUE_AT_ONCE, &n) != HL_OK)
		return 0;
	for (size_t i = 0; i < n && e->running < (size_t)e->conf->max_waiting; i++) {
		if (*slot(e, &overdue[i]) || conversation_claim(&e->store, &overdue[i], &lease) != HL_OK)
			continue;
		log_line(LOG_LEVEL_INFO, "turn_taken_over", NULL);
		metrics_count(M_TURN_TAKEN_OVER, 1);
		taken++;
		if ((r = runner_new(e, &lease)) != NULL)
			runner_background(r);
	}
	return taken;
}

/* All that a dead process left, but no longer than a tick: leases of our own are to be renewed. */
static void
take_over(struct engine *e)
{
	int64_t until = clock_mono_ms() + TICK_MS;

	while (take_some_over(e) > 0 && clock_mono_ms() < until)
		;
}

/* What sessions of the chat API did in the last second.  While the store is away it waits. */
static void
flush_sums(struct engine *e)
{
	char number[24];
	int64_t lost;

	if (sums_flush(&e->store, e->store.sums, &lost) == HL_OK && lost == 0)
		return;
	snprintf(number, sizeof(number), "%lld", (long long)lost);
	log_line(lost ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "analytics_wait", "lost", number, "problem",
	    redis_problem(e->store.redis), NULL);
}

static void
maintain(void *arg)
{
	struct engine *e = arg;

	e->maintenance = task_self();
	do {					/* at once: what ran here before may have died and left something */
		if (e->running)
			renew_all(e);		/* three times before a lease ends */
		recall_age(e->store.recall);
		flush_sums(e);
		speaker_tend(e->speaker);
		if (!e->draining)
			take_over(e);
	} while (task_sleep(TICK_MS) == HL_OK);
	task_uncancel();		/* nothing runs any more: what is summed up now is all */
	flush_sums(e);
	e->maintenance = NULL;
	if (e->drained)
		e->drained(e->drained_arg);
}

/* ---- opening ---- */

enum hl_err
engine_open(uv_loop_t *loop, const struct conf *conf, struct redis *redis, const struct crypto *crypto, struct engine **ret,
    struct buf *problem)
{
	static const struct redis_sub_calls handover_calls = { .message = on_handover };
	struct engine *e = calloc(1, sizeof(*e));
	enum hl_err err = HL_NO_MEMORY;

	*ret = NULL;
	if (e == NULL)
		return HL_NO_MEMORY;
	e->loop = loop;
	e->conf = conf;
	holder_name(e->holder);
	e->store = (struct store){ .redis = redis, .crypto = crypto, .conf = conf, .holder = e->holder };
	shares_init(&e->shares, (size_t)conf->max_waiting);
	e->thinker = (struct thinker){ .conf = conf, .store = &e->store };
	err = recall_new(&e->store.recall);
	if (err == HL_OK)
		err = sums_new(&e->store.sums);
	if (err == HL_OK)
		err = http_new(loop, &e->http);
	if (err == HL_OK)
		err = providers_new(conf, e->http, &e->thinker.providers);
	if (err == HL_OK)
		err = ear_new(conf, e->http, &e->ear);
	if (err == HL_OK)
		err = speaker_new(loop, conf, crypto, e->http, on_silence, e, &e->speaker);
	if (err == HL_OK)
		err = keywords_new(conf->escalation_keywords, &e->thinker.keywords);
	if (err == HL_OK)
		err = companies_new(&e->thinker.companies);
	if (err == HL_OK)
		err = knowledge_open(conf, &e->thinker.knowledge, problem);
	if (err == HL_OK)
		err = redis_subscribe(redis, HANDOVER_CHANNEL, &handover_calls, e, &e->handover);
	if (err == HL_OK)
		err = task_start(loop, maintain, e);
	if (err == HL_OK) {
		*ret = e;
		return HL_OK;
	}
	if (problem->len == 0)
		buf_printf(problem, "The engine cannot start: %s.", err_text(err));
	engine_free(e);
	return err;
}

const struct thinker *
engine_thinker(const struct engine *e)
{
	return &e->thinker;
}

struct http *
engine_http(const struct engine *e)
{
	return e->http;
}

struct speaker *
engine_speaker(const struct engine *e)
{
	return e->speaker;
}

struct ear *
engine_ear(const struct engine *e)
{
	return e->ear;
}

void
engine_free(struct engine *e)
{
	if (e == NULL)
		return;
	redis_unsubscribe(e->handover);
	knowledge_free(e->thinker.knowledge);
	keywords_free(e->thinker.keywords);
	companies_free(e->thinker.companies);
	providers_free(e->thinker.providers);
	ear_free(e->ear);
	speaker_free(e->speaker);
	http_free(e->http);
	sums_free(e->store.sums);
	recall_free(e->store.recall);
	free(e);
}

void
engine_drain(struct engine *e, void (*done)(void *), void *arg)
{
	e->draining = true;
	e->drained = done;
	e->drained_arg = arg;
	maybe_drained(e);
}
