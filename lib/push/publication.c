#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "push/answer.h"
#include "push/publication.h"

#define OFFSET_END	6u	/* characters of a room's name */

struct held { struct held *next; struct publication *publication; };

/* ---- publications ---- */

void
publication_unref(struct publication *p)
{
	if (p == NULL || --p->refs > 0)
		return;
	for (unsigned i = 0; i < p->count; i++)
		message_unref(p->messages[i]);
	free(p);
}

struct publication *
publication_new(int64_t seq)
{
	struct publication *p = calloc(1, sizeof(*p) + PUBLICATION_MAX_EVENTS * sizeof(struct message *));

	if (p) {
		p->refs = 1;
		p->seq = seq;
	}
	return p;
}

/* ---- offsets ---- */

static const char *
end_of(const char *room)
{
	size_t len = strlen(room);

	return len > OFFSET_END ? room + len - OFFSET_END : room;
}

void
publication_tag(const char *room, struct span alias, char out[PUBLICATION_TAG_MAX])
{
	char id[ID_LEN + 1] = "";

	if (alias.len == ID_LEN)
		memcpy(id, alias.p, ID_LEN);
	snprintf(out, PUBLICATION_TAG_MAX, "%s%s%s", end_of(room), id_valid(id) ? "." : "", id_valid(id) ? id : "");
}

void
publication_offset(const char *tag, int64_t seq, char out[PUBLICATION_OFFSET_MAX])
{
	snprintf(out, PUBLICATION_OFFSET_MAX, "%lld.%s", (long long)seq, tag);
}

int64_t
publication_offset_seq(const char *room, const char *offset, size_t len)
{
	const char *dot = memchr(offset, '.', len), *behind, *end = end_of(room);
	size_t n = strlen(end), left;

	if (dot == NULL || dot == offset)
		return -1;
	left = len - (size_t)(dot + 1 - offset);
	behind = dot + 1 + n;
	if (left < n || memcmp(dot + 1, end, n) != 0 || (left > n && (*behind != '.' || left - n != 1 + ID_LEN)))
		return -1;
	return span_integer((struct span){ offset, (size_t)(dot - offset) }, -1);
}

bool
publication_offset_alias(const char *offset, char ret_alias[ID_LEN + 1], int64_t *ret_seq)
{
	const char *dot = strchr(offset, '.'), *second = dot ? strchr(dot + 1, '.') : NULL;

	if (second == NULL || !id_valid(second + 1))
		return false;
	memcpy(ret_alias, second + 1, ID_LEN + 1);
	*ret_seq = span_integer((struct span){ offset, (size_t)(dot - offset) }, -1);
	return *ret_seq >= 0;
}

/* ---- events ---- */

static enum hl_err
add_message(struct publication *p, const char *event, size_t len)
{
	struct span root = SPAN("/"), none = { NULL, 0 }, args = { event, len };
	unsigned n;

	/* Without attachments it is exactly one message. */
	if (packet_messages(SIO_EVENT, root, none, args, &p->messages[p->count], &n) != HL_OK)
		return HL_NO_MEMORY;
	p->count++;
	return HL_OK;
}

/* {"args":[…],"binary":[…]}: its messages go out behind each other, for nothing may come between them. */
static enum hl_err
add_binary(struct publication *p, const char *event, size_t len)
{
	struct span root = SPAN("/"), none = { NULL, 0 }, args = { event, len };
	unsigned n;

	if (p->count + 1 + SIO_MAX_ATTACHMENTS > PUBLICATION_MAX_EVENTS)
		return HL_BAD_REQUEST;
	if (packet_messages(SIO_EVENT, root, none, args, &p->messages[p->count], &n) != HL_OK)
		return HL_BAD_REQUEST;
	p->count += n;
	return HL_OK;
}

enum hl_err
publication_add(struct publication *p, const char *event, size_t len, const char *tag)
{
	struct buf text = BUF_INIT(len + PUBLICATION_OFFSET_MAX + 4);
	char offset[PUBLICATION_OFFSET_MAX];
	enum hl_err err;

	if (len == 0 || json_check(event, len, JSON_JS) != HL_OK)
		return HL_BAD_REQUEST;
	if (event[0] == '{' && p->seq == 0)
		return add_binary(p, event, len);
	if (p->count == PUBLICATION_MAX_EVENTS || event[0] != '[')
		return HL_BAD_REQUEST;
	if (tag == NULL || p->seq == 0 || p->count > 0)
		return add_message(p, event, len);
	publication_offset(tag, p->seq, offset);
	args_with_offset(&text, (struct span){ event, len }, offset);
	err = buf_err(&text);
	if (err == HL_OK)
		err = add_message(p, text.data, text.len);
	buf_free(&text);
	return err;
}

static const char *
parse_number(const char *p, const char *end, int64_t *ret)
{
	const char *start = p;

	for (*ret = 0; p < end && *p >= '0' && *p <= '9' && p - start < 18; p++)
		*ret = *ret * 10 + (*p - '0');
	return p > start && p < end && *p == ' ' ? p + 1 : NULL;
}

static const char *
parse_head(struct publication *p, const char *at, const char *end)
{
	const char *eol;

	at = parse_number(at, end, &p->seq);
	if (at)
		at = parse_number(at, end, &p->epoch);
	eol = at ? memchr(at, '\n', (size_t)(end - at)) : NULL;
	if (eol == NULL)
		return NULL;
	if (eol - at == ID_LEN)
		memcpy(p->except, at, ID_LEN);
	p->passing = eol - at == 1 && *at == '~';
	return eol + 1;
}

enum hl_err
publication_parse(const char *payload, size_t len, const char *tag, struct publication **ret)
{
	const char *end = payload + len, *at, *eol;
	struct publication *p = publication_new(0);
	enum hl_err err = HL_OK;

	*ret = NULL;
	if (p == NULL)
		return HL_NO_MEMORY;
	at = parse_head(p, payload, end);
	if (at == NULL)
		err = HL_BAD_REQUEST;
	for (; err == HL_OK && at < end; at = eol + 1) {
		eol = memchr(at, '\n', (size_t)(end - at));
		if (eol == NULL)
			eol = end;
		if (eol > at)
			err = publication_add(p, at, (size_t)(eol - at), tag);
	}
	if (err) {
		publication_unref(p);
		return err;
	}
	*ret = p;
	return HL_OK;
}

/* ---- holding back ---- */

bool
held_add(struct held_list *list, struct publication *p)
{
	struct held *h = list->count < HELD_MAX ? malloc(sizeof(*h)) : NULL;

	if (h == NULL)
		return false;
	p->refs++;
	*h = (struct held){ NULL, p };
	if (list->head)
		list->last->next = h;
	else
		list->head = h;
	list->last = h;
	list->count++;
	return true;
}

struct publication *
held_take(struct held_list *list)
{
	struct held *h = list->head;
	struct publication *p;

	if (h == NULL)
		return NULL;
	p = h->publication;
	list->head = h->next;
	list->count--;
	free(h);
	return p;
}

void
held_drop(struct held_list *list)
{
	struct publication *p;

	while ((p = held_take(list)) != NULL)
		publication_unref(p);
}

unsigned
held_told(const struct held_list *list, int64_t seq)
{
	unsigned told = 0, n = 0;

	for (const struct held *h = list->head; h; h = h->next) {
		n++;
		if (h->publication->seq > 0 && h->publication->seq <= seq)
			told = n;
	}
	return told;
}
