/*
 * spoken_test - what is said of Markdown, that pieces do not depend on how it was fed, and sounds joined to one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/joint.h"
#include "base/str.h"
#include "engine/spoken.h"

/* All pieces, with a bar between them. */
static void
say(const char *text, size_t step, struct buf *out)
{
	struct buf piece = BUF_INIT(65536);
	size_t len = strlen(text);
	struct spoken s;

	spoken_init(&s);
	for (size_t at = 0; at < len; at += step) {
		spoken_feed(&s, text + at, len - at < step ? len - at : step);
		while (spoken_next(&s, &piece)) {
			buf_puts(out, out->len ? "|" : "");
			buf_add(out, piece.data, piece.len);
		}
	}
	spoken_end(&s);
	while (spoken_next(&s, &piece)) {
		buf_puts(out, out->len ? "|" : "");
		buf_add(out, piece.data, piece.len);
	}
	buf_free(&piece);
	spoken_free(&s);
}

static void
assert_said(const char *text, const char *wanted)
{
	struct buf out = BUF_INIT(65536);

	say(text, 1u << 20, &out);
	assert_string_equal(out.data ? out.data : "", wanted);
	buf_free(&out);
}

static void
marks_are_not_said(void **state)
{
	(void)state;
	assert_said("**Yes.** It is `free`.", "Yes. It is free.");
	assert_said("# Delivery\n\nTwo days", "Delivery. Two days");
	assert_said("See [our page](https://a.example/x?y=1) or https://shop.example/a/b.", "See our page or shop.example.");
	assert_said("- one\n- two\n\n1. three\n", "one. two. three.");
	assert_said("| Size | Price |\n|---|---|\n| S | 5 |\n", "Size, Price. S, 5.");
	assert_said("![a lamp](x.png) is <b>bright</b> &amp; small", "a lamp is bright & small");
	assert_said("Good \xf0\x9f\x98\x80 day", "Good day");
	assert_said("2 * 3 and snake_case stay", "2 * 3 and snake_case stay");
	assert_said("---\n***\n\n", "");
	assert_said("", "");
	assert_said("[not a link", "[not a link");
}

static void
pieces_end_where_sentences_do(void **state)
{
	(void)state;
	assert_said("The first sentence is here. The second one follows it.", "The first sentence is here.|The second one follows it.");
	assert_said("Ask Dr. Smith about it, e.g. at 5 p.m. or later on. He knows it all.",
	    "Ask Dr. Smith about it, e.g. at 5 p.m. or later on.|He knows it all.");
	assert_said("Hi! How are you today, my friend? Well?", "Hi! How are you today, my friend?|Well?");
	assert_said("\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82\xe5\x86\x8d\xe8\xa7\x81\xe3\x80\x82", "\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82 \xe5\x86\x8d\xe8\xa7\x81\xe3\x80\x82");
}

static void
pieces_do_not_depend_on_how_text_comes(void **state)
{
	static const char text[] = "# A *heading*\nIt is said that [the \xe2\x80\x9c" "first\xe2\x80\x9d. link](https://a.example/b.c) counts\xe2\x80\xa6 Really? \xe2\x80\x9cYes.\xe2\x80\x9d "
	    "Then **bold. Text** goes on, i.e. here, and \xf0\x9f\x98\x80 there!\n\n1. First item, which is long enough to be one\n2. Second (see https://x.example/.)\n"
	    "> A quotation\xe3\x80\x82\xe4\xbd\xa0\xe5\xa5\xbd\n```\ncode();\n```\nThe end... or not. 3.5 is a number. Nr. 5 too.";
	struct buf whole = BUF_INIT(65536), parts = BUF_INIT(65536);

	(void)state;
	say(text, sizeof(text), &whole);
	for (size_t step = 1; step < 40; step++) {
		buf_reset(&parts);
		say(text, step, &parts);
		assert_string_equal(parts.data, whole.data);
	}
	buf_free(&whole);
	buf_free(&parts);
}

