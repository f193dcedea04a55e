/*
 * An account's agents as models of OpenAI's API, for voice workers and whatever else takes a model's address (contract: desk
 * API, A model for other programs).  The caller has the conversation; what is stored of it is said in engine/relay.h.
 */
#include <string.h>

#include "api/kept.h"
#include "api/openai.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "desk/completion.h"
#include "desk/desk.h"

#define PREFIX		"helpline/"
#define MODEL_SHOWN	200		/* bytes of a name that is none */
#define LIST_MAX	(1u << 20)
#define REPLY_MAX	(2u * 1024 * 1024)
#define DAY_MS		86400000

/* ---- whose agent is meant ---- */

static enum hl_err
no_model(struct call *call, const char *model)
{
	bool readable = utf8_valid(model, strlen(model));
	size_t len = readable ? utf8_cut(model, strlen(model), MODEL_SHOWN) : 0;

	call->openai.code = "model_not_found";
	return call_fail(call, HL_NOT_FOUND, "The model `%.*s` does not exist: a model is the id of an active agent of the key's account, "
	    "or " PREFIX " and its name", (int)len, model);
}

/* "ID NAME\n" of those who take calls, the oldest first: names are one line, and ids have no blanks. */
static enum hl_err
write_names(struct store *store, const char *owner, struct buf *out)
{
	struct agents all;
	enum hl_err err = agent_list(store, owner, &all, NULL);

	for (size_t i = all.count; i-- > 0; )
		if (agent_takes_calls(&all.list[i], true))
			buf_printf(out, "%s %s\n", all.list[i].id, all.list[i].name);
	buf_puts(out, "");
	agents_free(&all);
	return err ? err : buf_err(out);
}

/* Of two with the same name the older one keeps it. */
static bool
find_id(const char *names, const char *name, char id[ID_LEN + 1])
{
	size_t len = strlen(name), line;

	for (; names && *names; names += line + 1) {
		line = strcspn(names, "\n");
		if (line == ID_LEN + 1 + len && memcmp(names + ID_LEN + 1, name, len) == 0) {
			memcpy(id, names, ID_LEN);
			id[ID_LEN] = '\0';
			return true;
		}
	}
	return false;
}

/* Who is called so, as long as no agent of the account changes: kept. */
static enum hl_err
find_named(struct call *call, const char *owner, const char *name, char id[ID_LEN + 1])
{
	struct store *store = &call->app->store;
	struct kept_body made = { .body = BUF_INIT(LIST_MAX), .link = BUF_INIT(0), .parts = BUF_INIT(0) };
	const struct kept_body *body;
	char key[CRYPTO_NAME_LEN + 1];
	struct making making;
	int64_t version = 0;
	enum hl_err err = HL_OK;

	if (call->app->kept == NULL)
		err = kept_new(&call->app->kept);
	if (err == HL_OK)
		err = agent_version(store, owner, &version);
	if (err)
		return err;
	crypto_name(call->app->crypto, "models", owner, strlen(owner), key);
	do {
		body = kept_find(call->app->kept, key, version);
		if (body)
			return find_id(body->body.data, name, id) ? HL_OK : HL_NOT_FOUND;
	} while (!kept_make(call->app->kept, key, version, &making));
	err = write_names(store, owner, &made.body);
	kept_made(call->app->kept, &making, err ? NULL : &made);
	if (err == HL_OK && !find_id(made.body.data, name, id))
		err = HL_NOT_FOUND;
	buf_free(&made.body);
	return err;
}

static enum hl_err
find_model(struct call *call, const struct api_key *key, const char *model, struct agent *ret)
{
	char id[ID_LEN + 1];
	enum hl_err err = HL_OK;

	*ret = (struct agent){ .temperature = -1 };
	if (strncmp(model, PREFIX, sizeof(PREFIX) - 1) == 0) {
		err = find_named(call, key->owner, model + sizeof(PREFIX) - 1, id);
		if (err == HL_OK)
			err = agent_read(&call->app->store, key->owner, id, ret);
	} else
		err = agent_read(&call->app->store, key->owner, model, ret);
	if (err == HL_NOT_FOUND || (err == HL_OK && !agent_takes_calls(ret, true)))
		return no_model(call, model);
	return err;
}

