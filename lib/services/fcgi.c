/*
 * libfcgi is used as a parser only, in a way its manual does not describe: on an accepted descriptor set ipcFd,
 * keepConnection, listen_sock = -1 and detached, and FCGX_Accept_r() reads one request from it.  Records of the answer
 * are written here (FastCGI 1.0, sections 3.3, 5.3 and 5.5).  tests/unit/fcgi_test.c pins that behaviour.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fcgiapp.h>

#include "base/buf.h"
#include "loop/task.h"
#include "services/fcgi.h"
#include "services/fcgi_record.h"

#define OUT_MAX		(8u * 1024 * 1024)
#define ACCEPT_BURST	64
#define ACCEPT_PAUSE_MS	100		/* when the process has no descriptor left */
#define PARSE_TIMEOUT_S	5
#define PARAMS_KEPT	4096u

struct fcgi_server {
	uv_loop_t	*loop;
	uv_poll_t	 accepter;
	uv_timer_t	 pause;
	int		 listener;
	fcgi_handler	 handler;
	void		*arg;
	FCGX_Request	 parser;
	struct fcgi_request *connections;
	bool		 draining;
	void		(*drained)(void *);
	void		*drained_arg;
};

/* value lies in the same block as the table. */
struct param { const char *name, *value; size_t name_len; };

/* A connection of nginx's and the one request it carries at a time. */
struct fcgi_request {
	struct fcgi_server *server;
	struct fcgi_request *next, **link;
	uv_poll_t	 poll;
	int		 fd;
	int		 events;	/* what poll waits for now */
	int		 id;
	bool		 keep;		/* nginx keeps the connection for another request */
	bool		 busy;		/* from parsing until the last byte is sent */
	bool		 running;	/* the handler has not returned */
	bool		 gone;
	bool		 cut;		/* the request's body */
	bool		 broken_off;	/* the answer */
	bool		 cancel;	/* when the client goes away */
	bool		 ended;		/* the records that end the answer are written */
	struct task	*task;
	struct task	*flusher;	/* waits for room */
	void		(*on_gone)(void *);
	void		*on_gone_arg;
	struct param	*params;	/* room is kept for the next request */
	size_t		 param_count, params_room;
	char		*body;
	size_t		 body_len;
	struct buf	 out;
	size_t		 sent;		/* of out */
};

static void on_event(uv_poll_t *, int status, int events);

/* ---- a connection's life ---- */

static void
maybe_drained(struct fcgi_server *s)
{
	if (s->draining && s->connections == NULL && s->drained) {
		void (*drained)(void *) = s->drained;

		s->drained = NULL;
		drained(s->drained_arg);
	}
}

static void
connection_closed(uv_handle_t *handle)
{
	struct fcgi_request *r = handle->data;
	struct fcgi_server *s = r->server;

	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	if (r->fd >= 0)
		close(r->fd);
	free(r->params);
	free(r->body);
	buf_free(&r->out);
	free(r);
	maybe_drained(s);
}

static void
connection_close(struct fcgi_request *r)
{
	if (!uv_is_closing((uv_handle_t *)&r->poll))
		uv_close((uv_handle_t *)&r->poll, connection_closed);
}

static void
watch(struct fcgi_request *r, int events)
{
	if (r->events == events || uv_is_closing((uv_handle_t *)&r->poll))
		return;
	r->events = events;
	if (events)
		uv_poll_start(&r->poll, events, on_event);
	else
		uv_poll_stop(&r->poll);
}

static void
connection_new(struct fcgi_server *s, int fd)
{
	struct timeval patience = { .tv_sec = PARSE_TIMEOUT_S };
	struct fcgi_request *r = calloc(1, sizeof(*r));

	if (r == NULL || uv_poll_init(s->loop, &r->poll, fd) != 0) {
		free(r);
		close(fd);
		return;
	}
	/* libuv made it non-blocking; libfcgi reads blockingly, and writing says MSG_DONTWAIT. */
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	r->server = s;
	r->fd = fd;
	r->poll.data = r;
	r->out = BUF_INIT(OUT_MAX);
	r->next = s->connections;
	r->link = &s->connections;
	if (r->next)
		r->next->link = &r->next;
	s->connections = r;
	watch(r, UV_READABLE | UV_DISCONNECT);
}

