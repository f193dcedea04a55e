#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/pcm.h"
#include "base/str.h"
#include "engine/answer.h"
#include "engine/budget.h"
#include "engine/hearing.h"
#include "engine/mouth.h"
#include "engine/spoken.h"
#include "engine/talk.h"
#include "engine/vad.h"
#include "loop/task.h"

#define BYTES_A_MS	(VAD_RATE / 1000 * 2)
#define BEFORE_MS	300		/* of sound before speech was noticed: it had begun by then */
#define UTTERANCES_MAX	4		/* said and not answered yet */
#define PAUSE_MS	100		/* within what is said */
#define WORDLESS_MS	120		/* of voice: less is no word */
#define BURST_MS	10000		/* of sound that may come at once … */
#define PACE		3		/* … and so many times faster than it is said */
#define LOOK_MS		1000
#define EVENT_MAX	(256u * 1024)

struct utterance {
	struct utterance *next;
	struct buf	 sound;
	char		 id[ID_LEN + 1];
};

/* An answer, and that it was interrupted. */
struct spoken_answer {
	char		 sound_id[ID_LEN + 1];	/* what mouth_id() was */
	char		 id[ID_LEN + 1];	/* the message's; "": not stored yet, or not at all */
	int64_t		 seq;
	bool		 cut;			/* interrupted, and the message is still whole */
	int64_t		 cut_mono_ms, heard_ms;	/* when, and what time allows to have been heard */
	bool		 reported;		/* heard_ms is what the other side says */
};

struct talk {
	struct talks	*all;
	struct talk	*next, **link;
	struct talk_io	 io;
	void		*io_arg;
	bool		 open;			/* the connection is there */
	bool		 over;			/* nothing is done any more */
	unsigned	 tasks;
	struct task	*brain;
	bool		 stirred;		/* there is something for it */
	bool		 murmurs;		/* a partial transcript is asked for */

	char		 conversation[ID_LEN + 1], socket[ID_LEN + 1];
	char		 account[CRYPTO_NAME_LEN + 1], payer[CRYPTO_NAME_LEN + 1];
	char		 address[64], voice[64];
	struct place	 place;

	struct resampler resampler;
	struct vad	 vad;
	struct buf	 scratch, before, said;
	char		 said_id[ID_LEN + 1];
	size_t		 transcribed;		/* bytes of `said` that a partial transcript has seen */
	struct utterance *first;
	unsigned	 waiting;
	int64_t		 begun_mono_ms, stirred_mono_ms;
	double		 sound_ms;		/* that has come */

	struct mouth	*mouth;
	struct spoken	 spoken;		/* what is to be said of the answer that is being written */
	int64_t		 attempt;
	bool		 muted;			/* of that answer nothing more is said */
	struct spoken_answer answer;
};

struct talks {
	uv_loop_t	*loop;
	const struct conf *conf;
	struct engine	*engine;
	struct store	*store;
	struct talk	*first;
	size_t		 count;
	bool		 ending;
	void		(*ended)(void *);
	void		*ended_arg;
};

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

static void
tell_transcript(struct talk *t, const char *id, const struct buf *words, bool final)
{
	struct buf b = BUF_INIT(EVENT_MAX);

	buf_printf(&b, "[\"transcript\",{\"id\":\"%s\",\"text\":", id);
	buf_json(&b, words->len ? words->data : "", words->len);
	buf_printf(&b, ",\"final\":%s}]", final ? "true" : "false");
	tell(t, &b);
	buf_free(&b);
}

static void
tell_speech_started(struct talk *t, bool interrupts)
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
	spoken_free(&t->spoken);
	free(t);
	if (all->ending && all->count == 0 && all->ended)
		all->ended(all->ended_arg);
}

static void
maybe_free(struct talk *t)
{
	if (t->over && !t->open && t->tasks == 0)
		talk_free(t);
}

static void
stir(struct talk *t)
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

	t->over = true;
	t->mouth = NULL;
	mouth_free(m);
	stir(t);
}

static void
say_goodbye(struct talk *t, const char *reason, const char *sentence)
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

void
talk_close(struct talk *t)
{
	t->tasks++;		/* falling silent may end what would free it */
	t->open = false;
	if (!t->over)
		fall_silent(t);
	t->tasks--;
	maybe_free(t);
}

/* ---- the mouth ---- */

