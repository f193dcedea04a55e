/*
 * Who is in a room of LiveKit's: listed, removed, muted (contract: desk API, LiveKit).
 */
#include <string.h>

#include "api/reply.h"
#include "base/str.h"
#include "desk/livekit.h"

#define LIST_MAX	(4u << 20)
#define CALL_BODY_MAX	8192
#define TRACKS_MAX	64	/* of one participant */

/* {"room":…,"identity":… */
static void
begin_body(struct buf *body, const struct visit *v, const char *identity)
{
	*body = BUF_INIT(CALL_BODY_MAX);
	buf_puts(body, "{\"room\":");
	buf_json_str(body, v->room);
	if (identity) {
		buf_puts(body, ",\"identity\":");
		buf_json_str(body, identity);
	}
}

/* The room and the participant in the path. */
static enum hl_err
begin(struct call *call, struct visit *v)
{
	enum hl_err err = visit_path(call, v);

	if (err == HL_OK && !livekit_name_valid(call->segment2, strlen(call->segment2)))
		err = call_fail(call, HL_NOT_FOUND, "There is no such participant");
	return err;
}

static bool
is_true(struct json_view v)
{
	return v.at && *v.at == 't';
}

/* ---- GET /api/livekit/room/:id/participants ---- */

static void
show_track(struct buf *out, struct json_view track)
{
	buf_printf(out, "{\"muted\":%s", is_true(livekit_get(track, "muted")) ? "true" : "false");
	show_text(out, "sid", track, "sid");
	show_text(out, "type", track, "type");
	show_text(out, "source", track, "source");
	show_text(out, "name", track, "name");
	show_text(out, "mimeType", track, "mime_type");
	buf_putc(out, '}');
}

static void
show_participant(struct buf *out, struct json_view p)
{
	int64_t ms = livekit_number(p, "joined_at_ms"), s = livekit_number(p, "joined_at");
	struct json_view track = { 0 };
	bool first = true;

	buf_printf(out, "{\"isPublisher\":%s", is_true(livekit_get(p, "is_publisher")) ? "true" : "false");
	show_text(out, "identity", p, "identity");
	show_text(out, "name", p, "name");
	show_text(out, "sid", p, "sid");
	show_text(out, "state", p, "state");
	show_text(out, "kind", p, "kind");
	show_time(out, "joinedAt", ms ? ms : s * 1000);
	buf_puts(out, ",\"tracks\":[");
	while (json_view_next(livekit_get(p, "tracks"), &track)) {
		if (!first)
			buf_putc(out, ',');
		first = false;
		show_track(out, track);
	}
	buf_puts(out, "]}");
}

static enum hl_err
get_participants(struct call *call)
{
	struct buf ask = BUF_INIT(0), body = BUF_INIT(LIST_MAX);
	struct json_view person = { 0 };
	struct livekit_answer a = { 0 };
	struct visit v;
	enum hl_err err = visit_path(call, &v);
	const struct livekit_grant admin = { .room = v.room, .admin = true };

	if (err == HL_OK)
		err = visit_room_exists(call, &v);	/* of one that does not LiveKit would say that it is empty */
	if (err == HL_OK) {
		begin_body(&ask, &v, NULL);
		buf_putc(&ask, '}');
		err = visit_call(call, &v, "RoomService/ListParticipants", &admin, &ask, "room", &a);
	}
	buf_putc(&body, '[');
	while (err == HL_OK && json_view_next(livekit_get(a.json, "participants"), &person)) {
		if (body.len > 1)
			buf_putc(&body, ',');
		show_participant(&body, person);
	}
	buf_putc(&body, ']');
	if (err == HL_OK)
		err = reply_json(call, 200, &body);
	livekit_answer_free(&a);
	buf_free(&ask);
	buf_free(&body);
	return err;
}

/* ---- DELETE /api/livekit/room/:id/participants/:identity ---- */

static enum hl_err
delete_participant(struct call *call)
{
	struct buf ask = BUF_INIT(0), body = BUF_INIT(128);
	struct livekit_answer a = { 0 };
	struct visit v;
	enum hl_err err = begin(call, &v);
	const struct livekit_grant admin = { .room = v.room, .admin = true };

	if (err == HL_OK) {
		begin_body(&ask, &v, call->segment2);
		buf_putc(&ask, '}');
		err = visit_call(call, &v, "RoomService/RemoveParticipant", &admin, &ask, "participant", &a);
	}
	buf_puts(&body, "{\"message\":\"The participant has been removed\"}");
	if (err == HL_OK)
		err = reply_json(call, 200, &body);
	livekit_answer_free(&a);
	buf_free(&ask);
	buf_free(&body);
	return err;
}

