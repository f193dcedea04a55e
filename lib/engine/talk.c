#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "engine/answer.h"
#include "engine/talk_parts.h"
#include "loop/task.h"

/* ---- telling ---- */

static void
tell(struct talk *t, const struct buf *b)
{
	if (t->open && buf_err(b) == HL_OK)
		t->io.event(t->io_arg, b->data, b->len);
}

static void
tell_ready(struct talk *t)
{
	struct buf b = BUF_INIT(1024);

	buf_printf(&b, "[\"voice_ready\",{\"conversationId\":\"%s\",\"rate\":%u}]", t->conversation, t->resampler.from);
	tell(t, &b);
	buf_free(&b);
}

void
talk_tell_transcript(struct talk *t, const char *id, const struct buf *words, bool final)
{
	struct buf b = BUF_INIT(EVENT_MAX);

	buf_printf(&b, "[\"transcript\",{\"id\":\"%s\",\"text\":", id);
	buf_json(&b, words->len ? words->data : "", words->len);
	buf_printf(&b, ",\"final\":%s}]", final ? "true" : "false");
	tell(t, &b);
	buf_free(&b);
}

void
talk_tell_speech_started(struct talk *t, bool interrupts)
{
	struct buf b = BUF_INIT(256);

	buf_puts(&b, "[\"speech_started\",{\"id\":");
	buf_json_str(&b, interrupts ? t->answer.sound_id : NULL);
	buf_puts(&b, "}]");
	tell(t, &b);
	buf_free(&b);
}

void
talk_refuse(struct talk *t, enum hl_err why, const char *sentence)
{
	struct buf b = BUF_INIT(4096);

	buf_puts(&b, "[\"error\",{\"message\":");
	buf_json_str(&b, sentence ? sentence : err_text(why));
	buf_printf(&b, ",\"code\":\"%s\"}]", err_code(why));
	tell(t, &b);
	buf_free(&b);
}

/* ---- its end ---- */

static void
talk_free(struct talk *t)
{
	struct talks *all = t->all;

	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	all->count--;
	metrics_set(M_CALLS_NOW, (int64_t)all->count);
	for (struct utterance *u = t->first, *next; u; u = next) {
		next = u->next;
		buf_free(&u->sound);
		free(u);
	}
	buf_free(&t->scratch);
	buf_free(&t->before);
	buf_free(&t->said);
	buf_free(&t->heard);
	buf_free(&t->written);
	spoken_free(&t->spoken);
	free(t);
	if (all->ending && all->count == 0 && all->ended)
		all->ended(all->ended_arg);
}

void
talk_maybe_free(struct talk *t)
{
	if (t->over && !t->open && t->tasks == 0)
		talk_free(t);
}

void
talk_stir(struct talk *t)
{
	t->stirred = true;
	if (t->brain)
		task_wake(t->brain);
}

/* Nothing is done any more; what runs ends by itself. */
static void
fall_silent(struct talk *t)
{
	struct mouth *m = t->mouth;

	talk_note_heard(t);
	t->over = true;
	t->mouth = NULL;
	redis_unsubscribe(t->room);
	t->room = NULL;
	mouth_free(m);
	talk_stir(t);
}

void
talk_say_goodbye(struct talk *t, const char *reason, const char *sentence)
{
	struct buf b = BUF_INIT(1024);

	if (t->over)
		return;
	buf_printf(&b, "[\"voice_ended\",{\"reason\":\"%s\",\"message\":", reason);
	buf_json_str(&b, sentence);
	buf_puts(&b, "}]");
	if (t->open && buf_err(&b) == HL_OK)
		t->io.bye(t->io_arg, b.data, b.len);
	buf_free(&b);
	fall_silent(t);
}

/* Who hangs up while he is answered has heard no more of it; if it is written to its end, he can read it. */
void
talk_close(struct talk *t)
{
	t->tasks++;		/* falling silent may end what would free it */
	t->open = false;
	if (!t->over && t->attempt && talk_answers(t))
		talk_interrupt(t);
	if (!t->over)
		fall_silent(t);
	t->tasks--;
	talk_maybe_free(t);
}

/* ---- the beginning ---- */

/* Who calls again where he has a call, has lost it. */
static void
end_others(struct talks *all, const struct talk *t)
{
	for (struct talk *o = all->first, *next; o; o = next) {
		next = o->next;
		if (o != t && !o->over && strcmp(o->conversation, t->conversation) == 0)
			talk_say_goodbye(o, "elsewhere", "The call goes on elsewhere");
	}
}

