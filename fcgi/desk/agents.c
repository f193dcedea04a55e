/*
 * The agents of an account (contract: desk API, Agents).  Who does not own one is told that there is none; an administrator
 * may read it, but for its system prompt, which is its owner's alone.
 */
#include <stddef.h>
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/person.h"
#include "base/str.h"
#include "desk/agents.h"
#include "desk/desk.h"
#include "engine/aliases.h"
#include "engine/trial.h"

#define PROMPTS_MAX	50
#define PROMPT_BYTES	4000
#define ALIASES_MAX	100
#define ALIAS_BYTES	100
#define TOKENS_MAX	32768
#define TEMPERATURE_MAX	2.0
#define TEMPERATURE	0.7		/* of one whose owner did not say */
#define STYLE		"friendly"	/* likewise */
#define REPLY_MAX	(64u * 1024 * 1024)
#define TRIES		40		/* of a change that another one came between: each time one is through */

/* ---- what they look like ---- */

static void
put_text(struct buf *out, const char *member, const char *text)
{
	buf_printf(out, ",\"%s\":", member);
	buf_json_str(out, text ? text : "");
}

static void
put_list(struct buf *out, const char *member, const struct json *list)
{
	buf_printf(out, ",\"%s\":", member);
	if (json_length(list))
		json_write(out, list);
	else
		buf_puts(out, "[]");
}

static void
put_time(struct buf *out, const char *member, int64_t ms)
{
	char at[CLOCK_ISO_LEN + 1];

	clock_iso(ms, at);
	if (ms)
		buf_printf(out, ",\"%s\":\"%s\"", member, at);
	else
		buf_printf(out, ",\"%s\":null", member);
}

static void
write_agent(struct buf *out, const struct conf *conf, const struct account *owner, const struct agent *a)
{
	buf_printf(out, "{\"_id\":\"%s\"", a->id);
	put_text(out, "name", a->name);
	put_text(out, "companyName", a->company);
	put_text(out, "company", a->company);
	put_text(out, "personality", a->personality);
	put_text(out, "companyInfo", a->company_info);
	put_list(out, "prompts", a->prompts);
	put_text(out, "systemPrompt", a->system_prompt);
	put_text(out, "responseStyle", a->style ? a->style : STYLE);
	buf_printf(out, ",\"settings\":{\"maxTokens\":%lld,\"temperature\":%.15g}",
	    (long long)(a->max_tokens ? a->max_tokens : conf->max_tokens), a->temperature < 0 ? TEMPERATURE : a->temperature);
	put_text(out, "voice", a->voice);
	put_text(out, "avatar", a->avatar ? a->avatar : AVATAR_DEFAULT);
	put_list(out, "aliases", a->aliases);
	buf_printf(out, ",\"publicStart\":%s,\"status\":\"%s\"", a->no_public_start ? "false" : "true",
	    a->inactive ? "inactive" : "active");
	buf_printf(out, ",\"analytics\":{\"totalCalls\":%lld", (long long)a->calls);
	put_time(out, "lastActivity", a->last_call_ms);
	buf_putc(out, '}');
	put_text(out, "userId", owner->id);
	put_time(out, "createdAt", a->created_ms);
	put_time(out, "updatedAt", a->updated_ms);
	buf_putc(out, '}');
}

enum hl_err
reply_agent(struct call *call, int status, const struct account *owner, const struct agent *a)
{
	struct buf body = BUF_INIT(REPLY_MAX);
	enum hl_err err;

	write_agent(&body, &call->app->conf, owner, a);
	err = reply_json(call, status, &body);
	buf_free(&body);
	return err;
}

/* ---- what a body says of them ---- */

struct text_member {
	const char	*name;
	size_t		 at;		/* in struct agent */
	size_t		 max;		/* bytes */
	bool		 required, line;
};

/* *ret stays as it is when the member is absent, and becomes NULL when it is null or blank. */
static enum hl_err
take_text(struct call *call, const struct text_member *m, const char **ret)
{
	const struct json *v = json_get(call->body, m->name);
	enum json_kind kind = json_kind(v);
	const char *text;
	size_t len = 0;

	if (kind == JSON_NONE)
		return HL_OK;
	if (kind != JSON_STRING && kind != JSON_NULL)
		return call_fail(call, HL_BAD_REQUEST, "%s must be a string", m->name);
	text = json_string(v, &len);
	if (len > m->max)
		return call_fail(call, HL_BAD_REQUEST, "%s is longer than %zu bytes", m->name, m->max);
	if (text && m->line && !person_line_ok(text, len))
		return call_fail(call, HL_BAD_REQUEST, "%s must be one line of plain text, without < and >", m->name);
	*ret = text && !str_blank(text, len) ? text : NULL;
	return HL_OK;
}

