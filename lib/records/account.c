#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "loop/task.h"
#include "records/account.h"
#include "records/keys.h"

#define DATA_MAX	4096u
#define AGAIN_MS	50

void
account_name(const struct store *s, const char *id, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "account", id, strlen(id), out);
}

static void
account_key(const char *h, char out[CONVERSATION_KEY_MAX])
{
	snprintf(out, CONVERSATION_KEY_MAX, "u:" SHARD ":%s", h);
}

/* ---- reading ---- */

static void
take_text(const struct json *data, const char *member, char *out, size_t size)
{
	const char *text = json_get_string(data, member);

	snprintf(out, size, "%s", text ? text : "");
}

static enum hl_err
open_person(const struct store *s, const char *key, const struct redis_reply *sealed, struct account *ret)
{
	struct buf plain = BUF_INIT(DATA_MAX);
	struct json *data = NULL;
	size_t len;
	const char *text = redis_str(sealed, &len);
	enum hl_err err = text ? crypto_unseal(s->crypto, key, text, len, &plain) : HL_INTERNAL;

	if (err == HL_OK)
		err = json_parse(plain.data, plain.len, &data);
	if (err == HL_OK) {
		take_text(data, "id", ret->id, sizeof(ret->id));
		take_text(data, "name", ret->name, sizeof(ret->name));
		take_text(data, "email", ret->email, sizeof(ret->email));
		take_text(data, "avatar", ret->avatar, sizeof(ret->avatar));
	}
	json_free(data);
	buf_free(&plain);
	return err;
}

/* cr, up, role, v, nb, d in this order, from reply's index on. */
#define PERSON_FIELDS	"cr", "up", "role", "v", "nb", "d"

static enum hl_err
read_person(const struct store *s, const char *h, const struct redis_reply *reply, size_t from, struct account *ret)
{
	char key[CONVERSATION_KEY_MAX];

	*ret = (struct account){ 0 };
	if (redis_type(redis_at(reply, from)) == REDIS_NIL)
		return HL_NOT_FOUND;
	account_key(h, key);
	snprintf(ret->h, sizeof(ret->h), "%s", h);
	ret->created_ms = redis_int(redis_at(reply, from));
	ret->updated_ms = redis_int(redis_at(reply, from + 1));
	ret->admin = str_equal(redis_str(redis_at(reply, from + 2), NULL), "admin");
	ret->version = redis_int(redis_at(reply, from + 3));
	ret->not_before_s = redis_int(redis_at(reply, from + 4));
	ret->stored = true;
	return open_person(s, key, redis_at(reply, from + 5), ret);
}

enum hl_err
account_load(struct store *s, const char *h, struct account *ret)
{
	static const char *const fields[] = { PERSON_FIELDS };
	struct redis_arg args[2 + sizeof(fields) / sizeof(fields[0])] = { RA("HMGET") };
	const struct redis_reply *reply;
	char key[CONVERSATION_KEY_MAX];
	enum hl_err err;

	account_key(h, key);
	args[1] = RA(key);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		args[2 + i] = RA(fields[i]);
	err = redis_call(s->redis, args, sizeof(args) / sizeof(args[0]), &reply);
	return err ? err : read_person(s, h, reply, 0, ret);
}

static enum hl_err
load_patiently(struct store *s, const char *h, struct account *ret)
{
	int64_t until = clock_mono_ms() + ACCOUNT_PATIENCE_MS;
	enum hl_err err, slept = HL_OK;

	while ((err = account_load(s, h, ret)) == HL_STORE && slept == HL_OK && clock_mono_ms() < until)
		slept = task_sleep(AGAIN_MS);
	return slept ? slept : err;
}

enum hl_err
account_verify(struct store *s, const char *token, struct account *ret)
{
	struct account said, found;
	char h[CRYPTO_NAME_LEN + 1];
	enum hl_err err = account_of_token(s->conf, token, &said);

	*ret = (struct account){ 0 };
	if (err)
		return err;
	account_name(s, said.id, h);
	err = load_patiently(s, h, &found);
	if (err == HL_NOT_FOUND) {
		memcpy(said.h, h, sizeof(h));
		*ret = said;
		return said.names_role ? HL_OK : HL_UNAUTHORIZED;
	}
	if (err)
		return err;
	if (said.issued_s < found.not_before_s)
		return HL_UNAUTHORIZED;
	found.issued_s = said.issued_s;
	memcpy(found.family, said.family, sizeof(found.family));
	*ret = found;
	return HL_OK;
}
