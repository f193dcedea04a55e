#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "records/recall.h"

#define SLOTS	512u
#define BYTES	(16u * 1024)
#define AGE_MS	60000

struct slot {
	struct place	 place;
	struct entries	 entries;
	unsigned	 life;
	int64_t		 put_mono_ms;
};

struct recall { struct slot slots[SLOTS]; };

enum hl_err
recall_new(struct recall **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? HL_OK : HL_NO_MEMORY;
}

void
recall_clear(struct recall *r)
{
	for (size_t i = 0; i < SLOTS; i++)
		entries_free(&r->slots[i].entries);
}

void
recall_free(struct recall *r)
{
	if (r)
		recall_clear(r);
	free(r);
}

static struct slot *
slot_of(struct recall *r, const struct place *p)
{
	return &r->slots[str_hash(p->h, strlen(p->h)) % SLOTS];
}

int64_t
recall_take(struct recall *r, const struct place *p, unsigned life, struct entries *ret)
{
	struct slot *slot = slot_of(r, p);

	*ret = (struct entries){ 0 };
	if (slot->entries.count == 0 || slot->life != life || strcmp(slot->place.h, p->h) != 0)
		return 0;
	*ret = slot->entries;
	slot->entries = (struct entries){ 0 };
	return ret->list[ret->count - 1].seq;
}

static size_t
bytes_of(const struct entries *es)
{
	size_t n = 0;

	for (size_t i = 0; i < es->count; i++)
		n += es->list[i].text.cap + es->list[i].decoded.cap;
	return n;
}

void
recall_put(struct recall *r, const struct place *p, unsigned life, struct entries *take)
{
	struct slot *slot = slot_of(r, p);

	if (bytes_of(take) > BYTES)
		entries_free(take);
	entries_free(&slot->entries);
	*slot = (struct slot){ .place = *p, .entries = *take, .life = life, .put_mono_ms = clock_mono_ms() };
	*take = (struct entries){ 0 };
}

void
recall_age(struct recall *r)
{
	int64_t now = clock_mono_ms();

	for (size_t i = 0; i < SLOTS; i++)
		if (r->slots[i].entries.count && now - r->slots[i].put_mono_ms >= AGE_MS)
			entries_free(&r->slots[i].entries);
}
