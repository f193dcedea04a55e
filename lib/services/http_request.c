/*
 * http_request.c - what libcurl is told of a request.
 */
#include <string.h>
#include <strings.h>

#include "services/http_parts.h"

#define CONNECT_MS	10000

static bool
add_header(struct http_stream *s, const char *line)
{
	struct curl_slist *list = curl_slist_append(s->headers, line);

	if (list)
		s->headers = list;
	return list != NULL;
}

static bool
set_headers(struct http_stream *s, const struct http_request *r)
{
	for (const char *const *line = r->headers; line && *line; line++)
		if (!add_header(s, *line))
			return false;
	/* libcurl would wait a second for a 100 that hardly any server sends. */
	if (r->body && !add_header(s, "Expect:"))
		return false;
	return curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers) == CURLE_OK;
}

static bool
set_method(CURL *easy, const struct http_request *r)
{
	CURLcode bad = CURLE_OK;

	if (strcmp(r->method, "HEAD") == 0)
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
	if (r->body || strcmp(r->method, "POST") == 0) {
		bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
		bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(r->body ? r->body_len : 0));
		bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r->body ? r->body : "");
	}
	if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "POST") != 0)
		bad |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
	return bad == CURLE_OK;
}

/* Certificates are verified as libcurl does by default; so are the names in them. */
static bool
set_transport(struct http_stream *s, const struct http_request *r)
{
	CURL *easy = s->easy;
	CURLcode bad = CURLE_OK;

	bad |= curl_easy_setopt(easy, CURLOPT_URL, r->url);
	bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);	/* do not wait for a resolver given up */
	bad |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_SIZE);
	bad |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	bad |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "helpline");
	bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)(r->connect_ms ? r->connect_ms : CONNECT_MS));
	bad |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_NOPROXY, s->http->no_proxy);
	if (r->unix_socket) {
		bad |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, r->unix_socket);
		bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	} else if (strncasecmp(r->url, "https:", 6) == 0)
		bad |= curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);	/* HTTP/2: share connections */
	return bad == CURLE_OK;
}

static bool
set_callbacks(struct http_stream *s)
{
	CURLcode bad = CURLE_OK;

	bad |= curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
	bad |= curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->problem);
	bad |= curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, on_header);
	bad |= curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, s);
	bad |= curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
	bad |= curl_easy_setopt(s->easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	bad |= curl_easy_setopt(s->easy, CURLOPT_CLOSESOCKETDATA, s->http);
	return bad == CURLE_OK;
}

enum hl_err
request_describe(struct http_stream *s, const struct http_request *r)
{
	if (strncasecmp(r->url, "http://", 7) != 0 && strncasecmp(r->url, "https://", 8) != 0)
		return HL_BAD_REQUEST;
	if (!set_transport(s, r) || !set_callbacks(s) || !set_method(s->easy, r) || !set_headers(s, r))
		return HL_NO_MEMORY;
	return HL_OK;
}
