/*
 * What other programs emit by @socket.io/redis-emitter: publications on socket.io#<namespace>#[<room>#], MessagePack
 * ["emitter", packet, {rooms, except, flags}], and requests on socket.io-request#/#, JSON.
 *
 * A room is a session's id (for those who have joined it), a socket's id, or a name that socketsJoin made; no room means
 * all.  The room of a channel is in the payload too, so the payload alone counts.  Of the flags "volatile" is obeyed, the
 * others mean nothing here.  Who is put into a session's id by socketsJoin hears what is emitted to it, and not the chat's
 * own events: for these a socket joins by join-chat.  serverSideEmit has nobody here to hear it and is ignored, and so are
 * requests that want an answer: those are sent by servers with an adapter, of which this is none.
 *
 * Nothing here is counted, kept or replayed: a client that is away misses it, as with the emitter it always does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/msgpack.h"
#include "push/answer.h"
#include "push/client.h"

#define EMISSIONS	"socket.io#/*"
#define REQUESTS	"socket.io-request#/#"
#define MAX_NAMES	64u			/* of rooms, in one list */
#define MAX_ROOM_NAME	128u			/* bytes of one that socketsJoin makes */
#define MAX_JOINED	16u			/* rooms of one socket */
#define EVENT_TYPE	2
#define BROADCAST_MAX	RELAY_MAX_ANSWER

enum request_type { REQUEST_JOIN = 2, REQUEST_LEAVE = 3, REQUEST_DISCONNECT = 4 };

struct names { struct span list[MAX_NAMES]; size_t count; };

struct targets {
	struct names	 rooms, except;
	struct span	 nsp;
	bool		 also_new;	/* those, too, that have not been let in yet */
};

struct emission {
	struct targets	 to;
	bool		 is_volatile;
	unsigned	 binaries;
	struct buf	 args, binary;		/* JSON */
};

/* ---- whom it concerns ---- */

typedef void (*visit)(struct socket *, void *arg);

static void
mark_all(struct hub *h, const struct names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		struct socket *s = roster_find(&h->roster, names->list[i]);
		const struct room *r = NULL;

		if (s)
			s->mark = h->roster.mark;
		while ((r = room_called(&h->rooms, names->list[i], r)) != NULL)
			for (const struct member *m = room_members(r); m; m = m->next)
				((struct socket *)m->owner)->mark = h->roster.mark;
	}
}

/* Once each, and not those that are marked. */
static void
concern(struct hub *h, struct socket *s, const struct targets *to, visit each, void *arg)
{
	if (s->mark == h->roster.mark || !(s->connected || to->also_new) || s->left || s->client->session == NULL ||
	    s->nsp_len != to->nsp.len || memcmp(s->nsp, to->nsp.p, s->nsp_len) != 0)
		return;
	s->mark = h->roster.mark;
	each(s, arg);
}

static void
concern_room(struct hub *h, struct span name, const struct targets *to, visit each, void *arg)
{
	struct socket *s = roster_find(&h->roster, name);
	const struct room *r = NULL;

	if (s)
		concern(h, s, to, each, arg);
	while ((r = room_called(&h->rooms, name, r)) != NULL)
		for (const struct member *m = room_members(r); m; m = m->next)
			concern(h, m->owner, to, each, arg);
}

/* The visit may close and send, but make no member leave a room. */
static void
visit_targets(struct hub *h, const struct targets *to, visit each, void *arg)
{
	h->roster.mark++;
	mark_all(h, &to->except);
	for (size_t i = 0; i < to->rooms.count; i++)
		concern_room(h, to->rooms.list[i], to, each, arg);
	if (to->rooms.count)
		return;
	for (size_t i = 0; i < h->roster.buckets; i++)
		for (struct socket *s = h->roster.table[i]; s; s = s->next_in_roster)
			concern(h, s, to, each, arg);
}

/* ---- an emission's bytes ---- */

static bool
is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static enum hl_err
parse_names(struct msgpack *m, struct names *ret)
{
	uint32_t n;
	enum hl_err err = msgpack_array(m, &n);

	if (err == HL_OK && n > MAX_NAMES)
		return HL_TOO_MANY;
	for (ret->count = 0; err == HL_OK && ret->count < n; ret->count++)
		err = msgpack_text(m, &ret->list[ret->count]);
	return err;
}

static enum hl_err
parse_data(struct msgpack *m, struct emission *e)
{
	struct msgpack ahead = *m;
	uint32_t n;
	enum hl_err err = msgpack_array(&ahead, &n);

	if (err == HL_OK && (n == 0 || !msgpack_is_text(&ahead)))
		err = HL_BAD_REQUEST;
	return err ? err : msgpack_json(m, &e->args, &e->binary, &e->binaries);
}

