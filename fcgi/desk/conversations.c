/*
 * Conversations of an account: begun, read, written in, changed, ended, deleted (contract: desk API, Conversations).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/person.h"
#include "base/str.h"
#include "desk/conversations.h"
#include "desk/shown.h"
#include "engine/aloud.h"
#include "engine/outcome.h"
#include "engine/persona.h"
#include "engine/turn.h"
#include "records/agent.h"

#define SETTLE_TRIES	5
#define CLIENT_ID_MAX	256
#define SEQ_MAX		INT32_MAX

/* ---- whose ---- */

/* Signed in, to change what is one's own. */
static enum hl_err
own(struct call *call, struct account *who, struct desk_access *ret)
{
	enum hl_err err = call_owner(call, who);

	*ret = (struct desk_access){ .account = who->h };
	return err;
}

/* Signed in, to read: administrators read all. */
static enum hl_err
any(struct call *call, struct account *who, struct desk_access *ret)
{
	enum hl_err err = call_account(call, who);

	*ret = (struct desk_access){ .account = who->h, .admin = who->admin };
	if (err == HL_OK && !who->stored && !who->admin)
		err = call_fail(call, HL_FORBIDDEN, "This token belongs to no account, so it owns nothing");
	return err;
}

/* ---- answers ---- */

enum hl_err
conversation_write(struct call *call, const struct desk_conversation *c, struct buf *body)
{
	struct agent_ids ids;
	enum hl_err err = agent_ids_find(&call->app->store, c, 1, &ids);

	if (err == HL_OK) {
		shown_conversation(body, c, &ids, SHOWN_WHOLE);
		shown_analytics(body, c);
	}
	agent_ids_free(&ids);
	return err ? err : buf_err(body);
}

static enum hl_err
reply_conversation(struct call *call, int status, const struct desk_conversation *c)
{
	struct buf body = BUF_INIT(SHOWN_MAX);
	enum hl_err err = conversation_write(call, c, &body);

	buf_putc(&body, '}');
	if (err == HL_OK)
		err = reply_json(call, status, &body);
	buf_free(&body);
	return err;
}

/* ---- POST /api/conversations ---- */

struct wish { const char *agent_id, *title; size_t title_len; bool simulator; };

/* The title without spaces around it. */
static enum hl_err
check_title(struct call *call, const char *text, size_t len, char out[DESK_TITLE_MAX + 1])
{
	person_trim(&text, &len);
	if (str_blank(text, len) || len > DESK_TITLE_MAX)
		return call_fail(call, HL_BAD_REQUEST, "title must be text of 1 to %d bytes", DESK_TITLE_MAX);
	if (!person_line_ok(text, len))
		return call_fail(call, HL_BAD_REQUEST, "title must be one line of plain text, without < and >");
	memcpy(out, text, len);
	out[len] = '\0';
	return HL_OK;
}

static enum hl_err
read_wish(struct call *call, struct wish *w)
{
	const struct json *simulator = json_get(call->body, "isCallSimulator");
	const struct text_field fields[] = {
		{ "agentId", false, SEGMENT_MAX * 4, HL_BAD_REQUEST, &w->agent_id, NULL },
		{ "title", false, DESK_TITLE_MAX, HL_BAD_REQUEST, &w->title, &w->title_len },
	};
	enum hl_err err = request_fields(call, call->body, fields, 2, "");

	if (err)
		return err;
	if (json_kind(simulator) != JSON_NONE && json_kind(simulator) != JSON_NULL && json_kind(simulator) != JSON_BOOL)
		return call_fail(call, HL_BAD_REQUEST, "isCallSimulator must be true or false");
	w->simulator = json_true(simulator);
	if (w->simulator)
		w->agent_id = NULL;		/* as for the event start_conversation */
	else if (w->agent_id == NULL)
		return call_fail(call, HL_BAD_REQUEST, "agentId is required, or isCallSimulator must be true");
	return HL_OK;
}

/* Who answers: the agent that is asked for, or the demonstration agent, which needs no clearing. */
static enum hl_err
choose_agent(struct call *call, const struct account *who, const struct wish *w, struct agent *ret)
{
	enum hl_err err;

	*ret = (struct agent){ 0 };
	if (w->agent_id == NULL) {
		persona_demo(&call->app->conf, ret);
		return HL_OK;
	}
	err = agent_read(&call->app->store, who->h, w->agent_id, ret);
	if (err == HL_NOT_FOUND)
		return call_fail(call, err, "There is no such agent");
	if (err == HL_OK && !agent_takes_calls(ret, true))
		return call_fail(call, HL_CONFLICT, "This agent takes no conversations: it is inactive");
	return err;
}

