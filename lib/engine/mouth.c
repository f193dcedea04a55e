#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pcm.h"
#include "base/str.h"
#include "engine/mouth.h"
#include "engine/speech.h"
#include "loop/task.h"

#define CHUNK_MS	100
#define MADE_AT_ONCE	2		/* the piece that is being said, and the next one */
#define PIECE_BYTES	(16u << 20)
#define LETTER_MS	65		/* of ordinary speech */

struct piece {
	struct piece	*next;
	struct mouth	*mouth;		/* NULL: nobody wants it any more */
	struct buf	 sound;		/* that has come and not been sent */
	struct wav_head	 head;
	bool		 being_made, begun, headed, whole, failed, late, unpaid;
	int64_t		 from_ms, to_ms;	/* of what was sent; from -1: nothing yet */
	size_t		 len;
	char		 text[];
};

struct mouth {
	uv_loop_t	*loop;
	struct speaker	*speaker;
	struct mouth_calls calls;
	struct bill	 bill;
	struct task	*task;
	char		 id[ID_LEN + 1];
	char		 voice[SPEECH_VOICE_MAX];
	struct piece	*pieces, *last, *now;	/* of this answer; the one being sent */
	size_t		 count;
	unsigned	 making;	/* tasks */
	bool		 ended, stopped, told_last, changed, closing;
	bool		 failed;	/* a piece of which nothing was said */
	bool		 lost;		/* something was left out */
	unsigned	 index;
	int64_t		 sent_ms;
	int64_t		 patience_ms;
	int64_t		 waits_mono_ms;	/* since when, for samples of `now`; 0: it does not */
	int64_t		 base_mono_ms;	/* when the answer's first moment was, had it been said without a gap */
};

/* ---- pieces ---- */

/* No more of it is wanted; its words and where it lay stay known. */
static void
piece_still(struct piece *p)
{
	buf_free(&p->sound);
	p->whole = true;
}

/* While it is being made its task has it, and frees it. */
static void
piece_free(struct piece *p)
{
	piece_still(p);
	p->mouth = NULL;
	if (!p->being_made)
		free(p);
}

static void
forget(struct mouth *m)
{
	for (struct piece *p = m->pieces, *next; p; p = next) {
		next = p->next;
		piece_free(p);
	}
	m->pieces = m->last = m->now = NULL;
	m->count = 0;
}

static void
wake(struct mouth *m)
{
	m->changed = true;
	if (m->task)
		task_wake(m->task);
}

static void
gone(struct mouth *m)
{
	m->calls.gone(m->calls.arg);
	free(m);
}

static void
making_ends(struct mouth *m)
{
	if (--m->making == 0 && m->task == NULL && m->closing)
		gone(m);
}

static enum hl_err
on_sound(void *arg, const void *bytes, size_t len)
{
	struct piece *p = arg;

	if (p->mouth == NULL || p->whole)
		return HL_CANCELLED;
	buf_add(&p->sound, bytes, len);
	wake(p->mouth);
	return buf_err(&p->sound);
}

static void
make(void *arg)
{
	struct piece *p = arg;
	struct mouth *m = p->mouth;
	struct buf words = { .data = p->text, .len = p->len };
	enum hl_err err = speaker_say(m->speaker, &m->bill, SOUND_WAV, m->voice, m->patience_ms, &words, on_sound, p, NULL);

	p->being_made = false;
	if (p->mouth == NULL) {
		free(p);
	} else if (!p->whole) {
		p->whole = true;
		p->failed = err != HL_OK;
		p->late = err == HL_TIMEOUT;
		p->unpaid = err == HL_TOO_MANY;
		if (p->unpaid)
			m->calls.unpaid(m->calls.arg);
		wake(p->mouth);
	}
	making_ends(m);
}

/* Those whose time is near are being made. */
static void
begin_next(struct mouth *m)
{
	int ahead = 0;

	for (struct piece *p = m->now; p && ahead < MADE_AT_ONCE; p = p->next, ahead++) {
		if (p->begun)
			continue;
		p->begun = p->being_made = true;
		m->making++;
		if (task_start(m->loop, make, p) == HL_OK)
			continue;
		m->making--;
		p->being_made = false;
		p->failed = true;
	}
}

/* ---- sending ---- */

static void
send_chunk(struct mouth *m, const struct piece *p, const void *samples, size_t bytes, bool last)
{
	struct mouth_chunk c = { .id = m->id, .index = m->index++, .rate = p ? p->head.rate : 0, .at_ms = m->sent_ms,
	    .samples = samples, .bytes = bytes, .last = last, .failed = last && m->lost };

	m->calls.chunk(m->calls.arg, &c);
}

/* Of two channels the left one. */
static size_t
to_mono(char *samples, size_t bytes, unsigned channels)
{
	if (channels == 1)
		return bytes;
	for (size_t i = 0; 4 * i < bytes; i++)
		memmove(samples + 2 * i, samples + 4 * i, 2);
	return bytes / 2;
}

