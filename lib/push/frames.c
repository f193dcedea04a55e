#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <wslay/wslay.h>

#include "push/frames.h"

/*
 * Of one message. libwslay keeps each in pieces of its own, a hundred bytes for one, until the message is whole; what it is told
 * of the length of a message counts only what they carry.
 */
#define FRAGMENTS_MAX	1024u

/* Bytes on their way into libwslay. */
struct frames {
	wslay_event_context_ptr ctx;
	const struct frames_calls *calls;
	void		*arg;
	const char	*bytes;
	size_t		 len;
	uint64_t	 given;		/* bytes that libwslay has taken */
	uint64_t	 framed;	/* bytes of all frames that have begun, when they are whole */
	bool		 fragmented;	/* a message has begun and not ended */
	unsigned	 fragments;	/* of it */
};

static ssize_t
give(wslay_event_context_ptr ctx, uint8_t *to, size_t len, int flags, void *arg)
{
	struct frames *r = arg;
	size_t n = r->len < len ? r->len : len;

	(void)flags;
	if (n == 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(to, r->bytes, n);
	r->bytes += n;
	r->len -= n;
	r->given += n;
	return (ssize_t)n;
}

/* libwslay's own answers: pongs and close frames. */
static ssize_t
take(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t len, int flags, void *arg)
{
	struct frames *r = arg;

	(void)ctx;
	(void)flags;
	r->calls->reply(r->arg, (const char *)bytes, len);
	return (ssize_t)len;
}

static void
frame_begins(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
	struct frames *r = arg;
	uint64_t len = frame->payload_length;

	/* Two bytes, the extended length (libwslay refuses a longer form than is needed), the mask. */
	r->framed += 2 + (len < 126 ? 0u : len < 65536 ? 2u : 8u) + 4 + len;
	if (wslay_is_ctrl_frame(frame->opcode))
		return;
	r->fragmented = !frame->fin;
	r->fragments = frame->opcode == WSLAY_CONTINUATION_FRAME ? r->fragments + 1 : 1;
	if (r->fragments > FRAGMENTS_MAX) {
		wslay_event_shutdown_read(ctx);
		wslay_event_queue_close(ctx, WSLAY_CODE_MESSAGE_TOO_BIG, NULL, 0);
	}
}

static void
message_arrived(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *msg, void *arg)
{
	struct frames *r = arg;

	(void)ctx;
	if (r->fragments > FRAGMENTS_MAX)
		return;
	if (msg->opcode == WSLAY_TEXT_FRAME || msg->opcode == WSLAY_BINARY_FRAME)
		r->calls->message(r->arg, (const char *)msg->msg, msg->msg_length, msg->opcode == WSLAY_BINARY_FRAME);
}

static struct frames *
frames_new(size_t max_message)
{
	static const struct wslay_event_callbacks calls = {
		.recv_callback = give, .send_callback = take, .on_frame_recv_start_callback = frame_begins,
		.on_msg_recv_callback = message_arrived,
	};
	struct frames *r = calloc(1, sizeof(*r));

	if (r == NULL || wslay_event_context_server_init(&r->ctx, &calls, r) != 0) {
		free(r);
		return NULL;
	}
	wslay_event_config_set_max_recv_msg_length(r->ctx, (uint64_t)max_message);
	return r;
}

void
frames_free(struct frames *r)
{
	if (r == NULL)
		return;
	wslay_event_context_free(r->ctx);
	free(r);
}

static bool
between_messages(const struct frames *r)
{
	return r->given == r->framed && !r->fragmented;
}

enum frames_end
frames_read(struct frames **reader, const struct frames_calls *calls, void *arg, size_t max_message, const char *bytes,
    size_t len)
{
	struct frames *r = *reader ? *reader : frames_new(max_message);
	int failed;
	bool over;

	if (r == NULL)
		return FRAMES_NO_MEMORY;
	*reader = r;
	r->calls = calls;
	r->arg = arg;
	r->bytes = bytes;
	r->len = len;
	failed = wslay_event_recv(r->ctx);
	while (!failed && wslay_event_want_write(r->ctx))
		failed = wslay_event_send(r->ctx);
	over = !wslay_event_get_read_enabled(r->ctx);
	if (failed || over || between_messages(r)) {
		frames_free(r);
		*reader = NULL;
	}
	return failed ? FRAMES_BROKEN : over ? FRAMES_OVER : FRAMES_GO_ON;
}
