/*
 * Where a person comes in: escalations are listed, taken, answered, given back (contract: desk API, Escalations).
 *
 * An admin sees all of them.  Who has an account sees those of its conversations, and may do there what an admin may; so does
 * CHAT_OWNER with those of the chat API's sessions.
 */
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/str.h"
#include "desk/desk.h"
#include "records/chat_owner.h"
#include "records/escalation.h"

#define CLIENT_ID_MAX	256
#define WORDS_MAX	8192		/* of a note or a resolution */
#define RECORD_MAX	(1u << 20)
#define REPLY_MAX	(64u * 1024 * 1024)	/* a whole conversation, or the list */

static enum hl_err
reply_record(struct call *call, const struct escalation *e)
{
	struct buf body = BUF_INIT(RECORD_MAX);
	enum hl_err err;

	escalation_write(&body, e);
	buf_putc(&body, '}');
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

/* A name is an account's id, by which conversations begin in it: of others' accounts it is for administrators. */
static void
hide_taker(const struct account *who, struct escalation *e)
{
	if (who->admin || e->taken_by.len == 0 || str_equal(e->taken_by.data, who->id))
		return;
	buf_reset(&e->taken_by);
	buf_puts(&e->taken_by, "an administrator");
}

/* ---- GET /api/escalations ---- */

static int
compare(const void *a, const void *b)
{
	const struct escalation *x = a, *y = b;
	int by_urgency = sentiment_urgency(y->sentiment) - sentiment_urgency(x->sentiment);

	return by_urgency ? by_urgency : (x->opened_ms > y->opened_ms) - (x->opened_ms < y->opened_ms);
}

/* Puts more behind what is there. */
static enum hl_err
append(struct escalations *to, struct escalations *take_more)
{
	struct escalation *list = realloc(to->list, (to->count + take_more->count + 1) * sizeof(*list));

	if (list == NULL) {
		escalations_free(take_more);
		return HL_NO_MEMORY;
	}
	memcpy(list + to->count, take_more->list, take_more->count * sizeof(*list));
	to->list = list;
	to->count += take_more->count;
	free(take_more->list);
	return HL_OK;
}

/* Of an account, and of the chat API's sessions if they are its. */
static enum hl_err
list_own(struct store *s, const struct account *who, const char *status, struct escalations *ret)
{
	struct escalations more = { 0 };
	bool chat;
	enum hl_err err = chat_owned_by(s, who, &chat);

	if (err == HL_OK && who->stored)
		err = escalation_list_of(s, who->h, status, ret);
	if (err == HL_OK && chat)
		err = escalation_list_chat(s, status, &more);
	return err == HL_OK && more.count ? append(ret, &more) : err;
}

static enum hl_err
get_list(struct call *call)
{
	struct escalations all = { 0 };
	struct buf body = BUF_INIT(REPLY_MAX);
	struct account who;
	char status[16];
	enum hl_err err = call_account(call, &who);

	if (err == HL_OK)
		err = request_query(call, "status", status, sizeof(status));
	if (err == HL_OK && *status && strcmp(status, "open") != 0 && strcmp(status, "taken") != 0)
		err = call_fail(call, HL_BAD_REQUEST, "status must be open or taken");
	if (err == HL_OK && who.admin)
		err = escalation_list(&call->app->store, status, &all);
	else if (err == HL_OK)
		err = list_own(&call->app->store, &who, status, &all);
	if (err)
		goto out;
	if (all.count)
		qsort(all.list, all.count, sizeof(*all.list), compare);
	buf_putc(&body, '[');
	for (size_t i = 0; i < all.count; i++) {
		if (body.len > 1)
			buf_putc(&body, ',');
		hide_taker(&who, &all.list[i]);
		escalation_write(&body, &all.list[i]);
		buf_putc(&body, '}');
	}
	buf_putc(&body, ']');
	err = reply_json(call, 200, &body);
out:
	escalations_free(&all);
	buf_free(&body);
	return err;
}

/* ---- one of them ---- */

static enum hl_err
check_sees(struct store *s, const struct account *who, const struct escalation *e)
{
	bool sees = who->admin || (who->stored && strcmp(e->account, who->h) == 0);
	enum hl_err err = sees || *e->account ? HL_OK : chat_owned_by(s, who, &sees);

	return err == HL_OK && !sees ? HL_NOT_FOUND : err;
}

/* Signed in, and the escalation is one that this account may see: so it may also end what another has taken. */
static enum hl_err
find(struct call *call, struct account *who, struct escalation *e)
{
	enum hl_err err = call_account(call, who);

	*e = (struct escalation){ 0 };
	if (err)
		return err;
	err = escalation_read(&call->app->store, call->segment, e);
	if (err == HL_OK)
		err = check_sees(&call->app->store, who, e);
	return err == HL_NOT_FOUND ? call_fail(call, err, "There is no such escalation, or it has expired") : err;
}

/* The sentence for what is in the way of a person. */
static enum hl_err
explain(struct call *call, enum hl_err err, struct escalation *e, const struct account *who)
{
	hide_taker(who, e);
	if (err == HL_TOO_LARGE)
		return call_fail(call, err, "This conversation is full");
	if (err == HL_UNPROCESSABLE)
		return call_fail(call, err, "This clientMessageId or Idempotency-Key was used for another reply");
	if (err != HL_CONFLICT)
		return err;
	if (str_equal(e->status, "open"))
		return call_fail(call, err, "Nobody has taken this escalation: take it first");
	if (!str_equal(e->status, "taken"))
		return call_fail(call, err, "This escalation is over: it was %s", e->status);
	if (str_equal(e->taken_by.data, who->id))
		return call_fail(call, err, "You have taken this escalation yourself");
	return call_fail(call, err, "%s has taken this escalation", e->taken_by.len ? e->taken_by.data : "Somebody");
}

static enum hl_err
get_one(struct call *call)
{
	struct buf body = BUF_INIT(REPLY_MAX);
	struct entries messages = { 0 };
	struct escalation e;
	struct account who;
	enum hl_err err = find(call, &who, &e);

	if (err == HL_OK)
		err = conversation_replay(&call->app->store, &e.place, 0, &messages);
	if (err)
		goto out;
	hide_taker(&who, &e);
	escalation_write(&body, &e);
	buf_puts(&body, ",\"messages\":[");
	for (size_t i = 0; i < messages.count; i++) {
		if (i)
			buf_putc(&body, ',');
		entry_write_desk(&body, &messages.list[i]);
	}
	buf_puts(&body, "]}");
	err = reply_json(call, 200, &body);
out:
	entries_free(&messages);
	escalation_clear(&e);
	buf_free(&body);
	return err;
}

static enum hl_err
post_take(struct call *call)
{
	struct escalation e;
	struct account who;
	enum hl_err err = find(call, &who, &e);

	if (err == HL_OK)
		err = escalation_take(&call->app->store, &e, &(struct staff){ who.id, true });
	err = err ? explain(call, err, &e, &who) : reply_record(call, &e);
	escalation_clear(&e);
	return err;
}

static enum hl_err
post_reply(struct call *call)
{
	struct reply r = { .client_id = call->request_id };
	const char *client_id = NULL, *key;
	const struct text_field fields[] = {
		{ "content", true, (size_t)call->app->conf.max_message, HL_TOO_LARGE, &r.text, &r.len },
		{ "clientMessageId", false, CLIENT_ID_MAX, HL_BAD_REQUEST, &client_id, NULL },
	};
	struct buf body = BUF_INIT(RECORD_MAX);
	struct entry stored = { 0 };
	struct escalation e;
	struct account who;
	enum hl_err err = find(call, &who, &e);

	if (err == HL_OK)
		err = request_fields(call, call->body, fields, 2, "content is required");
	if (err == HL_OK)
		err = request_header(call, "HTTP_IDEMPOTENCY_KEY", "Idempotency-Key", REQUEST_KEY_MAX, &key);
	if (err)
		goto out;
	r.key = key;
	if (client_id) {
		r.client_id = client_id;
		r.client_named = true;
	}
	err = explain(call, escalation_reply(&call->app->store, &e, &(struct staff){ who.id, true }, &r, &stored), &e,
	    &who);
	if (err)
		goto out;
	entry_write_desk(&body, &stored);
	err = reply_json(call, 201, &body);
out:
	entry_clear(&stored);
	escalation_clear(&e);
	buf_free(&body);
	return err;
}

/* Return and close: the same but for the name of their words. */
static enum hl_err
end(struct call *call, const char *name, enum hl_err (*change)(struct store *, struct escalation *, const struct staff *,
    const char *words))
{
	const char *words = NULL;
	const struct text_field fields[] = { { name, false, WORDS_MAX, HL_TOO_LARGE, &words, NULL } };
	struct escalation e;
	struct account who;
	enum hl_err err = find(call, &who, &e);

	if (err == HL_OK)
		err = request_fields(call, call->body, fields, 1, "");
	if (err == HL_OK)
		err = explain(call, change(&call->app->store, &e, &(struct staff){ who.id, true }, words), &e, &who);
	if (err == HL_OK)
		err = reply_record(call, &e);
	escalation_clear(&e);
	return err;
}

static enum hl_err
post_return(struct call *call)
{
	return end(call, "note", escalation_return);
}

static enum hl_err
post_close(struct call *call)
{
	return end(call, "resolution", escalation_close);
}

static const struct route routes[] = {
	{ "GET", "/api/escalations", BODY_NONE, get_list },
	{ "GET", "/api/escalations/:id", BODY_NONE, get_one },
	{ "POST", "/api/escalations/:id/take", BODY_NONE, post_take },
	{ "POST", "/api/escalations/:id/reply", BODY_JSON, post_reply },
	{ "POST", "/api/escalations/:id/return", BODY_OPTIONAL, post_return },
	{ "POST", "/api/escalations/:id/close", BODY_OPTIONAL, post_close },
};
const struct desk_part desk_escalations = { routes, sizeof(routes) / sizeof(routes[0]) };
