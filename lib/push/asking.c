/*
 * asking.c - what clients say, asked of the events program in the order in which they said it, and what its answers lead to:
 * emissions, acknowledgements, rooms.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "push/answer.h"
#include "push/client.h"
#include "push/line.h"

#define MAX_ROUNDS	4u		/* joins that a joined answer may lead to, one after the other */

/* ---- asking ---- */

static enum hl_err
ask(struct socket *s, const char *kind, const struct buf *members, bool retry, struct relay_reply *reply)
{
	struct buf body = BUF_INIT(2 * RELAY_MAX_ANSWER);
	enum hl_err err;

	buf_printf(&body, "{\"kind\":\"%s\",\"socket\":\"%s\",\"nsp\":", kind, s->sid);
	buf_json(&body, s->nsp, s->nsp_len);
	if (s->state) {
		buf_puts(&body, ",\"state\":");
		buf_puts(&body, s->state);
	}
	buf_add(&body, members->data, members->len);
	buf_putc(&body, '}');
	if (buf_err(members))
		body.err = buf_err(members);
	err = relay_ask(&s->client->hub->relay, s->client->address, &body, retry, reply);
	buf_free(&body);
	return err;
}

/* ---- what it answers ---- */

static void
keep_state(struct socket *s, struct span state)
{
	char *copy = state.len ? strndup(state.p, state.len) : NULL;

	if (copy == NULL)
		return;
	free(s->state);
	s->state = copy;
}

static struct member **
find_member(struct socket *s, const char *room)
{
	struct member **at = &s->members;

	while (*at && strcmp(room_name(*at), room) != 0)
		at = &(*at)->next_of_owner;
	return at;
}

bool
socket_is_in(struct socket *s, struct span room)
{
	struct buf name = BUF_INIT(512);
	bool is_in = span_text(room, &name) && *find_member(s, name.data) != NULL;

	buf_free(&name);
	return is_in;
}

static void
leave_room(struct socket *s, const char *room)
{
	struct member **at = find_member(s, room), *m = *at;

	if (m == NULL)
		return;
	*at = m->next_of_owner;
	room_leave(m);
}

static void
leave_rooms(struct socket *s, struct span rooms)
{
	const char *at = NULL;
	struct span item;

	while (span_next(rooms, &at, &item)) {
		struct buf name = BUF_INIT(512);

		if (span_text(item, &name) && name.len)
			leave_room(s, name.data);
		buf_free(&name);
	}
}

enum hl_err
socket_join(struct socket *s, const char *room, struct member **ret)
{
	enum hl_err err = room_join(&s->client->hub->rooms, room, s, ret);

	if (err == HL_OK) {
		(*ret)->next_of_owner = s->members;
		s->members = *ret;
	}
	return err;
}

/*
 * Its member of the room, held back until the joined answer; *ret_was_in tells whether it was in it before.
 */
static enum hl_err
join_room(struct socket *s, const char *room, bool *ret_was_in)
{
	struct member *m = *find_member(s, room);
	enum hl_err err;

	*ret_was_in = m != NULL;
	if (m) {
		room_hold(m);
		return room_wait(m);
	}
	err = socket_join(s, room, &m);
	return err ? err : room_wait(m);
}

/* What an answer is to. */
struct joining {
	struct question	*q;		/* NULL: of a join that waited nobody is told anything but what is heard in the room */
	unsigned	 round;
	int64_t		 tells_to;	/* messages behind that seq are left out */
};

/* room: of a joined answer, else NULL. */
static enum hl_err apply(struct socket *, const struct joining *, const struct answer *, const char *room);

/*
 * How far a joined answer brings a member that is held back.  Who was in the room before has had all up to his last, and what
 * came since is held for him, unless the answer tells all of it.
 */
static bool
tells_all(const struct member *m, const struct joining *j, const struct answer *a)
{
	return m->last < 0 || (a->from >= 0 && a->from <= m->last && j->tells_to == INT64_MAX);
}

static int64_t
brings_to(const struct member *m, const struct joining *j, const struct answer *a)
{
	return tells_all(m, j, a) ? a->seq : m->last;
}

