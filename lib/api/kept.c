#include <stdlib.h>
#include <string.h>

#include "api/kept.h"
#include "base/clock.h"
#include "base/gzip.h"
#include "loop/task.h"

struct slot {
	char		 name[CRYPTO_NAME_LEN + 1];	/* "": free */
	int64_t		 version;
	int64_t		 used_ms;
	uint64_t	 used;				/* larger: later */
	struct kept_body kept;
};

struct kept {
	struct slot	 slots[KEPT_COUNT];
	size_t		 bytes;
	uint64_t	 turn;
	struct making	*making;
};

struct kept_waiter {
	struct kept_waiter *next;
	struct task	*task;
	bool		 done;
};

enum hl_err
kept_new(struct kept **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? HL_OK : HL_NO_MEMORY;
}

static size_t
slot_bytes(const struct slot *s)
{
	return s->kept.body.cap + s->kept.link.cap + s->kept.packed.cap + s->kept.parts.cap;
}

static void
forget(struct kept *k, struct slot *s)
{
	k->bytes -= slot_bytes(s);
	buf_free(&s->kept.body);
	buf_free(&s->kept.link);
	buf_free(&s->kept.packed);
	buf_free(&s->kept.parts);
	*s = (struct slot){ 0 };
}

void
kept_free(struct kept *k)
{
	for (size_t i = 0; k && i < KEPT_COUNT; i++)
		forget(k, &k->slots[i]);
	free(k);
}

static struct slot *
find(struct kept *k, const char *name)
{
	for (size_t i = 0; i < KEPT_COUNT; i++)
		if (memcmp(k->slots[i].name, name, 8) == 0 && strcmp(k->slots[i].name, name) == 0)
			return &k->slots[i];
	return NULL;
}

const struct kept_body *
kept_find(struct kept *k, const char *name, int64_t version)
{
	struct slot *s = find(k, name);

	if (s == NULL || s->version != version)
		return NULL;
	s->used = ++k->turn;
	s->used_ms = clock_mono_ms();
	return &s->kept;
}

const struct kept_body *
kept_last(struct kept *k, const char *name, int64_t *ret_version)
{
	struct slot *s = find(k, name);

	if (s)
		*ret_version = s->version;
	return s ? &s->kept : NULL;
}

const struct buf *
kept_packed(struct kept *k, const char *name, int64_t version)
{
	struct slot *s = find(k, name);

	if (s == NULL || s->version != version)
		return NULL;
	if (s->kept.packed.max == 0) {
		s->kept.packed = BUF_INIT(KEPT_ONE);
		if (gzip_pack(s->kept.body.data, s->kept.body.len, &s->kept.packed) != HL_OK)
			buf_free(&s->kept.packed);
		buf_trim(&s->kept.packed);
		k->bytes += s->kept.packed.cap;
	}
	return s->kept.packed.len ? &s->kept.packed : NULL;
}

/* ---- one makes it ---- */

static struct making *
find_making(struct kept *k, const char *name, int64_t version)
{
	struct making *m = k->making;

	while (m && (m->version != version || strcmp(m->name, name) != 0))
		m = m->next;
	return m;
}

bool
kept_make(struct kept *k, const char *name, int64_t version, struct making *mine)
{
	struct making *other = find_making(k, name, version);
	struct kept_waiter w = { .task = task_self() };

	if (other == NULL) {
		*mine = (struct making){ .next = k->making, .version = version };
		memcpy(mine->name, name, CRYPTO_NAME_LEN);
		k->making = mine;
		return true;
	}
	w.next = other->waiters;
	other->waiters = &w;
	while (!w.done)
		task_wait_always();
	return false;
}

/* ---- room ---- */

static struct slot *
oldest(struct kept *k)
{
	struct slot *found = NULL;

	for (size_t i = 0; i < KEPT_COUNT; i++)
		if (*k->slots[i].name && (found == NULL || k->slots[i].used < found->used))
			found = &k->slots[i];
	return found;
}

static void
forget_aged(struct kept *k)
{
	int64_t before = clock_mono_ms() - KEPT_MS;

	for (size_t i = 0; i < KEPT_COUNT; i++)
		if (*k->slots[i].name && k->slots[i].used_ms < before)
			forget(k, &k->slots[i]);
}

/* A free slot, when so many bytes have room. */
static struct slot *
make_room(struct kept *k, const char *name, size_t bytes)
{
	static const char nobody[CRYPTO_NAME_LEN + 1];
	struct slot *s = find(k, name);

	if (s)
		forget(k, s);
	forget_aged(k);
	while (k->bytes + bytes > KEPT_BYTES && (s = oldest(k)) != NULL)
		forget(k, s);
	s = find(k, nobody);
	if (s)
		return s;
	s = oldest(k);
	forget(k, s);
	return s;
}

static void
copy(struct buf *to, const struct buf *from)
{
	*to = BUF_INIT(KEPT_ONE);
	buf_add(to, from->data, from->len);
	buf_trim(to);
}

static void
keep(struct kept *k, const struct making *m, const struct kept_body *made)
{
	size_t bytes = made->body.len + made->link.len + made->parts.len;
	struct slot *s;

	if (buf_err(&made->body) != HL_OK || buf_err(&made->parts) != HL_OK || bytes > KEPT_ONE)
		return;
	s = make_room(k, m->name, bytes);
	s->kept = (struct kept_body){ .packed = BUF_INIT(0) };
	copy(&s->kept.body, &made->body);
	copy(&s->kept.link, &made->link);
	copy(&s->kept.parts, &made->parts);
	strcpy(s->name, m->name);
	s->version = m->version;
	s->used = ++k->turn;
	s->used_ms = clock_mono_ms();
	k->bytes += slot_bytes(s);
	if (buf_err(&s->kept.body) != HL_OK || buf_err(&s->kept.link) != HL_OK || buf_err(&s->kept.parts) != HL_OK)
		forget(k, s);
}

void
kept_made(struct kept *k, struct making *mine, const struct kept_body *made)
{
	struct making **at = &k->making;
	struct kept_waiter *w;

	while (*at != mine)
		at = &(*at)->next;
	*at = mine->next;
	if (made)
		keep(k, mine, made);
	while ((w = mine->waiters) != NULL) {
		mine->waiters = w->next;
		w->done = true;
		task_wake(w->task);
	}
}
