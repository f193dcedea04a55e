/*
 * replay.c - what a socket of a room has missed.
 */
#include <stdio.h>

#include "api/reply.h"
#include "events/events.h"
#include "records/desk.h"

bool
events_again(const struct call *call, const struct json *then)
{
	return json_true(json_get(call->body, "in")) && json_true(json_get(then, "answered"));
}

const struct entry *
events_answer(const struct entries *messages, int64_t sent)
{
	int64_t covered;

	for (const struct entry *e = messages->list; e < messages->list + messages->count; e++)
		if (!e->user && (!json_view_integer(entry_member(e, "for"), &covered) || covered >= sent))
			return e;
	return NULL;
}

void
events_write_state(struct buf *out, const struct ownership *owner)
{
	if (owner->epoch > 0)		/* it has had another one */
		buf_printf(out, "[\"hand-over\",{\"owner\":\"%s\"}],", owner->person ? "human" : "ai");
	buf_printf(out, "[\"typing\",%s]", owner->owed ? "true" : "false");
}

/* owner NULL: the conversation is gone. */
static void
write_replay(struct buf *out, const struct entries *messages, const struct ownership *owner, int64_t seq, const char *desk_id)
{
	buf_printf(out, "{\"seq\":%lld,\"epoch\":%lld,\"emit\":[", (long long)seq, owner ? (long long)owner->epoch : 0);
	if (owner)
		events_write_state(out, owner);
	else
		buf_puts(out, "[\"typing\",false]");
	buf_puts(out, "],\"messages\":[");
	for (size_t i = 0; i < messages->count; i++) {
		buf_printf(out, "%s{\"seq\":%lld,\"emit\":[", i ? "," : "", (long long)messages->list[i].seq);
		if (*desk_id)
			desk_write_event(out, &messages->list[i], desk_id, true);
		else
			chat_write_event(out, &messages->list[i], true);
		buf_puts(out, "]}");
	}
	buf_puts(out, "]}");
}

/* A room is of one dialect, whoever listens. */
enum hl_err
events_replay(struct call *call)
{
	struct buf body = BUF_INIT(ANSWER_BYTES);
	char desk_id[ID_LEN + 1];
	struct entries messages = { 0 };
	struct ownership owner;
	struct place place;
	int64_t after = 0, seq;
	bool gone = false;
	enum hl_err err;

	snprintf(place.h, sizeof(place.h), "%s", events_room(call));
	if (!json_integer(json_get(call->body, "after"), &after))
		return call_fail(call, HL_BAD_REQUEST, "after must be a whole number");
	err = desk_id_at(&call->app->store, &place, desk_id);
	if (err == HL_OK || err == HL_NOT_FOUND)
		err = conversation_replay(&call->app->store, &place, after, &messages);
	seq = after + (int64_t)messages.count;
	if (err == HL_OK && messages.count == 0)	/* a store that took over may have less than was told of the one before */
		err = conversation_length(&call->app->store, &place, &seq);
	if (err == HL_OK) {
		err = conversation_owner(&call->app->store, &place, &owner);
		gone = err == HL_NOT_FOUND;
	}
	if (err == HL_OK || gone) {
		write_replay(&body, &messages, gone ? NULL : &owner, seq, desk_id);
		err = reply_json(call, 200, &body);
	}
	entries_free(&messages);
	buf_free(&body);
	return err;
}
