#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <curl/curl.h>
#include <hiredis/adapters/libuv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "loop/task.h"
#include "services/redis_link.h"

#define RETRY_MIN_MS	20
#define RETRY_MAX_MS	2000
#define WATCH_MS	1000

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

/* ---- connections ---- */


static void
note_problem(struct redis *r, const char *why)
{
	snprintf(r->problem, sizeof(r->problem), "%s", why);
}

static void
on_retry(uv_timer_t *timer)
{
	link_connect(timer->data);
}

static void
retry_later(struct link *l)
{
	if (l->closing)
		return;
	uv_timer_start(&l->retry, on_retry, (uint64_t)l->delay_ms, 0);
	l->delay_ms = l->delay_ms * 2 < RETRY_MAX_MS ? l->delay_ms * 2 : RETRY_MAX_MS;
}

/* hiredis frees the context itself after either of the next two says so. */
static void
on_connect(const redisAsyncContext *ac, int status)
{
	struct link *l = ac->data;

	if (status != REDIS_OK) {
		note_problem(l->redis, ac->errstr);
		l->ac = NULL;
		l->pending = 0;
		retry_later(l);
		return;
	}
	l->up = true;
	l->delay_ms = RETRY_MIN_MS;
	if (l->kind == LINK_SUBSCRIPTIONS)
		subs_resume(l->redis);
}

static void
on_disconnect(const redisAsyncContext *ac, int status)
{
	struct link *l = ac->data;

	if (status != REDIS_OK)
		note_problem(l->redis, ac->errstr);
	l->ac = NULL;
	l->up = false;
	l->pending = 0;
	retry_later(l);
}

/* A refused sign-in closes the connection; the back-off keeps us from hammering. */
static void
on_greeting(redisAsyncContext *ac, void *reply, void *arg)
{
	const redisReply *r = reply;

	(void)arg;
	if (r && r->type == REDIS_REPLY_ERROR) {
		note_problem(((struct link *)ac->data)->redis, r->str);
		redisAsyncDisconnect(ac);
	}
}

static void
greet(struct link *l)
{
	const struct address *a = &l->redis->address;

	if (a->password && a->user && *a->user)
		redisAsyncCommand(l->ac, on_greeting, NULL, "AUTH %b %b", a->user, strlen(a->user), a->password,
		    strlen(a->password));
	else if (a->password)
		redisAsyncCommand(l->ac, on_greeting, NULL, "AUTH %b", a->password, strlen(a->password));
	if (a->db)
		redisAsyncCommand(l->ac, on_greeting, NULL, "SELECT %d", a->db);
}

void
link_connect(struct link *l)
{
	const struct address *a = &l->redis->address;
	redisAsyncContext *ac = a->socket ? redisAsyncConnectUnix(a->socket) : redisAsyncConnect(a->host, a->port);

	if (ac == NULL || ac->err) {
		note_problem(l->redis, ac ? ac->errstr : "out of memory");
		if (ac)
			redisAsyncFree(ac);
		retry_later(l);
		return;
	}
	ac->data = l;
	l->ac = ac;
	if (redisLibuvAttach(ac, l->redis->loop) != REDIS_OK) {
		l->ac = NULL;
		redisAsyncFree(ac);
		retry_later(l);
		return;
	}
	redisAsyncSetConnectCallback(ac, on_connect);
	redisAsyncSetDisconnectCallback(ac, on_disconnect);
	if (!a->socket)
		redisEnableKeepAlive(&ac->c);
	greet(l);
}

/* Gives a connection up whose server does not answer: every waiting call fails. */
static void
link_failed(struct link *l, const char *why)
{
	redisAsyncContext *ac = l->ac;

	note_problem(l->redis, why);
	l->ac = NULL;
	l->up = false;
	l->pending = 0;
	redisAsyncFree(ac);		/* calls the waiters, then on_disconnect() if it was connected */
	if (!uv_is_active((uv_handle_t *)&l->retry))
		retry_later(l);
}

static void
on_watchdog(uv_timer_t *timer)
{
	struct redis *r = timer->data;
	struct link *l = &r->commands;

	if (l->ac && l->pending && clock_mono_ms() - l->oldest_mono_ms > REDIS_TIMEOUT_MS)
		link_failed(l, "the server does not answer");
}