static void
on_chunk(void *arg, const struct mouth_chunk *c)
{
	struct talk *t = arg;
	struct buf b = BUF_INIT(1024);

	if (!t->open)
		return;
	t->stirred_mono_ms = clock_mono_ms();
	buf_printf(&b, "[\"ai_audio\",{\"id\":\"%s\",\"index\":%u,\"ms\":%lld,\"type\":\"audio/pcm\",\"last\":%s", c->id, c->index,
	    (long long)c->at_ms, c->last ? "true}]" : "false");
	if (!c->last)
		buf_printf(&b, ",\"rate\":%u,\"audio\":{\"_placeholder\":true,\"num\":0}}]", c->rate);
	if (buf_err(&b) == HL_OK && c->last)
		t->io.event(t->io_arg, b.data, b.len);
	else if (buf_err(&b) == HL_OK)
		t->io.audio(t->io_arg, b.data, b.len, c->samples, c->bytes);
	buf_free(&b);
}

static void
on_mouth_gone(void *arg)
{
	struct talk *t = arg;

	t->tasks--;
	maybe_free(t);
}

static void
begin_answer(struct talk *t)
{
	spoken_free(&t->spoken);
	t->muted = t->mouth == NULL;
	t->answer = (struct spoken_answer){ 0 };
	if (t->mouth == NULL)
		return;
	mouth_begin(t->mouth, t->voice);
	strcpy(t->answer.sound_id, mouth_id(t->mouth));
}

static void
say_pieces(struct talk *t)
{
	struct buf piece = BUF_INIT(SPOKEN_TEXT_MAX);

	while (!t->muted && t->mouth && spoken_next(&t->spoken, &piece))
		mouth_say(t->mouth, piece.data, piece.len);
	buf_free(&piece);
}

static void
say_rest(struct talk *t)
{
	spoken_end(&t->spoken);
	say_pieces(t);
	if (!t->muted && t->mouth)
		mouth_end(t->mouth);
}

/* ---- who speaks while he is answered ---- */

/* Is there anything that he would not hear to its end? */
static bool
answers(const struct talk *t)
{
	return t->mouth && !t->muted && !t->answer.cut && (mouth_talks(t->mouth) || (t->attempt && mouth_able(t->mouth)));
}

static void
interrupt(struct talk *t)
{
	t->answer.cut = true;
	t->answer.cut_mono_ms = clock_mono_ms();
	t->answer.heard_ms = mouth_heard_ms(t->mouth);
	t->muted = true;
	mouth_stop(t->mouth);
}

void
talk_played(struct talk *t, const char *sound_id, int64_t ms)
{
	if (t->over || !t->answer.cut || t->answer.reported || !str_equal(sound_id, t->answer.sound_id))
		return;
	if (ms < t->answer.heard_ms)
		t->answer.heard_ms = ms > 0 ? ms : 0;	/* more than was sent in that time he cannot have heard */
	t->answer.reported = true;
	stir(t);
}

static bool
cut_is_due(const struct talk *t)
{
	return t->answer.cut && *t->answer.id &&
	    (t->answer.reported || clock_mono_ms() - t->answer.cut_mono_ms >= TALK_REPORT_MS);
}

/* The stored answer becomes what was heard of it. */
static void
settle_cut(struct talk *t)
{
	struct buf words = BUF_INIT(EVENT_MAX);
	enum hl_err err;

	while (!t->over && t->answer.cut && *t->answer.id && !cut_is_due(t)) {
		int64_t left = TALK_REPORT_MS - (clock_mono_ms() - t->answer.cut_mono_ms);

		t->stirred = false;
		(void)!task_wait_flag(&t->stirred, left > 0 ? left : 1);
	}
	if (t->over || !cut_is_due(t))
		return;
	mouth_words(t->mouth, t->answer.heard_ms, &words);
	err = buf_err(&words);
	if (err == HL_OK)
		err = conversation_cut(t->all->store, &t->place, t->answer.id, t->answer.seq, words.data, words.len);
	if (err)
		log_line(LOG_LEVEL_WARN, "cut_failed", "problem", err_code(err), NULL);
	t->answer.cut = false;
	buf_free(&words);
}

/* ---- the ear ---- */

static void
keep_before(struct talk *t, const char *samples, size_t bytes)
{
	const size_t most = BEFORE_MS * BYTES_A_MS;

	buf_add(&t->before, samples, bytes);
	if (t->before.len > most)
		buf_consume(&t->before, t->before.len - most);
}

static void
begin_utterance(struct talk *t)
{
	id_new(t->said_id);
	t->transcribed = 0;
	buf_reset(&t->said);
}

