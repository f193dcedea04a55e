#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/conf.h"
#include "base/str.h"

static const struct conf_entry entries[] = {
#define X(member, name, type, value, low, high, meaning) { name, type, value, low, high, meaning },
	CONF_SETTINGS(X)
#undef X
};
#define ENTRIES	(sizeof(entries) / sizeof(entries[0]))

const struct conf_entry *
conf_entries(size_t *count)
{
	*count = ENTRIES;
	return entries;
}

/* Names that existing installations use for the same thing. */
static const char *
old_name(const char *name)
{
	static const char *const names[][2] = { { "APP_ENV", "NODE_ENV" }, { "LIVEKIT_URL", "LIVEKIT_WS_URL" } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i][0]) == 0)
			return names[i][1];
	return NULL;
}

/* The value in force, and under which of its names it is set; its own if it is not. */
static const char *
setting_value(const struct conf_entry *e, const char **ret_name)
{
	const char *v = getenv(e->name);

	*ret_name = e->name;
	if ((v == NULL || *v == '\0') && old_name(e->name) && (v = getenv(old_name(e->name))) != NULL && *v)
		*ret_name = old_name(e->name);
	return v && *v ? v : NULL;
}

static const char *
setting_text(const struct conf_entry *e)
{
	const char *name, *v = setting_value(e, &name);

	return v ? v : e->value;
}

const char *
conf_value(const struct conf_entry *e, struct conf_origin *origin)
{
	const char *name, *v = setting_value(e, &name);

	if (v)
		conf_origin_of(name, v, origin);
	else
		*origin = (struct conf_origin){ .place = CONF_DEFAULT };
	return v ? v : e->value;
}

bool
conf_is_secret(const struct conf_entry *e, const char *value)
{
	if (e->type != CONF_SECRET || *value == '\0')
		return false;
	return strcmp(e->name, "REDIS_URL") != 0 || strchr(value, '@') != NULL;	/* an address alone is none */
}

const struct conf_entry *
conf_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (strncmp(entries[i].name, name, len) == 0 && entries[i].name[len] == '\0')
			return &entries[i];
	return NULL;
}

const struct conf_entry *
conf_find_any(const char *name)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (str_equal(old_name(entries[i].name), name))
			return &entries[i];
	return conf_find(name, strlen(name));
}

/* ---- what is wrong ---- */

struct loading {
	conf_tell	*tell;
	void		*arg;
	enum hl_err	 err;
};

#define TOLD_MAX	(2 * CONF_WHERE_MAX + 1024)

static void
tell(struct loading *l, const char *name, const char *where, const char *allowed, const char *sentence)
{
	const struct conf_wrong wrong = { name, where, allowed, sentence };

	l->err = HL_BAD_REQUEST;
	l->tell(&wrong, l->arg);
}

static void
place_of(const struct conf_entry *e, char *out, size_t size)
{
	struct conf_origin origin;

	(void)conf_value(e, &origin);
	conf_origin_text(&origin, out, size);
}

/* what: 'is "blue"', 'is too short' */
static void
refuse(struct loading *l, const char *name, const char *what, const char *allowed)
{
	char where[CONF_WHERE_MAX], sentence[TOLD_MAX];

	place_of(conf_find(name, strlen(name)), where, sizeof(where));
	snprintf(sentence, sizeof(sentence), "%s %s (%s): it must be %s.", name, what, where, allowed);
	tell(l, name, where, allowed, sentence);
}

static void
refuse_value(struct loading *l, const struct conf_entry *e, const char *given, const char *allowed)
{
	char what[160];

	snprintf(what, sizeof(what), "is \"%.*s%s\"", (int)utf8_cut(given, strlen(given), 80), e->type == CONF_SECRET ? "(hidden)" : given,
	    e->type != CONF_SECRET && strlen(given) > 80 ? "…" : "");
	refuse(l, e->name, what, allowed);
}

static void
contradict(struct loading *l, const char *name, const char *other, const char *why)
{
	char where[CONF_WHERE_MAX], there[CONF_WHERE_MAX], sentence[TOLD_MAX];

	place_of(conf_find(name, strlen(name)), where, sizeof(where));
	place_of(conf_find(other, strlen(other)), there, sizeof(there));
	snprintf(sentence, sizeof(sentence), "%s (%s) contradicts %s (%s): %s.", name, where, other, there, why);
	tell(l, name, where, why, sentence);
}

