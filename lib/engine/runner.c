/*
 * runner.c - the turns of one conversation, one after the other: thinking, telling those who listen, saying aloud, storing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/str.h"
#include "engine/aloud.h"
#include "engine/figures.h"
#include "engine/turn_parts.h"

#define FRESH_US	50000		/* a twentieth of a second: nobody writes two messages in it */
#define RESTARTS_MAX	8		/* of one turn by messages that keep coming; then it answers what it has seen */
#define COMMIT_TRIES	10		/* within a lease */
#define COMMIT_PAUSE_MAX 1000

/* ---- the table of runners ---- */

struct runner **
runner_slot(struct engine *e, const struct place *p)
{
	struct runner **at;

	for (at = &e->table[str_hash(p->h, strlen(p->h)) % BUCKETS]; *at && strcmp((*at)->lease.place.h, p->h) != 0; at = &(*at)->next)
		;
	return at;
}

/*
 * Was it handed over while the reply that gave us the lease was on its way?  What was told before that means nothing: a store
 * that took over may not have it, and a conversation that was deleted may have been made anew.
 */
static bool
was_handed_over(const struct engine *e, const struct lease *l)
{
	int64_t since_ms = clock_mono_ms() - REDIS_TIMEOUT_MS;

	for (size_t i = 0; i < HANDED_KEPT; i++)
		if (e->handed[i].epoch > l->epoch && e->handed[i].at_ms > since_ms && strcmp(e->handed[i].place.h, l->place.h) == 0)
			return true;
	return false;
}

struct runner *
runner_new(struct engine *e, struct lease *take_lease)
{
	struct runner *r = calloc(1, sizeof(*r));
	struct runner **at = runner_slot(e, &take_lease->place);

	if (r == NULL) {
		lease_clear(take_lease);
		return NULL;
	}
	r->engine = e;
	r->lease = *take_lease;
	r->looked_us = r->kept_us = clock_mono_us();
	r->dropped = was_handed_over(e, &r->lease);
	r->text = BUF_INIT(ANSWER_MAX);
	r->next = *at;			/* an older one for the same conversation is fenced by now; both may be listed */
	*at = r;
	e->running++;
	metrics_set(M_TURNS_NOW, (int64_t)e->running);
	return r;
}

void
runner_end(struct runner *r)
{
	struct engine *e = r->engine;
	struct runner **at = runner_slot(e, &r->lease.place);

	while (*at && *at != r)
		at = &(*at)->next;
	if (*at)
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
	engine_maybe_drained(e);
}

/* ---- telling ---- */

/* What sockets of the conversation get, outside the log: nobody misses anything if it is lost. */
static void
tell_room(const struct runner *r, const struct buf *lines)
{
	struct buf payload = BUF_INIT(ANSWER_MAX);
	char room[CONVERSATION_KEY_MAX];

	conversation_room(&r->lease.place, room);
	buf_printf(&payload, "0 %lld ~\n", (long long)r->lease.epoch);
	buf_add(&payload, lines->data, lines->len);
	if (buf_err(&payload) == HL_OK) {
		struct redis_arg args[] = { RA("PUBLISH"), RA(room), RAN(payload.data, payload.len) };

		redis_send(r->engine->store.redis, args, 3);
	}
	buf_free(&payload);
}

void
runner_tell_typing(const struct runner *r)
{
	static char line[] = "[\"typing\",true]";
	const struct buf typing = { .data = line, .len = sizeof(line) - 1 };

	if (r->lease.listeners > 0)
		tell_room(r, &typing);
}

