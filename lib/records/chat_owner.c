#include <stdio.h>
#include <string.h>

#include "base/person.h"
#include "records/chat_owner.h"
#include "records/keys.h"
#include "services/redis.h"

#define KEY_MAX	(sizeof("chat:" SHARD ":") + CRYPTO_NAME_LEN)

/* HL_NOT_FOUND: nobody has been, or he is gone. */
static enum hl_err
known_owner(struct store *s, const char *key, char ret_h[CRYPTO_NAME_LEN + 1])
{
	const struct redis_arg args[] = { RA("GET"), RA(key) };
	const struct redis_reply *reply;
	struct account a;
	size_t len = 0;
	enum hl_err err = redis_call(s->redis, args, 2, &reply);
	const char *h = err ? NULL : redis_str(reply, &len);

	if (err || h == NULL || len > CRYPTO_NAME_LEN)
		return err ? err : HL_NOT_FOUND;
	memcpy(ret_h, h, len + 1);
	return account_load(s, ret_h, &a);
}

/* The account that has the address now, from now on whatever its address. */
static enum hl_err
note_owner(struct store *s, const char *key, const char *email, char ret_h[CRYPTO_NAME_LEN + 1])
{
	struct redis_arg args[] = { RA("SET"), RA(key), RA(ret_h) };
	const struct redis_reply *reply;
	struct account a;
	enum hl_err err = account_find(s, email, &a);

	if (err)
		return err;
	strcpy(ret_h, a.h);
	args[2] = RA(ret_h);
	return redis_call(s->redis, args, 3, &reply);
}

enum hl_err
chat_owner(struct store *s, char ret_h[CRYPTO_NAME_LEN + 1])
{
	const char *named = s->conf->chat_owner;
	char email[PERSON_EMAIL_MAX + 1], name[CRYPTO_NAME_LEN + 1], key[KEY_MAX];
	enum hl_err err;

	if (*named == '\0')
		return account_first(s, ret_h);
	if (!person_email_fold(named, strlen(named), email))
		return HL_NOT_FOUND;
	crypto_name(s->crypto, "chat owner", email, strlen(email), name);
	snprintf(key, sizeof(key), "chat:" SHARD ":%s", name);
	err = known_owner(s, key, ret_h);
	return err == HL_NOT_FOUND ? note_owner(s, key, email, ret_h) : err;
}

enum hl_err
chat_owned_by(struct store *s, const struct account *a, bool *ret)
{
	char h[CRYPTO_NAME_LEN + 1];
	enum hl_err err;

	*ret = false;
	if (!a->stored)
		return HL_OK;
	err = chat_owner(s, h);
	*ret = err == HL_OK && strcmp(h, a->h) == 0;
	return err == HL_NOT_FOUND ? HL_OK : err;
}
