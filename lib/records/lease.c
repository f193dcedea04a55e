#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fold.h"
#include "base/str.h"
#include "records/desk_fields.h"
#include "records/entry.h"
#include "records/escalation.h"
#include "records/holder.h"
#include "records/lease_scripts.h"
#include "records/recall.h"

/* ---- accept ---- */

void
lease_clear(struct lease *l)
{
	buf_free(&l->desk.title);
	buf_free(&l->data_text);
	l->data = (struct json_view){ 0 };
	buf_free(&l->note);
	buf_free(&l->instructions);
	entries_free(&l->context);
}

static void
take_escalation(struct lease *l, const struct redis_reply *reply)
{
	const char *id = redis_str(reply, NULL);

	snprintf(l->escalation_id, sizeof(l->escalation_id), "%s", id ? id : "");
}

/* {dk, uh, ag, tt, tx, se, in, cr, fu, dn, ui}, or cr alone of a chat session. */
static enum hl_err
profile_take(const struct store *s, const struct keys *k, const struct redis_reply *reply, struct desk_profile *d)
{
	int64_t kind = redis_int(redis_at(reply, 0));

	d->title = BUF_INIT(ENTRY_MAX);
	d->sentiment = SENTIMENT_PENDING;
	d->desk = kind != 0;
	d->created_ms = redis_int(reply);
	if (!d->desk)
		return HL_OK;
	d->anonymous = kind & DK_ANONYMOUS;
	d->simulator = kind & DK_SIMULATOR;
	d->title_by_person = kind & DK_TITLED;
	name_take(redis_at(reply, 1), d->account);
	name_take(redis_at(reply, 2), d->agent);
	if (redis_type(redis_at(reply, 5)) != REDIS_NIL)
		d->sentiment = (enum sentiment)redis_int(redis_at(reply, 5));
	d->intents = (unsigned)redis_int(redis_at(reply, 6));
	d->created_ms = redis_int(redis_at(reply, 7));
	d->first_ms = redis_int(redis_at(reply, 8));
	d->answered = redis_int(redis_at(reply, 9)) > 0;
	return title_open(s, k, redis_at(reply, 3), redis_at(reply, 4), &d->title);
}

/* What is sealed of a session is JSON; of a desk conversation its id and the account's id are, each by itself. */
static enum hl_err
data_take(const struct store *s, const struct keys *k, const struct redis_reply *d, const struct redis_reply *ui, bool desk,
    struct buf *ret)
{
	char id[ID_LEN + 1], user[ID_LEN + 1];
	enum hl_err err;

	if (!desk)
		return open_data_text(s, k, d, ret);
	*ret = BUF_INIT(ENTRY_MAX);
	if ((err = id_open(s, k, d, id)) || (err = user_open(s, k, ui, user)))
		return err;
	buf_printf(ret, "{\"id\":\"%s\",\"userId\":", id);
	buf_json_str(ret, *user ? user : NULL);
	buf_putc(ret, '}');
	return buf_err(ret);
}

/* What was accepted, as its writer knows it: to get it back and open it would tell nothing new. */
struct written { const char *id; const struct buf *json; };

static enum hl_err
add_own(const struct written *own, int64_t seq, struct entries *context)
{
	struct entry e;
	enum hl_err err = entry_make(seq, own->id, own->json, &e);

	if (err)
		return err;
	err = entries_add(context, &e);
	if (err)
		entry_clear(&e);
	return err;
}

/*
 * {'run', seq, fence, epoch, dn, esc, d, pr, heard, context, fs, nt, profile}.  The context begins with what was there
 * before, if any, and ends with own, the message that has just been accepted: the reply leaves it out.  NULL: with the reply.
 */
