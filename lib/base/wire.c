#include <stdint.h>
#include <string.h>

#include "base/wire.h"

static void
put_length(char out[4], size_t n)
{
	for (int i = 0; i < 4; i++)
		out[i] = (char)(n >> (8 * i));
}

static size_t
get_length(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
}

static void
begin(struct buf *out, enum wire_type type, size_t len)
{
	char head[WIRE_HEADER];

	put_length(head, len + 1);
	head[4] = (char)type;
	buf_add(out, head, sizeof(head));
}

void
wire_add(struct buf *out, enum wire_type type, const void *data, size_t len)
{
	begin(out, type, len);
	buf_add(out, data, len);
}

void
wire_add_binary(struct buf *out, const char *json, size_t json_len, const void *bytes, size_t len)
{
	char n[4];

	begin(out, WIRE_BINARY, 4 + json_len + len);
	put_length(n, json_len);
	buf_add(out, n, 4);
	buf_add(out, json, json_len);
	buf_add(out, bytes, len);
}

static bool
known(char type)
{
	return type == WIRE_HELLO || type == WIRE_SOUND || type == WIRE_EVENT || type == WIRE_BINARY || type == WIRE_BYE;
}

static enum hl_err
divide(struct wire_frame *f)
{
	size_t n = f->len >= 4 ? get_length(f->data) : SIZE_MAX;

	if (n > f->len - 4 || f->len < 4)
		return HL_BAD_REQUEST;
	f->bytes = f->data + 4 + n;
	f->bytes_len = f->len - 4 - n;
	f->data += 4;
	f->len = n;
	return HL_OK;
}

enum hl_err
wire_next(const char *text, size_t len, size_t *at, struct wire_frame *ret, bool *ret_whole)
{
	size_t left = len - *at, n;

	*ret_whole = false;
	if (left < WIRE_HEADER)
		return HL_OK;
	n = get_length(text + *at);
	if (n == 0 || n > WIRE_MAX || !known(text[*at + 4]))
		return HL_BAD_REQUEST;
	if (left < 4 + n)
		return HL_OK;
	*ret = (struct wire_frame){ .type = (enum wire_type)text[*at + 4], .data = text + *at + WIRE_HEADER, .len = n - 1 };
	*at += 4 + n;
	*ret_whole = true;
	return ret->type == WIRE_BINARY ? divide(ret) : HL_OK;
}
