#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "records/conversation.h"
#include "records/scripts.h"

#define ENTRY_MAX	(512u * 1024)	/* bytes of one opened entry */
#define SHARD		"{0}"		/* one shard until an installation has more */

#define DUE_KEY		"due:" SHARD
#define ACTIVE_KEY	"active:" SHARD
#define OPEN_KEY	"open:" SHARD

/* ---- names ---- */

struct keys {
	char	 c[CONVERSATION_KEY_MAX], log[CONVERSATION_KEY_MAX], seen[CONVERSATION_KEY_MAX];
};

static void
keys_of(const struct place *p, struct keys *k)
{
	snprintf(k->c, sizeof(k->c), "c:" SHARD ":%s", p->h);
	snprintf(k->log, sizeof(k->log), "c:" SHARD ":%s:log", p->h);
	snprintf(k->seen, sizeof(k->seen), "c:" SHARD ":%s:seen", p->h);
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
	snprintf(out, CONVERSATION_KEY_MAX, "room:%s", p->h);
}

/* A number as an argument; the text lives in the caller's buffer. */
struct number { char text[24]; };

static struct redis_arg
number_arg(struct number *n, int64_t value)
{
	int len = snprintf(n->text, sizeof(n->text), "%lld", (long long)value);

	return RAN(n->text, (size_t)len);
}

static struct redis_arg
buf_arg(const struct buf *b)
{
	return RAN(b->data ? b->data : "", b->len);
}

/* ---- what a script says ---- */

static bool
said(const struct redis_reply *reply, const char *word)
{
	const char *s = redis_str(redis_at(reply, 0), NULL);

	return s && strcmp(s, word) == 0;
}

static enum hl_err
refusal(const struct redis_reply *reply)
{
	if (said(reply, "gone"))
		return HL_NOT_FOUND;
	if (said(reply, "forbidden"))
		return HL_FORBIDDEN;
	if (said(reply, "conflict"))
		return HL_UNPROCESSABLE;
	if (said(reply, "limited"))
		return HL_TOO_MANY;
	if (said(reply, "fenced") || said(reply, "settled"))
		return HL_CONFLICT;
	return HL_OK;
}

/* ---- entries ---- */

void
entry_clear(struct entry *e)
{
	json_free(e->json);
	e->json = NULL;
	buf_free(&e->text);
}

void
entries_free(struct entries *es)
{
	for (size_t i = 0; i < es->count; i++)
		entry_clear(&es->list[i]);
	free(es->list);
	*es = (struct entries){ 0 };
}

enum hl_err
entry_make(int64_t seq, const char *id, const struct buf *json, struct entry *ret)
{
	*ret = (struct entry){ .seq = seq, .text = BUF_INIT(ENTRY_MAX) };
	memcpy(ret->id, id, ID_LEN);
	return json_parse(json->data, json->len, &ret->json);
}

bool
entry_is_user(const struct entry *e)
{
	return str_equal(json_get_string(e->json, "role"), "user");
}

const char *
entry_content(const struct entry *e, size_t *len)
{
	const char *text = json_string(json_get(e->json, "content"), len);

	if (text == NULL)
		*len = 0;
	return text ? text : "";
}

/* What an entry's seal is bound to: its list and its id. */
static void
entry_place(const struct keys *k, const char *id, char out[CONVERSATION_KEY_MAX + ID_LEN + 2])
{
	snprintf(out, CONVERSATION_KEY_MAX + ID_LEN + 2, "%s#%.*s", k->log, ID_LEN, id);
}

static enum hl_err
entry_seal(const struct store *s, const struct keys *k, const char *id, const struct buf *json, struct buf *out)
{
	char place[CONVERSATION_KEY_MAX + ID_LEN + 2];

	entry_place(k, id, place);
	buf_add(out, id, ID_LEN);
	return crypto_seal(s->crypto, place, json->data, json->len, out);
}

