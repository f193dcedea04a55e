#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/metrics.h"
#include "base/str.h"
#include "base/trace.h"
#include "engine/breaker.h"
#include "engine/completion.h"
#include "engine/hearing.h"
#include "engine/retry.h"
#include "loop/task.h"

#define FORM_MAX	(80u << 20)	/* bytes of a request: the largest file, and the form around it */
#define ATTEMPTS	2u
#define WORTH_MS	1000		/* with less time left it is not asked again */

struct ear {
	struct store	*store;
	const struct conf *conf;
	struct http	*http;
	char		*url, *authorization;	/* authorization NULL: there is no key */
	struct breaker	 breaker;
};

/* Before the query string, if the base has one. */
static char *
join_url(const char *base)
{
	size_t n = strcspn(base, "?#"), query = strcspn(base + n, "#"), path = n;
	char *url;

	while (path && (base[path - 1] == '/' || base[path - 1] == ' '))
		path--;
	if (asprintf(&url, "%.*s/audio/transcriptions%.*s", (int)path, base, (int)query, base + n) < 0)
		return NULL;
	return url;
}

enum hl_err
ear_new(struct store *store, struct http *http, struct ear **ret)
{
	const struct conf *c = store->conf;
	const char *key = conf_speech_key(c) + strspn(conf_speech_key(c), " \t\r\n");
	struct ear *ear = calloc(1, sizeof(*ear));

	*ret = NULL;
	if (ear == NULL)
		return HL_NO_MEMORY;
	ear->store = store;
	ear->conf = c;
	ear->http = http;
	ear->url = join_url(conf_speech_url(c));
	if (ear->url == NULL || (*key && asprintf(&ear->authorization, "Authorization: Bearer %.*s", (int)strcspn(key, " \t\r\n"), key) < 0)) {
		ear->authorization = NULL;
		ear_free(ear);
		return HL_NO_MEMORY;
	}
	*ret = ear;
	return HL_OK;
}

void
ear_free(struct ear *ear)
{
	if (ear == NULL)
		return;
	free(ear->url);
	free(ear->authorization);
	free(ear);
}

/* ---- what is sent ---- */

/* One recording that is being heard. */
struct hearing {
	struct ear	*ear;
	struct buf	 body, *words, *problem;
	char		 boundary[ID_LEN + 1];
	int64_t		 deadline_ms;
	bool		 again;		/* it may be asked once more … */
	int64_t		 wait_ms;	/* … after so long, as the server wishes; -1: it does not say */
	bool		 failing;	/* the server is to blame */
};