/* What they have not had yet. */
static void
tell_delta(struct runner *r)
{
	struct buf line = BUF_INIT(ANSWER_MAX);

	buf_printf(&line, "[\"%s\",{\"id\":\"%s\",\"attempt\":%lld,\"index\":%u,\"text\":",
	    r->lease.desk.desk ? "ai_delta" : "message-delta", r->answer_id, (long long)r->lease.attempt, r->index++);
	buf_json(&line, r->text.data + r->told, r->text.len - r->told);
	buf_puts(&line, "}]");
	r->told = r->text.len;
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

void
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

static enum hl_err
look_again(struct runner *r, bool *ret_changed)
{
	enum hl_err err = conversation_peek(&r->engine->store, &r->lease, ret_changed);

	r->looked_us = clock_mono_us();
	return err;
}

/* Who was paused for longer than a lease shows nothing before it has been kept again. */
static bool
may_show(const struct runner *r)
{
	return anybody_listens(r) && !r->unsure && clock_mono_us() - r->kept_us < LEASE_MS * INT64_C(1000);
}

/*
 * Before the first word is shown: is the turn still ours, and is the question still the whole question?  A model so quick
 * that the store has only just told has nothing to be asked again about: what may have come since gets the next turn.
 */
static enum hl_err
check_before_showing(struct runner *r)
{
	bool changed = false;
	enum hl_err err = HL_OK;

	if (clock_mono_us() - r->looked_us >= FRESH_US)
		err = look_again(r, &changed);
	if (err == HL_STORE) {
		r->unsure = true;		/* the answer is paid: the commit waits for the store, and fences */
		return HL_OK;
	}
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
	if (may_show(r) && !r->shown && !r->settled && (err = check_before_showing(r)) != HL_OK)
		return err;
	buf_add(&r->text, text, len);		/* all of it: who begins to listen in the midst is told the text so far */
	if (r->speech)
		speech_feed(r->speech, r->verdict->voice, text, len);
	if (!may_show(r))
		return HL_OK;
	r->shown = true;
	if (r->lease.listeners > 0)
		tell_delta(r);
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
		r->again = r->enough = false;
		buf_reset(&r->text);
		r->thinking = true;
		err = answer_think(&r->engine->thinker, &r->lease, on_delta, r, v);
		r->thinking = false;
		if (r->dropped || r->again || r->enough)
			task_uncancel();
		if (r->dropped)
			return HL_CONFLICT;
		if (!r->again && r->enough && err == HL_CANCELLED)
			return answer_so_far(v, &r->text);
		if (!r->again && (err || r->shown || r->settled || clock_mono_us() - r->looked_us < FRESH_US))
			return err;
		changed = r->again;
		err = look_again(r, &changed);	/* what reached another process, and nobody told us of */
		if (err == HL_STORE && !r->again)
			return HL_OK;		/* the answer has been paid; the commit waits for the store, and fences */
		if (err || !(r->again || changed))
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
	/* Nothing of the customer's is wrong with it: somebody has to see to the model. */
	log_line(str_equal(v->reason, "ai_unavailable") ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "turn", "outcome", outcome,
	    "provider", v->provider, "ms", ms, "upstream_requests", requests, "confidence", confidence,
	    "escalation", v->reason, "problem", v->problem.data, NULL);
}

static bool
begins_with(const struct entry *answer, const char *told, size_t told_len)
{
	size_t len;
	const char *text = entry_content(answer, &len);

	return told_len == 0 || (len >= told_len && memcmp(text, told, told_len) == 0);
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
		w->goes_on = w->answered && begins_with(&w->answer, r->text.data, w->told);
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
	const struct desk_profile *d = &r->lease.desk;
	struct bill bill = bill_of(d->account, d->agent, d->anonymous);
	struct engine *e = r->engine;
	enum aloud way = way_of(r);

	r->speech = NULL;
	r->silent = false;
	if (!d->desk || r->lease.probe || way == ALOUD_NOT || !speaker_ready(e->speaker))
		return;
	r->silent = !budget_allows_sound(&e->store, &bill);
	if (!r->silent)
		r->speech = aloud_begin(e->speaker, &e->store, &r->lease.place, r->lease.epoch, r->answer_id, way, &bill);
}

/* What of the sound goes with the text: its address, or, for who wants to wait, itself. */
static void
write_aloud(struct runner *r, struct verdict *v)
{
	v->silent = r->silent;
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

/*
 * What was thought becomes the answer.  Not inlined: what this needs on the stack need not lie there while thousands wait
 * for a model, and that is what they are made of.
 */
static __attribute__((noinline)) enum hl_err
settle(struct runner *r, struct verdict *v, enum committed *how)
{
	int64_t now, covered = r->lease.covered, seq;
	struct outgoing o = { 0 };
	struct turn_figures figures;
	enum hl_err err;

	strcpy(o.id, r->answer_id);
	if (*r->lease.escalation_id)
		strcpy(o.escalation_id, r->lease.escalation_id);
	else
		id_new(o.escalation_id);
	write_aloud(r, v);
	now = clock_wall_ms();
	figures_of_turn(r->engine->conf, &r->lease, v, now, &figures);
	o.counts = figures.answer;
	err = write_and_commit(r, v, now, &o, how, &seq);
	if (err == HL_OK && *how != COMMIT_FENCED) {
		if (!r->lease.desk.desk)
			figures_sum(r->engine->store.sums, &figures, now);
		if (v->reason && *r->lease.escalation_id == '\0')
			strcpy(r->lease.escalation_id, o.escalation_id);
		tell_answered(r, covered, &o, seq);
		if (*how == COMMITTED && !r->stale)
			conversation_remember(&r->engine->store, &r->lease, &o, seq);
	}
	outgoing_free(&o);
	return err;
}

static enum hl_err
run_turn(struct runner *r, enum committed *how)
{
	struct verdict v;
	enum hl_err err;

	verdict_init(&v);
	id_new(r->answer_id);
	buf_reset(&r->text);
	r->told = 0;
	r->index = 0;
	r->shown = r->worded = r->enough = r->unsure = false;
	r->began_us = clock_mono_us();
	*how = COMMIT_FENCED;
	begin_aloud(r);
	err = think(r, &v);
	if (err == HL_TOO_LARGE) {
		answer_give_up(&v, err);
		err = HL_OK;
	}
	if (err == HL_OK)
		err = settle(r, &v, how);
	log_turn(&v, r->lost ? "fenced" : r->dropped ? "handed_over" : err ? err_code(err) : *how == COMMIT_FENCED ? "fenced" : v.reason ? "escalated" : "answered", r->began_us);
	end_aloud(r, &v, err == HL_OK && *how != COMMIT_FENCED);
	verdict_free(&v);
	return err;
}

bool
runner_run(struct runner *r, bool only_one)
{
	enum committed how = COMMIT_FENCED;
	bool changed;

	r->task = task_self();
	do {
		if (run_turn(r, &how) != HL_OK || how != COMMITTED_MORE)
			return false;
		if (r->engine->draining && conversation_leave(&r->engine->store, &r->lease) == HL_OK)
			return false;		/* who never stops writing would keep this process alive */
		if (look_again(r, &changed) != HL_OK || !changed)
			return false;
		runner_tell_typing(r);
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

void
runner_background(struct runner *r)
{
	if (task_start(r->engine->loop, run_in_background, r) != HL_OK)
		runner_end(r);		/* its lease runs out, and it is taken over */
}

/* ---- enough ---- */

void
runner_enough(struct runner *r, const struct turn_deltas *deltas)
{
	struct waiter *w = r->waiters;

	if (!r->thinking || r->enough || w == NULL || w->next || w->deltas != deltas || w->seq > r->lease.covered)
		return;
	r->enough = true;
	task_cancel(r->task);
}

/* ---- hand-over ---- */

void
runner_drop(struct runner *r, bool handed_over)
{
	struct task *thinks = r->thinking ? r->task : NULL;
	struct waiter *waiters = r->waiters, *next;

	r->dropped = true;
	r->lost = !handed_over;
	r->waiters = NULL;
	for (struct waiter *w = waiters; w; w = w->next) {
		w->runner = NULL;
		w->done = true;
		w->handed_over = handed_over;
	}
	for (struct waiter *w = waiters; w; w = next) {
		next = w->next;
		if (w->task != thinks)
			task_wake(w->task);
	}
	if (thinks)
		task_cancel(thinks);		/* may end the runner, and so the waiter who runs it */
}
