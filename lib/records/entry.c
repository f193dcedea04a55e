#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "records/entry.h"

void
entry_clear(struct entry *e)
{
	buf_free(&e->text);
	buf_free(&e->decoded);
	e->json = (struct json_view){ 0 };
}

void
entries_free(struct entries *es)
{
	for (size_t i = 0; i < es->count; i++)
		entry_clear(&es->list[i]);
	free(es->list);
	*es = (struct entries){ 0 };
}

/* Looks into e->text once it is there.  The text is ours: we have just written it, or its seal says that we did. */
static enum hl_err
read_text(struct entry *e)
{
	static const char *const names[] = { "role", "by", "content" };
	struct json_view found[3];

	if (e->text.len == 0)
		return HL_INTERNAL;
	e->json = json_view_own(e->text.data, e->text.len);
	json_view_members(e->json, names, found, 3);
	e->user = json_view_is(found[0], "user");
	e->human = json_view_is(found[1], "human");
	e->content = json_view_plain(found[2], &e->content_len);
	if (e->content)
		return HL_OK;
	(void)json_view_string(found[2], &e->decoded);
	e->content = e->decoded.len ? e->decoded.data : "";
	e->content_len = e->decoded.len;
	return buf_err(&e->decoded);
}

enum hl_err
entry_make(int64_t seq, const char *id, const struct buf *json, struct entry *ret)
{
	enum hl_err err;

	*ret = (struct entry){ .seq = seq, .text = BUF_INIT(ENTRY_MAX), .decoded = BUF_INIT(ENTRY_MAX) };
	memcpy(ret->id, id, ID_LEN);
	buf_add(&ret->text, json->data, json->len);
	err = buf_err(&ret->text);
	if (err == HL_OK)
		err = read_text(ret);
	if (err)
		entry_clear(ret);
	return err;
}

struct json_view
entry_member(const struct entry *e, const char *name)
{
	return json_view_get(e->json, name);
}

const char *
entry_content(const struct entry *e, size_t *len)
{
	*len = e->content_len;
	return e->content;
}

/* What an entry's seal is bound to: its list and its id. */
static void
entry_place(const struct keys *k, const char *id, char out[CONVERSATION_KEY_MAX + ID_LEN + 2])
{
	snprintf(out, CONVERSATION_KEY_MAX + ID_LEN + 2, "%s#%.*s", k->log, ID_LEN, id);
}

enum hl_err
entry_seal(const struct store *s, const struct keys *k, const char *id, const struct buf *json, struct buf *out)
{
	char place[CONVERSATION_KEY_MAX + ID_LEN + 2];

	entry_place(k, id, place);
	buf_add(out, id, ID_LEN);
	return crypto_seal(s->crypto, place, json->data, json->len, out);
}

enum hl_err
entry_open(const struct store *s, const struct keys *k, const struct redis_reply *reply, int64_t seq, struct entry *e)
{
	char place[CONVERSATION_KEY_MAX + ID_LEN + 2];
	size_t len;
	const char *sealed = redis_str(reply, &len);
	enum hl_err err;

	*e = (struct entry){ .seq = seq, .text = BUF_INIT(ENTRY_MAX), .decoded = BUF_INIT(ENTRY_MAX) };
	if (sealed == NULL || len <= ID_LEN)
		return HL_INTERNAL;
	memcpy(e->id, sealed, ID_LEN);
	entry_place(k, e->id, place);
	err = crypto_unseal(s->crypto, place, sealed + ID_LEN, len - ID_LEN, &e->text);
	if (err == HL_OK)
		err = read_text(e);
	if (err)
		entry_clear(e);
	return err;
}

enum hl_err
entries_open(const struct store *s, const struct keys *k, const struct redis_reply *list, int64_t last_seq, size_t max,
    struct entries *ret)
{
	size_t n = redis_length(list), first = n, bytes = 0;
	enum hl_err err = HL_OK;