/* What joins of that room that wait need not tell any more. */
static void
tell_late(struct socket *s, const struct joining *j, const char *room, bool was_in, const struct answer *a, int64_t seq)
{
	if (j->q == NULL && a->from >= 0)
		late_joined(s, room, a->from);
	else if (j->q && !was_in)
		late_joined(s, room, a->from >= 0 ? 0 : seq);
}

/*
 * The subscription is live: asks again with what the first answer wanted to know then.  *ret_seq is where to
 * go on.
 */
static enum hl_err
ask_joined(struct socket *s, struct joining *j, const char *room, bool was_in, struct span then, int64_t *ret_seq)
{
	struct buf members = BUF_INIT(RELAY_MAX_ANSWER);
	struct relay_reply reply;
	struct answer answer;
	enum hl_err err;

	buf_puts(&members, ",\"room\":");
	buf_json_str(&members, room);
	if (then.len) {
		buf_puts(&members, ",\"then\":");
		buf_add(&members, then.p, then.len);
	}
	if (was_in)
		buf_puts(&members, ",\"in\":true");
	err = ask(s, "joined", &members, true, &reply);
	buf_free(&members);
	if (err && j->q) {
		socket_error(s, j->q, reply.message.data, reply.code.data);
	} else if (err) {
		err = reply.status >= 400 && reply.status < 500 && reply.status != 429 ? HL_NOT_FOUND : HL_STORE;
	} else {
		err = answer_parse(reply.body.data, reply.body.len, &answer);
		if (err == HL_OK) {
			*ret_seq = brings_to(*find_member(s, room), j, &answer);
			tell_late(s, j, room, was_in, &answer, *ret_seq);
			err = apply(s, j, &answer, room);
		}
		if (err && j->q)
			socket_own_error(s, j->q, err);
		if (err == HL_OK && *find_member(s, room))
			room_raise_epoch(*find_member(s, room), answer.epoch);
	}
	relay_reply_free(&reply);
	return err;
}

/* Its message is in the store: that is no news to it, wherever it is told. */
static enum hl_err
accepted(struct socket *s, struct question *q, int64_t own, struct span ack)
{
	if (own >= 0 && !s->left)
		own_add(&s->own, own);		/* it may be cut off before that is published */
	if (q == NULL || ack.len == 0 || !q->wants_ack || q->acked)
		return HL_OK;
	q->acked = true;
	return socket_args(s, SIO_ACK, (struct span){ q->id, strlen(q->id) }, ack);
}

static enum hl_err
join_one(struct socket *s, struct joining *j, struct span join)
{
	struct buf room = BUF_INIT(512), alias = BUF_INIT(512);
	struct member *m;
	int64_t seq = -1;
	bool was_in = false;
	enum hl_err err = span_text(span_member(join, "room"), &room) && room.len ? HL_OK : HL_UPSTREAM;

	if (err == HL_OK)
		err = join_room(s, room.data, &was_in);
	if (err == HL_OK && s->left)
		err = HL_CANCELLED;
	if (err == HL_OK && span_text(span_member(join, "alias"), &alias))
		room_alias(*find_member(s, room.data), (struct span){ alias.data, alias.len });
	if (err && j->q)
		socket_own_error(s, j->q, err);
	else if (err == HL_OK)
		err = ask_joined(s, j, room.data, was_in, span_member(join, "then"), &seq);
	if (err == HL_OK && j->q)
		err = accepted(s, j->q, span_integer(span_member(join, "own"), -1), span_member(join, "ack"));
	m = room.len ? *find_member(s, room.data) : NULL;	/* the answer may have left it again */
	if (m && err && !was_in)
		leave_room(s, room.data);
	else if (m)
		room_go_live(m, err ? m->last : seq);
	buf_free(&alias);
	buf_free(&room);
	return err;
}

/* ---- what an answer tells ---- */

/*
 * Of the messages of a joined answer, those that its client has not had: who was in the room has had all up to his last.  Where
 * the answer does not tell all, what is behind that is held for him, and what is not is told again.
 */
