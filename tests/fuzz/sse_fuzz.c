/*
 * sse_fuzz - server-sent events: wherever the stream is cut into reads, the same events come out.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static enum hl_err
collect(void *arg, const char *name, const char *data, size_t len)
{
	struct buf *seen = arg;

	buf_json_str(seen, name);
	buf_add(seen, data, len);
	buf_putc(seen, '\n');
	return HL_OK;
}

static void
feed(const uint8_t *data, size_t size, size_t piece, struct buf *seen)
{
	struct sse sse;

	sse_init(&sse);
	while (size > 0) {
		size_t n = size < piece ? size : piece;

		if (sse_feed(&sse, (const char *)data, n, collect, seen) != HL_OK)
			break;
		data += n;
		size -= n;
	}
	sse_free(&sse);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(1 << 22), cut = BUF_INIT(1 << 22);
	size_t piece = size ? data[0] % 7u + 1 : 1;

	feed(data, size, size + 1, &whole);
	feed(data, size, piece, &cut);
	if (whole.len != cut.len || (whole.len && memcmp(whole.data, cut.data, whole.len) != 0))
		abort();
	buf_free(&whole);
	buf_free(&cut);
	return 0;
}
