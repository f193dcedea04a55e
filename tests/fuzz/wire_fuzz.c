/*
 * wire_fuzz - the private connection of live calls: a frame lies within what came, means the same however it was cut, and is
 * what would be written of it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
write_again(struct buf *out, const struct wire_frame *f)
{
	if (f->type == WIRE_BINARY)
		wire_add_binary(out, f->data, f->len, f->bytes, f->bytes_len);
	else
		wire_add(out, f->type, f->data, f->len);
}

/* Of bytes that came so far; what it returns is how much of them was frames. */
static size_t
read_frames(const char *text, size_t len, enum hl_err *ret_err)
{
	struct wire_frame f;
	bool whole = true;
	size_t at = 0;

	for (*ret_err = HL_OK; whole;) {
		struct buf again = BUF_INIT(2 * WIRE_MAX);
		size_t from = at;

		*ret_err = wire_next(text, len, &at, &f, &whole);
		if (*ret_err)
			return from;
		if (!whole)
			break;
		write_again(&again, &f);
		if (buf_err(&again) || again.len != at - from || memcmp(again.data, text + from, again.len) != 0)
			abort();
		buf_free(&again);
	}
	if (at > len)
		abort();
	return at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum hl_err err, part_err;
	size_t whole;
	char *copy = malloc(size ? size : 1);	/* of that size, so that a byte too many is seen */

	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	whole = read_frames(copy, size, &err);
	for (size_t n = 0; n < size; n += size / 16 + 1) {
		char *part = malloc(n ? n : 1);

		if (part == NULL)
			abort();
		memcpy(part, data, n);
		if (read_frames(part, n, &part_err) > whole || (part_err && !err))
			abort();
		free(part);
	}
	free(copy);
	return 0;
}