/* ---- one setting ---- */

static void
parse_number(struct loading *l, const struct conf_entry *e, double *ret)
{
	const char *text = setting_text(e);
	char allowed[96], *end;

	errno = 0;
	*ret = strtod(text, &end);
	if (errno == 0 && end != text && *end == '\0' && isfinite(*ret) && *ret >= e->low && *ret <= e->high &&
	    (e->type != CONF_INT || (floor(*ret) == *ret && strspn(text, "0123456789") == strlen(text))))
		return;
	snprintf(allowed, sizeof(allowed), "a %s from %.16g to %.16g", e->type == CONF_INT ? "whole number" : "number",
	    e->low, e->high);
	refuse_value(l, e, utf8_valid(text, strlen(text)) ? text : "not text", allowed);
	*ret = e->low;
}

static void
parse_int(struct loading *l, const struct conf_entry *e, int64_t *ret)
{
	double d;

	parse_number(l, e, &d);
	*ret = (int64_t)d;
}

static void
parse_switch(struct loading *l, const struct conf_entry *e, bool *ret)
{
	static const char *const words[] = { "off", "on", "false", "true", "no", "yes", "0", "1" };
	const char *text = setting_text(e);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*ret = i % 2 == 1;
			return;
		}
	refuse_value(l, e, utf8_valid(text, strlen(text)) ? text : "not text", "on or off");
}

static bool
has_host(const char *address)
{
	size_t scheme = strncmp(address, "http://", 7) == 0 ? 7 : strncmp(address, "https://", 8) == 0 ? 8 : 0;

	return scheme && address[scheme] && strchr("/:?#", address[scheme]) == NULL && strpbrk(address, " \t") == NULL;
}

/* What is wrong with it, or NULL; then *given is what to repeat of it. */
static const char *
text_allowed(const struct conf_entry *e, const char *text, char *room, size_t size, const char **given)
{
	size_t len = strlen(text);

	*given = text;
	if (!utf8_valid(text, len)) {
		*given = "not text";
		return "UTF-8 text";
	}
	if ((double)len < e->low || (double)len > e->high) {
		snprintf(room, size, "%g to %g bytes long", e->low, e->high);
		*given = len > 64 ? "too long" : text;
		return room;
	}
	if (e->type == CONF_URL && len && !has_host(text))
		return "an address that starts with https:// or http://, and has a host";
	return NULL;
}

static void
parse_text(struct loading *l, const struct conf_entry *e, char **store, const char **ret)
{
	const char *text = setting_text(e), *given, *allowed;
	char room[96];
	size_t len;

	if (e->type == CONF_URL && strcmp(text, "none") == 0)
		text = "";		/* said on purpose, so that nothing is looked for */
	allowed = text_allowed(e, text, room, sizeof(room), &given);
	if (allowed) {
		refuse_value(l, e, given, allowed);
		text = e->value;	/* so that the rest can be looked at */
	}
	len = strlen(text);
	memcpy(*store, text, len + 1);
	*ret = *store;
	*store += len + 1;
}

static size_t
storage_size(void)
{
	size_t n = 0;

	for (size_t i = 0; i < ENTRIES; i++)
		n += strlen(setting_text(&entries[i])) + strlen(entries[i].value) + 2;
	return n;
}

/* ---- rules of one setting that the table does not hold ---- */

/* FRONTEND_URL: origins as a browser sends them, or a single star. */
static void
check_origins(struct loading *l, const struct conf *conf)
{
	const char *at = conf->frontend_url;
	char what[128];

	if (strcmp(at, "*") == 0)
		return;
	while (*(at += strspn(at, ", \t"))) {
		size_t len = strcspn(at, ", \t"), scheme = strncmp(at, "https://", 8) == 0 ? 8 : strncmp(at, "http://", 7) == 0 ? 7 : 0;
		size_t host = scheme ? strcspn(at + scheme, "/?#@, \t") : 0;

		if (host == 0 || (scheme + host != len && !(scheme + host + 1 == len && at[len - 1] == '/'))) {
			snprintf(what, sizeof(what), "names \"%.*s\"", (int)utf8_cut(at, len, 80), at);
			refuse(l, "FRONTEND_URL", what, "*, or origins like https://www.example.com separated by commas");
			return;
		}
		at += len;
	}
}

static void
check_replicas(struct loading *l, const struct conf *conf)
{
	const char *number = conf->redis_replicas;

	if (number[strspn(number, "0123456789")])
		refuse_value(l, conf_find("REDIS_REPLICAS", 14), number, "a whole number");
}

