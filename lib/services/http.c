#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/task.h"
#include "services/http_parts.h"

#define POOL_MAX	256u		/* easy handles kept for later, about 6 KB each */
#define BUFFERED_MAX	65536u		/* body bytes that wait for a slow reader */
#define HEADERS_MAX	65536u
#define BODY_DEFAULT	(1u << 20)
#define FINISH_MS	1000u

static void stream_recycle(struct http_stream *);
static void on_turn_read(uv_check_t *);
static void on_idle(uv_idle_t *);

void
handle_closed(struct http *h)
{
	if (--h->handles == 0 && h->freed) {
		free(h->watches);
		free(h->no_proxy);
		free(h);
		curl_global_cleanup();
	}
}

/* ---- from libcurl to the tasks ---- */

static void
stream_ready(struct http_stream *s)
{
	if (s->ready || s->task == NULL)
		return;
	s->ready = true;
	TAILQ_INSERT_TAIL(&s->http->ready, s, ready_link);
	uv_check_start(&s->http->turn_read, on_turn_read);
	uv_idle_start(&s->http->no_sleep, on_idle);
}

static void
stream_unready(struct http_stream *s)
{
	if (s->ready)
		TAILQ_REMOVE(&s->http->ready, s, ready_link);
	s->ready = false;
}

static void
on_idle(uv_idle_t *idle)
{
	(void)idle;		/* the loop does not wait before on_turn_read() */
}

/*
 * All that was there to be read when the loop looked has been.  A process that was paused finds an answer's words and the news
 * that nobody is to hear them at once, in any order.  A woken task may open and close streams, this one too.
 */
static void
on_turn_read(uv_check_t *check)
{
	struct http *h = check->data;
	struct http_stream *s;

	uv_check_stop(check);
	uv_idle_stop(&h->no_sleep);
	while ((s = TAILQ_FIRST(&h->ready)) != NULL) {
		stream_unready(s);
		if (s->task)
			task_wake(s->task);
	}
}

/* The exchange is over.  The first error is the one that counts. */
void
stream_done(struct http_stream *s, enum hl_err err, const char *problem)
{
	multi_remove(s);
	s->done = true;
	if (s->err == HL_TOO_LARGE)
		problem = "The answer is larger than allowed";
	else if (s->err == HL_OK)
		s->err = err;
	if (s->err == HL_TOO_LARGE || s->problem[0] == '\0')
		snprintf(s->problem, sizeof(s->problem), "%s", problem);
	if (s->finishing)
		stream_recycle(s);
	else
		stream_ready(s);
}

enum hl_err
from_curl(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return HL_OK;
	case CURLE_OPERATION_TIMEDOUT:
		return HL_TIMEOUT;
	case CURLE_URL_MALFORMAT:
		return HL_BAD_REQUEST;
	case CURLE_OUT_OF_MEMORY:
		return HL_NO_MEMORY;
	default:
		return HL_UPSTREAM;
	}
}

/* ---- one exchange: what libcurl tells ---- */

size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_stream *s = arg;
	long code = 0;

	n *= size;
	s->quiet_since = uv_now(s->http->loop);
	s->header_bytes += n;
	if (s->header_bytes > HEADERS_MAX) {
		s->err = HL_TOO_LARGE;
		return 0;
	}
	if (s->headers_done || (line[0] != '\r' && line[0] != '\n'))
		return n;
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &code);
	if (code < 200)
		return n;		/* 100, 103: the answer proper follows */
	s->status = (int)code;
	s->headers_done = true;
	stream_ready(s);
	return n;
}

size_t
on_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct http_stream *s = arg;

	n *= size;
	s->quiet_since = uv_now(s->http->loop);
	if (s->in.len && s->in.len + n > BUFFERED_MAX) {
		s->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (n > s->max_body - s->body_bytes) {
		s->err = HL_TOO_LARGE;
		return 0;
	}
	s->body_bytes += n;
	if (s->finishing)
		return n;
	buf_add(&s->in, bytes, n);
	if (buf_err(&s->in)) {
		s->err = buf_err(&s->in);
		return 0;
	}
	stream_ready(s);
	return n;
}

/* ---- one exchange: its time ---- */

/* When to give it up.  Silence counts only while somebody waits for it to end. */
static uint64_t
stream_due(const struct http_stream *s)
{
	uint64_t due = s->ends_at;

	if (s->idle_ms && s->task && s->quiet_since + s->idle_ms < due)
		due = s->quiet_since + s->idle_ms;
	return due;
}

static void on_stream_time(uv_timer_t *);

/* A timer that runs and comes too early finds that out itself: cheaper than moving it at every byte. */
static void
stream_arm(struct http_stream *s)
{
	uint64_t now = uv_now(s->http->loop), due = stream_due(s), ms = due > now ? due - now : 0;

	if (due == UINT64_MAX)
		return;
	if (!uv_is_active((uv_handle_t *)&s->timer) || uv_timer_get_due_in(&s->timer) > ms)
		uv_timer_start(&s->timer, on_stream_time, ms, 0);
}

