#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "wire.h"

#define TEXT_MAX	2048

/* ---- connections ---- */

struct sending { uv_write_t req; char bytes[]; };

static void
on_sent(uv_write_t *req, int status)
{
	(void)status;	/* its reader sees a connection that is gone */
	free(req);
}

void
wire_send(struct wire *w, const char *bytes, size_t len)
{
	uv_buf_t out = { .base = (char *)(uintptr_t)bytes, .len = len };
	int n = uv_try_write((uv_stream_t *)&w->tcp, &out, 1);
	struct sending *s;

	if (n == UV_EAGAIN)
		n = 0;
	if (n < 0 || (size_t)n == len || (s = malloc(sizeof(*s) + len)) == NULL)
		return;
	memcpy(s->bytes, bytes + n, len - (size_t)n);
	out = uv_buf_init(s->bytes, (unsigned)(len - (size_t)n));
	if (uv_write(&s->req, (uv_stream_t *)&w->tcp, &out, 1, on_sent) != 0)
		free(s);
}

void
wire_close(struct wire *w)
{
	if (!uv_is_closing((uv_handle_t *)&w->tcp))
		uv_close((uv_handle_t *)&w->tcp, NULL);
}

static void
end(struct wire *w, const char *why)
{
	if (uv_is_closing((uv_handle_t *)&w->tcp))
		return;
	wire_close(w);
	w->ended(w, why);
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	static char bytes[65536];

	(void)handle;
	(void)suggested;
	*ret = uv_buf_init(bytes, sizeof(bytes));
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct wire *w = stream->data;

	if (n > 0)
		w->bytes(w, bytes->base, (size_t)n);
	else if (n < 0)
		end(w, n == UV_EOF ? "the connection was closed" : uv_strerror((int)n));
}

static void
on_connected(uv_connect_t *req, int status)
{
	struct wire *w = req->data;

	if (status != 0) {
		end(w, uv_strerror(status));
		return;
	}
	uv_tcp_nodelay(&w->tcp, 1);
	uv_read_start((uv_stream_t *)&w->tcp, on_alloc, on_read);
	w->opened(w);
}

void
wire_connect(uv_loop_t *loop, struct wire *w, int port)
{
	struct sockaddr_in address;
	int err;

	uv_ip4_addr("127.0.0.1", port, &address);
	uv_tcp_init(loop, &w->tcp);
	w->tcp.data = w->connecting.data = w;
	err = uv_tcp_connect(&w->connecting, &w->tcp, (const struct sockaddr *)&address, on_connected);
	if (err)
		end(w, uv_strerror(err));
}

/* ---- HTTP ---- */

void
answer_reset(struct answer *a)
{
	buf_reset(&a->raw);
	buf_reset(&a->body);
	a->left = 0;
	a->status = 0;
	a->chunked = a->complete = false;
}

static bool
read_head(struct answer *a)
{
	const char *end = a->raw.len ? strstr(a->raw.data, "\r\n\r\n") : NULL, *line;

	if (end == NULL)
		return false;
	a->status = (int)strtol(a->raw.data + strlen("HTTP/1.1 "), NULL, 10);
	for (line = a->raw.data; line < end; line = strstr(line, "\r\n") + 2) {
		if (strncasecmp(line, "content-length:", 15) == 0)
			a->left = strtoul(line + 15, NULL, 10);
		if (strncasecmp(line, "transfer-encoding:", 18) == 0)
			a->chunked = true;
	}
	buf_consume(&a->raw, (size_t)(end - a->raw.data) + 4);
	a->complete = !a->chunked && a->left == 0;
	return true;
}

/* left counts a chunk's closing line end, too. */
static bool
read_chunk_size(struct answer *a)
{
	const char *end = a->raw.len ? strstr(a->raw.data, "\r\n") : NULL;
	size_t size;

	if (end == NULL)
		return false;
	size = strtoul(a->raw.data, NULL, 16);
	if (size == 0) {
		a->complete = strncmp(end, "\r\n\r\n", 4) == 0;
		return false;
	}
	a->left = size + 2;
	buf_consume(&a->raw, (size_t)(end - a->raw.data) + 2);
	return true;
}

static bool
read_chunk(struct answer *a)
{
	if (a->left == 0 && !read_chunk_size(a))
		return false;
	if (a->raw.len < a->left)
		return false;
	buf_add(&a->body, a->raw.data, a->left - 2);
	buf_consume(&a->raw, a->left);
	a->left = 0;
	return true;
}

void
answer_feed(struct answer *a, const char *bytes, size_t len)
{
	buf_add(&a->raw, bytes, len);
	if (a->status == 0 && !read_head(a))
		return;
	if (a->chunked) {
		while (!a->complete && read_chunk(a))
			;
	} else if (!a->complete && a->raw.len >= a->left) {
		buf_add(&a->body, a->raw.data, a->left);
		a->complete = true;
	}
}

/* ---- WebSocket ---- */

size_t
frame_take(const struct buf *in, size_t at, const char **ret_bytes, size_t *ret_len)
{
	const unsigned char *p = (const unsigned char *)in->data + at;
	size_t head = 2, len, there = in->len - at;

	if (there < 2)
		return 0;
	len = p[1] & 127;
	if (len >= 126)
		head = len == 126 ? 4 : 10;
	if (there < head)
		return 0;
	if (head > 2) {
		len = 0;
		for (size_t i = 2; i < head; i++)
			len = len << 8 | p[i];
	}
	if (there - head < len)
		return 0;
	*ret_bytes = in->data + at + head;
	*ret_len = len;
	return head + len;
}

void
frame_add(struct buf *out, enum frame kind, const char *bytes, size_t len)
{
	static const char no_mask[4];

	buf_putc(out, (char)(0x80 | kind));
	if (len < 126)
		buf_putc(out, (char)(0x80 | len));
	else {
		buf_putc(out, (char)(0x80 | 126));
		buf_putc(out, (char)(len >> 8));
		buf_putc(out, (char)len);
	}
	buf_add(out, no_mask, sizeof(no_mask));
	buf_add(out, bytes, len);
}

/* ---- Socket.IO ---- */

void
socket_open(struct wire *w, int port)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", port);

	wire_send(w, text, (size_t)n);
}

bool
socket_feed(struct answer *a, struct buf *frames, const char *bytes, size_t len)
{
	if (a->status) {
		buf_add(frames, bytes, len);
		return a->status == 101;
	}
	answer_feed(a, bytes, len);
	if (a->status)
		buf_add(frames, a->raw.data, a->raw.len);
	return a->status == 0 || a->status == 101;
}

void
socket_say(struct wire *w, const char *text)
{
	struct buf out = BUF_INIT(TEXT_MAX);

	frame_add(&out, FRAME_TEXT, text, strlen(text));
	wire_send(w, out.data, out.len);
	buf_free(&out);
}

bool
text_starts(const char *text, size_t len, const char *prefix)
{
	return len >= strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0;
}
