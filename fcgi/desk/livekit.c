/*
 * LiveKit's rooms and the tokens for them (contract: desk API, LiveKit).
 */
#include <stdio.h>
#include <string.h>

#include "api/reply.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "desk/livekit.h"
#include "engine/turn.h"
#include "records/calls.h"

#define LIST_MAX	(16u << 20)	/* bytes of a list of rooms */
#define CALL_BODY_MAX	8192

/* ---- who, and which room ---- */

enum hl_err
visit_set_up(struct call *call)
{
	struct buf missing = BUF_INIT(256);
	enum hl_err err = HL_OK;

	if (!livekit_is_set(&call->app->conf, &missing))
		err = call_fail(call, HL_NOT_SET_UP, "LiveKit is not set up here: %s %s not set", missing.data,
		    strchr(missing.data, ' ') ? "are" : "is");
	buf_free(&missing);
	return err;
}

enum hl_err
visit_begin(struct call *call, struct visit *v)
{
	enum hl_err err = call_owner(call, &v->who);

	v->room[0] = '\0';
	if (err == HL_OK)
		err = visit_set_up(call);
	if (err == HL_OK)
		livekit_prefix(call->app->crypto, v->who.h, v->prefix);
	return err;
}

enum hl_err
visit_name(struct call *call, struct visit *v, const char *name, size_t len)
{
	if (!livekit_name_valid(name, len))
		return call_fail(call, HL_BAD_REQUEST, "roomName must be text of 1 to %d bytes, without slashes and control characters",
		    LIVEKIT_NAME_MAX);
	snprintf(v->room, sizeof(v->room), "%s%.*s", v->prefix, (int)len, name);
	return HL_OK;
}

enum hl_err
visit_path(struct call *call, struct visit *v)
{
	enum hl_err err = visit_begin(call, v);

	if (err == HL_OK && !livekit_name_valid(call->segment, strlen(call->segment)))
		err = call_fail(call, HL_NOT_FOUND, "There is no such room");
	return err ? err : visit_name(call, v, call->segment, strlen(call->segment));
}

const char *
visit_own(const struct visit *v, const char *room)
{
	return room && strncmp(room, v->prefix, LIVEKIT_PREFIX_LEN) == 0 ? room + LIVEKIT_PREFIX_LEN : NULL;
}

/* ---- calls ---- */

/* LiveKit's sentence with the caller's own names. */
static enum hl_err
pass_on(struct call *call, const struct visit *v, enum hl_err err, const char *said)
{
	struct buf text = BUF_INIT(1024);
	const char *at;

	while ((at = strstr(said, v->prefix))) {
		buf_add(&text, said, (size_t)(at - said));
		said = at + LIVEKIT_PREFIX_LEN;
	}
	buf_puts(&text, said);
	if (buf_err(&text) == HL_OK)
		err = call_fail(call, err, "LiveKit: %.300s", text.data);
	buf_free(&text);
	return err;
}

static enum hl_err
explain(struct call *call, const struct visit *v, const char *what, enum hl_err err, const struct livekit_answer *a)
{
	const char *said = a->problem.data ? a->problem.data : "";

	if (err == HL_UPSTREAM || err == HL_BUSY || err == HL_TIMEOUT)
		log_line(LOG_LEVEL_WARN, "livekit_failed", "code", a->code, "problem", said, "request_id", call->shown_id, NULL);
	switch (err) {
	case HL_NOT_FOUND:
		return call_fail(call, err, "There is no such %s", what);
	case HL_BAD_REQUEST:
	case HL_CONFLICT:
	case HL_TOO_MANY:
		return pass_on(call, v, err, said);
	case HL_BUSY:
		return call_fail(call, err, "LiveKit has too much to do; try again in a moment");
	case HL_TIMEOUT:
		return call_fail(call, err, "LiveKit took too long");
	case HL_UPSTREAM:
		if (strcmp(a->code, "unauthenticated") == 0 || strcmp(a->code, "permission_denied") == 0 ||
		    strcmp(said, "status 401") == 0)
			return call_fail(call, err, "LiveKit refuses what LIVEKIT_API_KEY and LIVEKIT_API_SECRET are here");
		return call_fail(call, err, "LiveKit failed, or cannot be reached");
	default:
		return err;
	}
}

