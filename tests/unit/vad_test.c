/* When somebody speaks: with a voice made by espeak-ng, in silence, in noise, and what is none. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/pcm.h"
#include "base/wire.h"
#include "engine/vad.h"

#define MS	(VAD_RATE / 1000)

/* ---- sound ---- */

static unsigned seed = 1;

static double
noise(void)
{
	seed = seed * 1103515245u + 12345u;
	return (double)(seed >> 8) / (1 << 23) - 1;
}

static void
add_noise(struct buf *out, unsigned ms, double loudness)
{
	for (unsigned i = 0; i < ms * MS; i++) {
		int16_t s = (int16_t)(noise() * loudness * 32767);

		buf_add(out, &s, 2);
	}
}

static void
mix_noise(struct buf *sound, double loudness)
{
	int16_t *s = (int16_t *)(void *)sound->data;

	for (size_t i = 0; i < sound->len / 2; i++)
		s[i] = (int16_t)fmax(-32768, fmin(32767, s[i] + noise() * loudness * 32767));
}

/* Without espeak-ng: a buzz of a voice's pitch, bright as vowels are, whose loudness comes and goes as syllables do. */
static void
buzz(struct buf *out)
{
	for (unsigned i = 0; i < 1500 * MS; i++) {
		double t = i / (double)VAD_RATE, v = 0;
		int16_t s;

		for (int h = 1; h < 30; h++)
			v += sin(2 * M_PI * 120 * h * t) / sqrt(h);
		s = (int16_t)(v * 2500 * (0.15 + fabs(sin(2 * M_PI * 2 * t))));
		buf_add(out, &s, 2);
	}
}

static void
say(struct buf *out, const char *words)
{
	static const char head[44];
	char command[256], bytes[4096];
	struct resampler r;
	struct buf raw = BUF_INIT(16u << 20);
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command), "espeak-ng --stdout '%s' 2>/dev/null", words);
	f = popen(command, "r");
	while (f && (n = fread(bytes, 1, sizeof(bytes), f)) > 0)
		buf_add(&raw, bytes, n);
	if (f)
		pclose(f);
	if (raw.len > sizeof(head)) {
		resampler_init(&r, 22050, VAD_RATE);
		resampler_feed(&r, raw.data + sizeof(head), (raw.len - sizeof(head)) / 2, out);
	} else {
		buzz(out);
	}
	buf_free(&raw);
}

/* ---- what was noticed ---- */

struct noticed { int begins, ends; int64_t begin_ms[8], end_ms[8]; };

/* In pieces of an odd size: as they come, they do not fit frames. */
static struct noticed
listen_to(struct vad *v, const struct buf *sound)
{
	struct noticed n = { 0 };
	size_t at = 0, total = sound->len / 2, used;

	while (at < total) {
		size_t piece = total - at < 317 ? total - at : 317;
		enum vad_event e = vad_feed(v, sound->data + 2 * at, piece, &used);

		at += used;
		if (e == VAD_BEGINS && n.begins < 8)
			n.begin_ms[n.begins++] = (int64_t)(at / MS);
		if (e == VAD_ENDS && n.ends < 8)
			n.end_ms[n.ends++] = (int64_t)(at / MS);
	}
	return n;
}

/* The first moment that is a tenth as loud as the loudest. */
static int64_t
onset_ms(const struct buf *sound)
{
	const int16_t *s = (const int16_t *)(const void *)sound->data;
	int most = 0;

	for (size_t i = 0; i < sound->len / 2; i++)
		most = abs(s[i]) > most ? abs(s[i]) : most;
	for (size_t i = 0; i < sound->len / 2; i++)
		if (abs(s[i]) > most / 10)
			return (int64_t)(i / MS);
	return -1;
}

static void
check_phrase(double loudness, double noise_level, int64_t most_late)
{
	struct buf sound = BUF_INIT(64u << 20);
	struct vad v;
	struct noticed n;
	int64_t onset;

	add_noise(&sound, 700, 0);
	say(&sound, "How long does the delivery take?");
	for (size_t i = 0; i < sound.len / 2; i++)
		((int16_t *)(void *)sound.data)[i] = (int16_t)(((int16_t *)(void *)sound.data)[i] * loudness);
	onset = onset_ms(&sound);
	add_noise(&sound, 1500, 0);
	mix_noise(&sound, noise_level);
	vad_init(&v);
	n = listen_to(&v, &sound);
	assert_int_equal(n.begins, 1);
	assert_int_equal(n.ends, 1);
	assert_true(n.begin_ms[0] <= onset + most_late);
	assert_true(n.begin_ms[0] >= onset - 150);
	assert_true(n.end_ms[0] - n.begin_ms[0] > 1000);
	assert_true(n.end_ms[0] <= (int64_t)(sound.len / 2 / MS) - 1500 + VAD_HANG_MS + 150);
	buf_free(&sound);
}

static void
speech_is_noticed_within_a_tenth_of_a_second(void **state)
{
	(void)state;
	check_phrase(1, 0, 100);
	check_phrase(1, 0.002, 100);
	check_phrase(0.2, 0.002, 110);
}

static void
speech_is_noticed_in_loud_noise(void **state)
{
	(void)state;
	check_phrase(1, 0.02, 160);
}