/* ---- parsing ---- */

static enum hl_err
copy_params(struct fcgi_request *r, char **envp)
{
	size_t size = 0, n = 0, need;
	char *p;

	for (char **e = envp; *e; e++, n++)
		size += strlen(*e) + 1;
	r->param_count = 0;
	need = n * sizeof(*r->params) + size;
	if (need > r->params_room || r->params_room > PARAMS_KEPT) {
		free(r->params);
		r->params_room = 0;
		r->params = malloc(need + 1);
		if (r->params == NULL)
			return HL_NO_MEMORY;
		r->params_room = need;
	}
	p = (char *)(r->params + n);
	for (char **e = envp; *e; e++) {
		char *end = stpcpy(p, *e), *equals = strchr(p, '=');

		if (equals)
			r->params[r->param_count++] = (struct param){ p, equals + 1, (size_t)(equals - p) };
		p = end + 1;
	}
	return HL_OK;
}

static enum hl_err
copy_body(struct fcgi_request *r, FCGX_Stream *in)
{
	const char *announced = fcgi_param(r, "CONTENT_LENGTH");
	unsigned long len = announced ? strtoul(announced, NULL, 10) : 0;
	int n;

	free(r->body);
	r->body = NULL;
	r->body_len = 0;
	r->cut = false;
	if (len == 0)
		return HL_OK;
	if (len > FCGI_MAX_BODY)
		return HL_TOO_LARGE;
	r->body = malloc(len + 1);
	if (r->body == NULL)
		return HL_NO_MEMORY;
	while (r->body_len < len && (n = FCGX_GetStr(r->body + r->body_len, (int)(len - r->body_len), in)) > 0)
		r->body_len += (size_t)n;
	r->body[r->body_len] = '\0';
	r->cut = r->body_len < len;
	return HL_OK;
}

/* Reads one request.  Any failure means that the connection is of no more use. */
static enum hl_err
parse(struct fcgi_request *r)
{
	FCGX_Request *parser = &r->server->parser;
	enum hl_err err;

	parser->ipcFd = r->fd;
	parser->keepConnection = 1;	/* else FCGX_Accept_r() closes ipcFd first */
	parser->listen_sock = -1;
	parser->detached = 1;
	if (FCGX_Accept_r(parser) < 0) {
		parser->ipcFd = -1;
		r->fd = -1;		/* libfcgi has closed it */
		return HL_CANCELLED;
	}
	r->id = parser->requestId;
	r->keep = parser->keepConnection != 0;
	err = copy_params(r, parser->envp);
	if (err == HL_OK)
		err = copy_body(r, parser->in);
	parser->keepConnection = 1;
	FCGX_Free(parser, 0);
	parser->ipcFd = -1;
	return err;
}

const char *
fcgi_param(const struct fcgi_request *r, const char *name)
{
	size_t n = strlen(name);

	for (const struct param *p = r->params; p < r->params + r->param_count; p++)
		if (p->name_len == n && memcmp(p->name, name, n) == 0)
			return p->value;
	return NULL;
}

const char *
fcgi_body(const struct fcgi_request *r, size_t *len)
{
	*len = r->body_len;
	return r->body ? r->body : "";
}

bool
fcgi_body_cut(const struct fcgi_request *r)
{
	return r->cut;
}

void
fcgi_break_off(struct fcgi_request *r)
{
	r->broken_off = true;
}

void
fcgi_on_gone(struct fcgi_request *r, void (*gone)(void *), void *arg)
{
	r->cancel = false;
	r->on_gone = gone;
	r->on_gone_arg = arg;
}

/* ---- writing ---- */

/* What ends an answer: the stream, and the request as FCGI_REQUEST_COMPLETE with application status 0. */
struct end { FCGI_Header stream; FCGI_EndRequestRecord request; };

static struct end
end_of(int id)
{
	return (struct end){ fcgi_header(FCGI_STDOUT, id, 0), { .header = fcgi_header(FCGI_END_REQUEST, id, sizeof(FCGI_EndRequestBody)) } };
}