enum hl_err
visit_call(struct call *call, const struct visit *v, const char *method, const struct livekit_grant *g, const struct buf *body,
    const char *what, struct livekit_answer *ret)
{
	enum hl_err err = livekit_call(engine_http(call->app->engine), &call->app->conf, method, g, body, ret);

	return err ? explain(call, v, what, err, ret) : HL_OK;
}

/* {"member":"room" */
static void
begin_body(struct buf *body, const char *member, const char *room)
{
	*body = BUF_INIT(CALL_BODY_MAX);
	buf_printf(body, "{\"%s\":", member);
	buf_json_str(body, room);
}

enum hl_err
visit_room_exists(struct call *call, const struct visit *v)
{
	const struct livekit_grant list = { .list = true };
	struct json_view room = { 0 };
	struct livekit_answer a;
	struct buf body = BUF_INIT(CALL_BODY_MAX);
	bool found = false;
	enum hl_err err;

	buf_puts(&body, "{\"names\":[");
	buf_json_str(&body, v->room);
	buf_puts(&body, "]}");
	err = visit_call(call, v, "RoomService/ListRooms", &list, &body, "room", &a);
	while (err == HL_OK && !found && json_view_next(livekit_get(a.json, "rooms"), &room))
		found = json_view_is(livekit_get(room, "name"), v->room);
	if (err == HL_OK && !found)
		err = call_fail(call, HL_NOT_FOUND, "There is no such room");
	livekit_answer_free(&a);
	buf_free(&body);
	return err;
}

/* ---- which conversation's ---- */

bool
room_conversation(struct store *store, struct json_view room, struct place *ret)
{
	struct buf text = BUF_INIT(65536), word = BUF_INIT(256);
	struct json_view metadata, name;
	bool found = false;
	size_t len;
	const char *plain;

	if (!json_view_string(livekit_get(room, "metadata"), &text) || text.len == 0 ||
	    json_view_open(text.data, text.len, JSON_STRICT, &metadata) != HL_OK)
		goto out;
	name = json_view_get(json_view_get(metadata, "helpline"), "conversation");
	plain = json_view_plain(name, &len);
	if (plain && len == CRYPTO_NAME_LEN) {		/* ours */
		snprintf(ret->h, sizeof(ret->h), "%.*s", (int)len, plain);
		found = true;
	} else if (json_view_string(json_view_get(metadata, "conversationId"), &word) && id_valid(word.data)) {
		*ret = conversation_place(store, word.data);
		found = true;
	}
out:
	buf_free(&text);
	buf_free(&word);
	return found;
}

/* Participants see a room's metadata: it has the keyed name of the conversation, which opens nothing. */
static void
write_metadata(struct buf *body, const struct place *p)
{
	char text[CRYPTO_NAME_LEN + 64];

	snprintf(text, sizeof(text), "{\"helpline\":{\"conversation\":\"%s\"}}", p->h);
	buf_puts(body, ",\"metadata\":");
	buf_json_str(body, text);
}

static enum hl_err
own_conversation(struct call *call, const struct visit *v, const char *id, struct place *ret)
{
	const struct desk_access own = { .account = v->who.h };
	struct desk_conversation c;
	enum hl_err err = desk_read(&call->app->store, &own, id, DESK_NO_MESSAGES, &c);

	if (err == HL_NOT_FOUND)
		return call_fail(call, err, "There is no such conversation");
	if (err == HL_OK) {
		*ret = c.place;
		desk_clear(&c);
	}
	return err;
}

