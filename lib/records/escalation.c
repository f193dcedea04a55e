#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "records/desk_fields.h"
#include "records/entry.h"
#include "records/escalation.h"
#include "records/escalation_scripts.h"

#define NAME_MAX_BYTES	1024u
#define WORDS_MAX	16384u		/* of a note or a resolution */

static const char taken_line[] = "[\"hand-over\",{\"owner\":\"human\"}]\n[\"typing\",false]";
static const char ended_line[] = "[\"hand-over\",{\"owner\":\"ai\"}]";

/* ---- records ---- */

void
escalation_clear(struct escalation *e)
{
	json_free(e->data);
	e->data = NULL;
	buf_free(&e->taken_by);
	buf_free(&e->note);
	buf_free(&e->resolution);
}

void
escalations_free(struct escalations *es)
{
	for (size_t i = 0; i < es->count; i++)
		escalation_clear(&es->list[i]);
	free(es->list);
	*es = (struct escalations){ 0 };
}

static void
write_text(struct buf *out, const char *member, const struct buf *text, bool always)
{
	if (text->len == 0 && !always)
		return;
	buf_printf(out, ",\"%s\":", member);
	buf_json_str(out, text->len ? text->data : NULL);
}

static void
write_member(struct buf *out, const struct json *data, const char *name, const char *as)
{
	const struct json *value = json_get(data, name);

	if (value == NULL)
		return;
	buf_printf(out, ",\"%s\":", as);
	json_write(out, value);
}

void
escalation_write(struct buf *out, const struct escalation *e)
{
	char at[CLOCK_ISO_LEN + 1];

	clock_iso(e->opened_ms, at);
	buf_printf(out, "{\"_id\":\"%s\"", e->id);
	write_member(out, e->data, "sessionId", "conversationId");
	write_member(out, e->data, "userId", "userId");
	buf_printf(out, ",\"reason\":\"%s\"", e->reason);
	write_member(out, e->data, "keyword", "keyword");
	buf_printf(out, ",\"sentiment\":\"%s\"", sentiment_name(e->sentiment));
	write_member(out, e->data, "originalMessage", "originalMessage");
	buf_printf(out, ",\"openedAt\":\"%s\",\"status\":\"%s\"", at, e->status);
	write_text(out, "takenBy", &e->taken_by, true);
	write_text(out, "note", &e->note, false);
	write_text(out, "resolution", &e->resolution, false);
}

static void
record_key(const char *id, const char *member, char out[CONVERSATION_KEY_MAX])
{
	snprintf(out, CONVERSATION_KEY_MAX, "e:" SHARD ":%.22s%s", id, member);
}

static void
take_text(const struct redis_reply *reply, char *out, size_t size)
{
	const char *s = redis_str(reply, NULL);

	snprintf(out, size, "%s", s ? s : "");
}

/* A sealed member; absent is empty. */
static enum hl_err
open_member(const struct store *s, const char *id, const char *member, const struct redis_reply *reply, struct buf *out)
{
	char place[CONVERSATION_KEY_MAX];
	size_t len;
	const char *sealed = redis_str(reply, &len);

	buf_reset(out);
	if (sealed == NULL)
		return HL_OK;
	record_key(id, member, place);
	return crypto_unseal(s->crypto, place, sealed, len, out);
}

static enum hl_err
seal_member(const struct store *s, const char *id, const char *member, const char *text, struct buf *out)
{
	char place[CONVERSATION_KEY_MAX];

	if (text == NULL)
		return HL_OK;
	record_key(id, member, place);
	return crypto_seal(s->crypto, place, text, strlen(text), out);
}

/* What was found later, if it is more urgent than what the record was opened with. */
static void
take_urgency(const struct redis_reply *reply, struct escalation *e)
{
	const char *name = json_get_string(e->data, "sentiment");
	int64_t later = redis_int(reply);

	e->sentiment = SENTIMENT_NEUTRAL;
	if (name)
		(void)sentiment_named(name, &e->sentiment);
	if (later > sentiment_urgency(e->sentiment))
		e->sentiment = later == 1 ? SENTIMENT_NEGATIVE : SENTIMENT_URGENT;
}