static enum hl_err
take_texts(struct call *call, struct agent *a)
{
	static const struct text_member members[] = {
		{ "name", offsetof(struct agent, name), 200, true, true },
		{ "personality", offsetof(struct agent, personality), 8000, false, false },
		{ "companyInfo", offsetof(struct agent, company_info), 32000, false, false },
		{ "systemPrompt", offsetof(struct agent, system_prompt), 16000, false, false },
	};
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && err == HL_OK; i++)
		err = take_text(call, &members[i], (const char **)((char *)a + members[i].at));
	return err;
}

/* It has two names.  Who sends the whole object back has changed one of them. */
static enum hl_err
take_company(struct call *call, struct agent *a)
{
	static const struct text_member members[] = { { "companyName", 0, 200, true, true }, { "company", 0, 200, true, true } };
	const char *now = a->company, *texts[] = { now, now };

	for (size_t i = 0; i < 2; i++) {
		enum hl_err err = take_text(call, &members[i], &texts[i]);

		if (err)
			return err;
	}
	if (str_equal(texts[0], now))
		a->company = texts[1] ? texts[1] : now;
	else
		a->company = texts[0] || str_equal(texts[1], now) ? texts[0] : texts[1];
	return HL_OK;
}

static bool
is_style(const char *s)
{
	return strcmp(s, "formal") == 0 || strcmp(s, "casual") == 0 || strcmp(s, "friendly") == 0 ||
	    strcmp(s, "professional") == 0;
}

static bool
is_voice(const char *s)
{
	return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")] == '\0';
}

static bool
is_web_address(const char *s)
{
	return (strncmp(s, "https://", 8) == 0 || strncmp(s, "http://", 7) == 0) && strpbrk(s, " \"'<>\\") == NULL;
}

/* An image of ours is set by sending it: naming somebody else's would let one remove it. */
/* Did who gives the agent back have it before its last change? */
static bool
is_older(const struct call *call, const struct agent *a)
{
	const char *given = json_get_string(call->body, "updatedAt");
	char now[CLOCK_ISO_LEN + 1];

	clock_iso(a->updated_ms, now);
	return given && strlen(given) == CLOCK_ISO_LEN && strcmp(given, now) < 0;
}

/* An agent that is given back as it was had before an image was sent says nothing of its avatar. */
static enum hl_err
take_avatar(struct call *call, struct agent *a)
{
	static const struct text_member member = { "avatar", 0, 1000, false, true };
	const char *now = a->avatar, *text = now;
	enum hl_err err = take_text(call, &member, &text);

	if (err || str_equal(text, now) || (*a->id && avatar_is_ours(text)))
		return err;
	if (avatar_is_ours(now) && avatar_is_default(text) && is_older(call, a))
		return HL_OK;
	if (text && !avatar_is_default(text) && !is_web_address(text))
		return call_fail(call, HL_BAD_REQUEST, "avatar must be an address that starts with https://, or " AVATAR_DEFAULT
		    "; an image is sent to PUT /api/agents/:id/avatar");
	a->avatar = text && strcmp(text, AVATAR_DEFAULT) != 0 ? text : NULL;
	return HL_OK;
}

/* Words of which only some will do. */
static enum hl_err
take_words(struct call *call, struct agent *a)
{
	static const struct text_member style = { "responseStyle", 0, 64, false, true }, voice = { "voice", 0, 64, false, true },
	    status = { "status", 0, 64, false, true };
	const char *state = a->inactive ? "inactive" : "active";
	enum hl_err err;

	if ((err = take_text(call, &style, &a->style)) || (err = take_text(call, &voice, &a->voice)) ||
	    (err = take_text(call, &status, &state)))
		return err;
	if (a->style && !is_style(a->style))
		return call_fail(call, HL_BAD_REQUEST, "responseStyle must be formal, casual, friendly or professional");
	if (a->voice && !is_voice(a->voice))
		return call_fail(call, HL_BAD_REQUEST, "voice must be the name of a voice");
	if (state && strcmp(state, "active") != 0 && strcmp(state, "inactive") != 0)
		return call_fail(call, HL_BAD_REQUEST, "status must be active or inactive");
	a->inactive = state && strcmp(state, "inactive") == 0;
	return HL_OK;
}

