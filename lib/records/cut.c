#include <stdio.h>
#include <string.h>

#include "records/entry.h"
#include "records/recall.h"
#include "records/tally.h"

/*
 * KEYS c log  ARGV H index was is room events
 *
 * What stands there must be what was read: so it is that message, and nobody else has changed it meanwhile.  events: "" for none.
 */
static struct redis_script cut_script = { .durable = true, .text =
	LUA_N LUA_NOW
	"local s = redis.call('HMGET', KEYS[1], 'uh', 'dk', 'lb', 'ep') "
	"local desk = s[2] "
	"if not s[1] then return {'gone'} end "
	LUA_TALLY
	"if redis.call('LINDEX', KEYS[2], ARGV[2]) ~= ARGV[3] then return {'changed'} end "
	"redis.call('LSET', KEYS[2], ARGV[2], ARGV[4]) "
	"redis.call('HSET', KEYS[1], 'up', now, 'lb', n(s[3]) + #ARGV[4] - #ARGV[3]) "
	"if desk then "
	"  local f = facts(KEYS[1]) "
	"  tally(ARGV[1], f, f) "		/* lists show it */
	"end "
	"redis.call('PUBLISH', '" HANDOVER_CHANNEL "', ARGV[1] .. ' 0') "
	"if ARGV[6] ~= '' then redis.call('PUBLISH', ARGV[5], '0 ' .. n(s[4]) .. ' -\\n' .. ARGV[6]) end "
	"return {'ok'} "
};

/* The message as it was, with other words. */
static void
rewrite(const struct entry *e, const char *text, size_t len, struct buf *out)
{
	struct json_view content = entry_member(e, "content");

	buf_add(out, e->text.data, (size_t)(content.at - e->text.data));
	buf_json(out, text, len);
	buf_puts(out, ",\"interrupted\":true");
	buf_add(out, content.end, (size_t)(e->text.data + e->text.len - content.end));
}

static void
write_event(const struct entry *e, const char *text, size_t len, struct buf *out)
{
	buf_printf(out, "[\"ai_cut\",{\"id\":\"%s\",\"seq\":%lld,\"message\":", e->id, (long long)e->seq);
	buf_json(out, text, len);
	buf_puts(out, "}]");
}

/* With where its recording is. */
static void
rewrite_recorded(const struct entry *e, const char *url, struct buf *out)
{
	struct json_view content = entry_member(e, "content");

	buf_add(out, e->text.data, (size_t)(content.end - e->text.data));
	buf_puts(out, ",\"audioUrl\":");
	buf_json_str(out, url);
	buf_add(out, content.end, (size_t)(e->text.data + e->text.len - content.end));
}

static bool
may_be_cut(const struct entry *e)
{
	return !e->user && !e->human && entry_member(e, "content").at;
}

/* Its sealed bytes, and it. */
static enum hl_err
read_message(struct store *s, const struct keys *k, const char *id, int64_t seq, struct buf *was, struct entry *ret)
{
	const struct redis_reply *reply;
	const char *sealed;
	size_t len;
	enum hl_err err = read_log(s, k, seq - 1, seq - 1, &reply);

	*ret = (struct entry){ 0 };
	if (err)
		return err;
	sealed = redis_str(redis_at(reply, 0), &len);
	if (sealed == NULL)
		return HL_NOT_FOUND;
	buf_add(was, sealed, len);
	err = entry_open(s, k, redis_at(reply, 0), seq, ret);
	if (err == HL_OK && strcmp(ret->id, id) != 0)
		err = HL_NOT_FOUND;
	return err ? err : buf_err(was);
}

static enum hl_err
replace(struct store *s, const struct place *p, const struct keys *k, int64_t seq, const struct buf *was, const struct buf *is,
    const struct buf *event)
{
	const struct redis_reply *reply;
	struct number index;
	char room[CONVERSATION_KEY_MAX];
	enum hl_err err;

	conversation_room(p, room);
	struct redis_arg key[] = { RA(k->c), RA(k->log) };
	struct redis_arg arg[] = { RA(p->h), number_arg(&index, seq - 1), buf_arg(was), buf_arg(is), RA(room), buf_arg(event) };

	err = redis_script(s->redis, &cut_script, key, 2, arg, 6, &reply);
	if (err)
		return err;
	return said(reply, "ok") ? HL_OK : said(reply, "gone") ? HL_NOT_FOUND : HL_CONFLICT;
}

enum hl_err
conversation_cut(struct store *s, const struct place *p, const char *id, int64_t seq, const char *text, size_t len)
{
	struct buf was = BUF_INIT(ENTRY_MAX), is = BUF_INIT(ENTRY_MAX), json = BUF_INIT(ENTRY_MAX), event = BUF_INIT(ENTRY_MAX);
	struct entry e;
	struct keys k;
	enum hl_err err;

	keys_of(p, &k);
	err = read_message(s, &k, id, seq, &was, &e);
	if (err == HL_OK && !may_be_cut(&e))
		err = HL_NOT_FOUND;
	if (err)
		goto out;
	rewrite(&e, text, len, &json);
	write_event(&e, text, len, &event);
	if ((err = buf_err(&json)) || (err = buf_err(&event)) || (err = entry_seal(s, &k, id, &json, &is)) || (err = buf_err(&is)))
		goto out;
	err = replace(s, p, &k, seq, &was, &is, &event);
	conversation_forget(s, p);
out:
	entry_clear(&e);
	buf_free(&was);
	buf_free(&is);
	buf_free(&json);
	buf_free(&event);
	return err;
}

enum hl_err
conversation_recorded(struct store *s, const struct place *p, const char *id, int64_t seq, const char *url, struct buf *ret_url)
{
	struct buf was = BUF_INIT(ENTRY_MAX), is = BUF_INIT(ENTRY_MAX), json = BUF_INIT(ENTRY_MAX);
	const struct buf no_event = BUF_INIT(0);
	struct entry e;
	struct keys k;
	enum hl_err err;

	keys_of(p, &k);
	err = read_message(s, &k, id, seq, &was, &e);
	if (err == HL_OK && (!e.user || !entry_member(&e, "content").at))
		err = HL_NOT_FOUND;
	if (err)
		goto out;
	if (entry_member(&e, "audioUrl").at) {
		(void)json_view_string(entry_member(&e, "audioUrl"), ret_url);
		err = buf_err(ret_url);
		goto out;
	}
	rewrite_recorded(&e, url, &json);
	if ((err = buf_err(&json)) || (err = entry_seal(s, &k, id, &json, &is)) || (err = buf_err(&is)))
		goto out;
	err = replace(s, p, &k, seq, &was, &is, &no_event);
	conversation_forget(s, p);
	if (err == HL_OK)
		buf_puts(ret_url, url);
out:
	entry_clear(&e);
	buf_free(&was);
	buf_free(&is);
	buf_free(&json);
	return err;
}

void
conversation_forget(struct store *s, const struct place *p)
{
	struct entries before = { 0 };

	if (s->recall)
		(void)recall_take(s->recall, p, redis_life(s->redis), &before);
	entries_free(&before);
}