static enum hl_err
lease_take(const struct store *s, const struct keys *k, const struct place *p, const struct redis_reply *reply,
    const struct written *own, struct entries *take_before, struct lease *l)
{
	enum hl_err err;

	*l = (struct lease){ .place = *p, .owner_ai = true, .note = BUF_INIT(ENTRY_MAX) };
	l->covered = redis_int(redis_at(reply, 1));
	l->fence = redis_int(redis_at(reply, 2));
	l->epoch = redis_int(redis_at(reply, 3));
	l->before = redis_int(redis_at(reply, 4));
	take_escalation(l, redis_at(reply, 5));
	l->probe = redis_int(redis_at(reply, 7)) == 1;
	l->listeners = redis_int(redis_at(reply, 8));
	l->attempt = l->fence - redis_int(redis_at(reply, 10));
	err = profile_take(s, k, redis_at(reply, 12), &l->desk);
	if (err == HL_OK)
		err = data_take(s, k, redis_at(reply, 6), redis_at(redis_at(reply, 12), 10), l->desk.desk, &l->data_text);
	if (err == HL_OK)
		l->data = json_view_own(l->data_text.data, l->data_text.len);
	if (err == HL_OK)
		err = note_open(s, k, redis_at(reply, 11), &l->note);
	if (err == HL_OK)
		err = entries_open(s, k, redis_at(reply, 9), own ? l->covered - 1 : l->covered, CONTEXT_MAX, &l->context);
	if (err == HL_OK && own)
		err = add_own(own, l->covered, &l->context);
	if (err == HL_OK && take_before)
		err = entries_join(take_before, &l->context, s->conf->history);
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
	if (in->audio_url) {
		buf_puts(entry, ",\"audioUrl\":");
		buf_json_str(entry, in->audio_url);
		buf_puts(tail, ",\"audioUrl\":");
		buf_json_str(tail, in->audio_url);
	}
	if (in->audio)
		buf_printf(entry, ",\"audio\":\"%s\"", in->audio);
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
    const struct written *own, struct entries *take_before, struct acceptance *a)
{
	struct entry first;

	a->seq = redis_int(redis_at(reply, 1));
	if (said(reply, "again")) {
		a->how = ACCEPTED_AGAIN;
		a->answered = redis_int(redis_at(reply, 2)) == 1;
		a->owner_ai = str_equal(redis_str(redis_at(reply, 3), NULL), "ai");
		if (entry_open(s, k, redis_at(reply, 4), a->seq, &first) == HL_OK) {
			memcpy(a->message_id, first.id, ID_LEN);
			(void)json_view_integer(entry_member(&first, "ts"), &a->at_ms);
			entry_clear(&first);
		}
		return HL_OK;
	}
	a->owner_ai = !said(reply, "person");
	if (!said(reply, "run")) {
		a->how = ACCEPTED_QUEUED;
		return HL_OK;
	}
	a->how = ACCEPTED_RUN;
	return lease_take(s, k, p, reply, own, take_before, &a->lease);
}

/* The names under which a message is known as sent before. */
static void
seen_fields(const struct store *s, const struct incoming *in, char first[CRYPTO_NAME_LEN + 1],
    char second[CRYPTO_NAME_LEN + 1], char body[CRYPTO_NAME_LEN + 1])
{
	char *key = in->client_named ? second : first;	/* a request's own name, beside a key, would be one more for each repetition */

	second[0] = '\0';
	if (in->client_named || !in->idempotency_key)
		crypto_name(s->crypto, in->client_named ? "client-message" : "request", in->client_id, strlen(in->client_id), first);
	if (in->idempotency_key)
		crypto_name(s->crypto, "idempotency", in->idempotency_key, strlen(in->idempotency_key), key);
	crypto_name(s->crypto, "body", in->text, in->text_len, body);
}

/* Letters and digits, folded, with single spaces between; text without any is taken as it is. */
static void
fold_words(struct buf *out, const char *text, size_t len)
{
	struct buf folded = BUF_INIT(ENTRY_MAX);
	const char *p, *end;
	bool gap = false;

	fold_text(&folded, text, len);
	p = folded.len ? folded.data : "";
	end = p + folded.len;
	while (p < end) {
		const char *at = p;

		if (!uni_is_letter_or_digit(utf8_next(&p, end))) {
			gap = out->len > 0;
			continue;
		}
		if (gap)
			buf_putc(out, ' ');
		gap = false;
		buf_add(out, at, (size_t)(p - at));
	}
	if (out->len == 0)
		buf_add(out, text, len);
	if (buf_err(&folded))
		out->err = buf_err(&folded);
	buf_free(&folded);
}

#define WORDS_LEN	(CRYPTO_NAME_LEN + 2)

