#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "records/desk_scripts.h"
#include "records/entry.h"

/* ---- who asks ---- */

static const char *
door_of(const struct desk_access *a, bool reads)
{
	return reads && a->admin ? "all" : a->by_id ? "any" : "own";
}

static const char *
account_of(const struct desk_access *a)
{
	return a->account ? a->account : "";
}

/* HL_NOT_FOUND: that is no id. */
static enum hl_err
place_of(const struct store *s, const char *id, struct place *p, struct keys *k)
{
	if (!id_valid(id))
		return HL_NOT_FOUND;
	*p = conversation_place(s, id);
	keys_of(p, k);
	return HL_OK;
}

/* ---- create ---- */

/* What is sealed of a new one; the buffers are empty where there is nothing. */
struct sealed { struct buf id, user, title, company, welcome; };

static void
sealed_free(struct sealed *x)
{
	buf_free(&x->id);
	buf_free(&x->user);
	buf_free(&x->title);
	buf_free(&x->company);
	buf_free(&x->welcome);
}

/* The first message, stored and shown. */
static enum hl_err
make_welcome(const struct store *s, const struct keys *k, const struct desk_new *n, int64_t at_ms, struct buf *sealed,
    struct entry *ret)
{
	struct buf json = BUF_INIT(ENTRY_MAX);
	char id[ID_LEN + 1];
	enum hl_err err;

	if (n->welcome_id)
		snprintf(id, sizeof(id), "%s", n->welcome_id);
	else
		id_new(id);
	buf_puts(&json, "{\"role\":\"assistant\",\"content\":");
	buf_json_str(&json, n->welcome);
	buf_printf(&json, ",\"ts\":%lld,\"welcome\":true", (long long)at_ms);
	if (n->welcome_audio)
		buf_printf(&json, ",\"audioUrl\":\"%s\"", n->welcome_audio);
	buf_putc(&json, '}');
	err = buf_err(&json);
	if (err == HL_OK)
		err = entry_seal(s, k, id, &json, sealed);
	if (err == HL_OK)
		err = entry_make(1, id, &json, ret);
	buf_free(&json);
	return err;
}

static enum hl_err
seal_new(const struct store *s, const struct keys *k, const struct desk_new *n, struct desk_conversation *c,
    struct sealed *x)
{
	struct entry welcome;
	enum hl_err err;

	*x = (struct sealed){ BUF_INIT(ENTRY_MAX), BUF_INIT(ENTRY_MAX), BUF_INIT(ENTRY_MAX), BUF_INIT(ENTRY_MAX),
		BUF_INIT(ENTRY_MAX) };
	err = id_seal(s, k, c->id, &x->id);
	if (err == HL_OK && *c->user_id)
		err = user_seal(s, k, c->user_id, &x->user);
	if (err == HL_OK && n->title)
		err = title_seal(s, k, n->title, &x->title);
	if (err == HL_OK && n->agent && n->company)
		err = company_seal(s, n->account, n->agent, n->company, &x->company);
	if (err || n->welcome == NULL)
		return err;
	err = make_welcome(s, k, n, c->last_ms, &x->welcome, &welcome);
	if (err)
		return err;
	err = entries_add(&c->messages, &welcome);
	if (err)
		entry_clear(&welcome);
	return err;
}

static int64_t
kind_of(const struct desk_new *n)
{
	return DK_DESK | (n->anonymous ? DK_ANONYMOUS : 0) | (n->simulator ? DK_SIMULATOR : 0) |
	    (n->title ? DK_TITLED : 0);
}

/* Of the request and the account: nginx sends a request again whose program died, and that is no second conversation. */
void
desk_named(const struct store *s, const char *account, const char *once, char out[ID_LEN + 1])
{
	char both[CRYPTO_NAME_LEN + 256];

	snprintf(both, sizeof(both), "%s %s", account, once);
	crypto_name(s->crypto, "conversation-id", both, strlen(both), out);
}

static void
describe(const struct store *s, const struct desk_new *n, struct desk_conversation *c)
{
	*c = (struct desk_conversation){ .anonymous = n->anonymous, .simulator = n->simulator, .title_by_person = n->title,
		.sentiment = SENTIMENT_PENDING, .title = BUF_INIT(ENTRY_MAX), .last_ms = clock_wall_ms() };
	if (n->once && *n->once)
		desk_named(s, n->account, n->once, c->id);
	else
		id_new(c->id);
	snprintf(c->account, sizeof(c->account), "%s", n->account);
	snprintf(c->agent, sizeof(c->agent), "%s", n->agent ? n->agent : "");
	if (id_valid(n->user_id))
		memcpy(c->user_id, n->user_id, ID_LEN);
	if (n->title)
		buf_puts(&c->title, n->title);
}

