#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "push/frames.h"
#include "push/handshake.h"
#include "push/request.h"
#include "push/transport.h"
#include "push/websocket.h"

#define ACCEPT_BURST	64
#define ACCEPT_PAUSE_MS	100		/* when no more connections can be taken */
#define FD_RESERVE	128		/* descriptors left for Redis, the relay and polls */
#define READ_SIZE	65536u
#define READS_A_TURN	4		/* so that one loud client does not starve the others */
#define WRITE_BATCH	32

enum ws_state {
	WS_HANDSHAKE,
	WS_OPEN,
	WS_PARTING,	/* a close frame is out: reads until the other side's comes */
	WS_CLOSING,	/* sends what is left */
	/* waits for the other side's end, so that closing does not cut off what it has not read yet */
	WS_LINGERING,
	WS_DEAD
};

struct websocket {
	struct websockets *all;
	struct websocket *next, **link;
	struct websocket *dirty_next, **dirty_link;	/* dirty_link is NULL when it is not in the list */
	uv_poll_t	 poll;
	int		 fd;
	uint8_t		 state;		/* enum ws_state */
	bool		 refuses_room;	/* the socket is full: written to when there is room */
	struct session	*session;
	struct queue	 out;
	size_t		 sent;		/* bytes of the queue's first frame that are gone */
	struct deadline	 deadline;
	struct buf	*head;		/* of the handshake */
	struct frames	*reader;	/* NULL between messages */
};

struct websockets {
	struct transport *transport;
	uv_poll_t	 accepter;
	uv_timer_t	 pause;
	int		 listener;
	bool		 accepting;
	size_t		 count, max;
	struct websocket *connections, *dirty;
	struct message	*close_frame;
	/* READ_SIZE bytes, shared: what is read is digested before the next read */
	char		*input;
};

static void on_event(uv_poll_t *, int status, int events);
static void on_acceptable(uv_poll_t *, int status, int events);

/* ---- a connection's end ---- */

static void
head_free(struct websocket *ws)
{
	if (ws->head)
		buf_free(ws->head);
	free(ws->head);
	ws->head = NULL;
}

static void
undirty(struct websocket *ws)
{
	if (ws->dirty_link == NULL)
		return;
	*ws->dirty_link = ws->dirty_next;
	if (ws->dirty_next)
		ws->dirty_next->dirty_link = ws->dirty_link;
	ws->dirty_link = NULL;
}

static void
closed(uv_handle_t *handle)
{
	struct websocket *ws = handle->data;

	close(ws->fd);
	frames_free(ws->reader);
	free(ws);
}

static void
destroy(struct websocket *ws)
{
	if (ws->state == WS_DEAD)
		return;
	ws->state = WS_DEAD;
	undirty(ws);
	*ws->link = ws->next;
	if (ws->next)
		ws->next->link = ws->link;
	ws->all->count--;
	deadline_end(&ws->all->transport->deadlines, &ws->deadline);
	queue_clear(&ws->out);
	head_free(ws);
	uv_close((uv_handle_t *)&ws->poll, closed);
}

/* The connection broke or was closed from the other side. */
static void
lost(struct websocket *ws)
{
	struct session *s = ws->session;

	ws->session = NULL;
	if (s)
		session_ws_lost(s, ws);
	destroy(ws);
}

static void
expired(struct deadline *d)
{
	lost((struct websocket *)(void *)((char *)d - offsetof(struct websocket, deadline)));
}

static void
set_deadline(struct websocket *ws, int64_t ms)
{
	deadline_set(&ws->all->transport->deadlines, &ws->deadline, clock_mono_ms() + ms);
}

/* ---- sending ---- */

static void
mark_dirty(struct websocket *ws)
{
	struct websockets *all = ws->all;

	if (ws->dirty_link || ws->refuses_room || ws->state == WS_DEAD)
		return;
	ws->dirty_next = all->dirty;
	ws->dirty_link = &all->dirty;
	if (all->dirty)
		all->dirty->dirty_link = &ws->dirty_next;
	all->dirty = ws;
}

enum hl_err
websocket_send(struct websocket *ws, struct message *m)
{
	enum hl_err err = queue_add(&ws->out, m);

	if (err == HL_OK)
		mark_dirty(ws);
	return err;
}

