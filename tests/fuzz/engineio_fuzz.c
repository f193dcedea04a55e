/*
 * engineio_fuzz - payloads: what is decoded encodes again and decodes to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/engineio.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_again(const struct eio_packet *p)
{
	struct buf frame = BUF_INIT(1 << 22), payload = BUF_INIT(1 << 23), scratch = BUF_INIT(1 << 22);
	const char *at;
	struct eio_packet again;

	eio_encode(&frame, p);
	eio_payload_add(&payload, frame.data ? frame.data : "", frame.len, p->binary);
	at = payload.data;
	if (buf_err(&frame) || buf_err(&payload) ||
	    eio_payload_next(&at, payload.data + payload.len, &scratch, &again) != HL_OK || at != NULL)
		abort();
	if (again.type != p->type || again.binary != p->binary || again.len != p->len ||
	    (p->len && memcmp(again.data, p->data, p->len) != 0))
		abort();
	buf_free(&frame);
	buf_free(&payload);
	buf_free(&scratch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct buf scratch = BUF_INIT(1 << 22);
	struct eio_packet p;

	while (at && eio_payload_next(&at, end, &scratch, &p) == HL_OK)
		check_again(&p);
	buf_free(&scratch);
	return 0;
}
