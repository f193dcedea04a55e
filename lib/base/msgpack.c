#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/msgpack.h"
#include "base/str.h"

enum kind { NIL, BOOL, INTEGER, BIG, REAL, TEXT, BINARY, ARRAY, MAP, EXTENSION };

/* The head of a value, and the bytes of one that holds no others. */
struct value {
	enum kind	 kind;
	int64_t		 integer;	/* also a bool */
	uint64_t	 big;		/* above INT64_MAX */
	double		 real;
	uint32_t	 count;		/* of an array or a map */
	int		 type;		/* of an extension */
	struct span	 bytes;
};

#define TIMESTAMP	(-1)

static bool
take(struct msgpack *m, size_t n, const unsigned char **ret)
{
	if ((size_t)(m->end - m->at) < n)
		return false;
	*ret = m->at;
	m->at += n;
	return true;
}

/* Big-endian, 1 to 8 bytes. */
static bool
number(struct msgpack *m, size_t n, uint64_t *ret)
{
	const unsigned char *p;

	if (!take(m, n, &p))
		return false;
	for (*ret = 0; n > 0; n--)
		*ret = *ret << 8 | *p++;
	return true;
}

static bool
payload(struct msgpack *m, struct value *v, size_t len)
{
	const unsigned char *p;

	if (!take(m, len, &p))
		return false;
	v->bytes = (struct span){ (const char *)p, len };
	return true;
}

static bool
sized(struct msgpack *m, struct value *v, enum kind kind, size_t width)
{
	uint64_t len;

	v->kind = kind;
	return number(m, width, &len) && payload(m, v, (size_t)len);
}

static bool
container(struct msgpack *m, struct value *v, enum kind kind, size_t width)
{
	uint64_t count;

	v->kind = kind;
	if (!number(m, width, &count))
		return false;
	v->count = (uint32_t)count;
	return true;
}

static bool
extension(struct msgpack *m, struct value *v, size_t len)
{
	uint64_t type;

	v->kind = EXTENSION;
	if (!number(m, 1, &type))
		return false;
	v->type = (int8_t)type;
	return payload(m, v, len);
}

static bool
sized_extension(struct msgpack *m, struct value *v, size_t width)
{
	uint64_t len;

	return number(m, width, &len) && extension(m, v, (size_t)len);
}

static bool
unsigned_number(struct msgpack *m, struct value *v, size_t width)
{
	if (!number(m, width, &v->big))
		return false;
	v->kind = v->big > INT64_MAX ? BIG : INTEGER;
	v->integer = (int64_t)v->big;
	return true;
}

static bool
signed_number(struct msgpack *m, struct value *v, unsigned width)
{
	uint64_t n;

	v->kind = INTEGER;
	if (!number(m, width, &n))
		return false;
	/* moved to the top and back down, the sign comes along */
	v->integer = (int64_t)(n << (64 - 8 * width)) >> (64 - 8 * width);
	return true;
}

static bool
real(struct msgpack *m, struct value *v, size_t width)
{
	uint64_t n;
	uint32_t small;
	float f;

	v->kind = REAL;
	if (!number(m, width, &n))
		return false;
	small = (uint32_t)n;
	memcpy(&f, &small, sizeof(f));
	memcpy(&v->real, &n, sizeof(v->real));
	if (width == 4)
		v->real = (double)f;
	return true;
}

/* The first byte from 0xc0 to 0xdf. */
static bool
wide(struct msgpack *m, unsigned first, struct value *v)
{
	switch (first) {
	case 0xc0: v->kind = NIL; return true;
	case 0xc2: case 0xc3: v->kind = BOOL; v->integer = first & 1; return true;
	case 0xc4: case 0xc5: case 0xc6: return sized(m, v, BINARY, 1u << (first - 0xc4));
	case 0xc7: case 0xc8: case 0xc9: return sized_extension(m, v, 1u << (first - 0xc7));
	case 0xca: case 0xcb: return real(m, v, 4u << (first - 0xca));
	case 0xcc: case 0xcd: case 0xce: case 0xcf: return unsigned_number(m, v, 1u << (first - 0xcc));
	case 0xd0: case 0xd1: case 0xd2: case 0xd3: return signed_number(m, v, 1u << (first - 0xd0));
	case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return extension(m, v, 1u << (first - 0xd4));
	case 0xd9: case 0xda: case 0xdb: return sized(m, v, TEXT, 1u << (first - 0xd9));
	case 0xdc: case 0xdd: return container(m, v, ARRAY, 2u << (first - 0xdc));
	case 0xde: case 0xdf: return container(m, v, MAP, 2u << (first - 0xde));
	default: return false;		/* 0xc1 is never used */
	}
}

