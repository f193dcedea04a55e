#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/wire.h"
#include "push/answer.h"
#include "push/client.h"
#include "push/line.h"

#define READ_SIZE	65536u
#define TOLD_AGAIN_MS	1000

struct line {
	uv_pipe_t	 pipe;
	uv_connect_t	 connect;
	struct socket	*socket;	/* NULL: it is being closed */
	struct buf	 in;		/* a frame that is not whole yet */
	bool		 closing;
};

struct writing { uv_write_t request; struct buf bytes; };

/* ---- its end ---- */

static void
on_closed(uv_handle_t *h)
{
	struct line *l = h->data;

	buf_free(&l->in);
	free(l);
}

static void
line_end(struct line *l)
{
	if (l->socket)
		l->socket->line = NULL;
	l->socket = NULL;
	if (l->closing)
		return;
	l->closing = true;
	uv_close((uv_handle_t *)&l->pipe, on_closed);
}

void
line_close(struct socket *s)
{
	if (s->line)
		line_end(s->line);
}

static void
tell(struct socket *s, const char *args, size_t len)
{
	struct span none = { NULL, 0 };

	(void)!socket_args(s, SIO_EVENT, none, (struct span){ args, len });
}

static void
tell_ended(struct socket *s, const char *reason)
{
	struct buf b = BUF_INIT(256);

	buf_printf(&b, "[\"voice_ended\",{\"reason\":\"%s\",\"message\":\"%s\"}]", reason, strcmp(reason, "no_call") == 0 ?
	    "There is no call; begin one with voice_start" : "The call was interrupted; begin it again");
	if (buf_err(&b) == HL_OK)
		tell(s, b.data, b.len);
	buf_free(&b);
}

static void
line_lost(struct line *l)
{
	struct socket *s = l->socket;

	line_end(l);
	if (s)
		tell_ended(s, "begin_again");
}

/* ---- from the process ---- */

/* An event with one attachment, as two messages. */
static enum hl_err
tell_binary(struct socket *s, const struct wire_frame *f)
{
	struct sio_packet packet = { .type = SIO_BINARY_EVENT, .attachments = 1, .nsp = nsp_of(s), .data = { f->data, f->len } };
	struct buf text = BUF_INIT(WIRE_MAX);
	struct message *head = NULL, *body = NULL;
	enum hl_err err;

	buf_putc(&text, '4');
	sio_encode(&text, &packet);
	err = buf_err(&text);
	if (err == HL_OK) {
		head = message_new(MESSAGE_TEXT, text.data, text.len);
		body = message_new(MESSAGE_BINARY, f->bytes, f->bytes_len);
		err = head && body ? HL_OK : HL_NO_MEMORY;
	}
	if (err == HL_OK && !s->left && s->client->session) {
		session_send(s->client->session, head);
		session_send(s->client->session, body);
	}
	message_unref(head);
	message_unref(body);
	buf_free(&text);
	return err;
}

/* False: the line is at its end. */
static bool
take_frame(struct line *l, const struct wire_frame *f)
{
	struct socket *s = l->socket;

	switch (f->type) {
	case WIRE_EVENT:
		tell(s, f->data, f->len);
		return true;
	case WIRE_BINARY:
		return tell_binary(s, f) == HL_OK;
	case WIRE_BYE:
		line_end(l);
		tell(s, f->data, f->len);
		return true;
	default:
		return false;
	}
}

static void
take_frames(struct line *l)
{
	struct wire_frame f;
	size_t at = 0;
	bool whole = true;

	while (l->socket && whole)
		if (wire_next(l->in.data, l->in.len, &at, &f, &whole) != HL_OK || (whole && !take_frame(l, &f))) {
			line_lost(l);
			return;
		}
	if (l->socket)
		buf_consume(&l->in, at);
}

static void
on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	struct line *l = h->data;
	char *room = buf_reserve(&l->in, READ_SIZE);

	(void)suggested;
	*ret = uv_buf_init(room, room ? READ_SIZE : 0);
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct line *l = stream->data;

	(void)b;
	if (n < 0) {
		line_lost(l);
		return;
	}
	buf_grow(&l->in, (size_t)n);
	take_frames(l);
}

