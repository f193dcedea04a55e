#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/sse.h"
#include "base/str.h"
#include "base/trace.h"
#include "engine/breaker.h"
#include "engine/completion.h"
#include "engine/form.h"
#include "engine/provider.h"
#include "engine/queue.h"
#include "engine/retry.h"
#include "loop/task.h"

#define SERVERS_MAX	2
#define REQUEST_MAX	(4u << 20)
#define STREAM_MAX	(16u << 20)	/* some 200 bytes of JSON come with each token */
#define SILENCE_MAX	30000		/* ms without a byte: failed */
#define TAIL_PATIENCE	2000		/* ms for usage and [DONE] once finish_reason has come */
#define WANTED_MIN	1000		/* ms of Retry-After for which a server is left alone; less is only a pause */

struct server {
	const char	*name;
	const char	*model;
	char		*url;
	char		*authorization;		/* header lines, or NULL */
	char		*api_key;
	unsigned	 without;		/* what it has refused, and accepted without: see form.h */
	struct breaker	 breaker;
};

struct providers {
	struct http	*http;
	struct queue	 queue;		/* of requests */
	int64_t		 max_tokens;
	struct server	 servers[SERVERS_MAX];
	size_t		 count;
};

/* One question under way. */
struct ask {
	struct providers	*p;
	const struct question	*q;
	struct model_answer	*a;
	size_t			 given;		/* bytes of a->text that delta has had */
	bool			 shown;		/* it has had some */
};

/* How one request went. */
struct outcome {
	enum hl_err	 err;
	bool		 final;		/* err is to be returned, whatever else could be tried */
	bool		 again;		/* the same server may be asked again */
	bool		 silent;
	bool		 hurried;	/* it had less time than its turn was waited for here: its silence says nothing of it */
	int		 status;	/* by which it refused; 0: it did not */
	unsigned	 refused;	/* parameters to leave out */
	unsigned	 ignored;	/* likewise, though it has answered: it does not heed them */
	int64_t		 wait_ms;	/* what the server asks for; -1: nothing */
	char		 why[160];
};

/* ---- the configured servers ---- */

static bool
is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* base + /chat/completions, before the query string if the base has one (Azure). */
static char *
join_url(const char *base)
{
	static const char path[] = "/chat/completions";
	size_t n = strcspn(base, "?#"), query = strcspn(base, "#");
	char *url;

	while (n && (base[n - 1] == '/' || is_white(base[n - 1])))
		n--;
	if (n >= sizeof(path) - 1 && memcmp(base + n - (sizeof(path) - 1), path, sizeof(path) - 1) == 0)
		n -= sizeof(path) - 1;
	if (asprintf(&url, "%.*s%s%.*s", (int)n, base, path, (int)(query - strcspn(base, "?#")),
	    base + strcspn(base, "?#")) < 0)
		return NULL;
	return url;
}

/* A pasted key often has white space around it, which would break the header. */
static bool
key_header(char **ret, const char *name, const char *key)
{
	size_t n;

	while (is_white(*key))
		key++;
	for (n = strlen(key); n && is_white(key[n - 1]); n--)
		;
	*ret = NULL;
	return n == 0 || asprintf(ret, "%s%.*s", name, (int)n, key) >= 0;
}

static enum hl_err
add_server(struct providers *p, const char *name, const char *key, const char *url, const char *model)
{
	struct server *s = &p->servers[p->count++];
	bool azure = strstr(url, ".openai.azure.com") != NULL;

	s->name = name;
	s->model = model;
	s->url = join_url(url);
	if (strstr(url, "generativelanguage.googleapis.com"))
		s->without = WITHOUT_CLOSED_SCHEMA;
	if (strstr(url, ":11434/"))		/* Ollama's port; elsewhere its first answer tells */
		s->without = WITHOUT_NEW_LIMIT;
	if (s->url == NULL || !key_header(&s->authorization, "Authorization: Bearer ", key) ||
	    !key_header(&s->api_key, "api-key: ", azure ? key : ""))
		return HL_NO_MEMORY;
	return HL_OK;
}