/* One of some words: "mp3 or wav", "desk, all or off". */
static void
check_word(struct loading *l, const char *name, const char *value, const char *allowed)
{
	const char *at = allowed;
	size_t len = strlen(value), n;

	while (len && *at) {
		n = strcspn(at, ", ");
		if (n == len && strncmp(at, value, n) == 0 && strcmp(value, "or") != 0)
			return;
		at += n + strspn(at + n, ", ");
	}
	refuse_value(l, conf_find(name, strlen(name)), value, allowed);
}

static void
check_words(struct loading *l, const struct conf *conf)
{
	check_word(l, "LOG_LEVEL", conf->log_level, "error, warn, info or debug");
	check_word(l, "ESCALATION_SENTIMENT", conf->escalation_sentiment, "desk, all or off");
	check_word(l, "OPENAI_TTS_FORMAT", conf->tts_format, "mp3 or wav");
	check_word(l, "SPEECH_DELIVERY", conf->speech_delivery, "url or base64");
}

static void
check_livekit(struct loading *l, const struct conf *conf)
{
	static const char *const schemes[] = { "wss://", "ws://", "https://", "http://" };
	const char *address = conf->livekit_url;
	size_t n;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		n = strlen(schemes[i]);
		if (strncmp(address, schemes[i], n) == 0 && address[n] && strpbrk(address + n, "@?# \t") == NULL)
			return;
	}
	if (*address)	/* it may have a password in it, at the wrong place */
		refuse(l, "LIVEKIT_URL", strchr(address, '@') ? "has an @ in it" : "is no such address",
		    "the address of a LiveKit server, like wss://livekit.example.com");
}

bool
conf_duration(const char *text, int64_t *ret_s)
{
	static const struct { char unit; int64_t s; } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t digits = strspn(text, "0123456789");
	int64_t unit = text[digits] == '\0' ? 1 : 0;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text[digits] == units[i].unit && text[digits + 1] == '\0')
			unit = units[i].s;
	if (digits == 0 || digits > 9 || unit == 0)
		return false;
	*ret_s = strtoll(text, NULL, 10) * unit;
	return *ret_s > 0 && *ret_s <= 10 * 366 * INT64_C(86400);
}

bool
conf_size(const char *text, int64_t *ret)
{
	static const struct { const char *unit; int64_t bytes; } units[] = {
		{ "", 1 }, { "b", 1 }, { "k", 1024 }, { "kb", 1024 }, { "m", 1048576 }, { "mb", 1048576 } };
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits + strspn(text + digits, " ");

	*ret = 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && digits > 0 && digits <= 9; i++)
		if (strcasecmp(unit, units[i].unit) == 0)
			*ret = strtoll(text, NULL, 10) * units[i].bytes;
	return *ret > 0 && *ret <= CONF_SIZE_MAX;
}

bool
conf_spend(const char *text, bool *ret_money, int64_t *ret_most)
{
	size_t digits = strspn(text, "0123456789"), len = digits;
	const char *unit;

	if (text[len] == '.')
		len += 1 + strspn(text + len + 1, "0123456789");
	unit = text + len + strspn(text + len, " ");
	*ret_money = *unit == '\0';
	if (digits == 0 || len > 12 || !(*ret_money || (len == digits && (strcmp(unit, "tokens") == 0 || strcmp(unit, "token") == 0))))
		return false;
	*ret_most = (int64_t)(strtod(text, NULL) * (*ret_money ? 1e6 : 1) + 0.5);
	return true;
}

bool
conf_lists(const char *list, const char *word, size_t len)
{
	while (*(list += strspn(list, ", \t"))) {
		size_t n = strcspn(list, ", \t");

		if (n == len && strncasecmp(list, word, n) == 0)
			return true;
		list += n;
	}
	return false;
}

static void
check_files(struct loading *l, const struct conf *conf)
{
	static const char known[] = "png,jpg,jpeg,gif,webp";
	const char *at = conf->file_types;
	char what[64];
	int64_t bytes;

	if (!conf_size(conf->max_file_size, &bytes))
		refuse_value(l, conf_find("MAX_FILE_SIZE", 13), conf->max_file_size,
		    "a size like 5MB, 512KB or 5242880 (bytes), at most 64MB");
	while (*(at += strspn(at, ", \t"))) {
		size_t n = strcspn(at, ", \t");

		if (!conf_lists(known, at, n)) {
			snprintf(what, sizeof(what), "names \"%.*s\"", (int)utf8_cut(at, n, 32), at);
			refuse(l, "ALLOWED_FILE_TYPES", what, "a list of png,jpg,jpeg,gif,webp");
			return;
		}
		at += n;
	}
}