static void
on_stream_time(uv_timer_t *timer)
{
	struct http_stream *s = timer->data;
	struct http *h = s->http;

	if (s->done)
		return;
	if (uv_now(h->loop) < stream_due(s)) {
		s->overdue = false;
		stream_arm(s);
		return;
	}
	/* Perhaps this program was held up and the bytes lie in the socket: one more round. */
	if (!s->overdue) {
		s->overdue = true;
		uv_timer_start(timer, on_stream_time, 1, 0);
		return;
	}
	stream_done(s, HL_TIMEOUT, "It took too long");
}

static enum hl_err
stream_wait(struct http_stream *s)
{
	enum hl_err err;

	uv_update_time(s->http->loop);		/* the task may have worked for long */
	s->quiet_since = uv_now(s->http->loop);
	s->overdue = false;
	s->task = task_self();
	stream_arm(s);
	err = task_wait();
	s->task = NULL;
	return err;
}

/* ---- one exchange: its life ---- */

static void
on_stream_closed(uv_handle_t *handle)
{
	struct http_stream *s = handle->data;

	handle_closed(s->http);
	free(s);
}

static void
stream_destroy(struct http_stream *s)
{
	curl_easy_cleanup(s->easy);
	uv_close((uv_handle_t *)&s->timer, on_stream_closed);
}

static struct http_stream *
stream_make(struct http *h)
{
	struct http_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->easy = curl_easy_init();
	if (s->easy == NULL) {
		free(s);
		return NULL;
	}
	s->http = h;
	uv_timer_init(h->loop, &s->timer);
	s->timer.data = s;
	h->handles++;
	return s;
}

static struct http_stream *
stream_new(struct http *h)
{
	struct http_stream *s = LIST_FIRST(&h->pool);

	if (s) {
		LIST_REMOVE(s, link);
		h->pooled--;
	} else if ((s = stream_make(h)) == NULL)
		return NULL;
	s->in = s->lent = BUF_INIT(2 * BUFFERED_MAX);
	LIST_INSERT_HEAD(&h->live, s, link);
	return s;
}

/*
 * Takes the stream out of libcurl's hands and off the lists, and keeps its easy handle for the next.  After a failure,
 * and after HTTP/2, libcurl 7.88 keeps the handle's buffer and refuses to have its size set: such a handle goes.
 */
static void
stream_recycle(struct http_stream *s)
{
	struct http *h = s->http;

	multi_remove(s);
	stream_unready(s);
	LIST_REMOVE(s, link);
	uv_timer_stop(&s->timer);
	curl_easy_reset(s->easy);
	curl_slist_free_all(s->headers);
	buf_free(&s->in);
	buf_free(&s->lent);
	if (h->freed || h->pooled >= POOL_MAX ||
	    curl_easy_setopt(s->easy, CURLOPT_BUFFERSIZE, RECEIVE_SIZE) != CURLE_OK) {
		stream_destroy(s);
		return;
	}
	memset(&s->multi, 0, sizeof(*s) - offsetof(struct http_stream, multi));
	LIST_INSERT_HEAD(&h->pool, s, link);
	h->pooled++;
}

static enum hl_err
stream_begin(struct http_stream *s, const struct http_request *r)
{
	enum hl_err err = request_describe(s, r);

	if (err)
		return err;
	s->max_body = r->max_body ? r->max_body : BODY_DEFAULT;
	s->idle_ms = (uint64_t)r->idle_ms;
	uv_update_time(s->http->loop);		/* the task may have worked for long */
	s->ends_at = r->total_ms > 0 ? uv_now(s->http->loop) + (uint64_t)r->total_ms : UINT64_MAX;
	return multi_add(s);
}

/*
 * The caller's body goes away with http_open()'s return.  A server that answered before it had read it all
 * has judged without it: what came is kept and the exchange ends.
 */
