/*
 * talk_person.c - while a person of the company has the conversation, what he writes is said in the call.
 */
#include <string.h>

#include "base/log.h"
#include "engine/talk_parts.h"

#define LINE_BYTES	(512u * 1024)

/* What a line of the room says (escalation.h): who has the conversation now, or what a person has written. */
static void
take_line(struct talk *t, struct json_view line)
{
	struct json_view name = { 0 }, payload;

	if (!json_view_next(line, &name))
		return;
	payload = name;
	if (!json_view_next(line, &payload))
		return;
	if (json_view_is(name, "hand-over")) {
		t->person = json_view_is(json_view_get(payload, "owner"), "human");
		t->told_person = false;
	} else if (json_view_is(name, "ai_response") && json_view_is(json_view_get(payload, "by"), "human")) {
		buf_puts(&t->written, t->written.len ? "\n\n" : "");
		(void)json_view_string(json_view_get(payload, "message"), &t->written);
		talk_stir(t);
	}
}

static void
on_room(void *arg, const char *payload, size_t len)
{
	const char *at = memchr(payload, '\n', len), *end = payload + len;
	struct talk *t = arg;
	struct json_view line;

	while (at && ++at < end && !t->over) {
		const char *next = memchr(at, '\n', (size_t)(end - at));

		if (json_view_open(at, (size_t)((next ? next : end) - at), JSON_STRICT, &line) == HL_OK && json_view_kind(line) == JSON_ARRAY)
			take_line(t, line);
		at = next;
	}
}

void
talk_listen_to_person(struct talk *t)
{
	static const struct redis_sub_calls calls = { .message = on_room };
	char room[CONVERSATION_KEY_MAX];
	enum hl_err err;

	t->written = BUF_INIT(LINE_BYTES);
	conversation_room(&t->place, room);
	err = redis_subscribe(t->all->store->redis, room, &calls, t, &t->room);
	if (err)
		log_line(LOG_LEVEL_WARN, "call_room", "problem", err_code(err), NULL);
}

/* Nobody is interrupted by it: neither who speaks nor what is being said. */
bool
talk_person_is_due(const struct talk *t)
{
	return t->written.len && *t->said_id == '\0' && !(t->mouth && mouth_talks(t->mouth));
}

void
talk_say_person(struct talk *t)
{
	talk_begin_answer(t);
	if (buf_err(&t->written) == HL_OK)
		spoken_feed(&t->spoken, t->written.data, t->written.len);
	buf_free(&t->written);
	t->written = BUF_INIT(LINE_BYTES);
	talk_say_rest(t);
}
