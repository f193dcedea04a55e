#include <stdlib.h>
#include <string.h>

#include "base/engineio.h"
#include "base/metrics.h"
#include "base/str.h"
#include "push/session.h"

#define BUCKETS	256u

static void expired(struct deadline *);
static void session_part(struct session *);

static struct session *
of_deadline(struct deadline *d)
{
	return (struct session *)(void *)((char *)d - offsetof(struct session, deadline));
}

static int64_t
now(const struct session *s)
{
	return s->all->io->now_ms();
}

/* ---- the table of all ---- */

static struct session **
slot(struct sessions *all, const char *sid, size_t len)
{
	struct session **at = &all->table[str_hash(sid, len) & (all->buckets - 1)];

	while (*at && (len != SESSION_SID_LEN || memcmp((*at)->sid, sid, SESSION_SID_LEN) != 0))
		at = &(*at)->next;
	return at;
}

static void
grow(struct sessions *all)
{
	struct session **old = all->table, *s, *next, **at;
	size_t n = all->buckets;

	all->table = calloc(n * 4, sizeof(struct session *));
	if (all->table == NULL) {
		all->table = old;	/* slower, not wrong */
		return;
	}
	all->buckets = n * 4;
	for (size_t i = 0; i < n; i++)
		for (s = old[i]; s; s = next) {
			next = s->next;
			s->next = NULL;
			at = slot(all, s->sid, SESSION_SID_LEN);
			*at = s;
		}
	free(old);
}

enum hl_err
sessions_init(struct sessions *all, const struct session_rules *rules, const struct session_io *io,
    const struct session_app *app, void *app_arg, struct deadlines *deadlines)
{
	*all = (struct sessions){ .rules = rules, .io = io, .app = app, .app_arg = app_arg };
	all->deadlines = deadlines;
	all->buckets = BUCKETS;
	all->table = calloc(BUCKETS, sizeof(struct session *));
	all->ping = message_new(MESSAGE_TEXT, "2", 1);
	all->probe_answer = message_new(MESSAGE_TEXT, "3probe", 6);
	all->give_up = message_new(MESSAGE_TEXT, "9", 1);
	if (all->table && all->ping && all->probe_answer && all->give_up)
		return HL_OK;
	sessions_free(all);
	return HL_NO_MEMORY;
}

static void
mark_dirty(struct session *s)
{
	if (s->is_dirty)
		return;
	s->is_dirty = true;
	s->next_dirty = s->all->dirty;
	s->all->dirty = s;
}

/* ---- the end of a session ---- */

/*
 * Takes it out of everybody's sight.  Its memory stays until the flush, for callers further up that still
 * hold it.
 */
static void
remove_session(struct session *s)
{
	s->is_dead = true;
	*slot(s->all, s->sid, SESSION_SID_LEN) = s->next;
	s->all->count--;
	metrics_set(M_SOCKETS_NOW, (int64_t)s->all->count);
	deadline_end(s->all->deadlines, &s->deadline);
	queue_clear(&s->queue);
	s->next = s->all->dead;
	s->all->dead = s;
}

static void
tell_app(struct session *s)
{
	if (s->linger_due_ms == 0)
		s->all->app->closed(s);
}

/* At once; a held GET gets the packet named. */
static void
finish(struct session *s, const char *last_packet)
{
	struct poll *poll = s->poll;
	struct websocket *ws = s->ws, *probe = s->probe;

	if (s->is_dead)
		return;
	s->poll = NULL;
	s->ws = s->probe = NULL;
	remove_session(s);
	tell_app(s);
	if (poll)
		s->all->io->answer(poll, HL_OK, last_packet, 1);
	if (probe)
		s->all->io->end(probe);
	if (ws)
		s->all->io->end(ws);
}

/* ---- deadlines ---- */

static void
earliest(int64_t *best, int64_t at)
{
	if (at && (*best == 0 || at < *best))
		*best = at;
}

