/*
 * desk.c - the desk's events (contract: Socket.IO of the desk API).
 *
 * A socket may speak of a conversation that was begun without a token, whose id is its key, and of those that belong to
 * the account whose token it connected with.  What a client says of an agent beside its id is not looked at.
 */
#include <stdio.h>
#include <string.h>

#include "api/reply.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/str.h"
#include "engine/aloud.h"
#include "engine/budget.h"
#include "engine/persona.h"
#include "events/events.h"
#include "records/account.h"
#include "records/agent.h"
#include "records/chat_owner.h"
#include "records/desk.h"

/* ---- events ---- */

void
desk_write_event(struct buf *out, const struct entry *e, const char *conversation_id, bool ends_typing)
{
	static const char *const names[] = { "by", "audioUrl", "audioNotice", "needsEscalation", "confidence", "provider", "sentiment", "escalation", "sources",
		"clientMessageId" };
	size_t count = sizeof(names) / sizeof(names[0]) - e->human;	/* what a person named his reply by is his */
	bool user = e->user;
	char at[CLOCK_ISO_LEN + 1];

	entry_time(e, at);
	buf_printf(out, "[\"%s\",{\"id\":\"%s\",\"seq\":%lld,\"conversationId\":\"%s\",\"message\":",
	    user ? "message-accepted" : "ai_response", e->id, (long long)e->seq, conversation_id);
	json_view_write(out, entry_member(e, "content"));
	buf_printf(out, ",\"timestamp\":\"%s\",\"role\":\"%s\"", at, user ? "user" : "assistant");
	entry_members(out, e, names, count);
	buf_puts(out, user || !ends_typing ? "}]" : "}],[\"typing\",false]");
}

/* ---- start_conversation ---- */

/* What is to be begun. */
struct beginning {
	const char	*user_id, *agent_id, *title;
	bool		 simulator;
	const char	*own;				/* the account whose token came, or NULL */
	char		 account[CRYPTO_NAME_LEN + 1];	/* whose it will be */
	int64_t		 keep_ms;			/* 0: until it is deleted */
	enum aloud	 aloud;
	struct agent	 agent;
	struct buf	 welcome;
	struct welcome_sound sound;
	struct buf	 audio;				/* it, for who wants it within the event */
};

/* The member audio; word, or NULL, gets it as it is kept with a message, NULL if there is none. */
static enum hl_err
read_aloud(struct call *call, const struct json *payload, const char **word, enum aloud *ret)
{
	const struct json *audio = json_get(payload, "audio");
	const char *text = json_string(audio, NULL);

	if ((json_kind(audio) > JSON_NULL && text == NULL) || !aloud_parse(&call->app->conf, text, ret))
		return call_fail(call, HL_BAD_REQUEST, "audio must be url, base64, chunks or none");
	if (word)
		*word = text && *text ? text : NULL;
	return HL_OK;
}

static enum hl_err
read_beginning(struct call *call, const struct json *payload, struct beginning *b)
{
	const struct text_field fields[] = {
		{ "userId", false, ACCOUNT_ID_MAX, HL_BAD_REQUEST, &b->user_id, NULL },
		{ "agentId", false, SEGMENT_MAX, HL_BAD_REQUEST, &b->agent_id, NULL },
	};
	const struct json *simulator = json_get(payload, "isCallSimulator");
	enum hl_err err = request_fields(call, payload, fields, 2, "");

	if (err)
		return err;
	if (json_kind(simulator) > JSON_NULL && json_kind(simulator) != JSON_BOOL)
		return call_fail(call, HL_BAD_REQUEST, "isCallSimulator must be true or false");
	err = read_aloud(call, payload, NULL, &b->aloud);
	if (err)
		return err;
	b->simulator = json_true(simulator);
	b->own = socket_account(call);
	if (!b->simulator && b->agent_id == NULL)
		return call_fail(call, HL_BAD_REQUEST, "start_conversation needs agentId, or isCallSimulator true");
	if (b->simulator && b->own == NULL && b->user_id == NULL)
		return call_fail(call, HL_BAD_REQUEST, "start_conversation needs userId, or a token");
	return HL_OK;
}

