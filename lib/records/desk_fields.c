#include <stdio.h>
#include <string.h>

#include "records/desk_fields.h"

#define PLACE_MAX	(2 * CONVERSATION_KEY_MAX)

void
name_take(const struct redis_reply *reply, char ret[CRYPTO_NAME_LEN + 1])
{
	const char *name = redis_str(reply, NULL);

	snprintf(ret, CRYPTO_NAME_LEN + 1, "%s", name ? name : "");
}

/* ---- ids ---- */

static enum hl_err
seal_in(const struct store *s, const struct keys *k, const char *member, const char *text, struct buf *out)
{
	char place[PLACE_MAX];

	snprintf(place, sizeof(place), "%s%s", k->c, member);
	return crypto_seal(s->crypto, place, text, strlen(text), out);
}

static enum hl_err
open_in(const struct store *s, const struct keys *k, const char *member, const char *sealed, size_t len, struct buf *out)
{
	char place[PLACE_MAX];

	snprintf(place, sizeof(place), "%s%s", k->c, member);
	return crypto_unseal(s->crypto, place, sealed, len, out);
}

static enum hl_err
open_id(const struct store *s, const struct keys *k, const char *member, const struct redis_reply *reply,
    char ret[ID_LEN + 1])
{
	struct buf plain = BUF_INIT(FIELD_MAX);
	size_t len;
	const char *sealed = redis_str(reply, &len);
	enum hl_err err;

	*ret = '\0';
	if (sealed == NULL)
		return HL_OK;
	err = open_in(s, k, member, sealed, len, &plain);
	if (err == HL_OK && !id_valid(plain.data))
		err = HL_INTERNAL;
	if (err == HL_OK)
		memcpy(ret, plain.data, ID_LEN + 1);
	buf_free(&plain);
	return err;
}

enum hl_err
id_seal(const struct store *s, const struct keys *k, const char *id, struct buf *out)
{
	return seal_in(s, k, "", id, out);
}

enum hl_err
id_open(const struct store *s, const struct keys *k, const struct redis_reply *reply, char ret[ID_LEN + 1])
{
	enum hl_err err = open_id(s, k, "", reply, ret);

	return err == HL_OK && *ret == '\0' ? HL_INTERNAL : err;
}

enum hl_err
user_seal(const struct store *s, const struct keys *k, const char *id, struct buf *out)
{
	return seal_in(s, k, "#user", id, out);
}

enum hl_err
user_open(const struct store *s, const struct keys *k, const struct redis_reply *reply, char ret[ID_LEN + 1])
{
	return open_id(s, k, "#user", reply, ret);
}

/* ---- titles ---- */

enum hl_err
title_seal(const struct store *s, const struct keys *k, const char *title, struct buf *out)
{
	return strlen(title) > DESK_TITLE_MAX ? HL_TOO_LARGE : seal_in(s, k, "#title", title, out);
}

size_t
title_args(const struct buf *sealed, struct redis_arg *out)
{
	size_t first = sealed->len > FIELD_MAX && sealed->len <= 2 * FIELD_MAX ? FIELD_MAX : sealed->len;

	out[0] = RAN(sealed->data ? sealed->data : "", first);
	out[1] = RAN(sealed->data ? sealed->data + first : "", sealed->len - first);
	return 2;
}

enum hl_err
title_open(const struct store *s, const struct keys *k, const struct redis_reply *tt, const struct redis_reply *tx,
    struct buf *out)
{
	struct buf sealed = BUF_INIT(2 * DESK_TITLE_MAX);
	size_t len;
	const char *part = redis_str(tt, &len);
	enum hl_err err;

	buf_reset(out);
	if (part == NULL)
		return HL_OK;
	buf_add(&sealed, part, len);
	part = redis_str(tx, &len);
	if (part)
		buf_add(&sealed, part, len);
	err = buf_err(&sealed);
	if (err == HL_OK)
		err = open_in(s, k, "#title", sealed.data, sealed.len, out);
	buf_free(&sealed);
	return err;
}

/* ---- companies ---- */

static void
company_place(const char *account, const char *agent, char out[PLACE_MAX])
{
	snprintf(out, PLACE_MAX, "st:" SHARD ":%s#%s", account, agent);
}

enum hl_err
company_seal(const struct store *s, const char *account, const char *agent, const char *name, struct buf *out)
{
	char place[PLACE_MAX];

	company_place(account, agent, place);
	return crypto_seal(s->crypto, place, name, strlen(name), out);
}

enum hl_err
company_open(const struct store *s, const char *account, const char *agent, const struct redis_reply *reply, struct buf *out)
{
	char place[PLACE_MAX];
	size_t len;
	const char *sealed = redis_str(reply, &len);

	company_place(account, agent, place);
	return sealed ? crypto_unseal(s->crypto, place, sealed, len, out) : HL_INTERNAL;
}
