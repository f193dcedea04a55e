#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/turn_parts.h"
#include "records/analytics.h"

#define RECHECK_MS	500		/* while another process answers */
#define WAIT_SLACK_MS	(2 * LEASE_MS)

static const char handled_text[] = "A person from our team had this conversation.";

struct turn {
	struct engine	*engine;
	struct acceptance accepted;
	struct place	 place;
	struct runner	*mine;		/* not run yet */
	bool		 shared;	/* as in struct runner, which takes it over */
	unsigned	 share;
};

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
	t->share = share_of(&e->shares, in->limits.address, in->user_id ? in->user_id : in->account ? in->account : in->id);
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
	else if (t->accepted.how == ACCEPTED_QUEUED && (running = *runner_slot(e, &t->place)) != NULL && running->thinking &&
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

bool
turn_was_answered(const struct turn *t)
{
	return turn_repeated(t) && t->accepted.answered;
}

void
turn_leave(struct turn *t)
{
	if (t->mine)
		runner_background(t->mine);
	turn_free(t);
}

void
turn_enough(struct engine *e, const struct place *place, const struct turn_deltas *deltas)
{
	struct runner *r = *runner_slot(e, place);

	if (r)
		runner_enough(r, deltas);
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

/* What was accepted is worth waiting for while the store is away for a moment: HL_STORE not before until. */
static enum hl_err
find_answer(const struct turn *t, int64_t until, struct entry *ret)
{
	enum hl_err err;

	while ((err = conversation_answer(&t->engine->store, &t->place, t->accepted.seq, ret)) == HL_STORE && clock_mono_ms() < until)
		if ((err = task_sleep(RECHECK_MS)) != HL_OK)
			break;
	return err;
}

/* Then there is nothing to wait for: a person has it, or it is deleted. */
static bool
nobody_answers(const struct turn *t, const struct waiter *w)
{
	struct ownership owner;
	enum hl_err err = w->handed_over ? HL_NOT_FOUND : conversation_owner(&t->engine->store, &t->place, &owner);

	return err == HL_NOT_FOUND || (err == HL_OK && owner.person);
}

/* One that began behind that message answers what came later. */
static bool
answers(const struct runner *r, int64_t seq)
{
	return r && r->lease.before < seq;
}

/* Another process runs it, or will when its lease has run out: its answer is heard of, and looked for now and then. */
static enum hl_err
wait_for_others(struct turn *t, struct waiter *w, int64_t until, struct entry *ret)
{
	static const struct redis_sub_calls calls = { .message = on_room_message };
	struct remote m = { .task = task_self() };
	struct redis_sub *sub = NULL;
	char room[CONVERSATION_KEY_MAX];
	enum hl_err err;

	conversation_room(&t->place, room);
	err = redis_subscribe(t->engine->store.redis, room, &calls, &m, &sub);
	while (err == HL_OK) {
		struct runner *r = *runner_slot(t->engine, &t->place);

		if (answers(r, w->seq))		/* taken over by this process in the meantime */
			wait_for_runner(w, r);
		if (w->answered) {
			*ret = w->answer;
			break;
		}
		m.heard = false;
		err = find_answer(t, until, ret);
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
tell_person(const struct turn *t, int64_t until, struct entry *ret)
{
	const struct store *s = &t->engine->store;
	struct buf json = BUF_INIT(2048);
	char id[CRYPTO_NAME_LEN + 1];
	struct ownership owner;
	enum hl_err err;

	while ((err = conversation_owner(&t->engine->store, &t->place, &owner)) == HL_STORE && clock_mono_ms() < until)
		if ((err = task_sleep(RECHECK_MS)) != HL_OK)
			break;
	if (err)
		return err;
	buf_puts(&json, "{\"role\":\"assistant\",\"content\":");
	buf_json_str(&json, owner.person ? ANSWER_BY_PERSON : handled_text);
	buf_printf(&json, ",\"ts\":%lld,\"needsEscalation\":%s,\"confidence\":1,\"provider\":\"helpline\",\"escalation\":",
	    (long long)clock_wall_ms(), owner.person ? "true" : "false");
	if (owner.person && *owner.escalation_id)
		buf_printf(&json, "{\"reason\":\"%s\",\"id\":\"%s\"}", owner.reason, owner.escalation_id);
	else
		buf_puts(&json, "null");
	buf_puts(&json, ",\"sources\":[]}");
	err = buf_err(&json);
	/* An id of its own, and the same one for the same message. */
	crypto_name(s->crypto, "said", t->accepted.message_id, strlen(t->accepted.message_id), id);
	if (err == HL_OK)
		err = entry_make(0, id, &json, ret);
	buf_free(&json);
	return err;
}

enum hl_err
turn_wait(struct turn *t, const struct turn_deltas *deltas, struct entry *ret)
{
	struct waiter w = { .task = task_self(), .seq = t->accepted.seq, .deltas = deltas };
	struct runner *r = *runner_slot(t->engine, &t->place);
	int64_t until;
	enum hl_err err;

	*ret = (struct entry){ 0 };
	if (t->mine)
		run_own(&w, t->mine);
	else if (answers(r, w.seq) && turn_is_assistants(t) && !turn_was_answered(t))
		wait_for_runner(&w, r);
	until = clock_mono_ms() + t->engine->conf->turn_timeout_ms + WAIT_SLACK_MS;
	if (w.answered) {
		*ret = w.answer;
		err = HL_OK;
	} else if (t->accepted.answered || w.handed_over || !turn_is_assistants(t))
		err = find_answer(t, until, ret);
	else
		err = wait_for_others(t, &w, until, ret);
	if (err == HL_NOT_FOUND)
		err = tell_person(t, until, ret);
	if (err == HL_OK)
		tell_rest(&w, ret);
	turn_free(t);
	return err;
}
