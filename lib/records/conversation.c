#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "records/entry.h"
#include "records/scripts.h"

/* ---- scripts ---- */

/* KEYS c active rl…  ARGV H uh ttl d pr intervals… */
static struct redis_script create_script = { .durable = true, .text =
	LUA_NOW
	LUA_LIMITS(3, 6)
	"redis.call('HSET', KEYS[1], 'uh', ARGV[2], 'cr', now, 'ttl', ARGV[3], 'd', ARGV[4]) "
	"if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'pr', ARGV[5]) end "
	"redis.call('PEXPIRE', KEYS[1], ARGV[3]) "
	"if now % 32 == 0 then redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now) end "
	"redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1]) "
	"return {'ok', now} "
};

/* KEYS c log seen active  ARGV H uh after touch keep */
static struct redis_script read_script = { .text =
	LUA_N LUA_NOW LUA_EXPIRE
	"local s = redis.call('HMGET', KEYS[1], 'uh', 'cr', 'up', 'seq', 'd', 'pr', 'ttl', 'us', 'dn', 'ow', 'esc', 'ep') "
	"if not s[1] then return {'gone'} end "
	"if ARGV[2] ~= '' and ARGV[2] ~= s[1] then return {'forbidden'} end "
	"if ARGV[4] == '1' then "
	"  redis.call('ZADD', KEYS[4], now + s[7], ARGV[1]) "
	"  if n(s[8]) <= n(s[9]) or (s[10] or 'ai') ~= 'ai' then expire(s[7], s[11] and ARGV[5]) end "
	"end "
	"return {'ok', n(s[2]), n(s[3] or s[2]), n(s[4]), s[5], s[6], "
	"  redis.call('LRANGE', KEYS[2], ARGV[3], -1), s[10], n(s[12])} "
};

/* KEYS c log seen active due  ARGV H */
static struct redis_script delete_script = { .text =
	"redis.call('DEL', KEYS[1], KEYS[2], KEYS[3]) "
	"redis.call('ZREM', KEYS[4], ARGV[1]) "
	"redis.call('ZREM', KEYS[5], ARGV[1]) "
	"return {'ok'} "
};

/* KEYS active.  The first call changes nothing, and is refused when a message would be: a store that only reads is not well. */
static struct redis_script count_script = { .durable = true, .text =
	LUA_NOW
	"redis.call('ZADD', KEYS[1], 'XX', 0, '') "
	"return redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf') "
};

/* ---- sessions ---- */

void
conversation_clear(struct conversation *c)
{
	json_free(c->data);
	c->data = NULL;
}

static void
write_data(struct buf *out, const char *id, const char *user_id, const struct json *metadata)
{
	buf_puts(out, "{\"id\":");
	buf_json_str(out, id);
	buf_puts(out, ",\"userId\":");
	buf_json_str(out, user_id);
	if (metadata) {
		buf_puts(out, ",\"metadata\":");
		json_write(out, metadata);
	}
	buf_putc(out, '}');
}

enum hl_err
conversation_create(struct store *s, const char *user_id, const struct json *metadata, bool probe,
    const struct limits *limits, struct conversation *ret, int64_t *retry_ms)
{
	struct buf data = BUF_INIT(ENTRY_MAX), sealed = BUF_INIT(ENTRY_MAX);
	const struct redis_reply *reply;
	struct limit_args la;
	struct redis_arg key[5], arg[8];
	char uh[CRYPTO_NAME_LEN + 1];
	struct number ttl;
	struct keys k;
	enum hl_err err;

	*ret = (struct conversation){ .probe = probe };
	*retry_ms = 0;
	id_new(ret->id);
	ret->place = conversation_place(s, ret->id);
	keys_of(&ret->place, &k);
	user_name(s, user_id, uh);
	limit_args(s, limits, &la);
	write_data(&data, ret->id, user_id, metadata);
	err = buf_err(&data);
	if (err == HL_OK)
		err = crypto_seal(s->crypto, k.c, data.data, data.len, &sealed);
	if (err)
		goto out;
	key[0] = RA(k.c);
	key[1] = RA(ACTIVE_KEY);
	memcpy(key + 2, la.key, la.count * sizeof(key[0]));
	arg[0] = RA(ret->place.h);
	arg[1] = RA(uh);
	arg[2] = number_arg(&ttl, s->conf->session_timeout_ms);
	arg[3] = buf_arg(&sealed);
	arg[4] = probe ? RA("1") : RA("");
	memcpy(arg + 5, la.interval, la.count * sizeof(arg[0]));
	err = redis_script(s->redis, &create_script, key, 2 + la.count, arg, 5 + la.count, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_TOO_MANY)
		*retry_ms = redis_int(redis_at(reply, 1));
	if (err)
		goto out;
	ret->created_ms = ret->updated_ms = redis_int(redis_at(reply, 1));
out:
	buf_free(&data);
	buf_free(&sealed);
	return err;
}