/* False: there is no room for what was said. */
static bool
keep_said(struct talk *t)
{
	struct utterance *u = t->waiting < UTTERANCES_MAX ? calloc(1, sizeof(*u)) : NULL, **at = &t->first;

	if (u == NULL || buf_err(&t->said) != HL_OK) {
		free(u);
		return false;
	}
	u->sound = t->said;
	t->said = BUF_INIT(t->said.max);
	strcpy(u->id, t->said_id);
	while (*at)
		at = &(*at)->next;
	*at = u;
	t->waiting++;
	stir(t);
	return true;
}

static void
end_utterance(struct talk *t)
{
	if (t->vad.voiced_ms >= WORDLESS_MS && !keep_said(t))
		talk_refuse(t, HL_BUSY, "That could not be followed any more: wait for an answer, and say it again");
	buf_free(&t->said);
	t->said_id[0] = '\0';
}

/* Each hears all that was said so far: they become rarer, so that a long speech is not paid for again and again. */
static bool
partial_is_due(const struct talk *t)
{
	size_t fresh = t->said.len - t->transcribed;

	return *t->said_id && !t->murmurs && vad_speaking(&t->vad) && t->vad.quiet_ms < PAUSE_MS &&	/* else it is about to end */
	    fresh >= TALK_PARTIAL_MS * BYTES_A_MS && fresh >= t->transcribed / 2;
}

static void
on_speech(struct talk *t)
{
	bool interrupts = answers(t);

	if (interrupts)
		interrupt(t);
	tell_speech_started(t, interrupts);
	begin_utterance(t);
	buf_add(&t->said, t->before.data, t->before.len);
	buf_reset(&t->before);
}

static void
hear(struct talk *t, const char *samples, size_t n)
{
	size_t used;

	for (size_t at = 0; at < n; at += used) {
		bool before = !vad_speaking(&t->vad);
		enum vad_event e = vad_feed(&t->vad, samples + 2 * at, n - at, &used);

		if (before)
			keep_before(t, samples + 2 * at, 2 * used);
		else
			buf_add(&t->said, samples + 2 * at, 2 * used);
		if (e == VAD_BEGINS)
			on_speech(t);
		if (e == VAD_ENDS)
			end_utterance(t);
	}
	if (!vad_speaking(&t->vad))
		return;
	t->stirred_mono_ms = clock_mono_ms();
	if (t->said.len >= TALK_SAID_MS * BYTES_A_MS) {
		end_utterance(t);
		begin_utterance(t);
	} else if (partial_is_due(t)) {
		stir(t);
	}
}

/* More than anybody says in that time is no microphone. */
static bool
too_fast(struct talk *t, size_t bytes)
{
	t->sound_ms += 500.0 * (double)bytes / t->resampler.from;
	return t->sound_ms > BURST_MS + PACE * (double)(clock_mono_ms() - t->begun_mono_ms);
}

void
talk_sound(struct talk *t, const void *samples, size_t bytes)
{
	if (t->over)
		return;
	if (bytes % 2) {
		talk_refuse(t, HL_BAD_REQUEST, "voice_audio: samples are 16 bit, so their bytes are even in number");
		return;
	}
	if (bytes > TALK_CHUNK_MAX) {
		talk_refuse(t, HL_TOO_LARGE, "voice_audio: a piece of sound is a second at most");
		return;
	}
	if (too_fast(t, bytes)) {
		say_goodbye(t, "too_fast", "More sound came than anybody can say in that time");
		return;
	}
	vad_guard(&t->vad, t->mouth && mouth_talks(t->mouth));
	buf_reset(&t->scratch);
	resampler_feed(&t->resampler, samples, bytes / 2, &t->scratch);
	if (buf_err(&t->scratch) == HL_OK)
		hear(t, t->scratch.data, t->scratch.len / 2);
}

void
talk_rate(struct talk *t, unsigned rate)
{
	if (!t->over && rate != t->resampler.from)
		resampler_init(&t->resampler, rate, VAD_RATE);
}

/* ---- the brain ---- */

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
	if (buf_err(&sound) == HL_OK && ear_hear_samples(engine_ear(t->all->engine), sound.data, sound.len, VAD_RATE, &words,
	    &problem) == HL_OK && !t->over && words.len && strcmp(id, t->said_id) == 0)
		tell_transcript(t, id, &words, false);
	buf_free(&sound);
	buf_free(&words);
	buf_free(&problem);
	t->murmurs = false;
	t->tasks--;
	maybe_free(t);
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
		begin_answer(t);
		t->attempt = attempt;
	}
	spoken_feed(&t->spoken, text, len);
	say_pieces(t);
	return HL_OK;
}

