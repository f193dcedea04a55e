/*
 * GET /api/conversations: a page of one's own, newest first.
 *
 * Most who ask see what they saw the last time: the tag says so, and the body is kept until the account's version moves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/kept.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/str.h"
#include "desk/conversations.h"
#include "desk/shown.h"
#include "engine/insight.h"
#include "records/agent.h"

#define TEXT_LOOKED_FOR	512	/* bytes */
#define LINK_MAX	2600u
#define TAG_MAX		(CRYPTO_NAME_LEN + 8)
#define PARTS_MAX	(DESK_LIST_MAX * sizeof(struct part))

/* What is asked for. */
struct asked {
	struct desk_query query;
	struct buf	 text, agent_id, cursor;
	char		 agent[CRYPTO_NAME_LEN + 1];
	char		 status[16], sentiment[16];
	int64_t		 limit;
};

static void
asked_clear(struct asked *a)
{
	buf_free(&a->text);
	buf_free(&a->agent_id);
	buf_free(&a->cursor);
}

static enum hl_err
read_words(struct call *call, struct asked *a)
{
	struct desk_query *q = &a->query;
	enum hl_err err = request_query(call, "status", a->status, sizeof(a->status));

	if (err == HL_OK && *a->status && !desk_status_parse(a->status, &q->status))
		err = call_fail(call, HL_BAD_REQUEST, "status must be active, completed or archived");
	if (err == HL_OK)
		err = request_query(call, "sentiment", a->sentiment, sizeof(a->sentiment));
	if (err)
		return err;
	q->by_status = *a->status != '\0';
	q->by_sentiment = *a->sentiment != '\0';
	if (strcmp(a->sentiment, "pending") == 0)
		q->sentiment = SENTIMENT_PENDING;
	else if (q->by_sentiment && !sentiment_named(a->sentiment, &q->sentiment))
		return call_fail(call, HL_BAD_REQUEST, "sentiment must be positive, negative, neutral, urgent or pending");
	return HL_OK;
}

static enum hl_err
read_asked(struct call *call, const struct account *who, struct asked *a)
{
	struct desk_query *q = &a->query;
	enum hl_err err = read_words(call, a);

	if (err == HL_OK)
		err = request_query_text(call, "cursor", DESK_CURSOR_MAX - 1, &a->cursor);
	if (err == HL_OK)
		err = request_query_number(call, "limit", 1, DESK_LIST_MAX, DESK_LIST_MAX, &a->limit);
	if (err == HL_OK)
		err = request_query_text(call, "q", TEXT_LOOKED_FOR, &a->text);
	if (err == HL_OK)
		err = request_query_text(call, "agentId", SEGMENT_MAX, &a->agent_id);
	if (err)
		return err;
	q->account = who->h;
	q->limit = (size_t)a->limit;
	q->cursor = a->cursor.data;
	q->text = a->text.len && !str_blank(a->text.data, a->text.len) ? a->text.data : NULL;
	if (a->agent_id.len) {
		agent_name(&call->app->store, a->agent_id.data, a->agent);
		q->agent = a->agent;
	}
	return HL_OK;
}

/* ---- what it is called ---- */

static void
add_parameter(struct buf *out, const char *name, const char *value)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

	if (value == NULL || *value == '\0')
		return;
	buf_printf(out, "%s%s=", out->len ? "&" : "", name);
	for (; *value; value++) {
		if (strchr(plain, *value))
			buf_putc(out, *value);
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)*value);
	}
}

/* The query string of it, or of the page that begins at the cursor. */
static void
write_query(const struct asked *a, const char *cursor, struct buf *out)
{
	buf_printf(out, "limit=%lld", (long long)a->limit);
	add_parameter(out, "agentId", a->agent_id.data);
	add_parameter(out, "status", a->status);
	add_parameter(out, "sentiment", a->sentiment);
	add_parameter(out, "q", a->text.data);
	add_parameter(out, "cursor", cursor);
}

static enum hl_err
name_list(const struct call *call, const struct asked *a, char ret[CRYPTO_NAME_LEN + 1])
{
	struct buf about = BUF_INIT(8192);

	buf_printf(&about, "%s ", a->query.account);
	write_query(a, a->cursor.data, &about);
	crypto_name(call->app->crypto, "list", about.data ? about.data : "", about.len, ret);
	buf_free(&about);
	return buf_err(&about);
}

static void
make_tag(const struct call *call, const char *name, int64_t version, char out[TAG_MAX])
{
	char text[64], tag[CRYPTO_NAME_LEN + 1];
	int len = snprintf(text, sizeof(text), "%s %lld", name, (long long)version);

	crypto_name(call->app->crypto, "tag", text, (size_t)len, tag);
	snprintf(out, TAG_MAX, "W/\"%s\"", tag);
}

/* ---- what it holds ---- */

/* A conversation of a body, and where it stands there. */
struct part { struct desk_known of; size_t at, len; };

/* The body that was made the last time, for what has not changed since. */
struct before {
	struct buf	 body;
	struct part	 parts[DESK_LIST_MAX];
	struct desk_known known[DESK_LIST_MAX];
	size_t		 count;
};

/* A copy: what is kept may go while this one waits for the store. */
static enum hl_err
before_take(struct kept *kept, const char *name, struct desk_query *q, struct before *b)
{
	const struct kept_body *last = kept_last(kept, name, &q->known_version);

	*b = (struct before){ .body = BUF_INIT(KEPT_ONE) };
	if (last == NULL)
		return HL_OK;
	buf_add(&b->body, last->body.data, last->body.len);
	b->count = last->parts.len / sizeof(b->parts[0]);
	if (b->count)
		memcpy(b->parts, last->parts.data, last->parts.len);
	for (size_t i = 0; i < b->count; i++)
		b->known[i] = b->parts[i].of;
	q->known = b->known;
	q->known_count = b->count;
	return buf_err(&b->body);
}

