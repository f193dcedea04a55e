#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "services/redis_link.h"

#define RETRY_MIN_MS	20
#define RETRY_MAX_MS	2000
#define SENTINEL_MS	500		/* for a sentinel's answer, connecting included */
#define MASTER_MS	1000		/* for the server that it names to say that it is the master */

/* ---- where the server is ---- */

static void
address_free(struct address *a)
{
	free(a->host);
	free(a->socket);
	free(a->user);
	free(a->password);
	memset(a, 0, sizeof(*a));
}

static char *
url_part(CURLU *url, CURLUPart part)
{
	char *text = NULL, *copy;

	if (curl_url_get(url, part, &text, part == CURLUPART_PORT ? 0 : CURLU_URLDECODE) != CURLUE_OK)
		return NULL;
	copy = strdup(text);
	curl_free(text);
	return copy;
}

static enum hl_err
address_from_url(struct address *a, const char *text)
{
	CURLU *url;
	char *port = NULL, *path = NULL;
	enum hl_err err = HL_BAD_REQUEST;

	if (strncmp(text, "unix://", 7) == 0) {
		a->socket = strdup(text + 7);
		return a->socket ? HL_OK : HL_NO_MEMORY;
	}
	url = curl_url();
	if (url == NULL)
		return HL_NO_MEMORY;
	if (strncmp(text, "redis://", 8) != 0 ||
	    curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		goto out;
	a->host = url_part(url, CURLUPART_HOST);
	a->user = url_part(url, CURLUPART_USER);
	a->password = url_part(url, CURLUPART_PASSWORD);
	port = url_part(url, CURLUPART_PORT);
	path = url_part(url, CURLUPART_PATH);
	a->port = port ? atoi(port) : 6379;
	if (path && path[strspn(path, "/0123456789")] != '\0')
		goto out;		/* a database is a number */
	a->db = path && path[0] == '/' ? atoi(path + 1) : 0;
	/* Without memory for the password it would be tried without one. */
	err = a->host && (a->password || strchr(text, '@') == NULL) ? HL_OK : HL_BAD_REQUEST;
out:
	free(port);
	free(path);
	curl_url_cleanup(url);
	return err;
}

/* A password alone, or where the server is and how to sign in. */
static enum hl_err
address_from_conf(struct address *a, const struct conf *conf)
{
	if (*conf->redis_url)
		return address_from_url(a, conf->redis_url);
	if (*conf->redis_password && (a->password = strdup(conf->redis_password)) == NULL)
		return HL_NO_MEMORY;
	if (*conf->redis_socket) {
		a->socket = strdup(conf->redis_socket);
		return a->socket ? HL_OK : HL_NO_MEMORY;
	}
	a->port = (int)conf->redis_port;
	a->host = strdup(conf->redis_host);
	return a->host ? HL_OK : HL_NO_MEMORY;
}

/* "host:port", "[v6]:port" or a unix socket's path. */
static enum hl_err
sentinel_from_text(struct address *a, const char *text, size_t len)
{
	const char *colon = memrchr(text, ':', len);
	bool bracketed = *text == '[';
	char *end;

	if (*text == '/') {
		a->socket = strndup(text, len);
		return a->socket ? HL_OK : HL_NO_MEMORY;
	}
	if (colon == NULL || colon == text || (bracketed && (colon[-1] != ']' || colon < text + 3)))
		return HL_BAD_REQUEST;
	a->host = strndup(text + bracketed, (size_t)(colon - text) - 2 * (size_t)bracketed);
	a->port = (int)strtol(colon + 1, &end, 10);
	if (end != text + len || a->port < 1 || a->port > 65535)
		return HL_BAD_REQUEST;
	return a->host ? HL_OK : HL_NO_MEMORY;
}

static enum hl_err
sentinels_from_conf(struct redis *r, const struct conf *conf)
{
	const char *at = conf->redis_sentinels, *separators = ", \t";
	enum hl_err err = HL_OK;

	r->sentinels = calloc(strlen(at) / 2 + 1, sizeof(*r->sentinels));
	r->master = strdup(conf->redis_master);
	if (r->sentinels == NULL || r->master == NULL)
		return HL_NO_MEMORY;
	while (err == HL_OK && *(at += strspn(at, separators))) {
		size_t len = strcspn(at, separators);

		err = sentinel_from_text(&r->sentinels[r->sentinel_count++], at, len);
		at += len;
	}
	return err;
}

enum hl_err
links_open(struct redis *r, const struct conf *conf)
{
	enum hl_err err = address_from_conf(&r->address, conf);
	struct link *links[] = { &r->commands, &r->subscriptions };

	if (err == HL_OK)
		err = sentinels_from_conf(r, conf);
	if (err)
		return err;
	snprintf(r->replicas, sizeof(r->replicas), "%lld", (long long)(*conf->redis_replicas ?
	    strtoll(conf->redis_replicas, NULL, 10) : r->sentinel_count > 0));
	for (size_t i = 0; i < 2; i++) {
		struct link *l = links[i];

		l->redis = r;
		l->kind = i == 0 ? LINK_COMMANDS : LINK_SUBSCRIPTIONS;
		l->delay_ms = RETRY_MIN_MS;
		uv_timer_init(r->loop, &l->retry);
		uv_timer_init(r->loop, &l->limit);
		l->retry.data = l->limit.data = l;
	}
	return HL_OK;
}

void
links_free(struct redis *r)
{
	address_free(&r->address);
	for (size_t i = 0; r->sentinels && i < r->sentinel_count; i++)
		address_free(&r->sentinels[i]);
	free(r->sentinels);
	free(r->master);
}

void
note_problem(struct redis *r, enum redis_state state, const char *why)
{
	r->state = state;
	snprintf(r->problem, sizeof(r->problem), "%s", why);
}

/* ---- trying again ---- */

static void
on_retry(uv_timer_t *timer)
{
	link_connect(timer->data);
}

/* Doubling, less up to a half at random: all programs lose their connections at the same moment. */
static void
retry_later(struct link *l)
{
	uint16_t random = 0;

	uv_timer_stop(&l->limit);
	if (l->closing)
		return;
	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);	/* failing, it leaves no jitter */
	uv_timer_start(&l->retry, on_retry, (uint64_t)(l->delay_ms - l->delay_ms / 2 * random / UINT16_MAX), 0);
	l->delay_ms = l->delay_ms * 2 < RETRY_MAX_MS ? l->delay_ms * 2 : RETRY_MAX_MS;
}