static bool
is_told(const struct member *m, const struct joining *j, const struct answer *a, int64_t seq)
{
	if (seq > j->tells_to)
		return false;
	return tells_all(m, j, a) ? seq > m->last : seq <= m->last;
}

/* What a joined answer tells of the room: the first of its emissions carries how far that brings the client. */
static enum hl_err
emit_all(struct socket *s, const struct joining *j, const struct answer *a, const char *room)
{
	const struct member *m = room ? *find_member(s, room) : NULL;
	char offset[PUBLICATION_OFFSET_MAX], *first = m && a->seq >= 0 ? offset : NULL;
	const char *at = NULL;
	struct span item;
	enum hl_err err = HL_OK;

	if (first)
		publication_offset(room_tag(m), brings_to(m, j, a), offset);
	for (; err == HL_OK && span_next(a->emit, &at, &item); first = NULL)
		err = socket_counted(s, item, first);
	at = NULL;
	while (err == HL_OK && m && span_next(a->messages, &at, &item))
		if (is_told(m, j, a, span_integer(span_member(item, "seq"), 0)))
			err = socket_message(s, tells_all(m, j, a) ? room_tag(m) : NULL, item);	/* told again, it brings nobody back */
	return err;
}

/* Emissions, then the acknowledgement, then joins: what a joined answer emits comes after what led to it. */
static enum hl_err
apply(struct socket *s, const struct joining *j, const struct answer *a, const char *room)
{
	struct joining next = { j->q, j->round + 1, INT64_MAX };
	struct span item;
	const char *at = NULL;
	enum hl_err err;

	keep_state(s, a->state);
	leave_rooms(s, a->leave);
	err = emit_all(s, j, a, room);
	if (err == HL_OK)
		err = accepted(s, j->q, a->own, a->ack);
	while (err == HL_OK && next.round <= MAX_ROUNDS && !s->left && span_next(a->join, &at, &item)) {
		if (late_put_off(s, item))
			err = accepted(s, j->q, span_integer(span_member(item, "own"), -1), span_member(item, "ack"));
		else
			(void)!join_one(s, &next, item);	/* the client has been told */
	}
	if (err == HL_OK && a->line.len)
		err = line_open(s, a->line);
	return err;
}

/* What has waited long enough, or was joined meanwhile. */
static void
join_late(struct socket *s)
{
	struct late *l;

	while (!s->left && (l = late_take(s)) != NULL) {
		struct joining j = { NULL, 0, l->tells_to };
		enum hl_err err = l->tells_to == 0 ? HL_OK : join_one(s, &j, (struct span){ l->join, strlen(l->join) });

		if (err == HL_STORE && !s->left)
			late_again(s, l);
		else
			free(l);
	}
	if (!s->left)
		late_wait(s);
}

/* ---- questions ---- */

static void
question_free(struct question *q)
{
	if (q) {
		free(q->client_id);
		lost_free(q->lost);
	}
	free(q);
}

/*
 * A client that gets CONNECT_ERROR never comes back by itself, one whose transport closes does: so only what
 * will be refused again is refused.
 */
static void
connect_failed(struct socket *s, const struct relay_reply *reply)
{
	struct buf data = BUF_INIT(16384);

	if (s->left || s->client->session == NULL)
		return;
	if (reply->status < 400 || reply->status >= 500 || reply->status == 429) {
		session_close(s->client->session);
		return;
	}
	buf_printf(&data, "{\"message\":%s,\"data\":{\"code\":%s}}", reply->message.data, reply->code.data);
	if (buf_err(&data) == HL_OK)
		socket_packet(s, SIO_CONNECT_ERROR, (struct span){ data.data, data.len });
	buf_free(&data);
	socket_leave(s);
}