static void
send_bytes(struct websocket *ws, const void *bytes, size_t len)
{
	struct message *m = message_new(MESSAGE_RAW, bytes, len);
	/*
	 * A pong that a client does not read, or no memory: dropped, the heartbeat and the deadlines see to
	 * the rest.
	 */
	enum hl_err err = m ? websocket_send(ws, m) : HL_NO_MEMORY;

	(void)err;
	message_unref(m);
}

/* No frames are read any more; what is queued still goes out. */
static void
begin_close(struct websocket *ws)
{
	ws->state = WS_CLOSING;
	head_free(ws);
	set_deadline(ws, WEBSOCKET_CLOSE_MS);
	mark_dirty(ws);
}

/* What this turn of the loop has queued is as good as sent. */
bool
websocket_ready(const struct websocket *ws)
{
	return !ws->refuses_room;
}

void
websocket_end(struct websocket *ws)
{
	ws->session = NULL;
	if (ws->state == WS_PARTING)
		begin_close(ws);
	if (ws->state != WS_OPEN)
		return;
	if (queue_add(&ws->out, ws->all->close_frame) == HL_OK)
		begin_close(ws);
	else
		destroy(ws);		/* a reader that was too slow: it would not take this either */
}

enum hl_err
websocket_part(struct websocket *ws)
{
	enum hl_err err = websocket_send(ws, ws->all->close_frame);

	if (err == HL_OK)
		ws->state = WS_PARTING;
	return err;
}

static void
watch(struct websocket *ws)
{
	int events = UV_READABLE | (ws->refuses_room ? UV_WRITABLE : 0);

	uv_poll_start(&ws->poll, events, on_event);
}

static void
drop_sent(struct websocket *ws, size_t n)
{
	ws->sent += n;
	while (queue_first(&ws->out) && ws->sent >= message_frame_len(queue_first(&ws->out))) {
		ws->sent -= message_frame_len(queue_first(&ws->out));
		queue_drop(&ws->out);
	}
}