static void
no_piece_is_too_long(void **state)
{
	struct buf text = BUF_INIT(1u << 20), piece = BUF_INIT(65536);
	static const char *const kinds[] = { "word ", "x", "\xe4\xbd\xa0", "[", "`", "(", "a.b" };
	struct spoken s;

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		buf_reset(&text);
		while (text.len < 100000)
			buf_puts(&text, kinds[k]);
		spoken_init(&s);
		spoken_feed(&s, text.data, text.len);
		spoken_end(&s);
		while (spoken_next(&s, &piece)) {
			assert_true(piece.len <= SPOKEN_PIECE_MAX);
			assert_true(utf8_valid(piece.data, piece.len));
		}
		spoken_free(&s);
	}
	buf_free(&text);
	buf_free(&piece);
}

/* ---- sounds ---- */

static enum hl_err
join(enum sound_format format, bool follows, const void *bytes, size_t len, size_t step, struct buf *out)
{
	enum hl_err err = HL_OK;
	struct joint j;

	joint_init(&j, format, follows);
	for (size_t at = 0; err == HL_OK && at < len; at += step)
		err = joint_feed(&j, (const char *)bytes + at, len - at < step ? len - at : step, out);
	if (err == HL_OK)
		err = joint_end(&j, out);
	joint_free(&j);
	return err;
}

/* 32 kbit/s at 24 kHz: 96 bytes. */
static void
add_frame(struct buf *b, const char *word)
{
	char frame[96] = { '\xff', '\xf3', '\x44', '\xc4' };

	memcpy(frame + 13, word, strlen(word));
	buf_add(b, frame, sizeof(frame));
}

static void
frames_remain_and_what_tells_the_length_does_not(void **state)
{
	struct buf sound = BUF_INIT(65536), wanted = BUF_INIT(65536), out = BUF_INIT(65536);

	(void)state;
	buf_add(&sound, "ID3\4\0\0\0\0\1\2", 10);
	for (int i = 0; i < 130; i++)
		buf_putc(&sound, 'x');
	add_frame(&sound, "Info");
	add_frame(&wanted, "one");
	add_frame(&wanted, "two");
	buf_add(&sound, wanted.data, wanted.len);
	for (size_t step = 1; step < 400; step += 7) {
		buf_reset(&out);
		assert_int_equal(join(SOUND_MP3, true, sound.data, sound.len, step, &out), HL_OK);
		assert_int_equal(out.len, wanted.len);
		assert_memory_equal(out.data, wanted.data, wanted.len);
	}
	buf_free(&sound);
	buf_free(&wanted);
	buf_free(&out);
}

static void
one_wav_header_remains(void **state)
{
	static const char wav[] = "RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\4\0\0\0abcd";
	struct buf out = BUF_INIT(65536);

	(void)state;
	for (size_t step = 1; step < sizeof(wav); step++) {
		buf_reset(&out);
		assert_int_equal(join(SOUND_WAV, false, wav, sizeof(wav) - 1, step, &out), HL_OK);
		assert_int_equal(join(SOUND_WAV, true, wav, sizeof(wav) - 1, step, &out), HL_OK);
		assert_int_equal(out.len, 44 + 8);
		assert_memory_equal(out.data + 44, "abcdabcd", 8);
	}
	buf_free(&out);
}

static void
what_is_no_sound_is_refused(void **state)
{
	static const char page[] = "<!doctype html><html><body>Bad Gateway</body></html> and more of it, long enough to be one";
	struct buf out = BUF_INIT(65536);

	(void)state;
	for (int f = SOUND_MP3; f <= SOUND_PCM; f++) {
		assert_int_equal(join((enum sound_format)f, false, page, sizeof(page) - 1, 5, &out), HL_UPSTREAM);
		assert_int_equal(join((enum sound_format)f, false, "", 0, 1, &out), HL_UPSTREAM);
		assert_int_equal(out.len, 0);
	}
	assert_int_equal(join(SOUND_MP3, false, "ID3\4\0\0\xff\xff\xff\xff", 10, 10, &out), HL_UPSTREAM);
	assert_int_equal(join(SOUND_WAV, false, "RIFF\1\0\0\0WAVEjunk\xff\xff\xff\xff", 20, 20, &out), HL_UPSTREAM);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_are_not_said),
		cmocka_unit_test(pieces_end_where_sentences_do),
		cmocka_unit_test(pieces_do_not_depend_on_how_text_comes),
		cmocka_unit_test(no_piece_is_too_long),
		cmocka_unit_test(frames_remain_and_what_tells_the_length_does_not),
		cmocka_unit_test(one_wav_header_remains),
		cmocka_unit_test(what_is_no_sound_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
