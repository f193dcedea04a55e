#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "loop/task.h"
#include "server.h"

union stream { uv_handle_t handle; uv_stream_t stream; uv_tcp_t tcp; uv_pipe_t pipe; };

struct server {
	union stream	 listener;
	bool		 is_pipe;
	server_serve	 serve;
	void		*arg;
	unsigned	 accepted, open;
	int		 refs;
};

struct server_call {
	union stream	 stream;
	struct server	*server;
	struct buf	 in;
	size_t		 head_len, body_len;	/* of the request that runs */
	bool		 running, gone, closed;
};

static void call_next(struct server_call *);

static void
server_unref(struct server *s)
{
	if (--s->refs == 0)
		free(s);
}

static void
call_free(struct server_call *c)
{
	c->server->open--;
	server_unref(c->server);
	buf_free(&c->in);
	free(c);
}

static void
on_call_closed(uv_handle_t *h)
{
	struct server_call *c = h->data;

	c->closed = true;
	if (!c->running)
		call_free(c);
}

static void
call_close(struct server_call *c)
{
	c->gone = true;
	if (!uv_is_closing(&c->stream.handle))
		uv_close(&c->stream.handle, on_call_closed);
}

static void
run_call(void *arg)
{
	struct server_call *c = arg;

	c->server->serve(c, c->server->arg);
	c->running = false;
	buf_consume(&c->in, c->head_len + c->body_len);
	if (c->closed)
		call_free(c);
	else if (!c->gone)
		call_next(c);
}

/* Starts the next request once all of it has come. */
static void
call_next(struct server_call *c)
{
	char *end = c->in.len ? memmem(c->in.data, c->in.len, "\r\n\r\n", 4) : NULL, *length;

	if (c->running || end == NULL)
		return;
	c->head_len = (size_t)(end - c->in.data) + 4;
	*end = '\0';
	length = strcasestr(c->in.data, "\r\nContent-Length:");
	*end = '\r';
	c->body_len = length ? strtoul(length + 17, NULL, 10) : 0;
	if (c->in.len < c->head_len + c->body_len && c->body_len < 1 << 20)
		return;
	if (c->in.len < c->head_len + c->body_len)
		c->body_len = c->in.len - c->head_len;	/* a huge one is answered before it is there */
	c->running = true;
	assert(task_start(c->stream.handle.loop, run_call, c) == HL_OK);
}

static void
on_alloc(uv_handle_t *h, size_t n, uv_buf_t *out)
{
	struct server_call *c = h->data;

	(void)n;
	out->base = buf_reserve(&c->in, 16384);
	out->len = out->base ? 16384 : 0;
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct server_call *c = stream->data;

	(void)b;
	if (n < 0) {
		uv_read_stop(stream);
		call_close(c);
	} else if (n > 0) {
		buf_grow(&c->in, (size_t)n);
		call_next(c);
	}
}

static void
on_connection(uv_stream_t *listener, int status)
{
	struct server *s = listener->data;
	struct server_call *c = calloc(1, sizeof(*c));

	assert(status == 0 && c);
	c->server = s;
	c->in = BUF_INIT(16 << 20);
	if (s->is_pipe)
		uv_pipe_init(listener->loop, &c->stream.pipe, 0);
	else
		uv_tcp_init(listener->loop, &c->stream.tcp);
	c->stream.handle.data = c;
	s->refs++;
	s->accepted++;
	s->open++;
	assert(uv_accept(listener, &c->stream.stream) == 0);
	if (!s->is_pipe)
		uv_tcp_nodelay(&c->stream.tcp, 1);
	uv_read_start(&c->stream.stream, on_alloc, on_read);
}

struct server *
server_new(uv_loop_t *loop, const char *path, server_serve serve, void *arg)
{
	struct server *s = calloc(1, sizeof(*s));
	struct sockaddr_in address;

	assert(s);
	signal(SIGPIPE, SIG_IGN);	/* clients go while they are written to */
	s->serve = serve;
	s->arg = arg;
	s->refs = 1;
	s->is_pipe = path != NULL;
	if (path) {
		unlink(path);
		uv_pipe_init(loop, &s->listener.pipe, 0);
		assert(uv_pipe_bind(&s->listener.pipe, path) == 0);
	} else {
		uv_ip4_addr("127.0.0.1", 0, &address);
		uv_tcp_init(loop, &s->listener.tcp);
		assert(uv_tcp_bind(&s->listener.tcp, (struct sockaddr *)&address, 0) == 0);
	}
	s->listener.handle.data = s;
	assert(uv_listen(&s->listener.stream, 4096, on_connection) == 0);
	uv_unref(&s->listener.handle);
	return s;
}

static void
on_listener_closed(uv_handle_t *h)
{
	server_unref(h->data);
}

void
server_free(struct server *s)
{
	uv_close(&s->listener.handle, on_listener_closed);
}

int
server_port(const struct server *s)
{
	struct sockaddr_in address;
	int n = sizeof(address);

	assert(uv_tcp_getsockname(&s->listener.tcp, (struct sockaddr *)&address, &n) == 0);
	return ntohs(address.sin_port);
}

unsigned
server_connections(const struct server *s)
{
	return s->accepted;
}

unsigned
server_open(const struct server *s)
{
	return s->open;
}

const char *
call_head(const struct server_call *c)
{
	return c->in.data;
}

const char *
call_body(const struct server_call *c)
{
	return c->in.data + c->head_len;
}

size_t
call_body_len(const struct server_call *c)
{
	return c->body_len;
}

bool
call_gone(const struct server_call *c)
{
	return c->gone;
}

struct write {
	uv_write_t	 request;
	char		 bytes[];
};

static void
on_written(uv_write_t *request, int status)
{
	(void)status;
	free(request->data);
}

void
call_send(struct server_call *c, const char *bytes, size_t n)
{
	struct write *w;
	uv_buf_t b;

	if (c->gone || n == 0)
		return;
	w = malloc(sizeof(*w) + n);
	assert(w);
	memcpy(w->bytes, bytes, n);
	w->request.data = w;
	b = uv_buf_init(w->bytes, (unsigned)n);
	if (uv_write(&w->request, &c->stream.stream, &b, 1, on_written) != 0)
		free(w);
}

void
call_text(struct server_call *c, const char *text)
{
	call_send(c, text, strlen(text));
}

void
call_answer(struct server_call *c, int status, const char *headers, const char *body)
{
	struct buf out = BUF_INIT(16 << 20);

	buf_printf(&out, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers, strlen(body), body);
	call_send(c, out.data, out.len);
	buf_free(&out);
}

void
call_chunk(struct server_call *c, const char *text)
{
	struct buf out = BUF_INIT(16 << 20);

	buf_printf(&out, "%zx\r\n%s\r\n", strlen(text), text);
	call_send(c, out.data, out.len);
	buf_free(&out);
}

void
call_hang_up(struct server_call *c, bool reset)
{
	if (c->gone)
		return;
	c->gone = true;
	if (!reset || c->server->is_pipe)
		uv_close(&c->stream.handle, on_call_closed);
	else
		uv_tcp_close_reset(&c->stream.tcp, on_call_closed);
}
