/*
 * handshake_fuzz - the HTTP request that opens a WebSocket, and its query.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "push/handshake.h"
#include "push/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t end = handshake_end((const char *)data, size, 0), len;
	struct buf answer = BUF_INIT(4096);
	struct handshake h;
	char address[64];
	char *head;

	if (end == 0 || end > size)
		return 0;
	head = malloc(end + 1);		/* as tight as it gets, so that a read beyond it is seen */
	if (head == NULL)
		abort();
	memcpy(head, data, end);
	head[end] = '\0';
	if (handshake_parse(head, end, &h) == HL_OK) {
		handshake_address(&h, address, sizeof(address));
		(void)query_get(h.query, "sid", &len);
		if (handshake_is_websocket(&h))
			handshake_accept(&answer, &h);
	}
	buf_free(&answer);
	free(head);
	return 0;
}
