#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "loop/task.h"
#include "services/fcgi.h"
#include "services/fcgi_answer.h"
#include "services/fcgi_client.h"
#include "services/fcgi_record.h"

#define IDLE_MAX	128u		/* connections kept, as nginx keeps them */
#define READ_SIZE	16384u
#define OUT_KEPT	16384u		/* room kept for the next request */

struct connection {
	struct fcgi_client *client;
	TAILQ_ENTRY(connection) link;	/* of idle ones */
	uv_poll_t	 poll;		/* watches for reading as long as the connection lives: no system call a request */
	uv_timer_t	 timer;
	int		 fd;
	struct task	*task;		/* that waits for the answer; NULL: it is idle */
	bool		 heard;		/* in this exchange: at least a byte has come */
	bool		 over;		/* the exchange: an answer, or err */
	enum hl_err	 err;
	struct fcgi_answer reader;
	struct buf	*answer;	/* the asking task's */
	struct buf	 out;
	size_t		 sent;		/* of out */
};

struct fcgi_client {
	uv_loop_t	*loop;
	const char	*path;
	TAILQ_HEAD(connections_kept, connection) idle;	/* in turn, so that every process behind the socket gets its share */
	unsigned	 idle_count;
	size_t		 connections;	/* whose handles are not closed yet */
	bool		 freed;
};

static void on_event(uv_poll_t *, int status, int events);

/* ---- a connection's life ---- */

static void
connection_closed(uv_handle_t *timer)
{
	struct connection *k = timer->data;
	struct fcgi_client *c = k->client;

	buf_free(&k->out);
	free(k);
	if (--c->connections == 0 && c->freed)
		free(c);
}

static void
poll_closed(uv_handle_t *poll)
{
	struct connection *k = poll->data;

	uv_close((uv_handle_t *)&k->timer, connection_closed);
}

static void
connection_close(struct connection *k)
{
	uv_close((uv_handle_t *)&k->poll, poll_closed);
	close(k->fd);
}

static void
take_from_idle(struct connection *k)
{
	TAILQ_REMOVE(&k->client->idle, k, link);
	k->client->idle_count--;
}

static void
keep(struct connection *k)
{
	struct fcgi_client *c = k->client;

	if (c->freed || c->idle_count >= IDLE_MAX) {
		connection_close(k);
		return;
	}
	if (k->out.cap > OUT_KEPT)
		buf_free(&k->out);
	TAILQ_INSERT_TAIL(&c->idle, k, link);
	c->idle_count++;
}