static void
conversation_is_over(struct talk *t, enum hl_err err)
{
	if (err == HL_NOT_FOUND || err == HL_FORBIDDEN)
		say_goodbye(t, "conversation_over", "The conversation is over");
	else if (err == HL_TOO_LARGE)
		say_goodbye(t, "conversation_full", "This conversation is full; start a new one");
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
	enum hl_err err = turn_accept(t->all->engine, &in, &turn, &retry_ms);

	if (err) {
		conversation_is_over(t, err);
		return;
	}
	begin_answer(t);
	t->attempt = 1;
	err = turn_wait(turn, &deltas, &e);
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
	if (!t->over)
		say_rest(t);
	entry_clear(&e);
}

/* What nobody pays for is not written down either. */
static bool
is_paid(struct talk *t)
{
	if (*t->payer == '\0' || budget_allows_public(t->all->store, t->payer))
		return true;
	say_goodbye(t, "limit", "This company takes no more calls today");
	return false;
}

static void
answer_utterance(struct talk *t, struct utterance *take)
{
	struct buf words = BUF_INIT(HEARING_WORDS_MAX), problem = BUF_INIT(4096);
	enum hl_err err = HL_TOO_MANY;

	if (is_paid(t))
		err = ear_hear_samples(engine_ear(t->all->engine), take->sound.data, take->sound.len, VAD_RATE, &words, &problem);
	buf_free(&take->sound);
	if (err && !t->over) {
		log_line(LOG_LEVEL_WARN, "hearing", "problem", problem.len ? problem.data : err_code(err), NULL);
		talk_refuse(t, err == HL_UNPROCESSABLE ? HL_UPSTREAM : err, "What you said could not be written down; say it again, or type it");
	}
	if (err == HL_OK && !t->over) {
		tell_transcript(t, take->id, &words, true);
		settle_cut(t);
	}
	if (err == HL_OK && !t->over && (int64_t)words.len > t->all->conf->max_message)
		talk_refuse(t, HL_TOO_LARGE, "More was heard than one message may have; say it again, or type it");
	else if (err == HL_OK && !t->over && !str_blank(words.data ? words.data : "", words.len))
		ask(t, take, &words);
	free(take);
	buf_free(&words);
	buf_free(&problem);
}

static void
greet(struct talk *t, char *take_greeting)
{
	if (take_greeting) {
		begin_answer(t);
		spoken_feed(&t->spoken, take_greeting, strlen(take_greeting));
		say_rest(t);
	}
	free(take_greeting);
}

static void
think(void *arg)
{
	struct talk *t = arg;
	struct utterance *u;

	t->brain = task_self();
	while (!t->over) {
		t->stirred = false;
		if (cut_is_due(t))
			settle_cut(t);
		else if ((u = take_utterance(t)) != NULL)
			answer_utterance(t, u);
		else if (partial_is_due(t))
			begin_partial(t);
		else if (clock_mono_ms() - t->stirred_mono_ms > TALK_SILENCE_MS)
			say_goodbye(t, "silence", "Nobody has said anything for a while");
		else if (!t->stirred)
			(void)!task_wait_flag(&t->stirred, t->answer.cut ? TALK_REPORT_MS : LOOK_MS);
	}
	t->brain = NULL;
	t->tasks--;
	maybe_free(t);
}

/* ---- the beginning ---- */

/* Who calls again where he has a call, has lost it. */
static void
end_others(struct talks *all, const struct talk *t)
{
	for (struct talk *o = all->first, *next; o; o = next) {
		next = o->next;
		if (o != t && !o->over && strcmp(o->conversation, t->conversation) == 0)
			say_goodbye(o, "elsewhere", "The call goes on elsewhere");
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
	t->place = conversation_place(all->store, t->conversation);
	t->scratch = BUF_INIT(8 * TALK_CHUNK_MAX);
	t->before = BUF_INIT(8 * TALK_CHUNK_MAX);
	t->said = BUF_INIT(2 * TALK_SAID_MS * BYTES_A_MS);
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
	struct mouth_calls calls = { on_chunk, on_mouth_gone, t };
	struct speaker *speaker = engine_speaker(t->all->engine);

	if (speaker == NULL || !conf_speaks(t->all->conf) || mouth_new(t->all->loop, speaker, &calls, &t->mouth) != HL_OK)
		return;
	t->tasks++;
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
	t->tasks++;
	if (task_start(all->loop, think, t) != HL_OK) {
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
		say_goodbye(t, "begin_again", "The call was interrupted; begin it again");
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
