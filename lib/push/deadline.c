#include <stdlib.h>

#include "push/deadline.h"

/* heap[1] is the earliest; slot 0 stays empty so that a zeroed deadline is not in it. */

void
deadlines_free(struct deadlines *h)
{
	free(h->heap);
	*h = (struct deadlines){ NULL, 0, 0, 0 };
}

enum hl_err
deadline_init(struct deadlines *h, struct deadline *d, void (*expired)(struct deadline *))
{
	struct deadline **heap = h->heap;
	size_t cap = h->cap ? h->cap : 64;

	while (cap < h->owners + 2)
		cap *= 2;
	if (cap != h->cap)
		heap = realloc(heap, cap * sizeof(*heap));
	if (heap == NULL)
		return HL_NO_MEMORY;
	h->heap = heap;
	h->cap = cap;
	h->owners++;
	*d = (struct deadline){ .expired = expired };
	return HL_OK;
}

void
deadline_end(struct deadlines *h, struct deadline *d)
{
	deadline_clear(h, d);
	h->owners--;
}

static void
put(struct deadlines *h, struct deadline *d, size_t slot)
{
	h->heap[slot] = d;
	d->slot = (uint32_t)slot;
}

static void
sift_up(struct deadlines *h, struct deadline *d)
{
	size_t slot = d->slot;

	for (; slot > 1 && h->heap[slot / 2]->at_ms > d->at_ms; slot /= 2)
		put(h, h->heap[slot / 2], slot);
	put(h, d, slot);
}

static void
sift_down(struct deadlines *h, struct deadline *d)
{
	size_t slot = d->slot, child;

	while ((child = slot * 2) <= h->count) {
		if (child < h->count && h->heap[child + 1]->at_ms < h->heap[child]->at_ms)
			child++;
		if (h->heap[child]->at_ms >= d->at_ms)
			break;
		put(h, h->heap[child], slot);
		slot = child;
	}
	put(h, d, slot);
}

void
deadline_clear(struct deadlines *h, struct deadline *d)
{
	struct deadline *last;
	uint32_t slot = d->slot;

	if (slot == 0)
		return;
	last = h->heap[h->count--];
	d->slot = 0;
	if (last == d)
		return;
	put(h, last, slot);
	sift_up(h, last);
	sift_down(h, last);
}

void
deadline_set(struct deadlines *h, struct deadline *d, int64_t at_ms)
{
	d->at_ms = at_ms;
	if (d->slot == 0)
		put(h, d, ++h->count);
	sift_up(h, d);
	sift_down(h, d);
}

void
deadlines_run(struct deadlines *h, int64_t now_ms)
{
	while (h->count > 0 && h->heap[1]->at_ms <= now_ms) {
		struct deadline *d = h->heap[1];

		deadline_clear(h, d);
		d->expired(d);
	}
}

int64_t
deadlines_next(const struct deadlines *h)
{
	return h->count > 0 ? h->heap[1]->at_ms : -1;
}