static void
link_init(struct link *l, struct redis *r, enum link_kind kind)
{
	l->redis = r;
	l->kind = kind;
	l->delay_ms = RETRY_MIN_MS;
	uv_timer_init(r->loop, &l->retry);
	l->retry.data = l;
}

enum hl_err
redis_open(uv_loop_t *loop, const struct conf *conf, struct redis **ret)
{
	struct redis *r = calloc(1, sizeof(*r));
	enum hl_err err = HL_NO_MEMORY;

	*ret = NULL;
	if (r == NULL)
		return HL_NO_MEMORY;
	r->loop = loop;
	err = subs_open(r);
	if (err == HL_OK)
		err = address_from_conf(&r->address, conf);
	if (err)
		goto fail;
	note_problem(r, "not connected yet");
	link_init(&r->commands, r, LINK_COMMANDS);
	link_init(&r->subscriptions, r, LINK_SUBSCRIPTIONS);
	uv_timer_init(loop, &r->watchdog);
	r->watchdog.data = r;
	uv_timer_start(&r->watchdog, on_watchdog, WATCH_MS, WATCH_MS);
	uv_unref((uv_handle_t *)&r->watchdog);
	link_connect(&r->commands);
	*ret = r;
	return HL_OK;
fail:
	address_free(&r->address);
	subs_free(r);
	free(r);
	return err;
}

bool
redis_connected(const struct redis *r)
{
	return r->commands.up;
}

const char *
redis_problem(const struct redis *r)
{
	return r->problem;
}

/* ---- commands ---- */

struct call {
	struct redis	*redis;
	struct task	*task;
	const redisReply *reply;
	bool		 done;
};

static void
on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
	struct link *l = ac->data;
	struct call *c = arg;

	if (l->pending > 0)
		l->pending--;
	l->oldest_mono_ms = clock_mono_ms();
	if (c == NULL)
		return;
	c->reply = reply;
	c->done = true;
	task_wake(c->task);
}

/* Refusals that say something about the server, not about the command. */
static enum hl_err
reply_error(struct redis *r, const redisReply *reply)
{
	static const char *const states[] = { "OOM", "READONLY", "LOADING", "MISCONF", "NOREPLICAS", "MASTERDOWN",
		"CLUSTERDOWN", "TRYAGAIN", "NOAUTH", "WRONGPASS", "NOPERM", "BUSY" };

	if (reply == NULL)
		return HL_STORE;
	if (reply->type != REDIS_REPLY_ERROR)
		return HL_OK;
	note_problem(r, reply->str);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strncmp(reply->str, states[i], strlen(states[i])) == 0)
			return HL_STORE;
	return HL_INTERNAL;
}

#define MAX_ARGS 48

static bool
transmit(struct redis *r, const struct redis_arg *args, size_t nargs, struct call *call)
{
	struct link *l = &r->commands;
	const char *argv[MAX_ARGS];
	size_t lens[MAX_ARGS];

	if (l->ac == NULL || nargs > MAX_ARGS)
		return false;
	for (size_t i = 0; i < nargs; i++) {
		argv[i] = args[i].bytes ? args[i].bytes : "";
		lens[i] = args[i].len;
	}
	if (redisAsyncCommandArgv(l->ac, on_reply, call, (int)nargs, argv, lens) != REDIS_OK)
		return false;
	if (l->pending++ == 0)
		l->oldest_mono_ms = clock_mono_ms();
	return true;
}

enum hl_err
redis_call(struct redis *r, const struct redis_arg *args, size_t nargs, const struct redis_reply **ret)
{
	struct call call = { .redis = r, .task = task_self() };

	*ret = NULL;
	if (!transmit(r, args, nargs, &call))
		return HL_STORE;
	while (!call.done)
		task_wait_always();
	*ret = (const struct redis_reply *)call.reply;
	return reply_error(r, call.reply);
}

void
redis_send(struct redis *r, const struct redis_arg *args, size_t nargs)
{
	(void)transmit(r, args, nargs, NULL);	/* what it is used for may be lost */
}