static void
noise_begins_nothing(void **state)
{
	struct buf sound = BUF_INIT(64u << 20);
	struct vad v;
	struct noticed n;

	(void)state;
	add_noise(&sound, 5000, 0.01);
	vad_init(&v);
	n = listen_to(&v, &sound);
	assert_int_equal(n.begins, 0);
	/* A fan is switched on: at most once, and over within three seconds. */
	add_noise(&sound, 6000, 0.06);
	vad_init(&v);
	n = listen_to(&v, &sound);
	assert_true(n.begins <= 1);
	assert_int_equal(n.ends, n.begins);
	if (n.begins)
		assert_true(n.end_ms[0] - n.begin_ms[0] < 3000);
	/* Then speech is still noticed above it. */
	buf_reset(&sound);
	say(&sound, "I want to send it back");
	mix_noise(&sound, 0.03);
	n = listen_to(&v, &sound);
	assert_int_equal(n.begins, 1);
	buf_free(&sound);
}

static void
a_click_begins_nothing(void **state)
{
	struct buf sound = BUF_INIT(16u << 20);
	struct vad v;
	struct noticed n;

	(void)state;
	for (int i = 0; i < 8; i++) {
		add_noise(&sound, 400, 0.001);
		add_noise(&sound, 25, 0.7);
	}
	add_noise(&sound, 400, 0.001);
	vad_init(&v);
	n = listen_to(&v, &sound);
	assert_int_equal(n.begins, 0);
	buf_free(&sound);
}

static void
pauses_divide_what_is_said(void **state)
{
	struct buf sound = BUF_INIT(64u << 20);
	struct vad v;
	struct noticed n;

	(void)state;
	for (int i = 0; i < 3; i++) {
		add_noise(&sound, 900, 0);
		say(&sound, i == 1 ? "When will it arrive?" : "I would like to order a lamp.");
	}
	add_noise(&sound, 900, 0);
	mix_noise(&sound, 0.002);
	vad_init(&v);
	n = listen_to(&v, &sound);
	assert_int_equal(n.begins, 3);
	assert_int_equal(n.ends, 3);
	buf_free(&sound);
}

static void
what_comes_back_of_our_own_voice_begins_nothing(void **state)
{
	struct buf sound = BUF_INIT(64u << 20);
	struct vad v;

	(void)state;
	add_noise(&sound, 500, 0.004);
	add_noise(&sound, 1000, 0.016);	/* 12 dB above the noise */
	add_noise(&sound, 300, 0.004);
	vad_init(&v);
	assert_int_equal(listen_to(&v, &sound).begins, 1);
	vad_init(&v);
	vad_guard(&v, true);
	assert_int_equal(listen_to(&v, &sound).begins, 0);
	buf_free(&sound);
}

/* ---- rates ---- */

static double
loudness_of_tone(unsigned from, unsigned to, unsigned hertz, size_t *ret_n)
{
	struct buf out = BUF_INIT(4u << 20);
	struct resampler r;
	double sum = 0;

	resampler_init(&r, from, to);
	for (unsigned i = 0; i < from; i++) {
		int16_t s = (int16_t)(10000 * sin(2 * M_PI * hertz * i / from));

		resampler_feed(&r, &s, 1, &out);
	}
	*ret_n = out.len / 2;
	for (size_t i = 0; i < out.len / 2; i++) {
		int16_t s = ((int16_t *)(void *)out.data)[i];

		sum += (double)s * s;
	}
	buf_free(&out);
	return sqrt(sum / (double)*ret_n);
}

static void
rates_keep_time_and_voices(void **state)
{
	static const unsigned rates[] = { 8000, 16000, 22050, 24000, 44100, 48000 };
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		double level = loudness_of_tone(rates[i], VAD_RATE, 500, &n);

		assert_in_range(n, VAD_RATE - 3, VAD_RATE + 3);
		assert_true(level > 6000 && level < 7300);	/* of 7071 */
	}
}

/* ---- the wire ---- */

static void
frames_come_whole_in_any_pieces(void **state)
{
	struct buf out = BUF_INIT(1u << 20);
	struct wire_frame f;
	bool whole;
	size_t at = 0;
	int seen = 0;

	(void)state;
	wire_add(&out, WIRE_HELLO, "key", 3);
	wire_add(&out, WIRE_SOUND, "", 0);
	wire_add_binary(&out, "[1]", 3, "\1\2", 2);
	for (size_t len = 0; len <= out.len; len++)
		while (wire_next(out.data, len, &at, &f, &whole) == HL_OK && whole)
			seen++;
	assert_int_equal(seen, 3);
	assert_int_equal(f.type, WIRE_BINARY);
	assert_int_equal(f.len, 3);
	assert_memory_equal(f.bytes, "\1\2", 2);
	at = 0;
	assert_int_equal(wire_next("\377\377\377\377S", 5, &at, &f, &whole), HL_BAD_REQUEST);
	assert_int_equal(wire_next("\1\0\0\0x", 5, &at, &f, &whole), HL_BAD_REQUEST);
	assert_int_equal(wire_next("\0\0\0\0S", 5, &at, &f, &whole), HL_BAD_REQUEST);
	assert_int_equal(wire_next("\3\0\0\0B\0\0", 7, &at, &f, &whole), HL_BAD_REQUEST);
	at = 0;
	assert_int_equal(wire_next("\5\0\0\0B\1\0\0\0", 9, &at, &f, &whole), HL_BAD_REQUEST);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speech_is_noticed_within_a_tenth_of_a_second),
		cmocka_unit_test(speech_is_noticed_in_loud_noise),
		cmocka_unit_test(noise_begins_nothing),
		cmocka_unit_test(a_click_begins_nothing),
		cmocka_unit_test(pauses_divide_what_is_said),
		cmocka_unit_test(what_comes_back_of_our_own_voice_begins_nothing),
		cmocka_unit_test(rates_keep_time_and_voices),
		cmocka_unit_test(frames_come_whole_in_any_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
