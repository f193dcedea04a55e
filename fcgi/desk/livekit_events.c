/*
 * What LiveKit tells of its rooms, and what a conversation keeps of it (contract: desk API, LiveKit).
 *
 * Nothing of a webhook is believed, nor even read, before its signature and its hash are those of our key.
 */
#include <stdlib.h>
#include <string.h>

#include "api/reply.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "desk/livekit.h"
#include "engine/outcome.h"
#include "records/calls.h"

#define WORD_MAX	64	/* bytes of an event's name */
#define TEXT_MAX	512	/* of what it says: names, ids */
#define SHOWN_MAX	(4u << 20)

static const char call_title[] = "A call by voice";

/* ---- one event ---- */

/* Texts are "" where there are none. */
struct told {
	enum call_kind	 kind;
	struct json_view json;
	struct buf	 event, id, room_name, room_sid, json_kept;
	int64_t		 at_ms;
};

static void
told_free(struct told *t)
{
	buf_free(&t->event);
	buf_free(&t->id);
	buf_free(&t->room_name);
	buf_free(&t->room_sid);
	buf_free(&t->json_kept);
}

static const char *
text_of(const struct buf *b)
{
	return buf_err(b) == HL_OK && b->data ? b->data : "";
}

static void
take_text(struct json_view object, const char *member, struct buf *out)
{
	if (out->len == 0 && buf_err(out) == HL_OK && !json_view_string(livekit_get(object, member), out))
		buf_reset(out);
}

/* Not a voice worker, nor a recorder; they come as names, or as the numbers of names. */
static bool
is_person(struct json_view participant)
{
	static const char *const others[] = { "AGENT", "EGRESS", "INGRESS" };
	struct json_view kind = livekit_get(participant, "kind");
	int64_t number;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (json_view_is(kind, others[i]))
			return false;
	return !json_view_integer(kind, &number) || (number != 1 && number != 2 && number != 4);
}

static enum call_kind
kind_of(const char *event, struct json_view participant)
{
	if (strcmp(event, "room_started") == 0)
		return CALL_ROOM_STARTED;
	if (strcmp(event, "room_finished") == 0)
		return CALL_ROOM_FINISHED;
	if (strcmp(event, "participant_joined") == 0 && is_person(participant))
		return CALL_PERSON_JOINED;
	if (strcmp(event, "participant_left") == 0 && is_person(participant))
		return CALL_PERSON_LEFT;
	return CALL_OTHER;
}

/* An event without an id is known by its contents. */
static void
name_event(struct told *t, const char *body, size_t len)
{
	unsigned char hash[CRYPTO_SHA256_LEN];

	take_text(t->json, "id", &t->id);
	if (t->id.len)
		return;
	crypto_sha256(body, len, hash);
	buf_base64(&t->id, hash, sizeof(hash));
}

static void
read_event(struct told *t, const char *body, size_t len)
{
	struct json_view room = livekit_get(t->json, "room"), egress = livekit_get(t->json, "egress_info");
	int64_t created = livekit_number(t->json, "created_at"), now = clock_wall_ms();

	take_text(t->json, "event", &t->event);
	name_event(t, body, len);
	take_text(room, "name", &t->room_name);
	take_text(room, "sid", &t->room_sid);
	take_text(egress, "room_name", &t->room_name);
	take_text(egress, "room_id", &t->room_sid);
	t->kind = kind_of(text_of(&t->event), livekit_get(t->json, "participant"));
	t->at_ms = created > 0 && created < now / 1000 + CALLS_AHEAD_MS / 1000 ? created * 1000 : now;
}

