/*
 * events - what a socket said: the chat's events behind pushd (contract: Socket.IO of the chat API).
 *
 * pushd sends each event of a socket to POST /push/event and does what the answer says: join rooms, emit, acknowledge.
 * Only nginx's private socket has this route.
 */
#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/program.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/str.h"
#include "records/escalation.h"

#define USER_ID_MAX	256
#define CLIENT_ID_MAX	256
#define ANSWER_BYTES	(16u * 1024 * 1024)

/* ---- what pushd is told ---- */

/* An event that could not be done is an answer too: pushd tells the client, and the connection lives on. */
static enum hl_err
reply_refusal(struct call *call, enum hl_err why, const char *client_id)
{
	const char *sentence = call->problem.len ? call->problem.data : err_text(why);
	struct buf body = BUF_INIT(8192);
	enum hl_err err;

	buf_puts(&body, "{\"emit\":[[\"error\",{\"message\":");
	buf_json_str(&body, sentence);
	buf_printf(&body, ",\"code\":\"%s\"", err_code(why));
	if (client_id) {
		buf_puts(&body, ",\"clientMessageId\":");
		buf_json_str(&body, client_id);
	}
	buf_puts(&body, "}]],\"ack\":[{\"ok\":false,\"error\":");
	buf_json_str(&body, sentence);
	buf_printf(&body, ",\"code\":\"%s\"}]}", err_code(why));
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
reply_text(struct call *call, const char *text)
{
	struct buf body = BUF_INIT(1024);
	enum hl_err err;

	buf_puts(&body, text);
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

/* A stored message as the event that sockets got, or would have got. */
static void
write_event(struct buf *out, const struct entry *e)
{
	static const char *const names[] = { "by", "needsEscalation", "confidence", "provider", "escalation", "sources",
		"clientMessageId" };
	bool user = entry_is_user(e);
	char at[CLOCK_ISO_LEN + 1];

	entry_time(e, at);
	buf_printf(out, "[\"%s\",{\"id\":\"%s\",\"seq\":%lld,\"message\":", user ? "message-accepted" : "message-received",
	    e->id, (long long)e->seq);
	json_view_write(out, entry_member(e, "content"));
	buf_printf(out, ",\"timestamp\":\"%s\",%s", at, user ? "\"role\":\"user\"" :
	    entry_is_human(e) ? "\"isBot\":false" : "\"isBot\":true");
	entry_members(out, e, names, sizeof(names) / sizeof(names[0]));
	buf_puts(out, "}]");
}

/* "join":[{"room":…,"then":{… — the caller goes on in "then" and closes both. */
static void
begin_join(struct buf *out, const struct place *place, const char *id)
{
	char room[CONVERSATION_KEY_MAX];

	conversation_room(place, room);
	buf_printf(out, "\"state\":{\"room\":\"%s\"},\"join\":[{\"room\":\"%s\",\"alias\":", room, room);
	buf_json_str(out, id);		/* what emitters call it */
	buf_puts(out, ",\"then\":{");
}

static bool
has_joined(const struct call *call, const struct place *place)
{
	char room[CONVERSATION_KEY_MAX];

	conversation_room(place, room);
	return str_equal(json_get_string(json_get(call->body, "state"), "room"), room);
}

/* ---- join-chat ---- */

/*
 * Answers with a subscription only: chat-joined follows when it is live ("joined"), so that nothing is missed between.
 */
static enum hl_err
join_chat(struct call *call, const struct json *payload)
{
	const char *user_id, *id;
	const struct text_field fields[] = {
		{ "userId", true, USER_ID_MAX, HL_BAD_REQUEST, &user_id, NULL },
		{ "sessionId", false, SEGMENT_MAX, HL_BAD_REQUEST, &id, NULL },
	};
	struct limits limits = { .address = call->address };
	struct conversation conv = { 0 };
	struct entries none = { 0 };
	struct buf body = BUF_INIT(4096);
	int64_t seq = -1;
	enum hl_err err;

	err = request_fields(call, payload, fields, 2, "User ID is required");
	if (err)
		goto out;
	if (json_kind(json_get(payload, "seq")) > JSON_NULL && (!json_integer(json_get(payload, "seq"), &seq) || seq < 0)) {
		err = call_fail(call, HL_BAD_REQUEST, "seq must be a whole number");
		goto out;
	}
	if (id)
		err = conversation_read(&call->app->store, id, user_id, INT32_MAX, true, &conv, &none);
	else
		err = conversation_create(&call->app->store, user_id, NULL, false, &limits, &conv, &call->retry_ms);
	if (err) {
		err = call_session_error(call, err);
		goto out;
	}
	buf_putc(&body, '{');
	begin_join(&body, &conv.place, conv.id);
	buf_printf(&body, "\"joined\":\"%s\"", conv.id);
	if (seq >= 0)
		buf_printf(&body, ",\"seq\":%lld", (long long)seq);
	buf_puts(&body, "}}]}");
	err = reply_json(call, 200, &body);
out:
	entries_free(&none);
	conversation_clear(&conv);
	buf_free(&body);
	return err == HL_OK || err == HL_STORE ? err : reply_refusal(call, err, NULL);
}

static void
write_joined(struct buf *out, const struct conversation *conv, const struct entries *messages, bool with_history)
{
	buf_printf(out, "{\"epoch\":%lld,\"seq\":%lld,\"ack\":[{\"ok\":true,\"sessionId\":\"%s\",\"seq\":%lld}],\"emit\":[[\"chat-joined\","
	    "{\"sessionId\":\"%s\",\"seq\":%lld,\"owner\":\"%s\"", (long long)conv->epoch, (long long)conv->seq, conv->id, (long long)conv->seq, conv->id,
	    (long long)conv->seq, conv->person ? "human" : "ai");
	if (with_history) {
		buf_puts(out, ",\"history\":[");
		for (size_t i = 0; i < messages->count; i++) {
			if (i)
				buf_putc(out, ',');
			entry_write(out, &messages->list[i]);
		}
		buf_putc(out, ']');
	}
	buf_puts(out, "}]]}");
}

static enum hl_err
joined_chat(struct call *call, const char *id, const struct json *then)
{
	struct conversation conv = { 0 };
	struct entries messages = { 0 };
	struct buf body = BUF_INIT(ANSWER_BYTES);
	int64_t seq;
	bool with_history = json_integer(json_get(then, "seq"), &seq);
	enum hl_err err;

	err = conversation_read(&call->app->store, id, NULL, with_history ? seq : INT32_MAX, false, &conv, &messages);
	if (err) {
		err = call_session_error(call, err);
		goto out;
	}
	write_joined(&body, &conv, &messages, with_history);
	err = reply_json(call, 200, &body);
out:
	entries_free(&messages);
	conversation_clear(&conv);
	buf_free(&body);
	return err == HL_OK || err == HL_STORE ? err : reply_refusal(call, err, NULL);
}

/* ---- send-message ---- */

static void
write_sent(struct buf *out, const struct turn *turn, const char *client_id)
{
	char at[CLOCK_ISO_LEN + 1];

	clock_iso(turn_time(turn), at);
	buf_printf(out, "[{\"ok\":true,\"id\":\"%s\",\"seq\":%lld,\"timestamp\":\"%s\"", turn_message_id(turn),
	    (long long)turn_seq(turn), at);
	if (client_id) {
		buf_puts(out, ",\"clientMessageId\":");
		buf_json_str(out, client_id);
	}
	buf_puts(out, "}]");
}

static enum hl_err
accept_message(struct call *call, const struct json *payload, struct incoming *in, const char **client_id,
    struct turn **turn)
{
	const struct text_field fields[] = {
		{ "clientMessageId", false, CLIENT_ID_MAX, HL_BAD_REQUEST, client_id, NULL },
		{ "sessionId", true, SEGMENT_MAX, HL_BAD_REQUEST, &in->id, NULL },
		{ "message", true, (size_t)call->app->conf.max_message, HL_TOO_LARGE, &in->text, &in->text_len },
		{ "userId", true, USER_ID_MAX, HL_BAD_REQUEST, &in->user_id, NULL },
	};
	enum hl_err err = request_fields(call, payload, fields, 4, "Session ID, message, and user ID are required");

	if (err)
		return err;
	in->client_id = *client_id ? *client_id : call->request_id;
	in->client_named = *client_id != NULL;
	in->except = json_get_string(call->body, "socket");
	in->limits = (struct limits){ call->address, in->user_id, in->id };
	fcgi_on_gone(call->fcgi, NULL, NULL);
	err = turn_accept(call->app->engine, in, turn, &call->retry_ms);
	return call_session_error(call, err);
}

static enum hl_err
send_message(struct call *call, const struct json *payload)
{
	struct incoming in = { 0 };
	struct buf body = BUF_INIT(8192);
	const char *client_id = NULL;
	struct turn *turn = NULL;
	struct place place;
	enum hl_err err;

	err = accept_message(call, payload, &in, &client_id, &turn);
	if (err)
		return err == HL_STORE ? err : reply_refusal(call, err, client_id);
	place = conversation_place(&call->app->store, in.id);
	buf_putc(&body, '{');
	if (has_joined(call, &place) && !turn_repeated(turn)) {
		buf_puts(&body, "\"ack\":");
		write_sent(&body, turn, client_id);
	} else {
		/* Who speaks in a session hears it: also who has not joined it, and who asks for what was answered before. */
		begin_join(&body, &place, in.id);
		buf_printf(&body, "\"sent\":%lld,\"ack\":", (long long)turn_seq(turn));
		write_sent(&body, turn, client_id);
		buf_puts(&body, "}}]");
	}
	buf_putc(&body, '}');
	err = reply_json(call, 200, &body);
	turn_leave(turn);
	buf_free(&body);
	return err;
}

/* The messages after the one that was sent, in case the answer was quicker than the subscription. */
static enum hl_err
joined_by_sending(struct call *call, const char *room, const struct json *then, int64_t sent)
{
	struct buf body = BUF_INIT(ANSWER_BYTES);
	struct entries messages = { 0 };
	struct place place;
	bool first = true;
	enum hl_err err;

	snprintf(place.h, sizeof(place.h), "%s", room);
	err = conversation_replay(&call->app->store, &place, sent, &messages);
	if (err)
		goto out;
	buf_printf(&body, "{\"seq\":%lld,\"ack\":", (long long)(sent + (int64_t)messages.count));
	json_write(&body, json_get(then, "ack"));
	buf_puts(&body, ",\"messages\":[");
	for (size_t i = 0; i < messages.count; i++) {
		if (entry_is_user(&messages.list[i]))
			continue;
		if (!first)
			buf_putc(&body, ',');
		first = false;
		buf_printf(&body, "{\"seq\":%lld,\"emit\":[", (long long)messages.list[i].seq);
		write_event(&body, &messages.list[i]);
		buf_puts(&body, "]}");
	}
	buf_puts(&body, "]}");
	err = reply_json(call, 200, &body);
out:
	entries_free(&messages);
	buf_free(&body);
	return err;
}

/* ---- the kinds ---- */

static const struct {
	const char	*name;
	enum hl_err	(*handle)(struct call *, const struct json *payload);
} client_events[] = {
	{ "join-chat", join_chat },
	{ "send-message", send_message },
};

static enum hl_err
kind_event(struct call *call)
{
	const struct json *args = json_get(call->body, "args"), *payload = json_at(args, 1);
	const char *name = json_string(json_at(args, 0), NULL);

	for (size_t i = 0; i < sizeof(client_events) / sizeof(client_events[0]); i++) {
		if (!str_equal(name, client_events[i].name))
			continue;
		if (json_kind(payload) != JSON_OBJECT)
			return reply_refusal(call, call_fail(call, HL_BAD_REQUEST, "%s needs an object", name), NULL);
		return client_events[i].handle(call, payload);
	}
	/* Other events mean nothing to us; who asks for an acknowledgement is told so. */
	return reply_text(call, "{\"ack\":[{\"ok\":false,\"error\":\"There is no such event\",\"code\":\"not_found\"}]}");
}

/* A token is not needed here; one that is sent must be good.  An admin hears of every escalation. */
static enum hl_err
kind_connect(struct call *call)
{
	const struct json *token = json_get(json_get(call->body, "auth"), "token");
	const char *text = json_string(token, NULL);
	struct account who = { 0 };
	enum hl_err err = HL_OK;

	if (!str_equal(json_get_string(call->body, "nsp"), "/"))
		return reply_text(call, "{\"refuse\":{\"message\":\"Invalid namespace\"}}");
	if (json_kind(token) > JSON_NULL && !(text && *text == '\0'))
		err = text ? account_of_token(&call->app->conf, text, &who) : HL_UNAUTHORIZED;
	if (err == HL_UNAUTHORIZED)
		return reply_text(call, "{\"refuse\":{\"message\":\"This token is not valid here, or its time is over\","
		    "\"data\":{\"code\":\"unauthorized\"}}}");
	if (err)
		return err;
	return reply_text(call, who.admin ? "{\"join\":[{\"room\":\"" STAFF_ROOM "\",\"then\":{\"staff\":true}}]}" : "{}");
}

static const char *
room_of(const struct call *call)
{
	const char *room = json_get_string(call->body, "room");

	return room && strncmp(room, "room:", 5) == 0 ? room + 5 : "";
}

static enum hl_err
kind_joined(struct call *call)
{
	const struct json *then = json_get(call->body, "then");
	const char *id = json_get_string(then, "joined");
	int64_t sent;

	if (json_true(json_get(then, "staff")))
		return reply_text(call, "{}");
	if (id)
		return joined_chat(call, id, then);
	if (json_integer(json_get(then, "sent"), &sent))
		return joined_by_sending(call, room_of(call), then, sent);
	return call_fail(call, HL_BAD_REQUEST, "then is not what this program gave");
}

static enum hl_err
kind_replay(struct call *call)
{
	struct buf body = BUF_INIT(ANSWER_BYTES);
	struct entries messages = { 0 };
	struct place place;
	int64_t after = 0;
	enum hl_err err;

	snprintf(place.h, sizeof(place.h), "%s", room_of(call));
	if (!json_integer(json_get(call->body, "after"), &after))
		return call_fail(call, HL_BAD_REQUEST, "after must be a whole number");
	err = conversation_replay(&call->app->store, &place, after, &messages);
	if (err)
		return err;
	buf_puts(&body, "{\"messages\":[");
	for (size_t i = 0; i < messages.count; i++) {
		buf_printf(&body, "%s{\"seq\":%lld,\"emit\":[", i ? "," : "", (long long)messages.list[i].seq);
		write_event(&body, &messages.list[i]);
		buf_puts(&body, "]}");
	}
	buf_puts(&body, "]}");
	err = reply_json(call, 200, &body);
	entries_free(&messages);
	buf_free(&body);
	return err;
}

static enum hl_err
kind_disconnect(struct call *call)
{
	return reply_text(call, "{}");
}

static const struct { const char *name; call_handler handle; } kinds[] = {
	{ "connect", kind_connect },
	{ "event", kind_event },
	{ "joined", kind_joined },
	{ "replay", kind_replay },
	{ "disconnect", kind_disconnect },
};

static enum hl_err
post_event(struct call *call)
{
	const char *kind = json_get_string(call->body, "kind");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_equal(kind, kinds[i].name))
			return kinds[i].handle(call);
	return call_fail(call, HL_BAD_REQUEST, "kind is none that this program knows");
}

static const struct route routes[] = {
	{ "POST", "/push/event", BODY_JSON, post_event },
};

int
main(int argc, char **argv)
{
	static const struct program events = {
		.name = "events", .purpose = "Answers what sockets say; reached only from pushd, through nginx's private socket.",
		.routes = routes, .count = sizeof(routes) / sizeof(routes[0]), .needs_engine = true,
		.needs_accounts = true,
	};

	return program_main(&events, argc, argv);
}