static void
arm(struct session *s)
{
	int64_t best = 0;

	earliest(&best, s->ping_due_ms);
	earliest(&best, s->pong_due_ms);
	earliest(&best, s->join_due_ms);
	earliest(&best, s->upgrade_due_ms);
	earliest(&best, s->part_due_ms);
	earliest(&best, s->linger_due_ms);
	if (best)
		deadline_set(s->all->deadlines, &s->deadline, best);
	else
		deadline_clear(s->all->deadlines, &s->deadline);
}

static bool
due(int64_t at, int64_t t)
{
	return at && t >= at;
}

static void
probe_failed(struct session *s)
{
	struct websocket *probe = s->probe;

	s->probe = NULL;
	s->probed = false;
	s->upgrade_due_ms = 0;
	if (probe)
		s->all->io->end(probe);
}

/* Does what is due.  The session may be dead afterwards. */
static void
tick(struct session *s)
{
	int64_t t = now(s);

	if (due(s->ping_due_ms, t)) {
		/* From when it was due, so that a late timer does not give the client longer. */
		s->pong_due_ms = s->ping_due_ms + s->all->rules->ping_timeout_ms;
		s->ping_due_ms = 0;
		session_send(s, s->all->ping);
	}
	if (due(s->upgrade_due_ms, t))
		probe_failed(s);
	if (due(s->pong_due_ms, t) || due(s->part_due_ms, t) || due(s->linger_due_ms, t))
		finish(s, "1");
	else if (due(s->join_due_ms, t))
		session_close(s);
	if (!s->is_dead)
		arm(s);
}

static void
expired(struct deadline *d)
{
	tick(of_deadline(d));
}

struct session *
session_find(struct sessions *all, const char *sid, size_t len)
{
	struct session *s = *slot(all, sid, len);

	if (s)
		tick(s);
	return s && !s->is_dead ? s : NULL;
}

bool
session_is_polling(const struct session *s)
{
	return s->ws == NULL;
}

/* ---- opening ---- */

static enum hl_err
send_open(struct session *s)
{
	const struct session_rules *rules = s->all->rules;
	struct buf text = BUF_INIT(512);
	struct message *m = NULL;
	enum hl_err err;

	buf_printf(&text,
	    "0{\"sid\":\"%s\",\"upgrades\":[%s],\"pingInterval\":%lld,\"pingTimeout\":%lld,\"maxPayload\":%zu}",
	    s->sid, s->ws ? "" : "\"websocket\"", (long long)rules->ping_interval_ms,
	    (long long)rules->ping_timeout_ms, rules->max_payload);
	err = buf_err(&text);
	if (err == HL_OK && (m = message_new(MESSAGE_TEXT, text.data, text.len)) == NULL)
		err = HL_NO_MEMORY;
	if (err == HL_OK)
		session_send(s, m);
	message_unref(m);
	buf_free(&text);
	return err;
}

static enum hl_err
session_new(struct sessions *all, struct websocket *ws, const char *address, struct session **ret)
{
	struct session *s = calloc(1, sizeof(*s));
	enum hl_err err;

	*ret = s;
	if (s == NULL)
		return HL_NO_MEMORY;
	err = deadline_init(all->deadlines, &s->deadline, expired);
	if (err) {
		free(s);
		return err;
	}
	s->all = all;
	s->ws = ws;
	s->sid[0] = (char)('0' + all->rules->instance);
	id_new(s->sid + 1);
	strncpy(s->address, address, sizeof(s->address) - 1);
	s->ping_due_ms = now(s) + all->rules->ping_interval_ms;
	if (all->rules->join_timeout_ms)
		s->join_due_ms = now(s) + all->rules->join_timeout_ms;
	if (++all->count > all->buckets)
		grow(all);
	metrics_set(M_SOCKETS_NOW, (int64_t)all->count);
	*slot(all, s->sid, SESSION_SID_LEN) = s;
	return HL_OK;
}

