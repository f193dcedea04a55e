/*
 * socketio_fuzz - a connection's messages, split at newlines (a line that starts with ! is binary): what is taken
 * encodes again and is taken again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/socketio.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
same(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static void
check_again(const struct sio_packet *p)
{
	struct buf text = BUF_INIT(1 << 22);
	struct sio_packet again;

	sio_encode(&text, p);
	if (buf_err(&text) || sio_parse(text.data, text.len, &again) != HL_OK)
		abort();
	if (again.type != p->type || again.attachments != p->attachments || !same(again.nsp, p->nsp) ||
	    !same(again.id, p->id) || !same(again.data, p->data))
		abort();
	buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct sio_decoder decoder = { 0 };
	enum hl_err err = HL_OK;

	while (at <= end && err == HL_OK) {
		const char *stop = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
		size_t len = (size_t)((stop ? stop : end) - at);
		struct sio_packet p;
		bool whole = false;

		if (len && *at == '!')
			err = sio_feed_binary(&decoder, at + 1, len - 1, &p, &whole);
		else
			err = sio_feed_text(&decoder, at, len, &p, &whole);
		if (err == HL_OK && whole)
			check_again(&p);
		at = stop ? stop + 1 : end + 1;
	}
	sio_decoder_free(&decoder);
	return 0;
}
