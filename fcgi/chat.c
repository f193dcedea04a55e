/*
 * chat - the chat API: sessions, messages, history (contract: chat API v1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/program.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/str.h"

#define USER_ID_MAX	256
#define CLIENT_ID_MAX	256
#define METADATA_MAX	16384
#define REPLY_MAX	(64u * 1024 * 1024)	/* a whole history */

/* The request comes from `helpline probe`, which knows the installation's token. */
static bool
is_probe(const struct call *call)
{
	const char *token = fcgi_param(call->fcgi, "HTTP_X_HELPLINE_PROBE");
	size_t n = strlen(call->app->probe_token);

	return n > 0 && token && strlen(token) == n && crypto_equal(token, call->app->probe_token, n);
}

/* ---- POST /api/v1/chat/session ---- */

static enum hl_err
check_metadata(struct call *call, const struct json **ret)
{
	const struct json *metadata = json_get(call->body, "metadata");
	struct buf text = BUF_INIT(METADATA_MAX);
	enum hl_err err;

	*ret = NULL;
	if (metadata == NULL || json_kind(metadata) == JSON_NULL)
		return HL_OK;
	if (json_kind(metadata) != JSON_OBJECT)
		return call_fail(call, HL_BAD_REQUEST, "metadata must be an object");
	json_write(&text, metadata);
	err = buf_err(&text);
	if (err == HL_TOO_LARGE)
		err = call_fail(call, HL_TOO_LARGE, "metadata is larger than %d bytes", METADATA_MAX);
	buf_free(&text);
	*ret = metadata;
	return err;
}

static enum hl_err
post_session(struct call *call)
{
	const char *user_id;
	const struct text_field fields[] = { { "userId", true, USER_ID_MAX, HL_BAD_REQUEST, &user_id, NULL } };
	struct limits limits = { .address = call->address };
	struct conversation conv = { 0 };
	struct buf body = BUF_INIT(4096);
	const struct json *metadata;
	char at[CLOCK_ISO_LEN + 1];
	enum hl_err err;

	err = request_fields(call, call->body, fields, 1, "User ID is required");
	if (err == HL_OK)
		err = check_metadata(call, &metadata);
	if (err == HL_OK)
		err = conversation_create(&call->app->store, user_id, metadata, is_probe(call), &limits, &conv,
		    &call->retry_ms);
	if (err)
		goto out;
	clock_iso(conv.created_ms, at);
	buf_puts(&body, "{\"success\":true,\"sessionId\":\"");
	buf_puts(&body, conv.id);
	buf_puts(&body, "\",\"userId\":");
	buf_json_str(&body, user_id);
	buf_puts(&body, ",\"createdAt\":\"");
	buf_puts(&body, at);
	buf_puts(&body, "\"}");
	err = reply_json(call, 200, &body);
out:
	conversation_clear(&conv);
	buf_free(&body);
	return err;
}

/* ---- POST /api/v1/chat/message ---- */

static void
write_answer(struct buf *out, const struct entry *e)
{
	static const char *const names[] = { "by", "needsEscalation", "confidence", "provider", "escalation", "sources" };
	char at[CLOCK_ISO_LEN + 1];

	entry_time(e, at);
	buf_puts(out, "{\"success\":true,\"response\":");
	json_view_write(out, entry_member(e, "content"));
	buf_printf(out, ",\"timestamp\":\"%s\"", at);
	if (e->seq)		/* what is said while a person has the conversation is no message of it */
		buf_printf(out, ",\"messageId\":\"%s\",\"seq\":%lld", e->id, (long long)e->seq);
	entry_members(out, e, names, sizeof(names) / sizeof(names[0]));
	if (e->human)
		buf_puts(out, ",\"provider\":\"human\",\"escalation\":null,\"sources\":[]");
	buf_putc(out, '}');
}

struct stream { struct call *call; int64_t seq; unsigned events; };

static enum hl_err
send_event(struct stream *s, const char *name, const struct buf *data)
{
	char id[48];

	snprintf(id, sizeof(id), "%lld-%u", (long long)s->seq, s->events++);
	return reply_event(s->call, id, name, data);
}

static enum hl_err
stream_delta(void *arg, int64_t attempt, unsigned index, const char *text, size_t len)
{
	struct buf data = BUF_INIT(1u << 20);
	enum hl_err err;

	buf_printf(&data, "{\"attempt\":%lld,\"index\":%u,\"text\":", (long long)attempt, index);
	buf_json(&data, text, len);
	buf_putc(&data, '}');
	err = send_event(arg, "delta", &data);
	buf_free(&data);
	return err;
}

/* However much waits before it: all goes out when the handler returns. */
static enum hl_err
send_last(struct stream *s, const struct buf *message)
{
	enum hl_err err = send_event(s, "message", message);

	return err == HL_BUSY ? HL_OK : err;
}

