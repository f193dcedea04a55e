#include <string.h>

#include "loop/lane.h"

static size_t
inside(const struct lanes *l, const char *name)
{
	size_t n = 0;

	for (const struct lane_user *u = l->first; u; u = u->next)
		n += u->in && strcmp(u->name, name) == 0;
	return n;
}

size_t
lane_length(const struct lanes *l, const char *name)
{
	size_t n = 0;

	for (const struct lane_user *u = l->first; u; u = u->next)
		n += strcmp(u->name, name) == 0;
	return n;
}

static void
take_out(struct lanes *l, struct lane_user *mine)
{
	struct lane_user **at = &l->first;

	while (*at != mine)
		at = &(*at)->next;
	*at = mine->next;
}

/* Whoever waits longest takes the place that has become free. */
static void
let_in(struct lanes *l, const char *name)
{
	for (struct lane_user *u = l->first; u; u = u->next)
		if (!u->in && strcmp(u->name, name) == 0) {
			u->in = true;
			task_wake(u->task);
			return;
		}
}

enum hl_err
lane_enter(struct lanes *l, const char *name, unsigned most, struct lane_user *mine)
{
	struct lane_user **end = &l->first;
	enum hl_err err = HL_OK;

	*mine = (struct lane_user){ .task = task_self(), .name = name, .in = inside(l, name) < most };
	while (*end)
		end = &(*end)->next;
	*end = mine;
	while (!mine->in && err == HL_OK)
		err = task_wait();
	if (err == HL_OK)
		return HL_OK;
	if (mine->in)		/* let in and cancelled at once */
		lane_leave(l, mine);
	else
		take_out(l, mine);
	return err;
}

void
lane_leave(struct lanes *l, struct lane_user *mine)
{
	take_out(l, mine);
	let_in(l, mine->name);
}
