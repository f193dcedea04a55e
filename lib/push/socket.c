#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/socketio.h"
#include "base/str.h"
#include "push/client.h"
#include "push/line.h"
#include "push/socket.h"

#define MAX_CLIENT_ID	256u		/* bytes of JSON of a clientMessageId */

/* ---- lives ---- */

static void
client_unref(struct client *c)
{
	if (--c->refs > 0)
		return;
	sio_decoder_free(&c->decoder);
	free(c);
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

void
socket_free(struct socket *s)
{
	struct member *m, *next;

	for (m = s->members; m; m = next) {
		next = m->next_of_owner;
		room_leave(m);
	}
	late_free(s);
	if (s->ends.expired)
		deadline_end(s->client->hub->rooms.deadlines, &s->ends);
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

void
socket_error(struct socket *s, struct question *q, const char *message, const char *code)
{
	struct buf b = BUF_INIT(16384);
	struct span none = { NULL, 0 };
	enum hl_err err;

	if (!s->connected) {		/* it is closed, and comes back: a client would take this for an error of the next time */
		buf_free(&b);
		return;
	}
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

void
socket_own_error(struct socket *s, struct question *q, enum hl_err why)
{
	struct buf message = BUF_INIT(256), code = BUF_INIT(256);

	buf_json_str(&message, err_text(why));
	buf_json_str(&code, err_code(why));
	if (buf_err(&message) == HL_OK && buf_err(&code) == HL_OK)
		socket_error(s, q, message.data, code.data);
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
	bool own = strcmp(p->except, s->sid) == 0;

	if (s->left || s->client->session == NULL)
		return;
	if (own && p->seq > 0)
		own_add(&s->own, p->seq);
	for (unsigned i = own; i < p->count; i++) {
		struct message *m = p->messages[i];	/* "42[…]", shared by all on "/" */

		if (s->nsp_len == 1)
			session_send(s->client->session, m);
		else if (socket_args(s, SIO_EVENT, none, args_of(m)) != HL_OK)
			return;
	}
}

enum hl_err
socket_counted(struct socket *s, struct span args, const char *offset)
{
	struct buf text = BUF_INIT(args.len + PUBLICATION_OFFSET_MAX + 4);
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
socket_message(struct socket *s, const char *tag, struct span message)
{
	struct span event, events = span_member(message, "emit");
	char offset[PUBLICATION_OFFSET_MAX], *first = tag ? offset : NULL;
	const char *at = NULL;
	enum hl_err err = HL_OK;

	if (tag)
		publication_offset(tag, span_integer(span_member(message, "seq"), 0), offset);
	for (; err == HL_OK && span_next(events, &at, &event); first = NULL)
		err = socket_counted(s, event, first);
	return err;
}

void
socket_let_in(struct socket *s)
{
	struct buf data = BUF_INIT(128);

	s->connected = true;
	s->connected_ms = clock_mono_ms();
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

/* Its client comes back by itself, and is let in if it has another token by then. */
static void
token_over(struct deadline *d)
{
	struct socket *s = (struct socket *)(void *)((char *)d - offsetof(struct socket, ends));
	struct session *session = s->client->session;

	socket_leave(s);
	if (session)
		session_close(session);
}

enum hl_err
socket_ends(struct socket *s, int64_t at_ms)
{
	struct deadlines *all = s->client->hub->rooms.deadlines;
	enum hl_err err = at_ms && s->ends.expired == NULL ? deadline_init(all, &s->ends, token_over) : HL_OK;

	if (at_ms && err == HL_OK)
		deadline_set(all, &s->ends, at_ms);
	return err;
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
	s->job.run = socket_run;
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
		question_add(s, q);
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
question_wants(struct question *q, const struct sio_packet *k)
{
	q->wants_ack = k->id.len > 0;
	memcpy(q->id, k->id.p ? k->id.p : "", k->id.len);
}

static void
question_is(struct question *q, const struct sio_packet *k)
{
	const char *at = NULL;
	struct span name;

	if (span_next(k->data, &at, &name) && name.len < sizeof(q->event))
		memcpy(q->event, name.p, name.len);
}

/* Nothing in it was read, so nothing but its acknowledgement says which one it was. */
static void
refuse_deep(struct socket *s, const struct sio_packet *k)
{
	struct question refused = { .kind = ASK_EVENT };

	question_wants(&refused, k);
	socket_own_error(s, &refused, HL_BAD_JSON);
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
	question_wants(q, k);
	if (q != &refused) {
		question_is(q, k);
		question_add(s, q);
	} else {
		socket_own_error(s, q, full ? HL_TOO_MANY : members.err ? members.err : HL_NO_MEMORY);
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
	else if (k->too_deep)
		refuse_deep(s, k);
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
		if (!job_is_idle(&s->job) || s->late)
			return false;
	return true;
}

const struct session_app socket_app = { client_open, client_message, client_idle, client_closed };

/* ---- the hub ---- */

enum hl_err
hub_init(struct hub *h, uv_loop_t *loop, const struct conf *conf, struct redis *redis, struct fcgi_client *events,
    struct deadlines *deadlines)
{
	*h = (struct hub){
		.relay = { .events = events, .conf = conf },
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