/* A call of an agent's belongs to the agent's owner; who has a token calls his own agents. */
static enum hl_err
begin_with_agent(struct call *call, struct beginning *b)
{
	enum hl_err err = agent_read(&call->app->store, b->own, b->agent_id, &b->agent);

	if (err == HL_NOT_FOUND)
		return call_fail(call, err, "Agent not found");
	if (err)
		return err;
	if (!agent_takes_calls(&b->agent, b->own != NULL))
		return call_fail(call, HL_FORBIDDEN, "This agent takes no calls");
	strcpy(b->account, b->agent.owner);
	persona_welcome(&b->agent, &b->welcome);
	return HL_OK;
}

#define NOBODYS_KEEP_MS	86400000

/*
 * Whose a call without a token is: the account's that is named, if there is one, else whose the chat's sessions are.  Where
 * nobody has an account yet it is nobody's, and forgotten after a day.
 */
static enum hl_err
find_owner(struct call *call, struct beginning *b)
{
	struct account named;
	enum hl_err err;

	account_name(&call->app->store, b->user_id, b->account);
	err = account_load(&call->app->store, b->account, &named);
	if (err == HL_NOT_FOUND)
		err = chat_owner(&call->app->store, b->account);
	if (err != HL_NOT_FOUND)
		return err;
	account_name(&call->app->store, "nobody", b->account);
	b->keep_ms = NOBODYS_KEEP_MS;
	return HL_OK;
}

static enum hl_err
begin_simulator(struct call *call, struct beginning *b)
{
	enum hl_err err = HL_OK;

	if (b->own)
		strcpy(b->account, b->own);
	else
		err = find_owner(call, b);
	if (err)
		return err;
	persona_demo(&call->app->conf, &b->agent);
	persona_welcome(&b->agent, &b->welcome);
	return HL_OK;
}

static enum hl_err
begin(struct call *call, struct beginning *b, struct desk_conversation *ret)
{
	struct desk_new new = { .simulator = b->simulator, .anonymous = b->own == NULL, .limits = { .address = call->address } };
	struct bill bill;
	enum hl_err err = b->simulator ? begin_simulator(call, b) : begin_with_agent(call, b);

	if (err == HL_OK)
		err = buf_err(&b->welcome);
	if (err)
		return err;
	if (new.anonymous && !budget_allows_public(&call->app->store, b->account))
		return call_fail(call, HL_TOO_MANY, "This company takes no more calls today");
	new.account = b->account;
	new.keep_ms = b->keep_ms;
	new.once = call->request_id;
	new.welcome = b->welcome.data;
	if (!b->simulator) {
		new.agent = b->agent.h;
		new.company = b->agent.company;
	}
	bill = bill_of(b->account, new.agent, new.anonymous);
	if (b->aloud != ALOUD_NOT)
		aloud_welcome(engine_speaker(call->app->engine), &call->app->store, &bill, b->agent.voice, &b->welcome, &b->sound);
	new.welcome_id = *b->sound.id ? b->sound.id : NULL;
	new.welcome_audio = *b->sound.url ? b->sound.url : NULL;
	err = desk_create(&call->app->store, &new, ret, &call->retry_ms);
	if (err) {
		speech_drop(b->sound.speech);
		b->sound.speech = NULL;
		return err;
	}
	speech_belongs(b->sound.speech, &ret->place);
	if (b->sound.speech && b->aloud == ALOUD_DATA && speech_whole(b->sound.speech, SPEECH_WAIT_MS, &b->audio) != HL_OK)
		buf_free(&b->audio);
	return HL_OK;
}

static void
write_started(struct buf *out, struct call *call, const struct beginning *b, const struct desk_conversation *conv)
{
	char at[CLOCK_ISO_LEN + 1];

	clock_iso(conv->created_ms, at);
	buf_printf(out, "{\"emit\":[[\"conversation_started\",{\"conversationId\":\"%s\",\"welcomeMessage\":{\"role\":\"assistant\","
	    "\"content\":", conv->id);
	buf_json(out, b->welcome.len ? b->welcome.data : "", b->welcome.len);
	buf_printf(out, ",\"timestamp\":\"%s\"", at);
	if (conv->messages.count)
		buf_printf(out, ",\"id\":\"%s\",\"seq\":%lld", conv->messages.list[0].id, (long long)conv->messages.list[0].seq);
	aloud_write(out, b->sound.url, &b->audio);
	buf_putc(out, '}');
	if (b->simulator) {
		buf_puts(out, ",\"demoAgent\":");
		persona_write_demo(&b->agent, out);
	}
	buf_putc(out, '}');
	push_write_offset(out, call, &conv->place, conv->id, conv->seq);
	buf_printf(out, "]],\"ack\":[{\"ok\":true,\"conversationId\":\"%s\"}],", conv->id);
	push_begin_join(out, &conv->place, conv->id);
	buf_printf(out, "\"desk\":\"%s\",\"after\":%lld", conv->id, (long long)conv->seq);
	if (b->aloud == ALOUD_CHUNKS && *b->sound.url) {
		buf_puts(out, ",\"voice\":");
		buf_json_str(out, b->agent.voice ? b->agent.voice : "");
	}
	buf_puts(out, "}}]}");
}