static enum hl_err
parse_packet(struct msgpack *m, struct emission *e)
{
	uint32_t n;
	int64_t type = 0;
	enum hl_err err = msgpack_map(m, &n);

	for (; err == HL_OK && n > 0; n--) {
		struct span key;

		err = msgpack_text(m, &key);
		if (err)
			break;
		if (is(key, "type"))
			err = msgpack_integer(m, &type);
		else if (is(key, "nsp"))
			err = msgpack_text(m, &e->to.nsp);
		else if (is(key, "data") && e->args.len == 0)
			err = parse_data(m, e);
		else
			err = msgpack_skip(m);
	}
	return err ? err : type == EVENT_TYPE && e->args.len && e->to.nsp.len ? HL_OK : HL_BAD_REQUEST;
}

static enum hl_err
parse_flags(struct msgpack *m, struct emission *e)
{
	uint32_t n;
	enum hl_err err = msgpack_map(m, &n);

	for (; err == HL_OK && n > 0; n--) {
		struct span key;

		err = msgpack_text(m, &key);
		if (err == HL_OK)
			err = is(key, "volatile") ? msgpack_bool(m, &e->is_volatile) : msgpack_skip(m);
	}
	return err;
}

static enum hl_err
parse_options(struct msgpack *m, struct emission *e)
{
	uint32_t n;
	enum hl_err err = msgpack_map(m, &n);

	for (; err == HL_OK && n > 0; n--) {
		struct span key;

		err = msgpack_text(m, &key);
		if (err)
			break;
		if (is(key, "rooms"))
			err = parse_names(m, &e->to.rooms);
		else if (is(key, "except"))
			err = parse_names(m, &e->to.except);
		else if (is(key, "flags"))
			err = parse_flags(m, e);
		else
			err = msgpack_skip(m);
	}
	return err;
}

static enum hl_err
emission_parse(const char *payload, size_t len, struct emission *e)
{
	struct msgpack m = { (const unsigned char *)payload, (const unsigned char *)payload + len };
	struct span uid;
	uint32_t n;
	enum hl_err err = msgpack_array(&m, &n);

	if (err == HL_OK && n != 3)
		err = HL_BAD_REQUEST;
	if (err == HL_OK)
		err = msgpack_text(&m, &uid);
	if (err == HL_OK)
		err = parse_packet(&m, e);
	if (err == HL_OK)
		err = parse_options(&m, e);
	return err;
}

/* ---- emitting ---- */

struct sending {
	const struct emission *emission;
	struct message	*messages[1 + SIO_MAX_ATTACHMENTS];
	unsigned	 count;
};

static void
send_to(struct socket *s, void *arg)
{
	const struct sending *sending = arg;

	if (sending->emission->is_volatile && !session_ready(s->client->session))
		return;
	for (unsigned i = 0; i < sending->count; i++)
		session_send(s->client->session, sending->messages[i]);
}

/*
 * The packet, once for all.  A client that knows a pid takes any text at the end of an event for an offset, and could not
 * be recovered any more: one more argument that is none keeps it from that.
 */
static enum hl_err
encode(struct hub *h, struct emission *e, struct sending *sending)
{
	struct buf text = BUF_INIT(2 * BROADCAST_MAX);
	struct span none = { NULL, 0 };
	struct sio_packet packet;
	const struct message *head;
	bool ends_in_text = e->args.data[e->args.len - 2] == '"';	/* maybe the name itself */
	enum hl_err err;

	buf_puts(&text, e->binaries ? "{\"args\":" : "");
	buf_add(&text, e->args.data, e->args.len - 1);
	buf_puts(&text, ends_in_text && h->recovery.keep_ms ? ",null]" : "]");
	if (e->binaries) {
		buf_puts(&text, ",\"binary\":[");
		buf_add(&text, e->binary.data, e->binary.len);
		buf_puts(&text, "]}");
	}
	err = buf_err(&text);
	if (err == HL_OK)
		err = packet_messages(SIO_EVENT, e->to.nsp, none, (struct span){ text.data, text.len }, sending->messages,
		    &sending->count);
	if (err == HL_OK) {
		/* What clients would refuse (a reserved name) would cut all of them off. */
		head = sending->messages[0];
		err = sio_parse(message_data(head) + 1, head->len - 1, &packet);
		if (err == HL_OK && packet.too_deep)
			err = HL_BAD_REQUEST;
	}
	buf_free(&text);
	return err;
}

static void
on_emission(void *arg, const char *payload, size_t len)
{
	struct hub *h = arg;
	struct emission e = { .args = BUF_INIT(BROADCAST_MAX), .binary = BUF_INIT(BROADCAST_MAX) };
	struct sending sending = { .emission = &e };

	if (emission_parse(payload, len, &e) == HL_OK && encode(h, &e, &sending) == HL_OK)
		visit_targets(h, &e.to, send_to, &sending);
	for (unsigned i = 0; i < sending.count; i++)
		message_unref(sending.messages[i]);
	buf_free(&e.args);
	buf_free(&e.binary);
}