struct list_member { const char *name; size_t count, bytes; bool (*usable)(const char *, size_t); };

static enum hl_err
take_list(struct call *call, const struct list_member *m, const struct json **ret)
{
	const struct json *v = json_get(call->body, m->name);
	enum json_kind kind = json_kind(v);

	if (kind == JSON_NONE)
		return HL_OK;
	if (kind != JSON_ARRAY && kind != JSON_NULL)
		return call_fail(call, HL_BAD_REQUEST, "%s must be an array of strings", m->name);
	if (json_length(v) > m->count)
		return call_fail(call, HL_BAD_REQUEST, "%s has more than %zu entries", m->name, m->count);
	for (size_t i = 0; i < json_length(v); i++) {
		size_t len;
		const char *text = json_string(json_at(v, i), &len);

		if (text == NULL)
			return call_fail(call, HL_BAD_REQUEST, "%s must be an array of strings", m->name);
		if (len > m->bytes)
			return call_fail(call, HL_BAD_REQUEST, "%s has an entry longer than %zu bytes", m->name, m->bytes);
		if (m->usable && !m->usable(text, len))
			return call_fail(call, HL_BAD_REQUEST, "%s has an entry without a letter or a digit", m->name);
	}
	*ret = kind == JSON_ARRAY ? v : NULL;
	return HL_OK;
}

static enum hl_err
take_lists(struct call *call, struct agent *a)
{
	static const struct list_member prompts = { "prompts", PROMPTS_MAX, PROMPT_BYTES, NULL },
	    aliases = { "aliases", ALIASES_MAX, ALIAS_BYTES, alias_usable };
	enum hl_err err = take_list(call, &prompts, &a->prompts);

	return err ? err : take_list(call, &aliases, &a->aliases);
}

/* The two numbers, of the body or of its member settings. */
static enum hl_err
take_numbers(struct call *call, const struct json *from, struct agent *a)
{
	const struct json *tokens = json_get(from, "maxTokens"), *temperature = json_get(from, "temperature");
	int64_t n;
	double t;

	if (json_kind(tokens) == JSON_NULL)
		a->max_tokens = 0;
	else if (tokens) {
		if (!json_integer(tokens, &n) || n < 1 || n > TOKENS_MAX)
			return call_fail(call, HL_BAD_REQUEST, "maxTokens must be a whole number from 1 to %d", TOKENS_MAX);
		/* Who sends back what was shown has not said anything. */
		a->max_tokens = a->max_tokens == 0 && n == call->app->conf.max_tokens ? 0 : n;
	}
	if (json_kind(temperature) == JSON_NULL)
		a->temperature = TEMPERATURE;
	else if (temperature) {
		if (!json_number(temperature, &t) || t < 0 || t > TEMPERATURE_MAX)
			return call_fail(call, HL_BAD_REQUEST, "temperature must be a number from 0 to %g", TEMPERATURE_MAX);
		a->temperature = t;
	}
	return HL_OK;
}

static enum hl_err
take_settings(struct call *call, struct agent *a)
{
	const struct json *settings = json_get(call->body, "settings"), *open = json_get(call->body, "publicStart");
	enum hl_err err;

	if (json_kind(settings) != JSON_NONE && json_kind(settings) != JSON_NULL && json_kind(settings) != JSON_OBJECT)
		return call_fail(call, HL_BAD_REQUEST, "settings must be an object");
	if (json_kind(open) != JSON_NONE && json_kind(open) != JSON_NULL && json_kind(open) != JSON_BOOL)
		return call_fail(call, HL_BAD_REQUEST, "publicStart must be true or false");
	err = take_numbers(call, settings, a);
	if (err == HL_OK)
		err = take_numbers(call, call->body, a);
	if (json_kind(open) != JSON_NONE)
		a->no_public_start = json_kind(open) == JSON_BOOL && !json_true(open);
	return err;
}

