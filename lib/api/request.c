#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/request.h"
#include "base/str.h"

#define BODY_MAX (256u * 1024)

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

/* A body without a type is taken for JSON in UTF-8; one that says it is something else is not. */
static bool
is_json(const char *type)
{
	const char *charset;
	size_t n;

	if (type == NULL || *type == '\0')
		return true;
	charset = strcasestr(type, "charset=");
	if (charset && strncasecmp(charset + 8 + (charset[8] == '"'), "utf-8", 5) != 0)
		return false;
	n = strcspn(type, "; \t");
	return (n == 16 && strncasecmp(type, "application/json", n) == 0) ||
	    (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

enum hl_err
request_json(struct call *call)
{
	size_t len;
	const char *text = fcgi_body(call->fcgi, &len);
	enum hl_err err;

	if (!is_json(fcgi_param(call->fcgi, "CONTENT_TYPE")))
		return call_fail(call, HL_MEDIA_TYPE, "The body must be sent as application/json");
	if (len > BODY_MAX)
		return call_fail(call, HL_TOO_LARGE, "The body is larger than %u bytes", BODY_MAX);
	if (fcgi_body_cut(call->fcgi))
		return call_fail(call, HL_BAD_REQUEST, "The body is shorter than announced");
	if (len == 0)
		return call_fail(call, HL_BAD_JSON, "The body is empty; it must be a JSON object");
	err = json_parse(text, len, &call->body);
	if (err == HL_BAD_JSON)
		return call_fail(call, HL_BAD_JSON, "The body is not valid JSON: UTF-8, at most %d levels deep, no member "
		    "twice, no \\u0000 and no half surrogate pairs", JSON_MAX_DEPTH);
	if (err)
		return err;
	if (json_kind(call->body) != JSON_OBJECT)
		return call_fail(call, HL_BAD_REQUEST, "The body must be a JSON object");
	return HL_OK;
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
request_query(struct call *call, const char *name, char *ret, size_t size)
{
	const char *at = fcgi_param(call->fcgi, "QUERY_STRING");
	size_t n = strlen(name), len;

	*ret = '\0';
	for (; at && *at; at += len + (at[len] == '&')) {
		len = strcspn(at, "&");
		if (len <= n || strncmp(at, name, n) != 0 || at[n] != '=')
			continue;
		at += n + 1;
		len -= n + 1;
		if (len >= size || strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") < len)
			return call_fail(call, HL_BAD_REQUEST, "%s must be a word", name);
		memcpy(ret, at, len);
		ret[len] = '\0';
		return HL_OK;
	}
	return HL_OK;
}
