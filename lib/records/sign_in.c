#include <stdio.h>
#include <string.h>

#include "base/network.h"
#include "records/account_scripts.h"
#include "records/sign_in.h"

#define NETWORKS_KEPT	32
#define REGISTER_MS	INT64_C(10000)
#define REGISTER_AT_ONCE	60

/* ---- counting ---- */

static const struct { const char *purpose; int64_t each_ms, at_once; } counts[3] = {
	{ "sign-in-pair", 60000, 10 },
	{ "sign-in-network", 3000, 500 },
	{ "sign-in-account", 30000, 100 },
};

/*
 * KEYS email, three counts  ARGV network, three times: ms for one, ms that may be owed
 *
 * Somebody's own networks leave out the last count.
 */
static struct redis_script begin_script = { .text =
	LUA_NOW
	"local h = redis.call('GET', KEYS[1]) "
	"local u = h and 'u:" SHARD ":' .. h "
	"local known = u and redis.call('ZSCORE', u .. ':good', ARGV[1]) "
	"local tats = {} "
	"for i = 1, known and 2 or 3 do "
	"  local tat = math.max(tonumber(redis.call('GET', KEYS[i + 1]) or 0), now) "
	"  if tat - now > ARGV[2 * i + 1] + ARGV[2 * i] then tat = now end "	/* the clock was set back */
	"  local owed = tat - now - ARGV[2 * i + 1] "
	"  if owed > 0 then return {'limited', math.ceil(owed)} end "
	"  tats[i] = tat + ARGV[2 * i] "
	"end "
	"for i, tat in pairs(tats) do redis.call('SET', KEYS[i + 1], string.format('%d', tat), 'PX', tat - now + 1) end "
	"if not u then return {'ok'} end "
	"return {'ok', h, redis.call('HMGET', u, " ACCOUNT_FIELDS ", 'pw')} "
};

/* KEYS three counts, good  ARGV network, ms of each, right, most */
static struct redis_script forgive_script = { .text =
	LUA_NOW
	"local known = redis.call('ZSCORE', KEYS[4], ARGV[1]) "
	"for i = 1, known and 2 or 3 do "
	"  local tat = tonumber(redis.call('GET', KEYS[i]) or 0) - ARGV[i + 1] "
	"  if tat <= now then redis.call('DEL', KEYS[i]) "
	"  else redis.call('SET', KEYS[i], string.format('%d', tat), 'PX', tat - now + 1) end "
	"end "
	"if ARGV[5] == '' then return {'ok'} end "
	"redis.call('DEL', KEYS[1]) "
	"redis.call('ZADD', KEYS[4], now, ARGV[1]) "
	"redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - ARGV[6]) "
	"return {'ok'} "
};

static void
name_counts(const struct store *s, const char *email, const char *address, struct sign_in *in)
{
	char network[NETWORK_MAX], pair[NETWORK_MAX + ACCOUNT_EMAIL_MAX + 2], name[CRYPTO_NAME_LEN + 1];

	network_of(address, network);
	snprintf(pair, sizeof(pair), "%s %s", network, email);
	const char *const what[3] = { pair, network, email };

	for (size_t i = 0; i < 3; i++) {
		crypto_name(s->crypto, counts[i].purpose, what[i], strlen(what[i]), name);
		snprintf(in->keys[i], sizeof(in->keys[i]), "lf:" SHARD ":%s", name);
	}
	crypto_name(s->crypto, "network", network, strlen(network), in->network);
}

static enum hl_err
read_attempt(const struct store *s, const struct redis_reply *reply, struct sign_in *in)
{
	char h[CRYPTO_NAME_LEN + 1];
	const char *text = redis_str(redis_at(reply, 1), NULL);
	enum hl_err err;

	if (text == NULL)
		return HL_OK;
	snprintf(h, sizeof(h), "%s", text);
	err = account_read(s, h, redis_at(reply, 2), 0, &in->account);
	return err ? err : account_open_hash(s, h, redis_at(redis_at(reply, 2), 6), in->hash);
}

