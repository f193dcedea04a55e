/*
 * mouth_test - what of an answer counts as heard when somebody interrupts it: the cut, and the mouth itself with a speech server
 * that does as it is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/wire.h"
#include "engine/mouth.h"
#include "engine/speech.h"
#include "loop/task.h"

#define RATE		16000u
#define BYTES_A_MS	(RATE / 1000 * 2)
#define PATIENCE_MS	60
#define PIECE(text, from, to)	{ text, sizeof(text) - 1, from, to }

/* ---- the cut ---- */

static void
expect_cut(const struct mouth_piece *pieces, size_t count, int64_t ms, const char *wanted)
{
	struct buf out = BUF_INIT(4096);

	mouth_cut(pieces, count, ms, &out);
	assert_string_equal(out.len ? out.data : "", wanted);
	buf_free(&out);
}

static void
words_are_heard_whole_or_not_at_all(void **state)
{
	static const struct mouth_piece one[] = { PIECE("We sell lamps", 0, 1300) };	/* 100 ms a letter */

	(void)state;
	expect_cut(one, 1, -5, "…");
	expect_cut(one, 1, 0, "…");
	expect_cut(one, 1, 199, "…");
	expect_cut(one, 1, 200, "We …");
	expect_cut(one, 1, 699, "We …");
	expect_cut(one, 1, 700, "We sell …");
	expect_cut(one, 1, 1299, "We sell …");
	expect_cut(one, 1, 1300, "We sell lamps");
	expect_cut(one, 1, INT64_MAX - 1, "We sell lamps");
}

static void
what_was_not_begun_was_not_heard(void **state)
{
	static const struct mouth_piece some[] = { PIECE("Yes.", 0, 400), PIECE("We sell lamps.", 400, 1800),
		PIECE("And tea.", INT64_MAX, INT64_MAX) };

	(void)state;
	expect_cut(some, 3, 399, "…");
	expect_cut(some, 3, 400, "Yes. …");
	expect_cut(some, 3, 1200, "Yes. We sell …");
	expect_cut(some, 3, 1800, "Yes. We sell lamps. …");
	expect_cut(some, 3, 99999, "Yes. We sell lamps. …");
	expect_cut(some, 0, 100, "");
}

/* Never within a character. */
static void
scripts_without_blanks_are_cut_between_characters(void **state)
{
	static const struct mouth_piece kana[] = { PIECE("はい、あります", 0, 2100) }, thai[] = { PIECE("มีค่ะ", 0, 1500) };

	(void)state;
	expect_cut(kana, 1, 600, "はい …");
	expect_cut(kana, 1, 899, "はい …");
	expect_cut(kana, 1, 2099, "はい、ありま …");
	expect_cut(thai, 1, 700, "มี …");
}

/* ---- a mouth ---- */

struct speaker { int64_t ms; bool hangs, fails; };	/* of sound in a piece; after that it keeps silent, or fails */

static uv_loop_t loop;
static struct { size_t chunks, strays; int64_t sent_ms; bool last, failed, changed, gone; char id[ID_LEN + 1]; struct task *task; } told;

static void
put_head(struct buf *out)
{
	static const unsigned char rest[] = { 16, 0, 0, 0, 1, 0, 1, 0, RATE & 255, RATE >> 8, 0, 0, (2 * RATE) & 255, (2 * RATE) >> 8, 0, 0,
		2, 0, 16, 0 };

	buf_add(out, "RIFF\xff\xff\xff\xffWAVEfmt ", 16);
	buf_add(out, rest, sizeof(rest));
	buf_add(out, "data\xff\xff\xff\xff", 8);
}

enum hl_err
speaker_say(struct speaker *k, const struct bill *bill, enum sound_format format, const char *voice, int64_t patience_ms,
    const struct buf *words, enum hl_err (*sound)(void *, const void *, size_t), void *arg, char key_file[SHELF_FILE_MAX])
{
	size_t bytes = (size_t)k->ms * BYTES_A_MS;
	struct buf wav = BUF_INIT(1u << 20);
	char *silence = calloc(1, bytes + 1);
	enum hl_err err;

	(void)bill, (void)patience_ms, (void)words, (void)key_file;
	assert_non_null(silence);
	assert_int_equal(format, SOUND_WAV);
	assert_string_equal(voice, "coral");
	put_head(&wav);
	buf_add(&wav, silence, bytes);
	err = sound(arg, wav.data, wav.len);
	if (err == HL_OK && k->hangs)
		err = task_sleep(10 * PATIENCE_MS) == HL_OK ? sound(arg, silence, 2) : HL_CANCELLED;
	free(silence);
	buf_free(&wav);
	return err == HL_OK && k->fails ? HL_UPSTREAM : err;
}

bool
speaker_ready(const struct speaker *k)
{
	return !k->fails;
}

static void
change(void)
{
	told.changed = true;
	if (told.task)
		task_wake(told.task);
}

static void
on_chunk(void *arg, const struct mouth_chunk *c)
{
	(void)arg;
	told.chunks++;
	told.strays += *told.id && strcmp(c->id, told.id) != 0;
	told.last = told.last || c->last;
	told.failed = told.failed || c->failed;
	assert_int_equal(c->at_ms, told.sent_ms);		/* one behind the other */
	told.sent_ms += (int64_t)(c->bytes / BYTES_A_MS);
	change();
}

static void
on_unpaid(void *arg)
{
	(void)arg;
	fail_msg("it is paid");
}

