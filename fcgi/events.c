/*
 * events - what a socket said: the events of the chat and of the desk behind pushd (contracts: Socket.IO).
 *
 * pushd sends each event of a socket to POST /push/event and does what the answer says: join rooms, emit, acknowledge.
 * Only nginx's private socket has this route.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/program.h"
#include "api/reply.h"
#include "base/str.h"
#include "events/events.h"
#include "records/account.h"
#include "records/desk.h"
#include "records/chat_owner.h"
#include "records/escalation.h"

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

/* auth.token, or the header Authorization of the handshake; NULL: none came.  False: what came is no token. */
static bool
token_of(const struct call *call, const char **ret)
{
	const struct json *token = json_get(json_get(call->body, "auth"), "token");
	const char *header = json_get_string(call->body, "authorization");

	*ret = json_string(token, NULL);
	if (*ret && **ret)
		return true;
	if (json_kind(token) > JSON_NULL && *ret == NULL)
		return false;
	*ret = NULL;
	if (header && strncasecmp(header, "Bearer ", 7) == 0)
		*ret = header + 7 + strspn(header + 7, " ");
	return true;
}

static void
join_staff(struct buf *body, const char *room, const char *comma)
{
	buf_printf(body, "%s{\"room\":\"%s\",\"then\":{\"staff\":true}}", comma, room);
}

static void
join_account(struct buf *body, const char *h)
{
	char room[ACCOUNT_ROOM_MAX], alias[ACCOUNT_ROOM_MAX];

	account_room(h, room, alias);
	buf_printf(body, ",{\"room\":\"%s\",\"alias\":\"%s\",\"then\":{\"staff\":true}}", room, alias);
}

/* An admin hears of every escalation, anybody else who is signed in of those of his own agents, CHAT_OWNER of sessions too. */
static enum hl_err
let_in(struct call *call, const struct account *who)
{
	struct buf body = BUF_INIT(512);
	char room[CONVERSATION_KEY_MAX];
	bool chat = false;
	enum hl_err err = who->admin ? HL_OK : chat_owned_by(&call->app->store, who, &chat);

	if (err)
		return err;
	buf_putc(&body, '{');
	if (who->stored)
		buf_printf(&body, "\"state\":{\"account\":\"%s\"},", who->h);
	buf_puts(&body, "\"join\":[");
	staff_room(who->h, room);
	if (who->admin || who->stored)
		join_staff(&body, who->admin ? STAFF_ROOM : room, "");
	staff_room(STAFF_CHAT, room);
	if (chat)
		join_staff(&body, room, ",");
	if (who->stored)
		join_account(&body, who->h);
	buf_puts(&body, "]}");
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

/* A token is not needed here; one that is sent must be good. */
static enum hl_err
kind_connect(struct call *call)
{
	struct account who = { 0 };
	const char *token;
	enum hl_err err;

	if (!str_equal(json_get_string(call->body, "nsp"), "/"))
		return push_text(call, "{\"refuse\":{\"message\":\"Invalid namespace\"}}");
	err = !token_of(call, &token) ? HL_UNAUTHORIZED : token ? account_verify(&call->app->store, token, &who) : HL_OK;
	if (err == HL_UNAUTHORIZED)
		return push_text(call, "{\"refuse\":{\"message\":\"This token is not valid here, or its time is over\","
		    "\"data\":{\"code\":\"unauthorized\"}}}");
	return err ? err : token ? let_in(call, &who) : push_text(call, "{}");
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
	if (json_get(then, "desk"))
		return desk_joined(call, room_of(call), then);
	if (id)
		return chat_joined(call, id, then);
	if (json_integer(json_get(then, "sent"), &sent))
		return chat_joined_by_sending(call, room_of(call), then, sent);
	return call_fail(call, HL_BAD_REQUEST, "then is not what this program gave");
}

static void
write_replay(struct buf *out, const struct entries *messages, const char *desk_id)
{
	buf_puts(out, "{\"messages\":[");
	for (size_t i = 0; i < messages->count; i++) {
		buf_printf(out, "%s{\"seq\":%lld,\"emit\":[", i ? "," : "", (long long)messages->list[i].seq);
		if (*desk_id)
			desk_write_event(out, &messages->list[i], desk_id);
		else
			chat_write_event(out, &messages->list[i]);
		buf_puts(out, "]}");
	}
	buf_puts(out, "]}");
}

/* A room is of one dialect, whoever listens. */
static enum hl_err
kind_replay(struct call *call)
{
	struct buf body = BUF_INIT(ANSWER_BYTES);
	char desk_id[ID_LEN + 1];
	struct entries messages = { 0 };
	struct place place;
	int64_t after = 0;
	enum hl_err err;

	snprintf(place.h, sizeof(place.h), "%s", room_of(call));
	if (!json_integer(json_get(call->body, "after"), &after))
		return call_fail(call, HL_BAD_REQUEST, "after must be a whole number");
	err = desk_id_at(&call->app->store, &place, desk_id);
	if (err == HL_OK)
		err = conversation_replay(&call->app->store, &place, after, &messages);
	if (err)
		return err;
	write_replay(&body, &messages, desk_id);
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
	{ "POST", "/push/event", BODY_JSON_LONG, post_event },
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
