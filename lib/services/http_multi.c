/*
 * http_multi.c - libcurl's multi interface on libuv: its sockets and timers, and how the exchanges are spread over several.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "services/http_parts.h"

#define CALLS_PER_MULTI	300u		/* libcurl 7.88 walks all connections of a multi for each new call */
#define MULTI_IDLE_MS	60000u		/* then its kept connections are given up */

#define WATCHES_FIRST	64u

/*
 * A kept connection stays in the loop between two exchanges: to take it out and put it in again is six system calls.  If it
 * stirs meanwhile, for its end or for what nobody waits for, it is watched no longer; libcurl looks for itself before it uses
 * it again.
 *
 * libcurl tells when it closes a connection (CURLOPT_CLOSESOCKETFUNCTION), but 7.88 does not for a socket that never became
 * one, the slower of two addresses.  So a watch is kept only if libcurl itself has put the connection by.
 */
struct watch {
	uv_poll_t	 poll;
	struct multi	*multi;
	struct http	*http;
	curl_socket_t	 fd;
	int		 events;
	bool		 kept, idle;
};

static void
multi_messages(struct multi *m)
{
	struct http_stream *s;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m->curl, &left)) != NULL) {
		CURLcode code = msg->data.result;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&s);
		stream_done(s, from_curl(code), curl_easy_strerror(code));
	}
}

static void
multi_act(struct multi *m, curl_socket_t fd, int flags)
{
	int running;

	curl_multi_socket_action(m->curl, fd, flags, &running);
	multi_messages(m);
}

/* ---- libcurl's sockets and timers on the loop ---- */

static void on_socket_event(uv_poll_t *, int status, int events);

static void
on_watch_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;

	handle_closed(w->http);
	free(w);
}

static struct watch *
watch_of(const struct http *h, curl_socket_t fd)
{
	return fd >= 0 && (size_t)fd < h->watches_size ? h->watches[fd] : NULL;
}

static bool
room_for(struct http *h, curl_socket_t fd)
{
	size_t size = h->watches_size ? h->watches_size : WATCHES_FIRST;
	struct watch **more;

	if (fd < 0)
		return false;
	if ((size_t)fd < h->watches_size)
		return true;
	while (size <= (size_t)fd)
		size *= 2;
	more = realloc(h->watches, size * sizeof(struct watch *));
	if (more == NULL)
		return false;
	memset(more + h->watches_size, 0, (size - h->watches_size) * sizeof(struct watch *));
	h->watches = more;
	h->watches_size = size;
	return true;
}

static struct watch *
watch_new(struct multi *m, curl_socket_t fd)
{
	struct watch *w = room_for(m->http, fd) ? calloc(1, sizeof(*w)) : NULL;

	if (w == NULL)
		return NULL;
	w->multi = m;
	w->http = m->http;
	w->fd = fd;
	if (uv_poll_init_socket(m->http->loop, &w->poll, fd) != 0) {
		free(w);
		return NULL;
	}
	w->poll.data = w;
	m->http->handles++;
	m->http->watches[fd] = w;
	return w;
}

static void
watch_close(struct watch *w)
{
	w->http->watches[w->fd] = NULL;
	uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

/* Is it one of the connections that libcurl has put by?  It looks through them all: to be asked once of each. */
static bool
is_put_by(CURL *easy, curl_socket_t fd)
{
	curl_socket_t last = CURL_SOCKET_BAD;

	return curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &last) == CURLE_OK && last == fd;
}

int
on_close_socket(void *http, curl_socket_t fd)
{
	struct watch *w = watch_of(http, fd);

	if (w)
		watch_close(w);
	return close(fd);
}

/* An idle one does not keep the loop from ending. */
static void
watch_rests(struct watch *w, bool idle)
{
	w->idle = idle;
	if (idle)
		uv_unref((uv_handle_t *)&w->poll);
	else
		uv_ref((uv_handle_t *)&w->poll);
}

/*
 * tag is what libcurl has for this socket; it has none of one that it had put by.  A number may have become another socket's
 * without a word: then neither tag nor watch is believed.
 */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *tag)
{
	struct multi *m = arg;
	struct watch *w = watch_of(m->http, fd);
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	if (what == CURL_POLL_REMOVE) {
		if (w == NULL || (tag && tag != w))
			return 0;
		if (!w->kept && is_put_by(easy, fd)) {
			w->kept = true;
			w->events = 0;		/* begin anew: from now on, and only from now on, its end will be told */
		}
		if (w->kept)
			watch_rests(w, true);
		else
			watch_close(w);
		return 0;
	}
	if (w && w != tag && !(w->kept && w->multi == m)) {
		watch_close(w);
		w = NULL;
	}
	if (w == NULL && (w = watch_new(m, fd)) == NULL)
		return -1;
	if (w != tag)
		curl_multi_assign(m->curl, fd, w);
	watch_rests(w, false);
	if (w->kept && w->events == events && uv_is_active((uv_handle_t *)&w->poll))
		return 0;
	w->events = events;
	return uv_poll_start(&w->poll, events, on_socket_event) ? -1 : 0;
}