/* A room that was there already has the metadata that it had. */
static enum hl_err
attach(struct call *call, const struct visit *v, struct json_view room, const struct place *wanted)
{
	const struct livekit_grant admin = { .room = v->room, .admin = true };
	struct buf body, sid = BUF_INIT(256);
	struct livekit_answer a = { 0 };
	struct place is;
	enum hl_err err = HL_OK;

	begin_body(&body, "room", v->room);
	write_metadata(&body, wanted);
	buf_putc(&body, '}');
	if (!room_conversation(&call->app->store, room, &is) || strcmp(is.h, wanted->h) != 0)
		err = visit_call(call, v, "RoomService/UpdateRoomMetadata", &admin, &body, "room", &a);
	if (err == HL_OK && json_view_string(livekit_get(room, "sid"), &sid) && sid.len)
		err = calls_link(&call->app->store, sid.data, wanted);
	livekit_answer_free(&a);
	buf_free(&sid);
	buf_free(&body);
	return err;
}

/* The conversation that a room is already, if it is this account's. */
static enum hl_err
find_attached(struct call *call, const struct visit *v, struct json_view room, char ret_id[ID_LEN + 1])
{
	struct store *store = &call->app->store;
	char owner[CRYPTO_NAME_LEN + 1];
	struct place p;
	enum hl_err err;

	*ret_id = '\0';
	if (!room_conversation(store, room, &p))
		return HL_OK;
	err = calls_owner(store, &p, owner);
	if (err == HL_OK && strcmp(owner, v->who.h) == 0)
		err = desk_id_at(store, &p, ret_id);
	return err == HL_NOT_FOUND ? HL_OK : err;
}

enum hl_err
visit_make_room(struct call *call, const struct visit *v, const char *conversation_id, char ret_id[ID_LEN + 1])
{
	const struct livekit_grant create = { .create = true };
	struct livekit_answer a = { 0 };
	struct place p;
	struct buf body;
	enum hl_err err = HL_OK;

	begin_body(&body, "name", v->room);
	if (conversation_id)
		err = own_conversation(call, v, conversation_id, &p);
	if (err == HL_OK && conversation_id)
		write_metadata(&body, &p);
	buf_putc(&body, '}');
	if (err == HL_OK)
		err = visit_call(call, v, "RoomService/CreateRoom", &create, &body, "room", &a);
	if (err == HL_OK && conversation_id)
		err = attach(call, v, a.json, &p);
	if (err == HL_OK && ret_id) {
		if (conversation_id)
			snprintf(ret_id, ID_LEN + 1, "%s", conversation_id);
		else
			err = find_attached(call, v, a.json, ret_id);
	}
	livekit_answer_free(&a);
	buf_free(&body);
	return err;
}

/* ---- tokens ---- */

/* "name":"token", */
static enum hl_err
add_token(struct call *call, struct buf *out, const char *const *names, const struct livekit_grant *g, int64_t life_s)
{
	struct buf token = BUF_INIT(8192);
	enum hl_err err = livekit_token(&call->app->conf, g, clock_wall_ms() / 1000, life_s, &token);

	for (; err == HL_OK && *names; names++)
		buf_printf(out, "\"%s\":\"%s\",", *names, token.data);
	buf_free(&token);
	return err;
}

static void
add_address(struct call *call, struct buf *out)
{
	struct buf url = BUF_INIT(4096);

	livekit_ws_url(&call->app->conf, &url);
	buf_puts(out, "\"wsUrl\":");
	buf_json_str(out, url.data);
	buf_free(&url);
}

struct wish { const char *room, *name, *identity, *conversation; size_t room_len, identity_len; char made[ID_LEN + 1]; };

/* Who says no identity gets one that nobody else has: of two equal ones LiveKit throws the first out. */
static enum hl_err
read_wish(struct call *call, struct visit *v, struct wish *w)
{
	const struct text_field fields[] = {
		{ "roomName", true, LIVEKIT_NAME_MAX, HL_BAD_REQUEST, &w->room, &w->room_len },
		{ "participantName", false, LIVEKIT_NAME_MAX, HL_BAD_REQUEST, &w->name, NULL },
		{ "participantIdentity", false, LIVEKIT_NAME_MAX, HL_BAD_REQUEST, &w->identity, &w->identity_len },
		{ "conversationId", false, SEGMENT_MAX, HL_BAD_REQUEST, &w->conversation, NULL },
	};
	enum hl_err err = request_fields(call, call->body, fields, sizeof(fields) / sizeof(fields[0]), "roomName is required");

	if (err == HL_OK)
		err = visit_name(call, v, w->room, w->room_len);
	if (err == HL_OK && w->identity && !livekit_name_valid(w->identity, w->identity_len))
		err = call_fail(call, HL_BAD_REQUEST, "participantIdentity must have no slashes and control characters");
	if (err == HL_OK && w->identity == NULL) {
		id_new(w->made);
		w->identity = w->made;
	}
	return err;
}

