/*
 * frames_test - WebSocket frames of a client: however the bytes are cut the messages are the same, the protocol's own frames
 * are answered, and nothing is kept for who is silent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "push/frames.h"

#define MESSAGE_MAX	1000
#define FIN		0x80
#define TEXT		1
#define BINARY		2
#define CLOSE		8
#define PING		9

/* What came of the bytes: "t:words;" or "b:words;" a message, and the replies as they are. */
struct heard { struct buf messages, replies; };

static void
hear_message(void *arg, const char *bytes, size_t len, bool binary)
{
	struct heard *h = arg;

	buf_puts(&h->messages, binary ? "b:" : "t:");
	buf_add(&h->messages, bytes, len);
	buf_putc(&h->messages, ';');
}

static void
hear_reply(void *arg, const char *bytes, size_t len)
{
	struct heard *h = arg;

	buf_add(&h->replies, bytes, len);
}

static const struct frames_calls calls = { hear_message, hear_reply };

/* first: FIN, or not, and the opcode.  The mask is zero. */
static void
add_frame(struct buf *out, unsigned first, const char *text, size_t len)
{
	buf_putc(out, (char)first);
	if (len < 126) {
		buf_putc(out, (char)(0x80 | len));
	} else {
		buf_putc(out, (char)(0x80 | 126));
		buf_putc(out, (char)(len >> 8));
		buf_putc(out, (char)(len & 255));
	}
	buf_add(out, "\0\0\0\0", 4);
	buf_add(out, text, len);
}

/* In pieces of so many bytes; *reader stays for more. */
static enum frames_end
read_in(struct frames **reader, struct heard *h, const struct buf *bytes, size_t piece)
{
	enum frames_end end = FRAMES_GO_ON;

	for (size_t at = 0; at < bytes->len && end == FRAMES_GO_ON; at += piece)
		end = frames_read(reader, &calls, h, MESSAGE_MAX, bytes->data + at,
		    bytes->len - at < piece ? bytes->len - at : piece);
	return end;
}

static struct heard
nothing(void)
{
	return (struct heard){ BUF_INIT(8 * MESSAGE_MAX), BUF_INIT(8 * MESSAGE_MAX) };
}

static void
forget(struct heard *h)
{
	buf_free(&h->messages);
	buf_free(&h->replies);
}

static void
messages_are_the_same_however_the_bytes_are_cut(void **state)
{
	struct buf bytes = BUF_INIT(4096);
	char longer[300];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	add_frame(&bytes, FIN | TEXT, "one", 3);
	add_frame(&bytes, TEXT, "t", 1);
	add_frame(&bytes, FIN | PING, "p", 1);		/* between the parts of a message */
	add_frame(&bytes, 0, "w", 1);
	add_frame(&bytes, FIN, "o", 1);
	add_frame(&bytes, FIN | BINARY, "\x01\x02", 2);
	add_frame(&bytes, FIN | TEXT, "", 0);
	add_frame(&bytes, FIN | TEXT, longer, sizeof(longer));
	for (size_t piece = 1; piece <= bytes.len; piece++) {
		struct heard h = nothing();
		struct frames *reader = NULL;

		assert_int_equal(read_in(&reader, &h, &bytes, piece), FRAMES_GO_ON);
		assert_null(reader);
		assert_int_equal(h.messages.len, strlen("t:one;t:two;b:\x01\x02;t:;t:;") + sizeof(longer));
		assert_memory_equal(h.messages.data, "t:one;t:two;b:\x01\x02;t:;t:xxx", 24);
		assert_int_equal(h.replies.len, 3);
		assert_memory_equal(h.replies.data, "\x8a\x01p", 3);
		forget(&h);
	}
	buf_free(&bytes);
}

static void
a_reader_is_there_while_something_is_pending_and_no_longer(void **state)
{
	struct buf bytes = BUF_INIT(64);
	struct frames *reader = NULL;
	struct heard h = nothing();

	(void)state;
	add_frame(&bytes, TEXT, "half", 4);
	assert_int_equal(read_in(&reader, &h, &bytes, bytes.len), FRAMES_GO_ON);
	assert_non_null(reader);
	buf_reset(&bytes);
	add_frame(&bytes, FIN, "!", 1);
	assert_int_equal(read_in(&reader, &h, &bytes, bytes.len - 1), FRAMES_GO_ON);
	assert_null(reader);
	assert_string_equal(h.messages.data, "t:half!;");
	/* The end of a message that never began. */
	assert_int_not_equal(read_in(&reader, &h, &bytes, bytes.len), FRAMES_GO_ON);
	assert_null(reader);
	frames_free(NULL);
	forget(&h);
	buf_free(&bytes);
}