static ssize_t
write_some(struct websocket *ws)
{
	struct message *batch[WRITE_BATCH];
	struct iovec iov[WRITE_BATCH];
	size_t n = queue_peek(&ws->out, batch, WRITE_BATCH);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };

	for (size_t i = 0; i < n; i++) {
		size_t sent = i == 0 ? ws->sent : 0;

		iov[i].iov_base = (void *)((uintptr_t)message_frame(batch[i]) + sent);
		iov[i].iov_len = message_frame_len(batch[i]) - sent;
	}
	return sendmsg(ws->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
flush(struct websocket *ws)
{
	while (ws->out.head) {
		ssize_t n = write_some(ws);

		if (n > 0)
			drop_sent(ws, (size_t)n);
		else if (n < 0 && errno == EAGAIN) {
			ws->refuses_room = true;
			watch(ws);
			return;
		} else if (n == 0 || errno != EINTR) {
			lost(ws);
			return;
		}
	}
	if (ws->state == WS_CLOSING) {
		ws->state = WS_LINGERING;
		shutdown(ws->fd, SHUT_WR);
	}
}

void
websockets_flush(struct websockets *all)
{
	struct websocket *ws;

	while ((ws = all->dirty) != NULL) {
		undirty(ws);
		flush(ws);
	}
}

bool
websockets_idle(const struct websockets *all)
{
	return all->dirty == NULL;
}

size_t
websockets_count(const struct websockets *all)
{
	return all->count;
}

/* ---- frames ---- */

static void
message_arrived(void *arg, const char *bytes, size_t len, bool binary)
{
	struct websocket *ws = arg;

	if (ws->session)
		session_frame(ws->session, ws, bytes, len, binary);
}

static void
reply(void *arg, const char *bytes, size_t len)
{
	struct websocket *ws = arg;

	if (ws->state == WS_OPEN)
		send_bytes(ws, bytes, len);
}

/* The other side has closed, or broken the protocol: the close frame that says so is queued. */
static void
protocol_over(struct websocket *ws)
{
	struct session *s = ws->session;

	ws->session = NULL;
	begin_close(ws);
	if (s)
		session_ws_lost(s, ws);
}

static void
read_frames(struct websocket *ws, const char *bytes, size_t len)
{
	static const struct frames_calls calls = { message_arrived, reply };
	enum frames_end end = frames_read(&ws->reader, &calls, ws,
	    (size_t)ws->all->transport->conf->socket_max_payload, bytes, len);

	if (end == FRAMES_NO_MEMORY)
		lost(ws);
	if (ws->state != WS_OPEN && ws->state != WS_PARTING)
		return;
	if (end == FRAMES_BROKEN && ws->state == WS_OPEN)
		/* libwslay gives up on a bad header without a word */
		send_bytes(ws, FRAMES_CLOSE_1002, sizeof(FRAMES_CLOSE_1002) - 1);
	if (end != FRAMES_GO_ON)
		protocol_over(ws);
}

/* ---- the handshake ---- */

static void
refuse(struct websocket *ws, int status, const char *headers, const char *text)
{
	struct buf b = BUF_INIT(1024);

	buf_printf(&b, "HTTP/1.1 %d %s\r\nContent-Type: text/html\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n%s\r\n%s", status,
	    status == 403 ? "Forbidden" : status == 431 ? "Request Header Fields Too Large" :
	    status == 503 ? "Service Unavailable" : "Bad Request", strlen(text), headers, text);
	if (buf_err(&b) == HL_OK)
		send_bytes(ws, b.data, b.len);
	buf_free(&b);
	begin_close(ws);
}

static void
accept_handshake(struct websocket *ws, const struct handshake *h, struct session *s)
{
	struct buf b = BUF_INIT(512);
	char address[SESSION_ADDRESS_MAX];
	enum hl_err err;

	handshake_accept(&b, h);
	handshake_address(h, address, sizeof(address));
	ws->state = WS_OPEN;
	send_bytes(ws, b.data, b.len);
	buf_free(&b);
	if (s)
		err = session_probe(s, ws);
	else if ((err = session_open(&ws->all->transport->sessions, ws, address, &s)) == HL_OK)
		session_authorize(s, h->authorization);
	if (err == HL_CONFLICT)
		websocket_end(ws);	/* the session has a WebSocket already */
	else if (err) {
		queue_clear(&ws->out);
		refuse(ws, refused_busy.status, "Retry-After: 1\r\n", refused_busy.text);
	} else {
		ws->session = s;
		deadline_clear(&ws->all->transport->deadlines, &ws->deadline);
	}
}

static void
handle_handshake(struct websocket *ws, char *head, size_t len)
{
	struct transport *t = ws->all->transport;
	struct handshake h;
	struct push_request request;
	const struct refusal *refusal;
	struct session *s;

	if (handshake_parse(head, len, &h) != HL_OK) {
		refuse(ws, 400, "", "Bad request");
		return;
	}
	request = (struct push_request){ h.method, h.query, h.origin, h.host, h.upgrade };
	refusal = request_check(&request, &t->sessions, t->conf->frontend_url, &s);
	if (refusal)
		refuse(ws, refusal->status, "", refusal->text);
	else if (!handshake_is_websocket(&h))
		refuse(ws, 400, "Sec-WebSocket-Version: 13\r\n", "Not a WebSocket handshake of version 13");
	else
		accept_handshake(ws, &h, s);
}

static void
read_handshake(struct websocket *ws, const char *bytes, size_t len)
{
	struct buf *head = ws->head;
	size_t before = head->len, end;

	buf_add(head, bytes, len);
	if (buf_err(head)) {
		refuse(ws, 431, "", "The request's head is too large");
		return;
	}
	end = handshake_end(head->data, head->len, before);
	if (end == 0)
		return;
	ws->head = NULL;
	handle_handshake(ws, head->data, end);
	if (head->len > end && ws->state == WS_OPEN)
		read_frames(ws, head->data + end, head->len - end);
	buf_free(head);
	free(head);
}

/* ---- events ---- */

static void
digest(struct websocket *ws, const char *bytes, size_t len)
{
	if (ws->state == WS_HANDSHAKE)
		read_handshake(ws, bytes, len);
	else if (ws->state == WS_OPEN || ws->state == WS_PARTING)
		read_frames(ws, bytes, len);
}

static void
read_some(struct websocket *ws)
{
	for (int i = 0; i < READS_A_TURN && ws->state != WS_DEAD; i++) {
		ssize_t n = recv(ws->fd, ws->all->input, READ_SIZE, MSG_DONTWAIT);

		if (n > 0)
			digest(ws, ws->all->input, (size_t)n);
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && errno == EAGAIN)
			return;
		else
			lost(ws);
		if (n < (ssize_t)READ_SIZE)
			return;
	}
}