static int
connected_socket(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd;

	if (len >= sizeof(a.sun_path))
		return -1;
	memcpy(a.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* A unix socket connects at once or not at all: EAGAIN tells that the queue of those who wait is full. */
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static enum hl_err
connection_new(struct fcgi_client *c, struct connection **ret)
{
	struct connection *k = calloc(1, sizeof(*k));

	*ret = NULL;
	if (k == NULL)
		return HL_NO_MEMORY;
	k->fd = connected_socket(c->path);
	if (k->fd < 0 || uv_poll_init(c->loop, &k->poll, k->fd) != 0) {
		if (k->fd >= 0)
			close(k->fd);
		free(k);
		return HL_UPSTREAM;
	}
	uv_timer_init(c->loop, &k->timer);
	k->client = c;
	k->poll.data = k->timer.data = k;
	k->out = BUF_INIT(2 * FCGI_MAX_BODY);
	c->connections++;
	uv_poll_start(&k->poll, UV_READABLE, on_event);
	*ret = k;
	return HL_OK;
}

/* ---- the request ---- */

/* Of the record that begins there and ends here; false: it is longer than a record may be. */
static bool
set_length(struct buf *out, size_t at)
{
	FCGI_Header *h = (FCGI_Header *)(void *)(out->data + at);
	size_t len = out->len - at - sizeof(*h);

	h->contentLengthB1 = (unsigned char)(len >> 8);
	h->contentLengthB0 = (unsigned char)len;
	return len <= UINT16_MAX;
}

/* Section 3.4. */
static void
add_length(struct buf *out, size_t len)
{
	unsigned char four[] = { (unsigned char)(len >> 24 | 128), (unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len };

	if (len < 128)
		buf_putc(out, (char)len);
	else
		buf_add(out, four, sizeof(four));
}

static void
add_param(struct buf *out, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);

	add_length(out, name_len);
	add_length(out, value_len);
	buf_add(out, name, name_len);
	buf_add(out, value, value_len);
}

static enum hl_err
write_request(struct buf *out, const struct fcgi_question *q)
{
	static const FCGI_BeginRequestBody begin = { .roleB0 = FCGI_RESPONDER, .flags = FCGI_KEEP_CONN };
	const char *body = q->body;
	char length[24];
	size_t at;

	snprintf(length, sizeof(length), "%zu", q->body_len);
	buf_reset(out);
	fcgi_add_record(out, FCGI_BEGIN_REQUEST, FCGI_ANSWER_ID, &begin, sizeof(begin));
	at = out->len;
	fcgi_add_record(out, FCGI_PARAMS, FCGI_ANSWER_ID, NULL, 0);
	for (const char *const *p = q->params; *p; p += 2)
		add_param(out, p[0], p[1]);
	add_param(out, "CONTENT_LENGTH", length);
	if (buf_err(out))
		return buf_err(out);
	if (!set_length(out, at))
		return HL_TOO_LARGE;
	fcgi_add_record(out, FCGI_PARAMS, FCGI_ANSWER_ID, NULL, 0);
	for (size_t sent = 0, n; sent < q->body_len; sent += n) {
		n = q->body_len - sent < FCGI_RECORD_MAX ? q->body_len - sent : FCGI_RECORD_MAX;
		fcgi_add_record(out, FCGI_STDIN, FCGI_ANSWER_ID, body + sent, n);
	}
	fcgi_add_record(out, FCGI_STDIN, FCGI_ANSWER_ID, NULL, 0);
	return buf_err(out);
}

/* ---- the exchange ---- */

static void
finish(struct connection *k, enum hl_err err)
{
	k->over = true;
	k->err = err;
}

/* What the program does not take at once waits until it does; HL_UPSTREAM: it has gone. */
static enum hl_err
send_some(struct connection *k)
{
	while (k->sent < k->out.len) {
		ssize_t n = send(k->fd, k->out.data + k->sent, k->out.len - k->sent, MSG_NOSIGNAL);

		if (n >= 0)
			k->sent += (size_t)n;
		else if (errno == EAGAIN)
			return uv_poll_start(&k->poll, UV_READABLE | UV_WRITABLE, on_event) ? HL_UPSTREAM : HL_OK;
		else if (errno != EINTR)
			return HL_UPSTREAM;
	}
	return HL_OK;
}

static void
receive(struct connection *k)
{
	char bytes[READ_SIZE];
	enum hl_err err;
	ssize_t n;

	do {
		n = recv(k->fd, bytes, sizeof(bytes), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		k->heard |= n > 0;
		err = n <= 0 ? HL_UPSTREAM : fcgi_answer_feed(&k->reader, bytes, (size_t)n, k->answer);
		if (err || k->reader.ended)
			finish(k, err);
	} while (!k->over && (size_t)n == sizeof(bytes));
}

static void
on_event(uv_poll_t *poll, int status, int events)
{
	struct connection *k = poll->data;

	/* A program sends nothing to one who has not asked: it closes its end. */
	if (k->task == NULL) {
		take_from_idle(k);
		connection_close(k);
		return;
	}
	if (k->over)
		return;
	if (events & UV_WRITABLE) {
		if (send_some(k) != HL_OK)
			status = UV_EPIPE;	/* what it has said before is still there */
		else if (k->sent == k->out.len)
			uv_poll_start(poll, UV_READABLE, on_event);
	}
	if (status < 0 || (events & UV_READABLE))
		receive(k);
	if (!k->over && status < 0)
		finish(k, HL_UPSTREAM);		/* libuv has stopped watching, or nothing more can be sent */
	if (k->over)
		task_wake(k->task);
}

static void
on_time(uv_timer_t *timer)
{
	struct connection *k = timer->data;

	finish(k, HL_TIMEOUT);
	task_wake(k->task);
}

/* Until then, by the loop's clock.  Afterwards the connection is kept, or closed. */
static enum hl_err
exchange(struct connection *k, const struct fcgi_question *q, uint64_t until, struct buf *answer, bool *ret_heard)
{
	enum hl_err err = write_request(&k->out, q);
	uint64_t now = uv_now(k->client->loop);

	k->sent = 0;
	k->over = k->heard = false;
	k->err = HL_OK;
	k->reader = (struct fcgi_answer){ .ended = false };
	k->answer = answer;
	k->task = task_self();
	if (err == HL_OK)
		err = send_some(k);
	if (err == HL_OK)
		uv_timer_start(&k->timer, on_time, until > now ? until - now : 0, 0);
	while (err == HL_OK && !k->over)
		err = task_wait();
	uv_timer_stop(&k->timer);
	if (err == HL_OK)
		err = k->err;
	k->task = NULL;
	k->answer = NULL;
	*ret_heard = k->heard;
	if (err || k->sent < k->out.len)
		connection_close(k);	/* one that was answered before it was all sent is of no more use either */
	else
		keep(k);
	return err;
}

enum hl_err
fcgi_ask(struct fcgi_client *c, const struct fcgi_question *q, int *ret_status, struct buf *answer)
{
	struct connection *k = TAILQ_FIRST(&c->idle);
	enum hl_err err = HL_OK;
	bool heard = false;
	uint64_t until;

	*ret_status = 0;
	buf_reset(answer);
	if (q->body_len > FCGI_MAX_BODY)
		return HL_TOO_LARGE;
	uv_update_time(c->loop);
	until = uv_now(c->loop) + (uint64_t)q->total_ms;
	if (k) {
		take_from_idle(k);
		err = exchange(k, q, until, answer, &heard);
	}
	/* Not on another kept one: what a process died of would kill the next, and the next. */
	if (k == NULL || (err == HL_UPSTREAM && !heard)) {
		err = connection_new(c, &k);
		if (err == HL_OK)
			err = exchange(k, q, until, answer, &heard);
	}
	return err ? err : fcgi_answer_head(answer, ret_status);
}

/* ---- the client ---- */

enum hl_err
fcgi_client_new(uv_loop_t *loop, const char *path, struct fcgi_client **ret)
{
	struct fcgi_client *c = *ret = calloc(1, sizeof(*c));

	if (c == NULL)
		return HL_NO_MEMORY;
	c->loop = loop;
	c->path = path;
	TAILQ_INIT(&c->idle);
	return HL_OK;
}

void
fcgi_client_free(struct fcgi_client *c)
{
	struct connection *k;

	if (c == NULL)
		return;
	c->freed = true;
	if (c->connections == 0) {
		free(c);
		return;
	}
	while ((k = TAILQ_FIRST(&c->idle)) != NULL) {
		take_from_idle(k);
		connection_close(k);
	}
}
