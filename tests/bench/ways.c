/*
 * The ways to talk to Helpline, as far as measuring needs them.
 */
#include <stdio.h>
#include <string.h>

#include "load.h"

#define REQUEST_MAX	2048

/* ---- REST ---- */

static void
post(struct user *u, const char *path, const char *body)
{
	char text[REQUEST_MAX];
	int n = snprintf(text, sizeof(text), "POST /api/v1/chat/%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", path, load_port(u->load),
	    load_streams(u->load) ? "text/event-stream" : "application/json", strlen(body), body);

	answer_reset(&u->answer);
	wire_send(&u->wire, text, (size_t)n);
}

static void
rest_prepare(struct user *u)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"userId\":\"bench-%u\"}", u->number);
	post(u, "session", body);
}

static void
rest_ask(struct user *u)
{
	char body[REQUEST_MAX / 2], question[QUESTION_MAX];

	user_question(u, question);
	snprintf(body, sizeof(body), "{\"sessionId\":\"%s\",\"userId\":\"bench-%u\",\"message\":\"%s\"}", u->session, u->number,
	    question);
	post(u, "message", body);
}

/* Takes whole events off; the answer, which is the last one, stays. */
static void
rest_events(struct user *u)
{
	struct buf *body = &u->answer.body;
	const char *end;
	size_t len;

	while (body->len > 0 && (end = strstr(body->data, "\n\n")) != NULL) {
		len = (size_t)(end - body->data) + 2;
		if (memmem(body->data, len, "event: delta", 12))
			user_delta(u, body->data, len);
		else if (memmem(body->data, len, "event: message", 14))
			return;
		buf_consume(body, len);
	}
}

static void
rest_bytes(struct user *u, const char *bytes, size_t len)
{
	struct answer *a = &u->answer;

	answer_feed(a, bytes, len);
	if (a->chunked && a->status == 200 && load_streams(u->load) && u->ready)
		rest_events(u);
	if (!a->complete)
		return;
	if (a->status != 200)
		user_failed(u, a->body.data, a->body.len);
	else if (u->ready)
		user_answered(u, a->body.data, a->body.len);
	else
		user_ready(u, a->body.data, a->body.len);
}

const struct way way_rest = { "rest", rest_prepare, rest_ask, rest_bytes };

/* ---- Socket.IO over a WebSocket ---- */

/* A session of its own. */
static void
join_own(struct user *u)
{
	char text[128];

	snprintf(text, sizeof(text), "42[\"join-chat\",{\"userId\":\"bench-%u\"}]", u->number);
	socket_say(&u->wire, text);
}

/* The first one makes the session, the others join it. */
static void
join_first(struct user *u)
{
	const struct user *first = load_first(u->load);
	char text[256];

	if (u == first) {
		join_own(u);
		return;
	}
	snprintf(text, sizeof(text), "42[\"join-chat\",{\"userId\":\"bench-0\",\"sessionId\":\"%s\"}]", first->session);
	socket_say(&u->wire, text);
}

static void
socket_prepare(struct user *u)
{
	u->join = join_own;
	socket_open(&u->wire, load_port(u->load));
}

static void
room_prepare(struct user *u)
{
	u->join = join_first;
	socket_open(&u->wire, load_port(u->load));
}

static void
socket_ask(struct user *u)
{
	char text[REQUEST_MAX / 2], question[QUESTION_MAX];

	user_question(u, question);
	snprintf(text, sizeof(text), "42[\"send-message\",{\"sessionId\":\"%s\",\"userId\":\"bench-%u\",\"message\":\"%s\"}]",
	    u->session, u->number, question);
	socket_say(&u->wire, text);
}

static void
socket_packet(struct user *u, const char *text, size_t len)
{
	if (text_starts(text, len, "42[\"message-delta\""))
		user_delta(u, text, len);
	else if (text_starts(text, len, "42[\"message-received\""))
		user_answered(u, text, len);
	else if (text_starts(text, len, "42[\"chat-joined\""))
		user_ready(u, text, len);
	else if (text_starts(text, len, "42[\"error\"") || text_starts(text, len, "44"))
		user_failed(u, text, len);
	else if (text_starts(text, len, "2"))
		socket_say(&u->wire, "3");
	else if (text_starts(text, len, "0"))
		socket_say(&u->wire, "40");
	else if (text_starts(text, len, "40"))
		u->join(u);
	else if (text_starts(text, len, "42[\"bench\""))
		user_heard(u);
}

static void
socket_bytes(struct user *u, const char *bytes, size_t len)
{
	const char *text;
	size_t used;

	if (!socket_feed(&u->answer, &u->frames, bytes, len)) {
		user_failed(u, u->answer.raw.data, u->answer.raw.len);
		return;
	}
	while ((used = frame_take(&u->frames, 0, &text, &len)) > 0) {
		socket_packet(u, text, len);
		buf_consume(&u->frames, used);
	}
	if (u->frames.len == 0)
		buf_free(&u->frames);
}

const struct way way_socket = { "socket", socket_prepare, socket_ask, socket_bytes };
const struct way way_room = { "room", room_prepare, NULL, socket_bytes };
