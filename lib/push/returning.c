/*
 * Connection state recovery: what is remembered of a socket that was cut off, and how one comes back.  See socket.h.
 */
#include <stdlib.h>
#include <string.h>

#include "push/client.h"

/* ---- being remembered ---- */

static enum hl_err
note_room(struct lost *l, const struct member *m)
{
	if (!m->live)
		return HL_CONFLICT;	/* it was still coming in */
	if (m->last >= 0)
		l->last = m->last;
	return lost_add_room(l, room_name(m), room_alias_of(m), m->last >= 0);
}

void
socket_remember(struct socket *s)
{
	struct recovery *r = &s->client->hub->recovery;
	size_t state_len = s->state ? strlen(s->state) : 0;
	struct lost *l;
	enum hl_err err = HL_OK;

	if (!s->cut_off || r->keep_ms == 0 || state_len > RECOVERY_MAX_STATE || s->late)
		return;
	l = lost_new(s->sid, s->pid, nsp_of(s));
	if (l == NULL)
		return;
	if (s->state && (l->state = strdup(s->state)) == NULL)
		err = HL_NO_MEMORY;
	for (const struct member *m = s->members; err == HL_OK && m; m = m->next_of_owner)
		err = note_room(l, m);
	l->ends_ms = s->ends.expired ? s->ends.at_ms : 0;
	l->own = s->own;
	if (err == HL_OK && l->room.name)
		recovery_keep(r, l);
	else
		lost_free(l);
}

/* ---- coming back ---- */

static struct span
text_of(struct span s)
{
	return s.len >= 2 && s.p[0] == '"' ? (struct span){ s.p + 1, s.len - 2 } : (struct span){ NULL, 0 };
}

struct lost *
returning(struct hub *h, struct span nsp, struct span auth, int64_t *ret_seen)
{
	struct span pid = { NULL, 0 }, offset = { NULL, 0 };
	struct lost *l;

	if (h->recovery.keep_ms && auth.len && auth.p[0] == '{') {
		pid = text_of(span_member(auth, "pid"));
		offset = text_of(span_member(auth, "offset"));
	}
	if (pid.len == 0 || offset.len == 0)
		return NULL;
	l = recovery_take(&h->recovery, pid, nsp);
	if (l == NULL)
		return NULL;
	*ret_seen = publication_offset_seq(l->room.name, offset.p, offset.len);
	if (*ret_seen >= 0 && *ret_seen <= l->last)
		return l;
	lost_free(l);
	return NULL;
}

static enum hl_err
rejoin_one(struct socket *s, const struct lost_room *l, struct member **ret)
{
	enum hl_err err = socket_join(s, l->name, ret);

	if (err == HL_OK)
		err = room_wait(*ret);
	if (err == HL_OK && l->alias)
		room_alias(*ret, (struct span){ l->alias, strlen(l->alias) });
	return err;
}

static enum hl_err
rejoin(struct socket *s, const struct lost *l, struct member **ret)
{
	enum hl_err err = rejoin_one(s, &l->room, ret);

	for (size_t i = 0; err == HL_OK && i < l->other_count; i++) {
		struct member *m;

		err = rejoin_one(s, &l->others[i], &m);
		if (err == HL_OK)
			room_go_live(m, -1);
	}
	return err;
}

/*
 * Bytes that a socket may have missed: more at once would pass for a reader that is too slow (QUEUE_MAX), and whoever is cut
 * off for that comes back for the same.  It is connected as a new one, and joins with the seq that it knows.
 */
#define MISSED_MAX	(QUEUE_MAX / 2)

/* What it missed goes out before CONNECT; *ret_seq is where the room goes on. */
static enum hl_err
send_missed(struct socket *s, const struct member *m, int64_t seen, int64_t *ret_seq)
{
	struct relay_reply reply;
	struct answer answer;
	struct span message;
	const char *at = NULL;
	enum hl_err err = room_ask_replay(&s->client->hub->rooms, room_name(m), seen, &reply, &answer);

	*ret_seq = seen;
	if (err == HL_OK && s->left)
		err = HL_CANCELLED;
	if (err == HL_OK && reply.body.len > MISSED_MAX)
		err = HL_TOO_LARGE;
	while (err == HL_OK && span_next(answer.messages, &at, &message)) {
		*ret_seq = span_integer(span_member(message, "seq"), *ret_seq);
		if (!own_has(&s->own, *ret_seq))
			err = socket_message(s, room_tag(m), message);
	}
	if (err == HL_OK && answer.seq >= 0 && answer.seq < seen)
		*ret_seq = answer.seq;		/* room.c, rewind_to() */
	for (at = NULL; err == HL_OK && span_next(answer.emit, &at, &message);)
		err = socket_args(s, SIO_EVENT, (struct span){ NULL, 0 }, message);
	relay_reply_free(&reply);
	return err;
}

static void
leave_all(struct socket *s)
{
	struct member *m;

	while ((m = s->members) != NULL) {
		s->members = m->next_of_owner;
		room_leave(m);
	}
}

bool
socket_return(struct socket *s, const struct lost *l, int64_t seen)
{
	struct member *m = NULL;
	int64_t seq;
	char *state = l->state ? strdup(l->state) : NULL;
	enum hl_err err = l->state && state == NULL ? HL_NO_MEMORY : rejoin(s, l, &m);

	s->own = l->own;
	if (err == HL_OK && l->drops != s->client->hub->recovery.drops)
		err = HL_CONFLICT;	/* maybe this one, which nobody saw: it is asked who it is */
	if (err == HL_OK)
		err = send_missed(s, m, seen, &seq);
	if (err == HL_OK)
		err = socket_ends(s, l->ends_ms);
	if (err) {
		free(state);
		leave_all(s);
		return false;
	}
	roster_rename(&s->client->hub->roster, s, l->sid);
	memcpy(s->pid, l->pid, sizeof(s->pid));
	s->state = state;
	socket_let_in(s);
	room_go_live(m, seq);
	return true;
}
