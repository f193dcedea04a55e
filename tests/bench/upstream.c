/*
 * upstream - an OpenAI-compatible server for measuring: it costs little, waits exactly and says when it did what.
 *
 *	upstream [PORT]		on 127.0.0.1, a free port if none is named; prints the port
 *
 *	POST .../chat/completions	one streamed answer, as structured output if the request asks for it
 *	POST .../audio/speech		sound: wave form with open length, in runs of 200 ms, or mp3 at once
 *	POST .../audio/transcriptions	the same question, whatever was said
 *	GET /control?delay=MS&tokens=N&interval=MS&sentences=0|1&hear=MS&speak=MS&sound=MS&step=MS
 *					sets how the next answers go; answers what has been seen since the last time
 *
 * An answer's text is "asked #r<ns>;" and then N words, each with "@s<ns>;": the moments, in nanoseconds of the monotonic clock,
 * at which the request had come and at which each word was handed to the kernel.  Who reads it on the same host can
 * take this server's own time off what it measured.  With an interval of 0 the whole answer is written at once.
 *
 * With sentences each word is a sentence, and the beginning of the next: it is known to be over when its mark is written.
 * A transcript ends with "@t<ns>; @w<ns>;", when the request had come and when it was answered.  Sound begins after `speak`
 * ms, lasts `sound` ms, and has a run of it every `step` ms; its first samples are struct marks (marks.h).
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <uv.h>

#include "base/buf.h"
#include "marks.h"

#define REQUEST_MAX	(4u * 1024 * 1024)
#define ANSWER_MAX	(4u * 1024 * 1024)
#define CHUNK_MAX	1024u
#define SOUND_RATE	24000u
#define RUN_MS		200u	/* of sound, at once */

struct behaviour { unsigned long delay, tokens, interval, sentences, hear, speak, sound, step; };

struct server {
	uv_loop_t		*loop;
	uv_tcp_t		 listener;
	struct behaviour	 how;
	unsigned long		 requests, open, most_open, speeches, hearings;
};

/* A connection, and the one answer that it carries at a time. */
struct conn {
	struct server		*server;
	uv_tcp_t		 tcp;
	uv_timer_t		 timer;
	struct buf		 in;
	struct behaviour	 how;
	uint64_t		 asked_ns;
	unsigned long		 sent;		/* tokens, or milliseconds of sound */
	struct marks		 marks;		/* of what is to be said */
	uv_timer_cb		 answer;
	unsigned long		 after_ms;
	uint64_t		 due_ms;	/* by the loop's clock: the next token */
	size_t			 closing;	/* handles that are still to be closed */
	bool			 busy, structured, mp3;
};

struct sending { uv_write_t req; struct buf bytes; };

static void	 next_request(struct conn *);

/* ---- connections ---- */

static void
on_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	if (--c->closing > 0)
		return;
	c->server->open -= c->busy;
	buf_free(&c->in);
	free(c);
}

