#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "loop/task.h"
#include "records/account_scripts.h"
#include "records/desk.h"
#include "records/tokens.h"

#define DATA_MAX	4096u
#define AGAIN_MS	50

void
account_name(const struct store *s, const char *id, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "account", id, strlen(id), out);
}

void
account_key(const char *h, const char *more, char out[ACCOUNT_KEY_MAX])
{
	stpcpy(stpcpy(stpcpy(out, "u:" SHARD ":"), h), more);
}

static void
email_name(const struct store *s, const char *email, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "email", email, strlen(email), out);
}

void
account_email_key(const struct store *s, const char *email, char out[ACCOUNT_KEY_MAX])
{
	char e[CRYPTO_NAME_LEN + 1];

	email_name(s, email, e);
	snprintf(out, ACCOUNT_KEY_MAX, "email:" SHARD ":%s", e);
}

/* ---- what is sealed ---- */

static void
take_text(struct json_view value, struct buf *text, char *out, size_t size)
{
	buf_reset(text);
	*out = '\0';
	if (json_view_string(value, text) && text->len > 0 && text->len < size)
		memcpy(out, text->data, text->len + 1);
}

static void
take_person(struct json_view person, struct account *ret)
{
	static const char *const names[] = { "id", "name", "email", "avatar" };
	struct buf text = BUF_INIT(DATA_MAX);
	struct json_view found[4];

	json_view_members(person, names, found, 4);
	take_text(found[0], &text, ret->id, sizeof(ret->id));
	take_text(found[1], &text, ret->name, sizeof(ret->name));
	take_text(found[2], &text, ret->email, sizeof(ret->email));
	take_text(found[3], &text, ret->avatar, sizeof(ret->avatar));
	buf_free(&text);
}

static enum hl_err
unseal_person(const struct store *s, const char *key, const struct redis_reply *sealed, struct account *ret)
{
	struct buf plain = BUF_INIT(DATA_MAX);
	struct json_view data;
	size_t len;
	const char *text = redis_str(sealed, &len);
	enum hl_err err = text ? crypto_unseal(s->crypto, key, text, len, &plain) : HL_INTERNAL;

	if (err == HL_OK)
		err = json_view_open(plain.data, plain.len, JSON_STRICT, &data);
	if (err == HL_OK)
		take_person(data, ret);
	buf_free(&plain);
	return err;
}

static enum hl_err
seal_person(const struct store *s, const char *key, const struct account *a, struct buf *out)
{
	struct buf plain = BUF_INIT(DATA_MAX);
	enum hl_err err;

	buf_puts(&plain, "{\"id\":");
	buf_json_str(&plain, a->id);
	buf_puts(&plain, ",\"name\":");
	buf_json_str(&plain, a->name);
	buf_puts(&plain, ",\"email\":");
	buf_json_str(&plain, a->email);
	if (*a->avatar) {
		buf_puts(&plain, ",\"avatar\":");
		buf_json_str(&plain, a->avatar);
	}
	buf_putc(&plain, '}');
	err = buf_err(&plain);
	if (err == HL_OK)
		err = crypto_seal(s->crypto, key, plain.data, plain.len, out);
	buf_free(&plain);
	return err;
}

static void
hash_place(const char *h, char out[ACCOUNT_KEY_MAX])
{
	account_key(h, "#pw", out);
}

static enum hl_err
seal_hash(const struct store *s, const char *h, const char *hash, struct buf *out)
{
	char place[ACCOUNT_KEY_MAX];

	hash_place(h, place);
	return crypto_seal(s->crypto, place, hash, strlen(hash), out);
}

enum hl_err
account_open_hash(const struct store *s, const char *h, const struct redis_reply *sealed,
    char ret[PASSWORD_HASH_LEN + 1])
{
	struct buf plain = BUF_INIT(PASSWORD_HASH_LEN);
	char place[ACCOUNT_KEY_MAX];
	size_t len;
	const char *text = redis_str(sealed, &len);
	enum hl_err err;

	ret[0] = '\0';
	hash_place(h, place);
	err = text ? crypto_unseal(s->crypto, place, text, len, &plain) : HL_INTERNAL;
	if (err == HL_OK)
		snprintf(ret, PASSWORD_HASH_LEN + 1, "%s", plain.data);
	buf_free(&plain);
	return err;
}