static enum hl_err
entry_open(const struct store *s, const struct keys *k, const struct redis_reply *reply, int64_t seq, struct entry *e)
{
	char place[CONVERSATION_KEY_MAX + ID_LEN + 2];
	size_t len;
	const char *sealed = redis_str(reply, &len);
	enum hl_err err;

	*e = (struct entry){ .seq = seq, .text = BUF_INIT(ENTRY_MAX) };
	if (sealed == NULL || len <= ID_LEN)
		return HL_INTERNAL;
	memcpy(e->id, sealed, ID_LEN);
	entry_place(k, e->id, place);
	err = crypto_unseal(s->crypto, place, sealed + ID_LEN, len - ID_LEN, &e->text);
	if (err == HL_OK)
		err = json_parse(e->text.data, e->text.len, &e->json);
	if (err)
		entry_clear(e);
	return err == HL_BAD_JSON ? HL_INTERNAL : err;
}

static enum hl_err
entries_open(const struct store *s, const struct keys *k, const struct redis_reply *list, int64_t last_seq,
    struct entries *ret)
{
	size_t n = redis_length(list);
	enum hl_err err = HL_OK;

	*ret = (struct entries){ 0 };
	if (n == 0)
		return HL_OK;
	ret->list = calloc(n, sizeof(*ret->list));
	if (ret->list == NULL)
		return HL_NO_MEMORY;
	while (err == HL_OK && ret->count < n) {
		int64_t seq = last_seq - (int64_t)(n - 1 - ret->count);

		err = entry_open(s, k, redis_at(list, ret->count), seq, &ret->list[ret->count]);
		if (err == HL_OK)
			ret->count++;
	}
	if (err)
		entries_free(ret);
	return err;
}

void
entry_write(struct buf *out, const struct entry *e)
{
	static const char *const passed[] = { "confidence", "provider", "needsEscalation", "escalation", "sources" };
	char at[CLOCK_ISO_LEN + 1];
	int64_t ms = 0;

	if (!json_integer(json_get(e->json, "ts"), &ms))
		ms = 0;
	clock_iso(ms, at);
	buf_printf(out, "{\"id\":\"%s\",\"seq\":%lld,\"role\":", e->id, (long long)e->seq);
	buf_json_str(out, json_get_string(e->json, "role"));
	buf_puts(out, ",\"content\":");
	json_write(out, json_get(e->json, "content"));
	buf_printf(out, ",\"timestamp\":\"%s\"", at);
	if (json_get(e->json, "clientMessageId")) {
		buf_puts(out, ",\"clientMessageId\":");
		json_write(out, json_get(e->json, "clientMessageId"));
	}
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		const struct json *v = json_get(e->json, passed[i]);

		if (v == NULL)
			continue;
		buf_printf(out, ",\"%s\":", passed[i]);
		json_write(out, v);
	}
	buf_putc(out, '}');
}

/* ---- sessions ---- */

void
conversation_clear(struct conversation *c)
{
	json_free(c->data);
	c->data = NULL;
}

static enum hl_err
open_data(const struct store *s, const struct keys *k, const struct redis_reply *reply, struct json **ret)
{
	struct buf plain = BUF_INIT(ENTRY_MAX);
	size_t len;
	const char *sealed = redis_str(reply, &len);
	enum hl_err err = HL_INTERNAL;

	if (sealed)
		err = crypto_unseal(s->crypto, k->c, sealed, len, &plain);
	if (err == HL_OK)
		err = json_parse(plain.data, plain.len, ret);
	buf_free(&plain);
	return err;
}

static void
user_name(const struct store *s, const char *user_id, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, "user", user_id, strlen(user_id), out);
}

/* Keys and intervals of the limits that apply. */
struct limit_args {
	char		 keys[3][CONVERSATION_KEY_MAX];
	struct number	 intervals[3];
	struct redis_arg key[3], interval[3];
	size_t		 count;
};

static void
add_limit(const struct store *s, struct limit_args *a, const char *kind, const char *what, int64_t per_minute)
{
	char name[CRYPTO_NAME_LEN + 1];

	if (!s->conf->rate_limits || what == NULL)
		return;
	crypto_name(s->crypto, kind, what, strlen(what), name);
	snprintf(a->keys[a->count], CONVERSATION_KEY_MAX, "rl:" SHARD ":%s", name);
	a->key[a->count] = RA(a->keys[a->count]);
	a->interval[a->count] = number_arg(&a->intervals[a->count], (60000 + per_minute - 1) / per_minute);
	a->count++;
}