enum hl_err
session_open(struct sessions *all, struct websocket *ws, const char *address, struct session **ret)
{
	struct session *s;
	enum hl_err err;

	*ret = NULL;
	if ((all->closing && ws) || all->count >= all->rules->max_sessions) {
		metrics_count(M_SOCKET_REFUSED, 1);
		return HL_BUSY;
	}
	err = session_new(all, ws, address, &s);
	if (err)
		return err;
	arm(s);
	err = send_open(s);
	if (err == HL_OK)
		err = all->app->open(all->app_arg, s);
	if (err) {
		s->ws = NULL;
		remove_session(s);
		return err;
	}
	metrics_count(M_SOCKET_OPENED, 1);
	if (all->closing)
		session_part(s);
	*ret = s;
	return HL_OK;
}

void
session_authorize(struct session *s, const char *header)
{
	free(s->authorization);
	s->authorization = header && *header ? strdup(header) : NULL;	/* without memory it is as if none came */
}

/* ---- sending ---- */

void
session_send(struct session *s, struct message *m)
{
	enum hl_err err;

	if (s->is_dead || s->overflow || s->parted || s->linger_due_ms)
		return;
	err = s->ws ? s->all->io->send(s->ws, m) : queue_add(&s->queue, m);
	s->overflow = err != HL_OK;
	/* Closing it here would pull it from under whoever is walking over a room. */
	if (s->overflow || s->poll)
		mark_dirty(s);
}

bool
session_ready(const struct session *s)
{
	if (s->ws == NULL)
		return s->poll != NULL;
	return s->all->io->ready == NULL || s->all->io->ready(s->ws);
}

/* Everything that waits, as the answer to a GET. */
static enum hl_err
take_payload(struct session *s, struct buf *payload)
{
	struct message *m;

	for (; (m = queue_first(&s->queue)) != NULL; queue_drop(&s->queue))
		eio_payload_add(payload, message_data(m), m->len, m->kind == MESSAGE_BINARY);
	if (s->linger_due_ms || s->part_due_ms)
		eio_payload_add(payload, "1", 1, false);
	else if (payload->len == 0)
		eio_payload_add(payload, "6", 1, false);
	return buf_err(payload);
}

static void
answer_poll(struct session *s)
{
	struct buf payload = BUF_INIT(UINT32_MAX);
	struct poll *poll = s->poll;
	enum hl_err err = take_payload(s, &payload);
	bool over = err != HL_OK || s->linger_due_ms;

	s->poll = NULL;
	s->parted = s->part_due_ms != 0;
	s->all->io->answer(poll, err, payload.data, payload.len);
	buf_free(&payload);
	if (over)
		finish(s, "1");
}

static bool
has_answer(const struct session *s)
{
	return s->queue.head || s->probed || s->part_due_ms || s->linger_due_ms;
}

static void
flush(struct session *s)
{
	if (s->is_dead)
		return;
	if (s->overflow)
		finish(s, "1");
	else if (s->poll && has_answer(s))
		answer_poll(s);
}

void
sessions_flush(struct sessions *all)
{
	struct session *s;

	while ((s = all->dirty) != NULL) {
		all->dirty = s->next_dirty;
		s->is_dirty = false;
		flush(s);
	}
	while ((s = all->dead) != NULL) {
		all->dead = s->next;
		free(s->authorization);
		free(s);
	}
}

bool
sessions_idle(const struct sessions *all)
{
	return all->dirty == NULL && all->dead == NULL;
}

/* ---- receiving ---- */

static void
pong(struct session *s)
{
	if (s->pong_due_ms == 0)
		return;			/* a stray one */
	s->pong_due_ms = 0;
	s->ping_due_ms = now(s) + s->all->rules->ping_interval_ms;
	arm(s);
}