/* ---- reading ---- */

enum hl_err
account_read(const struct store *s, const char *h, const struct redis_reply *reply, size_t from, struct account *ret)
{
	char key[ACCOUNT_KEY_MAX];

	*ret = (struct account){ 0 };
	if (redis_type(redis_at(reply, from)) == REDIS_NIL)
		return HL_NOT_FOUND;
	account_key(h, "", key);
	snprintf(ret->h, sizeof(ret->h), "%s", h);
	ret->created_ms = redis_int(redis_at(reply, from));
	ret->updated_ms = redis_int(redis_at(reply, from + 1));
	ret->admin = str_equal(redis_str(redis_at(reply, from + 2), NULL), "admin");
	ret->version = redis_int(redis_at(reply, from + 3));
	ret->not_before_s = redis_int(redis_at(reply, from + 4));
	ret->stored = true;
	return unseal_person(s, key, redis_at(reply, from + 5), ret);
}

/* family: HL_UNAUTHORIZED once it has ended; "": of none. */
static enum hl_err
load_of_family(struct store *s, const char *h, const char *family, struct account *ret)
{
	const struct redis_reply *reply;
	char key[ACCOUNT_KEY_MAX], over[ACCOUNT_KEY_MAX];
	enum hl_err err;

	account_key(h, "", key);
	snprintf(over, sizeof(over), ACCOUNT_OVER "%s", family);
	struct redis_arg args[] = { RA("HMGET"), RA(key), RA("cr"), RA("up"), RA("role"), RA("v"), RA("nb"), RA("d"), RA(over) };

	err = redis_call(s->redis, args, sizeof(args) / sizeof(args[0]) - (*family == '\0'), &reply);
	if (err == HL_OK && *family && redis_type(redis_at(reply, 6)) != REDIS_NIL)
		err = HL_UNAUTHORIZED;
	return err ? err : account_read(s, h, reply, 0, ret);
}

enum hl_err
account_load(struct store *s, const char *h, struct account *ret)
{
	return load_of_family(s, h, "", ret);
}

/* A keyed name that a key holds. */
static enum hl_err
read_name(struct store *s, const char *key, char ret_h[CRYPTO_NAME_LEN + 1])
{
	struct redis_arg args[] = { RA("GET"), RA(key) };
	const struct redis_reply *reply;
	size_t len = 0;
	const char *h;
	enum hl_err err = redis_call(s->redis, args, 2, &reply);

	if (err)
		return err;
	h = redis_str(reply, &len);
	if (h == NULL || len > CRYPTO_NAME_LEN)
		return HL_NOT_FOUND;
	memcpy(ret_h, h, len + 1);
	return HL_OK;
}

enum hl_err
account_find(struct store *s, const char *email, struct account *ret)
{
	char key[ACCOUNT_KEY_MAX], h[CRYPTO_NAME_LEN + 1];
	enum hl_err err;

	account_email_key(s, email, key);
	err = read_name(s, key, h);
	return err ? err : account_load(s, h, ret);
}

enum hl_err
account_first(struct store *s, char ret_h[CRYPTO_NAME_LEN + 1])
{
	return read_name(s, FIRST_KEY, ret_h);
}

static enum hl_err
load_patiently(struct store *s, const char *h, const char *family, struct account *ret)
{
	int64_t until = clock_mono_ms() + ACCOUNT_PATIENCE_MS;
	enum hl_err err, slept = HL_OK;

	while ((err = load_of_family(s, h, family, ret)) == HL_STORE && slept == HL_OK && clock_mono_ms() < until)
		slept = task_sleep(AGAIN_MS);
	return slept ? slept : err;
}

/* version may be NULL. */
static enum hl_err
load_all(struct store *s, const char *h, const char *family, struct account *ret, int64_t *version)
{
	struct redis_ahead ahead;
	enum hl_err err;

	if (version == NULL)
		return load_patiently(s, h, family, ret);
	desk_version_ahead(s, h, &ahead);
	err = load_patiently(s, h, family, ret);
	if (redis_take(&ahead, version) != HL_OK && err == HL_OK)
		err = desk_version(s, h, version);	/* the store was away, and is back */
	return err;
}

