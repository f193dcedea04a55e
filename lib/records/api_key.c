#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "records/api_key.h"
#include "records/keys.h"
#include "records/scripts.h"

#define KEYS_KEY	"keys:" SHARD
#define KEY_KEY		"k:" SHARD ":"
#define PLAIN_MAX	1024u

/* What take() reads of a key. */
#define FIELDS "'ow', 'cr', 'lu', 'd'"

/* KEYS u u:keys keys k  ARGV K owner N sealed most */
static struct redis_script create_script = { .durable = true, .text =
	LUA_NOW
	"if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone'} end "
	"if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1 then return {'taken'} end "
	"if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return {'full'} end "
	"redis.call('HSET', KEYS[4], 'ow', ARGV[2], 'n', ARGV[3], 'cr', now, 'd', ARGV[4]) "
	"redis.call('HSET', KEYS[2], ARGV[3], ARGV[1]) "
	"redis.call('ZADD', KEYS[3], now, ARGV[1]) "
	"return {'ok', now} "
};

/* KEYS u:keys keys  ARGV N */
static struct redis_script remove_script = { .durable = true, .text =
	"local k = redis.call('HGET', KEYS[1], ARGV[1]) "
	"if not k then return {'gone'} end "
	"redis.call('DEL', '" KEY_KEY "' .. k) "
	"redis.call('HDEL', KEYS[1], ARGV[1]) "
	"redis.call('ZREM', KEYS[2], k) "
	"return {'ok'} "
};

/* KEYS keys  ARGV first last */
static struct redis_script list_script = { .text =
	"local out = {} "
	"for _, k in ipairs(redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2])) do "
	"  out[#out + 1] = {k, redis.call('HMGET', '" KEY_KEY "' .. k, " FIELDS ")} "
	"end "
	"return out "
};

/* A key that was removed is not brought back by being used.  KEYS k rl…  ARGV interval… */
static struct redis_script use_script = { .text =
	LUA_N LUA_NOW
	"local s = redis.call('HMGET', KEYS[1], 'ow', 'lu', 'cr') "
	"if not s[1] then return {'gone'} end "
	LUA_LIMITS(2, 1)
	"if now - n(s[2]) >= 60000 then redis.call('HSET', KEYS[1], 'lu', now) s[2] = now end "
	"return {'ok', s[1], s[2], s[3]} "
};

/* ---- names and keys ---- */

struct key_names { char account[CONVERSATION_KEY_MAX], all[CONVERSATION_KEY_MAX], key[CONVERSATION_KEY_MAX]; };

static void
name_keys(const char *owner, const char *h, struct key_names *k)
{
	snprintf(k->account, sizeof(k->account), "u:" SHARD ":%.22s", owner);
	snprintf(k->all, sizeof(k->all), "u:" SHARD ":%.22s:keys", owner);
	snprintf(k->key, sizeof(k->key), KEY_KEY "%.22s", h);
}

static void
key_name(const struct store *s, const char *text, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "api-key", text, strlen(text), out);
}

static void
name_name(const struct store *s, const char *name, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "api-key-name", name, strlen(name), out);
}

/* ---- the sealed part ---- */

static enum hl_err
seal(const struct store *s, const struct key_names *k, const char *name, struct buf *out)
{
	struct buf plain = BUF_INIT(PLAIN_MAX);
	enum hl_err err;

	buf_puts(&plain, "{\"name\":");
	buf_json_str(&plain, name);
	buf_putc(&plain, '}');
	err = buf_err(&plain);
	if (err == HL_OK)
		err = crypto_seal(s->crypto, k->key, plain.data, plain.len, out);
	buf_free(&plain);
	return err;
}

static enum hl_err
take_name(const struct store *s, const char *h, const struct redis_reply *reply, struct api_key *ret)
{
	struct buf plain = BUF_INIT(PLAIN_MAX);
	struct json *data = NULL;
	struct key_names k;
	size_t len;
	const char *sealed = redis_str(reply, &len), *name;
	enum hl_err err;

	name_keys("", h, &k);
	err = sealed ? crypto_unseal(s->crypto, k.key, sealed, len, &plain) : HL_INTERNAL;
	if (err == HL_OK)
		err = json_parse(plain.data, plain.len, &data);
	name = json_get_string(data, "name");
	snprintf(ret->name, sizeof(ret->name), "%s", name ? name : "");
	json_free(data);
	buf_free(&plain);
	return err;
}

static void
take_clear(const char *h, const char *owner, const struct redis_reply *created, const struct redis_reply *used, struct api_key *ret)
{
	*ret = (struct api_key){ .created_ms = redis_int(created), .used_ms = redis_int(used) };
	snprintf(ret->h, sizeof(ret->h), "%.22s", h);
	snprintf(ret->owner, sizeof(ret->owner), "%.22s", owner ? owner : "");
}

