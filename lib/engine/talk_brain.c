/*
 * talk_brain.c - a live call's own task: what was said is written down, becomes a message, and is answered.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/budget.h"
#include "engine/hearing.h"
#include "engine/talk_parts.h"
#include "loop/task.h"

#define LOOK_MS		1000
#define SOON_MS		100	/* until a mouth is tried again that is talking */
#define FAREWELL_MS	15000	/* for the last sentence */
#define FADED_MS	3000	/* without a sound from who was speaking when the time was over */

static const char farewell[] = "I am sorry, this call has lasted as long as a call may. Please call again, or write here.";

/* ---- the brain ---- */

/* Somebody waits on the line: longer than this he would not, the more he said the more. */
static enum hl_err
write_down(struct talk *t, const struct buf *sound, struct buf *words, struct buf *problem)
{
	int64_t said_ms = (int64_t)(sound->len / BYTES_A_MS);

	return ear_hear_samples(engine_ear(t->all->engine), &t->bill, sound->data, sound->len, VAD_RATE,
	    t->all->conf->call_patience_ms + said_ms / 2, words, problem);
}

static struct utterance *
take_utterance(struct talk *t)
{
	struct utterance *u = t->first;

	if (u == NULL)
		return NULL;
	t->first = u->next;
	t->waiting--;
	return u;
}

/* What has been said so far.  A failure means nothing: the whole will be written down, and does not wait for this. */
static void
hear_partial(void *arg)
{
	struct talk *t = arg;
	struct buf sound = BUF_INIT(t->said.max), words = BUF_INIT(HEARING_WORDS_MAX), problem = BUF_INIT(4096);
	char id[ID_LEN + 1];

	strcpy(id, t->said_id);
	t->transcribed = t->said.len;
	buf_add(&sound, t->said.data, t->said.len);
	if (buf_err(&sound) == HL_OK && write_down(t, &sound, &words, &problem) == HL_OK && !t->over && words.len &&
	    strcmp(id, t->said_id) == 0)
		talk_tell_transcript(t, id, &words, false);
	buf_free(&sound);
	buf_free(&words);
	buf_free(&problem);
	t->murmurs = false;
	t->tasks--;
	talk_maybe_free(t);
}

static void
begin_partial(struct talk *t)
{
	t->murmurs = true;
	t->tasks++;
	if (task_start(t->all->loop, hear_partial, t) == HL_OK)
		return;
	t->murmurs = false;
	t->tasks--;
	t->transcribed = t->said.len;
}

static enum hl_err
on_delta(void *arg, int64_t attempt, unsigned index, const char *text, size_t len)
{
	struct talk *t = arg;

	(void)index;
	if (t->over || t->muted)
		return HL_OK;
	if (attempt != t->attempt) {
		talk_begin_answer(t);
		t->attempt = attempt;
	}
	spoken_feed(&t->spoken, text, len);
	talk_say_pieces(t);
	return HL_OK;
}

static void
conversation_is_over(struct talk *t, enum hl_err err)
{
	if (err == HL_NOT_FOUND || err == HL_FORBIDDEN)
		talk_say_goodbye(t, "conversation_over", "The conversation is over");
	else if (err == HL_TOO_LARGE)
		talk_say_goodbye(t, "conversation_full", "This conversation is full; start a new one");
	else
		talk_refuse(t, err, NULL);
}

/* From words to an answer, which is spoken while it is written. */
static void
ask(struct talk *t, const struct utterance *u, const struct buf *words)
{
	struct incoming in = { .id = t->conversation, .account = *t->account ? t->account : NULL, .by_id = true, .text = words->data,
	    .text_len = words->len, .client_id = u->id, .client_named = true, .audio = "none",
	    .limits = { .address = t->address, .session = t->conversation } };
	struct turn_deltas deltas = { .delta = on_delta, .arg = t };
	struct turn *turn;
	struct entry e;
	int64_t retry_ms;
	bool told;
	enum hl_err err = turn_accept(t->all->engine, &in, &turn, &retry_ms);

	if (err) {
		conversation_is_over(t, err);
		return;
	}
	told = t->person && t->told_person;	/* that a person has it: once is enough */
	if (!told) {
		talk_begin_answer(t);
		t->attempt = 1;
		t->deltas = &deltas;
	}
	err = turn_wait(turn, told ? NULL : &deltas, &e);
	t->deltas = NULL;
	t->attempt = 0;
	if (err) {
		if (!t->over)
			conversation_is_over(t, err);
		return;
	}
	if (e.seq > 0 && !e.human) {
		memcpy(t->answer.id, e.id, sizeof(t->answer.id));
		t->answer.seq = e.seq;
	}
	if (e.seq == 0)
		t->person = t->told_person = true;
	if (!t->over && !told)
		talk_say_rest(t);
	entry_clear(&e);
}

