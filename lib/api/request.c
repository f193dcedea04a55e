#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/request.h"
#include "base/gzip.h"
#include "base/str.h"


enum hl_err
call_fail(struct call *call, enum hl_err err, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	buf_reset(&call->problem);
	buf_puts(&call->problem, text);
	return err;
}

enum hl_err
call_wrong_field(struct call *call, const char *name, const char *sentence)
{
	if (call->fields.len)
		buf_putc(&call->fields, ',');
	buf_json_str(&call->fields, name);
	buf_putc(&call->fields, ':');
	buf_json_str(&call->fields, sentence);
	if (call->problem.len == 0)
		buf_puts(&call->problem, sentence);
	return HL_BAD_REQUEST;
}

enum hl_err
call_session_error(struct call *call, enum hl_err err)
{
	switch (err) {
	case HL_NOT_FOUND:
		return call_fail(call, err, "Session not found");
	case HL_FORBIDDEN:
		return call_fail(call, err, "This session belongs to another user");
	case HL_TOO_LARGE:
		return call_fail(call, err, "This conversation is full; start a new session");
	case HL_UNPROCESSABLE:
		return call_fail(call, err, "This clientMessageId or Idempotency-Key was used for another message");
	default:
		return err;
	}
}

enum hl_err
call_conversation_error(struct call *call, enum hl_err err)
{
	if (err == HL_NOT_FOUND)
		return call_fail(call, err, "There is no such conversation");
	return call_session_error(call, err);
}

