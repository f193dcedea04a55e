#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/str.h"

#define ENV_FILE_MAX	65536u

static const struct conf_entry entries[] = {
#define X(member, name, type, value, low, high, meaning) { name, type, value, low, high, meaning },
	CONF_SETTINGS(X)
#undef X
};

const struct conf_entry *
conf_entries(size_t *count)
{
	*count = sizeof(entries) / sizeof(entries[0]);
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

static const char *
setting_text(const struct conf_entry *e)
{
	const char *v = getenv(e->name);

	if ((v == NULL || *v == '\0') && old_name(e->name))
		v = getenv(old_name(e->name));
	return v && *v ? v : e->value;
}

static enum hl_err
wrong(struct buf *problem, const struct conf_entry *e, const char *given, const char *allowed)
{
	buf_printf(problem, "%s is \"%s\" (from the environment or .env): it must be %s.", e->name,
	    e->type == CONF_SECRET ? "(hidden)" : given, allowed);
	return HL_BAD_REQUEST;
}

static enum hl_err
parse_number(const struct conf_entry *e, const char *text, double *ret, struct buf *problem)
{
	char allowed[96], *end;

	errno = 0;
	*ret = strtod(text, &end);
	if (errno == 0 && end != text && *end == '\0' && isfinite(*ret) && *ret >= e->low && *ret <= e->high &&
	    (e->type != CONF_INT || (floor(*ret) == *ret && strspn(text, "0123456789") == strlen(text))))
		return HL_OK;
	snprintf(allowed, sizeof(allowed), "a %s from %.15g to %.15g", e->type == CONF_INT ? "whole number" : "number",
	    e->low, e->high);
	return wrong(problem, e, text, allowed);
}

static enum hl_err
parse_int(const struct conf_entry *e, int64_t *ret, struct buf *problem)
{
	double d;
	enum hl_err err = parse_number(e, setting_text(e), &d, problem);

	if (err == HL_OK)
		*ret = (int64_t)d;
	return err;
}

static enum hl_err
parse_switch(const struct conf_entry *e, bool *ret, struct buf *problem)
{
	static const char *const words[] = { "off", "on", "false", "true", "no", "yes", "0", "1" };
	const char *text = setting_text(e);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*ret = i % 2 == 1;
			return HL_OK;
		}
	return wrong(problem, e, text, "on or off");
}

static enum hl_err
parse_text(const struct conf_entry *e, char **store, const char **ret, struct buf *problem)
{
	const char *text = setting_text(e);
	size_t len;
	char allowed[96];

	if (e->type == CONF_URL && strcmp(text, "none") == 0)
		text = "";		/* said on purpose, so that nothing is looked for */
	len = strlen(text);
	if ((double)len < e->low || (double)len > e->high) {
		snprintf(allowed, sizeof(allowed), "%g to %g bytes long", e->low, e->high);
		return wrong(problem, e, len > 64 ? "too long" : text, allowed);
	}
	if (!utf8_valid(text, len))
		return wrong(problem, e, "not text", "UTF-8 text");
	if (e->type == CONF_URL && len && strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return wrong(problem, e, text, "an address that starts with https:// or http://");
	memcpy(*store, text, len + 1);
	*ret = *store;
	*store += len + 1;
	return HL_OK;
}

static size_t
storage_size(void)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		n += strlen(setting_text(&entries[i])) + 1;
	return n;
}

/* FRONTEND_URL: origins as a browser sends them, or a single star. */
static enum hl_err
check_origins(const char *list, struct buf *problem)
{
	const char *at = list;

	if (strcmp(list, "*") == 0)
		return HL_OK;
	while (*(at += strspn(at, ", \t"))) {
		size_t len = strcspn(at, ", \t"), scheme = strncmp(at, "https://", 8) == 0 ? 8 : strncmp(at, "http://", 7) == 0 ? 7 : 0;
		size_t host = scheme ? strcspn(at + scheme, "/?#@, \t") : 0;

		if (host == 0 || (scheme + host != len && !(scheme + host + 1 == len && at[len - 1] == '/'))) {
			buf_printf(problem, "FRONTEND_URL names \"%.*s\" (from the environment or .env): it must be *, or origins like "
			    "https://www.example.com separated by commas.", (int)(len < 80 ? len : 80), at);
			return HL_BAD_REQUEST;
		}
		at += len;
	}
	return HL_OK;
}