static enum hl_err
reply_created(struct call *call, const struct wish *w, const struct agent *agent, const struct desk_conversation *c)
{
	struct buf body = BUF_INIT(SHOWN_MAX);
	enum hl_err err = conversation_write(call, c, &body);

	if (w->agent_id == NULL) {
		buf_puts(&body, ",\"demoAgent\":");
		persona_write_demo(agent, &body);
	}
	buf_putc(&body, '}');
	if (err == HL_OK)
		err = reply_json(call, 201, &body);
	buf_free(&body);
	return err;
}

/* err: why nothing can begin with that agent.  What the same request has begun before is there all the same. */
static enum hl_err
reply_made(struct call *call, enum hl_err err, const struct wish *w, struct desk_new *new)
{
	const struct agent none = { 0 };
	struct desk_conversation c;
	char h[CRYPTO_NAME_LEN + 1];
	enum hl_err made;

	agent_name(&call->app->store, w->agent_id, h);
	new->agent = h;
	made = desk_made(&call->app->store, new, &c);
	if (made == HL_OK)
		made = reply_created(call, w, &none, &c);
	else if (made == HL_UNPROCESSABLE)
		made = call_fail(call, made, "This Idempotency-Key was used for another conversation");
	desk_clear(&c);
	return made == HL_NOT_FOUND ? err : made;
}

static enum hl_err
post_conversation(struct call *call)
{
	struct desk_conversation c = { 0 };
	struct buf welcome = BUF_INIT(WELCOME_MAX);
	char title[DESK_TITLE_MAX + 1];
	struct agent agent = { 0 };
	struct wish w = { 0 };
	struct welcome_sound sound = { 0 };
	struct bill bill;
	struct account who;
	char once[REQUEST_ONCE_MAX];
	bool keyed;
	enum hl_err err = call_owner(call, &who);
	struct desk_new new = { .account = who.h, .user_id = who.id, .limits = { .address = call->address, .visitor = who.id } };

	if (err == HL_OK)
		err = read_wish(call, &w);
	if (err == HL_OK && w.title)
		err = check_title(call, w.title, w.title_len, title);
	if (err == HL_OK)
		err = request_once(call, once, &keyed);
	if (err)
		goto out;
	new.once = once;
	new.once_is_clients = keyed;
	new.simulator = w.agent_id == NULL;
	new.title = w.title ? title : NULL;
	err = choose_agent(call, &who, &w, &agent);
	if (keyed && (err == HL_NOT_FOUND || err == HL_CONFLICT))
		err = reply_made(call, err, &w, &new);
	if (err || call->answered)
		goto out;
	persona_welcome(&agent, &welcome);
	new.welcome = welcome.data;
	if (w.agent_id) {
		new.agent = agent.h;
		new.company = agent.company;
	}
	err = buf_err(&welcome);
	if (err)
		goto out;
	bill = bill_of(who.h, new.agent, false);
	aloud_welcome(engine_speaker(call->app->engine), &call->app->store, &bill, agent.voice, &welcome, &sound);
	new.welcome_id = sound.id;
	new.welcome_audio = *sound.url ? sound.url : NULL;
	err = desk_create(&call->app->store, &new, &c, &call->retry_ms);
	if (err == HL_NOT_FOUND)
		err = call_fail(call, HL_CONFLICT, REQUEST_ONCE_GONE);
	if (err == HL_UNPROCESSABLE)
		err = call_fail(call, err, "This Idempotency-Key was used for another conversation");
	if (err)
		speech_drop(sound.speech);
	else {
		speech_belongs(sound.speech, &c.place);
		speech_leave(sound.speech);
	}
	if (err == HL_OK)
		err = reply_created(call, &w, &agent, &c);
out:
	desk_clear(&c);
	agent_clear(&agent);
	buf_free(&welcome);
	return err;
}

/* ---- GET /api/conversations/:id, GET /api/conversations/:id/messages ---- */

/* Of one conversation as it is at this version of all. */
static void
make_tag(const struct call *call, const struct desk_conversation *c, char out[CRYPTO_NAME_LEN + 8])
{
	struct buf about = BUF_INIT(256);
	char name[CRYPTO_NAME_LEN + 1];

	buf_printf(&about, "%s %lld %lld", c->id, (long long)c->version, (long long)c->seq);
	crypto_name(call->app->crypto, "tag", about.data ? about.data : "", about.len, name);
	snprintf(out, CRYPTO_NAME_LEN + 8, "W/\"%s\"", name);
	buf_free(&about);
}

