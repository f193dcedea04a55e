#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "records/agent.h"
#include "records/desk_fields.h"
#include "records/keys.h"
#include "records/scripts.h"
#include "records/tally.h"

#define SEALED_MAX (AGENT_BYTES_MAX + 256)

_Static_assert(sizeof(AGENT_KEY) == sizeof("a:" SHARD ":"), "agents are of the shard that there is");

/* ---- scripts ---- */

/* What take() reads of an agent's key. */
#define FIELDS "'ow', 'cr', 'up', 'v', 'nc', 'lc', 'd'"

/* Two of the same millisecond have an order, too.  KEYS u u:agents a  ARGV H owner sealed most bytes body company */
static struct redis_script create_script = { .durable = true, .text =
	LUA_N LUA_NOW
	"if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone'} end "
	"if redis.call('EXISTS', KEYS[3]) == 1 then "
	"  if (redis.call('HGET', KEYS[3], 'bh') or ARGV[6]) ~= ARGV[6] then return {'conflict'} end "
	"  return {'again', tonumber(redis.call('HGET', KEYS[3], 'cr')), redis.call('HINCRBY', KEYS[3], 'v', 0)} "	/* a write, for WAIT */
	"end "
	"if redis.call('EXISTS', '" GONE_KEY "' .. ARGV[1]) == 1 then return {'again'} end "
	"if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) "
	"  or n(redis.call('HGET', KEYS[1], 'ab')) + #ARGV[3] > tonumber(ARGV[5]) then return {'full'} end "
	"local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2] "
	"if last then now = math.max(now, last + 1) end "
	"redis.call('HSET', KEYS[3], 'ow', ARGV[2], 'cr', now, 'up', now, 'v', 1, 'd', ARGV[3], 'cn', ARGV[7]) "
	"if ARGV[6] ~= '' then redis.call('HSET', KEYS[3], 'bh', ARGV[6]) end "
	"redis.call('ZADD', KEYS[2], now, ARGV[1]) "
	"redis.call('HINCRBY', KEYS[1], 'ab', #ARGV[3]) "
	"redis.call('HINCRBY', KEYS[1], 'av', 1) "
	"return {'ok', now, 1} "
};

/* KEYS u a  ARGV owner sealed version bytes H company */
static struct redis_script change_script = { .durable = true, .text =
	LUA_N LUA_NOW
	"local s = redis.call('HMGET', KEYS[2], 'ow', 'v', 'up') "
	"if s[1] ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then return {'gone'} end "
	"if s[2] ~= ARGV[3] then return {'fenced'} end "
	"local more = #ARGV[2] - redis.call('HSTRLEN', KEYS[2], 'd') "
	"if more > 0 and n(redis.call('HGET', KEYS[1], 'ab')) + more > tonumber(ARGV[4]) then return {'full'} end "
	"now = math.max(now, s[3] + 1) "
	"redis.call('HSET', KEYS[2], 'up', now, 'v', s[2] + 1, 'd', ARGV[2], 'cn', ARGV[6]) "
	"redis.call('HINCRBY', KEYS[1], 'ab', more) "
	"redis.call('HINCRBY', KEYS[1], 'av', 1) "
	"local stats = '" STATS_KEY "' .. ARGV[1] "	/* which name its company's customers are shown to have called */
	"if redis.call('HEXISTS', stats, 'c:' .. ARGV[5]) == 1 then redis.call('HSET', stats, 'n:' .. ARGV[5], ARGV[6]) end "
	"return {'ok', now, s[2] + 1} "
};

/* KEYS u u:agents a  ARGV H owner */
static struct redis_script delete_script = { .durable = true, .text =
	"if redis.call('HGET', KEYS[3], 'ow') ~= ARGV[2] then return {'ok'} end "
	"local less = redis.call('HSTRLEN', KEYS[3], 'd') "
	"redis.call('DEL', KEYS[3]) "
	LUA_NOTE_GONE("ARGV[1]", "0")
	"redis.call('ZREM', KEYS[2], ARGV[1]) "
	"if redis.call('EXISTS', KEYS[1]) == 1 then "
	"  redis.call('HINCRBY', KEYS[1], 'ab', -less) "
	"  redis.call('HINCRBY', KEYS[1], 'av', 1) "
	"end "
	"local stats = '" STATS_KEY "' .. ARGV[2] "	/* conversations were shown with its id */
	"if redis.call('EXISTS', stats) == 1 then redis.call('HSET', stats, 'av', redis.call('HINCRBY', stats, 'v', 1)) end "
	"return {'ok'} "
};