/* A packet of the active transport. */
static enum hl_err
packet(struct session *s, const struct eio_packet *p)
{
	switch (p->type) {
	case EIO_MESSAGE:
		return s->all->app->message(s, p->data, p->len, p->binary);
	case EIO_PONG:
		pong(s);
		return HL_OK;
	case EIO_CLOSE:
		finish(s, "6");
		return HL_OK;
	case EIO_PING:
		return HL_BAD_REQUEST;	/* clients do not ping in revision 4 */
	default:
		return HL_OK;
	}
}

void
session_poll(struct session *s, struct poll *poll)
{
	if (s->poll) {
		finish(s, "1");
		s->all->io->answer(poll, HL_BAD_REQUEST, NULL, 0);
		return;
	}
	s->poll = poll;
	if (has_answer(s))
		answer_poll(s);
}

enum hl_err
session_post(struct session *s, const char *body, size_t len)
{
	struct buf scratch = BUF_INIT(len + 4);
	const char *at = body;
	enum hl_err err = HL_OK;

	if (s->linger_due_ms)
		return HL_NOT_FOUND;
	s->posted_ms = now(s);
	while (at && !s->is_dead && err == HL_OK) {
		struct eio_packet p;

		err = eio_payload_next(&at, body + len, &scratch, &p);
		if (err == HL_OK)
			err = packet(s, &p);
	}
	buf_free(&scratch);
	if (err)
		finish(s, "1");
	return err;
}

/* ---- WebSockets ---- */

enum hl_err
session_probe(struct session *s, struct websocket *ws)
{
	if (s->ws || s->probe || s->part_due_ms || s->linger_due_ms)
		return HL_CONFLICT;
	s->probe = ws;
	s->upgrade_due_ms = now(s) + SESSION_UPGRADE_MS;
	arm(s);
	return HL_OK;
}

/* "5": from here on the WebSocket is the transport, and what was waiting for a GET goes out on it. */
static void
upgrade(struct session *s)
{
	struct poll *poll = s->poll;
	struct queue waiting = s->queue;

	s->poll = NULL;
	s->ws = s->probe;
	s->probe = NULL;
	s->probed = false;
	s->upgrade_due_ms = 0;
	s->queue = (struct queue){ NULL, NULL, 0 };
	arm(s);
	for (; queue_first(&waiting); queue_drop(&waiting))
		session_send(s, queue_first(&waiting));
	if (poll)
		s->all->io->answer(poll, HL_OK, "6", 1);
}

static void
probe_frame(struct session *s, const char *bytes, size_t len, bool binary)
{
	if (!binary && len == 6 && memcmp(bytes, "2probe", 6) == 0 &&
	    s->all->io->send(s->probe, s->all->probe_answer) == HL_OK) {
		s->probed = true;
		if (s->poll)
			mark_dirty(s);
	} else if (!binary && len == 1 && bytes[0] == '5' && s->probed) {
		upgrade(s);
	} else {
		probe_failed(s);
		arm(s);
	}
}

void
session_frame(struct session *s, struct websocket *ws, const char *bytes, size_t len, bool binary)
{
	struct buf none = BUF_INIT(0);
	struct eio_packet p = { EIO_MESSAGE, true, bytes, len };
	enum hl_err err = HL_OK;

	if (s->is_dead)
		return;
	if (ws == s->probe) {
		probe_frame(s, bytes, len, binary);
		return;
	}
	tick(s);
	if (s->is_dead)
		return;
	if (!binary && len > 0 && bytes[0] == 'b')
		err = HL_BAD_REQUEST;	/* base64 is for polling */
	else if (!binary)
		err = eio_decode(bytes, len, &none, &p);
	if (err == HL_OK)
		err = packet(s, &p);
	if (err)
		finish(s, "1");
}

/* ---- losing and closing ---- */

void
session_poll_lost(struct session *s, struct poll *poll)
{
	if (s->poll != poll)
		return;
	s->poll = NULL;
	finish(s, "1");
}

