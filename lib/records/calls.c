#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_view.h"
#include "records/calls.h"
#include "records/desk_fields.h"
#include "records/tally.h"

#define CALL_KEY_MAX	(CONVERSATION_KEY_MAX + 8)

/*
 * KEYS c calls lr
 * ARGV H event sealed at kind room most link ahead
 */
static struct redis_script add_script = { .durable = true, .text =
	LUA_N LUA_NOW "local desk = true " LUA_TALLY
	"if not redis.call('HGET', KEYS[1], 'dk') then return {'gone'} end "
	"local was, kind, over = facts(KEYS[1]), ARGV[5], 'f:' .. ARGV[6] "
	"local at = n(ARGV[4]) "
	"if at > now + ARGV[9] then at = now end "
	"local first = redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 "
	"local function bound(least, most) "
	"  local b = redis.call('HMGET', KEYS[2], least, most) "
	"  local from, to = math.min(b[1] or at, at), math.max(b[2] or at, at) "
	"  redis.call('HSET', KEYS[2], least, from, most, to) "
	"  return from, to "
	"end "
	"if first and redis.call('HLEN', KEYS[2]) < n(ARGV[7]) then redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) end "
	"local from, to = bound('a<', 'a>') "
	"local person = kind == 'joined' or kind == 'left' "
	"if person or redis.call('HEXISTS', KEYS[2], 'j<') == 1 then "
	"  if person then from, to = bound('j<', 'j>') "
	"  else from, to = unpack(redis.call('HMGET', KEYS[2], 'j<', 'j>')) end "
	"end "
	"redis.call('HSET', KEYS[1], 'ks', from, 'ke', to, 'up', now) "
	"local s, ended = redis.call('HMGET', KEYS[1], 'ds', 'en'), 0 "
	"if kind == 'finished' then "
	"  if redis.call('HSET', KEYS[2], over, 1) == 1 and not s[1] then "
	"    redis.call('HSET', KEYS[1], 'ds', 1, 'en', at) "
	"    ended = 1 "
	"  end "
	"elseif (kind == 'started' or kind == 'joined') and first and s[1] == '1' and at > n(s[2]) "
	"  and redis.call('HEXISTS', KEYS[2], over) == 0 then "
	"  redis.call('HDEL', KEYS[1], 'ds', 'en') "
	"end "
	"local left = redis.call('PTTL', KEYS[1]) "
	"if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end "
	"redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[8]) "
	"tally(ARGV[1], was, facts(KEYS[1])) "
	"return {'ok', ended} "
};

/* ---- names ---- */

static void
calls_key(const struct place *p, char out[CALL_KEY_MAX])
{
	snprintf(out, CALL_KEY_MAX, "c:" SHARD ":%s:calls", p->h);
}

static void
room_name(const struct store *s, const char *room, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "livekit-room", room, strlen(room), out);
}

static void
link_key(const struct store *s, const char *room, char out[CALL_KEY_MAX])
{
	char name[CRYPTO_NAME_LEN + 1];

	room_name(s, room, name);
	snprintf(out, CALL_KEY_MAX, "lr:" SHARD ":%s", name);
}

static const char *
kind_word(enum call_kind kind)
{
	static const char *const words[] = { "other", "started", "finished", "joined", "left" };

	return words[kind];
}

/* ---- recording ---- */

static void
recording_key(const struct store *s, const char *room, char out[CALL_KEY_MAX])
{
	char name[CRYPTO_NAME_LEN + 1];

	room_name(s, room, name);
	snprintf(out, CALL_KEY_MAX, "lx:" SHARD ":%s", name);
}

enum hl_err
calls_record_begin(struct store *s, const char *room, char ret_mine[ID_LEN + 1])
{
	const struct redis_reply *reply;
	char key[CALL_KEY_MAX];
	struct number life;
	enum hl_err err;

	id_new(ret_mine);
	recording_key(s, room, key);
	struct redis_arg args[] = { RA("SET"), RA(key), RA(ret_mine), RA("NX"), RA("PX"), number_arg(&life, CALLS_RECORD_MS) };

	err = redis_call(s->redis, args, 6, &reply);
	return err == HL_OK && redis_type(reply) == REDIS_NIL ? HL_CONFLICT : err;
}

/* KEYS lx  ARGV mine */
static struct redis_script begun_script = { .text =
	"if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end "
	"return {'ok'} "
};

void
calls_record_begun(struct store *s, const char *room, const char *mine)
{
	const struct redis_reply *reply;
	char key[CALL_KEY_MAX];

	recording_key(s, room, key);
	struct redis_arg keys[] = { RA(key) }, args[] = { RA(mine) };

	(void)!redis_script(s->redis, &begun_script, keys, 1, args, 1, &reply);	/* else it runs out */
}

/* ---- which conversation ---- */

enum hl_err
calls_owner(struct store *s, const struct place *p, char ret[CRYPTO_NAME_LEN + 1])
{
	const struct redis_reply *reply;
	struct keys k;
	enum hl_err err;

	*ret = '\0';
	keys_of(p, &k);
	struct redis_arg args[] = { RA("HMGET"), RA(k.c), RA("dk"), RA("uh") };

	err = redis_call(s->redis, args, 4, &reply);
	if (err)
		return err;
	if (redis_type(redis_at(reply, 0)) == REDIS_NIL)
		return HL_NOT_FOUND;
	name_take(redis_at(reply, 1), ret);
	return HL_OK;
}

