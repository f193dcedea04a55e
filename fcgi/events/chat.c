/*
 * chat.c - the chat's events (contract: Socket.IO of the chat API).
 */
#include <stdio.h>
#include <string.h>

#include "api/reply.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/str.h"
#include "events/events.h"

#define USER_ID_MAX	256

void
chat_write_event(struct buf *out, const struct entry *e, bool ends_typing)
{
	static const char *const names[] = { "by", "needsEscalation", "confidence", "provider", "escalation", "sources",
		"clientMessageId" };
	size_t count = sizeof(names) / sizeof(names[0]) - e->human;	/* what a person named his reply by is his */
	bool user = e->user;
	char at[CLOCK_ISO_LEN + 1];

	entry_time(e, at);
	buf_printf(out, "[\"%s\",{\"id\":\"%s\",\"seq\":%lld,\"message\":", user ? "message-accepted" : "message-received",
	    e->id, (long long)e->seq);
	json_view_write(out, entry_member(e, "content"));
	buf_printf(out, ",\"timestamp\":\"%s\",%s", at, user ? "\"role\":\"user\"" :
	    e->human ? "\"isBot\":false" : "\"isBot\":true");
	entry_members(out, e, names, count);
	buf_puts(out, user || !ends_typing ? "}]" : "}],[\"typing\",false]");
}

/* ---- join-chat ---- */

/*
 * Answers with a subscription only: chat-joined follows when it is live ("joined"), so that nothing is missed between.
 */
enum hl_err
chat_join(struct call *call, const struct json *payload)
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
	push_begin_join(&body, &conv.place, conv.id);
	buf_printf(&body, "\"joined\":\"%s\"", conv.id);
	if (seq >= 0)
		buf_printf(&body, ",\"seq\":%lld", (long long)seq);
	buf_puts(&body, "}}]}");
	err = reply_json(call, 200, &body);
out:
	entries_free(&none);
	conversation_clear(&conv);
	buf_free(&body);
	return err == HL_OK || err == HL_STORE ? err : push_refusal(call, err, NULL);
}

/* after: the seq that the client has named, or NULL. */
static void
write_joined(struct buf *out, const struct call *call, const struct conversation *conv, const struct entries *messages, const int64_t *after)
{
	bool answered = false;

	push_begin_joined(out, call);
	if (after)
		buf_printf(out, "\"from\":%lld,", (long long)*after);
	buf_printf(out, "\"epoch\":%lld,\"seq\":%lld,\"ack\":[{\"ok\":true,\"sessionId\":\"%s\",\"seq\":%lld}],\"emit\":[[\"chat-joined\","
	    "{\"sessionId\":\"%s\",\"seq\":%lld,\"owner\":\"%s\"", (long long)conv->epoch, (long long)conv->seq, conv->id, (long long)conv->seq, conv->id,
	    (long long)conv->seq, conv->person ? "human" : "ai");
	if (after) {
		buf_puts(out, ",\"history\":[");
		for (size_t i = 0; i < messages->count; i++) {
			if (i)
				buf_putc(out, ',');
			entry_write(out, &messages->list[i]);
			answered = answered || !messages->list[i].user;
		}
		buf_putc(out, ']');
	}
	buf_puts(out, "}]");
	if (after && (answered || conv->person))		/* it may have missed the end of it */
		buf_printf(out, ",[\"typing\",%s]", conv->owed ? "true" : "false");
	buf_puts(out, "]}");
}

enum hl_err
chat_joined(struct call *call, const char *id, const struct json *then)
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
	write_joined(&body, call, &conv, &messages, with_history ? &seq : NULL);
	err = reply_json(call, 200, &body);
out:
	entries_free(&messages);
	conversation_clear(&conv);
	buf_free(&body);
	return err == HL_OK || err == HL_STORE ? err : push_refusal(call, err, NULL);
}

/* ---- send-message ---- */

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
	in->limits = (struct limits){ .address = call->address, .visitor = in->user_id, .session = in->id };
	fcgi_on_gone(call->fcgi, NULL, NULL);
	err = turn_accept(call->app->engine, in, turn, &call->retry_ms);
	return call_session_error(call, err);
}

#define REJOIN_MS	1000	/* until the page of a client that comes back, if it is quick, has joined */