enum hl_err
sign_in_begin(struct store *s, const char *email, const char *address, struct sign_in *ret, int64_t *retry_ms)
{
	char key[ACCOUNT_KEY_MAX];
	const struct redis_reply *reply;
	struct number n[6];
	enum hl_err err;

	*ret = (struct sign_in){ 0 };
	name_counts(s, email, address, ret);
	account_email_key(s, email, key);
	struct redis_arg keys[] = { RA(key), RA(ret->keys[0]), RA(ret->keys[1]), RA(ret->keys[2]) };
	struct redis_arg args[7] = { RA(ret->network) };

	for (size_t i = 0; i < 3; i++) {
		args[1 + 2 * i] = number_arg(&n[2 * i], counts[i].each_ms);
		args[2 + 2 * i] = number_arg(&n[2 * i + 1], counts[i].each_ms * (counts[i].at_once - 1));
	}
	err = redis_script(s->redis, &begin_script, keys, 4, args, 7, &reply);
	if (err)
		return err;
	if (said(reply, "limited"))
		*retry_ms = redis_int(redis_at(reply, 1));
	err = refusal(reply);
	return err ? err : read_attempt(s, reply, ret);
}

void
sign_in_forgive(struct store *s, const struct sign_in *in, bool right)
{
	char good[ACCOUNT_KEY_MAX];
	const struct redis_reply *reply;
	struct number n[3], most;

	account_key(*in->account.h ? in->account.h : "-", ":good", good);
	struct redis_arg keys[] = { RA(in->keys[0]), RA(in->keys[1]), RA(in->keys[2]), RA(good) };
	struct redis_arg args[] = { RA(in->network), number_arg(&n[0], counts[0].each_ms), number_arg(&n[1], counts[1].each_ms),
		number_arg(&n[2], counts[2].each_ms), RA(right && in->account.stored ? "1" : ""),
		number_arg(&most, NETWORKS_KEPT) };

	if (redis_script(s->redis, &forgive_script, keys, 4, args, 6, &reply) != HL_OK)
		return;		/* then it counts as a wrong one: nothing is lost but patience */
}

void
sign_in_trust(struct store *s, const struct account *a, const char *address)
{
	char network[NETWORK_MAX], name[CRYPTO_NAME_LEN + 1], key[ACCOUNT_KEY_MAX];
	struct number now;

	network_of(address, network);
	crypto_name(s->crypto, "network", network, strlen(network), name);
	account_key(a->h, ":good", key);
	struct redis_arg args[] = { RA("ZADD"), RA(key), number_arg(&now, a->created_ms), RA(name) };

	redis_send(s->redis, args, 4);
}

/* KEYS count  ARGV ms for one, ms that may be owed */
static struct redis_script register_script = { .text =
	LUA_NOW
	"local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) "
	"if tat - now > ARGV[2] + ARGV[1] then tat = now end "	/* as above */
	"local owed = tat - now - ARGV[2] "
	"if owed > 0 then return {'limited', math.ceil(owed)} end "
	"tat = tat + ARGV[1] "
	"redis.call('SET', KEYS[1], string.format('%d', tat), 'PX', tat - now + 1) "
	"return {'ok'} "
};

enum hl_err
sign_in_may_register(struct store *s, const char *address, int64_t *retry_ms)
{
	char network[NETWORK_MAX], name[CRYPTO_NAME_LEN + 1], count[ACCOUNT_KEY_MAX];
	const struct redis_reply *reply;
	struct number each, owed;
	enum hl_err err;

	if (!s->conf->rate_limits)
		return HL_OK;
	network_of(address, network);
	crypto_name(s->crypto, "register-network", network, strlen(network), name);
	snprintf(count, sizeof(count), "lf:" SHARD ":%s", name);
	struct redis_arg key = RA(count), args[] = { number_arg(&each, REGISTER_MS),
		number_arg(&owed, REGISTER_MS * (REGISTER_AT_ONCE - 1)) };

	err = redis_script(s->redis, &register_script, &key, 1, args, 2, &reply);
	if (err == HL_OK && said(reply, "limited"))
		*retry_ms = redis_int(redis_at(reply, 1));
	return err ? err : refusal(reply);
}

/* ---- refresh tokens ---- */

#define LUA_USED										\
	"local function used(families, f, life, most) "						\
	"  redis.call('PEXPIRE', 'rf:" SHARD ":' .. f, life) "					\
	"  redis.call('ZADD', families, now, f) "						\
	"  redis.call('ZREMRANGEBYSCORE', families, 0, now - life) "				\
	"  for _, old in ipairs(redis.call('ZRANGE', families, 0, -1 - most)) do "		\
	"    redis.call('DEL', 'rf:" SHARD ":' .. old) "					\
	"    redis.call('ZREM', families, old) "						\
	"  end "										\
	"end "

