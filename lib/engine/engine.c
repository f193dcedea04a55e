/*
 * engine.c - the engine as a whole: what it is made of, leases kept and taken over, conversations that are handed over, its end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "engine/company.h"
#include "engine/hearing.h"
#include "engine/turn_parts.h"
#include "records/analytics.h"
#include "records/recall.h"

#define TICK_MS		1000		/* a lease lasts four */
#define OVERDUE_AT_ONCE	32u

/* ---- the end ---- */

/* Leases are renewed as long as anything runs; maintain() reports the end. */
void
engine_maybe_drained(struct engine *e)
{
	if (e->draining && e->running == 0 && e->maintenance && speaker_busy(e->speaker) == 0)
		task_cancel(e->maintenance);
}

static void
on_silence(void *arg)
{
	engine_maybe_drained(arg);
}

/* ---- hand-over ---- */

/* The next one to drop: those before it may be gone by now. */
static struct runner *
runner_below(struct engine *e, const struct place *p, int64_t epoch)
{
	for (struct runner *r = *runner_slot(e, p); r; r = r->next)
		if (!r->dropped && r->lease.epoch < epoch && strcmp(r->lease.place.h, p->h) == 0)
			return r;
	return NULL;
}

static void
handed_over(struct engine *e, const struct handed *h)
{
	struct runner *r;

	e->handed[e->handed_next] = *h;
	e->handed[e->handed_next].at_ms = clock_mono_ms();
	e->handed_next = (e->handed_next + 1) % HANDED_KEPT;
	while ((r = runner_below(e, &h->place, h->epoch)) != NULL)
		runner_drop(r, true);
}

/* What turns under way have read of it is as old. */
static void
forget(struct engine *e, const struct place *p)
{
	conversation_forget(&e->store, p);
	for (struct runner *r = *runner_slot(e, p); r; r = r->next)
		r->stale = r->stale || strcmp(r->lease.place.h, p->h) == 0;
}

static void
on_handover(void *arg, const char *payload, size_t len)
{
	struct engine *e = arg;
	struct handed h;

	if (!handover_parse(payload, len, &h.place, &h.epoch))
		return;
	if (h.epoch == 0) {
		forget(e, &h.place);
		return;
	}
	handed_over(e, &h);
}

/* Also after every reconnection, when it may have missed some. */
static void
on_handover_ready(void *arg)
{
	struct engine *e = arg;

	e->unheard = e->heard;
	e->heard = true;
	if (e->unheard)			/* it may be another server, which has not heard of them */
		memset(e->handed, 0, sizeof(e->handed));
	if (e->unheard && e->store.recall) {
		recall_clear(e->store.recall);
		for (size_t i = 0; i < BUCKETS; i++)
			for (struct runner *r = e->table[i]; r; r = r->next)
				r->stale = true;
	}
	if (e->unheard && e->maintenance)
		task_wake(e->maintenance);
}

/* Where turns are under way; the caller frees it.  NULL: no memory. */
static struct place *
places_running(const struct engine *e, size_t *ret_count)
{
	struct place *places = calloc(e->running + 1, sizeof(*places));

	*ret_count = 0;
	for (size_t i = 0; places && i < BUCKETS; i++)
		for (struct runner *r = e->table[i]; r && *ret_count < e->running; r = r->next)
			places[(*ret_count)++] = r->lease.place;
	return places;
}

/* What was handed over while nobody told us. */
static void
ask_what_was_handed_over(struct engine *e)
{
	size_t n;
	struct place *places = places_running(e, &n);
	int64_t *epochs = calloc(n + 1, sizeof(*epochs));

	e->unheard = false;
	if (places == NULL || epochs == NULL || conversation_epochs(&e->store, places, n, epochs) != HL_OK)
		e->unheard = true;
	for (size_t i = 0; i < n && !e->unheard; i++) {
		const struct handed h = { .place = places[i], .epoch = epochs[i] };

		if (runner_below(e, &h.place, h.epoch))
			handed_over(e, &h);
	}
	free(places);
	free(epochs);
}

