/*
 * events_app - the event handler that the conformance tests put behind the push daemon: CONFORMANCE's
 * Socket.IO application, and rooms with a log in Redis, failures and delays on demand.
 *
 *	events_app SOCKET
 *
 * Namespaces: "/" and "/custom"; "/refused" and "/down" fail in their ways; others are invalid.
 * Events on "/": message, message-with-ack, join [room, after], leave [room], fail [status], slow [ms, text],
 * count [], address [], own [seq].
 */
#include <signal.h>

#include "base/conf.h"
#include "base/json.h"
#include "loop/task.h"
#include "push/answer.h"
#include "services/fcgi.h"
#include "services/redis.h"

#include "listen.h"

#define MAX_ANSWER	(4u << 20)

static struct redis *redis;

static void
reply(struct fcgi_request *r, int status, const struct buf *body)
{
	struct buf b = BUF_INIT(MAX_ANSWER + 256);
	enum hl_err err;

	buf_printf(&b, "Status: %d\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", status,
	    body->len);
	buf_add(&b, body->data, body->len);
	err = fcgi_write(r, b.data, b.len);
	(void)err;
	buf_free(&b);
}

static void
fail(struct fcgi_request *r, int status, const char *code)
{
	struct buf b = BUF_INIT(256);

	buf_printf(&b, "{\"status\":%d,\"message\":\"It failed on purpose\",\"code\":\"%s\"}", status, code);
	reply(r, status, &b);
	buf_free(&b);
}

/* ---- the log of a room: a Redis list of events, whose length is the seq ---- */

static const struct redis_reply *
call(const char *command, struct span key, const char *first, const char *second)
{
	char name[128];
	struct redis_arg args[4] = { RA(command) };
	const struct redis_reply *got = NULL;
	size_t n = 2;

	snprintf(name, sizeof(name), "log:%.*s", (int)key.len, key.p);
	args[1] = RA(name);
	if (first)
		args[n++] = RA(first);
	if (second)
		args[n++] = RA(second);
	return redis_call(redis, args, n, &got) == HL_OK ? got : NULL;
}

/* room is the JSON string; its text without the quotes names the list. */
static struct span
unquoted(struct span s)
{
	return s.len >= 2 && s.p[0] == '"' ? (struct span){ s.p + 1, s.len - 2 } : s;
}

/* Appends what came after seq: as emissions, or as numbered messages.  Returns the newest seq. */
static int64_t
add_log(struct buf *b, struct span room, int64_t after, bool numbered)
{
	char from[24];
	const struct redis_reply *log;
	size_t n;

	snprintf(from, sizeof(from), "%lld", (long long)after);
	log = call("LRANGE", room, from, "-1");
	n = redis_length(log);
	for (size_t i = 0; i < n; i++) {
		size_t len;
		const char *event = redis_str(redis_at(log, i), &len);

		buf_puts(b, i ? "," : "");
		if (numbered)
			buf_printf(b, "{\"seq\":%lld,\"emit\":[", (long long)after + (long long)i + 1);
		buf_add(b, event, len);
		buf_puts(b, numbered ? "]}" : "");
	}
	return after + (int64_t)n;
}

/* ---- kinds ---- */

static bool
is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static void
on_connect(struct fcgi_request *r, struct span body, struct buf *b)
{
	struct span nsp = span_member(body, "nsp"), auth = span_member(body, "auth");

	if (is(nsp, "\"/down\"")) {
		fail(r, 503, "busy");
		return;
	}
	if (is(nsp, "\"/refused\"")) {
		fail(r, 403, "forbidden");
		return;
	}
	if (is(nsp, "\"/\"") || is(nsp, "\"/custom\"")) {
		buf_puts(b, "{\"emit\":[[\"auth\",");
		buf_add(b, auth.p, auth.len);
		buf_puts(b, "]]}");
	} else
		buf_puts(b, "{\"refuse\":{\"message\":\"Invalid namespace\"}}");
	reply(r, 200, b);
}

/* The arguments behind the event's name, as they stand there: "1,2" or "". */
static struct span
rest_of(struct span args, const char *at)
{
	const char *end = args.p + args.len - 1;

	at = json_space(at, end);
	return *at == ',' ? (struct span){ at + 1, (size_t)(end - at - 1) } : (struct span){ at, 0 };
}

static void
echo(struct span body, struct span rest, bool ack, struct buf *b)
{
	struct span binary = span_member(body, "binary");

	buf_puts(b, ack ? "{\"ack\":" : "{\"emit\":[");
	buf_puts(b, binary.len ? "{\"args\":[" : "[");
	buf_puts(b, ack ? "" : rest.len ? "\"message-back\"," : "\"message-back\"");
	buf_add(b, rest.p, rest.len);
	buf_putc(b, ']');
	if (binary.len) {
		buf_puts(b, ",\"binary\":");
		buf_add(b, binary.p, binary.len);
		buf_putc(b, '}');
	}
	buf_puts(b, ack ? "}" : "]}");
}

static void
join(struct span room, struct span after, struct buf *b)
{
	buf_puts(b, "{\"join\":[{\"room\":");
	buf_add(b, room.p, room.len);
	buf_puts(b, ",\"then\":{\"after\":");
	buf_add(b, after.len ? after.p : "0", after.len ? after.len : 1);
	buf_puts(b, "}}]}");
}

