/*
 * talk_ear.c - what comes from a live call's microphone: where speech begins and ends in it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/talk_parts.h"

#define BEFORE_MS	300		/* of sound before speech was noticed: it had begun by then */
#define UTTERANCES_MAX	4		/* said and not answered yet */
#define PAUSE_MS	100		/* within what is said */
#define WORDLESS_MS	120		/* of voice: less is no word */
#define BURST_MS	10000		/* of sound that may come at once … */
#define PACE		3		/* … and so many times faster than it is said */

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
	talk_stir(t);
	return true;
}

void
talk_end_utterance(struct talk *t)
{
	const struct buf nothing = { 0 };

	if (t->vad.voiced_ms < WORDLESS_MS)
		talk_tell_transcript(t, t->said_id, &nothing, true);
	else if (!keep_said(t))
		talk_refuse(t, HL_BUSY, "That could not be followed any more: wait for an answer, and say it again");
	buf_free(&t->said);
	t->said_id[0] = '\0';
}

/* Each hears all that was said so far: they become rarer, so that a long speech is not paid for again and again. */
bool
talk_partial_is_due(const struct talk *t)
{
	size_t fresh = t->said.len - t->transcribed;

	return *t->said_id && !t->murmurs && vad_speaking(&t->vad) && t->vad.quiet_ms < PAUSE_MS &&	/* else it is about to end */
	    fresh >= TALK_PARTIAL_MS * BYTES_A_MS && fresh >= t->transcribed / 2;
}

static void
on_speech(struct talk *t)
{
	bool interrupts = talk_answers(t);

	if (interrupts)
		talk_interrupt(t);
	talk_tell_speech_started(t, interrupts);
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
		if (e == VAD_BEGINS && !t->closing)
			on_speech(t);
		if (e == VAD_ENDS)
			talk_end_utterance(t);
	}
	if (!vad_speaking(&t->vad))
		return;
	t->stirred_mono_ms = clock_mono_ms();
	if (t->said.len >= TALK_SAID_MS * BYTES_A_MS) {
		talk_end_utterance(t);
		if (!t->closing)
			begin_utterance(t);
	} else if (talk_partial_is_due(t)) {
		talk_stir(t);
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
		talk_say_goodbye(t, "too_fast", "More sound came than anybody can say in that time");
		return;
	}
	if (t->closing && *t->said_id == '\0')
		return;
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