/* From here on the message is stored; a client that goes away does not stop its answer. */
static enum hl_err
answer_turn(struct call *call, struct turn *take_turn, bool streamed)
{
	struct stream s = { .call = call, .seq = turn_seq(take_turn) };
	struct turn_deltas deltas = { .delta = stream_delta, .arg = &s };
	struct buf body = BUF_INIT(1u << 20);
	struct entry answer = { 0 };
	enum hl_err err;

	if (streamed && reply_stream(call) != HL_OK)
		streamed = false;	/* nobody is there any more; the answer is made all the same */
	err = call_session_error(call, turn_wait(take_turn, streamed ? &deltas : NULL, &answer));
	if (err == HL_TIMEOUT)
		err = call_fail(call, err, "The answer takes longer than it should. Your message is stored; ask again with "
		    "the same clientMessageId to get the answer");
	if (err == HL_OK)
		write_answer(&body, &answer);
	else if (call->answered)
		reply_write_problem(call, err, &body);
	if (err == HL_OK)
		err = buf_err(&body);
	if (err == HL_OK)
		err = call->answered ? send_last(&s, &body) : reply_json(call, 200, &body);
	else if (call->answered && err != HL_CANCELLED)
		(void)!send_event(&s, "error", &body);		/* what has gone wrong is told by err */
	entry_clear(&answer);
	buf_free(&body);
	return err == HL_CANCELLED ? HL_OK : err;
}

/* RFC 9110, section 12.5.1, as far as it matters: is the type listed, and not with a quality of 0? */
static bool
wants_events(const struct call *call)
{
	const char *accept = fcgi_param(call->fcgi, "HTTP_ACCEPT");
	const char *at = accept ? strcasestr(accept, "text/event-stream") : NULL;
	size_t len;

	if (at == NULL)
		return false;
	len = strcspn(at, ",");
	at = memmem(at, len, "q=", 2);
	return at == NULL || strtod(at + 2, NULL) > 0;
}

static enum hl_err
post_message(struct call *call)
{
	struct incoming in = { .client_id = call->request_id };
	const char *client_id;
	const struct text_field fields[] = {
		{ "sessionId", true, SEGMENT_MAX, HL_BAD_REQUEST, &in.id, NULL },
		{ "message", true, (size_t)call->app->conf.max_message, HL_TOO_LARGE, &in.text, &in.text_len },
		{ "userId", true, USER_ID_MAX, HL_BAD_REQUEST, &in.user_id, NULL },
		{ "clientMessageId", false, CLIENT_ID_MAX, HL_BAD_REQUEST, &client_id, NULL },
	};
	char id[ID_LEN + 1];
	struct turn *turn;
	enum hl_err err;

	err = request_fields(call, call->body, fields, 4, "Session ID, message, and user ID are required");
	if (err == HL_OK)
		err = request_header(call, "HTTP_IDEMPOTENCY_KEY", "Idempotency-Key", CLIENT_ID_MAX, &in.idempotency_key);
	if (err)
		return err;
	if (client_id) {
		in.client_id = client_id;
		in.client_named = true;
	}
	in.limits = (struct limits){ .address = call->address, .visitor = in.user_id, .session = in.id };
	fcgi_on_gone(call->fcgi, NULL, NULL);
	err = turn_accept(call->app->engine, &in, &turn, &call->retry_ms);
	if (err)
		return call_session_error(call, err);
	strcpy(id, in.id);		/* it was one, or nothing would have been accepted */
	request_drop_body(call);
	err = answer_turn(call, turn, wants_events(call));
	if (is_probe(call) && conversation_delete(&call->app->store, id) != HL_OK)
		err = HL_STORE;
	return err;
}

/* ---- GET /api/v1/chat/history/:id ---- */

static void
write_history(struct buf *out, const struct conversation *conv, const struct entries *messages)
{
	char created[CLOCK_ISO_LEN + 1], updated[CLOCK_ISO_LEN + 1];

	clock_iso(conv->created_ms, created);
	clock_iso(conv->updated_ms, updated);
	buf_puts(out, "{\"success\":true,\"history\":[");
	for (size_t i = 0; i < messages->count; i++) {
		if (i)
			buf_putc(out, ',');
		entry_write(out, &messages->list[i]);
	}
	buf_printf(out, "],\"sessionData\":{\"sessionId\":\"%s\",\"userId\":", conv->id);
	json_write(out, json_get(conv->data, "userId"));
	buf_printf(out, ",\"createdAt\":\"%s\",\"lastActivity\":\"%s\",\"owner\":\"%s\"", created, updated,
	    conv->person ? "human" : "ai");
	if (json_get(conv->data, "metadata")) {
		buf_puts(out, ",\"metadata\":");
		json_write(out, json_get(conv->data, "metadata"));
	}
	buf_puts(out, "}}");
}

static enum hl_err
get_history(struct call *call)
{
	struct conversation conv = { 0 };
	struct entries messages = { 0 };
	struct buf body = BUF_INIT(REPLY_MAX);
	enum hl_err err;

	err = conversation_read(&call->app->store, call->segment, NULL, 0, false, &conv, &messages);
	if (err) {
		err = call_session_error(call, err);
		goto out;
	}
	write_history(&body, &conv, &messages);
	err = reply_json(call, 200, &body);
out:
	entries_free(&messages);
	conversation_clear(&conv);
	buf_free(&body);
	return err;
}

static const struct route routes[] = {
	{ "POST", "/api/v1/chat/session", BODY_JSON, post_session },
	{ "POST", "/api/v1/chat/message", BODY_JSON, post_message },
	{ "GET", "/api/v1/chat/history/:id", BODY_NONE, get_history },
};

int
main(int argc, char **argv)
{
	static const struct program chat = {
		.name = "chat", .purpose = "Serves the chat API: sessions, messages and their answers, history.",
		.routes = routes, .count = sizeof(routes) / sizeof(routes[0]), .needs_engine = true,
	};

	return program_main(&chat, argc, argv);
}