static void
count(struct span body, struct buf *b)
{
	int64_t n = span_integer(span_member(span_member(body, "state"), "n"), 0) + 1;

	buf_printf(b, "{\"state\":{\"n\":%lld},\"ack\":[%lld]}", (long long)n, (long long)n);
}

static void
on_event(struct fcgi_request *r, struct span body, struct buf *b)
{
	struct span args = span_member(body, "args"), rest;
	struct span name = { NULL, 0 }, first = { NULL, 0 }, second = { NULL, 0 };
	const char *at = NULL, *address = fcgi_param(r, "REMOTE_ADDR");

	if (!span_next(args, &at, &name)) {
		fail(r, 400, "bad_request");
		return;
	}
	rest = rest_of(args, at);
	if (span_next(args, &at, &first))
		span_next(args, &at, &second);
	if (is(name, "\"message\"") || is(name, "\"message-with-ack\""))
		echo(body, rest, is(name, "\"message-with-ack\""), b);
	else if (is(name, "\"join\""))
		join(first, second, b);
	else if (is(name, "\"leave\""))
		buf_printf(b, "{\"leave\":[%.*s],\"ack\":[{\"ok\":true}]}", (int)first.len, first.p);
	else if (is(name, "\"count\""))
		count(body, b);
	else if (is(name, "\"own\""))
		buf_printf(b, "{\"own\":%.*s,\"ack\":[{\"ok\":true}]}", (int)first.len, first.p);
	else if (is(name, "\"address\""))
		buf_printf(b, "{\"ack\":[\"%s\"]}", address);
	else if (is(name, "\"slow\"")) {
		if (task_sleep(span_integer(first, 0)) == HL_OK)
			buf_printf(b, "{\"emit\":[[\"slow-done\",%.*s]]}", (int)second.len, second.p);
	} else if (is(name, "\"fail\"")) {
		fail(r, (int)span_integer(first, 500), "on_purpose");
		return;
	} else
		buf_puts(b, "{}");
	reply(r, 200, b);
}

static void
on_joined(struct fcgi_request *r, struct span body, struct buf *b)
{
	struct span room = unquoted(span_member(body, "room"));
	int64_t after = span_integer(span_member(span_member(body, "then"), "after"), 0), seq;

	buf_puts(b, "{\"emit\":[");
	seq = add_log(b, room, after, false);
	buf_printf(b, "],\"seq\":%lld,\"ack\":[{\"ok\":true,\"seq\":%lld}]}", (long long)seq, (long long)seq);
	reply(r, 200, b);
}

static void
on_replay(struct fcgi_request *r, struct span body, struct buf *b)
{
	struct span replays = SPAN("replays"), room = unquoted(span_member(body, "room"));
	int64_t length;

	call("INCR", replays, NULL, NULL);
	length = redis_int(call("LLEN", room, NULL, NULL));
	buf_printf(b, "{\"seq\":%lld,\"messages\":[", (long long)length);
	add_log(b, room, span_integer(span_member(body, "after"), 0), true);
	buf_puts(b, "]}");
	reply(r, 200, b);
}

static void
on_disconnect(struct fcgi_request *r, struct span body, struct buf *b)
{
	struct span disconnects = SPAN("disconnects"), rooms = span_member(body, "rooms");
	char text[256];

	snprintf(text, sizeof(text), "%.*s", (int)rooms.len, rooms.p);
	call("RPUSH", disconnects, text, NULL);
	buf_puts(b, "{}");
	reply(r, 200, b);
}

static void
handle(struct fcgi_request *r, void *arg)
{
	struct buf b = BUF_INIT(MAX_ANSWER);
	struct span body, kind;

	(void)arg;
	body.p = fcgi_body(r, &body.len);
	if (json_check(body.p, body.len, JSON_JS) != HL_OK) {
		fail(r, 400, "bad_json");
		return;
	}
	kind = span_member(body, "kind");
	if (is(kind, "\"connect\""))
		on_connect(r, body, &b);
	else if (is(kind, "\"event\""))
		on_event(r, body, &b);
	else if (is(kind, "\"joined\""))
		on_joined(r, body, &b);
	else if (is(kind, "\"replay\""))
		on_replay(r, body, &b);
	else if (is(kind, "\"disconnect\""))
		on_disconnect(r, body, &b);
	else
		fail(r, 400, "bad_request");
	buf_free(&b);
}

static void
stop(void *arg)
{
	redis_close(redis);
	uv_stop(arg);
}

static struct fcgi_server *server;

static void
on_term(uv_signal_t *sig, int number)
{
	(void)number;
	fcgi_drain(server, stop, sig->loop);
}

int
main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	struct buf problem = BUF_INIT(512);
	static struct conf conf;
	uv_signal_t term;

	if (argc != 2 || conf_load(&conf, &problem) != HL_OK) {
		fprintf(stderr, "events_app: %s\n", problem.data ? problem.data : "usage: events_app SOCKET");
		return 2;
	}
	if (redis_open(loop, &conf, &redis) != HL_OK ||
	    fcgi_serve(loop, listen_on(argv[1]), handle, NULL, &server) != HL_OK)
		return 1;
	uv_signal_init(loop, &term);
	uv_signal_start(&term, on_term, SIGTERM);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_run(loop, UV_RUN_NOWAIT);
	conf_free(&conf);
	return 0;
}