/* KEYS u u:agents */
static struct redis_script list_script = { .text =
	LUA_N
	"local out = {n(redis.call('HGET', KEYS[1], 'av'))} "
	"for _, h in ipairs(redis.call('ZREVRANGE', KEYS[2], 0, -1)) do "
	"  out[#out + 1] = {h, redis.call('HMGET', 'a:" SHARD ":' .. h, " FIELDS ")} "
	"end "
	"return out "
};

/* KEYS rl  ARGV interval */
static struct redis_script trial_script = { .text =
	LUA_NOW LUA_LIMITS(1, 1)
	"return {'ok'} "
};

/* ---- names and keys ---- */

struct agent_keys { char account[CONVERSATION_KEY_MAX], all[CONVERSATION_KEY_MAX], agent[CONVERSATION_KEY_MAX]; };

static void
name_keys(const char *owner, const char *h, struct agent_keys *k)
{
	snprintf(k->account, sizeof(k->account), "u:" SHARD ":%.22s", owner);
	snprintf(k->all, sizeof(k->all), "u:" SHARD ":%.22s:agents", owner);
	snprintf(k->agent, sizeof(k->agent), AGENT_KEY "%.22s", h);
}

void
agent_name(const struct store *s, const char *id, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "agent", id, strlen(id), out);
}

void
agent_clear(struct agent *a)
{
	json_free(a->data);
	*a = (struct agent){ .temperature = -1 };
}

void
agents_free(struct agents *list)
{
	for (size_t i = 0; i < list->count; i++)
		agent_clear(&list->list[i]);
	free(list->list);
	*list = (struct agents){ 0 };
}

bool
agent_takes_calls(const struct agent *a, bool with_token)
{
	return !a->inactive && (with_token || !a->no_public_start);
}

/* ---- the sealed part ---- */

static void
put_text(struct buf *out, const char *member, const char *text)
{
	if (text == NULL)
		return;
	buf_printf(out, ",\"%s\":", member);
	buf_json_str(out, text);
}

static void
put_list(struct buf *out, const char *member, const struct json *list)
{
	if (json_length(list) == 0)
		return;
	buf_printf(out, ",\"%s\":", member);
	json_write(out, list);
}

static void
write_data(struct buf *out, const struct agent *a)
{
	buf_puts(out, "{\"id\":");
	buf_json_str(out, a->id);
	put_text(out, "name", a->name);
	put_text(out, "company", a->company);
	put_text(out, "personality", a->personality);
	put_text(out, "companyInfo", a->company_info);
	put_text(out, "systemPrompt", a->system_prompt);
	put_text(out, "style", a->style);
	put_text(out, "voice", a->voice);
	put_text(out, "avatar", a->avatar);
	put_list(out, "prompts", a->prompts);
	put_list(out, "aliases", a->aliases);
	if (a->max_tokens > 0)
		buf_printf(out, ",\"maxTokens\":%lld", (long long)a->max_tokens);
	if (a->temperature >= 0)
		buf_printf(out, ",\"temperature\":%.17g", a->temperature);
	if (a->inactive)
		buf_puts(out, ",\"inactive\":true");
	if (a->no_public_start)
		buf_puts(out, ",\"noPublicStart\":true");
	buf_putc(out, '}');
}

static void
take_data(struct agent *a)
{
	const struct json *d = a->data;
	const char *id = json_get_string(d, "id");

	snprintf(a->id, sizeof(a->id), "%s", id ? id : "");
	a->name = json_get_string(d, "name");
	a->company = json_get_string(d, "company");
	a->personality = json_get_string(d, "personality");
	a->company_info = json_get_string(d, "companyInfo");
	a->system_prompt = json_get_string(d, "systemPrompt");
	a->style = json_get_string(d, "style");
	a->voice = json_get_string(d, "voice");
	a->avatar = json_get_string(d, "avatar");
	a->prompts = json_get(d, "prompts");
	a->aliases = json_get(d, "aliases");
	if (!json_integer(json_get(d, "maxTokens"), &a->max_tokens))
		a->max_tokens = 0;
	if (!json_number(json_get(d, "temperature"), &a->temperature))
		a->temperature = -1;
	a->inactive = json_true(json_get(d, "inactive"));
	a->no_public_start = json_true(json_get(d, "noPublicStart"));
}

static enum hl_err
seal(const struct store *s, const struct agent *a, const struct agent_keys *k, struct buf *out)
{
	struct buf plain = BUF_INIT(AGENT_BYTES_MAX);
	enum hl_err err;

	write_data(&plain, a);
	err = buf_err(&plain);
	if (err == HL_OK)
		err = crypto_seal(s->crypto, k->agent, plain.data, plain.len, out);
	buf_free(&plain);
	return err;
}