enum hl_err
providers_new(const struct conf *c, struct http *http, struct providers **ret)
{
	static const char openai[] = "https://api.openai.com/v1";
	static const char gemini[] = "https://generativelanguage.googleapis.com/v1beta/openai/";
	struct providers *p = calloc(1, sizeof(*p));
	enum hl_err err = HL_OK;

	*ret = NULL;
	if (p == NULL)
		return HL_NO_MEMORY;
	p->http = http;
	p->max_tokens = c->max_tokens;
	queue_init(&p->queue, (size_t)c->upstream_concurrency);
	if (*c->openai_key || *c->openai_url)
		err = add_server(p, "openai", c->openai_key, *c->openai_url ? c->openai_url : openai,
		    c->openai_model);
	if (err == HL_OK && (*c->fallback_key || *c->fallback_url))
		err = add_server(p, "fallback", c->fallback_key, *c->fallback_url ? c->fallback_url : openai,
		    c->fallback_model);
	else if (err == HL_OK && *c->gemini_key)
		err = add_server(p, "gemini", c->gemini_key, gemini, c->gemini_model);
	if (err) {
		providers_free(p);
		return err;
	}
	*ret = p;
	return HL_OK;
}

void
providers_free(struct providers *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++) {
		free(p->servers[i].url);
		free(p->servers[i].authorization);
		free(p->servers[i].api_key);
	}
	free(p);
}

bool
providers_configured(const struct providers *p)
{
	return p->count != 0;
}

/* ---- the answer ---- */

void
model_answer_init(struct model_answer *a)
{
	*a = (struct model_answer){ .text = BUF_INIT(ANSWER_TEXT_MAX), .provider = "" };
}

void
model_answer_free(struct model_answer *a)
{
	buf_free(&a->text);
}

/* Empty again for the next request; what it counts stays. */
static void
answer_reset(struct model_answer *a)
{
	struct buf text = a->text;
	unsigned requests = a->requests;

	model_answer_init(a);
	buf_reset(&text);
	a->text = text;
	a->requests = requests;
}

/* Hands delta what has become visible.  What it returns is not the server's failure and ends the question. */
static enum hl_err
show(struct ask *k, struct outcome *o)
{
	size_t from = k->given, n = k->a->text.len - from;
	enum hl_err err;

	if (k->q->delta == NULL || n == 0)
		return HL_OK;
	k->given = k->a->text.len;
	k->shown = true;
	err = k->q->delta(k->q->arg, k->a->text.data + from, n);
	o->final = err != HL_OK;
	return err;
}

/* ---- how it failed ---- */

static void
why(struct outcome *o, const char *text)
{
	snprintf(o->why, sizeof(o->why), "%s", text);
}

/* The exchange itself failed. */
static void
broke(const struct ask *k, struct outcome *o, enum hl_err err)
{
	o->err = err;
	o->silent = err == HL_TIMEOUT;
	o->again = err == HL_UPSTREAM || err == HL_TIMEOUT;
	o->final = err == HL_CANCELLED || err == HL_NO_MEMORY;
	why(o, http_problem(k->p->http));
}

/* The server says that it failed: by a status, or within an answer 200. */
static void
refused(struct outcome *o, struct http_stream *s, int status, const char *body, size_t len, unsigned without)
{
	struct upstream_error e;

	upstream_error_read(&e, body, len);
	if (status < 400)
		status = e.status ? e.status : status < 300 ? 500 : status;
	o->err = HL_UPSTREAM;
	o->status = status;
	if (status == 400 || status == 422)
		o->refused = form_refused(without, &e, body, len);
	o->again = retry_helps(status, e.code, http_header(s, "x-should-retry"));
	o->wait_ms = retry_after(http_header(s, "retry-after-ms"), http_header(s, "retry-after"), clock_wall_ms());
	snprintf(o->why, sizeof(o->why), "status %d%s%s", status, e.code[0] ? " " : "", e.code);
}

static void
read_refusal(struct outcome *o, struct http_stream *s, unsigned without)
{
	struct buf body = BUF_INIT(ERROR_BODY_MAX);
	const char *data;
	size_t len;

	http_patience(s, TAIL_PATIENCE);
	while (http_read(s, &data, &len) == HL_OK && len && !buf_err(&body))
		buf_add(&body, data, len);
	refused(o, s, http_status(s), body.len ? body.data : "", body.len, without);
	o->final = task_cancelled();
	if (o->final)
		o->err = HL_CANCELLED;
	buf_free(&body);
}