/* The kind of a message and the name of its words, for LUA_TWIN; "" of a chat session. */
static enum hl_err
words_name(const struct store *s, const struct incoming *in, char out[WORDS_LEN])
{
	struct buf words = BUF_INIT(ENTRY_MAX);
	enum hl_err err;

	*out = '\0';
	if (in->user_id)
		return HL_OK;
	fold_words(&words, in->text, in->text_len);
	err = buf_err(&words);
	*out = in->recorded ? 'u' : 'm';
	if (err == HL_OK)
		crypto_name(s->crypto, "words", words.len ? words.data : "", words.len, out + 1);
	buf_free(&words);
	return err;
}

/* A message of a conversation whose escalation is open; what people are shown of it may be lost, the list is the truth. */
static void
tell_staff(struct store *s, const char *account, const char *conversation_id, int64_t seq, const char *id,
    const struct buf *json)
{
	struct entry e;

	if (entry_make(seq, id, json, &e) != HL_OK)
		return;
	staff_updated(s, account, conversation_id, &e);
	entry_clear(&e);
}

static bool
is_escalated(const struct redis_reply *reply)
{
	const char *open = said(reply, "again") ? NULL : redis_str(redis_at(reply, said(reply, "run") ? 5 : 2), NULL);

	return open && *open;
}

/* Whose conversation it is, of a reply that says that it is escalated; "": a chat session. */
static const char *
owner_of(const struct redis_reply *reply)
{
	const struct redis_reply *account = said(reply, "run") ? redis_at(redis_at(reply, 12), 1) : redis_at(reply, 3);
	const char *name = redis_str(account, NULL);

	return name ? name : "";
}

static const char *
door_of(const struct incoming *in)
{
	return in->user_id ? "" : in->by_id ? "any" : "own";
}

/* Stored, but not confirmed, and its client is told to come back: the lease is left, for whoever is first. */
static void
leave_lease(struct store *s, const struct place *p)
{
	struct redis_arg args[] = { RA("ZADD"), RA(DUE_KEY), RA("XX"), RA("0"), RA(p->h) };

	redis_send(s->redis, args, 5);
}

enum hl_err
conversation_accept(struct store *s, const struct incoming *in, struct acceptance *ret)
{
	struct buf entry = BUF_INIT(ENTRY_MAX), sealed = BUF_INIT(ENTRY_MAX), head = BUF_INIT(256), tail = BUF_INIT(ENTRY_MAX);
	char uh[CRYPTO_NAME_LEN + 1], first[CRYPTO_NAME_LEN + 1], second[CRYPTO_NAME_LEN + 1], body[CRYPTO_NAME_LEN + 1];
	char room[CONVERSATION_KEY_MAX], words[WORDS_LEN];
	const struct redis_reply *reply;
	struct number lease, history, keep, oldest, newest, said_at;
	struct entries before = { 0 };
	char account[CRYPTO_NAME_LEN + 1] = "";
	bool escalated = false;
	int64_t last = 0;
	struct redis_arg key[5 + 4];
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
	if (in->user_id)
		user_name(s, in->user_id, uh);
	else
		snprintf(uh, sizeof(uh), "%s", in->account ? in->account : "");
	seen_fields(s, in, first, second, body);
	limit_args(s, &in->limits, &la);
	id_new(ret->message_id);
	ret->at_ms = clock_wall_ms();
	write_message(in, ret->at_ms, ret->message_id, &entry, &head, &tail);
	if ((err = buf_err(&entry)) || (err = buf_err(&head)) || (err = buf_err(&tail)) ||
	    (err = words_name(s, in, words)) || (err = entry_seal(s, &k, ret->message_id, &entry, &sealed)))
		goto out;
	if (s->recall)
		last = recall_take(s->recall, &p, redis_life(s->redis), &before);
	struct redis_arg arg[19 + 4] = { RA(p.h), RA(uh), RA(first), RA(body), RA(second), buf_arg(&sealed), RA(room),
		RA(in->except ? in->except : "-"), buf_arg(&head), buf_arg(&tail), number_arg(&lease, LEASE_MS),
		number_arg(&history, s->conf->history), number_arg(&keep, escalation_keep_ms(s)),
		number_arg(&oldest, before.count ? before.list[0].seq : 0), number_arg(&newest, last),
		holder_arg(s), RA(door_of(in)), RA(words), number_arg(&said_at, ret->at_ms) };

	key[0] = RA(k.c);
	key[1] = RA(k.log);
	key[2] = RA(k.seen);
	key[3] = RA(ACTIVE_KEY);
	key[4] = RA(DUE_KEY);
	memcpy(key + 5, la.key, la.count * sizeof(key[0]));
	memcpy(arg + 19, la.interval, la.count * sizeof(arg[0]));
	err = redis_script(s->redis, &accept_script, key, 5 + la.count, arg, 19 + la.count, &reply);
	if (err == HL_STORE && said(reply, "run"))
		leave_lease(s, &p);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_TOO_MANY)
		ret->retry_ms = redis_int(redis_at(reply, 1));
	if (err == HL_OK) {
		escalated = is_escalated(reply);
		if (escalated)
			snprintf(account, sizeof(account), "%s", owner_of(reply));
		const struct written own = { ret->message_id, &entry };

		err = acceptance_take(s, &k, &p, reply, &own, &before, ret);
	}
	if (err == HL_OK && escalated)
		tell_staff(s, account, in->id, ret->seq, ret->message_id, &entry);