static enum hl_err
check_replicas(const char *number, struct buf *problem)
{
	if (number[strspn(number, "0123456789")] == '\0')
		return HL_OK;
	buf_printf(problem, "REDIS_REPLICAS is \"%s\" (from the environment or .env): it must be a whole number.", number);
	return HL_BAD_REQUEST;
}

static enum hl_err
check_word(const char *name, const char *value, const char *one, const char *other, struct buf *problem)
{
	if (strcmp(value, one) == 0 || strcmp(value, other) == 0)
		return HL_OK;
	buf_printf(problem, "%s is \"%s\": it must be %s or %s.", name, value, one, other);
	return HL_BAD_REQUEST;
}

static enum hl_err
check_livekit(const char *address, struct buf *problem)
{
	static const char *const schemes[] = { "wss://", "ws://", "https://", "http://" };
	size_t n;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		n = strlen(schemes[i]);
		if (strncmp(address, schemes[i], n) == 0 && address[n] && strpbrk(address + n, "@?# \t") == NULL)
			return HL_OK;
	}
	if (*address == '\0')
		return HL_OK;
	buf_printf(problem, "LIVEKIT_URL is \"%s\": it must be the address of a LiveKit server, like wss://livekit.example.com.",
	    address);
	return HL_BAD_REQUEST;
}

static enum hl_err
check_log_level(const char *name, struct buf *problem)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return HL_OK;
	buf_printf(problem, "LOG_LEVEL is \"%s\" (from the environment or .env): it must be error, warn, info or debug.", name);
	return HL_BAD_REQUEST;
}

static enum hl_err
check_sentiment(const char *where, struct buf *problem)
{
	if (strcmp(where, "desk") == 0 || strcmp(where, "all") == 0 || strcmp(where, "off") == 0)
		return HL_OK;
	buf_printf(problem, "ESCALATION_SENTIMENT is \"%s\" (from the environment or .env): it must be desk, all or off.", where);
	return HL_BAD_REQUEST;
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

static enum hl_err
check_files(const struct conf *conf, struct buf *problem)
{
	static const char known[] = "png,jpg,jpeg,gif,webp";
	const char *at = conf->file_types;
	int64_t bytes;

	if (!conf_size(conf->max_file_size, &bytes)) {
		buf_printf(problem, "MAX_FILE_SIZE is \"%s\" (from the environment or .env): it must be a size like 5MB, 512KB or "
		    "5242880 (bytes), at most 64MB.", conf->max_file_size);
		return HL_BAD_REQUEST;
	}
	while (*(at += strspn(at, ", \t"))) {
		size_t n = strcspn(at, ", \t");

		if (!conf_lists(known, at, n)) {
			buf_printf(problem, "ALLOWED_FILE_TYPES names \"%.*s\" (from the environment or .env): it must be a list of %s.",
			    (int)(n < 32 ? n : 32), at, known);
			return HL_BAD_REQUEST;
		}
		at += n;
	}
	return HL_OK;
}

/* What is too short could be guessed from any token that it signed. */
static enum hl_err
check_tokens(const struct conf *conf, struct buf *problem)
{
	const char *secrets[] = { conf->jwt_secret, conf->jwt_secret_previous };
	int64_t s;

	for (size_t i = 0; i < 2; i++)
		if (*secrets[i] && strlen(secrets[i]) < JWT_SECRET_MIN) {
			buf_printf(problem, "%s is too short (from the environment or .env): it must have %d bytes or more.",
			    i ? "JWT_SECRET_PREVIOUS" : "JWT_SECRET", JWT_SECRET_MIN);
			return HL_BAD_REQUEST;
		}
	if (conf_duration(conf->jwt_expires_in, &s))
		return HL_OK;
	buf_printf(problem, "JWT_EXPIRES_IN is \"%s\" (from the environment or .env): it must be a time like 7d, 24h, 30m or 900 "
	    "(seconds).", conf->jwt_expires_in);
	return HL_BAD_REQUEST;
}

#define PARSE_CONF_TEXT(m)	parse_text(e, &store, &conf->m, problem)
#define PARSE_CONF_SECRET(m)	parse_text(e, &store, &conf->m, problem)
#define PARSE_CONF_URL(m)	parse_text(e, &store, &conf->m, problem)
#define PARSE_CONF_INT(m)	parse_int(e, &conf->m, problem)
#define PARSE_CONF_REAL(m)	parse_number(e, setting_text(e), &conf->m, problem)
#define PARSE_CONF_SWITCH(m)	parse_switch(e, &conf->m, problem)

enum hl_err
conf_load(struct conf *conf, struct buf *problem)
{
	const struct conf_entry *e = entries;
	enum hl_err err;
	char *store;

	memset(conf, 0, sizeof(*conf));
	conf->storage = store = malloc(storage_size());
	if (store == NULL)
		return HL_NO_MEMORY;
#define X(member, name, type, value, low, high, meaning)	\
	err = PARSE_##type(member);				\
	if (err)						\
		goto out;					\
	e++;
	CONF_SETTINGS(X)
#undef X
	err = check_origins(conf->frontend_url, problem);
	if (err == HL_OK)
		err = check_replicas(conf->redis_replicas, problem);
	if (err == HL_OK)
		err = check_log_level(conf->log_level, problem);
	if (err == HL_OK)
		err = check_sentiment(conf->escalation_sentiment, problem);
	if (err == HL_OK)
		err = check_word("OPENAI_TTS_FORMAT", conf->tts_format, "mp3", "wav", problem);
	if (err == HL_OK)
		err = check_word("SPEECH_DELIVERY", conf->speech_delivery, "url", "base64", problem);
	if (err == HL_OK)
		err = check_livekit(conf->livekit_url, problem);
	if (err == HL_OK)
		err = check_files(conf, problem);
	if (err == HL_OK)
		err = check_tokens(conf, problem);
out:
	if (err)
		conf_free(conf);
	return err;
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
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]) && best > 0; i++) {
		size_t known = strlen(entries[i].name);

		d = known < NAME_MIN_LEN || known > NAME_MAX_LEN ? best : distance(name, len, entries[i].name, known);
		if (d < best) {
			best = d;
			found = entries[i].name;
		}
	}
	return best > 0 ? found : NULL;
}