static const struct part *
find_part(const struct before *b, const char *h)
{
	for (size_t i = 0; i < b->count; i++)
		if (strcmp(b->parts[i].of.h, h) == 0)
			return &b->parts[i];
	return NULL;
}

static void
write_one(struct kept_body *ret, const struct desk_conversation *c, const struct agent_ids *ids, const struct before *b)
{
	const struct part *same = c->same ? find_part(b, c->place.h) : NULL;
	struct part part = { .of.changed = c->changed, .at = ret->body.len };

	if (same) {
		part.of.changed = same->of.changed;
		buf_add(&ret->body, b->body.data + same->at, same->len);
	} else {
		shown_conversation(&ret->body, c, ids, SHOWN_IN_LIST);
		shown_analytics(&ret->body, c);
		buf_putc(&ret->body, '}');
	}
	memcpy(part.of.h, c->place.h, sizeof(part.of.h));
	part.len = ret->body.len - part.at;
	if (part.of.changed && !c->cut)
		buf_add(&ret->parts, &part, sizeof(part));
}

static enum hl_err
write_page(struct call *call, const struct desk_page *page, const struct before *before, struct kept_body *ret)
{
	struct agent_ids ids;
	enum hl_err err = agent_ids_find(&call->app->store, page->list, page->count, &ids);

	buf_putc(&ret->body, '[');
	for (size_t i = 0; i < page->count && err == HL_OK; i++) {
		if (i)
			buf_putc(&ret->body, ',');
		write_one(ret, &page->list[i], &ids, before);
	}
	buf_putc(&ret->body, ']');
	agent_ids_free(&ids);
	return err ? err : buf_err(&ret->body);
}

static enum hl_err
make_list(struct call *call, const struct asked *a, const struct before *before, struct kept_body *ret)
{
	struct desk_page page = { 0 };
	struct buf query = BUF_INIT(LINK_MAX);
	enum hl_err err = desk_list(&call->app->store, &a->query, &page);

	if (err == HL_BAD_REQUEST)
		err = call_fail(call, err, "cursor must come from the header Link of a page before");
	if (err == HL_OK)
		err = write_page(call, &page, before, ret);
	if (err == HL_OK && *page.cursor) {
		write_query(a, page.cursor, &query);
		/* Relative to this request's address: that may be below a prefix, which we do not know. */
		buf_printf(&ret->link, "<?%s>; rel=\"next\"", query.data ? query.data : "");
		err = buf_err(&query) ? buf_err(&query) : buf_err(&ret->link);
	}
	desk_page_free(&page);
	buf_free(&query);
	return err;
}

/* From what was made the last time, if a page with a text to look for is not asked for: there each one is opened anyway. */
static enum hl_err
make_from(struct call *call, struct asked *a, const char *name, struct kept_body *ret)
{
	struct before *before = calloc(1, sizeof(*before));
	enum hl_err err = before ? HL_OK : HL_NO_MEMORY;

	if (err == HL_OK && a->query.text == NULL)
		err = before_take(call->app->kept, name, &a->query, before);
	if (err == HL_OK)
		err = make_list(call, a, before, ret);
	if (before)
		buf_free(&before->body);
	free(before);
	return err;
}

static const char *
link_of(const struct kept_body *b)
{
	return b->link.len ? b->link.data : NULL;
}

/* False: it is not kept. */
static bool
reply_kept(struct call *call, const char *name, int64_t version, const char *tag, enum hl_err *ret_err)
{
	const struct kept_body *kept = kept_find(call->app->kept, name, version);
	const struct buf *packed = NULL;

	if (kept == NULL)
		return false;
	if (request_takes_gzip(call))
		packed = kept_packed(call->app->kept, name, version);
	*ret_err = packed ? reply_tagged_gzip(call, tag, link_of(kept), packed) :
	    reply_tagged(call, tag, link_of(kept), &kept->body);
	return true;
}

/* From what is kept, or made now and kept. */
static enum hl_err
reply_list(struct call *call, struct asked *a, const char *name, int64_t version, const char *tag)
{
	struct kept_body made = { .body = BUF_INIT(SHOWN_MAX), .link = BUF_INIT(LINK_MAX), .parts = BUF_INIT(PARTS_MAX) };
	struct kept *kept = call->app->kept;
	struct making making;
	enum hl_err err;

	do {
		if (reply_kept(call, name, version, tag, &err))
			return err;
	} while (!kept_make(kept, name, version, &making));
	err = make_from(call, a, name, &made);
	kept_made(kept, &making, err ? NULL : &made);
	if (err == HL_OK && !reply_kept(call, name, version, tag, &err))
		err = reply_tagged(call, tag, link_of(&made), &made.body);
	buf_free(&made.body);
	buf_free(&made.link);
	buf_free(&made.parts);
	return err;
}

enum hl_err
list_get(struct call *call)
{
	char name[CRYPTO_NAME_LEN + 1], tag[TAG_MAX];
	struct asked a = { 0 };
	struct account who;
	int64_t version = 0;
	enum hl_err err = call_owner_lists(call, &who, &version);

	if (err == HL_OK && call->app->kept == NULL)
		err = kept_new(&call->app->kept);
	if (err == HL_OK)
		err = read_asked(call, &who, &a);
	if (err == HL_OK)
		err = name_list(call, &a, name);
	if (err)
		goto out;
	make_tag(call, name, version, tag);
	err = request_has_tag(call, tag) ? reply_tagged(call, tag, NULL, NULL) : reply_list(call, &a, name, version, tag);
out:
	asked_clear(&a);
	return err;
}