static enum hl_err
load_script(struct redis *r, struct redis_script *script)
{
	struct redis_arg args[] = { RA("SCRIPT"), RA("LOAD"), RA(script->text) };
	const struct redis_reply *reply;
	const char *sha;
	size_t len;
	enum hl_err err = redis_call(r, args, 3, &reply);

	if (err)
		return err;
	sha = redis_str(reply, &len);
	if (sha == NULL || len >= sizeof(script->sha))
		return HL_INTERNAL;
	memcpy(script->sha, sha, len + 1);
	return HL_OK;
}

static bool
script_unknown(const struct redis_reply *reply)
{
	const redisReply *r = (const redisReply *)reply;

	return r && r->type == REDIS_REPLY_ERROR && strncmp(r->str, "NOSCRIPT", 8) == 0;
}

enum hl_err
redis_script(struct redis *r, struct redis_script *script, const struct redis_arg *keys, size_t nkeys,
    const struct redis_arg *args, size_t nargs, const struct redis_reply **ret)
{
	struct redis_arg all[MAX_ARGS] = { RA("EVALSHA") };
	char count[8];
	enum hl_err err = HL_OK;

	*ret = NULL;
	if (3 + nkeys + nargs > MAX_ARGS)
		return HL_INTERNAL;
	snprintf(count, sizeof(count), "%u", (unsigned)nkeys);
	all[2] = RA(count);
	for (size_t i = 0; i < nkeys; i++)
		all[3 + i] = keys[i];
	for (size_t i = 0; i < nargs; i++)
		all[3 + nkeys + i] = args[i];
	for (int attempt = 0; attempt < 2; attempt++) {
		if (script->sha[0] == '\0')
			err = load_script(r, script);
		if (err)
			return err;
		all[1] = RA(script->sha);
		err = redis_call(r, all, 3 + nkeys + nargs, ret);
		if (!script_unknown(*ret))
			return err;
		script->sha[0] = '\0';	/* the server has been restarted */
		err = HL_OK;
	}
	return HL_STORE;
}

/* ---- replies ---- */

static const redisReply *
inner(const struct redis_reply *r)
{
	return (const redisReply *)r;
}

enum redis_type
redis_type(const struct redis_reply *reply)
{
	const redisReply *r = inner(reply);

	if (r == NULL)
		return REDIS_NIL;
	switch (r->type) {
	case REDIS_REPLY_INTEGER:
		return REDIS_INT;
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		return REDIS_STR;
	case REDIS_REPLY_ARRAY:
		return REDIS_LIST;
	default:
		return REDIS_NIL;
	}
}

int64_t
redis_int(const struct redis_reply *reply)
{
	if (redis_type(reply) == REDIS_INT)
		return inner(reply)->integer;
	if (redis_type(reply) == REDIS_STR)
		return strtoll(inner(reply)->str, NULL, 10);
	return 0;
}

const char *
redis_str(const struct redis_reply *reply, size_t *len)
{
	if (redis_type(reply) != REDIS_STR)
		return NULL;
	if (len)
		*len = (size_t)inner(reply)->len;
	return inner(reply)->str;
}

size_t
redis_length(const struct redis_reply *reply)
{
	return redis_type(reply) == REDIS_LIST ? inner(reply)->elements : 0;
}

const struct redis_reply *
redis_at(const struct redis_reply *reply, size_t i)
{
	return i < redis_length(reply) ? (const struct redis_reply *)inner(reply)->element[i] : NULL;
}

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *);

static void
link_close(struct link *l)
{
	l->closing = true;
	if (l->ac) {
		redisAsyncContext *ac = l->ac;

		l->ac = NULL;
		l->up = false;
		redisAsyncFree(ac);
	}
	l->retry.data = l->redis;
	uv_close((uv_handle_t *)&l->retry, on_handle_closed);
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct redis *r = handle->data;

	if (--r->open_handles > 0)
		return;
	subs_free(r);
	address_free(&r->address);
	free(r);
}

void
redis_close(struct redis *r)
{
	if (r == NULL)
		return;
	r->open_handles = 3;
	link_close(&r->commands);
	link_close(&r->subscriptions);
	uv_close((uv_handle_t *)&r->watchdog, on_handle_closed);
}