static struct talk *
make(struct talks *all, const struct talk_who *who, const struct talk_io *io, void *arg)
{
	struct talk *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->all = all;
	t->io = *io;
	t->io_arg = arg;
	t->open = true;
	snprintf(t->conversation, sizeof(t->conversation), "%s", who->conversation_id);
	snprintf(t->socket, sizeof(t->socket), "%s", who->socket);
	snprintf(t->account, sizeof(t->account), "%s", who->account ? who->account : "");
	snprintf(t->payer, sizeof(t->payer), "%s", who->payer ? who->payer : "");
	snprintf(t->address, sizeof(t->address), "%s", who->address);
	snprintf(t->voice, sizeof(t->voice), "%s", who->voice);
	t->bill = who->bill;
	t->place = conversation_place(all->store, t->conversation);
	t->scratch = BUF_INIT(8 * TALK_CHUNK_MAX);
	t->before = BUF_INIT(8 * TALK_CHUNK_MAX);
	t->said = BUF_INIT(2 * TALK_SAID_MS * BYTES_A_MS);
	t->heard = BUF_INIT(EVENT_MAX);
	spoken_init(&t->spoken);
	resampler_init(&t->resampler, who->rate, VAD_RATE);
	vad_init(&t->vad);
	t->begun_mono_ms = t->stirred_mono_ms = clock_mono_ms();
	t->next = all->first;
	t->link = &all->first;
	if (t->next)
		t->next->link = &t->next;
	all->first = t;
	all->count++;
	metrics_set(M_CALLS_NOW, (int64_t)all->count);
	return t;
}

static void
give_mouth(struct talk *t)
{
	struct mouth_calls calls = { talk_on_chunk, talk_on_unpaid, talk_on_mouth_gone, t };
	struct speaker *speaker = engine_speaker(t->all->engine);

	if (speaker == NULL || !conf_speaks(t->all->conf) || mouth_new(t->all->loop, speaker, &t->bill,
	    t->all->conf->call_patience_ms, &calls, &t->mouth) != HL_OK)
		return;
	t->tasks++;
}

static void
greet(struct talk *t, char *take_greeting)
{
	if (take_greeting) {
		talk_begin_answer(t);
		spoken_feed(&t->spoken, take_greeting, strlen(take_greeting));
		talk_say_rest(t);
	}
	free(take_greeting);
}

enum hl_err
talk_new(struct talks *all, const struct talk_who *who, const struct talk_io *io, void *arg, struct talk **ret)
{
	struct talk *t;

	*ret = NULL;
	if (all->ending || all->count >= (size_t)all->conf->max_calls)
		return HL_BUSY;
	if (!talks_possible(all))
		return HL_UPSTREAM;
	t = make(all, who, io, arg);
	if (t == NULL)
		return HL_NO_MEMORY;
	end_others(all, t);
	give_mouth(t);
	talk_listen_to_person(t);
	t->tasks++;
	if (task_start(all->loop, talk_think, t) != HL_OK) {
		t->tasks--;
		talk_close(t);
		return HL_NO_MEMORY;
	}
	*ret = t;
	tell_ready(t);
	greet(t, who->greeting ? strdup(who->greeting) : NULL);
	return HL_OK;
}

/* ---- all of them ---- */

enum hl_err
talks_new(uv_loop_t *loop, const struct conf *conf, struct engine *engine, struct talks **ret)
{
	struct talks *all = *ret = calloc(1, sizeof(*all));

	if (all == NULL)
		return HL_NO_MEMORY;
	*all = (struct talks){ .loop = loop, .conf = conf, .engine = engine, .store = engine_thinker(engine)->store };
	return HL_OK;
}

bool
talks_possible(const struct talks *all)
{
	return conf_hears(all->conf);
}

size_t
talks_count(const struct talks *all)
{
	return all->count;
}

void
talks_end(struct talks *all, void (*done)(void *), void *arg)
{
	all->ending = true;
	for (struct talk *t = all->first, *next; t; t = next) {
		next = t->next;
		talk_say_goodbye(t, "begin_again", "The call was interrupted; begin it again");
	}
	all->ended = done;
	all->ended_arg = arg;
	if (all->count == 0)
		done(arg);
}

void
talks_free(struct talks *all)
{
	free(all);
}