static enum hl_err
get_conversation(struct call *call)
{
	struct buf body = BUF_INIT(SHOWN_MAX);
	struct desk_conversation c = { 0 };
	char tag[CRYPTO_NAME_LEN + 8];
	struct desk_access access;
	struct account who;
	bool known = false;
	enum hl_err err = any(call, &who, &access);

	if (err == HL_OK)
		err = call_conversation_error(call, desk_read(&call->app->store, &access, call->segment, 0, &c));
	if (err)
		goto out;
	make_tag(call, &c, tag);
	known = request_has_tag(call, tag);
	if (!known)
		err = conversation_write(call, &c, &body);
	buf_putc(&body, '}');
	if (err == HL_OK)
		err = reply_tagged(call, tag, NULL, known ? NULL : &body);
out:
	desk_clear(&c);
	buf_free(&body);
	return err;
}

static enum hl_err
get_messages(struct call *call)
{
	struct buf body = BUF_INIT(SHOWN_MAX);
	struct desk_conversation c = { 0 };
	struct desk_access access;
	struct account who;
	int64_t after = 0;
	enum hl_err err = any(call, &who, &access);

	if (err == HL_OK)
		err = request_query_number(call, "after", 0, SEQ_MAX - 1, 0, &after);
	if (err == HL_OK)
		err = call_conversation_error(call, desk_read(&call->app->store, &access, call->segment, after, &c));
	if (err)
		goto out;
	shown_messages(&body, &c.messages, SHOWN_WHOLE);
	err = reply_json(call, 200, &body);
out:
	desk_clear(&c);
	buf_free(&body);
	return err;
}

/* ---- POST /api/conversations/:id/messages ---- */

/* The answer, with the title that the conversation has by now. */
static enum hl_err
reply_answer(struct call *call, const struct desk_access *access, struct entry *answer)
{
	struct entries one = { answer, 1 };
	struct buf body = BUF_INIT(SHOWN_MAX);
	struct desk_conversation c = { 0 };
	enum hl_err err = desk_read(&call->app->store, access, call->segment, DESK_NO_MESSAGES, &c);

	if (err)
		goto out;
	shown_message(&body, &one, 0, SHOWN_WHOLE);
	buf_puts(&body, ",\"title\":");
	buf_json_str(&body, c.title.len ? c.title.data : shown_untitled);
	buf_putc(&body, '}');
	err = reply_json(call, 201, &body);
out:
	desk_clear(&c);
	buf_free(&body);
	return err;
}

static enum hl_err
read_message(struct call *call, struct incoming *in)
{
	const struct json *role = json_get(call->body, "role");
	const char *client_id;
	const struct text_field fields[] = {
		{ "content", true, (size_t)call->app->conf.max_message, HL_TOO_LARGE, &in->text, &in->text_len },
		{ "clientMessageId", false, CLIENT_ID_MAX, HL_BAD_REQUEST, &client_id, NULL },
	};
	enum hl_err err;

	if (json_kind(role) != JSON_NONE && json_kind(role) != JSON_NULL && !str_equal(json_string(role, NULL), "user"))
		return call_fail(call, HL_BAD_REQUEST, "role must be user: what others say is not for callers to write");
	err = request_fields(call, call->body, fields, 2, "content is required");
	if (err == HL_OK)
		err = request_header(call, "HTTP_IDEMPOTENCY_KEY", "Idempotency-Key", CLIENT_ID_MAX, &in->idempotency_key);
	if (err == HL_OK && client_id) {
		in->client_id = client_id;
		in->client_named = true;
	}
	return err;
}

static enum hl_err
post_message(struct call *call)
{
	struct incoming in = { .id = call->segment, .client_id = call->request_id };
	struct entry answer = { 0 };
	struct desk_access access;
	struct account who;
	struct turn *turn;
	enum hl_err err = own(call, &who, &access);

	if (err == HL_OK)
		err = read_message(call, &in);
	if (err)
		return err;
	in.account = who.h;
	in.limits = (struct limits){ .address = call->address, .visitor = who.id, .session = in.id };
	fcgi_on_gone(call->fcgi, NULL, NULL);	/* stored is answered, whoever waits */
	err = call_conversation_error(call, turn_accept(call->app->engine, &in, &turn, &call->retry_ms));
	if (err)
		return err;
	request_drop_body(call);
	err = call_conversation_error(call, turn_wait(turn, NULL, &answer));
	if (err == HL_TIMEOUT)
		err = call_fail(call, err, "The answer takes longer than it should. Your message is stored; ask again with the same "
		    "clientMessageId to get the answer");
	if (err == HL_OK)
		err = call_conversation_error(call, reply_answer(call, &access, &answer));
	entry_clear(&answer);
	return err;
}