/* ---- .env files ---- */

static bool
name_ok(const char *s, size_t len)
{
	if (len == 0 || (*s >= '0' && *s <= '9'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] != '_' && !(s[i] >= '0' && s[i] <= '9') && !((s[i] | 32) >= 'a' && (s[i] | 32) <= 'z'))
			return false;
	return true;
}

/* Takes off quotes or a trailing comment, in place.  Returns false if a quote is not closed. */
static bool
env_value(char *v)
{
	char *end;
	size_t len;

	if (*v == '"' || *v == '\'') {
		end = strrchr(v + 1, *v);
		if (end == NULL)
			return false;
		*end = '\0';
		memmove(v, v + 1, (size_t)(end - v));
		return true;
	}
	if ((end = strstr(v, " #")) != NULL || (end = strstr(v, "\t#")) != NULL)
		*end = '\0';
	len = strlen(v);
	while (len && (v[len - 1] == ' ' || v[len - 1] == '\t'))
		v[--len] = '\0';
	return true;
}

/* One line without its end.  Returns false if it cannot be understood. */
static bool
env_line(char *line)
{
	char *eq, *v;
	size_t len;

	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return true;
	if (strncmp(line, "export ", 7) == 0)
		line += 7 + strspn(line + 7, " ");
	if ((eq = strchr(line, '=')) == NULL)
		return false;
	len = (size_t)(eq - line);
	while (len && line[len - 1] == ' ')
		len--;
	if (!name_ok(line, len))
		return false;
	line[len] = '\0';
	v = eq + 1 + strspn(eq + 1, " \t");
	return env_value(v) && setenv(line, v, 0) == 0;
}

static enum hl_err
read_file(const char *path, struct buf *out, struct buf *problem)
{
	enum hl_err err = HL_OK;
	ssize_t n = 0;
	char *p;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		buf_printf(problem, "%s cannot be read: %s.", path, strerror(errno));
		return HL_BAD_REQUEST;
	}
	while ((p = buf_reserve(out, 4096)) != NULL && (n = read(fd, p, 4096)) > 0)
		buf_grow(out, (size_t)n);
	if (buf_err(out) || n < 0) {
		buf_printf(problem, "%s cannot be read, or is larger than %u bytes.", path, ENV_FILE_MAX);
		err = HL_BAD_REQUEST;
	}
	close(fd);
	return err;
}

enum hl_err
conf_load_file(const char *path, struct buf *problem)
{
	struct buf text = BUF_INIT(ENV_FILE_MAX);
	enum hl_err err = read_file(path, &text, problem);
	unsigned number = 1;
	char *line, *next;

	for (line = text.data; err == HL_OK && line && *line; line = next, number++) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		line[strcspn(line, "\r")] = '\0';
		if (!env_line(line)) {
			buf_printf(problem, "%s, line %u: expected NAME=VALUE.", path, number);
			err = HL_BAD_REQUEST;
		}
	}
	buf_free(&text);
	return err;
}