static enum hl_err
verify(struct store *s, const char *token, struct account *ret, int64_t *version)
{
	struct account said;
	enum hl_err err = tokens_account(s, token, &said);

	*ret = (struct account){ 0 };
	if (err)
		return err;
	err = load_all(s, said.h, said.family, ret, version);
	if (err == HL_NOT_FOUND && said.names_role) {
		*ret = said;
		return HL_OK;
	}
	if (err == HL_NOT_FOUND || (err == HL_OK && said.issued_s < ret->not_before_s))
		err = HL_UNAUTHORIZED;
	if (err) {
		*ret = (struct account){ 0 };
		return err;
	}
	ret->issued_s = said.issued_s;
	ret->expires_s = said.expires_s;
	memcpy(ret->family, said.family, sizeof(ret->family));
	return HL_OK;
}

enum hl_err
account_verify(struct store *s, const char *token, struct account *ret)
{
	return verify(s, token, ret, NULL);
}

enum hl_err
account_verify_lists(struct store *s, const char *token, struct account *ret, int64_t *ret_version)
{
	*ret_version = 0;
	return verify(s, token, ret, ret_version);
}

enum hl_err
account_list(struct store *s, size_t from, char (*ret_h)[CRYPTO_NAME_LEN + 1], size_t *ret_count)
{
	struct number first, last;
	struct redis_arg args[] = { RA("ZRANGE"), RA(ACCOUNTS_KEY), number_arg(&first, (int64_t)from),
		number_arg(&last, (int64_t)from + ACCOUNTS_PAGE - 1) };
	const struct redis_reply *reply;
	enum hl_err err = redis_call(s->redis, args, 4, &reply);

	*ret_count = err ? 0 : redis_length(reply);
	for (size_t i = 0; i < *ret_count; i++)
		snprintf(ret_h[i], CRYPTO_NAME_LEN + 1, "%s", redis_str(redis_at(reply, i), NULL));
	return err;
}

/* ---- writing ---- */

/* KEYS u email accounts first  ARGV H E role d pw */
static struct redis_script create_script = { .durable = true, .text =
	LUA_NOW
	"local h = redis.call('GET', KEYS[2]) "
	"if h and h ~= ARGV[1] then return {'taken'} end "
	"redis.call('HSETNX', KEYS[1], 'cr', now) "
	"redis.call('HSET', KEYS[1], 'up', now, 'role', ARGV[3], 'v', 1, 'em', ARGV[2], 'd', ARGV[4], 'pw', ARGV[5]) "
	"redis.call('SET', KEYS[2], ARGV[1]) "
	"redis.call('ZADD', KEYS[3], 'NX', now, ARGV[1]) "
	"if ARGV[3] == 'admin' then redis.call('SETNX', KEYS[4], ARGV[1]) end "
	"return {'ok', now} "
};

enum hl_err
account_create(struct store *s, const char *hash, struct account *a)
{
	struct buf person = BUF_INIT(DATA_MAX), sealed = BUF_INIT(DATA_MAX);
	char key[ACCOUNT_KEY_MAX], email[ACCOUNT_KEY_MAX], e[CRYPTO_NAME_LEN + 1];
	const struct redis_reply *reply;
	enum hl_err err;

	account_name(s, a->id, a->h);
	account_key(a->h, "", key);
	email_name(s, a->email, e);
	account_email_key(s, a->email, email);
	if ((err = seal_person(s, key, a, &person)) || (err = seal_hash(s, a->h, hash, &sealed)))
		goto out;
	struct redis_arg keys[] = { RA(key), RA(email), RA(ACCOUNTS_KEY), RA(FIRST_KEY) };
	struct redis_arg args[] = { RA(a->h), RA(e), RA(a->admin ? "admin" : "user"), buf_arg(&person),
		buf_arg(&sealed) };

	err = redis_script(s->redis, &create_script, keys, 4, args, 5, &reply);
	if (err == HL_OK && said(reply, "taken"))
		err = HL_CONFLICT;
	if (err)
		goto out;
	a->created_ms = a->updated_ms = redis_int(redis_at(reply, 1));
	a->version = 1;
	a->stored = true;
out:
	buf_free(&person);
	buf_free(&sealed);
	return err;
}