/*
 * A family is over: so are its access tokens, for which its account remembers it as long as they would live, and its sockets.
 * Who signs in and out without end makes it forget the oldest.  ARGV F and, from at on: life most
 */
#define LUA_OVER										\
	"local function is_over(h, at) "							\
	"  local u, ends = 'u:" SHARD ":' .. h, {} "						\
	"  redis.call('DEL', KEYS[1]) "								\
	"  redis.call('ZREM', u .. ':families', ARGV[1]) "					\
	"  if redis.call('HEXISTS', u, 'cr') == 0 then return end "				\
	"  redis.call('HSET', u, '" ACCOUNT_OVER "' .. ARGV[1], now) "				\
	"  local all = redis.call('HGETALL', u) "						\
	"  for i = 1, #all, 2 do "								\
	"    if string.sub(all[i], 1, 5) == '" ACCOUNT_OVER "' then ends[#ends + 1] = {all[i], tonumber(all[i + 1])} end "	\
	"  end "										\
	"  table.sort(ends, function(a, b) return a[2] > b[2] end) "				\
	"  for i, e in ipairs(ends) do "							\
	"    if i > tonumber(ARGV[at + 1]) or e[2] < now - ARGV[at] then redis.call('HDEL', u, e[1]) end "	\
	"  end "										\
	"  " LUA_CLOSE_SOCKETS									\
	"end "

/* KEYS u families rf  ARGV H F token nb life most */
static struct redis_script family_script = { .durable = true, .text =
	LUA_N LUA_NOW LUA_USED
	"local u = redis.call('HMGET', KEYS[1], 'cr', 'nb') "
	"if not u[1] or n(u[2]) ~= tonumber(ARGV[4]) then return {'gone'} end "
	"redis.call('HSET', KEYS[3], 'u', ARGV[1], 'cur', ARGV[3]) "
	"used(KEYS[2], ARGV[2], ARGV[5], ARGV[6]) "
	"return {'ok'} "
};

/* KEYS rf  ARGV F token next life most, of what is over: life most */
static struct redis_script exchange_script = { .durable = true, .text =
	LUA_NOW LUA_USED LUA_OVER
	"local f = redis.call('HMGET', KEYS[1], 'u', 'cur', 'prev', 'un') "
	"if not f[1] then return {'gone'} end "
	"local u = 'u:" SHARD ":' .. f[1] "
	"if f[2] ~= ARGV[2] and not (f[3] == ARGV[2] and (f[2] == ARGV[3] or f[2] == f[4])) then "
	"  is_over(f[1], 6) "
	"  return {'gone'} "
	"end "
	"redis.call('HSET', KEYS[1], 'cur', ARGV[3], 'prev', ARGV[2]) "
	"used(u .. ':families', ARGV[1], ARGV[4], ARGV[5]) "
	"return {'ok', f[1], redis.call('HMGET', u, " ACCOUNT_FIELDS ")} "
};

/* KEYS rf  ARGV next */
static const char untold_script[] =
	"if redis.call('HGET', KEYS[1], 'cur') == ARGV[1] then redis.call('HSET', KEYS[1], 'un', ARGV[1]) end ";

/* KEYS rf  ARGV F life most */
static struct redis_script end_script = { .durable = true, .text =
	LUA_NOW LUA_OVER
	"local h = redis.call('HGET', KEYS[1], 'u') "
	"if h then is_over(h, 2) end "
	"return {'ok'} "
};

/* Of the access tokens that are about: at least a month, for the setting may have been shortened. */
static int64_t
tokens_life_ms(const struct store *s)
{
	int64_t life_s = 0;

	if (!conf_duration(s->conf->jwt_expires_in, &life_s) || life_s * 1000 < REFRESH_LIFE_MS)
		return REFRESH_LIFE_MS;
	return life_s * 1000;
}

struct family { char id[ID_LEN + 1], f[CRYPTO_NAME_LEN + 1], key[ACCOUNT_KEY_MAX]; };

static void
name_family(const struct store *s, struct family *family)
{
	crypto_name(s->crypto, "refresh-family", family->id, strlen(family->id), family->f);
	snprintf(family->key, sizeof(family->key), "rf:" SHARD ":%s", family->f);
}

/* The family of FAMILY.SECRET; false if it is no such thing. */
static bool
read_token(const struct store *s, const char *token, struct family *ret)
{
	if (strlen(token) != REFRESH_LEN || token[ID_LEN] != '.' || !id_valid(token + ID_LEN + 1))
		return false;
	memcpy(ret->id, token, ID_LEN);
	ret->id[ID_LEN] = '\0';
	name_family(s, ret);
	return id_valid(ret->id);
}