/*
 * libuv reports a broken socket as an error and stops watching it; what the other end sent before may still
 * be there. So libcurl is told to try, meets the error itself after the last byte, and until then the watch
 * goes on.
 */
static void
on_socket_event(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);

	if (w->idle) {
		uv_poll_stop(poll);
		return;
	}
	if (status < 0)
		flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
	multi_act(w->multi, w->fd, flags);
	if (status < 0 && !w->idle && !uv_is_closing((uv_handle_t *)poll))
		uv_poll_start(poll, w->events, on_socket_event);
}

static void
on_multi_time(uv_timer_t *timer)
{
	multi_act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_multi_timer(CURLM *curl, long ms, void *arg)
{
	struct multi *m = arg;

	(void)curl;
	if (ms < 0)
		return uv_timer_stop(&m->timer);
	return uv_timer_start(&m->timer, on_multi_time, (uint64_t)ms, 0);
}

static void
on_multi_closed(uv_handle_t *handle)
{
	struct multi *m = handle->data;

	handle_closed(m->http);
	free(m);
}

static void
multi_free(struct multi *m)
{
	curl_multi_cleanup(m->curl);
	uv_close((uv_handle_t *)&m->timer, on_multi_closed);
}

static struct multi *
multi_new(struct http *h)
{
	struct multi *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->curl = curl_multi_init();
	if (m->curl == NULL) {
		free(m);
		return NULL;
	}
	m->http = h;
	uv_timer_init(h->loop, &m->timer);
	m->timer.data = m;
	h->handles++;
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_multi_timer);
	curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)CALLS_PER_MULTI);
	return m;
}

/*
 * The first multi with room, for each keeps its own connections: spreading the calls would find fewer of them
 * to use again.  When there can be no more of them, the least loaded.
 */
static struct multi *
multi_pick(struct http *h)
{
	struct multi *least = NULL;

	for (unsigned i = 0; i < h->multi_count; i++) {
		if (h->multis[i]->calls < CALLS_PER_MULTI)
			return h->multis[i];
		if (least == NULL || h->multis[i]->calls < least->calls)
			least = h->multis[i];
	}
	if (h->multi_count < MULTIS_MAX) {
		struct multi *m = multi_new(h);

		if (m)
			return h->multis[h->multi_count++] = m;
	}
	return least;
}

/* Gives up multis that nobody has used for a while, and with them their connections. */
static void
on_sweep(uv_timer_t *timer)
{
	struct http *h = timer->data;
	uint64_t now = uv_now(h->loop);
	unsigned kept = 0, idle = 0;

	for (unsigned i = 0; i < h->multi_count; i++) {
		struct multi *m = h->multis[i];

		if (m->calls == 0 && now - m->idle_since >= MULTI_IDLE_MS) {
			multi_free(m);
			continue;
		}
		h->multis[kept++] = m;
		idle += m->calls == 0;
	}
	h->multi_count = kept;
	if (idle)
		uv_timer_start(timer, on_sweep, MULTI_IDLE_MS, 0);
}

enum hl_err
multi_add(struct http_stream *s)
{
	s->multi = multi_pick(s->http);
	if (s->multi == NULL)
		return HL_NO_MEMORY;
	s->multi->calls++;
	if (curl_multi_add_handle(s->multi->curl, s->easy) != CURLM_OK) {
		s->multi->calls--;
		s->multi = NULL;
		return HL_NO_MEMORY;
	}
	return HL_OK;
}

void
multi_remove(struct http_stream *s)
{
	struct multi *m = s->multi;

	if (m == NULL)
		return;
	s->multi = NULL;
	curl_multi_remove_handle(m->curl, s->easy);
	if (--m->calls == 0) {
		m->idle_since = uv_now(s->http->loop);
		if (!uv_is_active((uv_handle_t *)&s->http->sweeper))
			uv_timer_start(&s->http->sweeper, on_sweep, MULTI_IDLE_MS, 0);
	}
}

void
multi_free_all(struct http *h)
{
	for (unsigned i = 0; i < h->multi_count; i++)
		multi_free(h->multis[i]);
}