static void
tell_up(const struct link *l)
{
	if (l->kind == LINK_COMMANDS)
		metrics_set(M_REDIS_UP, l->up);
}

void
link_failed(struct link *l, const char *why)
{
	redisAsyncContext *ac = l->ac;

	note_problem(l->redis, REDIS_AWAY, why);
	l->ac = NULL;
	l->up = false;
	tell_up(l);
	l->pending = 0;
	l->sentinel++;
	if (ac)
		redisAsyncFree(ac);	/* calls the waiters */
	retry_later(l);
}

/* The server is gone for both connections, whatever the other one has noticed. */
static void
server_failed(struct redis *r, const char *why)
{
	link_failed(&r->commands, why);
	if (r->subscriptions.ac)
		link_failed(&r->subscriptions, why);
}

static void
on_limit(uv_timer_t *timer)
{
	struct link *l = timer->data;

	link_failed(l, l->redis->sentinel_count ? "the server that a sentinel named does not answer" : "the server does not answer");
}

/* ---- one connection ---- */

static void
link_up(struct link *l)
{
	uv_timer_stop(&l->limit);
	l->up = true;
	metrics_count(M_REDIS_CONNECTIONS, 1);
	tell_up(l);
	l->life++;
	l->delay_ms = RETRY_MIN_MS;
	if (l->kind == LINK_SUBSCRIPTIONS)
		subs_resume(l->redis);
}

