#include <string.h>

#include "base/origin.h"
#include "push/request.h"

const struct refusal
refused_transport = { 400, 0, "Transport unknown" },
refused_sid = { 400, 1, "Session ID unknown" },
refused_method = { 400, 2, "Bad handshake method" },
refused_request = { 400, 3, "Bad request" },
refused_origin = { 403, 4, "Forbidden" },
refused_protocol = { 400, 5, "Unsupported protocol version" },
refused_busy = { 503, 3, "Too many connections; try again in a moment" };

const char *
query_get(const char *query, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	for (const char *p = query ? query : ""; *p; p += strspn(p, "&")) {
		size_t len = strcspn(p, "&");

		if (len > n && strncmp(p, name, n) == 0 && p[n] == '=') {
			*ret_len = len - n - 1;
			return p + n + 1;
		}
		p += len;
	}
	return NULL;
}

static bool
query_is(const char *query, const char *name, const char *wanted)
{
	size_t len;
	const char *value = query_get(query, name, &len);

	return value && len == strlen(wanted) && memcmp(value, wanted, len) == 0;
}

static bool
bad_header_bytes(const char *value)
{
	for (; value && *value; value++)
		if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
			return true;
	return false;
}

static const struct refusal *
check_handshake(const struct push_request *r, bool websocket)
{
	if (strcmp(r->method, "GET") != 0)
		return &refused_method;
	if (websocket != r->upgrade)
		return &refused_request;
	return query_is(r->query, "EIO", "4") ? NULL : &refused_protocol;
}

static const struct refusal *
check_known(const struct push_request *r, const struct session *s, bool websocket)
{
	if (s == NULL)
		return &refused_sid;
	if (websocket != r->upgrade || (!websocket && !session_is_polling(s)) ||
	    !query_is(r->query, "EIO", "4"))
		return &refused_request;
	return NULL;
}

const struct refusal *
request_check(const struct push_request *r, struct sessions *sessions, const char *frontend_urls,
    struct session **ret_session)
{
	bool websocket = query_is(r->query, "transport", "websocket");
	const char *sid;
	size_t len;

	*ret_session = NULL;
	if (!websocket && !query_is(r->query, "transport", "polling"))
		return &refused_transport;
	if (bad_header_bytes(r->origin))
		return &refused_request;
	if (!origin_allowed(frontend_urls, r->origin, r->host))
		return &refused_origin;
	sid = query_get(r->query, "sid", &len);
	if (sid == NULL || len == 0)
		return check_handshake(r, websocket);
	*ret_session = session_find(sessions, sid, len);
	return check_known(r, *ret_session, websocket);
}

void
request_cors(struct buf *b, const struct push_request *r, const char *frontend_urls)
{
	enum origin_verdict verdict = bad_header_bytes(r->origin) ? ORIGIN_REFUSED
	    : origin_check(frontend_urls, r->origin, r->host);

	if (verdict == ORIGIN_REFUSED)
		buf_puts(b, "Vary: Origin\r\n");
	if (verdict != ORIGIN_LISTED && verdict != ORIGIN_ANY)
		return;
	buf_printf(b, "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n", r->origin);
	if (verdict == ORIGIN_LISTED)
		buf_puts(b, "Access-Control-Allow-Credentials: true\r\n");
}

bool
request_is_preflight(const struct push_request *r, const char *frontend_urls)
{
	enum origin_verdict verdict;

	if (strcmp(r->method, "OPTIONS") != 0 || bad_header_bytes(r->origin))
		return false;
	verdict = origin_check(frontend_urls, r->origin, r->host);
	return verdict == ORIGIN_LISTED || verdict == ORIGIN_ANY;
}