/* ---- what is done with them ---- */

enum hl_err
api_key_create(struct store *s, const char *owner, const char *name, char text[API_KEY_LEN + 1], struct api_key *ret)
{
	struct buf sealed = BUF_INIT(PLAIN_MAX);
	char first[ID_LEN + 1], second[ID_LEN + 1], n[CRYPTO_NAME_LEN + 1];
	const struct redis_reply *reply;
	struct key_names k;
	struct number most;
	enum hl_err err;

	id_new(first);
	id_new(second);
	snprintf(text, API_KEY_LEN + 1, API_KEY_PREFIX "%s%s", first, second);
	*ret = (struct api_key){ 0 };
	key_name(s, text, ret->h);
	name_name(s, name, n);
	name_keys(owner, ret->h, &k);
	err = seal(s, &k, name, &sealed);
	if (err)
		goto out;
	const struct redis_arg key[] = { RA(k.account), RA(k.all), RA(KEYS_KEY), RA(k.key) };
	const struct redis_arg arg[] = { RA(ret->h), RA(owner), RA(n), buf_arg(&sealed), number_arg(&most, API_KEYS_MAX) };

	err = redis_script(s->redis, &create_script, key, 4, arg, 5, &reply);
	if (err == HL_OK)
		err = said(reply, "taken") ? HL_CONFLICT : refusal(reply);
	if (err)
		goto out;
	snprintf(ret->owner, sizeof(ret->owner), "%s", owner);
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->created_ms = redis_int(redis_at(reply, 1));
out:
	buf_free(&sealed);
	return err;
}

enum hl_err
api_key_remove(struct store *s, const char *owner, const char *name)
{
	char n[CRYPTO_NAME_LEN + 1];
	const struct redis_reply *reply;
	struct key_names k;
	enum hl_err err;

	name_name(s, name, n);
	name_keys(owner, "", &k);
	const struct redis_arg key[] = { RA(k.all), RA(KEYS_KEY) }, arg[] = { RA(n) };

	err = redis_script(s->redis, &remove_script, key, 2, arg, 1, &reply);
	return err ? err : refusal(reply);
}

enum hl_err
api_key_list(struct store *s, size_t from, struct api_key *ret, size_t *ret_count)
{
	const struct redis_reply *reply, *one, *fields;
	struct number first, last;
	const struct redis_arg key[] = { RA(KEYS_KEY) };
	const struct redis_arg arg[] = { number_arg(&first, (int64_t)from), number_arg(&last, (int64_t)from + API_KEYS_PAGE - 1) };
	enum hl_err err = redis_script(s->redis, &list_script, key, 1, arg, 2, &reply);

	*ret_count = 0;
	for (size_t i = 0; err == HL_OK && i < redis_length(reply); i++) {
		const char *h;

		one = redis_at(reply, i);
		h = redis_str(redis_at(one, 0), NULL);
		fields = redis_at(one, 1);
		take_clear(h, redis_str(redis_at(fields, 0), NULL), redis_at(fields, 1), redis_at(fields, 2), &ret[i]);
		err = take_name(s, h, redis_at(fields, 3), &ret[i]);
		*ret_count = i + 1;
	}
	return err;
}

enum hl_err
api_key_use(struct store *s, const char *text, bool count, struct api_key *ret, int64_t *retry_ms)
{
	struct redis_arg key[1 + sizeof(((struct limit_args *)0)->key) / sizeof(struct redis_arg)];
	const struct redis_reply *reply;
	struct limit_args limit;
	char h[CRYPTO_NAME_LEN + 1];
	struct key_names k;
	enum hl_err err;

	*retry_ms = 0;
	if (strlen(text) != API_KEY_LEN || strncmp(text, API_KEY_PREFIX, sizeof(API_KEY_PREFIX) - 1) != 0)
		return HL_UNAUTHORIZED;
	key_name(s, text, h);
	name_keys("", h, &k);
	limit_args(s, &(struct limits){ .api_key = count ? h : NULL }, &limit);
	key[0] = RA(k.key);
	memcpy(key + 1, limit.key, limit.count * sizeof(key[0]));
	err = redis_script(s->redis, &use_script, key, 1 + limit.count, limit.interval, limit.count, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_TOO_MANY)
		*retry_ms = redis_int(redis_at(reply, 1));
	if (err)
		return err == HL_NOT_FOUND ? HL_UNAUTHORIZED : err;
	take_clear(h, redis_str(redis_at(reply, 1), NULL), redis_at(reply, 3), redis_at(reply, 2), ret);
	return HL_OK;
}