static bool
next(struct msgpack *m, struct value *v)
{
	const unsigned char *p;
	unsigned first;

	*v = (struct value){ .kind = NIL };
	if (!take(m, 1, &p))
		return false;
	first = *p;
	if (first < 0x80 || first >= 0xe0) {
		v->kind = INTEGER;
		v->integer = (int8_t)first;
		return true;
	}
	if (first >= 0xc0)
		return wide(m, first, v);
	if (first >= 0xa0) {
		v->kind = TEXT;
		return payload(m, v, first & 31);
	}
	v->kind = first >= 0x90 ? ARRAY : MAP;
	v->count = first & 15;
	return true;
}

static enum hl_err
expect(struct msgpack *m, enum kind kind, struct value *v)
{
	return next(m, v) && v->kind == kind ? HL_OK : HL_BAD_REQUEST;
}

enum hl_err
msgpack_array(struct msgpack *m, uint32_t *ret)
{
	struct value v;
	enum hl_err err = expect(m, ARRAY, &v);

	*ret = v.count;
	return err;
}

enum hl_err
msgpack_map(struct msgpack *m, uint32_t *ret)
{
	struct value v;
	enum hl_err err = expect(m, MAP, &v);

	*ret = v.count;
	return err;
}

enum hl_err
msgpack_text(struct msgpack *m, struct span *ret)
{
	struct value v;
	enum hl_err err = expect(m, TEXT, &v);

	*ret = v.bytes;
	return err;
}

enum hl_err
msgpack_bool(struct msgpack *m, bool *ret)
{
	struct value v;
	enum hl_err err = expect(m, BOOL, &v);

	*ret = v.integer != 0;
	return err;
}

enum hl_err
msgpack_integer(struct msgpack *m, int64_t *ret)
{
	struct value v;
	enum hl_err err = expect(m, INTEGER, &v);

	*ret = v.integer;
	return err;
}

bool
msgpack_is_text(const struct msgpack *m)
{
	struct msgpack ahead = *m;
	struct span text;

	return msgpack_text(&ahead, &text) == HL_OK;
}

/* Every value takes a byte at least, so that the loop ends with the bytes. */
enum hl_err
msgpack_skip(struct msgpack *m)
{
	uint64_t left = 1;
	struct value v;

	for (; left > 0; left--) {
		if (!next(m, &v))
			return HL_BAD_REQUEST;
		left += v.kind == ARRAY ? v.count : v.kind == MAP ? 2 * (uint64_t)v.count : 0;
	}
	return HL_OK;
}

/* ---- as JSON ---- */

struct writer { struct msgpack *m; struct buf *json, *binary; unsigned *binaries; };

/* As JavaScript has it: the shortest digits that mean the same. */
static void
write_real(struct buf *json, double d)
{
	char text[40];
	double back;

	if (!isfinite(d)) {
		buf_puts(json, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, d);
		back = strtod(text, NULL);
		if (memcmp(&back, &d, sizeof(d)) == 0)
			break;
	}
	buf_puts(json, text);
}