static void
on_event(uv_poll_t *poll, int status, int events)
{
	struct websocket *ws = poll->data;

	if (status < 0) {
		lost(ws);
		return;
	}
	if (events & UV_WRITABLE) {
		ws->refuses_room = false;
		watch(ws);
		mark_dirty(ws);
	}
	if (events & UV_READABLE)
		read_some(ws);
}

/* ---- accepting ---- */

static void
connection_new(struct websockets *all, int fd)
{
	struct websocket *ws = calloc(1, sizeof(*ws));
	struct buf *head = calloc(1, sizeof(*head));
	int on = 1;

	if (ws == NULL || head == NULL ||
	    deadline_init(&all->transport->deadlines, &ws->deadline, expired) != HL_OK)
		goto fail;
	if (uv_poll_init(all->transport->loop, &ws->poll, fd) != 0) {
		deadline_end(&all->transport->deadlines, &ws->deadline);
		goto fail;
	}
	/* fails on a unix socket, which has no delay */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*head = BUF_INIT(HANDSHAKE_MAX);
	ws->all = all;
	ws->fd = fd;
	ws->head = head;
	ws->poll.data = ws;
	ws->next = all->connections;
	ws->link = &all->connections;
	if (ws->next)
		ws->next->link = &ws->next;
	all->connections = ws;
	all->count++;
	set_deadline(ws, WEBSOCKET_HANDSHAKE_MS);
	watch(ws);
	return;
fail:
	free(ws);
	free(head);
	close(fd);
}

static void
on_pause_over(uv_timer_t *timer)
{
	struct websockets *all = timer->data;

	if (all->accepting)
		uv_poll_start(&all->accepter, UV_READABLE, on_acceptable);
}

/* Waiting connections stay in the kernel's queue meanwhile. */
static void
pause_accepting(struct websockets *all)
{
	uv_poll_stop(&all->accepter);
	uv_timer_start(&all->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

static void
on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct websockets *all = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd;

		if (all->count >= all->max) {
			pause_accepting(all);
			return;
		}
		fd = accept4(all->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			connection_new(all, fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_accepting(all);
		if (fd < 0)
			return;
	}
}

/* As many as the process may have, and some descriptors for the rest of it. */
static size_t
connection_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return FD_RESERVE;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return FD_RESERVE;
	if (limit.rlim_cur <= 2 * FD_RESERVE)
		return FD_RESERVE;
	return (size_t)limit.rlim_cur - FD_RESERVE;
}

enum hl_err
websockets_start(struct transport *t, int take_listener, struct websockets **ret)
{
	struct websockets *all = calloc(1, sizeof(*all));

	*ret = NULL;
	if (all == NULL)
		return HL_NO_MEMORY;
	all->transport = t;
	all->listener = take_listener;
	all->max = connection_limit();
	all->input = malloc(READ_SIZE);
	all->close_frame = message_new(MESSAGE_RAW, "\x88\x00", 2);
	if (all->input == NULL || all->close_frame == NULL ||
	    uv_poll_init(t->loop, &all->accepter, take_listener) != 0) {
		free(all->input);
		message_unref(all->close_frame);
		free(all);
		return HL_NO_MEMORY;
	}
	uv_timer_init(t->loop, &all->pause);
	all->accepter.data = all->pause.data = all;
	all->accepting = true;
	uv_poll_start(&all->accepter, UV_READABLE, on_acceptable);
	*ret = all;
	return HL_OK;
}

void
websockets_drain(struct websockets *all)
{
	all->accepting = false;
	uv_poll_stop(&all->accepter);
	uv_timer_stop(&all->pause);
	for (struct websocket *ws = all->connections, *next; ws; ws = next) {
		next = ws->next;
		if (ws->state == WS_HANDSHAKE)
			destroy(ws);
	}
}