enum hl_err
conversation_read(struct store *s, const char *id, const char *user_id, int64_t after, bool touch,
    struct conversation *ret, struct entries *messages)
{
	const struct redis_reply *reply;
	struct redis_arg key[4], arg[5];
	char uh[CRYPTO_NAME_LEN + 1] = "";
	struct number from, keep;
	struct keys k;
	enum hl_err err;

	*ret = (struct conversation){ 0 };
	*messages = (struct entries){ 0 };
	if (!id_valid(id))
		return HL_NOT_FOUND;
	strcpy(ret->id, id);
	ret->place = conversation_place(s, id);
	keys_of(&ret->place, &k);
	if (user_id)
		user_name(s, user_id, uh);
	key[0] = RA(k.c);
	key[1] = RA(k.log);
	key[2] = RA(k.seen);
	key[3] = RA(ACTIVE_KEY);
	arg[0] = RA(ret->place.h);
	arg[1] = RA(uh);
	arg[2] = number_arg(&from, after > 0 ? after : 0);
	arg[3] = touch ? RA("1") : RA("0");
	arg[4] = number_arg(&keep, s->conf->escalation_keep_ms);
	err = redis_script(s->redis, &read_script, key, 4, arg, 5, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err)
		return err;
	ret->created_ms = redis_int(redis_at(reply, 1));
	ret->updated_ms = redis_int(redis_at(reply, 2));
	ret->seq = redis_int(redis_at(reply, 3));
	ret->probe = redis_int(redis_at(reply, 5)) == 1;
	ret->epoch = redis_int(redis_at(reply, 8));
	ret->person = str_equal(redis_str(redis_at(reply, 7), NULL), "human");
	err = entries_open(s, &k, redis_at(reply, 6), ret->seq, HISTORY_MAX, messages);
	if (err == HL_OK)
		err = open_data(s, &k, redis_at(reply, 4), &ret->data);
	if (err)
		entries_free(messages);
	return err;
}

enum hl_err
conversation_delete(struct store *s, const char *id)
{
	const struct redis_reply *reply;
	struct place p = conversation_place(s, id);
	struct keys k;

	keys_of(&p, &k);
	struct redis_arg key[] = { RA(k.c), RA(k.log), RA(k.seen), RA(ACTIVE_KEY), RA(DUE_KEY) }, arg[] = { RA(p.h) };

	return redis_script(s->redis, &delete_script, key, 5, arg, 1, &reply);
}

enum hl_err
conversation_count_active(struct store *s, int64_t *ret)
{
	const struct redis_reply *reply;
	struct redis_arg key[] = { RA(ACTIVE_KEY) };
	enum hl_err err = redis_script(s->redis, &count_script, key, 1, NULL, 0, &reply);

	*ret = err ? 0 : redis_int(reply);
	return err;
}

enum hl_err
conversation_replay(struct store *s, const struct place *p, int64_t after, struct entries *ret)
{
	const struct redis_reply *reply;
	struct keys k;
	enum hl_err err;

	*ret = (struct entries){ 0 };
	keys_of(p, &k);
	if (after < 0)
		after = 0;
	err = read_log(s, &k, after, -1, &reply);
	return err ? err : entries_open(s, &k, reply, after + (int64_t)redis_length(reply), HISTORY_MAX, ret);
}