/* ---- the list ---- */

static void
write_model(struct buf *out, const char *model, const struct agent *a)
{
	buf_puts(out, "{\"id\":");
	buf_json_str(out, model);
	buf_printf(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":", (long long)(a->created_ms / 1000));
	buf_json_str(out, a->company);
	buf_printf(out, ",\"x_helpline\":{\"agent\":\"%s\",\"name\":", a->id);
	buf_json_str(out, a->name);
	buf_puts(out, "}}");
}

/* By its name, which people can read, unless that is an older agent's. */
static void
write_listed(struct buf *out, const struct agents *all, size_t at)
{
	struct buf model = BUF_INIT(1024);
	bool taken = false;

	buf_printf(&model, PREFIX "%s", all->list[at].name);
	for (size_t i = at + 1; i < all->count && !taken; i++)
		taken = agent_takes_calls(&all->list[i], true) && str_equal(all->list[i].name, all->list[at].name);
	write_model(out, taken || model.len == 0 ? all->list[at].id : model.data, &all->list[at]);
	buf_free(&model);
}

static enum hl_err
get_models(struct call *call)
{
	struct buf body = BUF_INIT(REPLY_MAX);
	struct agents all = { 0 };
	struct api_key key;
	enum hl_err err = openai_key(call, false, &key);

	if (err == HL_OK)
		err = agent_list(&call->app->store, key.owner, &all, NULL);
	if (err)
		return err;
	buf_puts(&body, "{\"object\":\"list\",\"data\":[");
	for (size_t i = 0; i < all.count; i++) {
		if (!agent_takes_calls(&all.list[i], true))
			continue;
		if (body.data[body.len - 1] == '}')
			buf_putc(&body, ',');
		write_listed(&body, &all, i);
	}
	buf_puts(&body, "]}");
	agents_free(&all);
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
reply_model(struct call *call, const char *model)
{
	struct buf body = BUF_INIT(REPLY_MAX);
	struct agent a = { .temperature = -1 };
	struct api_key key;
	enum hl_err err = openai_key(call, false, &key);

	if (err == HL_OK)
		err = find_model(call, &key, model, &a);
	if (err == HL_OK) {
		write_model(&body, model, &a);
		err = reply_json(call, 200, &body);
	}
	agent_clear(&a);
	buf_free(&body);
	return err;
}

static enum hl_err
get_model(struct call *call)
{
	return reply_model(call, call->segment);
}

static enum hl_err
get_named_model(struct call *call)
{
	char model[sizeof(PREFIX) + SEGMENT_MAX] = PREFIX;

	strcat(model, call->segment);
	return reply_model(call, model);
}

/* ---- the answer ---- */

struct completion {
	struct call	*call;
	const struct completion_request *asked;
	char		 agent[ID_LEN + 1], id[ID_LEN + 1];
	int64_t		 created_s;
	size_t		 shown;		/* bytes of the answer's text that have been sent */
	struct relay	 relay;
};

static void
write_head(const struct completion *c, const char *object, struct buf *out)
{
	buf_printf(out, "{\"id\":\"chatcmpl-%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", c->id, object, (long long)c->created_s);
	buf_json_str(out, c->asked->model);
}

static void
write_usage(const struct verdict *v, struct buf *out)
{
	buf_printf(out, ",\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld}", (long long)v->prompt_tokens,
	    (long long)v->completion_tokens, (long long)(v->prompt_tokens + v->completion_tokens));
}

/* What OpenAI's API has no place for. */
static void
write_ours(const struct completion *c, const struct verdict *v, struct buf *out)
{
	const char *intents[4];
	size_t n = intent_names(v->intents, intents);

	buf_printf(out, ",\"x_helpline\":{\"agent\":\"%s\",\"provider\":\"%s\",\"confidence\":%.3g,\"needsEscalation\":%s,\"escalation\":",
	    c->agent, v->provider, v->confidence, v->reason ? "true" : "false");
	if (v->reason) {
		buf_printf(out, "{\"reason\":\"%s\"", v->reason);
		if (*c->relay.escalation_id)
			buf_printf(out, ",\"id\":\"%s\"", c->relay.escalation_id);
		if (v->keyword) {
			buf_puts(out, ",\"keyword\":");
			buf_json_str(out, v->keyword);
		}
		buf_putc(out, '}');
	} else
		buf_puts(out, "null");
	buf_printf(out, ",\"sentiment\":\"%s\",\"intents\":[", sentiment_name(v->sentiment));
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s\"%s\"", i ? "," : "", intents[i]);
	buf_puts(out, "],\"sources\":");
	passages_json(out, &v->passages);
	if (c->relay.stored)
		buf_printf(out, ",\"conversationId\":\"%s\",\"owner\":\"%s\"", c->relay.id, c->relay.owner.person ? "human" : "ai");
	buf_putc(out, '}');
}