/* {id, c, at, reason, st, d, by, n, r, us, account, urgency} */
static enum hl_err
take_record(const struct store *s, const struct redis_reply *reply, struct escalation *e)
{
	struct buf data = BUF_INIT(ENTRY_MAX);
	enum hl_err err;

	*e = (struct escalation){ .taken_by = BUF_INIT(NAME_MAX_BYTES), .note = BUF_INIT(WORDS_MAX),
		.resolution = BUF_INIT(WORDS_MAX) };
	take_text(redis_at(reply, 0), e->id, sizeof(e->id));
	take_text(redis_at(reply, 1), e->place.h, sizeof(e->place.h));
	e->opened_ms = redis_int(redis_at(reply, 2));
	take_text(redis_at(reply, 3), e->reason, sizeof(e->reason));
	take_text(redis_at(reply, 4), e->status, sizeof(e->status));
	e->asked = redis_int(redis_at(reply, 9));
	name_take(redis_at(reply, 10), e->account);
	err = open_member(s, e->id, "", redis_at(reply, 5), &data);
	if (err == HL_OK)
		err = json_parse(data.data ? data.data : "{}", data.data ? data.len : 2, &e->data);
	if (err == HL_OK)
		take_urgency(redis_at(reply, 11), e);
	if (err == HL_OK)
		err = open_member(s, e->id, "#by", redis_at(reply, 6), &e->taken_by);
	if (err == HL_OK)
		err = open_member(s, e->id, "#n", redis_at(reply, 7), &e->note);
	if (err == HL_OK)
		err = open_member(s, e->id, "#r", redis_at(reply, 8), &e->resolution);
	buf_free(&data);
	if (err)
		escalation_clear(e);
	return err;
}

static enum hl_err
list(struct store *s, const char *open_key, const char *status, bool chat, struct escalations *ret)
{
	const struct redis_reply *reply;
	struct redis_arg key[] = { RA(open_key) }, arg[3];
	struct number most;
	enum hl_err err;
	size_t n;

	*ret = (struct escalations){ 0 };
	arg[0] = number_arg(&most, ESCALATIONS_MAX);
	arg[1] = RA(status);
	arg[2] = RA(chat ? "1" : "");
	err = redis_script(s->redis, &list_script, key, 1, arg, 3, &reply);
	n = err ? 0 : redis_length(reply);
	if (n && (ret->list = calloc(n, sizeof(*ret->list))) == NULL)
		err = HL_NO_MEMORY;
	for (size_t i = 0; i < n && err == HL_OK; i++) {
		err = take_record(s, redis_at(reply, i), &ret->list[i]);
		ret->count += err == HL_OK;
	}
	if (err)
		escalations_free(ret);
	return err;
}

enum hl_err
escalation_list(struct store *s, const char *status, struct escalations *ret)
{
	return list(s, OPEN_KEY, status, false, ret);
}

enum hl_err
escalation_list_chat(struct store *s, const char *status, struct escalations *ret)
{
	return list(s, OPEN_KEY, status, true, ret);
}

enum hl_err
escalation_list_of(struct store *s, const char *account, const char *status, struct escalations *ret)
{
	char key[CONVERSATION_KEY_MAX];

	snprintf(key, sizeof(key), "u:" SHARD ":%s:open", account);
	return list(s, key, status, false, ret);
}

enum hl_err
escalation_read(struct store *s, const char *id, struct escalation *ret)
{
	const struct redis_reply *reply;
	char record[CONVERSATION_KEY_MAX];
	enum hl_err err;

	*ret = (struct escalation){ 0 };
	if (!id_valid(id))
		return HL_NOT_FOUND;
	record_key(id, "", record);
	struct redis_arg key[] = { RA(record) }, arg[] = { RA(id) };

	err = redis_script(s->redis, &record_script, key, 1, arg, 1, &reply);
	if (err == HL_OK && redis_length(reply) == 0)
		err = HL_NOT_FOUND;
	return err ? err : take_record(s, reply, ret);
}

/* ---- changes ---- */

/* What the scripts share: keys of the pair, and who acts. */
struct change {
	struct keys	 k;
	char		 record[CONVERSATION_KEY_MAX], room[CONVERSATION_KEY_MAX];
	char		 who[CRYPTO_NAME_LEN + 1];
	struct number	 keep;
	struct redis_arg key[6];
};

static void
change_begin(const struct store *s, const struct escalation *e, const struct staff *staff, struct change *c)
{
	keys_of(&e->place, &c->k);
	record_key(e->id, "", c->record);
	conversation_room(&e->place, c->room);
	crypto_name(s->crypto, "staff", staff->name, strlen(staff->name), c->who);
	const struct redis_arg key[] = { RA(c->k.c), RA(c->k.log), RA(c->k.seen), RA(DUE_KEY), RA(OPEN_KEY), RA(c->record) };

	memcpy(c->key, key, sizeof(key));
}

/* HL_CONFLICT: e says what is in the way. */
static enum hl_err
change_refusal(const struct store *s, struct escalation *e, const struct redis_reply *reply)
{
	enum hl_err err = refusal(reply), read;

	if (err != HL_CONFLICT)
		return err;
	take_text(redis_at(reply, 1), e->status, sizeof(e->status));
	read = open_member(s, e->id, "#by", redis_at(reply, 2), &e->taken_by);
	return read ? read : HL_CONFLICT;
}