bool
link_must_greet(const struct redis *r)
{
	return r->sentinel_count || r->address.password || r->address.db;
}

/* hiredis frees the context itself after either of the next two says so. */
static void
on_connect(const redisAsyncContext *ac, int status)
{
	struct link *l = ac->data;

	if (l->ac != ac)
		return;
	if (status != REDIS_OK) {
		note_problem(l->redis, REDIS_AWAY, ac->errstr);
		l->ac = NULL;
		l->pending = 0;
		l->sentinel++;
		retry_later(l);
	} else if (!link_must_greet(l->redis))
		link_up(l);
	else if (l->redis->sentinel_count == 0)
		uv_timer_start(&l->limit, on_limit, REDIS_TIMEOUT_MS, 0);
}

static void
on_disconnect(const redisAsyncContext *ac, int status)
{
	struct link *l = ac->data;

	if (l->ac != ac)
		return;			/* given up by us, and seen to */
	if (status != REDIS_OK)
		note_problem(l->redis, REDIS_AWAY, ac->errstr);
	l->ac = NULL;
	l->up = false;
	tell_up(l);
	l->pending = 0;
	retry_later(l);
}

/* A refused sign-in closes the connection; the back-off keeps us from hammering.  arg: the last one, we are let in. */
static void
on_greeting(redisAsyncContext *ac, void *reply, void *arg)
{
	struct link *l = ac->data;
	const redisReply *r = reply;

	if (r == NULL || l->ac != ac)
		return;
	if (r->type == REDIS_REPLY_ERROR) {
		link_failed(l, r->str);
		note_problem(l->redis, REDIS_LOCKED, r->str);
	} else if (arg)
		link_up(l);
}

static bool
says_master(const redisReply *r)
{
	return r->type == REDIS_REPLY_ARRAY && r->elements > 0 && r->element[0]->type == REDIS_REPLY_STRING &&
	    strcmp(r->element[0]->str, "master") == 0;
}

static void
on_role(redisAsyncContext *ac, void *reply, void *arg)
{
	struct link *l = ac->data;
	const redisReply *r = reply;

	(void)arg;
	if (r == NULL || l->ac != ac)
		return;
	if (l->up && l->pending > 0) {
		l->pending--;
		l->oldest_mono_ms = clock_mono_ms();
	}
	if (says_master(r)) {
		if (!l->up)
			link_up(l);
	} else if (l->up)
		server_failed(l->redis, "the server is not the master any more");
	else
		link_failed(l, r->type == REDIS_REPLY_ERROR ? r->str : "a sentinel named a server that is not the master");
}

static void
greet(struct link *l)
{
	const struct address *a = &l->redis->address;
	void *last = l->redis->sentinel_count ? NULL : l;

	if (a->password && a->user && *a->user)
		redisAsyncCommand(l->ac, on_greeting, a->db ? NULL : last, "AUTH %b %b", a->user, strlen(a->user), a->password,
		    strlen(a->password));
	else if (a->password)
		redisAsyncCommand(l->ac, on_greeting, a->db ? NULL : last, "AUTH %b", a->password, strlen(a->password));
	if (a->db)
		redisAsyncCommand(l->ac, on_greeting, last, "SELECT %d", a->db);
	if (l->redis->sentinel_count)
		redisAsyncCommand(l->ac, on_role, NULL, "ROLE");
}

/* ---- hiredis on the loop ---- */

/*
 * As hiredis' own adapter, which leaves a connection that was reset standing: libuv reports that as an error without
 * events, and only reading tells hiredis.  And what one turn of the loop says is written at its end: to wait until that is
 * possible, as it nearly always is, would take four system calls for each write.
 */