static enum hl_err
reply_whole(const struct completion *c, const struct verdict *v)
{
	struct buf body = BUF_INIT(REPLY_MAX);
	enum hl_err err;

	write_head(c, "chat.completion", &body);
	buf_puts(&body, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
	buf_json(&body, v->text.data, v->text.len);
	buf_puts(&body, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}]");
	write_usage(v, &body);
	write_ours(c, v, &body);
	buf_putc(&body, '}');
	err = reply_json(c->call, 200, &body);
	buf_free(&body);
	return err;
}

/* ---- the answer as it is written ---- */

/* delta: a JSON object, NULL in the last one, which has no choice.  v: of the last two. */
static enum hl_err
send_chunk(struct completion *c, const struct buf *delta, const char *finish, const struct verdict *v)
{
	struct buf chunk = BUF_INIT(REPLY_MAX);
	enum hl_err err = delta ? buf_err(delta) : HL_OK;

	write_head(c, "chat.completion.chunk", &chunk);
	buf_puts(&chunk, ",\"choices\":[");
	if (delta) {
		buf_puts(&chunk, "{\"index\":0,\"delta\":");
		buf_add(&chunk, delta->data, delta->len);
		buf_printf(&chunk, ",\"logprobs\":null,\"finish_reason\":%s}", finish ? finish : "null");
	}
	buf_putc(&chunk, ']');
	if (delta == NULL)
		write_usage(v, &chunk);
	else if (c->asked->usage)
		buf_puts(&chunk, ",\"usage\":null");
	if (delta && v)
		write_ours(c, v, &chunk);
	buf_putc(&chunk, '}');
	if (err == HL_OK)
		err = buf_err(&chunk);
	if (err == HL_OK)
		err = reply_data(c->call, chunk.data, chunk.len);
	buf_free(&chunk);
	return err;
}

static enum hl_err
send_delta(struct completion *c, const char *json, const char *finish, const struct verdict *v)
{
	struct buf delta = BUF_INIT(256);
	enum hl_err err;

	buf_puts(&delta, json);
	err = send_chunk(c, &delta, finish, v);
	buf_free(&delta);
	return err;
}

/* The status goes out with the first words: what fails before them is an error as it should be. */
static enum hl_err
begin_stream(struct completion *c)
{
	enum hl_err err = reply_stream(c->call);

	return err ? err : send_delta(c, "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", NULL, NULL);
}

static enum hl_err
send_text(void *arg, const char *text, size_t len)
{
	struct completion *c = arg;
	struct buf delta = BUF_INIT(REPLY_MAX);
	enum hl_err err = c->call->answered ? HL_OK : begin_stream(c);

	buf_puts(&delta, "{\"content\":");
	buf_json(&delta, text, len);
	buf_putc(&delta, '}');
	if (err == HL_OK)
		err = send_chunk(c, &delta, NULL, NULL);
	c->shown += len;
	buf_free(&delta);
	return err;
}

static enum hl_err
end_stream(struct completion *c, const struct verdict *v)
{
	enum hl_err err = HL_OK;

	if (v->text.len > c->shown || !c->call->answered)
		err = send_text(c, v->text.data + c->shown, v->text.len - c->shown);
	if (err == HL_OK)
		err = send_delta(c, "{}", "\"stop\"", v);
	if (err == HL_OK && c->asked->usage)
		err = send_chunk(c, NULL, NULL, v);
	return err ? err : reply_data(c->call, "[DONE]", 6);
}