/* A body without a type is taken for JSON in UTF-8; one that says it is something else is not. */
static bool
is_json(const char *type)
{
	const char *charset;
	size_t n;

	if (type == NULL || *type == '\0')
		return true;
	charset = strcasestr(type, "charset=");
	if (charset && strncasecmp(charset + 8 + (charset[8] == '"'), "utf-8", 5) != 0 &&
	    strncasecmp(charset + 8 + (charset[8] == '"'), "utf8", 4) != 0)
		return false;
	n = strcspn(type, "; \t");
	return (n == 16 && strncasecmp(type, "application/json", n) == 0) ||
	    (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

enum hl_err
request_json(struct call *call, size_t max)
{
	size_t len;
	const char *text = fcgi_body(call->fcgi, &len), *coding = fcgi_param(call->fcgi, "HTTP_CONTENT_ENCODING");
	enum hl_err err;

	if (!is_json(fcgi_param(call->fcgi, "CONTENT_TYPE")))
		return call_fail(call, HL_MEDIA_TYPE, "The body must be sent as application/json");
	if (coding && *coding && strcasecmp(coding, "identity") != 0)
		return call_fail(call, HL_MEDIA_TYPE, "The body must be sent as it is, without a Content-Encoding");
	if (len > max)
		return call_fail(call, HL_TOO_LARGE, "The body is larger than %zu bytes", max);
	if (fcgi_body_cut(call->fcgi))
		return call_fail(call, HL_BAD_REQUEST, "The body is shorter than announced");
	err = len > 0 ? json_parse(text, len, &call->body) : json_parse("{}", 2, &call->body);	/* nothing says nothing */
	if (err == HL_BAD_JSON)
		return call_fail(call, HL_BAD_JSON, "The body is not valid JSON: UTF-8, at most %d levels deep and %d values, no member "
		    "twice, no \\u0000 and no half surrogate pairs", JSON_MAX_DEPTH, JSON_MAX_NODES);
	if (err)
		return err;
	if (json_kind(call->body) != JSON_OBJECT)
		return call_fail(call, HL_BAD_REQUEST, "The body must be a JSON object");
	return HL_OK;
}

void
request_drop_body(struct call *call)
{
	json_free(call->body);
	call->body = NULL;
}

static enum hl_err
check_field(struct call *call, const struct json *object, const struct text_field *f, bool *missing)
{
	const struct json *v = json_get(object, f->name);
	size_t len = 0;

	*f->text = NULL;
	if (f->len)
		*f->len = 0;
	if (json_kind(v) != JSON_NONE && json_kind(v) != JSON_NULL && json_kind(v) != JSON_STRING)
		return call_fail(call, HL_BAD_REQUEST, "%s must be a string", f->name);
	*f->text = json_string(v, &len);
	if (*f->text && str_blank(*f->text, len))
		*f->text = NULL;
	if (*f->text == NULL) {
		*missing = *missing || f->required;
		return HL_OK;
	}
	if (len > f->max)
		return call_fail(call, f->too_long, "%s is longer than %zu bytes", f->name, f->max);
	if (f->len)
		*f->len = len;
	return HL_OK;
}

enum hl_err
request_fields(struct call *call, const struct json *object, const struct text_field *fields, size_t count,
    const char *sentence)
{
	bool missing = false;
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < count && err == HL_OK; i++)
		err = check_field(call, object, &fields[i], &missing);
	if (err == HL_OK && missing)
		err = call_fail(call, HL_BAD_REQUEST, "%s", sentence);
	return err;
}

enum hl_err
request_header(struct call *call, const char *param, const char *human, size_t max, const char **ret)
{
	const char *v = fcgi_param(call->fcgi, param);

	*ret = v && *v ? v : NULL;
	if (*ret == NULL)
		return HL_OK;
	if (strlen(v) > max || !utf8_valid(v, strlen(v)))
		return call_fail(call, HL_BAD_REQUEST, "%s must be at most %zu bytes of text", human, max);
	return HL_OK;
}

enum hl_err
request_once(struct call *call, char ret[REQUEST_ONCE_MAX], bool *ret_keyed)
{
	char name[CRYPTO_NAME_LEN + 1];
	const char *key;
	enum hl_err err = request_header(call, "HTTP_IDEMPOTENCY_KEY", "Idempotency-Key", REQUEST_KEY_MAX, &key);

	*ret_keyed = err == HL_OK && key;
	if (*ret_keyed) {
		crypto_name(call->app->crypto, "idempotency", key, strlen(key), name);
		snprintf(ret, REQUEST_ONCE_MAX, "key %s", name);
	} else {
		snprintf(ret, REQUEST_ONCE_MAX, "%s", call->request_id);
	}
	return err;
}

/* The value of a parameter of the query string, as it came; false if it is absent. */
static bool
find_parameter(const struct call *call, const char *name, const char **ret, size_t *ret_len)
{
	const char *at = fcgi_param(call->fcgi, "QUERY_STRING");
	size_t n = strlen(name), len;

	for (; at && *at; at += len + (at[len] == '&')) {
		len = strcspn(at, "&");
		if (len <= n || strncmp(at, name, n) != 0 || at[n] != '=')
			continue;
		*ret = at + n + 1;
		*ret_len = len - n - 1;
		return true;
	}
	return false;
}

enum hl_err
request_query(struct call *call, const char *name, char *ret, size_t size)
{
	const char *at;
	size_t len;

	*ret = '\0';
	if (!find_parameter(call, name, &at, &len))
		return HL_OK;
	if (len >= size || strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") < len)
		return call_fail(call, HL_BAD_REQUEST, "%s must be a word", name);
	memcpy(ret, at, len);
	ret[len] = '\0';
	return HL_OK;
}

/* False: a percent sign without two hexadecimal digits. */
static bool
percent_decode(const char *at, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len; i++) {
		char hex[3] = { 0 };

		if (at[i] != '%') {
			buf_putc(out, at[i] == '+' ? ' ' : at[i]);
			continue;
		}
		if (len - i < 3 || !isxdigit((unsigned char)at[i + 1]) || !isxdigit((unsigned char)at[i + 2]))
			return false;
		memcpy(hex, at + i + 1, 2);
		buf_putc(out, (char)strtol(hex, NULL, 16));
		i += 2;
	}
	return true;
}

enum hl_err
request_query_text(struct call *call, const char *name, size_t max, struct buf *ret)
{
	const char *at;
	size_t len;

	*ret = BUF_INIT(max);
	if (!find_parameter(call, name, &at, &len))
		return HL_OK;
	if (percent_decode(at, len, ret) && buf_err(ret) == HL_OK && utf8_valid(ret->data ? ret->data : "", ret->len) &&
	    memchr(ret->data ? ret->data : "", '\0', ret->len) == NULL)
		return HL_OK;
	buf_free(ret);
	return call_fail(call, HL_BAD_REQUEST, "%s must be text in UTF-8 of at most %zu bytes", name, max);
}

enum hl_err
request_query_number(struct call *call, const char *name, int64_t least, int64_t most, int64_t otherwise, int64_t *ret)
{
	const char *at;
	size_t len;

	*ret = otherwise;
	if (!find_parameter(call, name, &at, &len))
		return HL_OK;
	*ret = len > 0 && len < 16 && strspn(at, "0123456789") >= len ? strtoll(at, NULL, 10) : -1;
	if (*ret < least || *ret > most)
		return call_fail(call, HL_BAD_REQUEST, "%s must be a whole number from %lld to %lld", name, (long long)least,
		    (long long)most);
	return HL_OK;
}

static const char *
without_weakness(const char *tag)
{
	return strncmp(tag, "W/", 2) == 0 ? tag + 2 : tag;
}

bool
request_takes_gzip(const struct call *call)
{
	return gzip_taken(fcgi_param(call->fcgi, "HTTP_ACCEPT_ENCODING"));
}

bool
request_has_tag(const struct call *call, const char *etag)
{
	const char *at = fcgi_param(call->fcgi, "HTTP_IF_NONE_MATCH");
	size_t len;

	etag = without_weakness(etag);
	while (at && *at) {
		at += strspn(at, ", \t");
		if (*at == '*')
			return true;
		at = without_weakness(at);
		len = *at == '"' ? strcspn(at + 1, "\"") + 2 : strcspn(at, ",");
		if (strlen(etag) == len && strncmp(at, etag, len) == 0)
			return true;
		at += strnlen(at, len);
	}
	return false;
}