static void
check_spending(struct loading *l, const struct conf *conf)
{
	const char *given[] = { conf->daily_spend_limit, conf->public_spend_limit };
	static const char *const names[] = { "DAILY_SPEND_LIMIT", "PUBLIC_SPEND_LIMIT" };
	int64_t most;
	bool money;

	for (size_t i = 0; i < 2; i++)
		if (*given[i] && !conf_spend(given[i], &money, &most))
			refuse_value(l, conf_find(names[i], strlen(names[i])), given[i], "tokens like 200000tokens, or money like 5.00");
}

static bool
is_redis_address(const char *a)
{
	const char *user = strrchr(a, '@'), *port;
	size_t n;

	if (strncmp(a, "unix:///", 8) == 0)
		return a[8];
	if (strncmp(a, "redis://", 8) != 0)
		return false;
	a = user ? user + 1 : a + 8;
	port = a + strcspn(a, *a == '[' ? "]" : ":/");
	if (port == a || (*a == '[' && *port++ == '\0'))
		return false;
	if (*port == ':') {
		n = strspn(++port, "0123456789");
		if (n > 5 || atoi(port) < 1 || atoi(port) > 65535)
			return false;
		port += n;
	}
	return *port == '\0' || (*port == '/' && port[strspn(port, "/0123456789")] == '\0');
}

/* It may have a password in it. */
static void
check_redis(struct loading *l, const struct conf *conf)
{
	if (*conf->redis_url && !is_redis_address(conf->redis_url))
		refuse(l, "REDIS_URL", "is no such address", strncmp(conf->redis_url, "rediss:", 7) == 0 ?
		    "redis://[user:password@]host[:port][/db] or unix:///path; for TLS (rediss://) the address of a stunnel" :
		    "redis://[user:password@]host[:port][/db] or unix:///path");
}

/* What is too short could be guessed from any token that it signed. */
static void
check_tokens(struct loading *l, const struct conf *conf)
{
	const char *secrets[] = { conf->jwt_secret, conf->jwt_secret_previous };
	static const char *const names[] = { "JWT_SECRET", "JWT_SECRET_PREVIOUS" };
	char allowed[64];
	int64_t s;

	snprintf(allowed, sizeof(allowed), "%d bytes or more", JWT_SECRET_MIN);
	for (size_t i = 0; i < 2; i++)
		if (*secrets[i] && strlen(secrets[i]) < JWT_SECRET_MIN)
			refuse(l, names[i], "is too short", allowed);
	snprintf(allowed, sizeof(allowed), "%d bytes or more", METRICS_TOKEN_MIN);
	if (*conf->metrics_token && strlen(conf->metrics_token) < METRICS_TOKEN_MIN)
		refuse(l, "METRICS_TOKEN", "is too short", allowed);
	if (!conf_duration(conf->jwt_expires_in, &s))
		refuse_value(l, conf_find("JWT_EXPIRES_IN", 14), conf->jwt_expires_in, "a time like 7d, 24h, 30m or 900 (seconds)");
}

/* What one says and another takes back. */
static void
check_contradictions(struct loading *l, const struct conf *conf)
{
	struct conf_origin origin;

	if ((*conf->fallback_key || *conf->fallback_url) && *conf->gemini_key)
		contradict(l, "GEMINI_API_KEY", *conf->fallback_key ? "FALLBACK_API_KEY" : "FALLBACK_BASE_URL",
		    "both name the second model server; set one of them");
	if (*conf->speech_key && *conf->speech_url == '\0')
		contradict(l, "SPEECH_API_KEY", "SPEECH_BASE_URL", "it is the key of that server, and none is set");
	(void)conf_value(conf_find("AUDIO_CACHE_SIZE", 16), &origin);
	if (origin.place != CONF_DEFAULT && conf->audio_cache > conf->max_audio)
		contradict(l, "AUDIO_CACHE_SIZE", "MAX_AUDIO_BYTES", "the cache is a part of what that allows for all sounds");
	if (*conf->jwt_secret && strcmp(conf->jwt_secret, conf->jwt_secret_previous) == 0)
		contradict(l, "JWT_SECRET_PREVIOUS", "JWT_SECRET", "they are the same; leave the previous one out");
}

