#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fold.h"
#include "base/str.h"
#include "records/desk_head.h"
#include "records/entry.h"
#include "records/tally.h"

#define SCAN_AT_ONCE	"500"	/* conversations that one script looks at for those that are asked for */
#define SCANS_MAX	20
#define SEARCH_AT_ONCE	25	/* that one script returns for their texts to be looked into */
#define PAGE_LOG_MAX	4194304	/* bytes of messages in what a script returns; what is over is cut */
#define CUT_LAST	2	/* messages of a conversation that is cut */
#define NEEDLE_MAX	4096u
#define NEEDLES_MAX	32u		/* words: each reads every text once */

/*
 * KEYS conversations
 * ARGV account score member limit agent status sentiment log_max whole known_version known
 *
 * known: pairs of a member and its cv, "H 12 H 15 ".  A conversation that is as its pair says is given as {member, time of
 * creation}, unless an agent was deleted since.
 * What does not fit into log_max is cut, or, if whole is 1, left for the next time (never the first).
 * Goes on behind (score, member), which may have been deleted.  Status and sentiment are as stored, absent is "-"; empty: all.
 * Returns {version, whether there are more, score and member of the last one that was looked at, heads}.
 */
static struct redis_script desk_list_script = { .text =
	LUA_N LUA_HEAD
	"local agent, status, sentiment, limit = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[4]) "
	"local all = agent == '' and status == '' and sentiment == '' "
	"local start, out, last, budget, known = 0, {}, 0, tonumber(ARGV[8]), {} "
	"if n(redis.call('HGET', '" STATS_KEY "' .. ARGV[1], 'av')) <= tonumber(ARGV[10]) then "
	"  for h, cv in string.gmatch(ARGV[11], '(%S+) (%d+) ') do known[h] = cv end "
	"end "
	"if ARGV[3] ~= '' then "
	"  start = redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[2], '+inf') "
	"  for _, h in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], ARGV[2])) do "
	"    if h >= ARGV[3] then start = start + 1 end "
	"  end "
	"end "
	"local most = all and limit or " SCAN_AT_ONCE " "
	"local list = redis.call('ZREVRANGE', KEYS[1], start, start + most) "
	"local function wanted(h) "
	"  if all then return true end "
	"  local f = redis.call('HMGET', 'c:" SHARD ":' .. h, 'ag', 'ds', 'se') "
	"  return (agent == '' or f[1] == agent) and (status == '' or (f[2] or '-') == status) "
	"    and (sentiment == '' or (f[3] or '-') == sentiment) "
	"end "
	"while last < most and last < #list and #out < limit do "
	"  local h = list[last + 1] "
	"  if wanted(h) then "
	"    local f = redis.call('HMGET', 'c:" SHARD ":' .. h, 'lb', 'cv', 'cr') "
	"    local bytes, r = n(f[1]), {h, f[3]} "
	"    local cut = bytes > budget and not (ARGV[9] == '1' and #out == 0) "
	"    if cut and ARGV[9] == '1' then break end "
	"    if cut or not f[2] or known[h] ~= f[2] then "
	"      r = head(h) "
	"      r[" HEAD_LOG "] = redis.call('LRANGE', 'c:" SHARD ":' .. h .. ':log', cut and -" HL_TEXT(CUT_LAST) " or 0, -1) "
	"      r[" HEAD_CUT "] = cut and 1 or 0 "
	"      r[" HEAD_NAME "] = h "
	"    end "
	"    if not cut then budget = budget - bytes end "
	"    out[#out + 1] = r "
	"  end "
	"  last = last + 1 "
	"end "
	"return {n(redis.call('HGET', '" STATS_KEY "' .. ARGV[1], 'v')), last < #list and 1 or 0, "
	"  last > 0 and redis.call('ZSCORE', KEYS[1], list[last]) or ARGV[2], last > 0 and list[last] or ARGV[3], out} "
};

/* KEYS st recent */
static struct redis_script desk_stats_script = { .text =
	"return {redis.call('HGETALL', KEYS[1]), redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')} "
};

static const char *const statuses[] = { "active", "completed", "archived" };

const char *
desk_status_name(enum desk_status status)
{
	return statuses[status];
}

bool
desk_status_parse(const char *text, enum desk_status *ret)
{
	for (int i = DESK_ACTIVE; i <= DESK_ARCHIVED; i++)
		if (str_equal(text, statuses[i])) {
			*ret = (enum desk_status)i;
			return true;
		}
	return false;
}

/* ---- cursors: a score and a member ---- */

struct cursor { char score[24], member[CRYPTO_NAME_LEN + 1]; };

