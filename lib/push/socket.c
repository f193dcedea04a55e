#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/socketio.h"
#include "base/str.h"
#include "push/answer.h"
#include "push/client.h"
#include "push/line.h"
#include "push/socket.h"

#define MAX_CLIENT_ID	256u		/* bytes of JSON of a clientMessageId */
#define MAX_ROUNDS	4u		/* joins that a joined answer may lead to, one after the other */

static struct socket *
of_job(struct job *job)
{
	return (struct socket *)(void *)((char *)job - offsetof(struct socket, job));
}

/* ---- lives ---- */

static void
client_unref(struct client *c)
{
	if (--c->refs > 0)
		return;
	sio_decoder_free(&c->decoder);
	free(c);
}

static void
question_free(struct question *q)
{
	if (q) {
		free(q->client_id);
		lost_free(q->lost);
	}
	free(q);
}

void
socket_leave(struct socket *s)
{
	struct socket **at = &s->client->sockets;

	if (s->left)
		return;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	line_close(s);
	s->left = true;
	workers_add(&s->client->hub->questions, &s->job);
}

static void
socket_free(struct socket *s)
{
	struct member *m, *next;

	for (m = s->members; m; m = next) {
		next = m->next_of_owner;
		room_leave(m);
	}
	roster_remove(&s->client->hub->roster, s);
	client_unref(s->client);
	free(s->state);
	free(s);
}

/* ---- to the client ---- */

static void
send_all(struct socket *s, struct message **messages, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!s->left && s->client->session)
			session_send(s->client->session, messages[i]);
		message_unref(messages[i]);
	}
}

enum hl_err
socket_args(struct socket *s, enum sio_type type, struct span id, struct span args)
{
	struct message *messages[1 + SIO_MAX_ATTACHMENTS];
	unsigned n;
	enum hl_err err = packet_messages(type, nsp_of(s), id, args, messages, &n);

	send_all(s, messages, n);
	return err;
}

void
socket_packet(struct socket *s, enum sio_type type, struct span data)
{
	struct sio_packet packet = { .type = type, .nsp = nsp_of(s), .data = data };
	struct buf text = BUF_INIT(RELAY_MAX_ANSWER);
	struct message *m = NULL;

	buf_putc(&text, '4');
	sio_encode(&text, &packet);
	if (buf_err(&text) == HL_OK)
		m = message_new(MESSAGE_TEXT, text.data, text.len);
	if (m)
		send_all(s, &m, 1);
	buf_free(&text);
}

/* An error event, and a negative acknowledgement where one is wanted.  message and code are JSON strings. */
static void
send_error(struct socket *s, struct question *q, const char *message, const char *code)
{
	struct buf b = BUF_INIT(16384);
	struct span none = { NULL, 0 };
	enum hl_err err;

	buf_printf(&b, "[\"error\",{\"message\":%s,\"code\":%s", message, code);
	if (q && q->client_id)
		buf_printf(&b, ",\"clientMessageId\":%s", q->client_id);
	buf_puts(&b, "}]");
	err = buf_err(&b);
	if (err == HL_OK)
		err = socket_args(s, SIO_EVENT, none, (struct span){ b.data, b.len });
	buf_reset(&b);
	if (q && q->wants_ack && !q->acked) {
		buf_printf(&b, "[{\"ok\":false,\"error\":%s,\"code\":%s}]", message, code);
		q->acked = true;
		if (err == HL_OK && buf_err(&b) == HL_OK)
			err = socket_args(s, SIO_ACK, (struct span){ q->id, strlen(q->id) },
			    (struct span){ b.data, b.len });
	}
	(void)err;		/* no memory to complain about it */
	buf_free(&b);
}

static void
send_own_error(struct socket *s, struct question *q, enum hl_err why)
{
	struct buf message = BUF_INIT(256), code = BUF_INIT(256);

	buf_json_str(&message, err_text(why));
	buf_json_str(&code, err_code(why));
	if (buf_err(&message) == HL_OK && buf_err(&code) == HL_OK)
		send_error(s, q, message.data, code.data);
	buf_free(&message);
	buf_free(&code);
}

/* The arguments of an event on "/", "42[…]". */
static struct span
args_of(const struct message *m)
{
	return (struct span){ message_data(m) + 2, m->len - 2 };
}

/* A publication of a room. */
static void
deliver(void *owner, struct publication *p)
{
	struct socket *s = owner;
	struct span none = { NULL, 0 };

	if (s->left || s->client->session == NULL || strcmp(p->except, s->sid) == 0)
		return;
	for (unsigned i = 0; i < p->count; i++) {
		struct message *m = p->messages[i];	/* "42[…]", shared by all on "/" */

		if (s->nsp_len == 1)
			session_send(s->client->session, m);
		else if (socket_args(s, SIO_EVENT, none, args_of(m)) != HL_OK)
			return;
	}
}

