#include <stdlib.h>

#include "loop/wire_pipe.h"

#define READ_SIZE	65536u

struct wire_pipe {
	uv_pipe_t	 pipe;
	uv_connect_t	 connect;
	const struct wire_pipe_calls *calls;
	void		*arg;
	struct buf	 in;		/* a frame that is not whole yet */
	bool		 closing;
};

struct writing { uv_write_t request; struct buf bytes; };

static struct wire_pipe *
pipe_new(uv_loop_t *loop, const struct wire_pipe_calls *calls, void *arg)
{
	struct wire_pipe *p = calloc(1, sizeof(*p));

	if (p == NULL || uv_pipe_init(loop, &p->pipe, 0) != 0) {
		free(p);
		return NULL;
	}
	p->pipe.data = p->connect.data = p;
	p->calls = calls;
	p->arg = arg;
	p->in = BUF_INIT(WIRE_MAX + WIRE_HEADER + READ_SIZE);
	return p;
}

static void
on_closed(uv_handle_t *h)
{
	struct wire_pipe *p = h->data;

	buf_free(&p->in);
	free(p);
}

void
wire_pipe_close(struct wire_pipe *p)
{
	if (p == NULL || p->closing)
		return;
	p->closing = true;
	uv_close((uv_handle_t *)&p->pipe, on_closed);
}

/* ---- from the other end ---- */

static void
on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	struct wire_pipe *p = h->data;
	char *room = buf_reserve(&p->in, READ_SIZE);

	(void)suggested;
	*ret = uv_buf_init(room, room ? READ_SIZE : 0);
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct wire_pipe *p = stream->data;
	struct wire_frame f;
	size_t at = 0;
	bool whole = true, good = n >= 0;

	(void)b;
	if (good)
		buf_grow(&p->in, (size_t)n);
	while (good && whole && !p->closing) {
		good = wire_next(p->in.data, p->in.len, &at, &f, &whole) == HL_OK;
		if (good && whole)
			good = p->calls->frame(p->arg, &f);
	}
	if (p->closing)
		return;
	if (good)
		buf_consume(&p->in, at);
	else
		p->calls->lost(p->arg);
}

static void
on_connected(uv_connect_t *connect, int status)
{
	struct wire_pipe *p = connect->data;

	if (p->closing)
		return;
	if (status < 0 || uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) < 0)
		p->calls->lost(p->arg);
}

enum hl_err
wire_pipe_connect(uv_loop_t *loop, const char *path, const struct wire_pipe_calls *calls, void *arg, struct wire_pipe **ret)
{
	*ret = pipe_new(loop, calls, arg);
	if (*ret == NULL)
		return HL_NO_MEMORY;
	uv_pipe_connect(&(*ret)->connect, &(*ret)->pipe, path, on_connected);
	return HL_OK;
}

enum hl_err
wire_pipe_accept(uv_stream_t *listener, const struct wire_pipe_calls *calls, void *arg, struct wire_pipe **ret)
{
	struct wire_pipe *p = *ret = pipe_new(listener->loop, calls, arg);

	if (p == NULL)
		return HL_NO_MEMORY;
	if (uv_accept(listener, (uv_stream_t *)&p->pipe) == 0 && uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) == 0)
		return HL_OK;
	wire_pipe_close(p);
	*ret = NULL;
	return HL_UPSTREAM;
}

/* ---- to the other end ---- */

static void
writing_free(struct writing *w)
{
	if (w)
		buf_free(&w->bytes);
	free(w);
}

static void
on_written(uv_write_t *request, int status)
{
	(void)status;		/* the reading end says it */
	writing_free((struct writing *)(void *)request);
}

enum hl_err
wire_pipe_send(struct wire_pipe *p, size_t most_waiting, const struct wire_frame *f)
{
	struct writing *w;
	uv_buf_t b;
	enum hl_err err;

	if (uv_stream_get_write_queue_size((uv_stream_t *)&p->pipe) > most_waiting)
		return HL_BUSY;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return HL_NO_MEMORY;
	w->bytes = BUF_INIT(WIRE_MAX + WIRE_HEADER);
	if (f->type == WIRE_BINARY)
		wire_add_binary(&w->bytes, f->data, f->len, f->bytes, f->bytes_len);
	else
		wire_add(&w->bytes, f->type, f->data, f->len);
	err = buf_err(&w->bytes);
	b = uv_buf_init(w->bytes.data, (unsigned)w->bytes.len);
	if (err == HL_OK && uv_write(&w->request, (uv_stream_t *)&p->pipe, &b, 1, on_written) != 0)
		err = HL_UPSTREAM;
	if (err)
		writing_free(w);
	return err;
}