/* ---- requests ---- */

struct collected { struct socket **list; size_t count; };

static void
collect(struct socket *s, void *arg)
{
	struct collected *c = arg;

	c->list[c->count++] = s;
}

static void
join(struct socket *s, const char *name)
{
	char room[sizeof(ROOM_LOCAL) + MAX_ROOM_NAME];
	struct member *m;
	size_t n = 0;

	if (*name == '\0' || strlen(name) > MAX_ROOM_NAME)
		return;
	snprintf(room, sizeof(room), ROOM_LOCAL "%s", name);
	for (m = s->members; m; m = m->next_of_owner, n++)
		if (strcmp(room_name(m), room) == 0)
			return;
	if (n < MAX_JOINED && socket_join(s, room, &m) == HL_OK)
		room_go_live(m, -1);
}

static void
leave(struct socket *s, const char *name)
{
	char room[sizeof(ROOM_LOCAL) + MAX_ROOM_NAME];
	struct member **at = &s->members, *m;

	snprintf(room, sizeof(room), ROOM_LOCAL "%s", name);
	while ((m = *at) != NULL && strcmp(room_name(m), room) != 0)
		at = &m->next_of_owner;
	if (m == NULL)
		return;
	*at = m->next_of_owner;
	room_leave(m);
}

/* It is final: such a client does not come back by itself. */
static void
send_away(struct socket *s)
{
	socket_packet(s, SIO_DISCONNECT, (struct span){ NULL, 0 });
	socket_leave(s);
}

static void
disconnect(struct socket *s, bool close)
{
	struct client *c = s->client;		/* the session keeps it */

	if (!close) {
		send_away(s);
		return;
	}
	while (c->sockets)
		send_away(c->sockets);
	session_close_soon(c->session);
}

static void
carry_out(struct socket *s, int64_t type, const struct json *doc)
{
	const struct json *rooms = json_get(doc, "rooms");

	if (type == REQUEST_DISCONNECT) {
		disconnect(s, json_true(json_get(doc, "close")));
		return;
	}
	for (size_t i = 0; i < json_length(rooms) && i < MAX_NAMES; i++) {
		const char *name = json_string(json_at(rooms, i), NULL);

		if (name && type == REQUEST_JOIN)
			join(s, name);
		else if (name)
			leave(s, name);
	}
}

static void
read_names(const struct json *list, struct names *ret)
{
	ret->count = 0;
	for (size_t i = 0; i < json_length(list) && i < MAX_NAMES; i++) {
		struct span *s = &ret->list[ret->count];

		s->p = json_string(json_at(list, i), &s->len);
		ret->count += s->p != NULL;
	}
}

/* Who is away just now does not come back either: of rooms that are called what stands behind "room:". */
static void
drop_lost(struct hub *h, const struct names *rooms)
{
	char name[512];

	h->recovery.drops++;
	for (size_t i = 0; i < rooms->count; i++) {
		if (rooms->list[i].len > sizeof(name) - sizeof("room:"))
			continue;
		snprintf(name, sizeof(name), "room:%.*s", (int)rooms->list[i].len, rooms->list[i].p);
		recovery_drop(&h->recovery, name);
	}
}

static void
on_request(void *arg, const char *payload, size_t len)
{
	struct hub *h = arg;
	struct json *doc = NULL;
	struct collected found = { NULL, 0 };
	struct targets to = { .nsp = SPAN("/") };
	const struct json *options;
	int64_t type = 0;

	if (json_parse(payload, len, &doc) != HL_OK || !json_integer(json_get(doc, "type"), &type) ||
	    type < REQUEST_JOIN || type > REQUEST_DISCONNECT)
		goto out;
	options = json_get(doc, "opts");
	read_names(json_get(options, "rooms"), &to.rooms);
	read_names(json_get(options, "except"), &to.except);
	if (to.rooms.count < json_length(json_get(options, "rooms")))
		goto out;		/* fewer rooms than were meant could be none, and that is everybody */
	found.list = calloc(h->roster.count + 1, sizeof(struct socket *));
	if (found.list == NULL)
		goto out;
	if (type == REQUEST_DISCONNECT) {
		to.also_new = to.rooms.count > 0;
		drop_lost(h, &to.rooms);
	}
	visit_targets(h, &to, collect, &found);
	for (size_t i = 0; i < found.count; i++)
		carry_out(found.list[i], type, doc);
out:
	free(found.list);
	json_free(doc);
}

enum hl_err
emitter_start(struct hub *h, struct redis *redis)
{
	static const struct redis_sub_calls emission = { on_emission, NULL }, request = { on_request, NULL };
	enum hl_err err = redis_subscribe_all(redis, EMISSIONS, &emission, h, &h->emissions);

	return err ? err : redis_subscribe(redis, REQUESTS, &request, h, &h->requests);
}
