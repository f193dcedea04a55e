/*
 * http_test - HTTP to others from tasks: against a server on the same loop that does everything wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loop/task.h"
#include "server.h"
#include "services/http.h"

static uv_loop_t loop;
static struct http *http;
static struct server *server;
static server_serve serve;		/* of the current test */
static unsigned served;
static char url[64];

static void
serve_call(struct server_call *c, void *arg)
{
	(void)arg;
	served++;
	serve(c, NULL);
}

static int
set_up(void **state)
{
	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(http_new(&loop, &http), HL_OK);
	server = server_new(&loop, NULL, serve_call, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", server_port(server));
	served = 0;
	return 0;
}

/* Nothing may be left behind: no handle, no task, no connection. */
static int
tear_down(void **state)
{
	(void)state;
	http_free(http);
	server_free(server);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(task_count(), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

static void
run(server_serve s, void (*task)(void *), void *arg)
{
	serve = s;
	assert_int_equal(task_start(&loop, task, arg), HL_OK);
	while (task_count())
		uv_run(&loop, UV_RUN_ONCE);
}

/* In a task: until it is so, which takes no fixed time on a slow machine, but not for ever. */
#define AWAIT(so) do {										\
	int64_t from_ = clock_mono_ms();							\
	while (!(so)) {										\
		assert_true(clock_mono_ms() - from_ < 30000);					\
		assert_int_equal(task_sleep(1), HL_OK);						\
	}											\
} while (0)

static struct http_request
get(void)
{
	return (struct http_request){ .method = "GET", .url = url };
}

/* The whole body, or how reading it ended. */
static enum hl_err
read_all(struct http_stream *s, struct buf *body)
{
	enum hl_err err;
	const char *p;
	size_t n;

	do {
		err = http_read(s, &p, &n);
		buf_add(body, p, n);
	} while (err == HL_OK && n);
	return err;
}

static enum hl_err
fetch(const struct http_request *r, struct buf *body, int *status)
{
	struct http_stream *s;
	enum hl_err err = http_open(http, r, &s);

	*status = 0;
	if (err == HL_OK) {
		*status = http_status(s);
		err = read_all(s, body);
	} else
		assert_null(s);
	http_close(s);
	return err;
}

static void
expect(const struct http_request *r, enum hl_err want, int want_status, const char *want_body)
{
	struct buf body = BUF_INIT(1 << 24);
	enum hl_err err;
	int status;

	err = fetch(r, &body, &status);
	if (err != want)
		fail_msg("%s: %s instead of %s (%s)", r->url, err_code(err), err_code(want), http_problem(http));
	assert_int_equal(status, want_status);
	assert_string_equal(body.len ? body.data : "", want_body);
	buf_free(&body);
}

/* ---- what goes and what comes ---- */

static void
echo(struct server_call *c, void *arg)
{
	struct buf out = BUF_INIT(1 << 20);

	(void)arg;
	assert_null(strstr(call_head(c), "Expect"));
	buf_add(&out, call_head(c), strcspn(call_head(c), "\r"));
	buf_putc(&out, '|');
	buf_add(&out, call_body(c), call_body_len(c));
	call_answer(c, 200, "Content-Type: Application/JSON; charset=utf-8\r\nretry-AFTER: 7\r\n", out.data);
	buf_free(&out);
}

static void
methods(void *arg)
{
	struct http_request r = get();

	(void)arg;
	expect(&r, HL_OK, 200, "GET /x HTTP/1.1|");
	r.method = "POST";
	expect(&r, HL_OK, 200, "POST /x HTTP/1.1|");
	r.body = "hello";
	r.body_len = 5;
	expect(&r, HL_OK, 200, "POST /x HTTP/1.1|hello");
	r.method = "PUT";
	expect(&r, HL_OK, 200, "PUT /x HTTP/1.1|hello");
	r = get();
	expect(&r, HL_OK, 200, "GET /x HTTP/1.1|");
	r.method = "DELETE";
	expect(&r, HL_OK, 200, "DELETE /x HTTP/1.1|");
	r.method = "HEAD";
	expect(&r, HL_OK, 200, "");
}

static void
methods_and_bodies_arrive_and_the_connection_is_kept(void **state)
{
	(void)state;
	run(echo, methods, NULL);
	assert_int_equal(served, 7);
	assert_int_equal(server_connections(server), 1);
}

static void
headers(void *arg)
{
	const char *const lines[] = { "X-One: 1", "Content-Type: text/x", NULL };
	struct http_request r = get();
	struct http_stream *s;

	(void)arg;
	r.headers = lines;
	assert_int_equal(http_open(http, &r, &s), HL_OK);
	assert_string_equal(http_content_type(s), "application/json");
	assert_string_equal(http_header(s, "Retry-After"), "7");
	assert_null(http_header(s, "Retry"));
	http_finish(s);
}

static void
show_headers(struct server_call *c, void *arg)
{
	assert_non_null(strstr(call_head(c), "\r\nX-One: 1\r\n"));
	assert_non_null(strstr(call_head(c), "\r\nContent-Type: text/x\r\n"));
	call_text(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
	echo(c, arg);
}

static void
headers_go_both_ways_and_early_ones_are_skipped(void **state)
{
	(void)state;
	run(show_headers, headers, NULL);
}

static void
redirect(struct server_call *c, void *arg)
{
	(void)arg;
	call_answer(c, 302, "Location: /elsewhere\r\n", "");
}

static void
no_redirect(void *arg)
{
	struct http_request r = get();

	(void)arg;
	expect(&r, HL_OK, 302, "");
}

static void
a_redirect_is_not_followed(void **state)
{
	(void)state;
	run(redirect, no_redirect, NULL);
	assert_int_equal(served, 1);
}

static void
over_unix(void *arg)
{
	struct http_request r = get();

	r.url = "http://push/event";
	r.unix_socket = arg;
	expect(&r, HL_OK, 200, "GET /event HTTP/1.1|");
	r.unix_socket = NULL;
	r.url = url;
	expect(&r, HL_OK, 200, "GET /x HTTP/1.1|");
}

static void
unix_sockets_are_reached_and_forgotten(void **state)
{
	char path[64];
	struct server *local;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/http-test-%d.sock", (int)getpid());
	local = server_new(&loop, path, serve_call, NULL);
	run(echo, over_unix, path);
	server_free(local);
	unlink(path);
}

/* ---- bodies in pieces ---- */

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" \
	"4\r\nab\xc3\xa9\r\n3;x=y\r\ncde\r\n0\r\nX-Trailer: 1\r\n\r\n"

static void
byte_by_byte(struct server_call *c, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof(STREAM) - 1; i++) {
		call_send(c, STREAM + i, 1);
		assert_int_equal(task_sleep(0), HL_OK);
	}
}

static void
read_stream(void *arg)
{
	struct http_request r = get();

	(void)arg;
	expect(&r, HL_OK, 200, "ab\xc3\xa9" "cde");
}

static void
an_answer_may_come_one_byte_at_a_time(void **state)
{
	(void)state;
	run(byte_by_byte, read_stream, NULL);
}

#define BIG	(8u << 20)

static void
big(struct server_call *c, void *arg)
{
	char *bytes = malloc(BIG + 1);

	(void)arg;
	assert_non_null(bytes);
	memset(bytes, 'x', BIG);
	bytes[BIG] = '\0';
	call_answer(c, 200, "", bytes);
	free(bytes);
}

static void
read_slowly(void *arg)
{
	struct http_request r = get();
	struct http_stream *s;
	size_t n, total = 0, largest = 0;
	unsigned i = 0;
	const char *p;

	(void)arg;
	r.max_body = BIG;
	r.idle_ms = 200;		/* what we dawdle does not count as the server's silence */
	assert_int_equal(http_open(http, &r, &s), HL_OK);
	do {
		if (i++ < 2)
			assert_int_equal(task_sleep(250), HL_OK);
		assert_int_equal(http_read(s, &p, &n), HL_OK);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(p[k], 'x');
		total += n;
		largest = n > largest ? n : largest;
	} while (n);
	assert_int_equal(total, BIG);
	assert_true(largest <= 65536 + 16384);
	http_close(s);
}

static void
a_slow_reader_stops_the_sender(void **state)
{
	(void)state;
	run(big, read_slowly, NULL);
}

static void
too_big(void *arg)
{
	struct http_request r = get();
	struct buf body = BUF_INIT(BIG);
	int status;

	(void)arg;
	assert_int_equal(fetch(&r, &body, &status), HL_TOO_LARGE);
	assert_true(body.len <= 1 << 20);
	assert_non_null(strstr(http_problem(http), "larger"));
	r.max_body = BIG - 1;
	assert_int_equal(fetch(&r, &body, &status), HL_TOO_LARGE);
	buf_free(&body);
}

static void
a_body_over_the_cap_is_refused(void **state)
{
	(void)state;
	run(big, too_big, NULL);
}

static void
endless_headers(struct server_call *c, void *arg)
{
	(void)arg;
	call_text(c, "HTTP/1.1 200 OK\r\n");
	while (!call_gone(c)) {
		call_text(c, "X-Filler: 0123456789012345678901234567890123456789\r\n");
		assert_int_equal(task_sleep(0), HL_OK);
	}
}

static void
read_endless_headers(void *arg)
{
	struct http_request r = get();

	(void)arg;
	expect(&r, HL_TOO_LARGE, 0, "");
}

static void
endless_headers_are_refused(void **state)
{
	(void)state;
	run(endless_headers, read_endless_headers, NULL);
}

static void
early_answer(struct server_call *c, void *arg)
{
	(void)arg;
	call_answer(c, 413, "", "no");
	assert_int_equal(task_sleep(50), HL_OK);
}

static void
send_huge(void *arg)
{
	struct http_request r = get();
	struct buf body = BUF_INIT(1024);
	char *bytes = calloc(1, 4 * BIG);
	struct http_stream *s;

	(void)arg;
	assert_non_null(bytes);
	r.method = "POST";
	r.body = bytes;
	r.body_len = 4 * BIG;
	assert_int_equal(http_open(http, &r, &s), HL_OK);
	free(bytes);			/* borrowed until http_open() has returned, not longer */
	assert_int_equal(http_status(s), 413);
	(void)!read_all(s, &body);
	http_close(s);
	buf_free(&body);
}

static void
an_answer_before_the_request_was_read_counts(void **state)
{
	(void)state;
	run(early_answer, send_huge, NULL);
}

/* ---- failures ---- */

static void
no_server(void *arg)
{
	struct http_request r = get();

	(void)arg;
	r.url = "http://127.0.0.1:1/";
	expect(&r, HL_UPSTREAM, 0, "");
	assert_non_null(strstr(http_problem(http), "127.0.0.1"));
	r.url = "http://no.such.host.invalid/";
	expect(&r, HL_UPSTREAM, 0, "");
	r.unix_socket = "/nonexistent/socket";
	expect(&r, HL_UPSTREAM, 0, "");
	r.unix_socket = NULL;
	r.url = "ftp://127.0.0.1/";
	expect(&r, HL_BAD_REQUEST, 0, "");
	r.url = "not an address";
	expect(&r, HL_BAD_REQUEST, 0, "");
	r.url = "";
	expect(&r, HL_BAD_REQUEST, 0, "");
}

static void
a_server_that_is_not_there_is_told_from_a_bad_address(void **state)
{
	(void)state;
	run(NULL, no_server, NULL);
}

/* What the server sends before it hangs up, and what must come of it. */
struct cut {
	const char	*sends;
	bool		 reset;
	enum hl_err	 err;
	int		 status;
	const char	*body;
};
static const struct cut *cut;

static const struct cut cuts[] = {
	{ "", false, HL_UPSTREAM, 0, "" },
	{ "", true, HL_UPSTREAM, 0, "" },
	{ "HTTP/1.1 200 OK\r\nContent-Le", false, HL_UPSTREAM, 0, "" },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false, HL_UPSTREAM, 200, "abc" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false, HL_UPSTREAM, 200, "abc" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true, HL_UPSTREAM, 200, "abc" },
	{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, HL_UPSTREAM, 200, "" },
	{ "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", false, HL_OK, 200, "abc" },
	{ "HTTP/1.1 204 OK\r\n\r\n", false, HL_OK, 204, "" },
	{ "SSH-2.0-OpenSSH_9\r\n", false, HL_UPSTREAM, 0, "" },
};

static void
serve_cut(struct server_call *c, void *arg)
{
	(void)arg;
	call_text(c, cut->sends);
	assert_int_equal(task_sleep(2), HL_OK);
	call_hang_up(c, cut->reset);
}

static void
read_cut(void *arg)
{
	struct http_request r = get();

	(void)arg;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		cut = &cuts[i];
		expect(&r, cut->err, cut->status, cut->body);
		if (cut->err)
			assert_true(http_problem(http)[0] != '\0');
	}
}