out:
	entries_free(&before);
	buf_free(&entry);
	buf_free(&sealed);
	buf_free(&head);
	buf_free(&tail);
	return err;
}

/* ---- commit ---- */

void
conversation_remember(struct store *s, struct lease *l, const struct outgoing *o, int64_t seq)
{
	struct entry answer;

	if (s->recall == NULL || seq != l->covered + 1 || entry_make(seq, o->id, &o->entry, &answer) != HL_OK)
		return;
	if (entries_add(&l->context, &answer) == HL_OK)
		recall_put(s->recall, &l->place, redis_life(s->redis), &l->context);
	else
		entry_clear(&answer);
}

void
counts_add(struct counts *c, const char *agent, const char *metric, int64_t by)
{
	if (c->count == COUNTS_MAX || by == 0)
		return;
	snprintf(c->list[c->count].field, sizeof(c->list[0].field), "%s:%s", *agent ? agent : "-", metric);
	c->list[c->count++].by = by;
}

/* What only the commit of a desk conversation takes, as arguments; the texts live in it. */
struct found_args {
	struct buf	 title, company;
	struct number	 sentiment, intents, said_at, by[COUNTS_MAX];
	struct redis_arg arg[7 + 2 * COUNTS_MAX];
	size_t		 count;
};

static enum hl_err
found_write(const struct store *s, const struct keys *k, const struct lease *l, const struct outgoing *o, struct found_args *a)
{
	const struct found *f = &o->found;
	const char *agent = f->agent ? f->agent : "";
	enum hl_err err = HL_OK;

	if (!l->desk.desk)
		return HL_OK;
	if (f->title && !l->desk.title_by_person)
		err = title_seal(s, k, f->title, &a->title);
	if (err == HL_OK && *agent && f->company)
		err = company_seal(s, l->desk.account, agent, f->company, &a->company);
	if (err)
		return err;
	a->arg[a->count++] = f->sentiment < SENTIMENTS ? number_arg(&a->sentiment, f->sentiment) : RA("");
	a->arg[a->count++] = number_arg(&a->intents, f->intents);
	a->count += title_args(&a->title, a->arg + a->count);
	a->arg[a->count++] = RA(agent);
	a->arg[a->count++] = buf_arg(&a->company);
	a->arg[a->count++] = number_arg(&a->said_at, o->at_ms);
	for (size_t i = 0; i < o->counts.count; i++) {
		a->arg[a->count++] = RA(o->counts.list[i].field);
		a->arg[a->count++] = number_arg(&a->by[i], o->counts.list[i].by);
	}
	return HL_OK;
}

/* The next turn of the same lease knows what this one found. */
static void
lease_learn(struct lease *l, const struct found *f)
{
	l->desk.answered = true;
	l->desk.sentiment = f->sentiment;
	l->desk.intents |= f->intents;
	if (f->agent && *f->agent)
		snprintf(l->desk.agent, sizeof(l->desk.agent), "%s", f->agent);
	if (f->title && !l->desk.title_by_person) {
		buf_reset(&l->desk.title);
		buf_puts(&l->desk.title, f->title);
	}
}

/* For the commit's script: the publication, if nothing else has come since. */
static enum hl_err
write_told(const struct lease *l, const struct outgoing *o, struct buf *out)
{
	long long seq = (long long)l->covered + 1;

	buf_printf(out, "%lld %lld -\n", seq, (long long)l->epoch);
	buf_add(out, o->event_head.data, o->event_head.len);
	buf_int(out, seq);
	buf_add(out, o->event_tail.data, o->event_tail.len);
	return buf_err(out);
}