static void
set_status(struct escalation *e, const char *status)
{
	snprintf(e->status, sizeof(e->status), "%s", status);
}

enum hl_err
escalation_take(struct store *s, struct escalation *e, const struct staff *staff)
{
	struct buf by = BUF_INIT(NAME_MAX_BYTES);
	const struct redis_reply *reply;
	struct change c;
	enum hl_err err = seal_member(s, e->id, "#by", staff->name, &by);

	change_begin(s, e, staff, &c);
	if (err)
		goto out;
	struct redis_arg arg[] = { RA(e->place.h), RA(c.who), buf_arg(&by), RA(c.room), RA(taken_line),
		number_arg(&c.keep, escalation_keep_ms(s)) };

	err = redis_script(s->redis, &take_script, c.key, 6, arg, 6, &reply);
	if (err == HL_OK)
		err = change_refusal(s, e, reply);
	if (err == HL_OK) {
		set_status(e, "taken");
		buf_reset(&e->taken_by);
		buf_puts(&e->taken_by, staff->name);
	}
out:
	buf_free(&by);
	return err;
}

/* The stored reply, and what sockets of the conversation get: head, seq, tail. */
static void
write_reply(const struct escalation *e, const struct reply *r, int64_t now, const char *id, struct buf *entry, struct buf *head,
    struct buf *tail)
{
	char at[CLOCK_ISO_LEN + 1];

	clock_iso(now, at);
	buf_puts(entry, "{\"role\":\"assistant\",\"by\":\"human\",\"content\":");
	buf_json(entry, r->text, r->len);
	buf_printf(entry, ",\"ts\":%lld,\"for\":%lld,\"needsEscalation\":false,\"confidence\":1,\"provider\":\"human\"", (long long)now,
	    (long long)e->asked);
	buf_printf(head, "[\"%s\",{\"id\":\"%s\",\"seq\":", *e->account ? "ai_response" : "message-received", id);
	buf_puts(tail, ",\"message\":");
	buf_json(tail, r->text, r->len);
	buf_printf(tail, ",\"timestamp\":\"%s\",\"isBot\":false,\"by\":\"human\",\"needsEscalation\":false,\"confidence\":1,"
	    "\"provider\":\"human\"", at);
	if (*e->account) {
		buf_puts(tail, ",\"conversationId\":");
		buf_json_str(tail, json_get_string(e->data, "sessionId"));
	}
	buf_puts(tail, "}]\n[\"typing\",false]");
	if (r->client_named) {
		buf_puts(entry, ",\"clientMessageId\":");
		buf_json_str(entry, r->client_id);
	}
	buf_putc(entry, '}');
}

/* What a person names a reply by counts in this escalation: the next one may be another's, who counts from 1 too. */
static void
name_in(const struct store *s, const struct escalation *e, const char *kind, const char *text, char out[CRYPTO_NAME_LEN + 1])
{
	char purpose[32 + ID_LEN];

	snprintf(purpose, sizeof(purpose), "%s %s", kind, e->id);
	crypto_name(s->crypto, purpose, text, strlen(text), out);
}

enum hl_err
escalation_reply(struct store *s, struct escalation *e, const struct staff *staff, const struct reply *r,
    struct entry *ret_entry)
{
	struct buf entry = BUF_INIT(ENTRY_MAX), sealed = BUF_INIT(ENTRY_MAX), head = BUF_INIT(256), tail = BUF_INIT(ENTRY_MAX);
	char id[ID_LEN + 1], field[CRYPTO_NAME_LEN + 1], second[CRYPTO_NAME_LEN + 1] = "", body[CRYPTO_NAME_LEN + 1];
	const struct redis_reply *reply;
	struct number covered, most, said_at;
	int64_t now = clock_wall_ms();
	struct change c;
	enum hl_err err;

	*ret_entry = (struct entry){ 0 };
	change_begin(s, e, staff, &c);
	c.key[3] = RA(ACTIVE_KEY);
	id_new(id);
	if (r->client_named || !r->key)		/* a request's own name, beside a key, would be one more for each repetition */
		name_in(s, e, r->client_named ? "staff-message" : "staff-request", r->client_id, field);
	if (r->key)
		name_in(s, e, "staff-key", r->key, r->client_named ? second : field);
	crypto_name(s->crypto, "body", r->text, r->len, body);
	write_reply(e, r, now, id, &entry, &head, &tail);
	if ((err = buf_err(&entry)) || (err = buf_err(&tail)) || (err = entry_seal(s, &c.k, id, &entry, &sealed)))
		goto out;
	struct redis_arg arg[] = { RA(e->place.h), RA(c.who), RA(field), RA(body), number_arg(&covered, e->asked),
		buf_arg(&sealed), RA(c.room), buf_arg(&head), buf_arg(&tail), number_arg(&c.keep, escalation_keep_ms(s)),
		number_arg(&most, LOG_BYTES_MAX), number_arg(&said_at, now), RA(second) };

