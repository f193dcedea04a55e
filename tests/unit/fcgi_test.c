/*
 * fcgi_test - libfcgi as a parser only (an undocumented use, pinned here), and the records that go out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <fastcgi.h>

#include "base/buf.h"
#include "loop/task.h"
#include "services/fcgi.h"

#define SOCKET_NAME "fcgi_test"		/* abstract: no file is left behind */

static uv_loop_t *loop;
static struct fcgi_server *server;
static struct buf seen = { .max = 1 << 20 };	/* what the handler was given */
static enum hl_err slept;
static size_t pushed;
static struct task *sleeper;

/* Bytes that tell where they lie. */
static char *
pattern(size_t len)
{
	char *p = malloc(len);

	assert_non_null(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (char)(i * 31 + i / 256 * 7);
	return p;
}

/* ---- the server's side ---- */

static void
handler(struct fcgi_request *r, void *arg)
{
	const char *uri = fcgi_param(r, "DOCUMENT_URI");
	size_t len;
	const char *body = fcgi_body(r, &len);

	(void)arg;
	buf_printf(&seen, "%s %zu%s\n", uri ? uri : "-", len, fcgi_body_cut(r) ? " cut" : "");
	if (uri && strcmp(uri, "/wait") == 0) {
		sleeper = task_self();
		slept = task_sleep(1000000);
		return;
	}
	assert_int_equal(fcgi_write(r, "Status: 200 OK\r\n\r\n", 18), HL_OK);
	if (uri && strncmp(uri, "/large/", 7) == 0) {
		char *large = pattern((size_t)atoi(uri + 7));

		assert_int_equal(fcgi_write_last(r, large, (size_t)atoi(uri + 7)), HL_OK);
		free(large);		/* it was sent, or is queued by now */
		return;
	}
	while (uri && strcmp(uri, "/pushed") == 0) {
		static const char piece[32768];
		enum hl_err err;

		assert_int_equal(fcgi_write(r, piece, sizeof(piece)), HL_OK);
		err = fcgi_push(r);
		pushed += sizeof(piece);
		if (err == HL_OK)
			continue;
		assert_int_equal(err, HL_BUSY);
		return;
	}
	assert_int_equal(fcgi_write(r, body, len), HL_OK);
}

static struct sockaddr_un
address(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path + 1, SOCKET_NAME, sizeof(SOCKET_NAME));
	return a;
}

static int
start(void **state)
{
	struct sockaddr_un a = address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	loop = uv_default_loop();
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 128))
		return -1;
	return fcgi_serve(loop, fd, handler, NULL, &server) ? -1 : 0;
}

static int
stop(void **state)
{
	(void)state;
	fcgi_drain(server, NULL, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
	fcgi_free(server);
	uv_run(loop, UV_RUN_DEFAULT);
	buf_free(&seen);
	return 0;
}

/* ---- nginx's side ---- */

static int
client(void)
{
	struct sockaddr_un a = address();
	struct timeval patience = { .tv_sec = 5 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void
record(struct buf *b, int type, const void *content, size_t len)
{
	FCGI_Header h = { .version = 1, .type = (unsigned char)type, .requestIdB0 = 1,
		.contentLengthB1 = (unsigned char)(len >> 8), .contentLengthB0 = (unsigned char)len };

	buf_add(b, &h, sizeof(h));
	buf_add(b, content, len);
}

static void
pair(struct buf *b, const char *name, const char *value)
{
	buf_putc(b, (char)strlen(name));
	buf_putc(b, (char)strlen(value));
	buf_puts(b, name);
	buf_puts(b, value);
}

static void
write_request(struct buf *out, const char *uri, const char *announced, const char *body, bool keep)
{
	unsigned char begin[8] = { 0, FCGI_RESPONDER, keep ? FCGI_KEEP_CONN : 0 };
	struct buf params = BUF_INIT(4096);

	record(out, FCGI_BEGIN_REQUEST, begin, sizeof(begin));
	pair(&params, "DOCUMENT_URI", uri);
	pair(&params, "CONTENT_LENGTH", announced);
	record(out, FCGI_PARAMS, params.data, params.len);
	record(out, FCGI_PARAMS, NULL, 0);
	if (*body)
		record(out, FCGI_STDIN, body, strlen(body));
	record(out, FCGI_STDIN, NULL, 0);
	buf_free(&params);
}

static void
ask(int fd, const char *uri, const char *announced, const char *body, bool keep)
{
	struct buf b = BUF_INIT(1 << 16);

	write_request(&b, uri, announced, body, keep);
	assert_int_equal(write(fd, b.data, b.len), (ssize_t)b.len);
	buf_free(&b);
}

static void
turn_loop(int times)
{
	while (times-- > 0)
		uv_run(loop, UV_RUN_NOWAIT);
}

/* Reads until END_REQUEST; the text of all STDOUT records. */
static void
answer(int fd, struct buf *text)
{
	struct buf in = BUF_INIT(1 << 21);
	size_t at = 0;
	bool ended = false;

	while (!ended) {
		char piece[4096];
		ssize_t n;

		turn_loop(3);
		n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
		if (n > 0)
			buf_add(&in, piece, (size_t)n);
		else
			assert_true(n < 0);
		while (in.len - at >= 8) {
			const unsigned char *h = (const unsigned char *)in.data + at;
			size_t len = (size_t)h[4] << 8 | h[5];

			if (in.len - at < 8 + len)
				break;
			if (h[1] == FCGI_STDOUT)
				buf_add(text, in.data + at + 8, len);
			ended = h[1] == FCGI_END_REQUEST;
			at += 8 + len + h[6];
		}
	}
	buf_free(&in);
}

/* ---- the tests ---- */

static void
a_request_is_parsed_and_answered(void **state)
{
	struct buf text = BUF_INIT(4096);
	int fd = client();

	(void)state;
	ask(fd, "/echo", "5", "hello", true);
	answer(fd, &text);
	assert_string_equal(text.data, "Status: 200 OK\r\n\r\nhello");
	buf_free(&text);
	close(fd);
	turn_loop(5);
}

static void
a_kept_connection_serves_again_and_another_is_closed(void **state)
{
	struct buf text = BUF_INIT(4096);
	int fd = client();
	char c;

	(void)state;
	for (int i = 0; i < 3; i++) {
		ask(fd, "/echo", "2", "ab", i < 2);
		buf_reset(&text);
		answer(fd, &text);
		assert_string_equal(text.data, "Status: 200 OK\r\n\r\nab");
	}
	turn_loop(5);
	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), 0);
	buf_free(&text);
	close(fd);
}

/* More than the socket takes at once, or just as much as one record, or more records than are gathered. */
static void
a_large_answer_arrives_as_it_is(void **state)
{
	static const size_t lengths[] = { 1, 16383, 16384, 32767, 32768, 32769, 65536, 76000, 262144, 262145, 1000000 };
	struct buf text = BUF_INIT(1 << 20);
	int fd = client();

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		char *large = pattern(lengths[i]), uri[32];

		snprintf(uri, sizeof(uri), "/large/%zu", lengths[i]);
		ask(fd, uri, "0", "", true);
		buf_reset(&text);
		answer(fd, &text);
		assert_int_equal(text.len, 18 + lengths[i]);
		assert_memory_equal(text.data + 18, large, lengths[i]);
		free(large);
	}
	buf_free(&text);
	close(fd);
	turn_loop(5);
}