/* ---- to the process ---- */

static void
on_written(uv_write_t *request, int status)
{
	struct writing *w = (struct writing *)(void *)request;

	(void)status;		/* the reading end says it */
	buf_free(&w->bytes);
	free(w);
}

static void
send_frame(struct line *l, enum wire_type type, const char *data, size_t len)
{
	struct writing *w = calloc(1, sizeof(*w));
	uv_buf_t b;

	if (w == NULL || uv_stream_get_write_queue_size((uv_stream_t *)&l->pipe) > LINE_WAITING_MAX)
		goto fail;
	w->bytes = BUF_INIT(WIRE_MAX + WIRE_HEADER);
	wire_add(&w->bytes, type, data, len);
	if (buf_err(&w->bytes) != HL_OK)
		goto fail;
	b = uv_buf_init(w->bytes.data, (unsigned)w->bytes.len);
	if (uv_write(&w->request, (uv_stream_t *)&l->pipe, &b, 1, on_written) == 0)
		return;
fail:
	if (w)
		buf_free(&w->bytes);
	free(w);
	line_lost(l);
}

static void
on_connected(uv_connect_t *connect, int status)
{
	struct line *l = connect->data;

	if (l->closing)
		return;
	if (status < 0 || uv_read_start((uv_stream_t *)&l->pipe, on_alloc, on_read) < 0)
		line_lost(l);
}

enum hl_err
line_open(struct socket *s, struct span where)
{
	struct buf path = BUF_INIT(256), key = BUF_INIT(256);
	struct line *l = NULL;
	enum hl_err err = HL_UPSTREAM;

	line_close(s);
	if (!span_text(span_member(where, "socket"), &path) || !span_text(span_member(where, "key"), &key) || s->left)
		goto out;
	err = HL_NO_MEMORY;
	l = calloc(1, sizeof(*l));
	if (l == NULL || uv_pipe_init(s->client->hub->questions.loop, &l->pipe, 0) != 0) {
		free(l);
		goto out;
	}
	l->pipe.data = l->connect.data = l;
	l->in = BUF_INIT(WIRE_MAX + WIRE_HEADER + READ_SIZE);
	l->socket = s;
	s->line = l;
	uv_pipe_connect(&l->connect, &l->pipe, path.data, on_connected);
	send_frame(l, WIRE_HELLO, key.data, key.len);
	err = HL_OK;
out:
	buf_free(&path);
	buf_free(&key);
	return err;
}

/* ---- from the client ---- */

static bool
is_voice(struct span name)
{
	static const char *const names[] = { "\"voice_audio\"", "\"voice_played\"", "\"voice_rate\"", "\"voice_stop\"" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (name.len == strlen(names[i]) && memcmp(name.p, names[i], name.len) == 0)
			return true;
	return false;
}

static const char too_large[] = "[\"error\",{\"message\":\"voice_audio: a piece of sound is a second at most\",\"code\":\"too_large\"}]";

/* Who sends on after the end of a call is told so now and then; who is about to begin one, not. */
static void
no_call(struct socket *s)
{
	int64_t now = clock_mono_ms();

	if (!job_is_idle(&s->job) || (s->told_no_call_ms && now - s->told_no_call_ms < TOLD_AGAIN_MS))
		return;
	s->told_no_call_ms = now;
	tell_ended(s, "no_call");
}

bool
line_takes(struct socket *s, const struct sio_packet *k)
{
	struct span sound;

	if (!is_voice(k->name))
		return false;
	if (s->line == NULL) {
		no_call(s);
	} else if (k->attachments == 1) {
		sound = sio_attachment(&s->client->decoder, 0);
		if (sound.len < WIRE_MAX)
			send_frame(s->line, WIRE_SOUND, sound.p, sound.len);
		else
			tell(s, too_large, sizeof(too_large) - 1);
	} else if (k->data.len < WIRE_MAX) {
		send_frame(s->line, WIRE_EVENT, k->data.p, k->data.len);
	}
	if (k->id.len && !s->left)
		(void)!socket_args(s, SIO_ACK, k->id, (struct span)SPAN("[{\"ok\":true}]"));
	return true;
}