/* Names what was asked for; "" if the request has no name. */
static enum hl_err
name_body(const struct store *s, const struct agent *a, const char *once, char ret[CRYPTO_NAME_LEN + 1])
{
	struct buf plain = BUF_INIT(AGENT_BYTES_MAX);
	enum hl_err err;

	ret[0] = '\0';
	if (*once == '\0')
		return HL_OK;
	write_data(&plain, a);
	err = buf_err(&plain);
	if (err == HL_OK)
		crypto_name(s->crypto, "agent body", plain.data, plain.len, ret);
	buf_free(&plain);
	return err;
}

/* ---- reading ---- */

/* fields: what FIELDS of the key h say.  HL_NOT_FOUND: there are none, or it is not this owner's. */
static enum hl_err
take(const struct store *s, const char *h, const struct redis_reply *fields, const char *owner, struct agent *ret)
{
	const char *whose = redis_str(redis_at(fields, 0), NULL), *sealed;
	struct buf plain = BUF_INIT(AGENT_BYTES_MAX);
	struct agent_keys k;
	enum hl_err err;
	size_t len;

	agent_clear(ret);
	sealed = redis_str(redis_at(fields, 6), &len);
	if (whose == NULL || sealed == NULL || (owner && strcmp(owner, whose) != 0))
		return HL_NOT_FOUND;
	name_keys(whose, h, &k);
	err = crypto_unseal(s->crypto, k.agent, sealed, len, &plain);
	if (err == HL_OK)
		err = json_parse(plain.data, plain.len, &ret->data);
	buf_free(&plain);
	if (err)
		return err;
	take_data(ret);
	snprintf(ret->h, sizeof(ret->h), "%.22s", h);
	snprintf(ret->owner, sizeof(ret->owner), "%.22s", whose);
	ret->created_ms = redis_int(redis_at(fields, 1));
	ret->updated_ms = redis_int(redis_at(fields, 2));
	ret->version = redis_int(redis_at(fields, 3));
	ret->calls = redis_int(redis_at(fields, 4));
	ret->last_call_ms = redis_int(redis_at(fields, 5));
	return HL_OK;
}

static enum hl_err
read_one(struct store *s, const char *h, const char *owner, struct agent *ret)
{
	const struct redis_reply *reply;
	struct agent_keys k;
	enum hl_err err;

	*ret = (struct agent){ .temperature = -1 };
	name_keys("", h, &k);
	const struct redis_arg args[] = { RA("HMGET"), RA(k.agent), RA("ow"), RA("cr"), RA("up"), RA("v"), RA("nc"), RA("lc"),
		RA("d") };

	err = redis_call(s->redis, args, sizeof(args) / sizeof(args[0]), &reply);
	return err ? err : take(s, h, reply, owner, ret);
}

enum hl_err
agent_load(struct store *s, const char *h, struct agent *ret)
{
	return read_one(s, h, NULL, ret);
}

enum hl_err
agent_read(struct store *s, const char *owner, const char *id, struct agent *ret)
{
	char h[CRYPTO_NAME_LEN + 1];

	*ret = (struct agent){ .temperature = -1 };
	if (!id_valid(id))
		return HL_NOT_FOUND;
	agent_name(s, id, h);
	return read_one(s, h, owner, ret);
}

enum hl_err
agent_list(struct store *s, const char *owner, struct agents *ret, int64_t *ret_version)
{
	const struct redis_reply *reply, *one;
	struct agent_keys k;
	enum hl_err err;
	size_t n;

	*ret = (struct agents){ 0 };
	name_keys(owner, "", &k);
	const struct redis_arg key[] = { RA(k.account), RA(k.all) };

	err = redis_script(s->redis, &list_script, key, 2, NULL, 0, &reply);
	n = err ? 0 : redis_length(reply);
	if (n > 1 && (ret->list = calloc(n - 1, sizeof(*ret->list))) == NULL)
		err = HL_NO_MEMORY;
	for (size_t i = 1; i < n && err == HL_OK; i++) {
		one = redis_at(reply, i);
		err = take(s, redis_str(redis_at(one, 0), NULL), redis_at(one, 1), owner, &ret->list[ret->count]);
		ret->count += err == HL_OK;
	}
	if (err == HL_OK && ret_version)
		*ret_version = redis_int(redis_at(reply, 0));
	if (err)
		agents_free(ret);
	return err;
}

