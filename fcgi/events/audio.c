/*
 * audio.c - user_audio: a whole recording as a binary message (contract: Socket.IO of the desk API).
 *
 * {conversationId, transcript?, clientMessageId?} and one attachment, as long as a packet may be.  What it is, its bytes say.  Its
 * words become the customer's message, and are told to the socket: transcript {conversationId, id, text, final, audioUrl}.
 */
#include "api/reply.h"
#include "api/request.h"
#include "base/engineio.h"
#include "base/str.h"
#include "engine/budget.h"
#include "engine/recorded.h"
#include "events/events.h"
#include "records/desk.h"

#define ATTACHMENT_MAX	(16u << 20)

struct audio_in {
	const char	*id, *client_id, *transcript;
	size_t		 transcript_len;
	struct buf	 bytes;
	struct place	 place;
	struct bill	 bill;
};

static enum hl_err
read_audio(struct call *call, const struct json *payload, struct audio_in *in)
{
	const struct text_field fields[] = {
		{ "conversationId", true, SEGMENT_MAX, HL_BAD_REQUEST, &in->id, NULL },
		{ "clientMessageId", false, CLIENT_ID_MAX, HL_BAD_REQUEST, &in->client_id, NULL },
		{ "transcript", false, (size_t)call->app->conf.max_message, HL_TOO_LARGE, &in->transcript, &in->transcript_len },
	};
	const char *base64;
	size_t len;
	enum hl_err err = request_fields(call, payload, fields, 3, "conversationId is required");

	if (err)
		return err;
	if (in->transcript && str_blank(in->transcript, in->transcript_len))
		in->transcript = NULL;
	base64 = json_string(json_at(json_get(call->body, "binary"), 0), &len);
	if (base64 == NULL || json_length(json_get(call->body, "binary")) != 1)
		return call_fail(call, HL_BAD_REQUEST, "user_audio needs the recording as one binary argument");
	err = eio_base64(base64, len, &in->bytes);
	return err == HL_BAD_REQUEST ? HL_INTERNAL : err;
}

static enum hl_err
find_conversation(struct call *call, struct audio_in *in)
{
	struct desk_access who = { .account = socket_account(call), .by_id = true };
	struct desk_conversation c = { 0 };
	enum hl_err err = desk_read(&call->app->store, &who, in->id, DESK_NO_MESSAGES, &c);

	in->place = c.place;
	in->bill = bill_of(c.account, c.agent, c.anonymous);
	if (err == HL_OK && c.anonymous && !budget_allows_public(&call->app->store, c.account))
		err = call_fail(call, HL_TOO_MANY, "This company takes no more calls today");
	desk_clear(&c);
	return err == HL_NOT_FOUND ? desk_error(call, err) : err;
}

static void
write_transcript(struct buf *out, const struct audio_in *in, const struct recorded *r, const struct turn *turn)
{
	buf_printf(out, "[\"transcript\",{\"conversationId\":\"%s\",\"id\":\"%s\",\"text\":", in->id, turn_message_id(turn));
	buf_json(out, r->words.data, r->words.len);
	buf_puts(out, ",\"final\":true,\"audioUrl\":");
	buf_json_str(out, r->url);
	buf_puts(out, "}]");
}

static enum hl_err
say(struct call *call, const struct audio_in *in, struct recorded *r)
{
	struct incoming message = { .id = in->id, .account = socket_account(call), .by_id = true, .text = r->words.data,
		.text_len = r->words.len, .client_id = in->client_id ? in->client_id : call->request_id,
		.client_named = in->client_id != NULL, .except = json_get_string(call->body, "socket"), .recorded = true, .audio_url = r->url };
	struct buf body = BUF_INIT(512 * 1024), event = BUF_INIT(256 * 1024);
	struct turn *turn = NULL;
	enum hl_err err;

	message.limits = (struct limits){ .address = call->address, .session = in->id };
	fcgi_on_gone(call->fcgi, NULL, NULL);
	err = turn_accept(call->app->engine, &message, &turn, &call->retry_ms);
	if (err) {
		if (err != HL_STORE)	/* which may have stored it after all */
			recorded_drop(&call->app->conf, r);
		return desk_error(call, err);
	}
	recorded_accepted(&call->app->store, &call->app->conf, r, &in->place, turn);
	write_transcript(&event, in, r, turn);
	desk_write_accepted(&body, call, &message, turn, in->client_id, event.len ? event.data : "");
	err = reply_json(call, 200, &body);
	turn_leave(turn);
	buf_free(&event);
	buf_free(&body);
	return err;
}

enum hl_err
audio_say(struct call *call, const struct json *payload)
{
	struct audio_in in = { .bytes = BUF_INIT(ATTACHMENT_MAX) };
	struct recorded r = { 0 };
	enum hl_err err;

	err = read_audio(call, payload, &in);
	if (err == HL_OK)
		err = find_conversation(call, &in);
	if (err == HL_OK) {
		const struct recorded_in sound = { in.place, in.bytes.data, in.bytes.len, in.transcript, in.transcript_len, call->shown_id,
			in.bill };

		err = recorded_take(&call->app->conf, engine_ear(call->app->engine), &sound, &r);
		if (err && r.problem)
			err = call_fail(call, err, "%s", r.problem);
	}
	if (err == HL_OK)
		err = say(call, &in, &r);
	recorded_free(&r);
	buf_free(&in.bytes);
	return err == HL_OK || err == HL_STORE ? err : push_refusal(call, err, in.client_id);
}