	*ret = (struct entries){ 0 };
	if (n == 0)
		return HL_OK;
	ret->list = calloc(n, sizeof(*ret->list));
	if (ret->list == NULL)
		return HL_NO_MEMORY;
	while (err == HL_OK && first > 0 && bytes < max) {
		struct entry *e = &ret->list[first - 1];

		err = entry_open(s, k, redis_at(list, first - 1), last_seq - (int64_t)(n - first), e);
		if (err == HL_OK) {
			bytes += e->text.len;
			first--;
		}
	}
	ret->count = n - first;
	memmove(ret->list, ret->list + first, ret->count * sizeof(*ret->list));
	if (err)
		entries_free(ret);
	return err;
}

enum hl_err
entries_add(struct entries *es, const struct entry *take)
{
	struct entry *list = realloc(es->list, (es->count + 1) * sizeof(*list));

	if (list == NULL)
		return HL_NO_MEMORY;
	list[es->count++] = *take;
	es->list = list;
	return HL_OK;
}

enum hl_err
entries_join(struct entries *take_before, struct entries *list, int64_t most)
{
	size_t n = take_before->count, room = most > 0 && (size_t)most > list->count ? (size_t)most - list->count : 0;
	size_t keep = n < room ? n : room;
	struct entry *joined;

	if (keep == 0 || list->count == 0 || take_before->list[n - 1].seq + 1 != list->list[0].seq)
		return HL_OK;
	joined = malloc((keep + list->count) * sizeof(*joined));
	if (joined == NULL)
		return HL_NO_MEMORY;
	memcpy(joined, take_before->list + n - keep, keep * sizeof(*joined));
	memcpy(joined + keep, list->list, list->count * sizeof(*joined));
	take_before->count = n - keep;
	free(list->list);
	list->list = joined;
	list->count += keep;
	return HL_OK;
}

void
entry_time(const struct entry *e, char out[CLOCK_ISO_LEN + 1])
{
	int64_t ms;

	clock_iso(json_view_integer(entry_member(e, "ts"), &ms) ? ms : 0, out);
}

void
entry_members(struct buf *out, const struct entry *e, const char *const *names, size_t count)
{
	struct json_view found[ENTRY_MEMBERS_MAX];

	assert(count <= ENTRY_MEMBERS_MAX);
	json_view_members(e->json, names, found, count);
	for (size_t i = 0; i < count; i++) {
		if (found[i].at == NULL)
			continue;
		buf_printf(out, ",\"%s\":", names[i]);
		json_view_write(out, found[i]);
	}
}

/* What every message has; without the closing brace. */
static void
begin(struct buf *out, const struct entry *e, const char *id_name)
{
	char at[CLOCK_ISO_LEN + 1];

	entry_time(e, at);
	buf_printf(out, "{\"%s\":\"%s\"", id_name, e->id);
	if (e->seq)		/* what is said while a person has the conversation is no message of it */
		buf_printf(out, ",\"seq\":%lld", (long long)e->seq);
	buf_puts(out, ",\"role\":");
	json_view_write(out, entry_member(e, "role"));
	buf_puts(out, ",\"content\":");
	json_view_write(out, entry_member(e, "content"));
	buf_printf(out, ",\"timestamp\":\"%s\"", at);
}

void
entry_write(struct buf *out, const struct entry *e)
{
	static const char *const names[] = { "by", "confidence", "provider", "needsEscalation", "escalation", "sources",
		"clientMessageId" };
	size_t count = sizeof(names) / sizeof(names[0]) - e->human;	/* what a person named his reply by is his */

	begin(out, e, "id");
	entry_members(out, e, names, count);
	buf_putc(out, '}');
}

void
entry_begin_desk(struct buf *out, const struct entry *e)
{
	begin(out, e, "_id");
}

void
entry_write_desk(struct buf *out, const struct entry *e)
{
	static const char *const names[] = { "by", "clientMessageId", "interrupted", "confidence", "escalation", "sources" };

	entry_begin_desk(out, e);
	entry_members(out, e, names, sizeof(names) / sizeof(names[0]));
	buf_putc(out, '}');
}