static void
a_close_is_answered_and_ends_it(void **state)
{
	struct buf bytes = BUF_INIT(64);
	struct frames *reader = NULL;
	struct heard h = nothing();

	(void)state;
	add_frame(&bytes, FIN | CLOSE, "\x03\xe8", 2);
	add_frame(&bytes, FIN | TEXT, "too late", 8);
	assert_int_equal(read_in(&reader, &h, &bytes, bytes.len), FRAMES_OVER);
	assert_null(reader);
	assert_int_equal(h.messages.len, 0);
	assert_int_equal(h.replies.len, 4);
	assert_memory_equal(h.replies.data, "\x88\x02\x03\xe8", 4);
	forget(&h);
	buf_free(&bytes);
}

static void
what_breaks_the_protocol_ends_it(void **state)
{
	static const char too_long[MESSAGE_MAX + 1], unmasked[] = "\x81\x01x", reserved[] = "\xc1\x81\0\0\0\0x";
	struct { const char *bytes; size_t len; } bad[] = { { unmasked, 3 }, { reserved, 7 }, { "\x83\x80\0\0\0\0", 6 },
		{ "\x81\xfe\0\x01\0\0\0\0x", 9 }, { "\x09\x80\0\0\0\0", 6 } };
	struct buf bytes = BUF_INIT(4096);
	struct heard h = nothing();
	struct frames *reader = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_not_equal(frames_read(&reader, &calls, &h, MESSAGE_MAX, bad[i].bytes, bad[i].len), FRAMES_GO_ON);
		assert_null(reader);
	}
	buf_reset(&h.replies);
	add_frame(&bytes, FIN | TEXT, too_long, sizeof(too_long));
	assert_int_equal(read_in(&reader, &h, &bytes, 100), FRAMES_OVER);
	assert_null(reader);
	assert_memory_equal(h.replies.data + 2, "\x03\xf1", 2);		/* 1009 */
	buf_reset(&bytes);
	buf_reset(&h.replies);
	add_frame(&bytes, FIN | TEXT, "\xff\xfe", 2);
	assert_int_equal(read_in(&reader, &h, &bytes, 1), FRAMES_OVER);
	assert_null(reader);
	assert_memory_equal(h.replies.data + 2, "\x03\xef", 2);		/* 1007 */
	assert_int_equal(h.messages.len, 0);
	forget(&h);
	buf_free(&bytes);
}

/* Each of them takes memory beside what it carries. */
static void
a_message_in_very_many_parts_is_too_big(void **state)
{
	struct buf bytes = BUF_INIT(16384);
	struct heard h = nothing();
	struct frames *reader = NULL;

	(void)state;
	add_frame(&bytes, TEXT, "", 0);
	for (int i = 1; i < 1024; i++) {
		add_frame(&bytes, 0, "", 0);
		if (i % 100 == 0)
			add_frame(&bytes, FIN | PING, "", 0);
	}
	assert_int_equal(read_in(&reader, &h, &bytes, 500), FRAMES_GO_ON);
	assert_non_null(reader);
	assert_int_equal(h.replies.len, 20);		/* the pongs */
	buf_reset(&bytes);
	add_frame(&bytes, FIN, "x", 1);
	assert_int_equal(read_in(&reader, &h, &bytes, 1), FRAMES_OVER);
	assert_null(reader);
	assert_memory_equal(h.replies.data + 22, "\x03\xf1", 2);		/* 1009 */
	assert_int_equal(h.messages.len, 0);
	forget(&h);
	buf_free(&bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_the_same_however_the_bytes_are_cut),
		cmocka_unit_test(a_reader_is_there_while_something_is_pending_and_no_longer),
		cmocka_unit_test(a_close_is_answered_and_ends_it),
		cmocka_unit_test(what_breaks_the_protocol_ends_it),
		cmocka_unit_test(a_message_in_very_many_parts_is_too_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