/* Names what is asked for; "" if the client gave the request no name. */
static void
name_body(const struct store *s, const struct desk_new *n, char out[CRYPTO_NAME_LEN + 1])
{
	struct buf body = BUF_INIT(DESK_TITLE_MAX + 64);

	out[0] = '\0';
	if (!n->once_is_clients)
		return;
	buf_puts(&body, n->simulator || n->agent == NULL ? "-" : n->agent);
	buf_puts(&body, n->title ? n->title : "");
	if (buf_err(&body) == HL_OK)
		crypto_name(s->crypto, "conversation body", body.data, body.len, out);
	buf_free(&body);
}

static enum hl_err
store_new(struct store *s, const struct keys *k, const struct desk_new *n, const struct sealed *x,
    struct desk_conversation *c, int64_t *retry_ms)
{
	const struct redis_reply *reply;
	struct redis_arg key[2 + 3], arg[15 + 3];
	char body[CRYPTO_NAME_LEN + 1];
	struct number ttl, kind, keep, said_at;
	struct limit_args la;
	enum hl_err err;

	limit_args(s, &n->limits, &la);
	key[0] = RA(k->c);
	key[1] = RA(k->log);
	memcpy(key + 2, la.key, la.count * sizeof(key[0]));
	arg[0] = RA(c->place.h);
	arg[1] = RA(n->account);
	arg[2] = number_arg(&ttl, s->conf->session_timeout_ms);
	arg[3] = buf_arg(&x->id);
	arg[4] = buf_arg(&x->user);
	arg[5] = number_arg(&kind, kind_of(n));
	arg[6] = RA(c->agent);
	arg[7] = buf_arg(&x->company);
	(void)title_args(&x->title, arg + 8);
	arg[10] = buf_arg(&x->welcome);
	arg[11] = number_arg(&keep, n->keep_ms);
	arg[12] = number_arg(&said_at, c->last_ms);
	name_body(s, n, body);
	arg[13] = RA(body);
	arg[14] = RA(n->anew ? "1" : "");
	memcpy(arg + 15, la.interval, la.count * sizeof(arg[0]));
	err = redis_script(s->redis, &desk_create_script, key, 2 + la.count, arg, 15 + la.count, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_TOO_MANY)
		*retry_ms = redis_int(redis_at(reply, 1));
	if (err == HL_OK && said(reply, "again"))
		err = HL_CONFLICT;
	if (err)
		return err;
	c->created_ms = c->updated_ms = redis_int(redis_at(reply, 1));
	if (c->messages.count == 0)
		c->last_ms = c->created_ms;
	c->version = redis_int(redis_at(reply, 2));
	c->seq = (int64_t)c->messages.count;
	return HL_OK;
}

enum hl_err
desk_create(struct store *s, const struct desk_new *n, struct desk_conversation *ret, int64_t *retry_ms)
{
	const struct desk_access access = { .account = n->account };
	struct sealed sealed;
	char id[ID_LEN + 1];
	struct keys k;
	enum hl_err err;

	*retry_ms = 0;
	describe(s, n, ret);
	memcpy(id, ret->id, sizeof(id));
	ret->place = conversation_place(s, ret->id);
	keys_of(&ret->place, &k);
	err = seal_new(s, &k, n, ret, &sealed);
	if (err == HL_OK)
		err = buf_err(&ret->title);
	if (err == HL_OK)
		err = store_new(s, &k, n, &sealed, ret, retry_ms);
	sealed_free(&sealed);
	if (err)
		desk_clear(ret);
	return err == HL_CONFLICT ? desk_read(s, &access, id, 0, ret) : err;
}

enum hl_err
desk_made(struct store *s, const struct desk_new *n, struct desk_conversation *ret)
{
	const struct desk_access access = { .account = n->account };
	char id[ID_LEN + 1], body[CRYPTO_NAME_LEN + 1];
	const struct redis_reply *reply;
	struct place p;
	struct keys k;
	const char *is;
	enum hl_err err;

	*ret = (struct desk_conversation){ 0 };
	desk_named(s, n->account, n->once, id);
	p = conversation_place(s, id);
	keys_of(&p, &k);
	name_body(s, n, body);
	const struct redis_arg args[] = { RA("HGET"), RA(k.c), RA("bh") };

	err = redis_call(s->redis, args, 3, &reply);
	is = err ? NULL : redis_str(reply, NULL);
	if (err == HL_OK && is == NULL)
		err = HL_NOT_FOUND;
	if (err == HL_OK && strcmp(is, body) != 0)
		err = HL_UNPROCESSABLE;
	return err ? err : desk_read(s, &access, id, 0, ret);
}