enum hl_err
desk_start(struct call *call, const struct json *payload)
{
	struct beginning b = { .welcome = BUF_INIT(WELCOME_MAX), .audio = BUF_INIT(SPEECH_INLINE_MAX) };
	struct desk_conversation conv = { 0 };
	struct buf body = BUF_INIT(65536 + SPEECH_INLINE_MAX * 2);
	enum hl_err err;

	err = read_beginning(call, payload, &b);
	if (err == HL_OK)
		err = begin(call, &b, &conv);
	if (err == HL_OK) {
		write_started(&body, call, &b, &conv);
		err = reply_json(call, 200, &body);
	}
	speech_leave(b.sound.speech);
	buf_free(&b.audio);
	desk_clear(&conv);
	agent_clear(&b.agent);
	buf_free(&b.welcome);
	buf_free(&body);
	return err == HL_OK || err == HL_STORE ? err : push_refusal(call, err, NULL);
}

/* ---- user_message ---- */

enum hl_err
desk_error(struct call *call, enum hl_err err)
{
	switch (err) {
	case HL_NOT_FOUND:
	case HL_FORBIDDEN:
		return call_fail(call, HL_NOT_FOUND, "Conversation not found, or it is over");
	case HL_TOO_LARGE:
		return call_fail(call, err, "This conversation is full; start a new one");
	case HL_UNPROCESSABLE:
		return call_fail(call, err, "This clientMessageId was used for another message");
	default:
		return err;
	}
}

static enum hl_err
accept_message(struct call *call, const struct json *payload, struct incoming *in, const char **client_id,
    struct turn **turn)
{
	const struct text_field fields[] = {
		{ "clientMessageId", false, CLIENT_ID_MAX, HL_BAD_REQUEST, client_id, NULL },
		{ "conversationId", true, SEGMENT_MAX, HL_BAD_REQUEST, &in->id, NULL },
		{ "message", true, (size_t)call->app->conf.max_message, HL_TOO_LARGE, &in->text, &in->text_len },
	};
	enum hl_err err = request_fields(call, payload, fields, 3, "conversationId and message are required");
	enum aloud way;

	if (err)
		return err;
	err = read_aloud(call, payload, &in->audio, &way);
	if (err)
		return err;
	in->account = socket_account(call);
	in->by_id = true;
	in->client_id = *client_id ? *client_id : call->request_id;
	in->client_named = *client_id != NULL;
	in->except = json_get_string(call->body, "socket");
	in->limits = (struct limits){ .address = call->address, .session = in->id };
	fcgi_on_gone(call->fcgi, NULL, NULL);
	err = turn_accept(call->app->engine, in, turn, &call->retry_ms);
	return desk_error(call, err);
}

void
desk_write_accepted(struct buf *out, struct call *call, const struct incoming *in, const struct turn *turn,
    const char *client_id, const char *event)
{
	struct place place = conversation_place(&call->app->store, in->id);
	bool joined = push_has_joined(call, &place), repeated = turn_repeated(turn), ai = turn_is_assistants(turn);

	buf_puts(out, "{\"emit\":[");
	buf_puts(out, event);
	if (!ai)		/* a client may have begun to show it by itself */
		buf_printf(out, "%s[\"typing\",false]", *event ? "," : "");
	buf_printf(out, "],\"own\":%lld,\"ack\":", (long long)turn_seq(turn));
	push_write_sent(out, turn, client_id);
	if (!joined || turn_was_answered(turn)) {
		buf_putc(out, ',');
		push_begin_join(out, &place, in->id);
		buf_printf(out, "\"desk\":\"%s\",\"after\":%lld%s%s}}]", in->id, (long long)turn_seq(turn),
		    ai && !repeated ? ",\"typing\":true" : "", turn_was_answered(turn) ? ",\"answered\":true" : "");
	}
	buf_putc(out, '}');
}