static void
broken_answers_are_seen(void **state)
{
	(void)state;
	run(serve_cut, read_cut, NULL);
}

static void
silent(struct server_call *c, void *arg)
{
	bool head = strstr(call_head(c), "head") != NULL;

	(void)arg;
	if (head)
		call_text(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc");
	while (!call_gone(c)) {
		assert_int_equal(task_sleep(5), HL_OK);
		if (strstr(call_head(c), "drip"))
			call_text(c, "x");
	}
}

static void
wait_for_silence(void *arg)
{
	struct http_request r = get();
	char head[80], drip[80];
	struct http_stream *s;
	struct buf body = BUF_INIT(1024);
	int64_t from = clock_mono_ms();	/* a server on a slow machine answers well within these times */

	(void)arg;
	snprintf(head, sizeof(head), "%s/head", url);
	snprintf(drip, sizeof(drip), "%s/head/drip", url);
	r.idle_ms = 1000;
	expect(&r, HL_TIMEOUT, 0, "");
	r.url = head;
	expect(&r, HL_TIMEOUT, 200, "abc");
	r.idle_ms = 0;
	r.total_ms = 1000;
	expect(&r, HL_TIMEOUT, 200, "abc");
	r.url = drip;
	r.idle_ms = 700;
	assert_int_equal(http_open(http, &r, &s), HL_OK);
	assert_int_equal(read_all(s, &body), HL_TIMEOUT);
	assert_true(body.len > 4);
	http_close(s);
	assert_in_range(clock_mono_ms() - from, 3900, 30000);

	r.url = head;
	r.total_ms = 0;
	r.idle_ms = 60000;
	assert_int_equal(http_open(http, &r, &s), HL_OK);
	http_patience(s, 20);
	assert_int_equal(read_all(s, &body), HL_TIMEOUT);
	http_close(s);
	assert_in_range(clock_mono_ms() - from, 3920, 60000);
	buf_free(&body);
}

static void
silence_ends_after_its_time(void **state)
{
	(void)state;
	run(silent, wait_for_silence, NULL);
}

/* The loop's time stands still while a task works. */
static void
work_and_ask(void *arg)
{
	struct http_request r = get();
	int64_t from;

	(void)arg;
	usleep(300000);
	from = clock_mono_ms();
	r.total_ms = 200;
	expect(&r, HL_TIMEOUT, 0, "");
	assert_in_range(clock_mono_ms() - from, 200, 30000);
}

static void
the_time_counts_from_the_question(void **state)
{
	(void)state;
	run(silent, work_and_ask, NULL);
}

static void
unreachable(void *arg)
{
	struct http_request r = get();
	int64_t from = clock_mono_ms();

	(void)arg;
	r.url = "http://192.0.2.1/";	/* of no host anywhere (RFC 5737): silence, or refused at once without a route */
	r.connect_ms = 50;
	assert_int_not_equal(http_open(http, &r, &(struct http_stream *){ NULL }), HL_OK);
	assert_true(clock_mono_ms() - from < 8000);	/* not the ten seconds of who names no time */
}

static void
connecting_ends_after_its_time(void **state)
{
	(void)state;
	run(NULL, unreachable, NULL);
}

/* ---- cancelling ---- */

struct victim {
	struct task	*task;
	const char	*path;
	enum hl_err	 open_err, read_err;
	unsigned	 pieces;
};

static void
suffer(void *arg)
{
	struct victim *v = arg;
	struct http_request r = get();
	struct http_stream *s;
	const char *p;
	size_t n = 1;

	v->task = task_self();
	r.url = v->path;
	v->open_err = http_open(http, &r, &s);
	while (v->open_err == HL_OK && v->read_err == HL_OK && n) {
		v->read_err = http_read(s, &p, &n);
		v->pieces++;
	}
	http_close(s);
	v->task = NULL;
}

static void
cancel_all(void *arg)
{
	char head[80], drip[80];
	struct victim v[] = { { .path = url }, { .path = head }, { .path = drip }, { .path = "http://192.0.2.1/" },
		{ .path = "http://no.such.host.invalid/" }, { .path = url } };

	(void)arg;
	snprintf(head, sizeof(head), "%s/head", url);
	snprintf(drip, sizeof(drip), "%s/head/drip", url);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(task_start(&loop, suffer, &v[i]), HL_OK);
	task_cancel(v[5].task);		/* before anything has happened */
	AWAIT(v[1].pieces > 0 && v[2].pieces > 1);
	for (size_t i = 0; i < 5; i++)
		if (v[i].task)
			task_cancel(v[i].task);
	for (size_t i = 0; i < 6; i++)
		assert_null(v[i].task);
	assert_int_equal(v[0].open_err, HL_CANCELLED);
	assert_int_equal(v[1].read_err, HL_CANCELLED);
	assert_int_equal(v[2].read_err, HL_CANCELLED);
	assert_true(v[2].pieces > 1);
	assert_int_not_equal(v[3].open_err, HL_OK);
	assert_int_not_equal(v[4].open_err, HL_OK);
	assert_int_equal(v[5].open_err, HL_CANCELLED);
}

static void
cancelling_ends_an_exchange_wherever_it_is(void **state)
{
	(void)state;
	run(silent, cancel_all, NULL);
	assert_int_equal(server_open(server), 0);	/* the server has seen them go */
}

/* ---- many ---- */

#define MANY	1000u
static unsigned at_once, most_at_once, good;

static void
slow_echo(struct server_call *c, void *arg)
{
	(void)arg;
	if (++at_once > most_at_once)
		most_at_once = at_once;
	assert_int_equal(task_sleep(300), HL_OK);
	at_once--;
	echo(c, NULL);
}

static void
one_of_many(void *arg)
{
	char text[16], want[64];
	struct http_request r = get();

	snprintf(text, sizeof(text), "%zu", (size_t)arg);
	snprintf(want, sizeof(want), "POST /x HTTP/1.1|%s", text);
	r.method = "POST";
	r.body = text;
	r.body_len = strlen(text);
	expect(&r, HL_OK, 200, want);
	good++;
}

static void
start_many(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(task_start(&loop, one_of_many, (void *)i), HL_OK);
}

static void
a_thousand_at_once_and_their_connections_kept(void **state)
{
	(void)state;
	good = 0;
	run(slow_echo, start_many, NULL);
	assert_int_equal(good, MANY);
	assert_true(most_at_once > MANY * 9 / 10);
	run(slow_echo, start_many, NULL);
	assert_int_equal(good, 2 * MANY);
	assert_int_equal(server_connections(server), MANY);
}

/* ---- finishing ---- */

static unsigned left;		/* exchanges that their reader has left */

static void
late_end(struct server_call *c, void *arg)
{
	unsigned before = left;

	(void)arg;
	call_text(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	call_chunk(c, "all that matters");
	while (left == before)
		assert_int_equal(task_sleep(1), HL_OK);
	call_chunk(c, "and more");
	if (strstr(call_head(c), "never"))
		while (!call_gone(c))
			assert_int_equal(task_sleep(20), HL_OK);
	call_chunk(c, "");
}

struct watches { unsigned at_rest, holding; };	/* the loop may end in spite of the first */

static void
count_watch(uv_handle_t *handle, void *arg)
{
	struct watches *w = arg;

	if (handle->type == UV_POLL && uv_is_active(handle))
		*(uv_has_ref(handle) ? &w->holding : &w->at_rest) += 1;
}

static struct watches
watches(void)
{
	struct watches w = { 0 };

	uv_walk(&loop, count_watch, &w);
	return w;
}

static void
read_one_piece(const char *address, void (*end)(struct http_stream *))
{
	struct http_request r = get();
	struct http_stream *s;
	const char *p;
	size_t n;

	r.url = address;
	assert_int_equal(http_open(http, &r, &s), HL_OK);
	assert_int_equal(http_read(s, &p, &n), HL_OK);
	assert_int_equal(n, 16);
	end(s);
	left++;
}

static void
finish_some(void *arg)
{
	char never[80];

	(void)arg;
	snprintf(never, sizeof(never), "%s/never", url);
	for (int i = 0; i < 3; i++) {
		read_one_piece(url, http_finish);
		AWAIT(watches().holding == 0);
	}
	assert_int_equal(server_connections(server), 1);
	read_one_piece(url, http_close);
	read_one_piece(never, http_finish);
	assert_int_equal(server_connections(server), 2);
	AWAIT(server_open(server) == 0);	/* the one that never ended was given up */
}

static void
a_finished_exchange_keeps_its_connection(void **state)
{
	(void)state;
	run(late_end, finish_some, NULL);
}

static void
answer_and_leave(struct server_call *c, void *arg)
{
	(void)arg;
	call_answer(c, 200, "", "goodbye");
	assert_int_equal(task_sleep(1), HL_OK);
	call_hang_up(c, false);
}

/* The socket's number is another connection's each time. */
static void
outlive_connections(void *arg)
{
	struct http_request r = get();
	struct epoll_event stirring;

	(void)arg;
	r.idle_ms = 2000;
	for (unsigned i = 1; i <= 3; i++) {
		expect(&r, HL_OK, 200, "goodbye");
		assert_int_equal(watches().at_rest, 1);
		assert_int_equal(watches().holding, 0);
		AWAIT(server_open(server) == 0);
		assert_int_equal(task_sleep(5), HL_OK);
		assert_int_equal(epoll_wait(uv_backend_fd(&loop), &stirring, 1, 0), 0);
		assert_int_equal(server_connections(server), i);
	}
}

static void
a_kept_connection_that_ends_is_left_alone(void **state)
{
	(void)state;
	run(answer_and_leave, outlive_connections, NULL);
}

static void
leave_finishing(void *arg)
{
	(void)arg;
	read_one_piece(url, http_finish);
	http_free(http);
	assert_int_equal(http_new(&loop, &http), HL_OK);
}

static void
freeing_ends_what_is_being_finished(void **state)
{
	(void)state;
	run(late_end, leave_finishing, NULL);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(methods_and_bodies_arrive_and_the_connection_is_kept),
		TEST(headers_go_both_ways_and_early_ones_are_skipped),
		TEST(a_redirect_is_not_followed),
		TEST(unix_sockets_are_reached_and_forgotten),
		TEST(an_answer_may_come_one_byte_at_a_time),
		TEST(a_slow_reader_stops_the_sender),
		TEST(a_body_over_the_cap_is_refused),
		TEST(endless_headers_are_refused),
		TEST(an_answer_before_the_request_was_read_counts),
		TEST(a_server_that_is_not_there_is_told_from_a_bad_address),
		TEST(broken_answers_are_seen),
		TEST(silence_ends_after_its_time),
		TEST(the_time_counts_from_the_question),
		TEST(connecting_ends_after_its_time),
		TEST(cancelling_ends_an_exchange_wherever_it_is),
		TEST(a_thousand_at_once_and_their_connections_kept),
		TEST(a_finished_exchange_keeps_its_connection),
		TEST(a_kept_connection_that_ends_is_left_alone),
		TEST(freeing_ends_what_is_being_finished),
	};
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;	/* a connection has both its ends in this process */
	setrlimit(RLIMIT_NOFILE, &files);
	setenv("CMOCKA_TEST_ABORT", "1", 1);	/* a failure cannot jump from a task's stack to the test's */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