static void
add_field(struct hearing *h, const char *name, const char *value)
{
	buf_printf(&h->body, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", h->boundary, name, value);
}

/* The name of the file tells the server what it is. */
static enum hl_err
write_form(struct hearing *h, const struct recording *r)
{
	id_new(h->boundary);
	add_field(h, "model", h->ear->conf->stt_model);
	add_field(h, "response_format", "json");
	if (r->prompt && *r->prompt)
		add_field(h, "prompt", r->prompt);
	buf_printf(&h->body, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"speech.%s\"\r\nContent-Type: %s\r\n\r\n",
	    h->boundary, container_extension(r->container), container_mime(r->container));
	buf_add(&h->body, r->bytes, r->len);
	buf_printf(&h->body, "\r\n--%s--\r\n", h->boundary);
	return buf_err(&h->body);
}

/* ---- what comes back ---- */

static enum hl_err
fail(struct hearing *h, enum hl_err err, const char *why)
{
	buf_reset(h->problem);
	buf_puts(h->problem, why);
	return err;
}

/* The word it is for programs; a sentence may repeat what was said. */
static enum hl_err
refused(struct hearing *h, struct http_stream *s, const struct buf *body)
{
	int status = http_status(s);
	struct upstream_error e;
	char why[96];

	upstream_error_read(&e, body->len ? body->data : "", body->len);
	snprintf(why, sizeof(why), "status %d%s%s", status, *e.code ? " " : "", e.code);
	h->again = retry_helps(status, e.code, http_header(s, "x-should-retry"));
	h->wait_ms = retry_after(http_header(s, "retry-after-ms"), http_header(s, "retry-after"), clock_wall_ms());
	if (status == 400 || status == 413 || status == 415 || status == 422)
		return fail(h, HL_UNPROCESSABLE, why);
	h->failing = true;
	return fail(h, HL_UPSTREAM, why);
}

static enum hl_err
take_words(struct hearing *h, const char *text, size_t len)
{
	while (len && (unsigned char)*text <= ' ') {
		text++;
		len--;
	}
	while (len && (unsigned char)text[len - 1] <= ' ')
		len--;
	if (len > HEARING_WORDS_MAX || memchr(text, '\0', len))
		return fail(h, HL_UPSTREAM, "these are no words");
	buf_add(h->words, text, len);
	return buf_err(h->words);
}

static enum hl_err
read_words(struct hearing *h, const struct buf *body)
{
	struct json *doc = NULL;
	const char *text;
	enum hl_err err;
	size_t len;

	if (json_parse(body->len ? body->data : "", body->len, &doc) != HL_OK || (text = json_string(json_get(doc, "text"), &len)) == NULL) {
		h->failing = true;
		err = fail(h, HL_UPSTREAM, "not a transcript");
	} else
		err = take_words(h, text, len);
	json_free(doc);
	return err;
}

static enum hl_err
read_body(struct hearing *h, struct http_stream *s, struct buf *body)
{
	const char *data;
	size_t len;
	enum hl_err err;

	while ((err = http_read(s, &data, &len)) == HL_OK && len)
		buf_add(body, data, len);
	if (err)
		return err;
	if (buf_err(body))
		return buf_err(body);
	return http_status(s) / 100 == 2 ? read_words(h, body) : refused(h, s, body);
}

/* ---- asking ---- */

static enum hl_err
ask_once(struct hearing *h)
{
	struct buf body = BUF_INIT(1u << 20);
	struct http_stream *s = NULL;
	char type[96], trace[TRACE_HEADER_MAX];
	const char *headers[6] = { type, "Accept: application/json" };
	size_t n = 2;
	const struct http_request r = {
		.method = "POST", .url = h->ear->url, .headers = headers, .body = h->body.data, .body_len = h->body.len,
		.total_ms = h->deadline_ms - clock_mono_ms(), .max_body = 1u << 20
	};
	int64_t began_us = clock_mono_us();
	enum hl_err err;

	snprintf(type, sizeof(type), "Content-Type: multipart/form-data; boundary=%s", h->boundary);
	if (h->ear->authorization)
		headers[n++] = h->ear->authorization;
	if (trace_header(trace))
		headers[n++] = trace;
	headers[n] = trace_state_header();
	h->again = h->failing = false;
	h->wait_ms = -1;
	err = http_open(h->ear->http, &r, &s);
	if (err == HL_OK)
		err = read_body(h, s, &body);
	if (h->problem->len == 0 && err && err != HL_CANCELLED) {
		(void)fail(h, err, err == HL_TIMEOUT ? "no answer in time" : http_problem(h->ear->http));
		h->failing = true;
		h->again = err == HL_UPSTREAM;
	}
	metrics_upstream(M_BY_HEARING, err == HL_CANCELLED ? M_END_CANCELLED : err == HL_TIMEOUT ? M_END_TIMEOUT : s == NULL ? M_END_BROKEN :
	    err && http_status(s) / 100 == 2 ? M_END_BROKEN : metrics_outcome_of(http_status(s)), clock_mono_us() - began_us);
	if (err == HL_TOO_LARGE || err == HL_BAD_REQUEST)
		err = HL_UPSTREAM;
	if (err)
		http_close(s);
	else
		http_finish(s);
	buf_free(&body);
	return err;
}

/* A pause before the second attempt; false: there is no time for one. */
static bool
pause_before(struct hearing *h)
{
	int64_t wait = h->wait_ms >= 0 ? h->wait_ms : retry_backoff(0);

	return h->again && h->deadline_ms - clock_mono_ms() > wait + WORTH_MS && task_sleep(wait) == HL_OK;
}

static enum hl_err
ask(struct hearing *h)
{
	enum breaker_say say = breaker_ask(&h->ear->breaker, clock_mono_ms());
	enum hl_err err;

	if (say == BREAKER_LEAVE)
		return fail(h, HL_BUSY, "the server is left alone, for it has failed");
	for (unsigned i = 1; (err = ask_once(h)) != HL_OK && i < ATTEMPTS && pause_before(h); i++)
		buf_reset(h->problem);
	if (err == HL_CANCELLED || (err && !h->failing && err != HL_UNPROCESSABLE))
		breaker_unknown(&h->ear->breaker, say == BREAKER_PROBE);
	else if (h->failing)
		(void)breaker_bad(&h->ear->breaker, say == BREAKER_PROBE, h->wait_ms, clock_mono_ms());
	else
		(void)breaker_good(&h->ear->breaker);
	return err;
}

#define BYTES_A_MS_GUESSED	4	/* of a file that does not tell how long it is */

/* A server that refused, or was not reached, has written nothing down; one that nobody waits for any more has. */
static enum hl_err
ask_and_pay(struct hearing *h, const struct recording *r)
{
	int64_t ms = r->duration_ms > 0 ? r->duration_ms : (int64_t)r->len / BYTES_A_MS_GUESSED;
	int64_t money = budget_hearing_money(h->ear->conf, ms);
	struct budget budget;
	enum hl_err err;

	if (!budget_buy_sound(h->ear->store, &r->bill, money, &budget))
		return fail(h, HL_TOO_MANY, "daily spend limit reached");
	err = ask(h);
	budget_settle_sound(h->ear->store, &r->bill, &budget, money, err == HL_OK || err == HL_CANCELLED);
	return err;
}

enum hl_err
ear_hear(struct ear *ear, const struct recording *r, struct buf *words, struct buf *problem)
{
	struct hearing h = { .ear = ear, .body = BUF_INIT(FORM_MAX), .words = words, .problem = problem };
	enum hl_err err;

	buf_reset(problem);
	buf_reset(words);
	if (!conf_hears(ear->conf))
		return fail(&h, HL_BUSY, "no server for speech is configured");
	h.deadline_ms = clock_mono_ms() + (r->timeout_ms > 0 ? r->timeout_ms : HEARING_TIMEOUT_MS);
	err = write_form(&h, r);
	if (err == HL_OK)
		err = ask_and_pay(&h, r);
	buf_free(&h.body);
	return err;
}

enum hl_err
ear_hear_samples(struct ear *ear, const struct bill *bill, const void *samples, size_t bytes, unsigned rate, int64_t timeout_ms,
    struct buf *words, struct buf *problem)
{
	struct recording r = { .container = CONTAINER_WAV, .bill = *bill, .duration_ms = (int64_t)(bytes / 2) * 1000 / rate,
		.timeout_ms = timeout_ms };
	struct buf file = BUF_INIT(FORM_MAX);
	unsigned char head[WAV_HEADER];
	enum hl_err err;

	wav_header(rate, (uint32_t)bytes, head);
	buf_add(&file, head, sizeof(head));
	buf_add(&file, samples, bytes);
	err = buf_err(&file);
	r.bytes = file.data;
	r.len = file.len;
	if (err == HL_OK)
		err = ear_hear(ear, &r, words, problem);
	buf_free(&file);
	return err;
}