/* ---- how it answered ---- */

static enum hl_err
on_event(void *arg, const char *name, const char *data, size_t len)
{
	(void)name;
	return completion_event(arg, data, len);
}

static bool
says_json(const char *type)
{
	size_t n = strlen(type);

	return strcmp(type, "application/json") == 0 || (n > 5 && strcmp(type + n - 5, "+json") == 0);
}

/* A server that does not say what it sends: an event does not start like JSON. */
static bool
looks_like_json(const char *type, const char *data, size_t len)
{
	const char *p = json_space(data, data + len);

	return strcmp(type, "text/event-stream") != 0 && p < data + len && (*p == '{' || *p == '[');
}

/*
 * Reads to the end, showing what comes.  Returns what ended it; after finish_reason nothing but a
 * cancellation is a failure, for all that matters is there.
 */
static enum hl_err
read_pieces(struct ask *k, struct http_stream *s, struct completion *c, struct outcome *o)
{
	struct buf body = BUF_INIT(STREAM_MAX);
	enum hl_err err = HL_OK;
	bool whole = says_json(http_content_type(s)), first = true;
	const char *data;
	struct sse sse;
	size_t len;

	sse_init(&sse);
	while (!c->over) {
		err = http_read(s, &data, &len);
		if (err)
			broke(k, o, err);
		if (err || len == 0)
			break;
		whole = whole || (first && looks_like_json(http_content_type(s), data, len));
		first = false;
		if (whole) {
			buf_add(&body, data, len);
			continue;
		}
		err = sse_feed(&sse, data, len, on_event, c);
		if (err == HL_OK)
			err = show(k, o);
		if (err)
			break;
		if (c->finish[0])
			http_patience(s, TAIL_PATIENCE);
	}
	if (err == HL_OK && whole)
		err = buf_err(&body) ? buf_err(&body) : completion_event(c, body.len ? body.data : "", body.len);
	sse_free(&sse);
	buf_free(&body);
	return c->finish[0] && !c->error.len && !o->final ? HL_OK : err;
}

static void
read_answer(struct ask *k, struct http_stream *s, unsigned without, struct outcome *o)
{
	struct completion c;
	const char *wrong = "";
	enum hl_err err;

	completion_init(&c, !(without & WITHOUT_FORMAT), &k->a->text);
	err = read_pieces(k, s, &c, o);
	if (c.error.len)
		refused(o, s, http_status(s), c.error.data, c.error.len, without);
	else if (err && o->err == HL_OK) {
		o->err = err;
		o->again = err == HL_BAD_JSON;
		why(o, o->final ? "ended here" : err == HL_BAD_JSON ? "not JSON" : "too long");
	} else if (err == HL_OK) {
		o->err = completion_end(&c, k->a, &wrong, &o->again);
		why(o, o->err ? wrong : "");
		if (o->err == HL_OK)
			o->err = show(k, o);
	}
	o->ignored = c.ollama ? WITHOUT_NEW_LIMIT : 0;
	if (o->err == HL_OK || c.over)
		http_finish(s);
	else
		http_close(s);
	completion_free(&c);
}

/* ---- one request ---- */

static int64_t
time_left(const struct ask *k)
{
	return k->q->deadline_mono_ms - clock_mono_ms();
}

/* Sends and waits for the status.  The body is given back as soon as that has come: thousands wait here. */
static enum hl_err
send_question(struct ask *k, const struct server *s, unsigned without, int64_t silence,
    struct http_stream **ret)
{
	struct form form = { .model = s->model, .max_tokens = k->p->max_tokens, .without = without };
	struct buf body = BUF_INIT(REQUEST_MAX);
	char trace[TRACE_HEADER_MAX];
	const char *headers[7] = {
		"Content-Type: application/json", "Accept: application/json, text/event-stream"
	};
	size_t n = 2;
	enum hl_err err;

