#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "records/entry.h"
#include "records/scripts.h"

/* ---- scripts ---- */

/* KEYS rl…  ARGV intervals… */
static struct redis_script limits_script = { .text =
	LUA_NOW
	LUA_LIMITS(1, 1)
	"return {'ok'} "
};

/* KEYS c log seen active  ARGV H uh after touch keep */
static struct redis_script read_script = { .text =
	LUA_N LUA_NOW LUA_EXPIRE
	"local s = redis.call('HMGET', KEYS[1], 'uh', 'cr', 'up', 'seq', 'd', 'pr', 'ttl', 'us', 'dn', 'ow', 'esc', 'ep', 'dk') "
	"if not s[1] or s[13] then return {'gone'} end "
	"if ARGV[2] ~= '' and ARGV[2] ~= s[1] then return {'forbidden'} end "
	"if ARGV[4] == '1' then "
	"  redis.call('ZADD', KEYS[4], now + s[7], ARGV[1]) "
	"  if n(s[8]) <= n(s[9]) or (s[10] or 'ai') ~= 'ai' then "
	"    expire(s[7], s[11] and ARGV[5]) "
	"    if s[11] then redis.call('PEXPIRE', '" ESCALATION_KEY "' .. s[11], ARGV[5]) end "
	"  end "
	"end "
	"return {'ok', n(s[2]), n(s[3] or s[2]), n(s[4]), s[5], s[6], "
	"  redis.call('LRANGE', KEYS[2], ARGV[3], -1), s[10], n(s[12]), n(s[8]) > n(s[9]) and 1 or 0} "
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

/* Counts a new session under its limits. */
static enum hl_err
take_limits(struct store *s, const struct limits *limits, int64_t *retry_ms)
{
	const struct redis_reply *reply;
	struct limit_args la;
	enum hl_err err;

	*retry_ms = 0;
	limit_args(s, limits, &la);
	if (la.count == 0)
		return HL_OK;
	err = redis_script(s->redis, &limits_script, la.key, la.count, la.interval, la.count, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_TOO_MANY)
		*retry_ms = redis_int(redis_at(reply, 1));
	return err;
}

#define FORGET_EVERY 32		/* new sessions: those that have expired leave the count */

/* No script: nothing is read, and a transaction costs the server half as much. */
static enum hl_err
store_session(struct store *s, const struct conversation *c, const char *uh, const struct buf *sealed)
{
	static unsigned made;
	const struct redis_reply *reply;
	struct number created, ttl, expiry;
	struct keys k;

	keys_of(&c->place, &k);
	struct redis_arg set[] = { RA("HSET"), RA(k.c), RA("uh"), RA(uh), RA("cr"), number_arg(&created, c->created_ms),
		RA("ttl"), number_arg(&ttl, s->conf->session_timeout_ms), RA("d"), buf_arg(sealed), RA("pr"), RA("1") };
	struct redis_arg expire[] = { RA("PEXPIRE"), RA(k.c), set[7] };
	struct redis_arg count[] = { RA("ZADD"), RA(ACTIVE_KEY),
		number_arg(&expiry, c->created_ms + s->conf->session_timeout_ms), RA(c->place.h) };
	struct redis_arg forget[] = { RA("ZREMRANGEBYSCORE"), RA(ACTIVE_KEY), RA("-inf"), set[5] };
	const struct redis_command commands[] = { { set, c->probe ? 12 : 10 }, { expire, 3 }, { count, 4 }, { forget, 4 } };

	return redis_together(s->redis, commands, ++made % FORGET_EVERY ? 3 : 4, true, &reply);
}

enum hl_err
conversation_create(struct store *s, const char *user_id, const struct json *metadata, bool probe,
    const struct limits *limits, struct conversation *ret, int64_t *retry_ms)
{
	struct buf data = BUF_INIT(ENTRY_MAX), sealed = BUF_INIT(ENTRY_MAX);
	char uh[CRYPTO_NAME_LEN + 1];
	struct keys k;
	enum hl_err err;

	*ret = (struct conversation){ .probe = probe };
	id_new(ret->id);
	ret->place = conversation_place(s, ret->id);
	keys_of(&ret->place, &k);
	user_name(s, user_id, uh);
	write_data(&data, ret->id, user_id, metadata);
	err = buf_err(&data);
	if (err == HL_OK)
		err = crypto_seal(s->crypto, k.c, data.data, data.len, &sealed);
	if (err == HL_OK)
		err = take_limits(s, limits, retry_ms);
	if (err == HL_OK)
		err = redis_time(s->redis, &ret->created_ms);
	if (err == HL_OK)
		err = store_session(s, ret, uh, &sealed);
	ret->updated_ms = ret->created_ms;
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
	arg[4] = number_arg(&keep, escalation_keep_ms(s));
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
	ret->owed = !ret->person && redis_int(redis_at(reply, 9)) == 1;
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
conversation_count_owed(struct store *s, int64_t *ret_owed, int64_t *ret_escalations)
{
	const struct redis_arg owed[] = { RA("ZCARD"), RA(DUE_KEY) }, open[] = { RA("ZCARD"), RA(OPEN_KEY) };
	const struct redis_reply *reply;
	enum hl_err err = redis_call(s->redis, owed, 2, &reply);

	*ret_owed = *ret_escalations = 0;
	if (err)
		return err;
	*ret_owed = redis_int(reply);
	err = redis_call(s->redis, open, 2, &reply);
	*ret_escalations = err ? 0 : redis_int(reply);
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

enum hl_err
conversation_length(struct store *s, const struct place *p, int64_t *ret)
{
	const struct redis_reply *reply;
	struct keys k;
	enum hl_err err;

	keys_of(p, &k);
	const struct redis_arg args[] = { RA("LLEN"), RA(k.log) };

	err = redis_call(s->redis, args, 2, &reply);
	*ret = err ? 0 : redis_int(reply);
	return err;
}
