/*
 * told.c - what pushd is told whatever was said: refusals and rooms to be joined.
 */
#include <string.h>

#include "api/reply.h"
#include "base/clock.h"
#include "base/str.h"
#include "events/events.h"
#include "push/publication.h"

enum hl_err
push_refusal(struct call *call, enum hl_err why, const char *client_id)
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

enum hl_err
push_text(struct call *call, const char *text)
{
	struct buf body = BUF_INIT(1024);
	enum hl_err err;

	buf_puts(&body, text);
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

const char *
socket_account(const struct call *call)
{
	const char *name = json_get_string(json_get(call->body, "state"), "account");

	return name && strlen(name) == CRYPTO_NAME_LEN ? name : NULL;
}

void
push_begin_room(struct buf *out, const struct place *place, const char *id)
{
	char room[CONVERSATION_KEY_MAX];

	conversation_room(place, room);
	buf_printf(out, "{\"room\":\"%s\",\"alias\":", room);
	buf_json_str(out, id);		/* what emitters call it */
}

void
push_begin_join(struct buf *out, const struct place *place, const char *id)
{
	buf_puts(out, "\"join\":[");
	push_begin_room(out, place, id);
	buf_puts(out, ",\"then\":{");
}

void
push_begin_join_unless(struct buf *out, const char *event, int64_t wait_ms, const struct place *place, const char *id,
    const struct turn *turn, const char *client_id)
{
	buf_puts(out, "\"join\":[");
	push_begin_room(out, place, id);
	if (event)
		buf_printf(out, ",\"unless\":\"%s\",\"wait\":%lld%s", event, (long long)wait_ms,
		    turn_was_answered(turn) ? ",\"alone\":true" : "");
	buf_printf(out, ",\"own\":%lld,\"ack\":", (long long)turn_seq(turn));
	push_write_sent(out, turn, client_id);
	buf_puts(out, ",\"then\":{");
}

void
push_begin_joined(struct buf *out, const struct call *call)
{
	const char *account = socket_account(call);

	buf_printf(out, "{\"state\":{\"room\":\"room:%s\"", events_room(call));
	if (account)
		buf_printf(out, ",\"account\":\"%s\"", account);
	buf_puts(out, "},");
}

void
push_write_offset(struct buf *out, const struct call *call, const struct place *place, const char *id, int64_t seq)
{
	char room[CONVERSATION_KEY_MAX], tag[PUBLICATION_TAG_MAX], offset[PUBLICATION_OFFSET_MAX];

	if (call->app->conf.recovery_ms == 0)
		return;
	conversation_room(place, room);
	publication_tag(room, (struct span){ id, strlen(id) }, tag);
	publication_offset(tag, seq, offset);
	buf_printf(out, ",\"%s\"", offset);
}

bool
push_has_joined(const struct call *call, const struct place *place)
{
	char room[CONVERSATION_KEY_MAX];

	conversation_room(place, room);
	return str_equal(json_get_string(json_get(call->body, "state"), "room"), room);
}

void
push_write_sent(struct buf *out, const struct turn *turn, const char *client_id)
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