/* ---- PUT, DELETE ---- */

/*
 * What a conversation that is over comes to.  What its turns found holds; of one in which nobody wrote the title says so.
 * An answer that is stored meanwhile is another message, which it comes to as well.
 */
static enum hl_err
settle(struct call *call, const struct desk_access *access, struct desk_change *change, struct desk_conversation *c)
{
	struct outcome *o = malloc(sizeof(*o));
	enum hl_err err;

	if (o == NULL)
		return HL_NO_MEMORY;
	change->set_status = change->set_insight = true;
	if (change->status == DESK_ACTIVE)
		change->status = DESK_COMPLETED;
	for (int i = 0;; i++) {
		struct desk_change now = *change;

		outcome_of(&c->messages, false, o);
		now.sentiment = o->sentiment;
		now.intents = o->intents | c->intents;
		if (now.title == NULL && c->title.len == 0)
			now.title = o->title;
		now.if_seq = i < SETTLE_TRIES ? c->seq : 0;
		desk_clear(c);
		err = desk_change(&call->app->store, access, call->segment, &now, c);
		if (err != HL_CONFLICT || (err = desk_read(&call->app->store, access, call->segment, 0, c)) != HL_OK)
			break;
	}
	free(o);
	return err;
}

struct put { struct desk_change change; char title[DESK_TITLE_MAX + 1]; };

static enum hl_err
read_put(struct call *call, struct put *p)
{
	const struct json *title = json_get(call->body, "title"), *status = json_get(call->body, "status"),
	    *satisfaction = json_get(call->body, "satisfaction");
	int64_t stars = 0;
	size_t len;

	if (json_kind(title) != JSON_NONE && json_kind(title) != JSON_NULL) {
		if (json_string(title, &len) == NULL)
			return call_fail(call, HL_BAD_REQUEST, "title must be a string");
		if (check_title(call, json_string(title, &len), len, p->title) != HL_OK)
			return HL_BAD_REQUEST;
		p->change.title = p->title;
		p->change.title_by_person = true;
	}
	if (json_kind(status) != JSON_NONE && json_kind(status) != JSON_NULL) {
		if (json_string(status, NULL) == NULL || !desk_status_parse(json_string(status, NULL), &p->change.status))
			return call_fail(call, HL_BAD_REQUEST, "status must be active, completed or archived");
		p->change.set_status = true;
	}
	if (json_kind(satisfaction) != JSON_NONE && json_kind(satisfaction) != JSON_NULL &&
	    (!json_integer(satisfaction, &stars) || stars < 1 || stars > 5))
		return call_fail(call, HL_BAD_REQUEST, "satisfaction must be a whole number from 1 to 5");
	p->change.satisfaction = (int)stars;
	return HL_OK;
}

/* Whoever gives the whole object back gives the title back that was shown, which is not yet a title of his. */
static void
drop_same_title(struct put *p, const struct desk_conversation *c)
{
	if (p->change.title && strcmp(p->title, c->title.len ? c->title.data : shown_untitled) == 0) {
		p->change.title = NULL;
		p->change.title_by_person = false;
	}
}

static enum hl_err
change_conversation(struct call *call, const struct desk_access *access, struct put *p, struct desk_conversation *c)
{
	struct store *s = &call->app->store;
	enum hl_err err = desk_read(s, access, call->segment, 0, c);

	if (err)
		return err;
	drop_same_title(p, c);
	if (p->change.set_status && p->change.status == c->status)
		p->change.set_status = false;
	if (p->change.satisfaction == c->satisfaction)
		p->change.satisfaction = 0;
	if (p->change.set_status && p->change.status != DESK_ACTIVE && (p->change.status == DESK_COMPLETED || (c->ended_ms == 0 && c->first_ms)))
		return settle(call, access, &p->change, c);
	if (!p->change.title && !p->change.set_status && !p->change.satisfaction)
		return HL_OK;
	desk_clear(c);
	return desk_change(s, access, call->segment, &p->change, c);
}

