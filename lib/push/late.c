/*
 * late.c - joins that wait.
 *
 * socket.io-client sends what it kept while it was offline before its page hears of "connect" and joins the room with what it
 * knows.  Who had joined by what it said would be told of its answer first, and then of what it missed.  So such a join is put
 * off: while the event by which the page would join ("unless") has come and is still to be asked, and for as long as it may be
 * on its way: "wait" (ms), and a moment behind CONNECT or, over polling, until the next request.  The message is acknowledged
 * at once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "push/client.h"

#define JOINS_MAX	16u		/* more are not put off */
#define WAIT_MAX_MS	10000		/* that an answer may ask for */
#define NEXT_POST_MS	250
#define NEXT_FRAME_MS	50
#define YOUNG_MS	1000		/* connected for so long, it may be at what it kept until then */
#define AGAIN_MS	1000		/* until one that failed is tried once more */

static struct span
text_of(const struct late *l)
{
	return (struct span){ l->join, strlen(l->join) };
}

static bool
is_of(const struct late *l, struct span room)
{
	struct span own = span_member(text_of(l), "room");

	return own.len == room.len && memcmp(own.p, room.p, room.len) == 0;
}

static bool
is_to_come(const struct socket *s, struct span event)
{
	for (const struct question *q = s->first; q; q = q->next)
		if (strlen(q->event) == event.len && memcmp(q->event, event.p, event.len) == 0)
			return true;
	return false;
}

static void
patience_over(struct deadline *d)
{
	struct socket *s = (struct socket *)(void *)((char *)d - offsetof(struct socket, patience));

	workers_add(&s->client->hub->questions, &s->job);
}

static int64_t
wait_of(const struct socket *s, struct span join)
{
	int64_t ms = span_integer(span_member(join, "wait"), 0);
	const struct session *session = s->client->session;
	int64_t next_ms = session && session->ws == NULL ? NEXT_POST_MS :
	    clock_mono_ms() - s->connected_ms < YOUNG_MS ? NEXT_FRAME_MS : 0;

	if (ms < next_ms)
		ms = next_ms;
	return ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS;
}

bool
late_put_off(struct socket *s, struct span join)
{
	struct deadlines *all = s->client->hub->rooms.deadlines;
	struct span event = span_member(join, "unless"), room = span_member(join, "room");
	bool alone = span_member(join, "alone").len > 0, waits = false;
	int64_t ms = wait_of(s, join);
	struct late *l, **at = &s->late;
	unsigned n = 0;

	if (event.len == 0 || socket_is_in(s, room))
		return false;
	for (; *at; at = &(*at)->next, n++) {
		if (!is_of(*at, room))
			continue;
		if (!alone && !(*at)->alone)
			return true;		/* from the first one on it will be told all */
		waits = true;
	}
	if (!waits && ms == 0 && !is_to_come(s, event))
		return false;
	if (n >= JOINS_MAX || (s->patience.expired == NULL && deadline_init(all, &s->patience, patience_over) != HL_OK))
		return false;
	l = calloc(1, sizeof(*l) + join.len + 1);
	if (l == NULL)
		return false;
	l->until_ms = clock_mono_ms() + ms;
	l->tells_to = INT64_MAX;
	l->alone = alone;
	memcpy(l->join, join.p, join.len);
	*at = l;
	return true;
}

void
late_joined(struct socket *s, const char *room, int64_t tells_to)
{
	for (struct late *l = s->late; l; l = l->next) {
		struct buf name = BUF_INIT(512);

		if (tells_to < l->tells_to && span_text(span_member(text_of(l), "room"), &name) && strcmp(name.data, room) == 0)
			l->tells_to = tells_to;
		buf_free(&name);
	}
}

static bool
is_due(const struct socket *s, const struct late *l, int64_t now_ms)
{
	if (l->tells_to < INT64_MAX)
		return !l->failed || now_ms >= l->until_ms;
	return now_ms >= l->until_ms && !is_to_come(s, span_member(text_of(l), "unless"));
}

struct late *
late_take(struct socket *s)
{
	int64_t now_ms = clock_mono_ms();
	struct late **found = NULL, *l;

	/* Who asks for one answer alone has had it, if all was told before. */
	for (struct late **at = &s->late; *at && (found == NULL || (*found)->alone); at = &(*at)->next)
		if (is_due(s, *at, now_ms) && (found == NULL || !(*at)->alone))
			found = at;
	if (found == NULL)
		return NULL;
	l = *found;
	*found = l->next;
	l->next = NULL;
	return l;
}

void
late_again(struct socket *s, struct late *l)
{
	l->failed = true;
	l->until_ms = clock_mono_ms() + AGAIN_MS;
	l->next = s->late;
	s->late = l;
}

void
late_wait(struct socket *s)
{
	int64_t first_ms = INT64_MAX;

	for (const struct late *l = s->late; l; l = l->next)
		if (l->until_ms < first_ms)
			first_ms = l->until_ms;
	if (s->late)
		deadline_set(s->client->hub->rooms.deadlines, &s->patience, first_ms);
}

void
late_free(struct socket *s)
{
	struct late *l;

	while ((l = s->late) != NULL) {
		s->late = l->next;
		free(l);
	}
	if (s->patience.expired)
		deadline_end(s->client->hub->rooms.deadlines, &s->patience);
}