struct poller { uv_poll_t handle; uv_idle_t writer; redisAsyncContext *ac; int events; bool writing; };

static void
on_poll(uv_poll_t *handle, int status, int events)
{
	struct poller *p = handle->data;

	if (p->ac && (status || (events & UV_READABLE)))
		redisAsyncHandleRead(p->ac);
	if (p->ac && status == 0 && (events & UV_WRITABLE))
		redisAsyncHandleWrite(p->ac);
}

static void
poller_want(struct poller *p, int events)
{
	if (events == p->events)
		return;
	p->events = events;
	if (events)
		uv_poll_start(&p->handle, events, on_poll);
	else
		uv_poll_stop(&p->handle);
}

static void
add_read(void *arg)
{
	poller_want(arg, ((struct poller *)arg)->events | UV_READABLE);
}

static void
del_read(void *arg)
{
	poller_want(arg, ((struct poller *)arg)->events & ~UV_READABLE);
}

/* May end the context, and with it the poller. */
static void
write_now(uv_idle_t *writer)
{
	struct poller *p = writer->data;

	uv_idle_stop(writer);
	p->writing = true;
	redisAsyncHandleWrite(p->ac);
	p->writing = false;
}

/* Idle handles run before the loop waits, and keep it from waiting while one is active. */
static void
add_write(void *arg)
{
	struct poller *p = arg;

	if (p->writing || !(p->ac->c.flags & REDIS_CONNECTED))
		poller_want(p, p->events | UV_WRITABLE);	/* not all could be written, or nothing yet */
	else if (!(p->events & UV_WRITABLE))
		uv_idle_start(&p->writer, write_now);
}

static void
del_write(void *arg)
{
	struct poller *p = arg;

	uv_idle_stop(&p->writer);
	poller_want(p, p->events & ~UV_WRITABLE);
}

static void
on_writer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void
on_poller_closed(uv_handle_t *handle)
{
	struct poller *p = handle->data;

	uv_close((uv_handle_t *)&p->writer, on_writer_closed);
}

static void
poller_free(void *arg)
{
	struct poller *p = arg;

	p->ac = NULL;
	uv_idle_stop(&p->writer);
	uv_close((uv_handle_t *)&p->handle, on_poller_closed);
}

static bool
poller_attach(redisAsyncContext *ac, uv_loop_t *loop)
{
	struct poller *p = calloc(1, sizeof(*p));

	if (p == NULL || uv_poll_init(loop, &p->handle, ac->c.fd) != 0) {
		free(p);
		return false;
	}
	uv_idle_init(loop, &p->writer);
	p->handle.data = p->writer.data = p;
	p->ac = ac;
	ac->ev.data = p;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = poller_free;
	return true;
}

/* NULL: the problem is noted. */
static redisAsyncContext *
open_context(struct link *l, const struct address *a)
{
	redisAsyncContext *ac = a->socket ? redisAsyncConnectUnix(a->socket) : redisAsyncConnect(a->host, a->port);

	if (ac == NULL || ac->err) {
		note_problem(l->redis, REDIS_AWAY, ac ? ac->errstr : "out of memory");
		if (ac)
			redisAsyncFree(ac);
		return NULL;
	}
	ac->data = l;
	if (poller_attach(ac, l->redis->loop))
		return ac;
	note_problem(l->redis, REDIS_AWAY, "out of memory");
	redisAsyncFree(ac);
	return NULL;
}

static void
connect_to(struct link *l, const struct address *a)
{
	l->ac = open_context(l, a);
	if (l->ac == NULL) {
		l->sentinel++;
		retry_later(l);
		return;
	}
	redisAsyncSetConnectCallback(l->ac, on_connect);
	redisAsyncSetDisconnectCallback(l->ac, on_disconnect);
	if (!a->socket)
		redisEnableKeepAlive(&l->ac->c);
	if (l->redis->sentinel_count)
		uv_timer_start(&l->limit, on_limit, MASTER_MS, 0);
	greet(l);
}

