#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/trace.h"
#include "engine/speech_parts.h"
#include "loop/task.h"

#define OFF_MS		600000		/* a server that has no speech is left alone */
#define OFF_SHORT_MS	5000		/* one that has failed several times in a row */
#define FAILURES_MAX	4
#define TEND_MS		60000
#define TOTAL_MS	120000		/* of one piece */
#define SILENCE_MS	15000
#define RETRY_MS	200

/* ---- the speaker ---- */

static enum hl_err
set_server(struct speaker *k)
{
	const char *base = conf_speech_url(k->conf), *key = conf_speech_key(k->conf);
	size_t path = strcspn(base, "?#"), n = path;

	while (n && base[n - 1] == '/')
		n--;
	if (asprintf(&k->url, "%.*s/audio/speech%s", (int)n, base, base + path) < 0) {
		k->url = NULL;
		return HL_NO_MEMORY;
	}
	key += strspn(key, " \t\r\n");
	if (*key && asprintf(&k->authorization, "Authorization: Bearer %.*s", (int)strcspn(key, " \t\r\n"), key) < 0) {
		k->authorization = NULL;
		return HL_NO_MEMORY;
	}
	return HL_OK;
}

enum hl_err
speaker_new(uv_loop_t *loop, struct store *store, struct http *http, void (*idle)(void *), void *arg, struct speaker **ret)
{
	const struct conf *conf = store->conf;
	struct speaker *k = calloc(1, sizeof(*k));
	enum hl_err err = HL_OK;

	*ret = NULL;
	if (k == NULL)
		return HL_NO_MEMORY;
	*k = (struct speaker){ .loop = loop, .store = store, .conf = conf, .crypto = store->crypto, .http = http, .idle = idle,
		.idle_arg = arg };
	(void)sound_format_parse(conf->tts_format, &k->format);
	if (conf_speaks(conf))
		err = set_server(k);
	if (err) {
		speaker_free(k);
		return err;
	}
	*ret = k;
	return HL_OK;
}

void
speaker_free(struct speaker *k)
{
	if (k == NULL)
		return;
	shelf_close(k->shelf);
	free(k->url);
	free(k->authorization);
	free(k);
}

bool
speaker_ready(const struct speaker *k)
{
	return k->url && (!k->shelf_tried || (k->shelf && !shelf_full(k->shelf))) && clock_mono_ms() >= k->off_until_ms;
}

int64_t
speaker_pause_ms(const struct speaker *k)
{
	int64_t left = k->off_until_ms - clock_mono_ms();

	return left > 0 ? left : 0;
}

size_t
speaker_busy(const struct speaker *k)
{
	return k->busy;
}

const char *
speaker_type(const struct speaker *k)
{
	return sound_format_type(k->format);
}

struct opening { struct speaker *k; int failure; };

static void
open_shelf(void *arg)
{
	struct opening *o = arg;
	const struct conf *c = o->k->conf;

	if (shelf_open(c->audio_path, c->audio_cache, c->max_audio, &o->k->shelf) != HL_OK)
		o->failure = errno;
}

/* The first one who needs it opens it; the others wait for him in the pool's turn. */
struct shelf *
speaker_shelf(struct speaker *k)
{
	struct lane_user mine;
	struct opening o = { .k = k };

	if (k->shelf_tried)
		return k->shelf;
	if (lane_enter(&k->lanes, "", 1, &mine) != HL_OK)
		return NULL;
	if (!k->shelf_tried && task_work(open_shelf, &o) == HL_OK) {
		k->shelf_tried = true;
		if (k->shelf == NULL)
			log_line(LOG_LEVEL_ERROR, "audio_path", "problem", strerror(o.failure), NULL);
	}
	lane_leave(&k->lanes, &mine);
	return k->shelf;
}

void
speaker_task_ends(struct speaker *k)
{
	if (--k->busy == 0 && k->idle)
		k->idle(k->idle_arg);
}

static void
tend(void *arg)
{
	shelf_tend(arg);
}

static void
tend_shelf(void *arg)
{
	struct speaker *k = arg;

	if (speaker_shelf(k))
		(void)!task_work(tend, k->shelf);
	k->tending = false;
	speaker_task_ends(k);
}

void
speaker_tend(struct speaker *k)
{
	int64_t now = clock_mono_ms();

	if (k->tending || k->url == NULL || (k->tended_ms && now - k->tended_ms < TEND_MS &&
	    !(k->shelf && shelf_wants_tending(k->shelf))))
		return;
	k->tended_ms = now;
	k->tending = true;
	k->busy++;
	if (task_start(k->loop, tend_shelf, k) != HL_OK) {
		k->tending = false;
		k->busy--;
	}
}

/* ---- names ---- */