/*
 * Who speaks in a session hears it: also who has not joined it, and who asks for what was answered before.  after: what it had
 * when it was cut off, or, of a client that names no offset, what it has said.
 */
static void
write_join(struct buf *out, const struct call *call, const struct place *place, const char *id, const struct turn *turn,
    const char *client_id, bool joined)
{
	const struct json *state = json_get(call->body, "state");
	const char *left = json_get_string(state, "left");
	int64_t after = turn_seq(turn);
	bool back = left && str_equal(left, id) && json_integer(json_get(state, "after"), &after);

	push_begin_join_unless(out, joined ? NULL : "join-chat", back ? REJOIN_MS : 0, place, id, turn, client_id);
	buf_printf(out, "\"sent\":%lld,\"after\":%lld,\"answered\":%s}}]", (long long)turn_seq(turn), (long long)after,
	    turn_was_answered(turn) ? "true" : "false");
}

enum hl_err
chat_send(struct call *call, const struct json *payload)
{
	struct incoming in = { 0 };
	struct buf body = BUF_INIT(8192);
	const char *client_id = NULL;
	struct turn *turn = NULL;
	struct place place;
	bool joined;
	enum hl_err err;

	err = accept_message(call, payload, &in, &client_id, &turn);
	if (err)
		return err == HL_STORE ? err : push_refusal(call, err, client_id);
	place = conversation_place(&call->app->store, in.id);
	joined = push_has_joined(call, &place);
	buf_putc(&body, '{');
	if (joined && !turn_was_answered(turn)) {		/* what is not answered yet will be heard in the room */
		buf_printf(&body, "\"own\":%lld,\"ack\":", (long long)turn_seq(turn));
		push_write_sent(&body, turn, client_id);
	} else {
		write_join(&body, call, &place, in.id, turn, client_id, joined);
	}
	buf_putc(&body, '}');
	err = reply_json(call, 200, &body);
	turn_leave(turn);
	buf_free(&body);
	return err;
}

/* The messages of which a socket that spoke may not have heard. */
struct unheard {
	const struct entry *answer;	/* to what it repeats, or NULL */
	int64_t		 after;		/* and all answers behind that */
};

static void
write_unheard(struct buf *out, const struct entries *messages, const struct unheard *u, const struct ownership *owner)
{
	const char *comma = "";

	buf_puts(out, ",\"messages\":[");
	for (const struct entry *e = messages->list; e < messages->list + messages->count; e++) {
		if (e != u->answer && (e->user || e->seq <= u->after))
			continue;
		buf_printf(out, "%s{\"seq\":%lld,\"emit\":[", comma, (long long)e->seq);
		chat_write_event(out, e, !owner->owed);
		buf_puts(out, "]}");
		comma = ",";
	}
	buf_putc(out, ']');
}

/*
 * The answers behind what it has had, in case one was quicker than the subscription, and the one that it asks for again, alone if
 * it was in the room already.
 */
enum hl_err
chat_joined_by_sending(struct call *call, const char *room, const struct json *then, int64_t sent)
{
	bool told = events_again(call, then), answered = json_true(json_get(then, "answered"));
	struct unheard u = { .after = sent };
	struct buf body = BUF_INIT(ANSWER_BYTES);
	struct entries messages = { 0 };
	struct ownership owner;
	struct place place;
	int64_t from;
	enum hl_err err;

	(void)json_integer(json_get(then, "after"), &u.after);
	if (u.after > sent && !answered)		/* a store that took over has less than was told */
		u.after = sent;
	from = u.after < sent ? u.after : sent;
	snprintf(place.h, sizeof(place.h), "%s", room);
	err = conversation_replay(&call->app->store, &place, from, &messages);
	if (err == HL_OK)
		err = conversation_owner(&call->app->store, &place, &owner);
	if (err)
		goto out;
	if (answered)
		u.answer = events_answer(&messages, sent);
	if (told)
		u.after = INT64_MAX;
	push_begin_joined(&body, call);
	if (!told)
		buf_printf(&body, "\"from\":%lld,", (long long)u.after);
	buf_printf(&body, "\"epoch\":%lld,\"seq\":%lld", (long long)owner.epoch, (long long)(from + (int64_t)messages.count));
	write_unheard(&body, &messages, &u, &owner);
	buf_putc(&body, '}');
	err = reply_json(call, 200, &body);
out:
	entries_free(&messages);
	buf_free(&body);
	return err;
}
