#include <stdlib.h>
#include <string.h>

#include "push/message.h"

struct queued {
	struct queued	*next;
	struct message	*message;
};

/* RFC 6455, section 5.2: the header of an unmasked final frame, written backwards from the data. */
static uint8_t
put_header(char *end, unsigned char opcode, size_t len)
{
	uint8_t extra = len < 126 ? 0 : len < 65536 ? 2 : 8;
	char *p = end - extra - 2;

	p[0] = (char)(0x80 | opcode);
	p[1] = (char)(len < 126 ? len : len < 65536 ? 126 : 127);
	for (uint8_t i = 0; i < extra; i++)
		p[2 + i] = (char)((uint64_t)len >> 8 * (extra - 1 - i) & 255);
	return (uint8_t)(extra + 2);
}

struct message *
message_new(enum message_kind kind, const void *bytes, size_t len)
{
	struct message *m = len > UINT32_MAX / 2 ? NULL : malloc(sizeof(*m) + MESSAGE_HEADROOM + len);

	if (m == NULL)
		return NULL;
	m->refs = 1;
	m->len = (uint32_t)len;
	m->kind = (uint8_t)kind;
	m->header = 0;
	if (kind != MESSAGE_RAW)
		m->header = put_header(m->bytes + MESSAGE_HEADROOM, kind == MESSAGE_TEXT ? 1 : 2, len);
	if (len)
		memcpy(m->bytes + MESSAGE_HEADROOM, bytes, len);
	return m;
}

struct message *
message_ref(struct message *m)
{
	m->refs++;
	return m;
}

void
message_unref(struct message *m)
{
	if (m && --m->refs == 0)
		free(m);
}

static size_t
cost(const struct message *m)
{
	return m->len + 64;
}

bool
queue_full(const struct queue *q)
{
	/*
	 * The first one is on its way and may be long: a history must not count against who has just joined.
	 */
	return q->head && q->bytes - cost(q->head->message) > QUEUE_MAX;
}

enum hl_err
queue_add(struct queue *q, struct message *m)
{
	struct queued *entry;

	if (queue_full(q))
		return HL_BUSY;
	entry = malloc(sizeof(*entry));
	if (entry == NULL)
		return HL_NO_MEMORY;
	entry->next = NULL;
	entry->message = message_ref(m);
	if (q->head)
		q->last->next = entry;
	else
		q->head = entry;
	q->last = entry;
	q->bytes += cost(m);
	return HL_OK;
}

struct message *
queue_first(const struct queue *q)
{
	return q->head ? q->head->message : NULL;
}

size_t
queue_peek(const struct queue *q, struct message **messages, size_t max)
{
	size_t n = 0;

	for (struct queued *e = q->head; e && n < max; e = e->next)
		messages[n++] = e->message;
	return n;
}

void
queue_drop(struct queue *q)
{
	struct queued *entry = q->head;

	q->head = entry->next;
	q->bytes -= cost(entry->message);
	message_unref(entry->message);
	free(entry);
}

void
queue_clear(struct queue *q)
{
	while (q->head)
		queue_drop(q);
}

void
queue_move(struct queue *to, struct queue *from)
{
	if (from->head == NULL)
		return;
	if (to->head)
		to->last->next = from->head;
	else
		to->head = from->head;
	to->last = from->last;
	to->bytes += from->bytes;
	*from = (struct queue){ NULL, NULL, 0 };
}
