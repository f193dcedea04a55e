#include <string.h>

#include "base/sound.h"

/* What is looked through for a sign of how long a recording is; what is not there by then is not known. */
#define BLOCKS_MAX	4096u

static const struct { const char *extension, *mime; } containers[] = {
	[CONTAINER_NONE] = { "", "application/octet-stream" },
	[CONTAINER_WAV] = { "wav", "audio/wav" },
	[CONTAINER_MP3] = { "mp3", "audio/mpeg" },
	[CONTAINER_OGG] = { "ogg", "audio/ogg" },
	[CONTAINER_WEBM] = { "webm", "audio/webm" },
	[CONTAINER_M4A] = { "m4a", "audio/mp4" },
};

const char *
container_extension(enum container c)
{
	return containers[c].extension;
}

const char *
container_mime(enum container c)
{
	return containers[c].mime;
}

static uint32_t
little32(const unsigned char *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static uint32_t
big32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t
little64(const unsigned char *p)
{
	return (uint64_t)little32(p + 4) << 32 | little32(p);
}

static uint64_t
big64(const unsigned char *p)
{
	return (uint64_t)big32(p) << 32 | big32(p + 4);
}

/* n / rate in ms; -1: no rate, or longer than anybody talks. */
static int64_t
duration(uint64_t n, uint64_t rate)
{
	return rate == 0 || n > UINT64_MAX / 1000 || n * 1000 / rate > INT32_MAX ? -1 : (int64_t)(n * 1000 / rate);
}

static const struct sound none = { CONTAINER_NONE, -1, false };

/*
 * RIFF: chunks; "fmt " tells how many bytes a second has, "data" is the sound.  One that was streamed may announce the
 * longest there is, or nothing: it lasts as long as there is something.
 */
static struct sound
read_wav(const unsigned char *p, size_t len)
{
	struct sound s = { CONTAINER_WAV, -1, false };
	uint32_t rate = 0;
	size_t at = 12;

	for (unsigned i = 0; i < BLOCKS_MAX && len - at >= 8; i++) {
		size_t n = little32(p + at + 4), left = len - at - 8;

		if (memcmp(p + at, "data", 4) == 0) {
			bool open = n == 0 || n >= 0x7fffff00u;

			if (rate == 0 || left == 0)
				return none;
			s.cut = !open && n > left;
			s.duration_ms = duration(n < left && n ? n : left, rate);
			return s;
		}
		if (memcmp(p + at, "fmt ", 4) == 0 && n >= 16 && left >= 16)
			rate = little32(p + at + 16);
		if (n + (n & 1) > left)
			break;
		at += 8 + n + (n & 1);
	}
	return none;
}

/* ---- MPEG audio (ISO 11172-3, ISO 13818-3) ---- */

struct frame { unsigned bytes, samples, rate; };

static bool
read_frame(const unsigned char *p, size_t len, struct frame *f)
{
	static const uint16_t rates[2][15] = {	/* kbit/s of layer III: MPEG 1; MPEG 2 and 2.5 */
		{ 0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320 },
		{ 0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160 },
	};
	static const uint16_t samples[3] = { 44100, 48000, 32000 };
	unsigned version, bits, rate;

	if (len < 4 || p[0] != 0xff || (p[1] & 0xe0) != 0xe0)
		return false;
	version = (p[1] >> 3) & 3;	/* 3: 1, 2: 2, 0: 2.5 */
	bits = p[2] >> 4;
	rate = (p[2] >> 2) & 3;
	if (version == 1 || (p[1] & 6) != 2 || bits == 0 || bits == 15 || rate == 3)
		return false;
	f->rate = samples[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
	f->samples = version == 3 ? 1152 : 576;
	f->bytes = f->samples / 8 * rates[version != 3][bits] * 1000 / f->rate + ((p[2] >> 1) & 1);
	return true;
}

/* Frame after frame, after a tag (ID3v2) if there is one.  Two in a row make it one; a single one fills the file. */
static struct sound
read_mp3(const unsigned char *p, size_t len)
{
	struct sound s = { CONTAINER_MP3, 0, false };
	uint64_t us = 0;
	size_t at = 0, frames = 0;
	struct frame f;

	if (len > 10 && memcmp(p, "ID3", 3) == 0)
		at = 10 + ((size_t)(p[6] & 127) << 21 | (size_t)(p[7] & 127) << 14 | (size_t)(p[8] & 127) << 7 | (p[9] & 127));
	for (; at < len && read_frame(p + at, len - at, &f); at += f.bytes) {
		if (f.bytes > len - at) {
			s.cut = true;
			break;
		}
		us += (uint64_t)f.samples * 1000000 / f.rate;
		frames++;
	}
	if (frames == 0 || (frames == 1 && at < len && !s.cut))
		return none;
	s.duration_ms = us / 1000 > INT32_MAX ? -1 : (int64_t)(us / 1000);
	return s;
}

/* ---- Ogg (RFC 3533): the last page tells how many samples there were, of Opus always 48,000 a second (RFC 7845) ---- */

static size_t
ogg_page(const unsigned char *p, size_t len)
{
	size_t n = 27;

	if (len < 27 || memcmp(p, "OggS\0", 5) != 0 || len < 27u + p[26])
		return 0;
	n += p[26];
	for (unsigned i = 0; i < p[26]; i++)
		n += p[27 + i];
	return n;
}

static struct sound
read_ogg(const unsigned char *p, size_t len)
{
	struct sound s = { CONTAINER_OGG, -1, false };
	size_t at = 0, n, body = 27u + p[26];
	uint64_t rate = 0, skip = 0, last = 0;

	if (body + 19 <= len && memcmp(p + body, "OpusHead", 8) == 0) {
		rate = 48000;
		skip = (uint64_t)p[body + 10] | (uint64_t)p[body + 11] << 8;
	} else if (body + 30 <= len && memcmp(p + body, "\1vorbis", 7) == 0)
		rate = little32(p + body + 12);
	if (rate == 0)
		return none;
	for (; at < len && (n = ogg_page(p + at, len - at)) != 0; at += n) {
		uint64_t position = little64(p + at + 6);

		if (n > len - at) {
			s.cut = true;
			break;
		}
		if (position != UINT64_MAX)
			last = position;
	}
	s.cut |= at < len;
	if (last == 0 || last < skip)
		return none;		/* the headers, and no sound */
	s.duration_ms = duration(last - skip, rate);
	return s;
}

/* ---- WebM: EBML (RFC 8794), Matroska (RFC 9559) ---- */

struct element { uint32_t id; uint64_t len; size_t head; bool open; };

static bool
read_element(const unsigned char *p, size_t len, struct element *e)
{
	unsigned idlen = 1, n = 1;

	if (len < 2 || p[0] < 0x10)
		return false;
	while (!(p[0] & (0x80 >> (idlen - 1))))
		idlen++;
	if (len <= idlen || p[idlen] == 0)
		return false;
	while (!(p[idlen] & (0x80 >> (n - 1))))
		n++;
	if (len < idlen + n)
		return false;
	e->id = 0;
	for (unsigned i = 0; i < idlen; i++)
		e->id = e->id << 8 | p[i];
	e->len = p[idlen] & (0xffu >> n);
	e->open = e->len == (0xffu >> n);
	for (unsigned i = 1; i < n; i++) {
		e->len = e->len << 8 | p[idlen + i];
		e->open &= p[idlen + i] == 0xff;
	}
	e->head = idlen + n;
	return true;
}

static uint64_t
element_number(const unsigned char *p, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len && i < 8; i++)
		n = n << 8 | p[i];
	return n;
}

static double
element_real(const unsigned char *p, size_t len)
{
	uint32_t four = len == 4 ? big32(p) : 0;
	uint64_t eight = len == 8 ? big64(p) : 0;
	double d = 0;
	float f;

	if (len == 4) {
		memcpy(&f, &four, sizeof(f));
		d = (double)f;
	} else if (len == 8)
		memcpy(&d, &eight, sizeof(d));
	return d;
}

#define WEBM_SEGMENT	0x18538067u
#define WEBM_INFO	0x1549a966u
#define WEBM_CLUSTER	0x1f43b675u
#define WEBM_SCALE	0x2ad7b1u
#define WEBM_DURATION	0x4489u
#define WEBM_TIME	0xe7u
#define WEBM_SIMPLE	0xa3u
#define WEBM_GROUP	0xa0u
#define WEBM_BLOCK	0xa1u

struct webm { uint64_t scale, cluster, last; double duration; bool sound, cut; };

static void
webm_value(struct webm *w, const struct element *e, const unsigned char *p)
{
	if (e->id == WEBM_SCALE)
		w->scale = element_number(p, e->len);
	else if (e->id == WEBM_DURATION)
		w->duration = element_real(p, e->len);
	else if (e->id == WEBM_TIME)
		w->cluster = element_number(p, e->len);
	else if ((e->id == WEBM_SIMPLE || e->id == WEBM_BLOCK) && e->len > 4) {	/* of a track below 128, as in all files of sound */
		uint64_t at = w->cluster + ((uint64_t)p[1] << 8 | p[2]);

		w->sound = true;
		if (at > w->last && (p[1] & 0x80) == 0)
			w->last = at;
	}
}

/* What a browser records has no duration in its head, and segments and clusters without an end: the blocks' times tell. */
static struct sound
read_webm(const unsigned char *p, size_t len)
{
	struct webm w = { .scale = 1000000 };
	struct sound s = { CONTAINER_WEBM, -1, false };
	struct element e;
	double ms;

	for (size_t at = 0; at < len; at += e.head) {
		if (!read_element(p + at, len - at, &e))
			return none;
		if (e.id == WEBM_SEGMENT || e.id == WEBM_INFO || e.id == WEBM_CLUSTER || e.id == WEBM_GROUP)
			continue;		/* what is in them comes next */
		if (e.open || e.len > len - at - e.head) {
			w.cut = true;
			break;
		}
		webm_value(&w, &e, p + at + e.head);
		at += (size_t)e.len;
	}
	if (!w.sound)
		return none;
	ms = (w.duration > 0 ? w.duration : (double)w.last) * ((double)w.scale / 1e6);
	s.cut = w.cut;
	s.duration_ms = ms >= 0 && ms < (double)INT32_MAX ? (int64_t)ms : -1;
	return s;
}

/* ---- MP4 (ISO 14496-12) ---- */

/* The boxes of a span: finds one of that name. */
static bool
find_box(const unsigned char *p, size_t len, const char *name, const unsigned char **ret, size_t *ret_len, bool *cut)
{
	size_t at = 0;

	for (unsigned i = 0; i < BLOCKS_MAX && len - at >= 8; i++) {
		uint64_t n = big32(p + at);
		size_t head = 8;

		if (n == 1 && len - at >= 16) {
			n = big64(p + at + 8);
			head = 16;
		} else if (n == 0)
			n = len - at;
		if (n < head || n > len - at) {
			*cut = true;
			return false;
		}
		if (memcmp(p + at + 4, name, 4) == 0) {
			*ret = p + at + head;
			*ret_len = (size_t)n - head;
			return true;
		}
		at += (size_t)n;
	}
	return false;
}

static struct sound
read_m4a(const unsigned char *p, size_t len)
{
	struct sound s = { CONTAINER_M4A, -1, false };
	const unsigned char *moov, *mvhd, *mdat;
	size_t moov_len, n;
	bool cut = false;

	if (!find_box(p, len, "moov", &moov, &moov_len, &cut) || !find_box(moov, moov_len, "mvhd", &mvhd, &n, &cut) || n < 32)
		return none;
	s.duration_ms = mvhd[0] == 1 ? duration(big64(mvhd + 24), big32(mvhd + 20)) : duration(big32(mvhd + 16), big32(mvhd + 12));
	if (s.duration_ms == 0)
		s.duration_ms = -1;		/* in fragments: their sum is nowhere */
	if (!find_box(p, len, "mdat", &mdat, &n, &s.cut) && !s.cut)
		return none;
	return s;
}

struct sound
sound_read(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	if (len < 32)
		return none;
	if (memcmp(p, "RIFF", 4) == 0 && memcmp(p + 8, "WAVE", 4) == 0)
		return read_wav(p, len);
	if (memcmp(p, "OggS\0", 5) == 0)
		return read_ogg(p, len);
	if (memcmp(p, "\x1a\x45\xdf\xa3", 4) == 0)
		return read_webm(p, len);
	if (memcmp(p + 4, "ftyp", 4) == 0)
		return read_m4a(p, len);
	return memcmp(p, "ID3", 3) == 0 || p[0] == 0xff ? read_mp3(p, len) : none;
}

static void
put_little(unsigned char *p, uint32_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

void
wav_header(unsigned rate, uint32_t sample_bytes, unsigned char out[WAV_HEADER])
{
	memcpy(out, "RIFF????WAVEfmt ", 16);
	put_little(out + 4, 36 + sample_bytes, 4);
	put_little(out + 16, 16, 4);
	put_little(out + 20, 1, 2);		/* PCM */
	put_little(out + 22, 1, 2);		/* one channel */
	put_little(out + 24, rate, 4);
	put_little(out + 28, rate * 2, 4);
	put_little(out + 32, 2, 2);
	put_little(out + 34, 16, 2);
	memcpy(out + 36, "data", 4);
	put_little(out + 40, sample_bytes, 4);
}