static void
on_gone(void *arg)
{
	(void)arg;
	told.gone = true;
	change();
}

#define UNTIL(condition)	do { told.changed = false; \
	while (!(condition)) { assert_int_equal(task_wait_flag(&told.changed, 20000), HL_OK); told.changed = false; } } while (0)

static void
begin(struct mouth *m)
{
	mouth_begin(m, "coral");
	told.sent_ms = 0;
	told.last = told.failed = false;
	strcpy(told.id, mouth_id(m));
}

static void
say(struct mouth *m, const char *text)
{
	mouth_say(m, text, strlen(text));
}

static void
expect_words(const struct mouth *m, int64_t ms, const char *wanted)
{
	struct buf out = BUF_INIT(4096);

	mouth_words(m, ms, &out);
	assert_string_equal(out.data, wanted);
	buf_free(&out);
}

static void
interrupt(struct mouth *m, struct speaker *k)
{
	size_t chunks;

	k->ms = 1000;
	begin(m);
	say(m, "We sell lamps, too");		/* 18 letters in a second */
	say(m, "and tea from Assam");
	say(m, "and that is all.");
	mouth_end(m);
	UNTIL(told.sent_ms >= MOUTH_AHEAD_MS);
	assert_true(mouth_talks(m));
	assert_true(told.sent_ms < 3000);		/* no more than a little ahead is on its way */
	mouth_stop(m);
	assert_false(mouth_talks(m));
	assert_true(mouth_heard_ms(m) <= told.sent_ms);
	expect_words(m, 0, "…");
	expect_words(m, 500, "We sell …");
	expect_words(m, 1000, "We sell lamps, too …");
	expect_words(m, 1500, "We sell lamps, too and tea …");
	say(m, "what comes of it afterwards");
	mouth_end(m);
	chunks = told.chunks;
	(void)!task_sleep(PATIENCE_MS);
	assert_int_equal(told.chunks, chunks);		/* nothing of it any more, not even that it is over */
	expect_words(m, 500, "We sell …");
	begin(m);
	say(m, "Of course.");
	mouth_end(m);
	UNTIL(told.sent_ms >= 900);
	assert_int_equal(told.strays, 0);
	assert_true(mouth_able(m));
}

/* How long it would have been is guessed by its letters: what was sent is not all of it. */
static void
interrupt_half_made(struct mouth *m, struct speaker *k)
{
	k->ms = 40;
	k->hangs = true;
	begin(m);
	say(m, "This one has forty letters in it, if not");	/* 40 letters, 2600 ms */
	UNTIL(told.sent_ms >= 40);
	mouth_stop(m);
	expect_words(m, 40, "…");
	expect_words(m, 1300, "This one has forty …");
	expect_words(m, 2600, "This one has forty letters in it, if not");
	k->hangs = false;
}

static void
lose_patience(struct mouth *m, struct speaker *k)
{
	k->ms = 40;
	k->hangs = true;
	begin(m);
	say(m, "One is begun.");
	say(m, "Two is never said.");
	UNTIL(told.last);
	assert_true(told.failed);
	assert_int_equal(told.sent_ms, 40);
	assert_false(mouth_able(m));
	k->hangs = false;
}

static void
cannot_say(struct mouth *m, struct speaker *k)
{
	k->ms = 0;
	k->fails = true;
	begin(m);
	say(m, "Nothing of it");
	mouth_end(m);
	UNTIL(told.last);
	assert_true(told.failed);
	assert_int_equal(told.sent_ms, 0);
	k->fails = false;
}

static void
use_mouth(void *arg)
{
	void (*const *scene)(struct mouth *, struct speaker *) = arg;
	struct mouth_calls calls = { on_chunk, on_unpaid, on_gone, NULL };
	struct speaker k = { 0 };
	struct bill bill = { 0 };
	struct mouth *m;

	memset(&told, 0, sizeof(told));
	told.task = task_self();
	assert_int_equal(mouth_new(&loop, &k, &bill, PATIENCE_MS, &calls, &m), HL_OK);
	assert_string_equal(mouth_id(m), "");
	assert_false(mouth_talks(m));
	(*scene)(m, &k);
	mouth_free(m);
	UNTIL(told.gone);
	told.task = NULL;
}

static void
play(void (*scene)(struct mouth *, struct speaker *))
{
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(task_start(&loop, use_mouth, &scene), HL_OK);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_true(told.gone);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void
who_interrupts_has_heard_what_was_said_until_then(void **state)
{
	(void)state;
	play(interrupt);
}

static void
of_what_is_half_made_the_rest_is_guessed(void **state)
{
	(void)state;
	play(interrupt_half_made);
}

static void
after_a_silence_nothing_more_of_it_is_said(void **state)
{
	(void)state;
	play(lose_patience);
}

static void
what_cannot_be_said_is_told(void **state)
{
	(void)state;
	play(cannot_say);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_heard_whole_or_not_at_all),
		cmocka_unit_test(what_was_not_begun_was_not_heard),
		cmocka_unit_test(scripts_without_blanks_are_cut_between_characters),
		cmocka_unit_test(who_interrupts_has_heard_what_was_said_until_then),
		cmocka_unit_test(of_what_is_half_made_the_rest_is_guessed),
		cmocka_unit_test(after_a_silence_nothing_more_of_it_is_said),
		cmocka_unit_test(what_cannot_be_said_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
