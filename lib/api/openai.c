#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/openai.h"

bool
openai_path(const char *path)
{
	return strncmp(path, "/v1/", 4) == 0;
}

/* ---- errors ---- */

/* OpenAI's words for what went wrong; code NULL: it has none. */
static const struct { enum hl_err err; const char *type, *code; } words[] = {
	{ HL_BAD_REQUEST, "invalid_request_error", NULL },
	{ HL_BAD_JSON, "invalid_request_error", NULL },
	{ HL_UNAUTHORIZED, "invalid_request_error", "invalid_api_key" },
	{ HL_FORBIDDEN, "invalid_request_error", "forbidden" },
	{ HL_NOT_FOUND, "invalid_request_error", "unknown_url" },
	{ HL_METHOD, "invalid_request_error", "method_not_supported" },
	{ HL_TOO_LARGE, "invalid_request_error", "request_too_large" },
	{ HL_MEDIA_TYPE, "invalid_request_error", "unsupported_content_type" },
	{ HL_TOO_MANY, "requests", "rate_limit_exceeded" },
};

static void
put_word(struct buf *out, const char *member, const char *word)
{
	buf_printf(out, ",\"%s\":", member);
	buf_json_str(out, word);
}

void
openai_write_error(const struct call *call, enum hl_err err, struct buf *body)
{
	const char *type = "server_error", *code = NULL;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].err == err) {
			type = words[i].type;
			code = words[i].code;
		}
	if (call->openai.code)
		code = call->openai.code;
	if (call->openai.type)
		type = call->openai.type;
	buf_puts(body, "{\"error\":{\"message\":");
	buf_json_str(body, call->problem.len ? call->problem.data : err_text(err));
	put_word(body, "type", type);
	put_word(body, "param", *call->openai.param ? call->openai.param : NULL);
	put_word(body, "code", code);
	buf_puts(body, "}}");
}

void
openai_write_headers(const struct call *call, enum hl_err err, struct buf *headers)
{
	if (err == HL_TOO_MANY)
		buf_printf(headers, "retry-after-ms: %lld\r\n", call->retry_ms > 0 ? (long long)call->retry_ms : 1000LL);
	if (call->openai.again_never)
		buf_puts(headers, "x-should-retry: false\r\n");
}

enum hl_err
openai_fail(struct call *call, const char *param, const char *code, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(call->openai.param, sizeof(call->openai.param), "%s", param);
	call->openai.code = code;
	return call_fail(call, HL_BAD_REQUEST, "%s", text);
}

/* ---- who asks ---- */

enum hl_err
openai_key(struct call *call, bool counts, struct api_key *ret)
{
	const char *header = fcgi_param(call->fcgi, "HTTP_AUTHORIZATION");
	enum hl_err err;

	*ret = (struct api_key){ 0 };
	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
		return call_fail(call, HL_UNAUTHORIZED, "You did not provide an API key: send the header Authorization: Bearer KEY, "
		    "with a key that helpline keys add has made");
	err = api_key_use(&call->app->store, header + 7 + strspn(header + 7, " "), counts, ret, &call->retry_ms);
	if (err == HL_UNAUTHORIZED)
		return call_fail(call, err, "Incorrect API key provided: it is none that helpline keys add has made, or it was removed");
	if (err == HL_TOO_MANY)
		return call_fail(call, err, "Rate limit reached for this API key; try again in %lld ms", (long long)call->retry_ms);
	return err;
}