/* ---- keeping and taking over ---- */

static struct kept_lease *
leases_running(const struct engine *e, size_t *ret_count)
{
	struct kept_lease *leases = calloc(e->running + 1, sizeof(*leases));

	*ret_count = 0;
	for (size_t i = 0; leases && i < BUCKETS; i++)
		for (struct runner *r = e->table[i]; r && *ret_count < e->running; r = r->next)
			leases[(*ret_count)++] = (struct kept_lease){ .place = r->lease.place, .fence = r->lease.fence };
	return leases;
}

static struct runner *
runner_of(struct engine *e, const struct kept_lease *l)
{
	struct runner *r = *runner_slot(e, &l->place);

	while (r && (r->lease.fence != l->fence || strcmp(r->lease.place.h, l->place.h) != 0))
		r = r->next;
	return r;
}

/* This process was paused, or away from the store, for longer than a lease: its turns are others' by now, or will be. */
static void
renew_all(struct engine *e)
{
	size_t n;
	struct kept_lease *leases = leases_running(e, &n);
	int64_t now_us = clock_mono_us();
	struct runner *r;
	enum hl_err err;

	if (leases == NULL)
		return;
	err = conversation_renew(&e->store, leases, n);
	if (err)
		log_line(LOG_LEVEL_WARN, "renew", "problem", redis_problem(e->store.redis), NULL);
	for (size_t i = 0; err == HL_OK && i < n; i++) {
		r = runner_of(e, &leases[i]);
		if (r && leases[i].lost && !r->dropped)
			runner_drop(r, false);
		else if (r)
			r->kept_us = now_us;
	}
	free(leases);
}

/* To whoever looks next; without the store it is found when its lease has run out. */
static void
give_back(struct engine *e, struct lease *lease)
{
	enum hl_err err = conversation_leave(&e->store, lease);

	if (err)
		log_line(LOG_LEVEL_WARN, "leave", "problem", redis_problem(e->store.redis), NULL);
	lease_clear(lease);
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
	for (size_t i = 0; i < n && !e->draining && e->running < (size_t)e->conf->max_waiting; i++) {
		if (*runner_slot(e, &overdue[i]) || conversation_claim(&e->store, &overdue[i], &lease) != HL_OK)
			continue;
		if (e->draining) {		/* since we asked */
			give_back(e, &lease);
			break;
		}
		log_line(LOG_LEVEL_INFO, "turn_taken_over", NULL);
		metrics_count(M_TURN_TAKEN_OVER, 1);
		taken++;
		if ((r = runner_new(e, &lease)) != NULL) {
			runner_tell_typing(r);
			runner_background(r);
		}
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

/* Until the next tick, or until it has to be asked what was handed over; once more after that has failed, a tick later. */
static enum hl_err
rest(const struct engine *e)
{
	enum hl_err err = e->unheard ? task_sleep(TICK_MS) : task_wait_flag(&e->unheard, TICK_MS);

	return err == HL_TIMEOUT ? HL_OK : err;
}

static void
maintain(void *arg)
{
	struct engine *e = arg;

	e->maintenance = task_self();
	do {					/* at once: what ran here before may have died and left something */
		if (e->unheard)
			ask_what_was_handed_over(e);
		if (e->running)
			renew_all(e);		/* three times before a lease ends */
		recall_age(e->store.recall);
		flush_sums(e);
		speaker_tend(e->speaker);
		if (!e->draining)
			take_over(e);
	} while (rest(e) == HL_OK);
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
	static const struct redis_sub_calls handover_calls = { .message = on_handover, .ready = on_handover_ready };
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
		err = ear_new(&e->store, e->http, &e->ear);
	if (err == HL_OK)
		err = speaker_new(loop, &e->store, e->http, on_silence, e, &e->speaker);
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
	engine_maybe_drained(e);
}