static void
name_token(const struct store *s, const char *token, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "refresh-token", token, strlen(token), out);
}

enum hl_err
refresh_begin(struct store *s, struct account *a, char ret[REFRESH_LEN + 1])
{
	char key[ACCOUNT_KEY_MAX], families[ACCOUNT_KEY_MAX], secret[ID_LEN + 1], token[CRYPTO_NAME_LEN + 1];
	const struct redis_reply *reply;
	struct number nb, life, most;
	struct family family;
	enum hl_err err;

	id_new(family.id);
	id_new(secret);
	name_family(s, &family);
	snprintf(ret, REFRESH_LEN + 1, "%s.%s", family.id, secret);
	name_token(s, ret, token);
	account_key(a->h, "", key);
	account_key(a->h, ":families", families);
	struct redis_arg keys[] = { RA(key), RA(families), RA(family.key) };
	struct redis_arg args[] = { RA(a->h), RA(family.f), RA(token), number_arg(&nb, a->not_before_s),
		number_arg(&life, REFRESH_LIFE_MS), number_arg(&most, FAMILIES_KEPT) };

	err = redis_script(s->redis, &family_script, keys, 3, args, 6, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_OK)
		memcpy(a->family, family.f, sizeof(a->family));
	return err;
}

/* Whoever sends the same token in the same request again, because the answer was lost, gets the same next one. */
static void
next_token(const struct store *s, const struct family *family, const char *token, const char *request_id,
    char out[REFRESH_LEN + 1])
{
	char both[REFRESH_LEN + 256], secret[CRYPTO_NAME_LEN + 1];

	snprintf(both, sizeof(both), "%s %s", token, request_id);
	crypto_name(s->crypto, "refresh-next", both, strlen(both), secret);
	snprintf(out, REFRESH_LEN + 1, "%s.%s", family->id, secret);
}

/* Who was told that the store failed has the old token alone, and is told to come again with it. */
static void
note_untold(struct store *s, const struct family *family, const char *next)
{
	struct redis_arg args[] = { RA("EVAL"), RA(untold_script), RA("1"), RA(family->key), RA(next) };

	redis_send(s->redis, args, 5);		/* if that fails too, he signs in again */
}

enum hl_err
refresh_exchange(struct store *s, const char *token, const char *request_id, struct account *ret,
    char ret_next[REFRESH_LEN + 1])
{
	char used[CRYPTO_NAME_LEN + 1], next[CRYPTO_NAME_LEN + 1], h[CRYPTO_NAME_LEN + 1];
	const struct redis_reply *reply;
	struct number life, most, tokens, remembered;
	struct family family;
	enum hl_err err;

	if (!read_token(s, token, &family))
		return HL_UNAUTHORIZED;
	next_token(s, &family, token, request_id, ret_next);
	name_token(s, token, used);
	name_token(s, ret_next, next);
	struct redis_arg keys[] = { RA(family.key) };
	struct redis_arg args[] = { RA(family.f), RA(used), RA(next), number_arg(&life, REFRESH_LIFE_MS),
		number_arg(&most, FAMILIES_KEPT), number_arg(&tokens, tokens_life_ms(s)),
		number_arg(&remembered, FAMILIES_OVER) };

	err = redis_script(s->redis, &exchange_script, keys, 1, args, 7, &reply);
	if (err == HL_STORE)
		note_untold(s, &family, next);
	if (err == HL_OK && !said(reply, "ok"))
		err = HL_UNAUTHORIZED;
	if (err)
		return err;
	snprintf(h, sizeof(h), "%s", redis_str(redis_at(reply, 1), NULL));
	err = account_read(s, h, redis_at(reply, 2), 0, ret);
	memcpy(ret->family, family.f, sizeof(ret->family));
	return err == HL_NOT_FOUND ? HL_UNAUTHORIZED : err;
}

enum hl_err
refresh_end(struct store *s, const char *token)
{
	const struct redis_reply *reply;
	struct number tokens, remembered;
	struct family family;

	if (!read_token(s, token, &family))
		return HL_OK;
	struct redis_arg keys[] = { RA(family.key) };
	struct redis_arg args[] = { RA(family.f), number_arg(&tokens, tokens_life_ms(s)), number_arg(&remembered, FAMILIES_OVER) };

	return redis_script(s->redis, &end_script, keys, 1, args, 3, &reply);
}