void
speech_url(const struct speaker *k, const char *message_id, char out[SPEECH_URL_MAX])
{
	char name[CRYPTO_NAME_LEN + 1];

	crypto_name(k->crypto, "speech", message_id, strlen(message_id), name);
	snprintf(out, SPEECH_URL_MAX, SPEECH_URL_PLACE "%s.%s", name, sound_format_name(k->format));
}

const char *
speech_file(const char *url)
{
	const char *file = url + sizeof(SPEECH_URL_PLACE) - 1;
	enum sound_format format;

	if (strncmp(url, SPEECH_URL_PLACE, sizeof(SPEECH_URL_PLACE) - 1) != 0)
		return NULL;
	if (strspn(file, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != SHELF_NAME_LEN)
		return NULL;
	return file[SHELF_NAME_LEN] == '.' && sound_format_parse(file + SHELF_NAME_LEN + 1, &format) ? file : NULL;
}

/* What was said, how: a name that tells nothing of it. */
static void
key_of(const struct speaker *k, enum sound_format format, const char *voice, const struct buf *words,
    char out[SHELF_FILE_MAX])
{
	struct buf all = BUF_INIT(SPEECH_WORDS_MAX);
	char name[CRYPTO_NAME_LEN + 1];

	buf_printf(&all, "%s\n%s\n%s\n%s\n", k->url, k->conf->tts_model, voice, sound_format_name(format));
	buf_add(&all, words->data, words->len);
	crypto_name(k->crypto, "sound", all.data ? all.data : "", all.len, name);
	snprintf(out, SHELF_FILE_MAX, "%s.%s", name, sound_format_name(format));
	buf_free(&all);
}

/* ---- one piece ---- */

/* Under way. */
struct saying {
	struct speaker		*k;
	enum sound_format	 format;
	const char		*voice;
	int64_t			 patience_ms;	/* 0: the usual one */
	const struct buf	*words;
	enum hl_err		(*sound)(void *arg, const void *, size_t);
	void			*arg;
	struct buf		 bytes;		/* of the sound, for the cache */
	size_t			 given;
	bool			 again;		/* another request may help */
	bool			 theirs;	/* what failed is the server */
};

/* Hands on what has come. */
static enum hl_err
give(struct saying *s)
{
	size_t from = s->given;

	s->given = s->bytes.len;
	if (s->given == from)
		return HL_OK;
	return s->sound(s->arg, s->bytes.data + from, s->given - from);
}

static bool
is_page(const char *type)
{
	return strncmp(type, "text/", 5) == 0 || strstr(type, "json") || strstr(type, "html") || strstr(type, "xml");
}

static enum hl_err
read_sound(struct saying *s, struct http_stream *stream)
{
	enum hl_err err = HL_OK;
	struct joint joint;
	const char *data;
	size_t len;

	joint_init(&joint, s->format, false);
	for (;;) {
		err = http_read(stream, &data, &len);
		if (err) {
			s->theirs = err != HL_CANCELLED;
			break;
		}
		err = len ? joint_feed(&joint, data, len, &s->bytes) : joint_end(&joint, &s->bytes);
		if (err) {
			s->theirs = true;
			break;
		}
		err = give(s);
		if (err || len == 0)
			break;
	}
	joint_free(&joint);
	return err;
}

static enum hl_err
refused(struct saying *s, int status)
{
	s->theirs = true;
	s->again = status >= 500 || status == 429 || status == 408;
	if (status == 404 || status == 405 || status == 501) {
		s->k->off_until_ms = clock_mono_ms() + OFF_MS;
		s->again = false;
	}
	return HL_UPSTREAM;
}

static enum metric_outcome
sound_outcome(enum hl_err err, const struct http_stream *stream)
{
	if (err == HL_OK)
		return M_END_OK;
	if (err == HL_CANCELLED || err == HL_TIMEOUT)
		return err == HL_TIMEOUT ? M_END_TIMEOUT : M_END_CANCELLED;
	return stream && http_status(stream) / 100 != 2 ? metrics_outcome_of(http_status(stream)) : M_END_BROKEN;
}

static enum hl_err
request_sound(struct saying *s)
{
	const char *headers[6] = { "Content-Type: application/json", "Accept: audio/*" };
	char trace[TRACE_HEADER_MAX];
	int64_t began_us = clock_mono_us();
	size_t n = 2;
	struct buf body = BUF_INIT(SPEECH_WORDS_MAX);
	struct http_stream *stream = NULL;
	enum hl_err err;

	if (s->k->authorization)
		headers[n++] = s->k->authorization;
	if (trace_header(trace))
		headers[n++] = trace;
	headers[n] = trace_state_header();
	buf_puts(&body, "{\"model\":");
	buf_json_str(&body, s->k->conf->tts_model);
	buf_puts(&body, ",\"input\":");
	buf_json(&body, s->words->data, s->words->len);
	buf_puts(&body, ",\"voice\":");
	buf_json_str(&body, s->voice);
	buf_printf(&body, ",\"response_format\":\"%s\"}", sound_format_name(s->format));
	err = buf_err(&body);
	if (err == HL_OK) {
		struct http_request r = { .method = "POST", .url = s->k->url, .headers = headers, .body = body.data,
			.body_len = body.len, .total_ms = TOTAL_MS, .idle_ms = s->patience_ms ? s->patience_ms : SILENCE_MS, .max_body = SPEECH_BYTES_MAX };

		err = http_open(s->k->http, &r, &stream);
		s->theirs = s->again = err == HL_UPSTREAM || err == HL_TIMEOUT;
	}
	if (err == HL_OK && (http_status(stream) < 200 || http_status(stream) > 299))
		err = refused(s, http_status(stream));
	else if (err == HL_OK && is_page(http_content_type(stream))) {
		s->theirs = true;
		err = HL_UPSTREAM;
	} else if (err == HL_OK)
		err = read_sound(s, stream);
	metrics_upstream(M_BY_SPEECH, sound_outcome(err, stream), clock_mono_us() - began_us);
	http_close(stream);
	buf_free(&body);
	return err;
}

/* A server that fails each time is not asked for a while: nobody waits for it, but each answer would ask it twice. */
static void
tell_server(struct saying *s, enum hl_err err)
{
	if (err == HL_OK)
		s->k->failures = 0;
	else if (s->theirs && ++s->k->failures >= FAILURES_MAX && s->k->off_until_ms < clock_mono_ms()) {
		s->k->off_until_ms = clock_mono_ms() + OFF_SHORT_MS;
		s->k->failures = 0;
	}
}

struct shelving { struct shelf *shelf; const char *key; char *bytes; size_t len; bool found; };

static void
look_up(void *arg)
{
	struct shelving *v = arg;

	v->found = shelf_piece(v->shelf, v->key, &v->bytes, &v->len) == HL_OK;
}

static void
keep(void *arg)
{
	struct shelving *v = arg;

	shelf_keep(v->shelf, v->key, v->bytes, v->len);
}

static enum hl_err
make_piece(struct saying *s, struct shelf *shelf, const char *key)
{
	enum hl_err err = request_sound(s);

	if (err && s->again && s->given == 0 && !(s->patience_ms && err == HL_TIMEOUT) && task_sleep(RETRY_MS) == HL_OK) {
		s->theirs = s->again = false;
		buf_reset(&s->bytes);
		err = request_sound(s);
	}
	tell_server(s, err);
	if (err == HL_OK) {
		struct shelving v = { .shelf = shelf, .key = key, .bytes = s->bytes.data, .len = s->bytes.len };

		err = task_work(keep, &v);
	}
	return err;
}

static enum hl_err
buy_piece(struct saying *s, const struct bill *bill, struct shelf *shelf, const char *key)
{
	int64_t money = budget_speech_money(s->k->conf, s->words->data, s->words->len);
	struct budget budget;
	enum hl_err err;

	if (!budget_buy_sound(s->k->store, bill, money, &budget))
		return HL_TOO_MANY;
	err = make_piece(s, shelf, key);
	budget_settle_sound(s->k->store, bill, &budget, money, s->bytes.len > 0 || err == HL_CANCELLED);	/* it was asked for */
	return err;
}

enum hl_err
speaker_say(struct speaker *k, const struct bill *bill, enum sound_format format, const char *voice, int64_t patience_ms,
    const struct buf *words,
    enum hl_err (*sound)(void *, const void *, size_t), void *arg, char key_file[SHELF_FILE_MAX])
{
	struct saying s = { .k = k, .format = format, .patience_ms = patience_ms, .words = words, .sound = sound, .arg = arg,
		.bytes = BUF_INIT(SPEECH_BYTES_MAX) };
	char key[SHELF_FILE_MAX];
	struct shelving v = { .key = key };
	struct lane_user mine;
	enum hl_err err;

	s.voice = voice && *voice ? voice : k->conf->tts_voice;
	if (!speaker_ready(k))
		return HL_BUSY;
	v.shelf = speaker_shelf(k);
	if (v.shelf == NULL)
		return HL_BUSY;
	key_of(k, format, s.voice, words, key);
	if (key_file)
		memcpy(key_file, key, sizeof(key));
	err = lane_enter(&k->lanes, key, 1, &mine);
	if (err)
		return err;
	err = task_work(look_up, &v);
	if (err == HL_OK && v.found)
		err = sound(arg, v.bytes, v.len);
	else if (err == HL_OK)
		err = buy_piece(&s, bill, v.shelf, key);
	lane_leave(&k->lanes, &mine);
	free(v.bytes);
	buf_free(&s.bytes);
	return err;
}