enum hl_err
conversation_commit(struct store *s, struct lease *l, struct outgoing *o, enum committed *ret, int64_t *ret_seq)
{
	struct buf sealed = BUF_INIT(ENTRY_MAX), escalation = BUF_INIT(ENTRY_MAX), conversation = BUF_INIT(64);
	struct buf told = BUF_INIT(o->event_head.len + o->event_tail.len + 64);
	struct found_args found = { .title = BUF_INIT(ENTRY_MAX), .company = BUF_INIT(ENTRY_MAX) };
	char room[CONVERSATION_KEY_MAX], record[CONVERSATION_KEY_MAX];
	struct number fence, epoch, covered, lease, keep, urgency;
	const struct redis_reply *reply;
	struct keys k;
	enum hl_err err;

	keys_of(&l->place, &k);
	conversation_room(&l->place, room);
	snprintf(record, sizeof(record), "e:" SHARD ":%s", o->escalation_id);
	err = entry_seal(s, &k, o->id, &o->entry, &sealed);
	if (err == HL_OK && o->reason)
		err = crypto_seal(s->crypto, record, o->escalation.data, o->escalation.len, &escalation);
	if (err == HL_OK)
		err = found_write(s, &k, l, o, &found);
	if (err == HL_OK)
		err = write_told(l, o, &told);
	if (err)
		goto out;
	struct redis_arg key[] = { RA(k.c), RA(k.log), RA(k.seen), RA(ACTIVE_KEY), RA(DUE_KEY), RA(OPEN_KEY), RA(record) };
	struct redis_arg arg[15 + 7 + 2 * COUNTS_MAX] = { RA(l->place.h), number_arg(&fence, l->fence),
		number_arg(&epoch, l->epoch),
		number_arg(&covered, l->covered), buf_arg(&sealed), RA(room), buf_arg(&o->event_head),
		buf_arg(&told), number_arg(&lease, LEASE_MS), RA(o->id), RA(o->reason ? o->escalation_id : ""),
		RA(o->reason ? o->reason : ""), buf_arg(&escalation), number_arg(&keep, escalation_keep_ms(s)),
		number_arg(&urgency, sentiment_urgency(o->found.sentiment)) };

	memcpy(arg + 15, found.arg, found.count * sizeof(arg[0]));
	err = redis_script(s->redis, &commit_script, key, 7, arg, 15 + found.count, &reply);
	if (err)
		goto out;
	*ret_seq = redis_int(redis_at(reply, 1));
	*ret = said(reply, "ok") ? COMMITTED : said(reply, "more") ? COMMITTED_MORE : COMMIT_FENCED;
	if (*ret != COMMIT_FENCED && o->reason)
		staff_needed(s, l->desk.account, &o->escalation);
	if (*ret != COMMIT_FENCED && (o->reason || *l->escalation_id) &&
	    json_view_string(json_view_get(l->data, "id"), &conversation))
		tell_staff(s, l->desk.account, conversation.data, *ret_seq, o->id, &o->entry);
	if (*ret == COMMITTED_MORE) {
		l->before = l->covered;
		l->attempt = 1;
		lease_learn(l, &o->found);
	}
out:
	buf_free(&found.title);
	buf_free(&found.company);
	buf_free(&sealed);
	buf_free(&escalation);
	buf_free(&conversation);
	buf_free(&told);
	return err;
}

/* Mostly nothing has changed, and to see that takes no script, which costs the server five times as much. */
static enum hl_err
is_unchanged(struct store *s, const struct keys *k, const struct lease *l, bool *ret)
{
	struct redis_arg args[] = { RA("HMGET"), RA(k->c), RA("fn"), RA("ow"), RA("ep"), RA("us") };
	const struct redis_reply *reply;
	enum hl_err err = redis_call(s->redis, args, 6, &reply);
	const char *owner = redis_str(redis_at(reply, 1), NULL);

	*ret = err == HL_OK && redis_int(redis_at(reply, 0)) == l->fence && (owner == NULL || str_equal(owner, "ai")) &&
	    redis_int(redis_at(reply, 2)) == l->epoch && redis_int(redis_at(reply, 3)) <= l->covered;
	return err;
}