static enum hl_err
cursor_parse(const char *text, struct cursor *c)
{
	size_t n;

	*c = (struct cursor){ 0 };
	if (text == NULL || *text == '\0')
		return HL_OK;
	n = strspn(text, "0123456789");
	if (n == 0 || n > 15 || text[n] != '.' || !id_valid(text + n + 1))	/* a keyed name is written like an id */
		return HL_BAD_REQUEST;
	memcpy(c->score, text, n);
	memcpy(c->member, text + n + 1, CRYPTO_NAME_LEN);
	return HL_OK;
}

static void
cursor_set(struct desk_page *page, const char *score, const char *member)
{
	snprintf(page->cursor, sizeof(page->cursor), "%.15s.%.22s", score, member);
}

static void
cursor_after(struct desk_page *page, const struct desk_conversation *c)
{
	char score[24];

	snprintf(score, sizeof(score), "%lld", (long long)c->created_ms);
	cursor_set(page, score, c->place.h);
}

/* ---- what is looked for ---- */

struct needle { size_t at, len; bool found; };

/* Words, each somewhere in a conversation. */
struct needles {
	struct buf	 text;			/* folded */
	struct needle	 words[NEEDLES_MAX];
	size_t		 count;
};

static enum hl_err
needles_read(struct needles *n, const char *text)
{
	size_t at = 0;

	fold_text(&n->text, text, strlen(text));
	if (buf_err(&n->text))
		return HL_BAD_REQUEST;
	while (at < n->text.len) {
		const char *here = n->text.data + at, *next = here, *end = n->text.data + n->text.len;
		struct needle *last = &n->words[n->count ? n->count - 1 : 0];
		bool goes_on;

		utf8_next(&next, end);
		goes_on = n->count && last->at + last->len == at;
		if (!str_blank(here, (size_t)(next - here))) {
			if (!goes_on && n->count == NEEDLES_MAX)
				return HL_BAD_REQUEST;
			if (!goes_on)
				n->words[n->count++] = (struct needle){ .at = at };
			n->words[n->count - 1].len += (size_t)(next - here);
		}
		at += (size_t)(next - here);
	}
	return HL_OK;
}

/* How many of the words the text holds that were not found before. */
static size_t
look_into(struct buf *scratch, const char *text, size_t len, struct needles *n)
{
	size_t found = 0;

	buf_reset(scratch);
	fold_text(scratch, text, len);
	for (struct needle *w = n->words; w < n->words + n->count && scratch->len; w++)
		if (!w->found && memmem(scratch->data, scratch->len, n->text.data + w->at, w->len)) {
			w->found = true;
			found++;
		}
	return found;
}

static bool
matches(struct buf *scratch, const struct desk_conversation *c, struct needles *n)
{
	size_t left = n->count, len;
	const char *text;

	for (size_t i = 0; i < n->count; i++)
		n->words[i].found = false;
	if (c->title.len)
		left -= look_into(scratch, c->title.data, c->title.len, n);
	for (size_t i = 0; i < c->messages.count && left; i++) {
		text = entry_content(&c->messages.list[i], &len);
		if (len)
			left -= look_into(scratch, text, len, n);
	}
	return left == 0;
}

/* ---- pages ---- */

void
desk_page_free(struct desk_page *p)
{
	for (size_t i = 0; i < p->count; i++)
		desk_clear(&p->list[i]);
	free(p->list);
	p->list = NULL;
	p->count = 0;
}

struct search {
	const struct desk_query *query;
	struct needles	 needles;
	struct buf	 scratch;
	size_t		 limit, opened, bytes;	/* bytes: of messages in the page */
	unsigned	 scans;
	bool		 more;
};

/* It was looked into as a whole, and is shown as any page shows it. */
static void
cut_to_fit(struct search *x, struct desk_conversation *c)
{
	struct entries *all = &c->messages;
	size_t bytes = 0, drop = all->count > CUT_LAST ? all->count - CUT_LAST : 0;

	for (size_t i = 0; i < all->count; i++)
		bytes += all->list[i].text.len;
	if (x->bytes + bytes <= PAGE_LOG_MAX) {
		x->bytes += bytes;
		return;
	}
	for (size_t i = 0; i < drop; i++)
		entry_clear(&all->list[i]);
	all->count -= drop;
	memmove(all->list, all->list + drop, all->count * sizeof(*all->list));
	c->cut = true;
}