/* How long until the next samples may go; after a gap time begins anew, for the other side has nothing to play. */
static int64_t
too_early_ms(struct mouth *m)
{
	int64_t now = clock_mono_ms();

	if (now - m->base_mono_ms > m->sent_ms)
		m->base_mono_ms = now - m->sent_ms;
	return m->sent_ms - (now - m->base_mono_ms) - MOUTH_AHEAD_MS;
}

static void
send_some(struct mouth *m, struct piece *p)
{
	size_t frame = 2 * p->head.channels, most = (size_t)p->head.rate * CHUNK_MS / 1000 * frame;
	size_t n = p->sound.len < most ? p->sound.len / frame * frame : most;
	size_t mono = to_mono(p->sound.data, n, p->head.channels);

	m->waits_mono_ms = 0;
	if (p->from_ms < 0)
		p->from_ms = p->to_ms = m->sent_ms;
	send_chunk(m, p, p->sound.data, mono, false);
	m->sent_ms += (int64_t)(mono / 2) * 1000 / p->head.rate;
	p->to_ms = m->sent_ms;
	buf_consume(&p->sound, n);
}

static bool
read_head(struct piece *p)
{
	if (!p->headed && wav_head_read(p->sound.data, p->sound.len, &p->head, &p->headed) != HL_OK)
		p->failed = true;
	else if (p->headed && p->head.at) {
		buf_consume(&p->sound, p->head.at);
		p->head.at = 0;
	}
	return p->headed;
}

static void
next_piece(struct mouth *m)
{
	struct piece *p = m->now;

	m->waits_mono_ms = 0;
	m->failed = m->failed || (p->failed && p->from_ms < 0);
	m->lost = m->lost || (p->failed && !p->unpaid);	/* that is told already */
	if (p->from_ms < 0)
		p->from_ms = p->to_ms = m->sent_ms;
	piece_still(p);
	m->now = p->next;
}

/* Whoever hears a gap of seconds has understood: nothing more of this answer is said. */
static void
give_up(struct mouth *m)
{
	for (struct piece *p = m->now; p; p = p->next)
		piece_still(p);
	m->now = NULL;
	m->failed = m->lost = m->ended = true;
}

/* How much longer samples of this piece are waited for. */
static int64_t
patience(struct mouth *m)
{
	if (m->waits_mono_ms == 0)
		m->waits_mono_ms = clock_mono_ms();
	return m->waits_mono_ms + m->patience_ms - clock_mono_ms();
}

static int64_t
wait_for_samples(struct mouth *m)
{
	int64_t left = patience(m);

	if (left > 0)
		return left;
	give_up(m);
	return 0;
}

static void
maybe_tell_last(struct mouth *m)
{
	if (m->stopped || !m->ended || m->told_last || (m->index == 0 && !m->lost))
		return;
	m->told_last = true;
	send_chunk(m, NULL, NULL, 0, true);
}

/* Does what can be done now; how long to wait for more otherwise, -1: until something changes. */
static int64_t
step(struct mouth *m)
{
	struct piece *p = m->now;
	int64_t early;

	if (m->stopped || p == NULL) {
		maybe_tell_last(m);
		return -1;
	}
	begin_next(m);
	if (p->late) {
		give_up(m);
		return 0;
	}
	if (p->failed || (read_head(p) && p->whole && p->sound.len < 2u * p->head.channels) || (p->whole && !p->headed)) {
		next_piece(m);
		return 0;
	}
	if (!p->headed || p->sound.len < 2u * p->head.channels)
		return wait_for_samples(m);
	early = too_early_ms(m);
	if (early > 0)
		return early;
	send_some(m, p);
	return 0;
}

static void
speak(void *arg)
{
	struct mouth *m = arg;
	int64_t ms;

	m->task = task_self();
	while (!m->closing) {
		m->changed = false;
		ms = step(m);
		if (ms != 0 && !m->changed && !m->closing)
			(void)!task_wait_flag(&m->changed, ms < 0 ? INT32_MAX : ms);
	}
	m->task = NULL;
	forget(m);
	if (m->making == 0)
		gone(m);
}

/* ---- what is asked of it ---- */

enum hl_err
mouth_new(uv_loop_t *loop, struct speaker *speaker, const struct bill *bill, int64_t patience_ms, const struct mouth_calls *calls,
    struct mouth **ret)
{
	struct mouth *m = calloc(1, sizeof(*m));
	enum hl_err err = HL_NO_MEMORY;

	*ret = NULL;
	if (m == NULL)
		return err;
	m->loop = loop;
	m->speaker = speaker;
	m->patience_ms = patience_ms;
	m->calls = *calls;
	m->bill = *bill;
	m->ended = m->told_last = true;
	err = task_start(loop, speak, m);
	if (err)
		free(m);
	else
		*ret = m;
	return err;
}