	err = redis_script(s->redis, &reply_script, c.key, 6, arg, 13, &reply);
	if (err == HL_OK)
		err = change_refusal(s, e, reply);
	if (err)
		goto out;
	if (said(reply, "again"))
		err = entry_open(s, &c.k, redis_at(reply, 2), redis_int(redis_at(reply, 1)), ret_entry);
	else
		err = entry_make(redis_int(redis_at(reply, 1)), id, &entry, ret_entry);
	if (err == HL_OK && !said(reply, "again"))
		staff_updated(s, e->account, json_get_string(e->data, "sessionId"), ret_entry);
out:
	buf_free(&entry);
	buf_free(&sealed);
	buf_free(&head);
	buf_free(&tail);
	return err;
}

/*
 * member: of the record, sealed with words in it, which become ret_words unless it was ended so before; note: for the
 * assistant, sealed for the conversation.
 */
static enum hl_err
end(struct store *s, struct escalation *e, const struct staff *staff, const char *status, const char *member,
    const char *words, const struct buf *note, struct buf *ret_words)
{
	struct buf sealed = BUF_INIT(2 * WORDS_MAX);
	const struct redis_reply *reply;
	char place[4] = { '#', member[0], '\0' };
	struct change c;
	enum hl_err err = seal_member(s, e->id, place, words, &sealed);

	change_begin(s, e, staff, &c);
	if (err)
		goto out;
	struct redis_arg arg[] = { RA(e->place.h), RA(c.who), RA(e->id), RA(staff->admin ? "1" : "0"), RA(status), RA(member),
		buf_arg(&sealed), buf_arg(note), RA(c.room), RA(ended_line), number_arg(&c.keep, escalation_keep_ms(s)) };

	err = redis_script(s->redis, &end_script, c.key, 6, arg, 11, &reply);
	if (err == HL_OK)
		err = change_refusal(s, e, reply);
	if (err == HL_OK && words && !said(reply, "again")) {
		buf_reset(ret_words);
		buf_puts(ret_words, words);
	}
	if (err == HL_OK)
		set_status(e, status);
out:
	buf_free(&sealed);
	return err;
}

enum hl_err
escalation_return(struct store *s, struct escalation *e, const struct staff *staff, const char *note)
{
	struct buf sealed = BUF_INIT(2 * WORDS_MAX);
	struct keys k;
	enum hl_err err = HL_OK;

	keys_of(&e->place, &k);
	if (note)
		err = note_seal(s, &k, note, &sealed);
	if (err == HL_OK)
		err = end(s, e, staff, "returned", "n", note, &sealed, &e->note);
	buf_free(&sealed);
	return err;
}

enum hl_err
escalation_close(struct store *s, struct escalation *e, const struct staff *staff, const char *resolution)
{
	const struct buf none = BUF_INIT(0);

	return end(s, e, staff, "closed", "r", resolution, &none, &e->resolution);
}

/* ---- who hears of it ---- */

void
staff_room(const char *account, char out[CONVERSATION_KEY_MAX])
{
	snprintf(out, CONVERSATION_KEY_MAX, "%s:%s", STAFF_ROOM, account);
}

static void
tell_staff(struct store *s, const char *account, const struct buf *payload)
{
	char room[CONVERSATION_KEY_MAX];
	struct redis_arg args[] = { RA("PUBLISH"), RA(STAFF_ROOM), RAN(payload->data, payload->len) };

	if (buf_err(payload))
		return;
	redis_send(s->redis, args, 3);
	staff_room(*account ? account : STAFF_CHAT, room);
	args[1] = RA(room);
	redis_send(s->redis, args, 3);
}

void
staff_needed(struct store *s, const char *account, const struct buf *record)
{
	struct buf payload = BUF_INIT(ENTRY_MAX);

	buf_puts(&payload, "0 0 -\n[\"escalation-needed\",");
	buf_add(&payload, record->data, record->len);
	buf_putc(&payload, ']');
	tell_staff(s, account, &payload);
	buf_free(&payload);
}

void
staff_updated(struct store *s, const char *account, const char *conversation_id, const struct entry *message)
{
	struct buf payload = BUF_INIT(ENTRY_MAX);

	buf_puts(&payload, "0 0 -\n[\"conversation-updated\",{\"conversationId\":");
	buf_json_str(&payload, conversation_id);
	buf_printf(&payload, ",\"seq\":%lld,\"message\":", (long long)message->seq);
	entry_write_desk(&payload, message);
	buf_puts(&payload, "}]");
	tell_staff(s, account, &payload);
	buf_free(&payload);
}