/* What is kept of it: names as the account knows them. */
static void
write_kept(struct told *t)
{
	struct json_view person = livekit_get(t->json, "participant"), track = livekit_get(t->json, "track"),
	    egress = livekit_get(t->json, "egress_info");
	struct buf *out = &t->json_kept;

	buf_puts(out, "{\"_id\":");
	buf_json_str(out, text_of(&t->id));
	buf_puts(out, ",\"event\":");
	buf_json_str(out, text_of(&t->event));
	buf_puts(out, ",\"roomName\":");
	buf_json_str(out, text_of(&t->room_name) + LIVEKIT_PREFIX_LEN);
	if (person.at) {
		show_text(out, "participantIdentity", person, "identity");
		show_text(out, "participantName", person, "name");
	}
	if (track.at)
		show_text(out, "trackSid", track, "sid");
	if (egress.at)
		show_text(out, "egressId", egress, "egress_id");
	show_time(out, "timestamp", t->at_ms);
	buf_printf(out, ",\"ts\":%lld}", (long long)t->at_ms);
}

/* ---- whose ---- */

/*
 * The conversation of its room, and whose it is.  A room is in its account's name, so that who can make rooms cannot speak
 * for the conversations of others.  HL_NOT_FOUND: it is none's.
 */
static enum hl_err
find_conversation(struct call *call, const struct told *t, struct place *p, char owner[CRYPTO_NAME_LEN + 1])
{
	struct store *store = &call->app->store;
	char prefix[LIVEKIT_PREFIX_LEN + 1];
	enum hl_err err;

	if (t->room_sid.len == 0 || strlen(text_of(&t->room_name)) <= LIVEKIT_PREFIX_LEN)
		return HL_NOT_FOUND;
	err = calls_linked(store, text_of(&t->room_sid), p);
	if (err == HL_NOT_FOUND && room_conversation(store, livekit_get(t->json, "room"), p))
		err = HL_OK;
	if (err == HL_OK)
		err = calls_owner(store, p, owner);
	if (err)
		return err;
	livekit_prefix(call->app->crypto, owner, prefix);
	return strncmp(text_of(&t->room_name), prefix, LIVEKIT_PREFIX_LEN) == 0 ? HL_OK : HL_NOT_FOUND;
}

/* A call that is over leaves its conversation as somebody who ends it does: with a mood, a theme, a title. */
static enum hl_err
settle(struct call *call, const struct place *p, const char *owner, bool ended)
{
	const struct desk_access own = { .account = owner };
	struct outcome *o = malloc(sizeof(*o));
	struct desk_conversation c = { 0 };
	struct desk_change change = { .set_insight = true };
	char id[ID_LEN + 1];
	enum hl_err err = o ? desk_id_at(&call->app->store, p, id) : HL_NO_MEMORY;

	if (err == HL_OK)
		err = desk_read(&call->app->store, &own, id, 0, &c);
	if (err || c.status != DESK_COMPLETED || !(ended || c.sentiment == SENTIMENT_PENDING))
		goto out;
	outcome_of(&c.messages, false, o);
	change.sentiment = o->sentiment;
	change.intents = o->intents | c.intents;
	if (c.title.len == 0)
		change.title = o->written ? o->title : call_title;
	desk_clear(&c);
	err = desk_change(&call->app->store, &own, id, &change, &c);
out:
	desk_clear(&c);
	free(o);
	return err;
}

static enum hl_err
keep(struct call *call, struct told *t)
{
	char owner[CRYPTO_NAME_LEN + 1];
	struct call_event e = { .kind = t->kind, .at_ms = t->at_ms };
	struct place p;
	bool ended = false;
	enum hl_err err = find_conversation(call, t, &p, owner);

	if (err)
		return err;
	write_kept(t);
	err = buf_err(&t->json_kept);
	if (err)
		return HL_BAD_REQUEST;
	e.id = text_of(&t->id);
	e.room = text_of(&t->room_sid);
	e.json = t->json_kept.data;
	err = calls_add(&call->app->store, &p, &e, &ended);
	if (err == HL_OK && t->kind == CALL_ROOM_FINISHED)
		err = settle(call, &p, owner, ended);
	return err;
}

/* ---- POST /api/livekit/webhook ---- */