void
account_room(const char *h_or_f, char ret_room[ACCOUNT_ROOM_MAX], char ret_alias[ACCOUNT_ROOM_MAX])
{
	snprintf(ret_room, ACCOUNT_ROOM_MAX, ACCOUNT_ROOM SOCKETS_ALIAS "%s", h_or_f);
	snprintf(ret_alias, ACCOUNT_ROOM_MAX, SOCKETS_ALIAS "%s", h_or_f);
}

/* KEYS u families good email  ARGV H v E d pw keep; pw '': the old one stays */
static struct redis_script change_script = { .durable = true, .text =
	LUA_NOW LUA_END_FAMILIES
	"local u = redis.call('HMGET', KEYS[1], 'v', 'em', 'nb') "
	"if not u[1] then return {'gone'} end "
	"if u[1] ~= ARGV[2] then return {'conflict'} end "
	"local h = redis.call('GET', KEYS[4]) "
	"if h and h ~= ARGV[1] then return {'taken'} end "
	"if u[2] ~= ARGV[3] then "
	"  redis.call('DEL', 'email:" SHARD ":' .. u[2]) "
	"  redis.call('SET', KEYS[4], ARGV[1]) "
	"end "
	"redis.call('HSET', KEYS[1], 'up', now, 'v', u[1] + 1, 'em', ARGV[3], 'd', ARGV[4]) "
	"if ARGV[5] ~= '' then "
	"  redis.call('HSET', KEYS[1], 'pw', ARGV[5], 'nb', math.max(tonumber(u[3] or 0), math.floor(now / 1000)) + 1) "
	"  redis.call('DEL', KEYS[3]) "
	"  end_families(ARGV[6]) "
	"  " LUA_CLOSE_SOCKETS
	"end "
	"return {'ok', " LUA_ACCOUNT "} "
};

/* What is stored now, in the second place of a reply; who asked from which family stays known. */
static enum hl_err
read_again(const struct store *s, const struct redis_reply *reply, struct account *a)
{
	struct account now;
	enum hl_err err = account_read(s, a->h, redis_at(reply, 1), 0, &now);

	if (err)
		return err;
	now.issued_s = a->issued_s;
	memcpy(now.family, a->family, sizeof(now.family));
	*a = now;
	return HL_OK;
}

enum hl_err
account_change(struct store *s, const char *hash, struct account *a)
{
	struct buf person = BUF_INIT(DATA_MAX), sealed = BUF_INIT(DATA_MAX);
	char key[ACCOUNT_KEY_MAX], families[ACCOUNT_KEY_MAX], good[ACCOUNT_KEY_MAX], email[ACCOUNT_KEY_MAX];
	char e[CRYPTO_NAME_LEN + 1];
	const struct redis_reply *reply;
	struct number v;
	enum hl_err err;

	account_key(a->h, "", key);
	account_key(a->h, ":families", families);
	account_key(a->h, ":good", good);
	email_name(s, a->email, e);
	account_email_key(s, a->email, email);
	if ((err = seal_person(s, key, a, &person)) || (hash && (err = seal_hash(s, a->h, hash, &sealed))))
		goto out;
	struct redis_arg keys[] = { RA(key), RA(families), RA(good), RA(email) };
	struct redis_arg args[] = { RA(a->h), number_arg(&v, a->version), RA(e), buf_arg(&person), buf_arg(&sealed),
		RA(a->family) };

	err = redis_script(s->redis, &change_script, keys, 4, args, 6, &reply);
	if (err == HL_OK)
		err = said(reply, "taken") ? HL_CONFLICT : refusal(reply);
	if (err == HL_OK)
		err = read_again(s, reply, a);
out:
	buf_free(&person);
	buf_free(&sealed);
	return err;
}

/* KEYS u  ARGV v pw */
static struct redis_script rehash_script = { .durable = true, .text =
	"if redis.call('HGET', KEYS[1], 'v') == ARGV[1] then redis.call('HSET', KEYS[1], 'pw', ARGV[2]) end "
	"return {'ok'} "
};