static enum hl_err
take_one(const struct store *s, const struct redis_reply *head, struct desk_conversation *c)
{
	struct place p = { 0 };

	if (redis_length(head) > 2) {
		name_take(redis_at(head, HEAD_H), p.h);
		return head_take(s, &p, head, HISTORY_MAX, c);
	}
	*c = (struct desk_conversation){ .same = true, .created_ms = redis_int(redis_at(head, 1)) };
	name_take(redis_at(head, 0), c->place.h);
	return HL_OK;
}

/* Puts those that are wanted into the page, and the cursor behind the last that was looked at. */
static enum hl_err
take_heads(const struct store *s, const struct redis_reply *heads, struct search *x, struct desk_page *page)
{
	enum hl_err err;

	for (size_t i = 0; i < redis_length(heads); i++) {
		const struct redis_reply *head = redis_at(heads, i);
		struct desk_conversation *c = &page->list[page->count];

		if (page->count == x->limit) {
			x->more = true;
			break;
		}
		err = take_one(s, head, c);
		if (err)
			return err;
		c->version = page->version;
		x->opened++;
		cursor_after(page, c);
		if (x->needles.count && !matches(&x->scratch, c, &x->needles)) {
			desk_clear(c);
			continue;
		}
		if (x->needles.count)
			cut_to_fit(x, c);
		page->count++;
	}
	return buf_err(&x->scratch);
}

static void
write_known(const struct desk_query *q, struct buf *out)
{
	buf_puts(out, "");
	for (size_t i = 0; i < q->known_count; i++) {
		buf_puts(out, q->known[i].h);
		buf_putc(out, ' ');
		buf_int(out, q->known[i].changed);
		buf_putc(out, ' ');
	}
}

static enum hl_err
ask_list(struct store *s, const struct search *x, size_t most, const struct cursor *from, const struct redis_reply **reply)
{
	const struct desk_query *q = x->query;
	char all[CONVERSATION_KEY_MAX];
	struct number limit, status, sentiment, log_max, whole, version;
	struct buf known = BUF_INIT(DESK_LIST_MAX * (CRYPTO_NAME_LEN + 24));
	enum hl_err err;

	snprintf(all, sizeof(all), ACCOUNT_KEY "%s:conversations", q->account);
	write_known(q, &known);
	struct redis_arg key[] = { RA(all) };
	struct redis_arg arg[] = { RA(q->account), RA(from->score), RA(from->member), number_arg(&limit, (int64_t)most),
		RA(q->agent ? q->agent : ""),
		!q->by_status ? RA("") : q->status == DESK_ACTIVE ? RA("-") : number_arg(&status, q->status),
		!q->by_sentiment ? RA("") : q->sentiment == SENTIMENT_PENDING ? RA("-") : number_arg(&sentiment, q->sentiment),
		number_arg(&log_max, PAGE_LOG_MAX), number_arg(&whole, x->needles.count > 0),
		number_arg(&version, q->known_version), buf_arg(&known) };

	err = buf_err(&known);
	if (err == HL_OK)
		err = redis_script(s->redis, &desk_list_script, key, 1, arg, 11, reply);
	buf_free(&known);
	return err;
}

/* One script's worth. */
static enum hl_err
list_some(struct store *s, struct search *x, struct desk_page *page)
{
	const struct redis_reply *reply;
	size_t most = x->needles.count ? SEARCH_AT_ONCE : x->limit - page->count, before = x->opened;
	struct cursor from;
	enum hl_err err = cursor_parse(page->cursor, &from);

	if (err == HL_OK)
		err = ask_list(s, x, most, &from, &reply);
	if (err)
		return err;
	if (x->scans++ == 0)
		page->version = redis_int(redis_at(reply, 0));
	x->more = redis_int(redis_at(reply, 1)) == 1;
	err = take_heads(s, redis_at(reply, 4), x, page);
	if (err == HL_OK && x->opened - before == redis_length(redis_at(reply, 4)) &&
	    redis_str(redis_at(reply, 3), NULL) && *redis_str(redis_at(reply, 3), NULL))
		cursor_set(page, redis_str(redis_at(reply, 2), NULL), redis_str(redis_at(reply, 3), NULL));
	return err;
}