/* What the body says, over what is there. */
static enum hl_err
take_body(struct call *call, struct agent *a)
{
	enum hl_err err;

	if ((err = take_texts(call, a)) || (err = take_company(call, a)) || (err = take_avatar(call, a)) ||
	    (err = take_words(call, a)) || (err = take_lists(call, a)) || (err = take_settings(call, a)))
		return err;
	if (a->name == NULL)
		return call_fail(call, HL_BAD_REQUEST, "name is required");
	if (a->company == NULL)
		return call_fail(call, HL_BAD_REQUEST, "companyName is required");
	return HL_OK;
}

/* ---- the routes ---- */

static enum hl_err
get_list(struct call *call)
{
	struct buf body = BUF_INIT(REPLY_MAX);
	struct agents all = { 0 };
	struct account who;
	enum hl_err err = call_owner(call, &who);

	if (err == HL_OK)
		err = agent_list(&call->app->store, who.h, &all, NULL);
	if (err)
		goto out;
	buf_putc(&body, '[');
	for (size_t i = 0; i < all.count; i++) {
		if (i)
			buf_putc(&body, ',');
		write_agent(&body, &call->app->conf, &who, &all.list[i]);
	}
	buf_putc(&body, ']');
	err = reply_json(call, 200, &body);
out:
	agents_free(&all);
	buf_free(&body);
	return err;
}

enum hl_err
find_agent(struct call *call, struct account *who, struct agent *a)
{
	enum hl_err err = call_owner(call, who);

	*a = (struct agent){ .temperature = -1 };
	if (err == HL_OK)
		err = agent_read(&call->app->store, who->h, call->segment, a);
	return err == HL_NOT_FOUND ? call_fail(call, err, "There is no such agent") : err;
}

static enum hl_err
explain(struct call *call, enum hl_err err)
{
	if (err == HL_TOO_LARGE)
		return call_fail(call, err, "An account may have %d agents, and what it says of one and of all is limited, too: "
		    "this would be too much", AGENTS_MAX);
	if (err == HL_NOT_FOUND)
		return call_fail(call, err, "There is no such agent");
	return err;
}

static enum hl_err
post_agent(struct call *call)
{
	struct agent a = { .temperature = TEMPERATURE }, stored = { 0 };
	char once[REQUEST_ONCE_MAX];
	struct account who;
	bool keyed = false;
	enum hl_err err = call_owner(call, &who);

	if (err == HL_OK)
		err = take_body(call, &a);
	if (err == HL_OK)
		err = request_once(call, once, &keyed);
	if (err == HL_OK)
		err = explain(call, agent_create(&call->app->store, who.h, once, &a));
	if (err == HL_UNPROCESSABLE)
		err = call_fail(call, err, "This Idempotency-Key was used for another agent");
	if (err == HL_OK && keyed) {	/* it may have been made before, by another body */
		err = agent_read(&call->app->store, who.h, a.id, &stored);
		err = err == HL_NOT_FOUND ? call_fail(call, HL_CONFLICT, REQUEST_ONCE_GONE) : err;
	}
	if (err == HL_OK)
		err = reply_agent(call, 201, &who, keyed ? &stored : &a);
	agent_clear(&stored);
	return err;
}

/* *who becomes its owner. */
static enum hl_err
show_others(struct call *call, struct account *who, struct agent *a)
{
	enum hl_err err = agent_read(&call->app->store, NULL, call->segment, a);

	a->system_prompt = NULL;
	if (err == HL_OK)
		err = account_load(&call->app->store, a->owner, who);
	return err == HL_NOT_FOUND ? call_fail(call, err, "There is no such agent") : err;
}

static enum hl_err
get_agent(struct call *call)
{
	struct account who;
	struct agent a;
	enum hl_err err = find_agent(call, &who, &a);

	if (err == HL_NOT_FOUND && who.admin)
		err = show_others(call, &who, &a);
	if (err == HL_OK)
		err = reply_agent(call, 200, &who, &a);
	agent_clear(&a);
	return err;
}

/* An avatar of ours that is not shown any more is removed, after what named it. */
static void
drop_avatar(struct call *call, const char *before, const char *now)
{
	if (before && !str_equal(before, now))
		avatar_remove(&call->app->conf, before);
}