/* Arguments with an offset, where there is one. */
static enum hl_err
send_counted(struct socket *s, struct span args, const char *offset)
{
	struct buf text = BUF_INIT(args.len + ROOM_OFFSET_MAX + 4);
	struct span none = { NULL, 0 };
	enum hl_err err;

	if (offset == NULL || s->client->hub->recovery.keep_ms == 0)
		return socket_args(s, SIO_EVENT, none, args);
	args_with_offset(&text, args, offset);
	err = buf_err(&text);
	if (err == HL_OK)
		err = socket_args(s, SIO_EVENT, none, (struct span){ text.data, text.len });
	buf_free(&text);
	return err;
}

enum hl_err
socket_message(struct socket *s, const char *room, struct span message)
{
	struct span event, events = span_member(message, "emit");
	char offset[ROOM_OFFSET_MAX], *first = offset;
	const char *at = NULL;
	enum hl_err err = HL_OK;

	room_offset(room, span_integer(span_member(message, "seq"), 0), offset);
	for (; err == HL_OK && span_next(events, &at, &event); first = NULL)
		err = send_counted(s, event, first);
	return err;
}

/* ---- what the events program answers ---- */

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

/* room: of a joined answer, else NULL. */
static enum hl_err apply(struct socket *, struct question *, const struct answer *, const char *room, unsigned round);

/*
 * The subscription is live: asks again with what the first answer wanted to know then.  *ret_seq is where to
 * go on.
 */
static enum hl_err
ask_joined(struct socket *s, struct question *q, const char *room, struct span then, unsigned round,
    int64_t *ret_seq)
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
	err = ask(s, "joined", &members, true, &reply);
	buf_free(&members);
	if (err) {
		send_error(s, q, reply.message.data, reply.code.data);
	} else {
		err = answer_parse(reply.body.data, reply.body.len, &answer);
		if (err == HL_OK)
			err = apply(s, q, &answer, room, round + 1);
		if (err)
			send_own_error(s, q, err);
		*ret_seq = answer.seq;
		if (err == HL_OK && *find_member(s, room))
			room_raise_epoch(*find_member(s, room), answer.epoch);
	}
	relay_reply_free(&reply);
	return err;
}

static void
join_one(struct socket *s, struct question *q, struct span join, unsigned round)
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
	if (err)
		send_own_error(s, q, err);
	else
		err = ask_joined(s, q, room.data, span_member(join, "then"), round, &seq);
	m = room.len ? *find_member(s, room.data) : NULL;	/* the answer may have left it again */
	if (m && err == HL_OK && span_text(span_member(join, "alias"), &alias))
		room_alias(m, (struct span){ alias.data, alias.len });
	if (m && err && !was_in)
		leave_room(s, room.data);
	else if (m)
		room_go_live(m, err ? m->last : seq);
	buf_free(&alias);
	buf_free(&room);
}

/* What a joined answer tells of the room: up to its seq, which the first of its emissions carries. */
static enum hl_err
emit_all(struct socket *s, const struct answer *a, const char *room)
{
	char offset[ROOM_OFFSET_MAX], *first = room && a->seq >= 0 ? offset : NULL;
	const char *at = NULL;
	struct span item;
	enum hl_err err = HL_OK;

	if (first)
		room_offset(room, a->seq, offset);
	for (; err == HL_OK && span_next(a->emit, &at, &item); first = NULL)
		err = send_counted(s, item, first);
	at = NULL;
	while (err == HL_OK && room && span_next(a->messages, &at, &item))
		err = socket_message(s, room, item);
	return err;
}

/* Emissions, then the acknowledgement, then joins: what a joined answer emits comes after what led to it. */
static enum hl_err
apply(struct socket *s, struct question *q, const struct answer *a, const char *room, unsigned round)
{
	struct span item;
	const char *at = NULL;
	enum hl_err err;

	keep_state(s, a->state);
	leave_rooms(s, a->leave);
	err = emit_all(s, a, room);
	if (err == HL_OK && a->ack.len && q->wants_ack && !q->acked) {
		q->acked = true;
		err = socket_args(s, SIO_ACK, (struct span){ q->id, strlen(q->id) }, a->ack);
	}
	while (err == HL_OK && round < MAX_ROUNDS && !s->left && span_next(a->join, &at, &item))
		join_one(s, q, item, round);
	if (err == HL_OK && a->line.len)
		err = line_open(s, a->line);
	return err;
}

/* ---- questions ---- */

