/*
 * voice.c - voice_start: who may speak where, and with which process (contract: Socket.IO of the desk API, live calls).
 */
#include <string.h>

#include "api/reply.h"
#include "api/request.h"
#include "base/pcm.h"
#include "engine/budget.h"
#include "engine/hearing.h"
#include "engine/persona.h"
#include "events/events.h"
#include "records/agent.h"
#include "records/desk.h"

#define RATE_DEFAULT	16000

struct calling {
	const char	*id;
	int64_t		 rate;
	bool		 greet;
};

static enum hl_err
read_calling(struct call *call, const struct json *payload, struct calling *ret)
{
	const struct text_field fields[] = {
		{ "conversationId", true, SEGMENT_MAX, HL_BAD_REQUEST, &ret->id, NULL },
	};
	const struct json *rate = json_get(payload, "rate"), *greet = json_get(payload, "greet");
	enum hl_err err = request_fields(call, payload, fields, 1, "conversationId is required");

	if (err)
		return err;
	ret->rate = RATE_DEFAULT;
	if (json_kind(rate) > JSON_NULL && (!json_integer(rate, &ret->rate) || ret->rate < PCM_RATE_MIN || ret->rate > PCM_RATE_MAX))
		return call_fail(call, HL_BAD_REQUEST, "rate must be a whole number from 8000 to 48000: samples a second");
	if (json_kind(greet) > JSON_NULL && json_kind(greet) != JSON_BOOL)
		return call_fail(call, HL_BAD_REQUEST, "greet must be true or false");
	ret->greet = json_true(greet);
	return HL_OK;
}

static enum hl_err
find_conversation(struct call *call, const struct calling *c, struct desk_conversation *ret)
{
	struct desk_access who = { .account = socket_account(call), .by_id = true };
	enum hl_err err = desk_read(&call->app->store, &who, c->id, c->greet ? 0 : DESK_NO_MESSAGES, ret);

	if (err == HL_NOT_FOUND)
		return call_fail(call, err, "Conversation not found, or it is over");
	if (err == HL_OK && ret->anonymous && !budget_allows_public(&call->app->store, ret->account))
		return call_fail(call, HL_TOO_MANY, "This company takes no more calls today");
	return err;
}

/* The agent's, "" where none is set. */
static void
find_voice(struct call *call, const struct desk_conversation *conv, char *ret, size_t max)
{
	struct agent agent;

	*ret = '\0';
	if (*conv->agent == '\0' || agent_load(&call->app->store, conv->agent, &agent) != HL_OK)
		return;
	if (agent.voice && strlen(agent.voice) < max)
		strcpy(ret, agent.voice);
	agent_clear(&agent);
}

/* A call that begins the conversation begins with its welcome. */
static const char *
greeting_of(const struct calling *c, const struct desk_conversation *conv, char out[WELCOME_MAX + 1])
{
	const char *words;
	size_t len;

	if (!c->greet || conv->messages.count != 1 || conv->messages.list[0].user)
		return NULL;
	words = entry_content(&conv->messages.list[0], &len);
	if (words == NULL || len > WELCOME_MAX)
		return NULL;
	memcpy(out, words, len);
	out[len] = '\0';
	return out;
}

static enum hl_err
expect(struct call *call, const struct calling *c, const struct desk_conversation *conv, char key[ID_LEN + 1], const char **path)
{
	char voice[64], greeting[WELCOME_MAX + 1];
	struct talk_who who = { .conversation_id = conv->id, .account = socket_account(call),
	    .payer = conv->anonymous ? conv->account : NULL,
	    .bill = bill_of(conv->account, conv->agent, conv->anonymous), .address = call->address,
	    .socket = json_get_string(call->body, "socket"), .rate = (unsigned)c->rate, .voice = voice };
	enum hl_err err;

	who.greeting = greeting_of(c, conv, greeting);
	if (who.socket == NULL)
		return HL_BAD_REQUEST;
	find_voice(call, conv, voice, sizeof(voice));
	err = phone_expect(call->app, &who, key, path);
	if (err == HL_BUSY)
		return call_fail(call, err, "All lines are taken at the moment; try again, or type");
	return err;
}

static void
write_granted(struct buf *out, struct call *call, const struct desk_conversation *conv, const char *key, const char *path)
{
	buf_printf(out, "{\"ack\":[{\"ok\":true,\"conversationId\":\"%s\"}],\"line\":{\"socket\":", conv->id);
	buf_json_str(out, path);
	buf_printf(out, ",\"key\":\"%s\"}", key);
	if (!push_has_joined(call, &conv->place)) {
		buf_putc(out, ',');
		push_begin_join(out, &conv->place, conv->id);
		buf_printf(out, "\"desk\":\"%s\",\"after\":%lld}}]", conv->id, (long long)conv->seq);
	}
	buf_putc(out, '}');
}

enum hl_err
voice_start(struct call *call, const struct json *payload)
{
	struct desk_conversation conv = { 0 };
	struct buf body = BUF_INIT(8192);
	struct calling c = { 0 };
	char key[ID_LEN + 1];
	const char *path;
	enum hl_err err = read_calling(call, payload, &c);

	if (err == HL_OK && !conf_hears(&call->app->conf))
		err = call_fail(call, HL_UPSTREAM, "Nobody can be called here at the moment: please write instead");
	if (err == HL_OK)
		err = find_conversation(call, &c, &conv);
	if (err == HL_OK)
		err = expect(call, &c, &conv, key, &path);
	if (err == HL_OK) {
		write_granted(&body, call, &conv, key, path);
		err = reply_json(call, 200, &body);
	}
	desk_clear(&conv);
	buf_free(&body);
	return err == HL_OK || err == HL_STORE ? err : push_refusal(call, err, NULL);
}
