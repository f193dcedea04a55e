#include <stdint.h>
#include <string.h>

#include "base/joint.h"

#define ID3_HEAD	10u
#define INFO_WITHIN	64u	/* bytes of a frame in which the word Info or Xing stands, if at all */
#define RIFF_HEAD	12u
#define CHUNK_HEAD	8u

static const struct { const char *name, *type; } formats[] = {
	[SOUND_MP3] = { "mp3", "audio/mpeg" },
	[SOUND_WAV] = { "wav", "audio/wav" },
	[SOUND_PCM] = { "pcm", "application/octet-stream" },
};

bool
sound_format_parse(const char *name, enum sound_format *ret)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(name, formats[i].name) == 0) {
			*ret = (enum sound_format)i;
			return true;
		}
	return false;
}

const char *
sound_format_name(enum sound_format f)
{
	return formats[f].name;
}

const char *
sound_format_type(enum sound_format f)
{
	return formats[f].type;
}

void
joint_init(struct joint *j, enum sound_format format, bool follows)
{
	*j = (struct joint){ .format = format, .follows = follows, .head = BUF_INIT(JOINT_HEAD_MAX) };
}

void
joint_free(struct joint *j)
{
	buf_free(&j->head);
}

/* ---- MP3 (ISO 11172-3, 13818-3; ID3v2.4 section 3.1) ---- */

static bool
is_frame(const unsigned char *p)
{
	return p[0] == 0xff && (p[1] & 0xe0) == 0xe0 && (p[1] & 0x18) != 0x08 && (p[1] & 0x06) == 0x02 && p[2] >> 4 != 15 &&
	    p[2] >> 4 != 0 && (p[2] >> 2 & 3) != 3;
}

/* Bytes of a layer III frame. */
static size_t
frame_length(const unsigned char *p)
{
	static const unsigned short rates[2][15] = {
		{ 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 },
		{ 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },
	};
	static const unsigned samples[3] = { 44100, 48000, 32000 };
	unsigned version = p[1] >> 3 & 3;		/* 3: MPEG 1, 2: MPEG 2, 0: 2.5 */
	unsigned hertz = samples[p[2] >> 2 & 3] >> (version == 3 ? 0 : version == 2 ? 1 : 2);

	return (version == 3 ? 144000u : 72000u) * rates[version != 3][p[2] >> 4] / hertz + (p[2] >> 1 & 1);
}

static bool
tells_length(const char *frame, size_t len)
{
	for (size_t at = 4; at + 4 <= len && at <= 36; at++)
		if (memcmp(frame + at, "Xing", 4) == 0 || memcmp(frame + at, "Info", 4) == 0 || memcmp(frame + at, "VBRI", 4) == 0)
			return true;
	return false;
}

static enum hl_err
open_mp3(struct joint *j)
{
	const unsigned char *p = (const unsigned char *)j->head.data;
	size_t len = j->head.len;

	if (len >= 3 && memcmp(p, "ID3", 3) == 0) {
		if (len < ID3_HEAD)
			return HL_OK;
		if ((p[6] | p[7] | p[8] | p[9]) & 0x80)
			return HL_UPSTREAM;
		j->skip = ID3_HEAD + ((size_t)p[6] << 21 | (size_t)p[7] << 14 | (size_t)p[8] << 7 | p[9]);
		return HL_OK;
	}
	if (len < 4)
		return HL_OK;
	if (!is_frame(p))
		return HL_UPSTREAM;
	if (len < INFO_WITHIN)
		return HL_OK;
	if (tells_length(j->head.data, INFO_WITHIN))
		j->skip = frame_length(p);
	j->open = true;
	return HL_OK;
}

/* ---- WAV (RIFF) ---- */

static uint32_t
little32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static enum hl_err
open_wav(struct joint *j, struct buf *out)
{
	unsigned char *p = (unsigned char *)j->head.data;
	size_t len = j->head.len, at = RIFF_HEAD;

	if (memcmp(p, "RIFF", len < 4 ? len : 4) != 0 || (len >= RIFF_HEAD && memcmp(p + 8, "WAVE", 4) != 0))
		return HL_UPSTREAM;
	while (at + CHUNK_HEAD <= len && memcmp(p + at, "data", 4) != 0) {
		uint32_t size = little32(p + at + 4);

		if (size > JOINT_HEAD_MAX)
			return HL_UPSTREAM;
		at += CHUNK_HEAD + size + (size & 1);
	}
	if (at + CHUNK_HEAD > len)
		return HL_OK;
	memset(p + 4, 0xff, 4);
	memset(p + at + 4, 0xff, 4);
	if (!j->follows)
		buf_add(out, p, at + CHUNK_HEAD);
	j->skip = at + CHUNK_HEAD;
	j->open = true;
	return HL_OK;
}

/* ---- any ---- */

static void
drop_skipped(struct joint *j)
{
	size_t n = j->skip < j->head.len ? j->skip : j->head.len;

	buf_consume(&j->head, n);
	j->skip -= n;
}

/* PCM has no header by which a page could be told from it. */
static enum hl_err
open_pcm(struct joint *j)
{
	size_t n = strspn(j->head.data, " \t\r\n");

	if (n == j->head.len)
		return HL_OK;
	if (n + 1 < j->head.len && (strncmp(j->head.data + n, "<!", 2) == 0 || strncmp(j->head.data + n, "<h", 2) == 0 ||
	    strncmp(j->head.data + n, "{\"", 2) == 0))
		return HL_UPSTREAM;
	j->open = n + 1 < j->head.len;
	return HL_OK;
}

static enum hl_err
try_open(struct joint *j, struct buf *out)
{
	enum hl_err err = HL_OK;

	while (err == HL_OK && !j->open && j->head.len > 0) {
		size_t before = j->head.len;

		err = j->format == SOUND_MP3 ? open_mp3(j) : j->format == SOUND_WAV ? open_wav(j, out) : open_pcm(j);
		drop_skipped(j);
		if (j->head.len == before)
			break;
	}
	if (err == HL_OK && j->open) {
		buf_add(out, j->head.data, j->head.len);
		buf_reset(&j->head);
	}
	return err;
}

enum hl_err
joint_feed(struct joint *j, const void *bytes, size_t len, struct buf *out)
{
	const char *p = bytes;
	size_t n = j->skip < len ? j->skip : len;
	enum hl_err err;

	j->skip -= n;
	p += n;
	len -= n;
	if (len == 0)
		return HL_OK;
	if (j->open) {
		buf_add(out, p, len);
		return buf_err(out);
	}
	buf_add(&j->head, p, len);
	err = buf_err(&j->head);
	if (err == HL_OK)
		err = try_open(j, out);
	return err == HL_TOO_LARGE ? HL_UPSTREAM : err ? err : buf_err(out);
}

enum hl_err
joint_end(struct joint *j, struct buf *out)
{
	if (!j->open && j->format == SOUND_MP3 && j->head.len >= 4 && is_frame((const unsigned char *)j->head.data)) {
		buf_add(out, j->head.data, j->head.len);	/* shorter than the place where the word would stand */
		j->open = true;
	}
	return j->open ? buf_err(out) : HL_UPSTREAM;
}
