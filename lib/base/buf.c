#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#define FIRST_CAP	64u
#define SMALL_CAP	1024u		/* up to here it grows by much: most of what is written is this large or larger */

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT(b->max);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = HL_OK;
	if (b->data)
		b->data[0] = '\0';
}

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;
	char *data;

	if (b->err)
		return NULL;
	if (n > b->max || b->len > b->max - n) {
		b->err = HL_TOO_LARGE;
		return NULL;
	}
	if (b->len + n + 1 <= b->cap)
		return b->data + b->len;
	while (cap < b->len + n + 1)
		cap += cap < SMALL_CAP ? cap * 3 : cap / 2;
	if (cap - 1 > b->max)
		cap = b->max + 1;
	data = realloc(b->data, cap);
	if (data == NULL) {
		b->err = HL_NO_MEMORY;
		return NULL;
	}
	b->data = data;
	b->cap = cap;
	return data + b->len;
}

void
buf_grow(struct buf *b, size_t n)
{
	b->len += n;
	b->data[b->len] = '\0';
}

/* One of the directives that nearly all formats here are made of, after its %; 0: another one. */
static size_t
plain_directive(const char *d)
{
	if (*d == 's' || *d == 'd' || *d == 'u')
		return 1;
	return strncmp(d, "zu", 2) == 0 ? 2 : strncmp(d, "lld", 3) == 0 ? 3 : 0;
}

static bool
is_plain(const char *fmt)
{
	size_t n;

	for (const char *p = strchr(fmt, '%'); p; p = strchr(p + 1 + n, '%'))
		if ((n = plain_directive(p + 1)) == 0)
			return false;
	return true;
}

/* vsnprintf() took a twentieth of the processor time of a message. */
static void
add_plain(struct buf *b, const char *fmt, va_list ap)
{
	const char *p, *s;

	for (; (p = strchr(fmt, '%')) != NULL; fmt = p + 1 + plain_directive(p + 1)) {
		buf_add(b, fmt, (size_t)(p - fmt));
		if (p[1] == 's') {
			s = va_arg(ap, const char *);
			buf_puts(b, s ? s : "(null)");
		} else {
			buf_int(b, p[1] == 'd' ? va_arg(ap, int) : p[1] == 'u' ? (int64_t)va_arg(ap, unsigned) :
			    p[1] == 'z' ? (int64_t)va_arg(ap, size_t) : va_arg(ap, long long));
		}
	}
	buf_puts(b, fmt);
}

static void
add_formatted(struct buf *b, const char *fmt, va_list ap)
{
	size_t room;
	va_list again;
	char *p;
	int n;

	/* It mostly fits at once into what is there. */
	if (b->cap == 0 && b->max >= FIRST_CAP && buf_reserve(b, FIRST_CAP - 1) == NULL)
		return;
	room = b->cap - b->len;
	va_copy(again, ap);
	n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap);
	if (n < 0 || (p = buf_reserve(b, (size_t)n)) == NULL) {
		if (room)
			b->data[b->len] = '\0';
	} else {
		if ((size_t)n >= room)
			vsnprintf(p, (size_t)n + 1, fmt, again);
		buf_grow(b, (size_t)n);
	}
	va_end(again);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (is_plain(fmt))
		add_plain(b, fmt, ap);
	else
		add_formatted(b, fmt, ap);
	va_end(ap);
}

void
buf_int(struct buf *b, int64_t value)
{
	char digits[STR_INT_MAX];

	buf_add(b, digits, str_int(digits, value));
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n + 1);
	b->len -= n;
}

char *
buf_steal(struct buf *b)
{
	char *data = b->data;

	*b = BUF_INIT(b->max);
	return data;
}

enum hl_err
buf_err(const struct buf *b)
{
	return b->err;
}

void
buf_trim(struct buf *b)
{
	char *data = b->data && b->cap > b->len + 1 ? realloc(b->data, b->len + 1) : NULL;

	if (data) {
		b->data = data;
		b->cap = b->len + 1;
	}
}

void
buf_json_part(struct buf *b, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	static const char short_form[] = "btn\vfr";	/* \v stands for none */
	const char *end = n ? s + n : s;

	for (;;) {
		size_t run = str_json_plain(s, end);
		char esc[6] = { '\\' };
		size_t len = 2;
		unsigned char c;

		buf_add(b, s, run);
		s += run;
		if (s == end)
			break;
		c = (unsigned char)*s++;
		esc[1] = (char)c;
		if (c >= '\b' && c <= '\r' && c != '\v')
			esc[1] = short_form[c - '\b'];
		else if (c < 0x20) {
			memcpy(esc, "\\u00", 4);
			esc[4] = hex[c >> 4];
			esc[5] = hex[c & 15];
			len = 6;
		}
		buf_add(b, esc, len);
	}
}

void
buf_json(struct buf *b, const char *s, size_t n)
{
	buf_putc(b, '"');
	buf_json_part(b, s, n);
	buf_putc(b, '"');
}

void
buf_json_str(struct buf *b, const char *s)
{
	if (s == NULL)
		buf_puts(b, "null");
	else
		buf_json(b, s, strlen(s));
}

void
buf_base64(struct buf *b, const void *bytes, size_t n)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = bytes;
	char *p = buf_reserve(b, (n + 2) / 3 * 4);

	if (p == NULL)
		return;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)in[i + 1] << 8;
		if (i + 2 < n)
			v |= in[i + 2];
		*p++ = set[v >> 18];
		*p++ = set[v >> 12 & 63];
		*p++ = i + 1 < n ? set[v >> 6 & 63] : '=';
		*p++ = i + 2 < n ? set[v & 63] : '=';
	}
	buf_grow(b, (n + 2) / 3 * 4);
}
