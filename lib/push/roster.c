#include <stdlib.h>
#include <string.h>

#include "push/client.h"

#define BUCKETS	256u

/* A sid is random, and so are its first bytes. */
static struct socket **
bucket(const struct roster *r, const char *sid)
{
	uint32_t h;

	memcpy(&h, sid, sizeof(h));
	h *= 2654435761u;
	return &r->table[(h ^ h >> 16) & (r->buckets - 1)];
}

enum hl_err
roster_init(struct roster *r)
{
	*r = (struct roster){ .buckets = BUCKETS };
	r->table = calloc(BUCKETS, sizeof(struct socket *));
	return r->table ? HL_OK : HL_NO_MEMORY;
}

void
roster_free(struct roster *r)
{
	free(r->table);
	r->table = NULL;
}

static void
grow(struct roster *r)
{
	struct roster old = *r;
	struct socket *s, *next, **at;

	r->table = calloc(old.buckets * 4, sizeof(struct socket *));
	if (r->table == NULL) {
		r->table = old.table;	/* slower, not wrong */
		return;
	}
	r->buckets = old.buckets * 4;
	for (size_t i = 0; i < old.buckets; i++)
		for (s = old.table[i]; s; s = next) {
			next = s->next_in_roster;
			at = bucket(r, s->sid);
			s->next_in_roster = *at;
			*at = s;
		}
	free(old.table);
}

void
roster_add(struct roster *r, struct socket *s)
{
	struct socket **at;

	if (++r->count > r->buckets)
		grow(r);
	at = bucket(r, s->sid);
	s->next_in_roster = *at;
	*at = s;
}

void
roster_remove(struct roster *r, struct socket *s)
{
	struct socket **at = bucket(r, s->sid);

	while (*at != s)
		at = &(*at)->next_in_roster;
	*at = s->next_in_roster;
	r->count--;
}

void
roster_rename(struct roster *r, struct socket *s, const char *sid)
{
	roster_remove(r, s);
	memcpy(s->sid, sid, sizeof(s->sid));
	roster_add(r, s);
}

struct socket *
roster_find(const struct roster *r, struct span sid)
{
	struct socket *s;

	if (sid.len != ID_LEN)
		return NULL;
	s = *bucket(r, sid.p);
	while (s && memcmp(s->sid, sid.p, ID_LEN) != 0)
		s = s->next_in_roster;
	return s;
}
