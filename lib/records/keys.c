#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/network.h"
#include "base/str.h"
#include "records/keys.h"

void
keys_of(const struct place *p, struct keys *k)
{
	stpcpy(stpcpy(k->c, "c:" SHARD ":"), p->h);
	stpcpy(stpcpy(k->log, k->c), ":log");
	stpcpy(stpcpy(k->seen, k->c), ":seen");
}

struct place
conversation_place(const struct store *s, const char *id)
{
	struct place p;

	crypto_name(s->crypto, "conversation", id, strlen(id), p.h);
	return p;
}

void
conversation_room(const struct place *p, char out[CONVERSATION_KEY_MAX])
{
	stpcpy(stpcpy(out, "room:"), p->h);
}

struct redis_arg
number_arg(struct number *n, int64_t value)
{
	return RAN(n->text, str_int(n->text, value));
}

struct redis_arg
holder_arg(const struct store *s)
{
	return RA(s->holder ? s->holder : "");
}

struct redis_arg
buf_arg(const struct buf *b)
{
	return RAN(b->data ? b->data : "", b->len);
}

/* ---- what a script says ---- */

bool
said(const struct redis_reply *reply, const char *word)
{
	const char *s = redis_str(redis_at(reply, 0), NULL);

	return s && strcmp(s, word) == 0;
}

enum hl_err
refusal(const struct redis_reply *reply)
{
	if (said(reply, "gone"))
		return HL_NOT_FOUND;
	if (said(reply, "forbidden"))
		return HL_FORBIDDEN;
	if (said(reply, "conflict"))
		return HL_UNPROCESSABLE;
	if (said(reply, "full"))
		return HL_TOO_LARGE;
	if (said(reply, "limited"))
		return HL_TOO_MANY;
	if (said(reply, "fenced") || said(reply, "settled"))
		return HL_CONFLICT;
	return HL_OK;
}

/* ---- what several scripts take and give ---- */

enum hl_err
open_data_text(const struct store *s, const struct keys *k, const struct redis_reply *reply, struct buf *ret)
{
	size_t len;
	const char *sealed = redis_str(reply, &len);

	*ret = BUF_INIT(ENTRY_MAX);
	return sealed ? crypto_unseal(s->crypto, k->c, sealed, len, ret) : HL_INTERNAL;
}

enum hl_err
open_data(const struct store *s, const struct keys *k, const struct redis_reply *reply, struct json **ret)
{
	struct buf plain;
	enum hl_err err = open_data_text(s, k, reply, &plain);

	if (err == HL_OK)
		err = json_parse(plain.data, plain.len, ret);
	buf_free(&plain);
	return err;
}

static void
note_place(const struct keys *k, char out[CONVERSATION_KEY_MAX + 8])
{
	snprintf(out, CONVERSATION_KEY_MAX + 8, "%s#note", k->c);
}

enum hl_err
note_seal(const struct store *s, const struct keys *k, const char *note, struct buf *out)
{
	char place[CONVERSATION_KEY_MAX + 8];

	note_place(k, place);
	return crypto_seal(s->crypto, place, note, strlen(note), out);
}

/* There may be none. */
enum hl_err
note_open(const struct store *s, const struct keys *k, const struct redis_reply *reply, struct buf *out)
{
	char place[CONVERSATION_KEY_MAX + 8];
	size_t len;
	const char *sealed = redis_str(reply, &len);

	note_place(k, place);
	return sealed && len ? crypto_unseal(s->crypto, place, sealed, len, out) : HL_OK;
}

void
user_name(const struct store *s, const char *user_id, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "user", user_id, strlen(user_id), out);
}

static void
add_limit(const struct store *s, struct limit_args *a, const char *kind, const char *what, int64_t per_minute)
{
	char name[CRYPTO_NAME_LEN + 1];

	if (what == NULL)
		return;
	crypto_name(s->crypto, kind, what, strlen(what), name);
	stpcpy(stpcpy(a->keys[a->count], "rl:" SHARD ":"), name);
	a->key[a->count] = RA(a->keys[a->count]);
	a->interval[a->count] = number_arg(&a->intervals[a->count], (60000 + per_minute - 1) / per_minute);
	a->count++;
}

void
limit_args(const struct store *s, const struct limits *l, struct limit_args *a)
{
	char network[NETWORK_MAX] = "", visitor[NETWORK_MAX + 512];

	a->count = 0;
	if (!s->conf->rate_limits)
		return;
	if (l->address)
		network_of(l->address, network);
	add_limit(s, a, "limit-address", l->address ? network : NULL, s->conf->rate_address);
	/* Anybody can say any userId: who says it from elsewhere is somebody else here. */
	snprintf(visitor, sizeof(visitor), "%s %s", network, l->visitor ? l->visitor : "");
	add_limit(s, a, "limit-visitor", l->visitor ? visitor : NULL, s->conf->rate_visitor);
	add_limit(s, a, "limit-session", l->session, s->conf->rate_session);
	add_limit(s, a, "limit-key", l->api_key, s->conf->rate_key);
}

enum hl_err
read_log(struct store *s, const struct keys *k, int64_t from, int64_t to, const struct redis_reply **reply)
{
	struct number a, b;
	struct redis_arg args[] = { RA("LRANGE"), RA(k->log), number_arg(&a, from), number_arg(&b, to) };

	return redis_call(s->redis, args, 4, reply);
}
