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
#include "base/str.h"
#include "events/events.h"
#include "records/escalation.h"

static const struct {
	const char	*name;
	enum hl_err	(*handle)(struct call *, const struct json *payload);
} client_events[] = {
	{ "join-chat", chat_join },
	{ "send-message", chat_send },
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
			return push_refusal(call, call_fail(call, HL_BAD_REQUEST, "%s needs an object", name), NULL);
		return client_events[i].handle(call, payload);
	}
	/* Other events mean nothing to us; who asks for an acknowledgement is told so. */
	return push_text(call, "{\"ack\":[{\"ok\":false,\"error\":\"There is no such event\",\"code\":\"not_found\"}]}");
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
		return push_text(call, "{\"refuse\":{\"message\":\"Invalid namespace\"}}");
	if (json_kind(token) > JSON_NULL && !(text && *text == '\0'))
		err = text ? account_of_token(&call->app->conf, text, &who) : HL_UNAUTHORIZED;
	if (err == HL_UNAUTHORIZED)
		return push_text(call, "{\"refuse\":{\"message\":\"This token is not valid here, or its time is over\","
		    "\"data\":{\"code\":\"unauthorized\"}}}");
	if (err)
		return err;
	return push_text(call, who.admin ? "{\"join\":[{\"room\":\"" STAFF_ROOM "\",\"then\":{\"staff\":true}}]}" : "{}");
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
		return push_text(call, "{}");
	if (id)
		return chat_joined(call, id, then);
	if (json_integer(json_get(then, "sent"), &sent))
		return chat_joined_by_sending(call, room_of(call), then, sent);
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
		chat_write_event(&body, &messages.list[i]);
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
	return push_text(call, "{}");
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