static void
limit_args(const struct store *s, const struct limits *l, struct limit_args *a)
{
	a->count = 0;
	add_limit(s, a, "limit-address", l->address, s->conf->rate_address);
	add_limit(s, a, "limit-visitor", l->visitor, s->conf->rate_visitor);
	add_limit(s, a, "limit-session", l->session, s->conf->rate_session);
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
	err = json_parse(data.data, data.len, &ret->data);
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
	err = entries_open(s, &k, redis_at(reply, 6), ret->seq, messages);
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

static enum hl_err
read_log(struct store *s, const struct keys *k, int64_t from, int64_t to, const struct redis_reply **reply)
{
	struct number a, b;
	struct redis_arg args[] = { RA("LRANGE"), RA(k->log), number_arg(&a, from), number_arg(&b, to) };

	return redis_call(s->redis, args, 4, reply);
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
	return err ? err : entries_open(s, &k, reply, after + (int64_t)redis_length(reply), ret);
}

/* ---- accept ---- */

void
lease_clear(struct lease *l)
{
	json_free(l->data);
	l->data = NULL;
	entries_free(&l->context);
}

static void
take_escalation(struct lease *l, const struct redis_reply *reply)
{
	const char *id = redis_str(reply, NULL);

	snprintf(l->escalation_id, sizeof(l->escalation_id), "%s", id ? id : "");
}

/* {'run', seq, fence, epoch, dn, esc, d, pr, heard, context, fs} */
static enum hl_err
lease_take(const struct store *s, const struct keys *k, const struct place *p, const struct redis_reply *reply,
    struct lease *l)
{
	enum hl_err err;

	*l = (struct lease){ .place = *p, .owner_ai = true };
	l->covered = redis_int(redis_at(reply, 1));
	l->fence = redis_int(redis_at(reply, 2));
	l->epoch = redis_int(redis_at(reply, 3));
	l->before = redis_int(redis_at(reply, 4));
	take_escalation(l, redis_at(reply, 5));
	l->probe = redis_int(redis_at(reply, 7)) == 1;
	l->listeners = redis_int(redis_at(reply, 8));
	l->attempt = l->fence - redis_int(redis_at(reply, 10));
	err = open_data(s, k, redis_at(reply, 6), &l->data);
	if (err == HL_OK)
		err = entries_open(s, k, redis_at(reply, 9), l->covered, &l->context);
	if (err)
		lease_clear(l);
	return err;
}

/* The stored message, and what other sockets of the session get: head, seq, tail. */
static void
write_message(const struct incoming *in, int64_t at_ms, const char *id, struct buf *entry, struct buf *head,
    struct buf *tail)
{
	char at[CLOCK_ISO_LEN + 1];

	clock_iso(at_ms, at);
	buf_puts(entry, "{\"role\":\"user\",\"content\":");
	buf_json(entry, in->text, in->text_len);
	buf_printf(entry, ",\"ts\":%lld", (long long)at_ms);
	buf_printf(head, "[\"message-accepted\",{\"id\":\"%s\",\"seq\":", id);
	buf_puts(tail, ",\"role\":\"user\",\"message\":");
	buf_json(tail, in->text, in->text_len);
	buf_printf(tail, ",\"timestamp\":\"%s\"", at);
	if (in->client_named) {
		buf_puts(entry, ",\"clientMessageId\":");
		buf_json_str(entry, in->client_id);
		buf_puts(tail, ",\"clientMessageId\":");
		buf_json_str(tail, in->client_id);
	}
	buf_putc(entry, '}');
	buf_puts(tail, "}]");
}

static enum hl_err
acceptance_take(struct store *s, const struct keys *k, const struct place *p, const struct redis_reply *reply,
    struct acceptance *a)
{
	size_t len;
	const char *stored;

	a->seq = redis_int(redis_at(reply, 1));
	if (said(reply, "again")) {
		a->how = ACCEPTED_AGAIN;
		a->answered = redis_int(redis_at(reply, 2)) == 1;
		a->owner_ai = str_equal(redis_str(redis_at(reply, 3), NULL), "ai");
		stored = redis_str(redis_at(reply, 4), &len);
		if (stored && len > ID_LEN)
			memcpy(a->message_id, stored, ID_LEN);
		return HL_OK;
	}
	a->owner_ai = !said(reply, "person");
	if (!said(reply, "run")) {
		a->how = ACCEPTED_QUEUED;
		return HL_OK;
	}
	a->how = ACCEPTED_RUN;
	return lease_take(s, k, p, reply, &a->lease);
}

/* The names under which a message is known as sent before. */
static void
seen_fields(const struct store *s, const struct incoming *in, char first[CRYPTO_NAME_LEN + 1],
    char second[CRYPTO_NAME_LEN + 1], char body[CRYPTO_NAME_LEN + 1])
{
	crypto_name(s->crypto, in->client_named ? "client-message" : "request", in->client_id, strlen(in->client_id), first);
	second[0] = '\0';
	if (in->idempotency_key)
		crypto_name(s->crypto, "idempotency", in->idempotency_key, strlen(in->idempotency_key), second);
	crypto_name(s->crypto, "body", in->text, in->text_len, body);
}

enum hl_err
conversation_accept(struct store *s, const struct incoming *in, struct acceptance *ret)
{
	struct buf entry = BUF_INIT(ENTRY_MAX), sealed = BUF_INIT(ENTRY_MAX), head = BUF_INIT(256), tail = BUF_INIT(ENTRY_MAX);
	char uh[CRYPTO_NAME_LEN + 1], first[CRYPTO_NAME_LEN + 1], second[CRYPTO_NAME_LEN + 1], body[CRYPTO_NAME_LEN + 1];
	char room[CONVERSATION_KEY_MAX];
	const struct redis_reply *reply;
	struct number lease, history, keep;
	struct redis_arg key[8];
	struct limit_args la;
	struct place p;
	struct keys k;
	enum hl_err err;

	*ret = (struct acceptance){ 0 };
	if (!id_valid(in->id))
		return HL_NOT_FOUND;
	p = conversation_place(s, in->id);
	keys_of(&p, &k);
	conversation_room(&p, room);
	user_name(s, in->user_id, uh);
	seen_fields(s, in, first, second, body);
	limit_args(s, &in->limits, &la);
	id_new(ret->message_id);
	ret->at_ms = clock_wall_ms();
	write_message(in, ret->at_ms, ret->message_id, &entry, &head, &tail);
	if ((err = buf_err(&entry)) || (err = buf_err(&tail)) || (err = entry_seal(s, &k, ret->message_id, &entry, &sealed)))
		goto out;
	struct redis_arg arg[13 + 3] = { RA(p.h), RA(uh), RA(first), RA(body), RA(second), buf_arg(&sealed), RA(room),
		RA(in->except ? in->except : "-"), buf_arg(&head), buf_arg(&tail), number_arg(&lease, LEASE_MS),
		number_arg(&history, s->conf->history), number_arg(&keep, s->conf->escalation_keep_ms) };

	key[0] = RA(k.c);
	key[1] = RA(k.log);
	key[2] = RA(k.seen);
	key[3] = RA(ACTIVE_KEY);
	key[4] = RA(DUE_KEY);
	memcpy(key + 5, la.key, la.count * sizeof(key[0]));
	memcpy(arg + 13, la.interval, la.count * sizeof(arg[0]));
	err = redis_script(s->redis, &accept_script, key, 5 + la.count, arg, 13 + la.count, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_TOO_MANY)
		ret->retry_ms = redis_int(redis_at(reply, 1));
	if (err == HL_OK)
		err = acceptance_take(s, &k, &p, reply, ret);
out:
	buf_free(&entry);
	buf_free(&sealed);
	buf_free(&head);
	buf_free(&tail);
	return err;
}

/* ---- commit ---- */

enum hl_err
conversation_commit(struct store *s, struct lease *l, struct outgoing *o, enum committed *ret, int64_t *ret_seq)
{
	struct buf sealed = BUF_INIT(ENTRY_MAX), escalation = BUF_INIT(ENTRY_MAX);
	char room[CONVERSATION_KEY_MAX], record[CONVERSATION_KEY_MAX];
	struct number fence, epoch, covered, lease, keep;
	const struct redis_reply *reply;
	struct keys k;
	enum hl_err err;

	keys_of(&l->place, &k);
	conversation_room(&l->place, room);
	snprintf(record, sizeof(record), "e:" SHARD ":%s", o->escalation_id);
	err = entry_seal(s, &k, o->id, &o->entry, &sealed);
	if (err == HL_OK && o->reason)
		err = crypto_seal(s->crypto, record, o->escalation.data, o->escalation.len, &escalation);
	if (err)
		goto out;
	struct redis_arg key[] = { RA(k.c), RA(k.log), RA(k.seen), RA(ACTIVE_KEY), RA(DUE_KEY), RA(OPEN_KEY), RA(record) };
	struct redis_arg arg[] = { RA(l->place.h), number_arg(&fence, l->fence), number_arg(&epoch, l->epoch),
		number_arg(&covered, l->covered), buf_arg(&sealed), RA(room), buf_arg(&o->event_head),
		buf_arg(&o->event_tail), number_arg(&lease, LEASE_MS), RA(o->id), RA(o->reason ? o->escalation_id : ""),
		RA(o->reason ? o->reason : ""), buf_arg(&escalation), number_arg(&keep, s->conf->escalation_keep_ms) };

	err = redis_script(s->redis, &commit_script, key, 7, arg, 14, &reply);
	if (err)
		goto out;
	*ret_seq = redis_int(redis_at(reply, 1));
	*ret = said(reply, "ok") ? COMMITTED : said(reply, "more") ? COMMITTED_MORE : COMMIT_FENCED;
	if (*ret == COMMITTED_MORE) {
		l->before = l->covered;
		l->attempt = 1;
	}
out:
	buf_free(&sealed);
	buf_free(&escalation);
	return err;
}

enum hl_err
conversation_peek(struct store *s, struct lease *l, bool *ret_changed)
{
	const struct redis_reply *reply;
	struct number fence, epoch, covered, lease, history;
	struct entries fresh;
	struct keys k;
	enum hl_err err;

	*ret_changed = false;
	keys_of(&l->place, &k);
	struct redis_arg key[] = { RA(k.c), RA(k.log), RA(DUE_KEY) };
	struct redis_arg arg[] = { RA(l->place.h), number_arg(&fence, l->fence), number_arg(&epoch, l->epoch),
		number_arg(&covered, l->covered), number_arg(&lease, LEASE_MS), number_arg(&history, s->conf->history) };

	err = redis_script(s->redis, &peek_script, key, 3, arg, 6, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err || said(reply, "same"))
		return err;
	err = entries_open(s, &k, redis_at(reply, 4), redis_int(redis_at(reply, 1)), &fresh);
	if (err)
		return err;
	entries_free(&l->context);
	l->context = fresh;
	l->covered = redis_int(redis_at(reply, 1));
	l->before = redis_int(redis_at(reply, 2));
	take_escalation(l, redis_at(reply, 3));
	*ret_changed = true;
	return HL_OK;
}

/* ---- leases ---- */

#define RENEW_AT_ONCE	32u

enum hl_err
conversation_renew(struct store *s, const struct place *places, size_t count)
{
	struct redis_arg key[] = { RA(DUE_KEY) }, arg[1 + RENEW_AT_ONCE];
	const struct redis_reply *reply;
	struct number lease;
	enum hl_err err = HL_OK;

	arg[0] = number_arg(&lease, LEASE_MS);
	while (count > 0 && err == HL_OK) {
		size_t n = count < RENEW_AT_ONCE ? count : RENEW_AT_ONCE;

		for (size_t i = 0; i < n; i++)
			arg[1 + i] = RA(places[i].h);
		err = redis_script(s->redis, &renew_script, key, 1, arg, 1 + n, &reply);
		places += n;
		count -= n;
	}
	return err;
}

enum hl_err
conversation_overdue(struct store *s, struct place *ret, size_t max, size_t *count)
{
	const struct redis_reply *reply;
	struct redis_arg key[] = { RA(DUE_KEY) }, arg[1];
	struct number most;
	enum hl_err err;

	*count = 0;
	arg[0] = number_arg(&most, (int64_t)max);
	err = redis_script(s->redis, &overdue_script, key, 1, arg, 1, &reply);
	if (err)
		return err;
	for (size_t i = 0; i < redis_length(reply) && i < max; i++) {
		const char *h = redis_str(redis_at(reply, i), NULL);

		if (h)
			snprintf(ret[(*count)++].h, sizeof(ret->h), "%s", h);
	}
	return HL_OK;
}

enum hl_err
conversation_claim(struct store *s, const struct place *p, struct lease *ret)
{
	const struct redis_reply *reply;
	struct number lease, history;
	struct keys k;
	enum hl_err err;

	*ret = (struct lease){ 0 };
	keys_of(p, &k);
	struct redis_arg key[] = { RA(k.c), RA(k.log), RA(DUE_KEY) };
	struct redis_arg arg[] = { RA(p->h), number_arg(&lease, LEASE_MS), number_arg(&history, s->conf->history) };

	err = redis_script(s->redis, &claim_script, key, 3, arg, 3, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	return err ? err : lease_take(s, &k, p, reply, ret);
}

#define ANSWER_LOOK	64

enum hl_err
conversation_answer(struct store *s, const struct place *p, int64_t seq, struct entry *ret)
{
	const struct redis_reply *reply;
	struct keys k;
	enum hl_err err;

	keys_of(p, &k);
	err = read_log(s, &k, seq, seq + ANSWER_LOOK, &reply);
	for (size_t i = 0; err == HL_OK && i < redis_length(reply); i++) {
		int64_t covers;

		err = entry_open(s, &k, redis_at(reply, i), seq + 1 + (int64_t)i, ret);
		if (err == HL_OK && json_integer(json_get(ret->json, "for"), &covers) && covers >= seq)
			return HL_OK;
		if (err == HL_OK)
			entry_clear(ret);
	}
	return err ? err : HL_NOT_FOUND;
}

/* ---- spend ---- */

static void
spend_key(char out[CONVERSATION_KEY_MAX])
{
	char now[CLOCK_ISO_LEN + 1];

	clock_iso(clock_wall_ms(), now);
	snprintf(out, CONVERSATION_KEY_MAX, "spend:" SHARD ":%.10s", now);
}

static struct redis_script spend_script = { .text =
	"redis.call('HINCRBY', KEYS[1], 't', ARGV[1]) "
	"redis.call('HINCRBY', KEYS[1], 'm', ARGV[2]) "
	"redis.call('EXPIRE', KEYS[1], 3456000) "	/* forty days */
	"return {'ok'} "
};

enum hl_err
spend_add(struct store *s, int64_t tokens, int64_t micro_money)
{
	const struct redis_reply *reply;
	char key_name[CONVERSATION_KEY_MAX];
	struct number t, m;

	spend_key(key_name);
	struct redis_arg key[] = { RA(key_name) }, arg[] = { number_arg(&t, tokens), number_arg(&m, micro_money) };

	return redis_script(s->redis, &spend_script, key, 1, arg, 2, &reply);
}

enum hl_err
spend_today(struct store *s, int64_t *tokens, int64_t *micro_money)
{
	const struct redis_reply *reply;
	char key_name[CONVERSATION_KEY_MAX];
	enum hl_err err;

	spend_key(key_name);
	struct redis_arg args[] = { RA("HMGET"), RA(key_name), RA("t"), RA("m") };

	err = redis_call(s->redis, args, 4, &reply);
	*tokens = err ? 0 : redis_int(redis_at(reply, 0));
	*micro_money = err ? 0 : redis_int(redis_at(reply, 1));
	return err;
}
