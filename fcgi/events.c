/*
 * events - what a socket said: the events of the chat and of the desk behind pushd (contracts: Socket.IO).
 *
 * pushd sends each event of a socket to POST /push/event and does what the answer says: join rooms, emit, acknowledge.
 * nginx does not know this program: only who may open its socket can ask.
 */
#include <string.h>

#include "api/program.h"
#include "base/str.h"
#include "events/events.h"
#include "records/account.h"

static const struct {
	const char	*name;
	enum hl_err	(*handle)(struct call *, const struct json *payload);
} client_events[] = {
	{ "join-chat", chat_join },
	{ "send-message", chat_send },
	{ "start_conversation", desk_start },
	{ "user_message", desk_say },
	{ "user_audio", audio_say },
	{ "voice_start", voice_start },
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

const char *
events_room(const struct call *call)
{
	const char *room = json_get_string(call->body, "room");

	return room && strncmp(room, "room:", 5) == 0 ? room + 5 : "";
}

/* What has ended the token since it was looked at was not told to the socket. */
static enum hl_err
staff_joined(struct call *call, const char *token)
{
	struct account who;
	enum hl_err err = token ? account_verify(&call->app->store, token, &who) : HL_OK;

	return err ? err : push_text(call, "{}");
}

static enum hl_err
kind_joined(struct call *call)
{
	const struct json *then = json_get(call->body, "then");
	const char *id = json_get_string(then, "joined");
	int64_t sent;

	if (json_true(json_get(then, "staff")))
		return staff_joined(call, json_get_string(then, "token"));
	if (json_get(then, "desk"))
		return desk_joined(call, events_room(call), then);
	if (id)
		return chat_joined(call, id, then);
	if (json_integer(json_get(then, "sent"), &sent))
		return chat_joined_by_sending(call, events_room(call), then, sent);
	return call_fail(call, HL_BAD_REQUEST, "then is not what this program gave");
}

static enum hl_err
kind_disconnect(struct call *call)
{
	return push_text(call, "{}");
}

static const struct { const char *name; call_handler handle; } kinds[] = {
	{ "connect", events_connect },
	{ "event", kind_event },
	{ "joined", kind_joined },
	{ "replay", events_replay },
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
	{ "POST", "/push/event", BODY_JSON_LONG, post_event },
};

int
main(int argc, char **argv)
{
	static const struct program events = {
		.name = "events", .purpose = "Answers what sockets say; reached only from pushd, at its own socket.",
		.routes = routes, .count = sizeof(routes) / sizeof(routes[0]), .needs_engine = true,
		.needs_accounts = true,
	};

	return program_main(&events, argc, argv);
}
