#include <string.h>

#include "base/engineio.h"
#include "base/str.h"

/* The value of a base64 digit in either alphabet, as Node's Buffer reads both; -1 if it is none. */
static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/* Padding may be missing: clients differ, Node takes both. */
enum hl_err
eio_base64(const char *text, size_t len, struct buf *out)
{
	unsigned bits = 0, have = 0;
	size_t n = 0;
	char *p;

	for (int pad = 0; pad < 2 && len > 0 && text[len - 1] == '='; pad++)
		len--;
	buf_reset(out);
	p = buf_reserve(out, len / 4 * 3 + 3);
	if (p == NULL)
		return buf_err(out);
	for (size_t i = 0; i < len; i++) {
		int v = digit_value(text[i]);

		if (v < 0)
			return HL_BAD_REQUEST;
		bits = (bits << 6 | (unsigned)v) & 0xffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			p[n++] = (char)(bits >> have & 255);
		}
	}
	buf_grow(out, n);
	return HL_OK;
}

enum hl_err
eio_decode(const char *text, size_t len, struct buf *scratch, struct eio_packet *ret)
{
	enum hl_err err;

	if (len > 0 && text[0] == 'b') {
		err = eio_base64(text + 1, len - 1, scratch);
		*ret = (struct eio_packet){ EIO_MESSAGE, true, scratch->data, scratch->len };
		return err;
	}
	if (len == 0 || text[0] < '0' || text[0] > '6' || !utf8_valid(text, len))
		return HL_BAD_REQUEST;
	*ret = (struct eio_packet){ (enum eio_type)(text[0] - '0'), false, text + 1, len - 1 };
	return HL_OK;
}

enum hl_err
eio_payload_next(const char **at, const char *end, struct buf *scratch, struct eio_packet *ret)
{
	const char *start = *at, *stop = memchr(start, EIO_SEPARATOR, (size_t)(end - start));

	*at = stop ? stop + 1 : NULL;
	return eio_decode(start, (size_t)((stop ? stop : end) - start), scratch, ret);
}

void
eio_encode(struct buf *b, const struct eio_packet *p)
{
	if (!p->binary)
		buf_putc(b, (char)('0' + (int)p->type));
	buf_add(b, p->data, p->len);
}

void
eio_payload_add(struct buf *b, const char *frame, size_t len, bool binary)
{
	if (b->len > 0)
		buf_putc(b, EIO_SEPARATOR);
	if (binary) {
		buf_putc(b, 'b');
		buf_base64(b, frame, len);
	} else
		buf_add(b, frame, len);
}