static enum hl_err
put_agent(struct call *call)
{
	struct account who;
	struct agent a;
	const char *avatar = NULL;
	enum hl_err err = find_agent(call, &who, &a);

	for (int i = 0; err == HL_OK; i++) {
		avatar = a.avatar;
		err = take_body(call, &a);
		if (err)
			break;
		err = agent_change(&call->app->store, &a);
		if (err != HL_CONFLICT || i == TRIES)
			break;
		agent_clear(&a);
		err = agent_read(&call->app->store, who.h, call->segment, &a);
	}
	err = explain(call, err);
	if (err == HL_OK) {
		drop_avatar(call, avatar, a.avatar);
		err = reply_agent(call, 200, &who, &a);
	}
	agent_clear(&a);
	return err;
}

static enum hl_err
delete_agent(struct call *call)
{
	struct buf body = BUF_INIT(256);
	struct account who;
	struct agent a;
	enum hl_err err = find_agent(call, &who, &a);

	if (err == HL_OK)
		err = agent_delete(&call->app->store, &a);
	if (err)
		goto out;
	drop_avatar(call, a.avatar, NULL);
	buf_puts(&body, "{\"message\":\"The agent was deleted\"}");
	err = reply_json(call, 200, &body);
out:
	agent_clear(&a);
	buf_free(&body);
	return err;
}

/* ---- the test call ---- */

static enum hl_err
reply_trial(struct call *call, const struct trial *t)
{
	struct buf body = BUF_INIT(REPLY_MAX);
	enum hl_err err;

	buf_puts(&body, "{\"response\":");
	buf_json(&body, t->text.data ? t->text.data : "", t->text.len);
	buf_puts(&body, ",\"model\":");
	buf_json_str(&body, t->model);
	buf_printf(&body, ",\"latencyMs\":%lld,\"tokens\":{\"prompt\":%lld,\"completion\":%lld}}", (long long)t->latency_ms,
	    (long long)t->prompt_tokens, (long long)t->completion_tokens);
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
post_test(struct call *call)
{
	const char *message = NULL;
	size_t len = 0;
	const struct text_field field = { "message", true, (size_t)call->app->conf.max_message, HL_TOO_LARGE, &message, &len };
	struct buf problem = BUF_INIT(1024);
	struct trial trial = { .text = BUF_INIT(0) };
	struct account who;
	struct agent a;
	enum hl_err err = find_agent(call, &who, &a);

	if (err == HL_OK)
		err = request_fields(call, call->body, &field, 1, "message is required");
	if (err == HL_OK)
		err = agent_count_trial(&call->app->store, who.h, &call->retry_ms);
	if (err == HL_OK)
		err = trial_ask(engine_thinker(call->app->engine), &a, message, len, &trial, &problem);
	if (err == HL_UPSTREAM) {
		log_line(LOG_LEVEL_WARN, "test_call_failed", "request_id", call->shown_id, "problem", problem.data, NULL);
		err = call_fail(call, err, "The model could not answer; try again in a moment");
	}
	if (err == HL_OK)
		err = reply_trial(call, &trial);
	trial_free(&trial);
	agent_clear(&a);
	buf_free(&problem);
	return err;
}

static const struct route routes[] = {
	{ "GET", "/api/agents", BODY_NONE, get_list },
	{ "POST", "/api/agents", BODY_JSON, post_agent },
	{ "GET", "/api/agents/:id", BODY_NONE, get_agent },
	{ "PUT", "/api/agents/:id", BODY_JSON, put_agent },
	{ "DELETE", "/api/agents/:id", BODY_NONE, delete_agent },
	{ "POST", "/api/agents/:id/test", BODY_JSON, post_test },
	/* The same under their old name. */
	{ "GET", "/api/company-agents", BODY_NONE, get_list },
	{ "POST", "/api/company-agents", BODY_JSON, post_agent },
	{ "GET", "/api/company-agents/:id", BODY_NONE, get_agent },
	{ "PUT", "/api/company-agents/:id", BODY_JSON, put_agent },
	{ "DELETE", "/api/company-agents/:id", BODY_NONE, delete_agent },
	{ "POST", "/api/company-agents/:id/test", BODY_JSON, post_test },
};
const struct desk_part desk_agents = { routes, sizeof(routes) / sizeof(routes[0]) };