/* What nobody pays for is not written down either. */
static bool
is_paid(struct talk *t)
{
	if (*t->payer == '\0' || budget_allows_public(t->all->store, t->payer))
		return true;
	talk_say_goodbye(t, "limit", "This company takes no more calls today");
	return false;
}

static void
answer_utterance(struct talk *t, struct utterance *take)
{
	struct buf words = BUF_INIT(HEARING_WORDS_MAX), problem = BUF_INIT(4096);
	enum hl_err err = HL_TOO_MANY;

	if (is_paid(t))
		err = write_down(t, &take->sound, &words, &problem);
	buf_free(&take->sound);
	if (err == HL_TOO_MANY)
		talk_say_goodbye(t, "limit", BUDGET_DEAF);
	if (err && !t->over) {
		log_line(LOG_LEVEL_WARN, "hearing", "problem", problem.len ? problem.data : err_code(err), NULL);
		talk_refuse(t, err == HL_UNPROCESSABLE ? HL_UPSTREAM : err, "What you said could not be written down; say it again, or type it");
	}
	if (err == HL_OK && !t->over) {
		talk_tell_transcript(t, take->id, &words, true);
		talk_settle_cut(t);
	}
	if (err == HL_OK && !t->over && (int64_t)words.len > t->all->conf->max_message)
		talk_refuse(t, HL_TOO_LARGE, "More was heard than one message may have; say it again, or type it");
	else if (err == HL_OK && !t->over && !str_blank(words.data ? words.data : "", words.len))
		ask(t, take, &words);
	free(take);
	buf_free(&words);
	buf_free(&problem);
}

/* ---- the longest that a call may last ---- */

/* From now on nobody is heard but who is speaking, and he until his sentence is over. */
static void
look_at_clock(struct talk *t)
{
	int64_t past = clock_mono_ms() - t->begun_mono_ms - t->all->conf->max_call_s * 1000;

	t->closing = t->closing || past >= 0;
	if (t->closing && *t->said_id && (past > TALK_SAID_MS || clock_mono_ms() - t->stirred_mono_ms > FADED_MS))
		talk_end_utterance(t);
}

static bool
end_is_due(const struct talk *t)
{
	return t->closing && *t->said_id == '\0' && t->first == NULL && t->written.len == 0 &&
	    !(t->mouth && mouth_talks(t->mouth) && clock_mono_ms() - t->stirred_mono_ms < FAREWELL_MS);
}

static void
end_in_time(struct talk *t)
{
	if (t->farewell || t->mouth == NULL) {
		talk_say_goodbye(t, "time", farewell);
		return;
	}
	t->farewell = true;
	t->stirred_mono_ms = clock_mono_ms();
	talk_begin_answer(t);
	spoken_feed(&t->spoken, farewell, sizeof(farewell) - 1);
	talk_say_rest(t);
}

static int64_t
patience(const struct talk *t)
{
	if (t->closing || t->written.len)
		return SOON_MS;
	return t->answer.cut ? TALK_REPORT_MS : LOOK_MS;
}

void
talk_think(void *arg)
{
	struct talk *t = arg;
	struct utterance *u;

	t->brain = task_self();
	while (!t->over) {
		t->stirred = false;
		look_at_clock(t);
		if (talk_cut_is_due(t))
			talk_settle_cut(t);
		else if ((u = take_utterance(t)) != NULL)
			answer_utterance(t, u);
		else if (talk_person_is_due(t))
			talk_say_person(t);
		else if (talk_partial_is_due(t))
			begin_partial(t);
		else if (end_is_due(t))
			end_in_time(t);
		else if (clock_mono_ms() - t->stirred_mono_ms > TALK_SILENCE_MS)
			talk_say_goodbye(t, "silence", "Nobody has said anything for a while");
		else if (!t->stirred)
			(void)!task_wait_flag(&t->stirred, patience(t));
	}
	talk_settle_last(t);
	t->brain = NULL;
	t->tasks--;
	talk_maybe_free(t);
}