/* ---- POST /api/livekit/room/:id/participants/:identity/mute ---- */

struct mute { const char *track; bool muted; };

static enum hl_err
read_mute(struct call *call, struct mute *m)
{
	const struct json *track = json_get(call->body, "trackSid"), *muted = json_get(call->body, "muted");
	size_t len = 0;

	*m = (struct mute){ .muted = true };
	if (json_kind(track) != JSON_NONE && json_kind(track) != JSON_NULL) {
		m->track = json_string(track, &len);
		if (m->track == NULL || len == 0 || len > LIVEKIT_NAME_MAX)
			return call_fail(call, HL_BAD_REQUEST, "trackSid must be text of 1 to %d bytes", LIVEKIT_NAME_MAX);
	}
	if (json_kind(muted) == JSON_BOOL)
		m->muted = json_true(muted);
	else if (json_kind(muted) != JSON_NONE && json_kind(muted) != JSON_NULL)
		return call_fail(call, HL_BAD_REQUEST, "muted must be true or false");
	return HL_OK;
}

static enum hl_err
mute_track(struct call *call, const struct visit *v, const char *sid, bool muted, struct buf *out)
{
	const struct livekit_grant admin = { .room = v->room, .admin = true };
	struct livekit_answer a;
	struct buf ask;
	enum hl_err err;

	begin_body(&ask, v, call->segment2);
	buf_puts(&ask, ",\"trackSid\":");
	buf_json_str(&ask, sid);
	buf_puts(&ask, muted ? ",\"muted\":true}" : "}");	/* what is false is left out */
	err = visit_call(call, v, "RoomService/MutePublishedTrack", &admin, &ask, "track", &a);
	if (err == HL_OK) {
		if (out->len > 1 && out->data[out->len - 1] == '}')
			buf_putc(out, ',');
		buf_printf(out, "{\"muted\":%s,\"sid\":", muted ? "true" : "false");
		buf_json_str(out, sid);
		buf_putc(out, '}');
	}
	livekit_answer_free(&a);
	buf_free(&ask);
	return err;
}

/* Everything that is heard of a participant. */
static enum hl_err
mute_all(struct call *call, const struct visit *v, bool muted, struct buf *out)
{
	const struct livekit_grant admin = { .room = v->room, .admin = true };
	struct buf ask, sid = BUF_INIT(1024);
	struct json_view track = { 0 };
	struct livekit_answer a;
	size_t n = 0;
	enum hl_err err;

	begin_body(&ask, v, call->segment2);
	buf_putc(&ask, '}');
	err = visit_call(call, v, "RoomService/GetParticipant", &admin, &ask, "participant", &a);
	while (err == HL_OK && n < TRACKS_MAX && json_view_next(livekit_get(a.json, "tracks"), &track)) {
		struct json_view type = livekit_get(track, "type");

		buf_reset(&sid);
		if ((type.at && !json_view_is(type, "AUDIO")) || !json_view_string(livekit_get(track, "sid"), &sid))
			continue;
		err = mute_track(call, v, sid.data, muted, out);
		n++;
	}
	livekit_answer_free(&a);
	buf_free(&sid);
	buf_free(&ask);
	return err;
}

static enum hl_err
post_mute(struct call *call)
{
	struct buf body = BUF_INIT(65536);
	struct visit v;
	struct mute m;
	enum hl_err err = begin(call, &v);

	if (err == HL_OK)
		err = read_mute(call, &m);
	if (err)
		return err;
	buf_puts(&body, "{\"identity\":");
	buf_json_str(&body, call->segment2);
	buf_printf(&body, ",\"muted\":%s,\"tracks\":[", m.muted ? "true" : "false");
	err = m.track ? mute_track(call, &v, m.track, m.muted, &body) : mute_all(call, &v, m.muted, &body);
	buf_puts(&body, "]}");
	if (err == HL_OK)
		err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

static const struct route routes[] = {
	{ "GET", "/api/livekit/room/:id/participants", BODY_NONE, get_participants },
	{ "DELETE", "/api/livekit/room/:id/participants/:identity", BODY_NONE, delete_participant },
	{ "POST", "/api/livekit/room/:id/participants/:identity/mute", BODY_OPTIONAL, post_mute },
};
const struct desk_part desk_livekit_people = { routes, sizeof(routes) / sizeof(routes[0]) };