#define PARSE_CONF_TEXT(m)	parse_text(&l, e, &store, &conf->m)
#define PARSE_CONF_SECRET(m)	parse_text(&l, e, &store, &conf->m)
#define PARSE_CONF_URL(m)	parse_text(&l, e, &store, &conf->m)
#define PARSE_CONF_INT(m)	parse_int(&l, e, &conf->m)
#define PARSE_CONF_REAL(m)	parse_number(&l, e, &conf->m)
#define PARSE_CONF_SWITCH(m)	parse_switch(&l, e, &conf->m)

enum hl_err
conf_check(struct conf *conf, conf_tell *tell_one, void *arg)
{
	static void (*const rules[])(struct loading *, const struct conf *) = {
		check_origins, check_replicas, check_words, check_livekit, check_files, check_spending, check_redis, check_tokens,
		check_contradictions };
	struct loading l = { .tell = tell_one, .arg = arg };
	const struct conf_entry *e = entries;
	const char *file = getenv("HELPLINE_CONFIG");
	char *store;

	memset(conf, 0, sizeof(*conf));
	l.err = conf_read_credentials(tell_one, arg);
	if (file && *file && l.err != HL_NO_MEMORY) {
		enum hl_err err = conf_read_file(file, true, tell_one, arg);

		l.err = err ? err : l.err;
	}
	if (l.err == HL_NO_MEMORY)
		return l.err;
	conf->storage = store = malloc(storage_size());
	if (store == NULL)
		return HL_NO_MEMORY;
#define X(member, name, type, value, low, high, meaning)	\
	PARSE_##type(member);					\
	e++;
	CONF_SETTINGS(X)
#undef X
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		rules[i](&l, conf);
	if (l.err)
		conf_free(conf);
	return l.err;
}

/* A line for each. */
void
conf_tell_text(const struct conf_wrong *wrong, void *arg)
{
	struct buf *problem = arg;

	if (problem->len)
		buf_putc(problem, '\n');
	buf_puts(problem, wrong->sentence);
}

enum hl_err
conf_load(struct conf *conf, struct buf *problem)
{
	return conf_check(conf, conf_tell_text, problem);
}

void
conf_free(struct conf *conf)
{
	free(conf->storage);
	conf->storage = NULL;
}

bool
conf_has_model(const struct conf *c)
{
	return *c->openai_key || *c->openai_url || *c->fallback_key || *c->fallback_url || *c->gemini_key;
}

const char *
conf_speech_url(const struct conf *c)
{
	if (*c->speech_url)
		return c->speech_url;
	if (*c->openai_url)
		return c->openai_url;
	return *c->openai_key ? "https://api.openai.com/v1" : "";
}

const char *
conf_speech_key(const struct conf *c)
{
	return *c->speech_url ? c->speech_key : c->openai_key;
}

bool
conf_speaks(const struct conf *c)
{
	return *conf_speech_url(c) && *c->tts_model && strcmp(c->tts_model, "none") != 0;
}

bool
conf_hears(const struct conf *c)
{
	return *conf_speech_url(c) && strcmp(c->stt_model, "none") != 0;
}

/* ---- misspelt names ---- */

#define NAME_MAX_LEN	40u
#define NAME_MIN_LEN	8u	/* shorter names are alike by chance */
#define WRONG_MAX	2u

/* Levenshtein's distance; both no longer than NAME_MAX_LEN. */
static size_t
distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t row[NAME_MAX_LEN + 1], left, up;

	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		left = row[0];
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			up = row[j];
			row[j] = left + (a[i - 1] != b[j - 1]);
			if (up + 1 < row[j])
				row[j] = up + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			left = up;
		}
	}
	return row[nb];
}

const char *
conf_misspelt(const char *name, size_t len)
{
	size_t best = WRONG_MAX + 1, d;
	const char *found = NULL;

	if (len < NAME_MIN_LEN || len > NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < ENTRIES && best > 0; i++) {
		size_t known = strlen(entries[i].name);

		d = known < NAME_MIN_LEN || known > NAME_MAX_LEN ? best : distance(name, len, entries[i].name, known);
		if (d < best) {
			best = d;
			found = entries[i].name;
		}
	}
	return best > 0 ? found : NULL;
}