/* ---- sentinels ---- */

static void ask_sentinel(struct link *);

static void
next_sentinel(struct link *l)
{
	uv_timer_stop(&l->limit);
	l->sentinel++;
	if (l->closing)
		return;
	if (++l->asked < l->redis->sentinel_count)
		ask_sentinel(l);
	else
		retry_later(l);
}

/* Two strings, the address; nil if it does not know the name; NULL if it cannot be reached or hung up. */
static void
on_master(redisAsyncContext *ac, void *reply, void *arg)
{
	struct link *l = ac->data;
	const redisReply *r = reply;
	struct address found = { 0 };

	(void)arg;
	if (l->asking != ac)
		return;
	l->asking = NULL;
	if (r == NULL || r->type != REDIS_REPLY_ARRAY || r->elements != 2 || r->element[0]->type != REDIS_REPLY_STRING ||
	    r->element[1]->type != REDIS_REPLY_STRING) {
		note_problem(l->redis, REDIS_AWAY, r == NULL ? "a sentinel does not answer" : r->type == REDIS_REPLY_ERROR ?
		    r->str : "the sentinels do not know REDIS_MASTER");
		if (r)
			redisAsyncFree(ac);
		next_sentinel(l);
		return;
	}
	uv_timer_stop(&l->limit);
	found.host = r->element[0]->str;
	found.port = atoi(r->element[1]->str);
	connect_to(l, &found);
	redisAsyncFree(ac);
}

static void
on_sentinel_limit(uv_timer_t *timer)
{
	struct link *l = timer->data;
	redisAsyncContext *ac = l->asking;

	l->asking = NULL;
	note_problem(l->redis, REDIS_AWAY, "a sentinel does not answer");
	redisAsyncFree(ac);
	next_sentinel(l);
}

static void
ask_sentinel(struct link *l)
{
	struct redis *r = l->redis;

	l->asking = open_context(l, &r->sentinels[l->sentinel % r->sentinel_count]);
	if (l->asking && redisAsyncCommand(l->asking, on_master, NULL, "SENTINEL get-master-addr-by-name %s",
	    r->master) == REDIS_OK)
		uv_timer_start(&l->limit, on_sentinel_limit, SENTINEL_MS, 0);
	else if (l->asking) {
		redisAsyncContext *ac = l->asking;

		l->asking = NULL;
		redisAsyncFree(ac);
		next_sentinel(l);
	} else
		next_sentinel(l);
}

/* ---- for the others ---- */

void
link_connect(struct link *l)
{
	l->asked = 0;
	if (l->redis->sentinel_count)
		ask_sentinel(l);
	else
		connect_to(l, &l->redis->address);
}

/*
 * Subscriptions have no replies to wait for: they are given up with the commands, which a question once a second keeps
 * awake.
 */
void
links_watch(struct redis *r)
{
	struct link *l = &r->commands;

	if (l->ac && l->pending && clock_mono_ms() - l->oldest_mono_ms > REDIS_TIMEOUT_MS) {
		server_failed(r, "the server does not answer");
	} else if (l->up && r->sentinel_count && redisAsyncCommand(l->ac, on_role, NULL, "ROLE") == REDIS_OK) {
		if (l->pending++ == 0)
			l->oldest_mono_ms = clock_mono_ms();
	}
}

void
link_close(struct link *l, uv_close_cb closed)
{
	redisAsyncContext *ac = l->ac, *asking = l->asking;

	l->closing = true;
	l->ac = l->asking = NULL;
	l->up = false;
	if (ac)
		redisAsyncFree(ac);
	if (asking)
		redisAsyncFree(asking);
	l->retry.data = l->limit.data = l->redis;
	uv_close((uv_handle_t *)&l->retry, closed);
	uv_close((uv_handle_t *)&l->limit, closed);
}