enum hl_err
desk_say(struct call *call, const struct json *payload)
{
	struct incoming in = { 0 };
	struct buf body = BUF_INIT(8192);
	const char *client_id = NULL;
	struct turn *turn = NULL;
	enum hl_err err;

	err = accept_message(call, payload, &in, &client_id, &turn);
	if (err)
		return err == HL_STORE ? err : push_refusal(call, err, client_id);
	desk_write_accepted(&body, call, &in, turn, client_id, "");
	err = reply_json(call, 200, &body);
	turn_leave(turn);
	buf_free(&body);
	return err;
}

/* ---- joined ---- */

/* What was answered since then, in case it was quicker than the subscription.  owner: if it has been read, after that. */
static void
write_joined(struct buf *out, const struct call *call, const struct json *then, const struct entries *messages,
    const struct ownership *owner, const char *id, int64_t after)
{
	bool again = events_again(call, then);
	const struct entry *answer = again ? events_answer(messages, after) : NULL;
	int64_t seq = after + (int64_t)messages->count;
	const char *comma = "";

	push_begin_joined(out, call);
	if (!again)
		buf_printf(out, "\"from\":%lld,", (long long)after);
	buf_printf(out, "\"seq\":%lld,\"messages\":[", (long long)seq);
	if (json_true(json_get(then, "typing"))) {
		buf_printf(out, "{\"seq\":%lld,\"emit\":[[\"typing\",true]]}", (long long)after);
		comma = ",";
	}
	for (size_t i = 0; i < messages->count; i++) {
		if (again ? &messages->list[i] != answer : messages->list[i].user)
			continue;
		buf_printf(out, "%s{\"seq\":%lld,\"emit\":[", comma, (long long)messages->list[i].seq);
		desk_write_event(out, &messages->list[i], id, owner == NULL || !owner->owed);
		buf_puts(out, "]}");
		comma = ",";
	}
	if (owner && !again) {
		buf_printf(out, "%s{\"seq\":%lld,\"emit\":[", comma, (long long)seq);
		events_write_state(out, owner);
		buf_puts(out, "]}");
	}
	buf_puts(out, "]}");
}

/*
 * As much as a socket that comes back may have missed (lib/push/returning.c has the same): it is not in the room then, until
 * it speaks in it.
 */
#define BACK_MAX	(512u * 1024)

static void
give_up_back(struct buf *out, const char *room)
{
	buf_reset(out);
	buf_printf(out, "{\"leave\":[\"room:%s\"]}", room);
}

/* Its sound once more, from the cache, to the room, which is heard from now on. */
static void
say_welcome(struct call *call, const struct place *place, const char *voice)
{
	const struct bill nobodys = { 0 };	/* it is in the cache, or on its way there */
	struct entries messages = { 0 };
	struct speech *speech = NULL;
	size_t len;
	const char *text;

	if (conversation_replay(&call->app->store, place, 0, &messages) == HL_OK && messages.count) {
		text = entry_content(&messages.list[0], &len);
		speech = aloud_again(engine_speaker(call->app->engine), &call->app->store, place, messages.list[0].id, &nobodys);
		if (speech)
			speech_end(speech, voice, text, len);
		speech_leave(speech);
	}
	entries_free(&messages);
}

enum hl_err
desk_joined(struct call *call, const char *room, const struct json *then)
{
	const char *id = json_get_string(then, "desk");
	struct buf body = BUF_INIT(ANSWER_BYTES);
	struct entries messages = { 0 };
	bool back = json_true(json_get(then, "back")), stays = back || events_again(call, then);
	struct ownership owner;
	struct place place;
	int64_t after = 0;
	enum hl_err err;

	if (!id_valid(id) || !json_integer(json_get(then, "after"), &after))
		return call_fail(call, HL_BAD_REQUEST, "then is not what this program gave");
	snprintf(place.h, sizeof(place.h), "%s", room);
	err = conversation_replay(&call->app->store, &place, after, &messages);
	if (err == HL_OK && stays)
		err = conversation_owner(&call->app->store, &place, &owner);
	if (err == HL_OK) {
		write_joined(&body, call, then, &messages, stays ? &owner : NULL, id, after);
		if (back && body.len > BACK_MAX)
			give_up_back(&body, room);
		err = reply_json(call, 200, &body);
	}
	if (err == HL_OK && json_get_string(then, "voice"))
		say_welcome(call, &place, json_get_string(then, "voice"));
	entries_free(&messages);
	buf_free(&body);
	return err;
}