enum hl_err
desk_list(struct store *s, const struct desk_query *q, struct desk_page *ret)
{
	struct search x = { .query = q, .needles.text = BUF_INIT(NEEDLE_MAX), .scratch = BUF_INIT(2 * ENTRY_MAX),
		.limit = q->limit < DESK_LIST_MAX ? q->limit : DESK_LIST_MAX, .more = true };
	enum hl_err err;

	*ret = (struct desk_page){ 0 };
	if (q->cursor && strlen(q->cursor) >= sizeof(ret->cursor))
		return HL_BAD_REQUEST;
	snprintf(ret->cursor, sizeof(ret->cursor), "%s", q->cursor ? q->cursor : "");
	err = q->text ? needles_read(&x.needles, q->text) : HL_OK;
	if (q->text && *q->text && x.needles.count == 0)
		x.more = false;		/* marks alone are in no word */
	ret->list = err ? NULL : calloc(x.limit + 1, sizeof(*ret->list));
	if (err == HL_OK && ret->list == NULL)
		err = HL_NO_MEMORY;
	while (err == HL_OK && x.more && ret->count < x.limit && x.scans < SCANS_MAX &&
	    (x.needles.count == 0 || x.opened < DESK_SCAN_MAX))
		err = list_some(s, &x, ret);
	if (err == HL_OK && !x.more)
		ret->cursor[0] = '\0';
	buf_free(&x.needles.text);
	buf_free(&x.scratch);
	if (err)
		desk_page_free(ret);
	return err;
}

/* ---- statistics ---- */

void
desk_version_ahead(struct store *s, const char *account, struct redis_ahead *ret)
{
	char key[CONVERSATION_KEY_MAX];

	snprintf(key, sizeof(key), STATS_KEY "%s", account);
	struct redis_arg args[] = { RA("HGET"), RA(key), RA("v") };

	redis_send_ahead(s->redis, args, 3, ret);
}

enum hl_err
desk_version(struct store *s, const char *account, int64_t *ret)
{
	struct redis_ahead ahead;

	desk_version_ahead(s, account, &ahead);
	return redis_take(&ahead, ret);
}

void
desk_stats_free(struct desk_stats *st)
{
	for (size_t i = 0; i < st->company_count; i++)
		buf_free(&st->companies[i]);
	free(st->companies);
	*st = (struct desk_stats){ 0 };
}

/* Agents of one company may be several. */
static bool
is_listed(const struct desk_stats *st, const struct buf *name)
{
	for (size_t i = 0; i < st->company_count; i++)
		if (str_equal(st->companies[i].data, name->data))
			return true;
	return false;
}

static enum hl_err
take_company(const struct store *s, const char *account, const char *agent, const struct redis_reply *sealed,
    struct desk_stats *st)
{
	struct buf name = BUF_INIT(ENTRY_MAX);
	enum hl_err err = company_open(s, account, agent, sealed, &name);

	if (err == HL_OK && name.len && !is_listed(st, &name))
		st->companies[st->company_count++] = name;
	else
		buf_free(&name);
	return err;
}

static void
take_number(const char *field, int64_t value, struct desk_stats *st)
{
	if (str_equal(field, "calls"))
		st->calls = value;
	else if (str_equal(field, "msgs"))
		st->messages = value;
	else if (str_equal(field, "dur"))
		st->seconds = value;
	else if (str_equal(field, "ndur"))
		st->timed = value;
	else if (field[0] == 's' && field[1] >= '0' && field[1] < '0' + SENTIMENTS && field[2] == '\0')
		st->sentiments[field[1] - '0'] = value;
}

enum hl_err
desk_stats(struct store *s, const char *account, struct desk_stats *ret)
{
	char stats[CONVERSATION_KEY_MAX], recent[CONVERSATION_KEY_MAX];
	const struct redis_reply *reply, *fields;
	enum hl_err err;

	*ret = (struct desk_stats){ 0 };
	snprintf(stats, sizeof(stats), STATS_KEY "%s", account);
	snprintf(recent, sizeof(recent), ACCOUNT_KEY "%s:recent", account);
	struct redis_arg key[] = { RA(stats), RA(recent) };

	err = redis_script(s->redis, &desk_stats_script, key, 2, NULL, 0, &reply);
	if (err)
		return err;
	fields = redis_at(reply, 0);
	ret->last_ms = redis_int(redis_at(redis_at(reply, 1), 1));
	ret->companies = calloc(redis_length(fields) / 2 + 1, sizeof(*ret->companies));
	if (ret->companies == NULL)
		return HL_NO_MEMORY;
	for (size_t i = 0; i + 1 < redis_length(fields) && err == HL_OK; i += 2) {
		const char *field = redis_str(redis_at(fields, i), NULL);

		if (strncmp(field, "n:", 2) == 0)
			err = take_company(s, account, field + 2, redis_at(fields, i + 1), ret);
		else
			take_number(field, redis_int(redis_at(fields, i + 1)), ret);
	}
	if (err)
		desk_stats_free(ret);
	return err;
}

void
analytics_key(const char *account, int64_t day, char out[CONVERSATION_KEY_MAX])
{
	snprintf(out, CONVERSATION_KEY_MAX, ANALYTICS_KEY "%.22s:%lld", account, (long long)day);
}