	if (s->authorization)
		headers[n++] = s->authorization;
	if (s->api_key)
		headers[n++] = s->api_key;
	if (trace_header(trace))
		headers[n++] = trace;
	headers[n] = trace_state_header();
	form_write(&body, &form, k->q);
	buf_trim(&body);
	err = buf_err(&body);
	if (err == HL_OK) {
		struct http_request r = {
			.method = "POST", .url = s->url, .headers = headers,
			.body = body.data, .body_len = body.len,
			.total_ms = time_left(k), .idle_ms = silence, .max_body = STREAM_MAX
		};

		k->a->requests++;
		err = http_open(k->p->http, &r, ret);
	}
	buf_free(&body);
	return err;
}

/* Waits until one more request may be under way.  From HL_OK on end_turn() is owed. */
static enum hl_err
await_turn(const struct ask *k)
{
	struct queue *queue = &k->p->queue;
	struct queue_turn turn = { .arg = task_self() };
	enum hl_err err = queue_enter(queue, &turn, k->q->company ? k->q->company : "", k->q->visitor ? k->q->visitor : "");

	if (err || turn.begun)
		return err;
	metrics_change(M_UPSTREAM_WAITING, 1);
	err = task_wait_flag(&turn.begun, time_left(k));
	metrics_change(M_UPSTREAM_WAITING, -1);
	if (turn.begun)
		return HL_OK;
	queue_withdraw(queue, &turn);
	return err;
}

static void
end_turn(struct ask *k)
{
	struct queue_turn *next = queue_end(&k->p->queue);

	if (next)
		task_wake(next->arg);
}

static void
exchange(struct ask *k, const struct server *s, unsigned without, int64_t silence, struct outcome *o)
{
	struct http_stream *stream = NULL;
	enum hl_err err;

	answer_reset(k->a);
	k->given = 0;
	k->a->provider = s->name;
	err = send_question(k, s, without, silence, &stream);
	if (err)
		broke(k, o, err);
	else if (http_status(stream) >= 200 && http_status(stream) < 300) {
		read_answer(k, stream, without, o);
		return;
	} else
		read_refusal(o, stream, without);
	http_finish(stream);
}

/* ---- one server, and all of them ---- */

/*
 * With another server behind this one, it may keep silent, or be waited for, for half of the time that is
 * left, and is not asked again after silence: a server that hangs would cost the turn.
 */
static int64_t
share(const struct ask *k, bool last)
{
	return last ? time_left(k) : time_left(k) / 2;
}

static int64_t
patience(const struct ask *k, bool last)
{
	int64_t most = share(k, last);

	return most < SILENCE_MAX ? most : SILENCE_MAX;
}

static enum metric_outcome
outcome_of(const struct outcome *o)
{
	if (o->err == HL_OK)
		return M_END_OK;
	if (o->final)
		return M_END_CANCELLED;
	if (o->status)
		return metrics_outcome_of(o->status);
	return o->err == HL_TIMEOUT ? M_END_TIMEOUT : M_END_BROKEN;
}

static void
count_exchange(const struct ask *k, const struct server *s, const struct outcome *o, int64_t us)
{
	enum metric_provider who = metrics_provider_named(s->name);

	_Static_assert(M_BY_GEMINI == 2 && M_TOKENS_READ_3 == M_TOKENS_READ + 2 * M_BY_GEMINI, "tokens are counted in the order of providers");
	metrics_upstream(who, outcome_of(o), us);
	if (o->err || who > M_BY_GEMINI)
		return;
	metrics_count((enum metric_counter)(M_TOKENS_READ + 2 * who), k->a->prompt_tokens);
	metrics_count((enum metric_counter)(M_TOKENS_WRITTEN + 2 * who), k->a->completion_tokens);
}

/* One request, when it is its turn. */
static void
attempt(struct ask *k, const struct server *s, unsigned without, bool last, struct outcome *o)
{
	int64_t asked_ms = clock_mono_ms();
	enum hl_err err = await_turn(k);
	int64_t waited_ms = clock_mono_ms() - asked_ms, silence = patience(k, last);

	*o = (struct outcome){ .err = err, .wait_ms = -1 };
	if (err) {
		o->final = err != HL_TIMEOUT;
		why(o, "too many others are asking");
		return;
	}
	if (silence > 0) {
		int64_t began_us = clock_mono_us();

		metrics_change(M_UPSTREAM_NOW, 1);
		exchange(k, s, without, silence, o);
		metrics_change(M_UPSTREAM_NOW, -1);
		count_exchange(k, s, o, clock_mono_us() - began_us);
	} else {
		o->err = HL_TIMEOUT;
		why(o, "no time left");
	}
	o->hurried = o->err == HL_TIMEOUT && silence <= waited_ms;
	end_turn(k);
}