enum hl_err
conversation_peek(struct store *s, struct lease *l, bool *ret_changed)
{
	bool unchanged;
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

	err = is_unchanged(s, &k, l, &unchanged);
	if (err || unchanged)
		return err;
	err = redis_script(s->redis, &peek_script, key, 3, arg, 6, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err || said(reply, "same"))
		return err;
	err = entries_open(s, &k, redis_at(reply, 4), redis_int(redis_at(reply, 1)), CONTEXT_MAX, &fresh);
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

/* ---- taking over ---- */

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
	struct redis_arg arg[] = { RA(p->h), number_arg(&lease, LEASE_MS), number_arg(&history, s->conf->history),
		holder_arg(s) };

	err = redis_script(s->redis, &claim_script, key, 3, arg, 4, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	return err ? err : lease_take(s, &k, p, reply, NULL, NULL, ret);
}

#define ANSWER_LOOK	64

enum hl_err
conversation_answer(struct store *s, const struct place *p, int64_t seq, struct entry *ret)
{
	const struct redis_reply *reply;
	int64_t at = seq;
	struct keys k;
	enum hl_err err;
	size_t n;

	keys_of(p, &k);
	do {
		err = read_log(s, &k, at, at + ANSWER_LOOK - 1, &reply);
		n = err ? 0 : redis_length(reply);
		for (size_t i = 0; err == HL_OK && i < n; i++) {
			int64_t covers;

			err = entry_open(s, &k, redis_at(reply, i), ++at, ret);
			if (err == HL_OK && json_view_integer(entry_member(ret, "for"), &covers) && covers >= seq)
				return HL_OK;
			if (err == HL_OK)
				entry_clear(ret);
		}
	} while (err == HL_OK && n == ANSWER_LOOK);
	return err ? err : HL_NOT_FOUND;
}

/* ---- hand-over ---- */

bool
handover_parse(const char *payload, size_t len, struct place *ret_place, int64_t *ret_epoch)
{
	if (len <= CRYPTO_NAME_LEN + 1 || payload[CRYPTO_NAME_LEN] != ' ')
		return false;
	memcpy(ret_place->h, payload, CRYPTO_NAME_LEN);
	ret_place->h[CRYPTO_NAME_LEN] = '\0';
	*ret_epoch = strtoll(payload + CRYPTO_NAME_LEN + 1, NULL, 10);
	return *ret_epoch >= 0;
}

enum hl_err
conversation_note(struct store *s, const struct place *p, struct buf *ret)
{
	const struct redis_reply *reply;
	struct keys k;
	enum hl_err err;

	keys_of(p, &k);
	const struct redis_arg args[] = { RA("HGET"), RA(k.c), RA("nt") };

	err = redis_call(s->redis, args, 3, &reply);
	return err ? err : note_open(s, &k, reply, ret);
}

enum hl_err
conversation_owner(struct store *s, const struct place *p, struct ownership *ret)
{
	const struct redis_reply *reply;
	char record[CONVERSATION_KEY_MAX];
	const char *text;
	struct keys k;
	enum hl_err err;

	*ret = (struct ownership){ 0 };
	keys_of(p, &k);
	struct redis_arg owner[] = { RA("HMGET"), RA(k.c), RA("uh"), RA("ow"), RA("esc"), RA("ep"), RA("us"), RA("dn") };

	err = redis_call(s->redis, owner, 8, &reply);
	if (err == HL_OK && redis_str(redis_at(reply, 0), NULL) == NULL)
		err = HL_NOT_FOUND;
	if (err)
		return err;
	ret->person = str_equal(redis_str(redis_at(reply, 1), NULL), "human");
	ret->epoch = redis_int(redis_at(reply, 3));
	ret->owed = !ret->person && redis_int(redis_at(reply, 4)) > redis_int(redis_at(reply, 5));
	text = redis_str(redis_at(reply, 2), NULL);
	if (text == NULL)
		return HL_OK;
	snprintf(ret->escalation_id, sizeof(ret->escalation_id), "%s", text);
	snprintf(record, sizeof(record), "e:" SHARD ":%s", ret->escalation_id);
	struct redis_arg reason[] = { RA("HGET"), RA(record), RA("reason") };

	err = redis_call(s->redis, reason, 3, &reply);
	text = err ? NULL : redis_str(reply, NULL);
	snprintf(ret->reason, sizeof(ret->reason), "%s", text ? text : "");
	return err;
}