enum hl_err
account_rehash(struct store *s, const struct account *a, const char *hash)
{
	struct buf sealed = BUF_INIT(DATA_MAX);
	char key[ACCOUNT_KEY_MAX];
	const struct redis_reply *reply;
	struct number v;
	enum hl_err err = seal_hash(s, a->h, hash, &sealed);

	account_key(a->h, "", key);
	struct redis_arg keys[] = { RA(key) }, args[] = { number_arg(&v, a->version), buf_arg(&sealed) };

	if (err == HL_OK)
		err = redis_script(s->redis, &rehash_script, keys, 1, args, 2, &reply);
	buf_free(&sealed);
	return err;
}

/* next_admin(): the oldest administrator but ARGV[1]; nil: there is none.  KEYS[accounts] are all. */
#define LUA_NEXT_ADMIN(accounts)								\
	"local function next_admin() "								\
	"  for _, h in ipairs(redis.call('ZRANGE', KEYS[" #accounts "], 0, -1)) do "		\
	"    if h ~= ARGV[1] and redis.call('HGET', 'u:" SHARD ":' .. h, 'role') == 'admin' then return h end " \
	"  end "										\
	"end "

/* KEYS u first accounts  ARGV H role */
static struct redis_script role_script = { .durable = true, .text =
	LUA_NOW LUA_NEXT_ADMIN(3)
	"if redis.call('EXISTS', KEYS[1]) == 0 then return {'gone'} end "
	"if ARGV[2] ~= 'admin' and redis.call('GET', KEYS[2]) == ARGV[1] then "
	"  local other = next_admin() "
	"  if other then redis.call('SET', KEYS[2], other) else redis.call('DEL', KEYS[2]) end "
	"end "
	"redis.call('HSET', KEYS[1], 'role', ARGV[2], 'up', now) "
	"redis.call('HINCRBY', KEYS[1], 'v', 1) "
	"if ARGV[2] == 'admin' then redis.call('SETNX', KEYS[2], ARGV[1]) else " LUA_CLOSE_SOCKETS "end "
	"return {'ok', " LUA_ACCOUNT "} "
};

enum hl_err
account_set_role(struct store *s, bool admin, struct account *a)
{
	char key[ACCOUNT_KEY_MAX];
	const struct redis_reply *reply;
	enum hl_err err;

	account_key(a->h, "", key);
	struct redis_arg keys[] = { RA(key), RA(FIRST_KEY), RA(ACCOUNTS_KEY) };
	struct redis_arg args[] = { RA(a->h), RA(admin ? "admin" : "user") };

	err = redis_script(s->redis, &role_script, keys, 3, args, 2, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	return err ? err : read_again(s, reply, a);
}

/* KEYS u families good email accounts first  ARGV H */
static struct redis_script remove_script = { .durable = true, .text =
	LUA_END_FAMILIES LUA_NEXT_ADMIN(5)
	"end_families('') "
	"redis.call('DEL', KEYS[1], KEYS[2], KEYS[3]) "
	"if redis.call('GET', KEYS[4]) == ARGV[1] then redis.call('DEL', KEYS[4]) end "
	"redis.call('ZREM', KEYS[5], ARGV[1]) "
	"if redis.call('GET', KEYS[6]) == ARGV[1] then "
	"  local other = next_admin() "
	"  if other then redis.call('SET', KEYS[6], other) else redis.call('DEL', KEYS[6]) end "
	"end "
	LUA_CLOSE_SOCKETS
	"return {'ok'} "
};

enum hl_err
account_remove(struct store *s, const struct account *a)
{
	char key[ACCOUNT_KEY_MAX], families[ACCOUNT_KEY_MAX], good[ACCOUNT_KEY_MAX], email[ACCOUNT_KEY_MAX];
	const struct redis_reply *reply;

	account_key(a->h, "", key);
	account_key(a->h, ":families", families);
	account_key(a->h, ":good", good);
	account_email_key(s, a->email, email);
	const struct redis_arg keys[] = { RA(key), RA(families), RA(good), RA(email), RA(ACCOUNTS_KEY), RA(FIRST_KEY) };
	const struct redis_arg args[] = { RA(a->h) };

	return redis_script(s->redis, &remove_script, keys, 6, args, 1, &reply);
}