enum hl_err
agent_version(struct store *s, const char *owner, int64_t *ret)
{
	const struct redis_reply *reply;
	struct agent_keys k;
	enum hl_err err;

	name_keys(owner, "", &k);
	const struct redis_arg args[] = { RA("HGET"), RA(k.account), RA("av") };

	err = redis_call(s->redis, args, 3, &reply);
	*ret = err ? 0 : redis_int(reply);
	return err;
}

/* ---- writing ---- */

/* As of a conversation (desk.c): nginx sends a request again whose program died. */
static void
name_new(const struct store *s, const char *owner, const char *once, char out[ID_LEN + 1])
{
	char both[CRYPTO_NAME_LEN + 256];

	if (*once == '\0') {
		id_new(out);
		return;
	}
	snprintf(both, sizeof(both), "%s %s", owner, once);
	crypto_name(s->crypto, "agent-id", both, strlen(both), out);
}

enum hl_err
agent_create(struct store *s, const char *owner, const char *once, struct agent *a)
{
	struct buf sealed = BUF_INIT(SEALED_MAX), company = BUF_INIT(SEALED_MAX);
	const struct redis_reply *reply;
	char body[CRYPTO_NAME_LEN + 1];
	struct number most, bytes;
	struct agent_keys k;
	enum hl_err err;

	name_new(s, owner, once, a->id);
	agent_name(s, a->id, a->h);
	snprintf(a->owner, sizeof(a->owner), "%.22s", owner);
	name_keys(owner, a->h, &k);
	err = seal(s, a, &k, &sealed);
	if (err == HL_OK)
		err = company_seal(s, owner, a->h, a->company ? a->company : "", &company);
	if (err == HL_OK)
		err = name_body(s, a, once, body);
	if (err)
		goto out;
	const struct redis_arg key[] = { RA(k.account), RA(k.all), RA(k.agent) };
	const struct redis_arg arg[] = { RA(a->h), RA(owner), buf_arg(&sealed), number_arg(&most, AGENTS_MAX),
		number_arg(&bytes, AGENTS_BYTES_MAX), RA(body), buf_arg(&company) };

	err = redis_script(s->redis, &create_script, key, 3, arg, 7, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err)
		goto out;
	a->created_ms = a->updated_ms = redis_int(redis_at(reply, 1));
	a->version = redis_int(redis_at(reply, 2));
out:
	buf_free(&company);
	buf_free(&sealed);
	return err;
}

enum hl_err
agent_change(struct store *s, struct agent *a)
{
	struct buf sealed = BUF_INIT(SEALED_MAX), company = BUF_INIT(SEALED_MAX);
	const struct redis_reply *reply;
	struct number version, bytes;
	struct agent_keys k;
	enum hl_err err;

	name_keys(a->owner, a->h, &k);
	err = seal(s, a, &k, &sealed);
	if (err == HL_OK)
		err = company_seal(s, a->owner, a->h, a->company ? a->company : "", &company);
	if (err)
		goto out;
	const struct redis_arg key[] = { RA(k.account), RA(k.agent) };
	const struct redis_arg arg[] = { RA(a->owner), buf_arg(&sealed), number_arg(&version, a->version),
		number_arg(&bytes, AGENTS_BYTES_MAX), RA(a->h), buf_arg(&company) };

	err = redis_script(s->redis, &change_script, key, 2, arg, 6, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err)
		goto out;
	a->updated_ms = redis_int(redis_at(reply, 1));
	a->version = redis_int(redis_at(reply, 2));
out:
	buf_free(&sealed);
	buf_free(&company);
	return err;
}

enum hl_err
agent_delete(struct store *s, const struct agent *a)
{
	const struct redis_reply *reply;
	struct agent_keys k;

	name_keys(a->owner, a->h, &k);
	const struct redis_arg key[] = { RA(k.account), RA(k.all), RA(k.agent) }, arg[] = { RA(a->h), RA(a->owner) };

	return redis_script(s->redis, &delete_script, key, 3, arg, 2, &reply);
}

enum hl_err
agent_count_trial(struct store *s, const char *owner, int64_t *retry_ms)
{
	const struct redis_reply *reply;
	struct limit_args limit;
	char what[CRYPTO_NAME_LEN + 8];
	enum hl_err err;

	*retry_ms = 0;
	snprintf(what, sizeof(what), "trial %.22s", owner);
	limit_args(s, &(struct limits){ .session = what }, &limit);
	if (limit.count == 0)
		return HL_OK;
	err = redis_script(s->redis, &trial_script, limit.key, limit.count, limit.interval, limit.count, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_TOO_MANY)
		*retry_ms = redis_int(redis_at(reply, 1));
	return err;
}
