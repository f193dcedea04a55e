#include <stdlib.h>
#include <string.h>

#include "push/recovery.h"

#define BUCKETS	4096u

bool
own_has(const struct own *own, int64_t seq)
{
	for (unsigned i = 0; i < own->count && i < RECOVERY_OWN; i++)
		if (own->seq[i] == seq)
			return true;
	return false;
}

void
own_add(struct own *own, int64_t seq)
{
	if (!own_has(own, seq))
		own->seq[own->count++ % RECOVERY_OWN] = seq;
}

/* A pid is random, and so are its first bytes. */
static struct lost **
slot(struct recovery *r, const char *pid)
{
	uint32_t h;
	struct lost **at;

	memcpy(&h, pid, sizeof(h));
	at = &r->table[(h * 2654435761u) >> 20];
	while (*at && memcmp((*at)->pid, pid, ID_LEN) != 0)
		at = &(*at)->next_in_bucket;
	return at;
}

static void
forget(struct recovery *r, struct lost *l)
{
	*slot(r, l->pid) = l->next_in_bucket;
	*(l->older ? &l->older->newer : &r->oldest) = l->newer;
	*(l->newer ? &l->newer->older : &r->newest) = l->older;
	r->count--;
}

/* All are kept equally long, so the oldest one is the first to go. */
static void
expire(struct deadline *d)
{
	struct recovery *r = (struct recovery *)(void *)((char *)d - offsetof(struct recovery, deadline));
	int64_t now = r->now_ms();
	struct lost *l;

	while ((l = r->oldest) != NULL && l->until_ms <= now) {
		forget(r, l);
		lost_free(l);
	}
	if (r->oldest)
		deadline_set(r->deadlines, &r->deadline, r->oldest->until_ms);
}

enum hl_err
recovery_init(struct recovery *r)
{
	r->oldest = r->newest = NULL;
	r->count = 0;
	r->table = NULL;
	if (r->keep_ms == 0)
		return HL_OK;
	r->table = calloc(BUCKETS, sizeof(struct lost *));
	return r->table ? deadline_init(r->deadlines, &r->deadline, expire) : HL_NO_MEMORY;
}

void
recovery_free(struct recovery *r)
{
	struct lost *l;

	if (r->table == NULL)
		return;
	while ((l = r->oldest) != NULL) {
		r->oldest = l->newer;
		lost_free(l);
	}
	deadline_end(r->deadlines, &r->deadline);
	free(r->table);
	r->table = NULL;
}

struct lost *
lost_new(const char *sid, const char *pid, struct span nsp)
{
	struct lost *l = calloc(1, sizeof(*l));

	if (l && (l->nsp = strndup(nsp.p, nsp.len)) == NULL) {
		free(l);
		return NULL;
	}
	if (l) {
		memcpy(l->sid, sid, ID_LEN);
		memcpy(l->pid, pid, ID_LEN);
		l->last = -1;
	}
	return l;
}

static void
lost_room_free(struct lost_room *r)
{
	free(r->name);
	free(r->alias);
}

void
lost_free(struct lost *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->other_count; i++)
		lost_room_free(&l->others[i]);
	lost_room_free(&l->room);
	free(l->nsp);
	free(l->state);
	free(l);
}

enum hl_err
lost_add_room(struct lost *l, const char *name, struct span alias, bool counted)
{
	struct lost_room *room = counted ? &l->room : &l->others[l->other_count];

	if (counted ? l->room.name != NULL : l->other_count == RECOVERY_MAX_ROOMS)
		return HL_TOO_MANY;
	room->name = strdup(name);
	room->alias = alias.len ? strndup(alias.p, alias.len) : NULL;
	l->other_count += !counted;
	return room->name && (room->alias || alias.len == 0) ? HL_OK : HL_NO_MEMORY;
}

void
recovery_keep(struct recovery *r, struct lost *l)
{
	struct lost *oldest = r->oldest;

	if (r->keep_ms == 0) {
		lost_free(l);
		return;
	}
	if (oldest && r->count >= r->max) {
		forget(r, oldest);
		lost_free(oldest);
	}
	l->until_ms = r->now_ms() + r->keep_ms;
	l->next_in_bucket = NULL;
	*slot(r, l->pid) = l;
	l->newer = NULL;
	l->older = r->newest;
	*(r->newest ? &r->newest->newer : &r->oldest) = l;
	r->newest = l;
	if (++r->count == 1)
		deadline_set(r->deadlines, &r->deadline, l->until_ms);
}

struct lost *
recovery_take(struct recovery *r, struct span pid, struct span nsp)
{
	struct lost *l;

	if (r->table == NULL || pid.len != ID_LEN)
		return NULL;
	l = *slot(r, pid.p);
	if (l == NULL || l->until_ms <= r->now_ms() || strlen(l->nsp) != nsp.len || memcmp(l->nsp, nsp.p, nsp.len) != 0)
		return NULL;
	forget(r, l);
	l->drops = r->drops;
	if (l->ends_ms && l->ends_ms <= r->now_ms()) {
		lost_free(l);
		return NULL;
	}
	return l;
}

static bool
was_in(const struct lost *l, const char *room)
{
	for (size_t i = 0; i < l->other_count; i++)
		if (strcmp(l->others[i].name, room) == 0)
			return true;
	return false;
}

void
recovery_drop(struct recovery *r, const char *room)
{
	struct lost *l, *newer;

	for (l = r->keep_ms ? r->oldest : NULL; l; l = newer) {
		newer = l->newer;
		if (was_in(l, room)) {
			forget(r, l);
			lost_free(l);
		}
	}
}