/* ---- read, change, delete ---- */

/* {'ok', head, version} */
static enum hl_err
show(const struct store *s, const struct place *p, const struct redis_reply *reply, struct desk_conversation *ret)
{
	enum hl_err err = head_take(s, p, redis_at(reply, 1), HISTORY_MAX, ret);

	if (err == HL_OK)
		ret->version = redis_int(redis_at(reply, 2));
	return err;
}

enum hl_err
desk_read(struct store *s, const struct desk_access *access, const char *id, int64_t after, struct desk_conversation *ret)
{
	const struct redis_reply *reply;
	struct number from;
	struct place p;
	struct keys k;
	enum hl_err err;

	*ret = (struct desk_conversation){ 0 };
	err = place_of(s, id, &p, &k);
	if (err)
		return err;
	struct redis_arg key[] = { RA(k.c), RA(k.log) };
	struct redis_arg arg[] = { RA(p.h), RA(account_of(access)), RA(door_of(access, true)),
		number_arg(&from, after > 0 ? after : 0) };

	err = redis_script(s->redis, &desk_read_script, key, 2, arg, 4, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	return err ? err : show(s, &p, reply, ret);
}

enum hl_err
desk_change(struct store *s, const struct desk_access *access, const char *id, const struct desk_change *c,
    struct desk_conversation *ret)
{
	struct buf title = BUF_INIT(ENTRY_MAX);
	const struct redis_reply *reply;
	struct number status, satisfaction, sentiment, intents, seq;
	struct redis_arg arg[11];
	struct place p;
	struct keys k;
	enum hl_err err;

	*ret = (struct desk_conversation){ 0 };
	err = place_of(s, id, &p, &k);
	if (err == HL_OK && c->title)
		err = title_seal(s, &k, c->title, &title);
	if (err)
		goto out;
	struct redis_arg key[] = { RA(k.c), RA(k.log) };

	arg[0] = RA(p.h);
	arg[1] = RA(account_of(access));
	arg[2] = RA(door_of(access, false));
	(void)title_args(&title, arg + 3);
	arg[5] = RA(c->title_by_person ? "1" : "");
	arg[6] = c->set_status ? number_arg(&status, c->status) : RA("");
	arg[7] = c->satisfaction ? number_arg(&satisfaction, c->satisfaction) : RA("");
	arg[8] = c->set_insight && c->sentiment < SENTIMENTS ? number_arg(&sentiment, c->sentiment) : RA("");
	arg[9] = number_arg(&intents, c->intents);
	arg[10] = c->if_seq ? number_arg(&seq, c->if_seq) : RA("");
	err = redis_script(s->redis, &desk_change_script, key, 2, arg, 11, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_OK)
		err = show(s, &p, reply, ret);
out:
	buf_free(&title);
	return err;
}

enum hl_err
desk_delete(struct store *s, const struct desk_access *access, const char *id, bool noted)
{
	const struct redis_reply *reply;
	struct place p;
	struct keys k;
	enum hl_err err = place_of(s, id, &p, &k);

	if (err)
		return err;
	struct redis_arg key[] = { RA(k.c), RA(k.log), RA(k.seen), RA(DUE_KEY), RA(OPEN_KEY) };
	struct redis_arg arg[] = { RA(p.h), RA(account_of(access)), RA(door_of(access, false)), RA(noted ? "1" : "") };

	err = redis_script(s->redis, &desk_delete_script, key, 5, arg, 4, &reply);
	return err ? err : refusal(reply);
}

enum hl_err
desk_id_at(struct store *s, const struct place *p, char ret[ID_LEN + 1])
{
	const struct redis_reply *reply;
	struct keys k;
	enum hl_err err;

	*ret = '\0';
	keys_of(p, &k);
	struct redis_arg args[] = { RA("HMGET"), RA(k.c), RA("dk"), RA("d") };

	err = redis_call(s->redis, args, 4, &reply);
	if (err || redis_type(redis_at(reply, 0)) == REDIS_NIL)
		return err;
	return id_open(s, &k, redis_at(reply, 1), ret);
}
