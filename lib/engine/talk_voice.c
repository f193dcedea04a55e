/*
 * talk_voice.c - what is said back in a live call, and what is left of it when somebody interrupts.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/talk_parts.h"
#include "loop/task.h"

/* ---- the mouth ---- */

void
talk_on_chunk(void *arg, const struct mouth_chunk *c)
{
	struct talk *t = arg;
	struct buf b = BUF_INIT(1024);

	if (!t->open)
		return;
	t->stirred_mono_ms = clock_mono_ms();
	buf_printf(&b, "[\"ai_audio\",{\"id\":\"%s\",\"index\":%u,\"ms\":%lld,\"type\":\"audio/pcm\",\"last\":%s", c->id, c->index,
	    (long long)c->at_ms, c->failed ? "true,\"failed\":true}]" : c->last ? "true}]" : "false");
	if (!c->last)
		buf_printf(&b, ",\"rate\":%u,\"audio\":{\"_placeholder\":true,\"num\":0}}]", c->rate);
	if (buf_err(&b) == HL_OK && c->last)
		t->io.event(t->io_arg, b.data, b.len);
	else if (buf_err(&b) == HL_OK)
		t->io.audio(t->io_arg, b.data, b.len, c->samples, c->bytes);
	if (c->failed)
		talk_refuse(t, HL_UPSTREAM, "Not all of the answer could be said aloud; it is there to be read");
	buf_free(&b);
}

void
talk_on_unpaid(void *arg)
{
	struct talk *t = arg;

	if (!t->told_silent && !t->over)
		talk_refuse(t, HL_TOO_MANY, BUDGET_SILENT);
	t->told_silent = true;
}

void
talk_on_mouth_gone(void *arg)
{
	struct talk *t = arg;

	t->tasks--;
	talk_maybe_free(t);
}

void
talk_begin_answer(struct talk *t)
{
	spoken_free(&t->spoken);
	t->muted = t->mouth == NULL;
	t->answer = (struct spoken_answer){ 0 };
	if (t->mouth == NULL)
		return;
	mouth_begin(t->mouth, t->voice);
	strcpy(t->answer.sound_id, mouth_id(t->mouth));
}

void
talk_say_pieces(struct talk *t)
{
	struct buf piece = BUF_INIT(SPOKEN_TEXT_MAX);

	while (!t->muted && t->mouth && spoken_next(&t->spoken, &piece))
		mouth_say(t->mouth, piece.data, piece.len);
	buf_free(&piece);
}

void
talk_say_rest(struct talk *t)
{
	spoken_end(&t->spoken);
	talk_say_pieces(t);
	if (!t->muted && t->mouth)
		mouth_end(t->mouth);
}

/* ---- who speaks while he is answered ---- */

/* Is there anything that he would not hear to its end? */
bool
talk_answers(const struct talk *t)
{
	return t->mouth && !t->muted && !t->answer.cut && (mouth_talks(t->mouth) || (t->attempt && mouth_able(t->mouth)));
}

void
talk_interrupt(struct talk *t)
{
	t->answer.cut = true;
	t->answer.cut_mono_ms = clock_mono_ms();
	t->answer.heard_ms = mouth_heard_ms(t->mouth);
	t->muted = true;
	mouth_stop(t->mouth);
	if (t->deltas)
		turn_enough(t->all->engine, &t->place, t->deltas);
}

void
talk_played(struct talk *t, const char *sound_id, int64_t ms)
{
	if (t->over || !t->answer.cut || t->answer.reported || !str_equal(sound_id, t->answer.sound_id))
		return;
	if (ms < t->answer.heard_ms)
		t->answer.heard_ms = ms > 0 ? ms : 0;	/* more than was sent in that time he cannot have heard */
	t->answer.reported = true;
	talk_stir(t);
}

bool
talk_cut_is_due(const struct talk *t)
{
	return t->answer.cut && *t->answer.id &&
	    (t->answer.reported || clock_mono_ms() - t->answer.cut_mono_ms >= TALK_REPORT_MS);
}

static void
cut_to(struct talk *t, const struct buf *words)
{
	enum hl_err err = buf_err(words);

	if (err == HL_OK)
		err = conversation_cut(t->all->store, &t->place, t->answer.id, t->answer.seq, words->data, words->len);
	if (err)
		log_line(LOG_LEVEL_WARN, "cut_failed", "problem", err_code(err), NULL);
	t->answer.cut = false;
}

void
talk_note_heard(struct talk *t)
{
	if (t->answer.cut && t->mouth && t->heard.len == 0)
		mouth_words(t->mouth, t->answer.heard_ms, &t->heard);
}

void
talk_settle_last(struct talk *t)
{
	if (t->answer.cut && *t->answer.id && t->heard.len)
		cut_to(t, &t->heard);
}

void
talk_settle_cut(struct talk *t)
{
	struct buf words = BUF_INIT(EVENT_MAX);

	while (!t->over && t->answer.cut && *t->answer.id && !talk_cut_is_due(t)) {
		int64_t left = TALK_REPORT_MS - (clock_mono_ms() - t->answer.cut_mono_ms);

		t->stirred = false;
		(void)!task_wait_flag(&t->stirred, left > 0 ? left : 1);
	}
	if (t->over || !talk_cut_is_due(t))
		return;
	mouth_words(t->mouth, t->answer.heard_ms, &words);
	cut_to(t, &words);
	buf_free(&words);
}
