#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <fastcgi.h>

#include "fcgi_ends.h"
#include "loop/task.h"

uv_loop_t loop;
struct fcgi_client *client;
static char dir[] = "/tmp/fcgi-clientXXXXXX", raw_path[64];

char *
pattern(size_t len)
{
	char *p = malloc(len + 1);

	assert_non_null(p);
	for (size_t i = 0; i < len; i++)
		p[i] = (char)(i * 31 + i / 256 * 7);
	return p;
}

int
listening(const char *path, int backlog)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* ---- who is asked ---- */

static uv_pipe_t raw;
unsigned accepted, asked, open_now;
struct peer *last_peer;
void (*on_asked)(struct peer *), (*on_accepted)(struct peer *);

static void
peer_closed(uv_handle_t *handle)
{
	struct peer *p = handle->data;

	open_now--;
	buf_free(&p->in);
	free(p);
}

void
hang_up(struct peer *p)
{
	if (!uv_is_closing((uv_handle_t *)&p->pipe))
		uv_close((uv_handle_t *)&p->pipe, peer_closed);
}

void
say(struct peer *p, const void *bytes, size_t len)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);

	assert_int_equal(uv_try_write((uv_stream_t *)&p->pipe, &b, 1), (int)len);
}

void
say_record(struct peer *p, int type, const void *content, size_t len)
{
	FCGI_Header h = { .version = 1, .type = (unsigned char)type, .requestIdB0 = 1,
		.contentLengthB1 = (unsigned char)(len >> 8), .contentLengthB0 = (unsigned char)len };

	say(p, &h, sizeof(h));
	if (len)
		say(p, content, len);
}

void
say_text(struct peer *p, const char *text)
{
	say_record(p, FCGI_STDOUT, text, strlen(text));
}

void
say_end(struct peer *p)
{
	static const char end[8] = { 0 };

	say_record(p, FCGI_END_REQUEST, end, sizeof(end));
}

void
answer_well(struct peer *p)
{
	char text[64];

	snprintf(text, sizeof(text), "Status: 200 OK\r\n\r\n%u.%u", p->number, p->asked);
	say_text(p, text);
	say_end(p);
}

/* Up to the record that ends the body; 0: it is not all there. */
static size_t
whole_request(const struct buf *in)
{
	for (size_t at = 0; in->len - at >= 8;) {
		const unsigned char *h = (const unsigned char *)in->data + at;
		size_t len = (size_t)h[4] << 8 | h[5];

		at += 8 + len + h[6];
		if (at > in->len)
			return 0;
		if (h[1] == FCGI_STDIN && len == 0)
			return at;
	}
	return 0;
}

static void
on_alloc(uv_handle_t *handle, size_t n, uv_buf_t *ret)
{
	struct peer *p = handle->data;

	(void)n;
	*ret = uv_buf_init(buf_reserve(&p->in, 65536), 65536);
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct peer *p = stream->data;
	size_t len;

	(void)b;
	if (n < 0) {
		hang_up(p);
		return;
	}
	buf_grow(&p->in, (size_t)n);
	while ((len = whole_request(&p->in)) > 0 && !uv_is_closing((uv_handle_t *)stream)) {
		buf_consume(&p->in, len);
		p->asked++;
		asked++;
		on_asked(p);
	}
}

void
read_on(struct peer *p)
{
	uv_ref((uv_handle_t *)&p->pipe);
	uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read);
}

static void
on_connection(uv_stream_t *listener, int status)
{
	struct peer *p = calloc(1, sizeof(*p));

	assert_int_equal(status, 0);
	assert_non_null(p);
	p->in = BUF_INIT(2 * MOST);
	p->number = ++accepted;
	open_now++;
	last_peer = p;
	uv_pipe_init(&loop, &p->pipe, 0);
	p->pipe.data = p;
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&p->pipe), 0);
	if (on_accepted)
		on_accepted(p);
	else
		read_on(p);
}

/* ---- each test ---- */

int
make_dir(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(SECONDS_MOST);
	return mkdtemp(dir) ? 0 : -1;
}

int
remove_dir(void **state)
{
	static const char *const names[] = { "raw", "own", "other" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unlink(in_dir(names[i]));
	return rmdir(dir);
}

const char *
in_dir(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

void
ask_at(const char *path)
{
	fcgi_client_free(client);
	assert_int_equal(fcgi_client_new(&loop, path, &client), HL_OK);
}

int
open_ends(void **state)
{
	(void)state;
	accepted = asked = 0;
	on_asked = answer_well;
	on_accepted = NULL;
	snprintf(raw_path, sizeof(raw_path), "%s", in_dir("raw"));
	unlink(raw_path);
	return uv_loop_init(&loop) || uv_pipe_init(&loop, &raw, 0) || uv_pipe_bind(&raw, raw_path) ||
	    uv_listen((uv_stream_t *)&raw, 1024, on_connection) || fcgi_client_new(&loop, raw_path, &client) != HL_OK;
}

int
close_ends(void **state)
{
	(void)state;
	fcgi_client_free(client);
	uv_close((uv_handle_t *)&raw, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(task_count(), 0);
	assert_int_equal(open_now, 0);
	return uv_loop_close(&loop);
}

bool
nobody_asks(void)
{
	return task_count() == 0;
}

void
turn_until(bool (*reached)(void))
{
	while (!reached())
		uv_run(&loop, UV_RUN_ONCE);
}

/* ---- who asks ---- */

static const char *const no_params[] = { NULL };

struct asking
asking_of(const char *const *params)
{
	return (struct asking){ .q = { .params = params ? params : no_params, .body = "", .total_ms = PATIENCE_MS },
	    .answer = BUF_INIT(MOST) };
}

void
run_asking(void *arg)
{
	struct asking *a = arg;

	a->task = task_self();
	a->err = fcgi_ask(client, &a->q, &a->status, &a->answer);
	a->over = true;
}

void
begin(struct asking *a)
{
	assert_int_equal(task_start(&loop, run_asking, a), HL_OK);
}

void
ask(struct asking *a)
{
	begin(a);
	turn_until(nobody_asks);
	assert_true(a->over);
}