/* It would never come back if it waited: nobody reads. */
static void
what_is_pushed_to_a_slow_reader_is_queued_and_told(void **state)
{
	struct buf text = BUF_INIT(1 << 22);
	int fd = client();

	(void)state;
	ask(fd, "/pushed", "0", "", false);
	for (int i = 0; i < 1000 && pushed <= FCGI_MAX_QUEUE; i++)
		turn_loop(1);
	assert_true(pushed > FCGI_MAX_QUEUE);
	answer(fd, &text);
	assert_int_equal(text.len, 18 + pushed);
	close(fd);
	turn_loop(5);
	buf_free(&text);
}

static void
a_body_shorter_than_announced_is_known(void **state)
{
	struct buf text = BUF_INIT(4096);
	int fd = client();

	(void)state;
	buf_reset(&seen);
	ask(fd, "/short", "9", "abc", false);
	answer(fd, &text);
	assert_string_equal(seen.data, "/short 3 cut\n");
	buf_free(&text);
	close(fd);
	turn_loop(5);
}

static void
a_client_that_goes_away_cancels_its_task(void **state)
{
	int fd = client();

	(void)state;
	slept = HL_OK;
	ask(fd, "/wait", "0", "", true);
	turn_loop(5);
	assert_int_equal(task_count(), 1);
	close(fd);
	for (int i = 0; i < 1000 && task_count() > 0; i++)
		turn_loop(1);
	assert_int_equal(task_count(), 0);
	assert_int_equal(slept, HL_CANCELLED);
}

static void
garbage_ends_only_its_own_connection(void **state)
{
	struct buf text = BUF_INIT(4096);
	int good = client(), bad = client();

	(void)state;
	assert_int_equal(write(bad, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	turn_loop(5);
	ask(good, "/echo", "1", "x", true);
	answer(good, &text);
	assert_string_equal(text.data, "Status: 200 OK\r\n\r\nx");
	buf_free(&text);
	close(bad);
	close(good);
	turn_loop(5);
}

/* When FCGX_Accept_r() fails it has closed the descriptor: closing it again would hit somebody else's. */
static void
a_broken_request_does_not_close_a_stranger(void **state)
{
	int fd = client(), stranger[2];
	struct buf b = BUF_INIT(4096);

	(void)state;
	write_request(&b, "/x", "0", "", true);
	assert_int_equal(write(fd, b.data, 12), 12);	/* half of the first record */
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5; i++) {
		turn_loop(1);
		assert_int_equal(pipe(stranger), 0);
		turn_loop(1);
		assert_int_equal(close(stranger[0]), 0);
		assert_int_equal(close(stranger[1]), 0);
	}
	buf_free(&b);
	close(fd);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_parsed_and_answered),
		cmocka_unit_test(a_kept_connection_serves_again_and_another_is_closed),
		cmocka_unit_test(a_large_answer_arrives_as_it_is),
		cmocka_unit_test(what_is_pushed_to_a_slow_reader_is_queued_and_told),
		cmocka_unit_test(a_body_shorter_than_announced_is_known),
		cmocka_unit_test(a_client_that_goes_away_cancels_its_task),
		cmocka_unit_test(garbage_ends_only_its_own_connection),
		cmocka_unit_test(a_broken_request_does_not_close_a_stranger),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