enum hl_err
calls_link(struct store *s, const char *room, const struct place *p)
{
	const struct redis_reply *reply;
	char key[CALL_KEY_MAX];
	struct number life;

	link_key(s, room, key);
	struct redis_arg args[] = { RA("SET"), RA(key), RA(p->h), RA("PX"), number_arg(&life, CALLS_LINK_MS) };

	return redis_call(s->redis, args, 5, &reply);
}

enum hl_err
calls_linked(struct store *s, const char *room, struct place *ret)
{
	const struct redis_reply *reply;
	char key[CALL_KEY_MAX];
	enum hl_err err;

	link_key(s, room, key);
	struct redis_arg args[] = { RA("GET"), RA(key) };

	err = redis_call(s->redis, args, 2, &reply);
	if (err)
		return err;
	name_take(reply, ret->h);
	return *ret->h ? HL_OK : HL_NOT_FOUND;
}

/* ---- events ---- */

/* An event cannot be moved to another conversation, nor to another event's place. */
static void
seal_place(const char *key, const char *name, char out[CALL_KEY_MAX + CRYPTO_NAME_LEN + 2])
{
	snprintf(out, CALL_KEY_MAX + CRYPTO_NAME_LEN + 2, "%s#%s", key, name);
}

enum hl_err
calls_add(struct store *s, const struct place *p, const struct call_event *e, bool *ret_ended)
{
	char key[CALL_KEY_MAX], link[CALL_KEY_MAX], name[CRYPTO_NAME_LEN + 1], room[CRYPTO_NAME_LEN + 1];
	char place[CALL_KEY_MAX + CRYPTO_NAME_LEN + 2];
	struct buf sealed = BUF_INIT(CALLS_EVENT_BYTES + 64);
	const struct redis_reply *reply;
	struct number at, most, life, ahead;
	struct keys k;
	enum hl_err err;

	*ret_ended = false;
	keys_of(p, &k);
	calls_key(p, key);
	link_key(s, e->room, link);
	room_name(s, e->room, room);
	crypto_name(s->crypto, "livekit-event", e->id, strlen(e->id), name);
	seal_place(key, name, place);
	err = crypto_seal(s->crypto, place, e->json, strlen(e->json), &sealed);
	if (err)
		goto out;
	struct redis_arg keys[] = { RA(k.c), RA(key), RA(link) };
	struct redis_arg arg[] = { RA(p->h), RA(name), buf_arg(&sealed), number_arg(&at, e->at_ms), RA(kind_word(e->kind)), RA(room),
		number_arg(&most, CALLS_EVENTS_MAX), number_arg(&life, CALLS_LINK_MS), number_arg(&ahead, CALLS_AHEAD_MS) };

	err = redis_script(s->redis, &add_script, keys, 3, arg, 9, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	*ret_ended = err == HL_OK && redis_int(redis_at(reply, 1)) == 1;
out:
	buf_free(&sealed);
	return err;
}

void
call_events_free(struct call_events *e)
{
	for (size_t i = 0; i < e->count; i++)
		buf_free(&e->list[i]);
	free(e->list);
	*e = (struct call_events){ 0 };
}

static int64_t
time_of(const struct buf *event)
{
	struct json_view v;
	int64_t at = 0;

	if (json_view_open(event->data ? event->data : "", event->len, JSON_JS, &v) != HL_OK ||
	    !json_view_integer(json_view_get(v, "ts"), &at))
		return 0;
	return at;
}

static int
by_time(const void *a, const void *b)
{
	int64_t x = time_of(a), y = time_of(b);

	return x < y ? -1 : x > y;
}

static enum hl_err
open_event(const struct store *s, const char *key, const char *name, const struct redis_reply *reply, struct buf *ret)
{
	char place[CALL_KEY_MAX + CRYPTO_NAME_LEN + 2];
	size_t len;
	const char *sealed = redis_str(reply, &len);

	*ret = BUF_INIT(CALLS_EVENT_BYTES);
	seal_place(key, name, place);
	return sealed ? crypto_unseal(s->crypto, place, sealed, len, ret) : HL_INTERNAL;
}

enum hl_err
calls_read(struct store *s, const struct place *p, struct call_events *ret)
{
	const struct redis_reply *reply;
	char key[CALL_KEY_MAX];
	enum hl_err err;

	*ret = (struct call_events){ 0 };
	calls_key(p, key);
	struct redis_arg args[] = { RA("HGETALL"), RA(key) };

	err = redis_call(s->redis, args, 2, &reply);
	if (err || redis_length(reply) == 0)
		return err;
	ret->list = calloc(redis_length(reply) / 2, sizeof(*ret->list));
	if (ret->list == NULL)
		return HL_NO_MEMORY;
	for (size_t i = 0; i + 1 < redis_length(reply) && err == HL_OK; i += 2) {
		const char *name = redis_str(redis_at(reply, i), NULL);

		if (strlen(name) == CRYPTO_NAME_LEN)	/* the others are notes of the script's */
			err = open_event(s, key, name, redis_at(reply, i + 1), &ret->list[ret->count++]);
	}
	if (err)
		call_events_free(ret);
	else
		qsort(ret->list, ret->count, sizeof(*ret->list), by_time);
	return err;
}