static uint64_t
big_endian(struct span s, size_t from, size_t n)
{
	uint64_t v = 0;

	for (size_t i = from; i < from + n; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

/* 32 bits of seconds, 30 of nanoseconds and 34 of seconds, or 32 of nanoseconds and 64 of seconds. */
static void
write_timestamp(struct buf *json, struct span s)
{
	char text[CLOCK_ISO_LEN + 1];
	uint64_t packed = s.len == 8 ? big_endian(s, 0, 8) : 0;
	int64_t seconds = s.len == 4 ? (int64_t)big_endian(s, 0, 4) : s.len == 8 ? (int64_t)(packed & 0x3ffffffff) :
	    (int64_t)big_endian(s, 4, 8);
	uint64_t nanoseconds = s.len == 4 ? 0 : s.len == 8 ? packed >> 34 : big_endian(s, 0, 4);

	if (seconds < -62135596800 || seconds > 253402300799 || nanoseconds > 999999999) {
		buf_puts(json, "null");		/* not in the years 1 to 9999 */
		return;
	}
	clock_iso(seconds * 1000 + (int64_t)(nanoseconds / 1000000), text);
	buf_json_str(json, text);
}

/* What is no UTF-8 would break the connections that it is sent on: it becomes U+FFFD, as with the sender's own servers. */
static void
write_text(struct buf *json, struct span s)
{
	const char *end = s.p + s.len, *at, *next;

	if (utf8_valid(s.p, s.len)) {
		buf_json(json, s.p, s.len);
		return;
	}
	buf_putc(json, '"');
	for (at = s.p; at < end; at = next) {
		next = at;
		if (utf8_next(&next, end) == 0xfffd)
			buf_puts(json, "\xef\xbf\xbd");
		else
			buf_json_part(json, at, (size_t)(next - at));
	}
	buf_putc(json, '"');
}

static void
write_binary(struct writer *w, struct span bytes)
{
	buf_printf(w->json, "{\"_placeholder\":true,\"num\":%u}", (*w->binaries)++);
	buf_puts(w->binary, w->binary->len ? ",\"" : "\"");
	buf_base64(w->binary, bytes.p, bytes.len);
	buf_putc(w->binary, '"');
}

static enum hl_err write_value(struct writer *, unsigned depth);

static enum hl_err
write_list(struct writer *w, uint32_t count, unsigned depth)
{
	enum hl_err err = HL_OK;

	buf_putc(w->json, '[');
	for (uint32_t i = 0; err == HL_OK && i < count; i++) {
		if (i)
			buf_putc(w->json, ',');
		err = write_value(w, depth);
	}
	buf_putc(w->json, ']');
	return err;
}

static enum hl_err
write_map(struct writer *w, uint32_t count, unsigned depth)
{
	enum hl_err err = HL_OK;

	buf_putc(w->json, '{');
	for (uint32_t i = 0; err == HL_OK && i < count; i++) {
		struct span key;

		err = msgpack_text(w->m, &key);
		if (err)
			break;
		if (i)
			buf_putc(w->json, ',');
		write_text(w->json, key);
		buf_putc(w->json, ':');
		err = write_value(w, depth);
	}
	buf_putc(w->json, '}');
	return err;
}

static enum hl_err
write_value(struct writer *w, unsigned depth)
{
	struct value v;

	if (depth == 0 || !next(w->m, &v) || buf_err(w->json))
		return buf_err(w->json) ? buf_err(w->json) : HL_BAD_REQUEST;
	switch (v.kind) {
	case BOOL: buf_puts(w->json, v.integer ? "true" : "false"); break;
	case INTEGER: buf_int(w->json, v.integer); break;
	case BIG: buf_printf(w->json, "%llu", (unsigned long long)v.big); break;
	case REAL: write_real(w->json, v.real); break;
	case TEXT: write_text(w->json, v.bytes); break;
	case BINARY: write_binary(w, v.bytes); break;
	case ARRAY: return write_list(w, v.count, depth - 1);
	case MAP: return write_map(w, v.count, depth - 1);
	case EXTENSION:
		if (v.type == TIMESTAMP && (v.bytes.len == 4 || v.bytes.len == 8 || v.bytes.len == 12)) {
			write_timestamp(w->json, v.bytes);
			break;
		}
		/* fallthrough */
	default: buf_puts(w->json, "null"); break;
	}
	return HL_OK;
}

enum hl_err
msgpack_json(struct msgpack *m, struct buf *json, struct buf *binary, unsigned *binaries)
{
	struct writer w = { m, json, binary, binaries };
	enum hl_err err = write_value(&w, MSGPACK_MAX_DEPTH);

	if (err == HL_OK)
		err = buf_err(json) ? buf_err(json) : buf_err(binary);
	return err;
}