/* Waits before the next request to the same server.  False: it is not to be asked again. */
static bool
wait_for_retry(const struct ask *k, struct outcome *o, unsigned failures, bool last)
{
	int64_t wait = o->wait_ms >= 0 ? o->wait_ms : retry_backoff(failures);

	if (!o->again || failures >= RETRY_MOST || (o->silent && !last))
		return false;
	if (wait > RETRY_WAIT_MAX || wait >= share(k, last))
		return false;
	if (task_sleep(wait) != HL_OK) {
		o->err = HL_CANCELLED;
		o->final = true;
		return false;
	}
	return true;
}

/*
 * What a server refuses is left out at once, which is no failure; and for good, if it does accept the rest.  A probe is
 * one request.
 */
static void
ask_as_often_as_helps(struct ask *k, struct server *s, bool last, bool probe, struct outcome *o)
{
	unsigned without = s->without, failures = 0;

	for (;;) {
		attempt(k, s, without, last, o);
		if (o->err == HL_OK)
			s->without |= without | o->ignored;
		if (o->err == HL_OK || o->final || k->shown)
			return;
		if (o->refused & ~without)
			without |= o->refused;
		else if (probe || !wait_for_retry(k, o, failures++, last) || (!probe && s->breaker.until_ms))
			return;
	}
}

/* A client's mistake, or an answer that is complete and of no use, is none. */
static bool
is_its_failure(const struct outcome *o)
{
	if (o->status)
		return o->status >= 500 || o->status == 408 || o->status == 429;
	return o->again || o->silent;
}

static void
tell_breaker(struct server *s, const struct ask *k, const struct outcome *o, bool probe)
{
	bool wants = o->status == 429 && o->wait_ms >= WANTED_MIN;
	char ms[24];

	if (o->final || o->hurried || (o->err == HL_TIMEOUT && !o->silent && time_left(k) <= 0))
		breaker_unknown(&s->breaker, probe);
	else if (o->err == HL_OK || !is_its_failure(o)) {
		if (breaker_good(&s->breaker))
			log_line(LOG_LEVEL_INFO, "provider_back", "provider", s->name, NULL);
	} else if (breaker_bad(&s->breaker, probe, wants ? o->wait_ms : -1, clock_mono_ms())) {
		snprintf(ms, sizeof(ms), "%lld", (long long)(s->breaker.until_ms - clock_mono_ms()));
		log_line(LOG_LEVEL_WARN, "provider_left_alone", "provider", s->name, "ms", ms, "problem", o->why, NULL);
	}
	if (metrics_provider_named(s->name) <= M_BY_GEMINI)
		metrics_set((enum metric_gauge)(M_LEFT_ALONE + metrics_provider_named(s->name)), s->breaker.until_ms != 0);
}

static void
ask_server(struct ask *k, struct server *s, bool last, struct outcome *o)
{
	enum breaker_say say = breaker_ask(&s->breaker, clock_mono_ms());

	*o = (struct outcome){ .err = HL_UPSTREAM, .wait_ms = -1 };
	if (say == BREAKER_LEAVE) {
		why(o, "left alone, it has failed too often");
		return;
	}
	ask_as_often_as_helps(k, s, last, say == BREAKER_PROBE, o);
	tell_breaker(s, k, o, say == BREAKER_PROBE);
}

enum hl_err
provider_ask(struct providers *p, const struct question *q, struct model_answer *ret, struct buf *problem)
{
	struct ask k = { .p = p, .q = q, .a = ret };
	struct outcome o = { .err = HL_UPSTREAM };

	for (size_t i = 0; i < p->count; i++) {
		ask_server(&k, &p->servers[i], i + 1 == p->count, &o);
		if (o.err == HL_OK || o.final)
			return o.err;
		buf_printf(problem, "%s%s: %s", problem->len ? "; " : "", p->servers[i].name, o.why);
		if (k.shown)
			break;
	}
	return time_left(&k) <= 0 ? HL_TIMEOUT : HL_UPSTREAM;
}