static enum hl_err
put_conversation(struct call *call)
{
	struct put *p = calloc(1, sizeof(*p));
	struct desk_conversation c = { 0 };
	struct desk_access access;
	struct account who;
	enum hl_err err = p ? own(call, &who, &access) : HL_NO_MEMORY;

	if (err == HL_OK)
		err = read_put(call, p);
	if (err == HL_OK)
		err = call_conversation_error(call, change_conversation(call, &access, p, &c));
	if (err == HL_OK)
		err = reply_conversation(call, 200, &c);
	desk_clear(&c);
	free(p);
	return err;
}

static enum hl_err
put_end(struct call *call)
{
	struct desk_change change = { 0 };
	struct desk_conversation c = { 0 };
	struct desk_access access;
	struct account who;
	enum hl_err err = own(call, &who, &access);

	if (err == HL_OK)
		err = call_conversation_error(call, desk_read(&call->app->store, &access, call->segment, 0, &c));
	change.status = c.status;
	if (err == HL_OK && (c.ended_ms == 0 || c.sentiment == SENTIMENT_PENDING || c.title.len == 0))
		err = call_conversation_error(call, settle(call, &access, &change, &c));
	if (err == HL_OK)
		err = reply_conversation(call, 200, &c);
	desk_clear(&c);
	return err;
}

/* A title that it has stays: a person's, and what the model called it, which has read more than the rules can. */
static enum hl_err
put_title(struct call *call)
{
	struct outcome *o = malloc(sizeof(*o));
	struct desk_conversation c = { 0 };
	struct buf body = BUF_INIT(8192);
	struct desk_access access;
	struct account who;
	bool had;
	enum hl_err err = o ? own(call, &who, &access) : HL_NO_MEMORY;

	if (err == HL_OK)
		err = call_conversation_error(call, desk_read(&call->app->store, &access, call->segment, 0, &c));
	if (err)
		goto out;
	had = c.title.len > 0;
	if (!had) {
		outcome_of(&c.messages, false, o);
		desk_clear(&c);
		err = call_conversation_error(call, desk_change(&call->app->store, &access, call->segment, &(struct desk_change){ .title = o->title }, &c));
	}
	if (err)
		goto out;
	buf_puts(&body, "{\"success\":true,\"title\":");
	buf_json_str(&body, c.title.len ? c.title.data : shown_untitled);
	buf_printf(&body, ",\"message\":\"%s\"}", had ? "The title is good as it is" : "The title was updated");
	err = reply_json(call, 200, &body);
out:
	desk_clear(&c);
	buf_free(&body);
	free(o);
	return err;
}

static enum hl_err
delete_conversation(struct call *call)
{
	struct buf body = BUF_INIT(256);
	struct desk_conversation c = { 0 };
	struct desk_access access;
	struct account who;
	enum hl_err err = own(call, &who, &access);

	if (err == HL_OK)
		err = call_conversation_error(call, desk_read(&call->app->store, &access, call->segment, 0, &c));
	if (err == HL_OK)
		err = call_conversation_error(call, desk_delete(&call->app->store, &access, call->segment, true));
	if (err == HL_OK)
		audio_remove(call, call->segment);
	if (err == HL_OK)
		sounds_remove(call, &c.messages);
	desk_clear(&c);
	buf_puts(&body, "{\"success\":true,\"message\":\"The conversation was deleted\"}");
	if (err == HL_OK)
		err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

static const struct route routes[] = {
	{ "GET", "/api/conversations", BODY_NONE, list_get },
	{ "POST", "/api/conversations", BODY_JSON, post_conversation },
	{ "POST", "/api/conversations/reanalyze-sentiment", BODY_OPTIONAL, reanalysis_post },
	{ "GET", "/api/conversations/reanalyze-sentiment", BODY_NONE, reanalysis_get },
	{ "GET", "/api/conversations/stats/user/:id", BODY_NONE, statistics_get },
	{ "GET", "/api/conversations/:id", BODY_NONE, get_conversation },
	{ "PUT", "/api/conversations/:id", BODY_JSON, put_conversation },
	{ "DELETE", "/api/conversations/:id", BODY_NONE, delete_conversation },
	{ "GET", "/api/conversations/:id/messages", BODY_NONE, get_messages },
	{ "POST", "/api/conversations/:id/messages", BODY_JSON, post_message },
	{ "PUT", "/api/conversations/:id/end", BODY_OPTIONAL, put_end },
	{ "PUT", "/api/conversations/:id/update-title", BODY_OPTIONAL, put_title },
};

const struct desk_part desk_conversations = { routes, sizeof(routes) / sizeof(routes[0]) };