void
session_ws_lost(struct session *s, struct websocket *ws)
{
	if (ws == s->probe) {
		s->probe = NULL;
		probe_failed(s);
		arm(s);
	} else if (ws == s->ws) {
		s->ws = NULL;
		finish(s, "1");
	}
}

void
session_joined(struct session *s)
{
	s->join_due_ms = 0;
	if (!s->is_dead)
		arm(s);
}

void
session_close_soon(struct session *s)
{
	s->join_due_ms = now(s) + SESSION_SOON_MS;
	if (!s->is_dead)
		arm(s);
}

/*
 * It is over as soon as its client goes, who then comes again, or when that takes too long.
 *
 * Engine.IO has no packet that says so over a WebSocket, and a browser throws away what is said while it answers a close frame.
 * A packet of no known type makes clients give a connection up at once (engine.io-client, _onPacket(): "error"), and keep
 * what is said from then on; others do not mind it, and see the close frame.
 */
static void
session_part(struct session *s)
{
	if (s->is_dead || s->part_due_ms || s->linger_due_ms)
		return;
	if (s->probe)
		probe_failed(s);
	s->ping_due_ms = s->pong_due_ms = s->join_due_ms = 0;
	s->part_due_ms = now(s) + SESSION_PART_MS;
	s->parted = s->ws != NULL;
	arm(s);
	if (s->ws && (s->all->io->send(s->ws, s->all->give_up) != HL_OK || s->all->io->part(s->ws) != HL_OK))
		finish(s, "1");
	else if (s->poll)
		mark_dirty(s);
}

/* A client that polls learns of it by the GET it holds or by its next one. */
void
session_close(struct session *s)
{
	if (s->is_dead || s->linger_due_ms)
		return;
	if (s->ws) {
		finish(s, "1");
		return;
	}
	if (s->probe)
		probe_failed(s);
	tell_app(s);
	s->ping_due_ms = s->pong_due_ms = s->join_due_ms = s->part_due_ms = 0;
	s->linger_due_ms = now(s) + SESSION_LINGER_MS;
	arm(s);
	if (s->poll)
		mark_dirty(s);
}

static bool
is_idle(const struct session *s)
{
	return s->all->app->idle == NULL || s->all->app->idle(s);
}

/* A client that polls throws away what it was to say behind a POST that is under way. */
static bool
is_speaking(const struct session *s)
{
	return s->ws == NULL && s->posted_ms && now(s) - s->posted_ms < SESSION_BREATH_MS && now(s) - s->all->closing_ms < SESSION_SPEAK_MS;
}

bool
sessions_part_some(struct sessions *all, size_t websockets)
{
	bool left = false;

	if (!all->closing)
		all->closing_ms = all->io->now_ms();
	all->closing = true;
	for (size_t i = 0; i < all->buckets; i++)
		for (struct session *s = all->table[i], *next; s; s = next) {
			next = s->next;
			if (s->part_due_ms || s->linger_due_ms)
				continue;
			if (s->probe || is_speaking(s) || (s->ws && (websockets == 0 || !is_idle(s)))) {
				left = true;
				continue;
			}
			websockets -= s->ws != NULL;
			session_part(s);
		}
	return left;
}

void
sessions_part_all(struct sessions *all)
{
	all->closing = true;
	for (size_t i = 0; i < all->buckets; i++)
		for (struct session *s = all->table[i], *next; s; s = next) {
			next = s->next;
			session_part(s);
		}
}

void
sessions_free(struct sessions *all)
{
	if (all->table == NULL)
		return;
	for (size_t i = 0; i < all->buckets; i++)
		while (all->table[i])
			finish(all->table[i], "1");
	sessions_flush(all);
	message_unref(all->ping);
	message_unref(all->probe_answer);
	message_unref(all->give_up);
	free(all->table);
	all->table = NULL;
}