/* What fails after the first words is told as OpenAI tells it, too: an event that is an error. */
static enum hl_err
break_stream(struct call *call, enum hl_err err)
{
	struct buf event = BUF_INIT(8192);
	enum hl_err sent;

	openai_write_error(call, err, &event);
	sent = buf_err(&event);
	if (sent == HL_OK)
		sent = reply_data(call, event.data, event.len);
	buf_free(&event);
	return sent == HL_OK ? err : sent;
}

/* ---- POST /v1/chat/completions ---- */

/* The model could not answer: the caller, who may have another one, is told so instead of the customer. */
static enum hl_err
explain_silence(struct call *call, const struct verdict *v)
{
	if (v->over_budget) {
		call->openai.code = call->openai.type = "insufficient_quota";
		call->openai.again_never = true;
		call->retry_ms = DAY_MS - clock_wall_ms() % DAY_MS;
		return call_fail(call, HL_TOO_MANY, "The day's spend limit has been reached; the next day begins at midnight UTC");
	}
	log_line(LOG_LEVEL_WARN, "completion_failed", "request_id", call->shown_id, "problem", v->problem.len ? v->problem.data : "", NULL);
	return call_fail(call, HL_UPSTREAM, "The model behind this agent could not answer; try again in a moment");
}

/* Whether what came of it is an answer: a conversation that nobody can be called to has none from us. */
static bool
is_answer(const struct completion *c, const struct verdict *v)
{
	return c->relay.name != NULL || !str_equal(v->reason, "ai_unavailable");
}

static enum hl_err
answer(struct call *call, const struct completion_request *asked, const struct agent *a)
{
	struct completion c = { .call = call, .asked = asked, .created_s = clock_wall_ms() / 1000 };
	const struct thinker *thinker = engine_thinker(call->app->engine);
	int64_t began_mono_ms = clock_mono_ms();
	bool answered = false, keyed;
	char once[REQUEST_ONCE_MAX];
	struct verdict v;
	enum hl_err err = request_once(call, once, &keyed);

	if (err == HL_OK)
		err = relay_find(&c.relay, thinker, a, &asked->talk);
	if (err)
		return err;
	strcpy(c.agent, a->id);
	id_new(c.id);
	verdict_init(&v);
	err = relay_think(&c.relay, asked->stream ? send_text : NULL, &c, &v);
	answered = err == HL_OK && is_answer(&c, &v);
	relay_keep(&c.relay, &v, c.id, once, began_mono_ms, answered);
	if (err == HL_OK && !answered)
		err = explain_silence(call, &v);
	if (err == HL_OK)
		err = asked->stream ? end_stream(&c, &v) : reply_whole(&c, &v);
	if (err && err != HL_CANCELLED && call->answered)
		err = break_stream(call, err);
	verdict_free(&v);
	return err;
}

static enum hl_err
post_completion(struct call *call)
{
	struct completion_request asked = { 0 };
	struct agent a = { .temperature = -1 };
	struct api_key key;
	enum hl_err err = openai_key(call, true, &key);

	if (err == HL_OK && call->app->completions >= call->app->conf.max_waiting)
		err = HL_BUSY;
	if (err)
		return err;
	call->app->completions++;
	err = completion_request_read(call, &asked);
	if (err == HL_OK)
		err = find_model(call, &key, asked.model, &a);
	if (err == HL_OK)
		err = answer(call, &asked, &a);
	call->app->completions--;
	agent_clear(&a);
	completion_request_free(&asked);
	return err;
}

static const struct route routes[] = {
	{ "POST", "/v1/chat/completions", BODY_JSON, post_completion },
	{ "GET", "/v1/models", BODY_NONE, get_models },
	{ "GET", "/v1/models/:id", BODY_NONE, get_model },
	{ "GET", "/v1/models/" PREFIX ":name", BODY_NONE, get_named_model },
};
const struct desk_part desk_completions = { routes, sizeof(routes) / sizeof(routes[0]) };