static enum hl_err
check(struct call *call, const char **ret_body, size_t *ret_len)
{
	const char *authorization = fcgi_param(call->fcgi, "HTTP_AUTHORIZATION");
	enum hl_err err = visit_set_up(call);

	if (err)
		return err;
	*ret_body = fcgi_body(call->fcgi, ret_len);
	if (fcgi_body_cut(call->fcgi))
		return call_fail(call, HL_BAD_REQUEST, "The body is shorter than it was said to be");
	if (livekit_webhook_check(&call->app->conf, authorization, *ret_body, *ret_len, clock_wall_ms() / 1000) != HL_OK)
		return call_fail(call, HL_UNAUTHORIZED, "This is not signed by LiveKit with our key, or not now");
	return HL_OK;
}

/* Of a room that is no conversation's, and of what is not known here, nothing is kept: LiveKit need not say it again. */
static enum hl_err
post_webhook(struct call *call)
{
	struct told t = { .event = BUF_INIT(WORD_MAX), .id = BUF_INIT(TEXT_MAX), .room_name = BUF_INIT(TEXT_MAX),
		.room_sid = BUF_INIT(TEXT_MAX), .json_kept = BUF_INIT(CALLS_EVENT_BYTES) };
	struct buf answer = BUF_INIT(64);
	const char *body = "";
	size_t len = 0;
	enum hl_err err = check(call, &body, &len);

	fcgi_on_gone(call->fcgi, NULL, NULL);
	if (err == HL_OK && (json_view_open(body, len, JSON_STRICT, &t.json) != HL_OK || json_view_kind(t.json) != JSON_OBJECT))
		err = call_fail(call, HL_BAD_JSON, "The body is not a JSON object");
	if (err)
		goto out;
	read_event(&t, body, len);
	if (t.event.len == 0 || buf_err(&t.event) || buf_err(&t.id) || buf_err(&t.room_name) || buf_err(&t.room_sid)) {
		err = call_fail(call, HL_BAD_REQUEST, "event must be text of 1 to %d bytes, and ids and names at most %d", WORD_MAX, TEXT_MAX);
		goto out;
	}
	err = keep(call, &t);
	if (err == HL_NOT_FOUND)
		err = HL_OK;
	buf_puts(&answer, "{\"received\":true}");
	if (err == HL_OK)
		err = reply_json(call, 200, &answer);
out:
	told_free(&t);
	buf_free(&answer);
	return err;
}

/* ---- GET /api/conversations/:id/events ---- */

static enum hl_err
get_events(struct call *call)
{
	struct buf body = BUF_INIT(SHOWN_MAX);
	struct desk_conversation c = { 0 };
	struct call_events events = { 0 };
	struct account who;
	enum hl_err err = call_account(call, &who);
	const struct desk_access access = { .account = who.h, .admin = who.admin };

	if (err == HL_OK && !who.stored && !who.admin)
		err = call_fail(call, HL_FORBIDDEN, "This token belongs to no account, so it owns nothing");
	if (err == HL_OK)
		err = desk_read(&call->app->store, &access, call->segment, DESK_NO_MESSAGES, &c);
	if (err == HL_NOT_FOUND)
		err = call_fail(call, err, "There is no such conversation");
	if (err == HL_OK)
		err = calls_read(&call->app->store, &c.place, &events);
	buf_putc(&body, '[');
	for (size_t i = 0; i < events.count; i++) {
		if (i > 0)
			buf_putc(&body, ',');
		buf_add(&body, events.list[i].data, events.list[i].len);
	}
	buf_putc(&body, ']');
	if (err == HL_OK)
		err = reply_json(call, 200, &body);
	call_events_free(&events);
	desk_clear(&c);
	buf_free(&body);
	return err;
}

static const struct route routes[] = {
	{ "POST", "/api/livekit/webhook", BODY_NONE, post_webhook },
	{ "GET", "/api/conversations/:id/events", BODY_NONE, get_events },
};
const struct desk_part desk_livekit_events = { routes, sizeof(routes) / sizeof(routes[0]) };