void
socket_let_in(struct socket *s)
{
	struct buf data = BUF_INIT(128);

	s->connected = true;
	if (s->left || s->client->session == NULL)
		return;
	session_joined(s->client->session);
	buf_printf(&data, "{\"sid\":\"%s\"", s->sid);
	if (s->client->hub->recovery.keep_ms)
		buf_printf(&data, ",\"pid\":\"%s\"", s->pid);
	buf_putc(&data, '}');
	if (buf_err(&data) == HL_OK)
		socket_packet(s, SIO_CONNECT, (struct span){ data.data, data.len });
	buf_free(&data);
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
	enum hl_err err;

	if (a->refuse.len) {
		socket_packet(s, SIO_CONNECT_ERROR, a->refuse);
		socket_leave(s);
		return;
	}
	socket_let_in(s);
	err = apply(s, q, a, NULL, 0);
	if (err)
		send_own_error(s, q, err);
}

static void
perform(struct socket *s, struct question *q)
{
	struct relay_reply reply;
	struct answer answer;
	struct buf members = { .data = q->members, .len = q->len };
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
		send_error(s, q, reply.message.data, reply.code.data);
	else if (q->kind == ASK_CONNECT)
		connect_answered(s, q, &answer);
	else if ((err = apply(s, q, &answer, NULL, 0)) != HL_OK)
		send_own_error(s, q, err);
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

/* One question, or the leave-taking when there is none left. */
static bool
run(struct job *job)
{
	struct socket *s = of_job(job);
	struct question *q = take_question(s);

	/* What it said before it left is still asked, provided it was let in. */
	if (q && (s->connected || !s->left))
		perform(s, q);
	question_free(q);
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

static struct question *
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

static void
add_question(struct socket *s, struct question *q)
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

/* ---- from the client ---- */

static struct socket *
find_socket(struct client *c, struct span nsp)
{
	struct socket *s = c->sockets;

	while (s && (s->nsp_len != nsp.len || memcmp(s->nsp, nsp.p, nsp.len) != 0))
		s = s->next;
	return s;
}

static enum hl_err
socket_new(struct client *c, struct span nsp, struct socket **ret)
{
	struct socket *s;

	/* The session counts as one; sockets that have left count until their leave-taking is over. */
	if (c->refs > CLIENT_MAX_SOCKETS)
		return HL_TOO_MANY;
	*ret = s = calloc(1, sizeof(*s) + nsp.len + 1);
	if (s == NULL)
		return HL_NO_MEMORY;
	s->client = c;
	c->refs++;
	s->job.run = run;
	id_new(s->sid);
	id_new(s->pid);
	s->nsp_len = nsp.len;
	memcpy(s->nsp, nsp.p, nsp.len);
	s->next = c->sockets;
	c->sockets = s;
	roster_add(&c->hub->roster, s);
	return HL_OK;
}

static enum hl_err
on_connect(struct client *c, const struct sio_packet *k)
{
	struct buf members = BUF_INIT(SOCKET_MAX_BYTES);
	struct lost *lost;
	struct socket *s;
	struct question *q;
	int64_t seen = -1;
	enum hl_err err = find_socket(c, k->nsp) ? HL_BAD_REQUEST : socket_new(c, k->nsp, &s);

	if (err)
		return err;
	lost = returning(c->hub, k->nsp, k->data, &seen);
	buf_puts(&members, ",\"auth\":");
	buf_add(&members, k->data.len ? k->data.p : "{}", k->data.len ? k->data.len : 2);
	if (c->session->authorization && utf8_valid(c->session->authorization, strlen(c->session->authorization))) {
		buf_puts(&members, ",\"authorization\":");
		buf_json_str(&members, c->session->authorization);
	}
	q = question_new(ASK_CONNECT, &members);
	buf_free(&members);
	if (q) {
		q->lost = lost;
		q->seen = seen;
		add_question(s, q);
	} else {
		lost_free(lost);
		socket_leave(s);
	}
	return q ? HL_OK : HL_TOO_LARGE;
}

/* The clientMessageId of an event's first argument, so that an error can name it. */
static char *
client_id_of(const struct sio_packet *k)
{
	const char *at = NULL;
	struct span item, id;

	if (!span_next(k->data, &at, &item) || !span_next(k->data, &at, &item))
		return NULL;
	id = span_member(item, "clientMessageId");
	return id.len && id.len <= MAX_CLIENT_ID && id.p[0] == '"' ? strndup(id.p, id.len) : NULL;
}

static void
event_members(struct buf *b, struct client *c, const struct sio_packet *k)
{
	buf_puts(b, ",\"args\":");
	buf_add(b, k->data.p, k->data.len);
	buf_puts(b, k->id.len ? ",\"ack\":true" : ",\"ack\":false");
	for (unsigned i = 0; i < k->attachments; i++) {
		struct span part = sio_attachment(&c->decoder, i);

		buf_puts(b, i == 0 ? ",\"binary\":[\"" : ",\"");
		buf_base64(b, part.p, part.len);
		buf_putc(b, '"');
	}
	if (k->attachments)
		buf_putc(b, ']');
}

static void
on_event(struct client *c, struct socket *s, const struct sio_packet *k)
{
	struct buf members = BUF_INIT(EVENT_MAX);
	struct question *q, refused = { .kind = ASK_EVENT };
	bool full;

	event_members(&members, c, k);
	full = s->waiting >= SOCKET_MAX_WAITING || (s->waiting_bytes > 0 && s->waiting_bytes + members.len > SOCKET_MAX_BYTES);
	q = full || buf_err(&members) ? &refused : question_new(ASK_EVENT, &members);
	if (q == NULL)
		q = &refused;
	q->client_id = client_id_of(k);
	q->wants_ack = k->id.len > 0;
	memcpy(q->id, k->id.p ? k->id.p : "", k->id.len);
	if (q != &refused) {
		add_question(s, q);
	} else {
		send_own_error(s, q, full ? HL_TOO_MANY : members.err ? members.err : HL_NO_MEMORY);
		free(refused.client_id);
	}
	buf_free(&members);
}

static enum hl_err
on_packet(struct client *c, const struct sio_packet *k)
{
	struct socket *s;

	if (k->type == SIO_CONNECT)
		return on_connect(c, k);
	s = find_socket(c, k->nsp);
	if (s == NULL || k->type == SIO_CONNECT_ERROR)
		return HL_BAD_REQUEST;
	if (k->type == SIO_DISCONNECT)
		socket_leave(s);
	else if ((k->type == SIO_EVENT || k->type == SIO_BINARY_EVENT) && k->data.len && !line_takes(s, k))
		on_event(c, s, k);
	/* we ask for no acknowledgements, so those that come are unknown and ignored */
	return HL_OK;
}

/* ---- sessions ---- */

static enum hl_err
client_open(void *arg, struct session *session)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return HL_NO_MEMORY;
	c->hub = arg;
	c->session = session;
	c->refs = 1;
	memcpy(c->address, session->address, sizeof(c->address));
	session->user = c;
	return HL_OK;
}

static enum hl_err
client_message(struct session *session, const char *bytes, size_t len, bool binary)
{
	struct client *c = session->user;
	struct sio_packet packet;
	bool whole;
	enum hl_err err = binary ? sio_feed_binary(&c->decoder, bytes, len, &packet, &whole)
	    : sio_feed_text(&c->decoder, bytes, len, &packet, &whole);

	if (err || !whole)
		return err;
	c->refs++;		/* a packet may end the session */
	err = on_packet(c, &packet);
	sio_decoder_free(&c->decoder);
	client_unref(c);
	return err;
}

static void
client_closed(struct session *session)
{
	struct client *c = session->user;

	c->session = NULL;
	while (c->sockets) {
		c->sockets->cut_off = true;
		socket_leave(c->sockets);
	}
	client_unref(c);
}

static bool
client_idle(const struct session *session)
{
	const struct client *c = session->user;

	for (const struct socket *s = c->sockets; s; s = s->next)
		if (!job_is_idle(&s->job))
			return false;
	return true;
}

const struct session_app socket_app = { client_open, client_message, client_idle, client_closed };

/* ---- the hub ---- */

enum hl_err
hub_init(struct hub *h, uv_loop_t *loop, const struct conf *conf, struct redis *redis, struct http *http,
    struct deadlines *deadlines)
{
	*h = (struct hub){
		.relay = { .http = http, .conf = conf },
		.questions = { .loop = loop, .max = MAX_QUESTIONS },
		.replays = { .loop = loop, .max = MAX_REPLAYS },
		.rooms = { .redis = redis, .deadlines = deadlines, .deliver = deliver, .offsets = conf->recovery_ms > 0 },
		.recovery = { .max = (size_t)conf->max_sockets, .keep_ms = conf->recovery_ms, .now_ms = clock_mono_ms,
		    .deadlines = deadlines },
	};
	h->rooms.relay = &h->relay;
	h->rooms.replays = &h->replays;
	if (recovery_init(&h->recovery) != HL_OK)
		return HL_NO_MEMORY;
	if (roster_init(&h->roster) != HL_OK || rooms_init(&h->rooms) != HL_OK)
		return HL_NO_MEMORY;
	return emitter_start(h, redis);
}

void
hub_free(struct hub *h)
{
	rooms_free(&h->rooms);
	roster_free(&h->roster);
	recovery_free(&h->recovery);
}

bool
hub_is_idle(const struct hub *h)
{
	return h->questions.running == 0 && h->questions.head == NULL;
}