void
mouth_free(struct mouth *m)
{
	if (m == NULL)
		return;
	m->closing = true;
	wake(m);
}

void
mouth_begin(struct mouth *m, const char *voice)
{
	forget(m);
	id_new(m->id);
	strncpy(m->voice, voice, sizeof(m->voice) - 1);
	m->ended = m->stopped = m->told_last = m->failed = m->lost = false;
	m->index = 0;
	m->sent_ms = 0;
	m->waits_mono_ms = 0;
	m->base_mono_ms = clock_mono_ms();
	m->changed = true;
}

void
mouth_say(struct mouth *m, const char *text, size_t len)
{
	struct piece *p;

	if (m->stopped || m->ended || m->count >= MOUTH_PIECES || str_blank(text, len))
		return;
	p = calloc(1, sizeof(*p) + len + 1);
	if (p == NULL)
		return;
	p->mouth = m;
	p->from_ms = -1;
	p->sound = BUF_INIT(PIECE_BYTES);
	p->len = len;
	memcpy(p->text, text, len);
	if (m->last)
		m->last->next = p;
	else
		m->pieces = p;
	m->last = p;
	m->count++;
	if (m->now == NULL)
		m->now = p;
	wake(m);
}

void
mouth_end(struct mouth *m)
{
	m->ended = true;
	wake(m);
}

/* Of one that is being sent: where its end would be, known or guessed by its letters. */
static int64_t
would_end_ms(const struct piece *p)
{
	int64_t rest = p->head.rate ? (int64_t)(p->sound.len / 2 / p->head.channels) * 1000 / p->head.rate : 0;
	int64_t guess = p->from_ms + (int64_t)p->len * LETTER_MS;

	return p->whole || p->to_ms + rest > guess ? p->to_ms + rest : guess;
}

void
mouth_stop(struct mouth *m)
{
	m->stopped = m->ended = true;
	for (struct piece *p = m->pieces; p; p = p->next) {
		if (p->from_ms >= 0)
			p->to_ms = would_end_ms(p);
		piece_still(p);
	}
	m->now = NULL;
	wake(m);
}

const char *
mouth_id(const struct mouth *m)
{
	return m->id;
}

int64_t
mouth_heard_ms(const struct mouth *m)
{
	int64_t passed = clock_mono_ms() - m->base_mono_ms;

	return passed < m->sent_ms ? passed : m->sent_ms;
}

bool
mouth_talks(const struct mouth *m)
{
	return !m->stopped && m->pieces && (m->now || mouth_heard_ms(m) < m->sent_ms);
}

bool
mouth_able(const struct mouth *m)
{
	return !m->failed && speaker_ready(m->speaker);
}

/* ---- what was heard ---- */

/* May a text be cut before this byte: at a blank, or where a character begins of a script that has none between its words? */
static bool
may_cut(const char *at)
{
	unsigned char c = (unsigned char)at[0], next = (unsigned char)at[1];

	return c == ' ' || (c >= 0xe3 && c <= 0xe9) || (c == 0xe0 && next >= 0xb8 && next <= 0xbb);	/* Han, Kana; Thai, Lao */
}

/* The part of a piece that took so much of its time, between words. */
static size_t
part_of(const struct mouth_piece *p, int64_t ms)
{
	int64_t whole = p->to_ms - p->from_ms;
	size_t at;

	if (ms >= p->to_ms)
		return p->len;
	if (ms <= p->from_ms || whole <= 0)
		return 0;
	at = (size_t)((int64_t)p->len * (ms - p->from_ms) / whole);
	while (at > 0 && !may_cut(p->text + at))
		at--;
	return at;
}

void
mouth_cut(const struct mouth_piece *pieces, size_t count, int64_t ms, struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = part_of(&pieces[i], ms);

		if (n && out->len)
			buf_putc(out, ' ');
		buf_add(out, pieces[i].text, n);
		if (n < pieces[i].len) {
			buf_puts(out, out->len ? " …" : "…");
			return;
		}
	}
}

void
mouth_words(const struct mouth *m, int64_t ms, struct buf *out)
{
	struct mouth_piece *list = calloc(m->count + 1, sizeof(*list));
	size_t n = 0;

	if (list == NULL) {
		buf_puts(out, "…");
		return;
	}
	for (const struct piece *p = m->pieces; p; p = p->next)
		list[n++] = (struct mouth_piece){ p->text, p->len, p->from_ms < 0 ? INT64_MAX : p->from_ms,
		    p->from_ms < 0 ? INT64_MAX : p->to_ms };
	mouth_cut(list, n, ms, out);
	free(list);
	if (out->len == 0)
		buf_puts(out, "…");
}