/* Sends what it can without blocking and watches for room if something is left. */
static void
send_some(struct fcgi_request *r)
{
	while (r->sent < r->out.len && !r->gone) {
		ssize_t n = send(r->fd, r->out.data + r->sent, r->out.len - r->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			r->sent += (size_t)n;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			r->gone = true;
	}
	if (r->sent == r->out.len || r->gone) {
		buf_reset(&r->out);
		r->sent = 0;
	}
	watch(r, r->gone ? 0 : UV_READABLE | UV_DISCONNECT | (r->out.len ? UV_WRITABLE : 0));
}

enum hl_err
fcgi_write(struct fcgi_request *r, const void *bytes, size_t len)
{
	const char *p = bytes;

	if (r->gone)
		return HL_CANCELLED;
	while (len > 0) {
		size_t n = len < FCGI_RECORD_MAX ? len : FCGI_RECORD_MAX;

		fcgi_add_record(&r->out, FCGI_STDOUT, r->id, p, n);
		p += n;
		len -= n;
	}
	return buf_err(&r->out);
}

#define GATHER_LEAST	16384u		/* fewer bytes are sooner copied than gathered */
#define GATHER_MOST	8u		/* records */

/* Sends what is queued, these bytes as records, and the end; what the socket does not take at once is queued. */
static void
gather(struct fcgi_request *r, const char *bytes, size_t len)
{
	struct end end = end_of(r->id);
	FCGI_Header head[GATHER_MOST];
	struct iovec v[2 * GATHER_MOST + 2];
	struct msghdr message = { .msg_iov = v };
	size_t n = 0, taken;
	ssize_t sent;

	v[n++] = (struct iovec){ r->out.data + r->sent, r->out.len - r->sent };
	for (size_t at = 0; at < len; at += FCGI_RECORD_MAX, n += 2) {
		size_t part = len - at < FCGI_RECORD_MAX ? len - at : FCGI_RECORD_MAX;
		FCGI_Header *h = &head[n / 2];

		*h = fcgi_header(FCGI_STDOUT, r->id, part);
		v[n] = (struct iovec){ h, sizeof(*h) };
		v[n + 1] = (struct iovec){ (char *)(uintptr_t)(bytes + at), part };
	}
	v[n++] = (struct iovec){ &end, sizeof(end) };
	message.msg_iovlen = n;
	do
		sent = sendmsg(r->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN) {
		r->gone = true;
		return;
	}
	taken = sent < 0 ? 0 : (size_t)sent;
	for (size_t i = 0; i < n; i++) {
		size_t gone = taken < v[i].iov_len ? taken : v[i].iov_len;

		taken -= gone;
		if (i == 0)
			r->sent += gone;
		else
			buf_add(&r->out, (char *)v[i].iov_base + gone, v[i].iov_len - gone);
	}
	r->ended = true;
}

enum hl_err
fcgi_write_last(struct fcgi_request *r, const void *bytes, size_t len)
{
	if (r->gone || len < GATHER_LEAST || len > GATHER_MOST * FCGI_RECORD_MAX || buf_err(&r->out))
		return fcgi_write(r, bytes, len);
	gather(r, bytes, len);
	return r->gone ? HL_CANCELLED : buf_err(&r->out);
}

enum hl_err
fcgi_push(struct fcgi_request *r)
{
	send_some(r);
	return r->gone ? HL_CANCELLED : r->out.len - r->sent > FCGI_MAX_QUEUE ? HL_BUSY : HL_OK;
}

enum hl_err
fcgi_flush(struct fcgi_request *r)
{
	enum hl_err err = HL_OK;

	send_some(r);
	r->flusher = task_self();
	while (err == HL_OK && !r->gone && r->out.len - r->sent > FCGI_MAX_QUEUE)
		err = task_wait();
	r->flusher = NULL;
	return r->gone ? HL_CANCELLED : err;
}

/* ---- one request after the other ---- */

static void
request_over(struct fcgi_request *r)
{
	if (r->gone || r->broken_off || !r->keep || r->server->draining) {
		connection_close(r);
		return;
	}
	r->busy = false;
	if (r->out.cap > FCGI_RECORD_MAX)
		buf_free(&r->out);
}

static void
run_request(void *arg)
{
	struct fcgi_request *r = arg;
	struct end end = end_of(r->id);

	r->task = task_self();
	r->server->handler(r, r->server->arg);
	r->running = false;
	if (!r->ended && !r->broken_off)
		buf_add(&r->out, &end, sizeof(end));
	if (buf_err(&r->out))
		r->gone = true;		/* a truncated answer must not look like a whole one */
	send_some(r);
	if (r->out.len == 0)
		request_over(r);
}

static void
start_request(struct fcgi_request *r)
{
	if (parse(r) != HL_OK) {
		connection_close(r);
		return;
	}
	r->busy = r->running = true;
	r->ended = false;
	r->cancel = true;
	r->on_gone = NULL;
	if (task_start(r->server->loop, run_request, r) != HL_OK)
		connection_close(r);
}

static void
client_gone(struct fcgi_request *r)
{
	r->gone = true;
	watch(r, 0);
	if (!r->running)
		connection_close(r);
	else if (r->flusher)
		task_wake(r->flusher);
	else if (r->on_gone)
		r->on_gone(r->on_gone_arg);
	else if (r->cancel)
		task_cancel(r->task);
}

static void
on_event(uv_poll_t *poll, int status, int events)
{
	struct fcgi_request *r = poll->data;

	if (!r->busy) {
		if (status == 0 && (events & UV_READABLE))
			start_request(r);
		else
			connection_close(r);
		return;
	}
	/* nginx sends nothing while it waits for an answer: readable means that it has hung up or wants to abort. */
	if (status < 0 || (events & (UV_DISCONNECT | UV_READABLE))) {
		client_gone(r);
		return;
	}
	send_some(r);
	if (r->running && r->flusher)
		task_wake(r->flusher);
	else if (!r->running && (r->out.len == 0 || r->gone))
		request_over(r);
}

/* ---- the listener ---- */

static void on_acceptable(uv_poll_t *, int status, int events);

static void
on_pause_over(uv_timer_t *timer)
{
	struct fcgi_server *s = timer->data;

	if (!s->draining)
		uv_poll_start(&s->accepter, UV_READABLE, on_acceptable);
}

static void
on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct fcgi_server *s = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			connection_new(s, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			uv_poll_stop(&s->accepter);
			uv_timer_start(&s->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
		}
		return;
	}
}