static void
stream_let_go_of_body(struct http_stream *s, const struct http_request *r)
{
	curl_off_t sent = 0;

	if (s->done || r->body == NULL)
		return;
	curl_easy_getinfo(s->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	if (sent < (curl_off_t)r->body_len)
		stream_done(s, HL_UPSTREAM, "The server answered before it had read the request");
}

static void
note_content_type(struct http_stream *s)
{
	char *type = NULL;
	size_t n;

	curl_easy_getinfo(s->easy, CURLINFO_CONTENT_TYPE, &type);
	if (type == NULL)
		return;
	n = strcspn(type, "; \t");
	for (size_t i = 0; i < n && i + 1 < sizeof(s->content_type); i++)
		s->content_type[i] = (char)(type[i] >= 'A' && type[i] <= 'Z' ? type[i] | 32 : type[i]);
}

static enum hl_err
failed(struct http *h, const struct http_stream *s, enum hl_err err)
{
	snprintf(h->problem, sizeof(h->problem), "%s", s->err && s->problem[0] ? s->problem : err_text(err));
	return err;
}

/* ---- the interface ---- */

enum hl_err
http_new(uv_loop_t *loop, struct http **ret)
{
	const char *no_proxy = getenv("no_proxy");
	struct http *h = calloc(1, sizeof(*h));

	*ret = NULL;
	if (h == NULL)
		return HL_NO_MEMORY;
	if (no_proxy == NULL)
		no_proxy = getenv("NO_PROXY");
	/* A proxy of the environment is used as everywhere, but what listens on this host is never behind it. */
	if (asprintf(&h->no_proxy, "%s%slocalhost,127.0.0.1,::1",
	    no_proxy ? no_proxy : "", no_proxy ? "," : "") < 0 ||
	    curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h->no_proxy);
		free(h);
		return HL_NO_MEMORY;
	}
	h->loop = loop;
	LIST_INIT(&h->live);
	LIST_INIT(&h->pool);
	TAILQ_INIT(&h->ready);
	uv_timer_init(loop, &h->sweeper);
	h->sweeper.data = h;
	uv_unref((uv_handle_t *)&h->sweeper);
	uv_check_init(loop, &h->turn_read);
	uv_idle_init(loop, &h->no_sleep);
	h->turn_read.data = h->no_sleep.data = h;
	h->handles = 3;
	*ret = h;
	return HL_OK;
}

static void
on_handle_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

void
http_free(struct http *h)
{
	struct http_stream *s;

	if (h == NULL)
		return;
	h->freed = true;
	while ((s = LIST_FIRST(&h->live)) != NULL)
		stream_recycle(s);
	while ((s = LIST_FIRST(&h->pool)) != NULL) {
		LIST_REMOVE(s, link);
		stream_destroy(s);
	}
	multi_free_all(h);
	uv_close((uv_handle_t *)&h->turn_read, on_handle_closed);
	uv_close((uv_handle_t *)&h->no_sleep, on_handle_closed);
	uv_close((uv_handle_t *)&h->sweeper, on_handle_closed);
}

enum hl_err
http_open(struct http *h, const struct http_request *r, struct http_stream **ret)
{
	struct http_stream *s = stream_new(h);
	enum hl_err err;

	*ret = NULL;
	if (s == NULL)
		return HL_NO_MEMORY;
	err = stream_begin(s, r);
	while (err == HL_OK && !s->headers_done && !s->done)
		err = stream_wait(s);
	if (err == HL_OK && !s->headers_done)
		err = s->err ? s->err : HL_UPSTREAM;
	if (err) {
		failed(h, s, err);
		http_close(s);
		return err;
	}
	stream_let_go_of_body(s, r);
	note_content_type(s);
	*ret = s;
	return HL_OK;
}

int
http_status(const struct http_stream *s)
{
	return s->status;
}

const char *
http_content_type(const struct http_stream *s)
{
	return s->content_type;
}

const char *
http_header(const struct http_stream *s, const char *name)
{
	struct curl_header *found;

	return curl_easy_header(s->easy, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value : NULL;
}

const char *
http_problem(const struct http *h)
{
	return h->problem;
}

/* libcurl hands over at once what it held back: into s->in, which is empty here. */
static void
stream_unpause(struct http_stream *s)
{
	CURLcode code;

	if (!s->paused || s->multi == NULL)
		return;
	s->paused = false;
	code = curl_easy_pause(s->easy, CURLPAUSE_CONT);
	if (code != CURLE_OK)
		stream_done(s, from_curl(code), curl_easy_strerror(code));
}

enum hl_err
http_read(struct http_stream *s, const char **ret_data, size_t *ret_len)
{
	enum hl_err err = HL_OK;
	struct buf read;

	*ret_data = "";
	*ret_len = 0;
	while (err == HL_OK && s->in.len == 0 && !s->done)
		err = stream_wait(s);
	if (err == HL_OK && s->in.len == 0)
		err = s->err;
	if (err)
		return failed(s->http, s, err);
	buf_reset(&s->lent);
	read = s->in;
	s->in = s->lent;
	s->lent = read;
	stream_unpause(s);
	if (s->lent.len) {
		*ret_data = s->lent.data;
		*ret_len = s->lent.len;
	}
	return HL_OK;
}

void
http_patience(struct http_stream *s, int64_t idle_ms)
{
	s->idle_ms = (uint64_t)idle_ms;
}

void
http_close(struct http_stream *s)
{
	if (s)
		stream_recycle(s);
}

void
http_finish(struct http_stream *s)
{
	if (s == NULL || s->done) {
		http_close(s);
		return;
	}
	s->finishing = true;
	buf_reset(&s->in);
	s->ends_at = uv_now(s->http->loop) + FINISH_MS;
	stream_arm(s);
	stream_unpause(s);		/* may end it: not to be touched after this */
}