static void
hang_up(struct conn *c)
{
	if (uv_is_closing((uv_handle_t *)&c->tcp))
		return;
	c->closing = 2;
	uv_close((uv_handle_t *)&c->tcp, on_closed);
	uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void
on_sent(uv_write_t *req, int status)
{
	struct sending *s = (struct sending *)req;

	(void)status;	/* a connection that is gone is seen by its reader */
	buf_free(&s->bytes);
	free(s);
}

/* Takes the bytes. */
static void
send_bytes(struct conn *c, struct buf *take)
{
	uv_buf_t out = uv_buf_init(take->data, (unsigned)take->len);
	int n = buf_err(take) == HL_OK ? uv_try_write((uv_stream_t *)&c->tcp, &out, 1) : UV_ENOMEM;
	struct sending *s;

	if (n == (int)take->len || (n < 0 && n != UV_EAGAIN) || (s = calloc(1, sizeof(*s))) == NULL) {
		buf_free(take);
		return;
	}
	if (n > 0)
		buf_consume(take, (size_t)n);
	s->bytes = *take;
	out = uv_buf_init(s->bytes.data, (unsigned)s->bytes.len);
	if (uv_write(&s->req, (uv_stream_t *)&c->tcp, &out, 1, on_sent) != 0)
		on_sent(&s->req, 0);
}

/* ---- an answer ---- */

static void
add_chunk(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
add_chunk(struct buf *out, const char *format, ...)
{
	char text[CHUNK_MAX];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	buf_printf(out, "%x\r\ndata: %s\n\n\r\n", (unsigned)n + 8, text);
}

/* content is the inside of a JSON string. */
static void
add_content(struct buf *out, const char *content)
{
	add_chunk(out, "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
	    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"finish_reason\":null}]}", content);
}

static void
add_head(struct buf *out, const struct conn *c)
{
	char text[64];

	buf_puts(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n");
	add_chunk(out, "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
	    "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}");
	if (c->structured)
		add_content(out, "{\\\"response\\\":\\\"");
	snprintf(text, sizeof(text), "asked #r%llu; ", (unsigned long long)c->asked_ns);
	add_content(out, text);
}

static void
add_token(struct buf *out, const struct conn *c)
{
	char text[128];

	snprintf(text, sizeof(text), c->how.sentences ? "there is more to be said @s%llu; about it. Then " : "word @s%llu; ",
	    (unsigned long long)uv_hrtime());
	add_content(out, text);
}

static void
add_end(struct buf *out, const struct conn *c)
{
	if (c->structured)
		add_content(out, "\\\",\\\"confidence\\\":0.9,\\\"intents\\\":[\\\"general\\\"],\\\"sentiment\\\":\\\"neutral\\\","
		    "\\\"wants_person\\\":false}");
	add_chunk(out, "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
	    "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}");
	add_chunk(out, "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"bench\","
	    "\"choices\":[],\"usage\":{\"prompt_tokens\":400,\"completion_tokens\":%lu,\"total_tokens\":%lu}}",
	    c->how.tokens, 400 + c->how.tokens);
	add_chunk(out, "[DONE]");
	buf_puts(out, "0\r\n\r\n");
}

static void
answered(struct conn *c)
{
	c->busy = false;
	c->server->open--;
	next_request(c);
}

/* By the answer's own clock: counted from when the last one went, answers that meet once would go together ever after. */
static void
on_token_time(uv_timer_t *timer)
{
	struct conn *c = timer->data;
	struct buf out = BUF_INIT(ANSWER_MAX);
	uint64_t now = uv_now(c->server->loop);

	if (c->sent == 0) {
		add_head(&out, c);
		c->due_ms = now;
	}
	do {
		add_token(&out, c);
		c->sent++;
	} while (c->how.interval == 0 && c->sent < c->how.tokens);
	if (c->sent >= c->how.tokens)
		add_end(&out, c);
	send_bytes(c, &out);
	c->due_ms += c->how.interval;
	if (c->sent < c->how.tokens)
		uv_timer_start(&c->timer, on_token_time, c->due_ms > now ? c->due_ms - now : 0, 0);
	else
		answered(c);
}

/* ---- a transcript ---- */

static void
on_heard(uv_timer_t *timer)
{
	struct conn *c = timer->data;
	struct buf out = BUF_INIT(CHUNK_MAX);
	char body[128];
	int n = snprintf(body, sizeof(body), "{\"text\":\"How long does delivery take? @t%llu; @w%llu;\"}",
	    (unsigned long long)c->asked_ns, (unsigned long long)uv_hrtime());

	buf_printf(&out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
	send_bytes(c, &out);
	answered(c);
}

/* ---- sound ---- */

static uint64_t
mark_in(const char *text, size_t len, const char *mark)
{
	const char *at = text, *found = NULL;

	while ((at = memmem(at, len - (size_t)(at - text), mark, strlen(mark))) != NULL)
		found = at++;
	return found ? strtoull(found + strlen(mark), NULL, 10) : 0;
}

static void
add_wave_head(struct buf *out)
{
	static const unsigned char head[44] = { 'R', 'I', 'F', 'F', 0xff, 0xff, 0xff, 0xff, 'W', 'A', 'V', 'E', 'f', 'm', 't', ' ',
		16, 0, 0, 0, 1, 0, 1, 0, SOUND_RATE & 0xff, SOUND_RATE >> 8, 0, 0, SOUND_RATE * 2 & 0xff, SOUND_RATE * 2 >> 8, 0, 0,
		2, 0, 16, 0, 'd', 'a', 't', 'a', 0xff, 0xff, 0xff, 0xff };

	buf_add(out, (const char *)head, sizeof(head));
}

/* Frames of MPEG-2 layer III that are silent: 24 ms each. */
static void
add_frames(struct buf *out, const struct conn *c)
{
	static const unsigned char frame[96] = { 0xff, 0xf3, 0x44, 0xc4 };
	unsigned long count = c->how.sound / 24 + 1;

	buf_printf(out, "%lx\r\n", count * sizeof(frame));
	for (unsigned long i = 0; i < count; i++)
		buf_add(out, (const char *)frame, sizeof(frame));
	buf_puts(out, "\r\n");
}

/* A run of it; the first one begins with the marks. */
static void
add_run(struct buf *out, struct conn *c)
{
	static const char silence[SOUND_RATE * 2 / 1000 * RUN_MS];
	unsigned long left = c->how.sound - c->sent, ms = left < RUN_MS ? left : RUN_MS;
	size_t bytes = ms * (SOUND_RATE * 2 / 1000), marks = 0;

	buf_printf(out, "%zx\r\n", bytes + (c->sent ? 0 : 44));
	if (c->sent == 0) {
		add_wave_head(out);
		marks = sizeof(c->marks) < bytes ? sizeof(c->marks) : bytes;
		c->marks.speech_sent_ns = uv_hrtime();
		buf_add(out, (const char *)&c->marks, marks);
	}
	buf_add(out, silence, bytes - marks);
	buf_puts(out, "\r\n");
	c->sent += ms;
}

static void
on_sound_time(uv_timer_t *timer)
{
	struct conn *c = timer->data;
	struct buf out = BUF_INIT(ANSWER_MAX);

	if (c->sent == 0)
		buf_printf(&out, "HTTP/1.1 200 OK\r\nContent-Type: audio/%s\r\nTransfer-Encoding: chunked\r\n\r\n", c->mp3 ? "mpeg" : "wav");
	if (c->mp3) {
		add_frames(&out, c);
		c->sent = c->how.sound;
	}
	while (c->sent < c->how.sound) {
		add_run(&out, c);
		if (c->how.step)
			break;
	}
	if (c->sent >= c->how.sound)
		buf_puts(&out, "0\r\n\r\n");
	send_bytes(c, &out);
	if (c->sent < c->how.sound)
		uv_timer_start(&c->timer, on_sound_time, c->how.step, 0);
	else
		answered(c);
}

/* ---- what is asked ---- */

static bool
is_path(const char *head, const char *end)
{
	const char *space = strchr(head + strlen("POST "), ' ');
	size_t n = strlen(end);

	return space && space >= head + n && memcmp(space - n, end, n) == 0;
}

/* Notes how the request is to be answered, and after what time; its bytes are not needed any more then. */
static void
take_request(struct conn *c, const char *head, const char *body, size_t len)
{
	struct server *s = c->server;

	c->busy = true;
	c->how = s->how;
	c->sent = 0;
	c->asked_ns = uv_hrtime();
	if (++s->open > s->most_open)
		s->most_open = s->open;
	if (is_path(head, "/audio/speech")) {
		s->speeches++;
		c->marks = (struct marks){ .magic = MARKS_MAGIC, .chat_asked_ns = mark_in(body, len, "#r"),
		    .chat_sent_ns = mark_in(body, len, "@s"), .speech_asked_ns = c->asked_ns };
		c->mp3 = memmem(body, len, "\"response_format\":\"mp3\"", 23) != NULL;
		c->answer = on_sound_time;
		c->after_ms = c->how.speak;
	} else if (is_path(head, "/audio/transcriptions")) {
		s->hearings++;
		c->answer = on_heard;
		c->after_ms = c->how.hear;
	} else {
		s->requests++;
		c->structured = memmem(body, len, "json_schema", 11) != NULL;
		c->answer = on_token_time;
		c->after_ms = c->how.delay;
	}
}

static void
start_answer(struct conn *c)
{
	if (c->after_ms == 0) {
		c->answer(&c->timer);
		return;
	}
	uv_update_time(c->server->loop);
	uv_timer_start(&c->timer, c->answer, c->after_ms, 0);
}

/* ---- control ---- */

static void
set_number(const char *head, const char *name, unsigned long *value)
{
	const char *at = strstr(head, name), *end = strchr(head, '\r');

	if (at && at < end)
		*value = strtoul(at + strlen(name), NULL, 10);
}

static void
read_control(struct server *s, const char *head)
{
	set_number(head, "delay=", &s->how.delay);
	set_number(head, "tokens=", &s->how.tokens);
	set_number(head, "interval=", &s->how.interval);
	set_number(head, "sentences=", &s->how.sentences);
	set_number(head, "hear=", &s->how.hear);
	set_number(head, "speak=", &s->how.speak);
	set_number(head, "sound=", &s->how.sound);
	set_number(head, "step=", &s->how.step);
}

static void
answer_control(struct conn *c)
{
	struct server *s = c->server;
	struct buf out = BUF_INIT(CHUNK_MAX);
	char body[256];
	int n;

	n = snprintf(body, sizeof(body), "{\"requests\":%lu,\"open\":%lu,\"mostOpen\":%lu,\"speeches\":%lu,\"hearings\":%lu}",
	    s->requests, s->open, s->most_open, s->speeches, s->hearings);
	s->requests = s->speeches = s->hearings = 0;
	s->most_open = s->open;
	buf_printf(&out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
	send_bytes(c, &out);
}

/* ---- requests ---- */

static size_t
content_length(const char *head, const char *end)
{
	for (const char *line = head; line < end; line = strstr(line, "\r\n") + 2)
		if (strncasecmp(line, "content-length:", 15) == 0)
			return strtoul(line + 15, NULL, 10);
	return 0;
}

static void
next_request(struct conn *c)
{
	const char *end;
	size_t head_len, body_len;
	bool post;

	while (!c->busy && c->in.len > 0 && (end = strstr(c->in.data, "\r\n\r\n")) != NULL) {
		head_len = (size_t)(end - c->in.data) + 4;
		body_len = content_length(c->in.data, end);
		if (c->in.len - head_len < body_len)
			return;
		post = strncmp(c->in.data, "POST ", 5) == 0;
		if (post)
			take_request(c, c->in.data, c->in.data + head_len, body_len);
		else
			read_control(c->server, c->in.data);
		buf_consume(&c->in, head_len + body_len);
		if (post)
			start_answer(c);
		else
			answer_control(c);
	}
	if (c->in.len == 0)
		buf_free(&c->in);
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
	struct conn *c = stream->data;

	if (n > 0)
		buf_add(&c->in, bytes->base, (size_t)n);
	if (n < 0 || buf_err(&c->in))
		hang_up(c);
	else if (!c->busy)
		next_request(c);
}

static void
on_connection(uv_stream_t *listener, int status)
{
	struct server *s = listener->data;
	struct conn *c = status == 0 ? calloc(1, sizeof(*c)) : NULL;

	if (c == NULL)
		return;
	c->server = s;
	c->in = BUF_INIT(REQUEST_MAX);
	uv_tcp_init(s->loop, &c->tcp);
	uv_timer_init(s->loop, &c->timer);
	c->tcp.data = c->timer.data = c;
	if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0) {
		hang_up(c);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

int
main(int argc, char **argv)
{
	struct server s = { .loop = uv_default_loop(), .how = { .tokens = 20, .sound = 1000 } };
	struct sockaddr_in address;
	int len = sizeof(address);

	setvbuf(stdout, NULL, _IOLBF, 0);
	uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0, &address);
	uv_tcp_init(s.loop, &s.listener);
	s.listener.data = &s;
	if (uv_tcp_bind(&s.listener, (const struct sockaddr *)&address, 0) != 0 ||
	    uv_listen((uv_stream_t *)&s.listener, 4096, on_connection) != 0 ||
	    uv_tcp_getsockname(&s.listener, (struct sockaddr *)&address, &len) != 0) {
		fprintf(stderr, "upstream: the port cannot be had\n");
		return 1;
	}
	printf("%d\n", ntohs(address.sin_port));
	return uv_run(s.loop, UV_RUN_DEFAULT);
}