static enum hl_err
reply_tokens(struct call *call, const struct visit *v, const struct wish *w, bool administrates, int status)
{
	static const char *const participant[] = { "participantToken", "token", NULL }, *const room[] = { "roomToken", NULL };
	const struct livekit_grant join = { .join = true, .room = v->room, .identity = w->identity, .name = w->name };
	const struct livekit_grant admin = { .admin = true, .room = v->room };
	struct buf body = BUF_INIT(32768);
	enum hl_err err;

	buf_putc(&body, '{');
	err = add_token(call, &body, participant, &join, LIVEKIT_JOIN_LIFE_S);
	if (err == HL_OK && administrates)
		err = add_token(call, &body, room, &admin, LIVEKIT_ADMIN_LIFE_S);
	add_address(call, &body);
	buf_puts(&body, ",\"roomName\":");
	buf_json_str(&body, w->room);
	buf_puts(&body, ",\"participantIdentity\":");
	buf_json_str(&body, w->identity);
	buf_putc(&body, '}');
	if (err == HL_OK)
		err = reply_json(call, status, &body);
	buf_free(&body);
	return err;
}

/* Who joins a room that is not there makes it: LiveKit does so itself, unless it is to be a conversation's. */
static enum hl_err
post_join(struct call *call)
{
	struct wish w = { 0 };
	struct visit v;
	enum hl_err err = visit_begin(call, &v);

	if (err == HL_OK)
		err = read_wish(call, &v, &w);
	if (err == HL_OK && w.conversation)
		err = visit_make_room(call, &v, w.conversation, NULL);
	return err ? err : reply_tokens(call, &v, &w, false, 200);
}

static enum hl_err
post_room(struct call *call)
{
	struct wish w = { 0 };
	struct visit v;
	enum hl_err err = visit_begin(call, &v);

	if (err == HL_OK)
		err = read_wish(call, &v, &w);
	if (err == HL_OK)
		err = visit_make_room(call, &v, w.conversation, NULL);
	return err ? err : reply_tokens(call, &v, &w, true, 201);
}

static enum hl_err
post_test_room(struct call *call)
{
	static const char *const names[] = { "token", NULL };
	char id[ID_LEN + 1], name[ID_LEN + 8];
	struct buf body = BUF_INIT(16384);
	struct visit v;
	enum hl_err err = visit_begin(call, &v);

	id_new(id);
	snprintf(name, sizeof(name), "test-%.12s", id);
	if (err == HL_OK)
		err = visit_name(call, &v, name, strlen(name));
	if (err == HL_OK)
		err = visit_make_room(call, &v, NULL, NULL);
	if (err)
		return err;
	const struct livekit_grant join = { .join = true, .room = v.room, .identity = id, .name = v.who.name };

	buf_printf(&body, "{\"name\":\"%s\",\"roomName\":\"%s\",", name, name);
	err = add_token(call, &body, names, &join, LIVEKIT_JOIN_LIFE_S);
	add_address(call, &body);
	buf_putc(&body, '}');
	if (err == HL_OK)
		err = reply_json(call, 201, &body);
	buf_free(&body);
	return err;
}

/* ---- rooms ---- */

void
show_text(struct buf *out, const char *name, struct json_view object, const char *member)
{
	struct buf text = BUF_INIT(65536);

	buf_printf(out, ",\"%s\":", name);
	if (json_view_string(livekit_get(object, member), &text) && buf_err(&text) == HL_OK)
		buf_json(out, text.data ? text.data : "", text.len);
	else
		buf_puts(out, "null");
	buf_free(&text);
}