static void
connect_answered(struct socket *s, struct question *q, const struct answer *a)
{
	struct joining j = { q, 0, INT64_MAX };
	struct answer rest = *a;
	const char *at = NULL;
	struct span room;
	enum hl_err err;

	if (a->refuse.len) {
		socket_packet(s, SIO_CONNECT_ERROR, a->refuse);
		socket_leave(s);
		return;
	}
	err = socket_ends(s, a->lives_ms < 0 ? 0 : clock_mono_ms() + a->lives_ms);
	if (err && s->client->session)
		session_close(s->client->session);
	if (err)
		return;
	keep_state(s, a->state);
	rest.state = (struct span){ NULL, 0 };		/* to go back to a room changes it */
	while (!s->left && span_next(a->back, &at, &room))
		err = err ? err : join_one(s, &j, room);
	if (err) {		/* it comes back once more, by itself */
		if (s->client->session)
			session_close(s->client->session);
		return;
	}
	socket_let_in(s);
	err = apply(s, &j, &rest, NULL);
	if (err)
		socket_own_error(s, q, err);
}

static void
perform(struct socket *s, struct question *q)
{
	struct relay_reply reply;
	struct answer answer;
	struct buf members = { .data = q->members, .len = q->len };
	struct joining j = { q, 0, INT64_MAX };
	enum hl_err err;

	if (q->lost && socket_return(s, q->lost, q->seen))
		return;
	err = ask(s, q->kind == ASK_CONNECT ? "connect" : "event", &members, true, &reply);

	if (err == HL_OK && (err = answer_parse(reply.body.data, reply.body.len, &answer)) != HL_OK) {
		reply.status = 502;
		buf_json_str(&reply.message, err_text(err));
		buf_json_str(&reply.code, err_code(err));
	}
	if (err && q->kind == ASK_CONNECT)
		connect_failed(s, &reply);
	else if (err)
		socket_error(s, q, reply.message.data, reply.code.data);
	else if (q->kind == ASK_CONNECT)
		connect_answered(s, q, &answer);
	else if ((err = apply(s, &j, &answer, NULL)) != HL_OK)
		socket_own_error(s, q, err);
	relay_reply_free(&reply);
}

static void
say_goodbye(struct socket *s)
{
	struct buf members = BUF_INIT(65536);
	struct relay_reply reply;
	enum hl_err err;

	buf_puts(&members, ",\"rooms\":[");
	for (struct member *m = s->members; m; m = m->next_of_owner) {
		buf_json_str(&members, room_name(m));
		buf_puts(&members, m->next_of_owner ? "," : "");
	}
	buf_putc(&members, ']');
	err = ask(s, "disconnect", &members, false, &reply);
	(void)err;		/* the events program does without */
	relay_reply_free(&reply);
	buf_free(&members);
}

static struct question *
take_question(struct socket *s)
{
	struct question *q = s->first;

	if (q == NULL)
		return NULL;
	s->first = q->next;
	s->waiting--;
	s->waiting_bytes -= q->len;
	return q;
}

static struct socket *
of_job(struct job *job)
{
	return (struct socket *)(void *)((char *)job - offsetof(struct socket, job));
}

/* One question, and the joins that have waited until then, or the leave-taking when there is none left. */
bool
socket_run(struct job *job)
{
	struct socket *s = of_job(job);
	struct question *q = take_question(s);

	/* What it said before it left is still asked, provided it was let in. */
	if (q && (s->connected || !s->left))
		perform(s, q);
	question_free(q);
	join_late(s);
	if (s->first || (s->left && q)) {
		workers_add(&s->client->hub->questions, job);
		return true;
	}
	if (!s->left)
		return true;
	if (s->connected) {
		socket_remember(s);
		say_goodbye(s);
	}
	socket_free(s);
	return false;
}

struct question *
question_new(enum question_kind kind, const struct buf *members)
{
	struct question *q = buf_err(members) ? NULL : calloc(1, sizeof(*q) + members->len + 1);

	if (q == NULL)
		return NULL;
	q->kind = kind;
	q->len = members->len;
	memcpy(q->members, members->data, members->len);
	return q;
}

void
question_add(struct socket *s, struct question *q)
{
	q->next = NULL;
	if (s->first)
		s->last->next = q;
	else
		s->first = q;
	s->last = q;
	s->waiting++;
	s->waiting_bytes += q->len;
	workers_add(&s->client->hub->questions, &s->job);
}