enum hl_err
fcgi_serve(uv_loop_t *loop, int take_listener, fcgi_handler handler, void *arg, struct fcgi_server **ret_server)
{
	struct fcgi_server *s = calloc(1, sizeof(*s));
	struct sigaction term;

	*ret_server = NULL;
	if (s == NULL)
		return HL_NO_MEMORY;
	s->loop = loop;
	s->listener = take_listener;
	s->handler = handler;
	s->arg = arg;
	/* FCGX_Init() installs handlers of its own for SIGTERM and SIGPIPE: back to what the program had. */
	sigaction(SIGTERM, NULL, &term);
	if (FCGX_Init() != 0 || FCGX_InitRequest(&s->parser, -1, 0) != 0 || uv_poll_init(loop, &s->accepter, take_listener) != 0) {
		free(s);
		return HL_INTERNAL;
	}
	uv_timer_init(loop, &s->pause);
	sigaction(SIGTERM, &term, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->accepter.data = s->pause.data = s;
	uv_poll_start(&s->accepter, UV_READABLE, on_acceptable);
	*ret_server = s;
	return HL_OK;
}

void
fcgi_hold(struct fcgi_server *s, bool on)
{
	uv_timer_stop(&s->pause);
	if (on)
		uv_poll_stop(&s->accepter);
	else
		on_pause_over(&s->pause);
}

void
fcgi_drain(struct fcgi_server *s, void (*done)(void *), void *arg)
{
	struct fcgi_request *r, *next;

	s->draining = true;
	s->drained = done;
	s->drained_arg = arg;
	uv_poll_stop(&s->accepter);
	uv_timer_stop(&s->pause);
	for (r = s->connections; r; r = next) {
		next = r->next;
		if (!r->busy)
			connection_close(r);
	}
	maybe_drained(s);
}

static void
pause_closed(uv_handle_t *handle)
{
	struct fcgi_server *s = handle->data;

	close(s->listener);
	free(s);
}

static void
accepter_closed(uv_handle_t *handle)
{
	struct fcgi_server *s = handle->data;

	uv_close((uv_handle_t *)&s->pause, pause_closed);
}

void
fcgi_free(struct fcgi_server *s)
{
	if (s)
		uv_close((uv_handle_t *)&s->accepter, accepter_closed);
}