void
show_time(struct buf *out, const char *name, int64_t ms)
{
	char at[CLOCK_ISO_LEN + 1];

	if (ms > 0 && ms < INT64_C(253402300800000))
		clock_iso(ms, at);
	buf_printf(out, ",\"%s\":", name);
	buf_json_str(out, ms > 0 && ms < INT64_C(253402300800000) ? at : NULL);
}

static void
show_room(struct buf *out, const char *name, struct json_view room)
{
	static const struct { const char *shown, *member; } numbers[] = {
		{ "numParticipants", "num_participants" }, { "numPublishers", "num_publishers" },
		{ "maxParticipants", "max_participants" }, { "emptyTimeout", "empty_timeout" },
		{ "departureTimeout", "departure_timeout" }, { "creationTime", "creation_time" },
	};
	int64_t ms = livekit_number(room, "creation_time_ms"), s = livekit_number(room, "creation_time");
	struct json_view recording = livekit_get(room, "active_recording");

	buf_puts(out, "{\"name\":");
	buf_json_str(out, name);
	show_text(out, "sid", room, "sid");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		buf_printf(out, ",\"%s\":%lld", numbers[i].shown, (long long)livekit_number(room, numbers[i].member));
	buf_printf(out, ",\"activeRecording\":%s", recording.at && *recording.at == 't' ? "true" : "false");
	show_time(out, "createdAt", ms ? ms : s * 1000);
	buf_putc(out, '}');
}

/* LiveKit lists the rooms of all; an account's are those with its prefix. */
static enum hl_err
get_rooms(struct call *call)
{
	const struct livekit_grant list = { .list = true };
	struct buf nothing = BUF_INIT(8), body = BUF_INIT(LIST_MAX), name = BUF_INIT(4096);
	struct json_view room = { 0 };
	struct livekit_answer a = { 0 };
	const char *own;
	struct visit v;
	enum hl_err err = visit_begin(call, &v);

	buf_puts(&nothing, "{}");
	if (err == HL_OK)
		err = visit_call(call, &v, "RoomService/ListRooms", &list, &nothing, "room", &a);
	buf_putc(&body, '[');
	while (err == HL_OK && json_view_next(livekit_get(a.json, "rooms"), &room)) {
		buf_reset(&name);
		if (!json_view_string(livekit_get(room, "name"), &name) || (own = visit_own(&v, name.data)) == NULL)
			continue;
		if (body.len > 1)
			buf_putc(&body, ',');
		show_room(&body, own, room);
	}
	buf_putc(&body, ']');
	if (err == HL_OK)
		err = reply_json(call, 200, &body);
	livekit_answer_free(&a);
	buf_free(&nothing);
	buf_free(&name);
	buf_free(&body);
	return err;
}

static enum hl_err
delete_room(struct call *call)
{
	const struct livekit_grant create = { .create = true };
	struct buf body, said = BUF_INIT(128);
	struct livekit_answer a = { 0 };
	struct visit v;
	enum hl_err err = visit_path(call, &v);

	begin_body(&body, "room", v.room);
	buf_putc(&body, '}');
	if (err == HL_OK)
		err = visit_call(call, &v, "RoomService/DeleteRoom", &create, &body, "room", &a);
	buf_puts(&said, "{\"message\":\"The room has been closed\"}");
	if (err == HL_OK)
		err = reply_json(call, 200, &said);
	livekit_answer_free(&a);
	buf_free(&body);
	buf_free(&said);
	return err;
}

static const struct route routes[] = {
	{ "POST", "/api/livekit/token", BODY_JSON, post_join },
	{ "POST", "/api/livekit/join-room", BODY_JSON, post_join },
	{ "POST", "/api/livekit/room", BODY_JSON, post_room },
	{ "POST", "/api/livekit/create-room", BODY_JSON, post_room },
	{ "POST", "/api/livekit/create-test-room", BODY_OPTIONAL, post_test_room },
	{ "GET", "/api/livekit/rooms", BODY_NONE, get_rooms },
	{ "DELETE", "/api/livekit/room/:id", BODY_NONE, delete_room },
	{ "DELETE", "/api/livekit/rooms/:name", BODY_NONE, delete_room },
};
const struct desk_part desk_livekit = { routes, sizeof(routes) / sizeof(routes[0]) };
