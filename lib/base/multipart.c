#include <string.h>
#include <strings.h>

#include "base/multipart.h"

#define HEADERS_MAX	8192u	/* bytes, of a part */

bool
multipart_is(const char *content_type)
{
	static const char wanted[] = "multipart/form-data";
	size_t n = sizeof(wanted) - 1;

	return content_type && strncasecmp(content_type, wanted, n) == 0 &&
	    strchr("; \t", content_type[n]);
}

/* How many bytes before end are none of these. */
static size_t
span_before(const char *p, const char *end, const char *stops)
{
	const char *at = p;

	while (at < end && strchr(stops, *at) == NULL)
		at++;
	return (size_t)(at - p);
}

/* Behind a value that begins at p: a quoted one ends with its quote, where a backslash takes the next byte as it is. */
static const char *
value_end(const char *p, const char *end)
{
	if (p == end || *p != '"')
		return p + span_before(p, end, "; \t");
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p < end ? p + 1 : NULL;
}

/* The value of name= among the parameters after a first word; quotes are taken off.  NULL: it is not there. */
static const char *
parameter(const char *at, const char *end, const char *name, size_t *ret_len)
{
	size_t n = strlen(name), quoted;

	while ((at += span_before(at, end, ";")) < end) {
		const char *key, *value, *stop;

		for (key = at + 1; key < end && (*key == ' ' || *key == '\t'); key++)
			;
		at = key + span_before(key, end, "=;");
		if (at == end || *at == ';')
			continue;
		value = at + 1;
		stop = value_end(value, end);
		if (stop == NULL)
			return NULL;
		if ((size_t)(at - key) == n && strncasecmp(key, name, n) == 0) {
			quoted = stop > value && *value == '"';
			*ret_len = (size_t)(stop - value) - 2 * quoted;
			return value + quoted;
		}
		at = stop;
	}
	return NULL;
}

enum hl_err
multipart_open(struct multipart *m, const char *content_type, const char *body, size_t len)
{
	const char *boundary = NULL;
	size_t n = 0;

	if (multipart_is(content_type))
		boundary = parameter(content_type, content_type + strlen(content_type), "boundary", &n);
	if (boundary == NULL || n == 0 || n > BOUNDARY_MAX)
		return HL_BAD_REQUEST;
	memcpy(m->delimiter, "\r\n--", 4);
	memcpy(m->delimiter + 4, boundary, n);
	m->len = n + 4;
	m->at = body;
	m->end = body + len;
	/* What stands before the first boundary is nobody's; browsers send nothing, so that its line end is missing. */
	if (len >= n + 2 && memcmp(body, m->delimiter + 2, n + 2) == 0)
		m->at += n + 2;
	else if ((m->at = memmem(body, len, m->delimiter, m->len)) != NULL)
		m->at += m->len;
	return m->at ? HL_OK : HL_BAD_REQUEST;
}

/* The headers of a part, from a line's begin on, to the empty line that ends them. */
static enum hl_err
read_headers(const char *at, const char *end, struct part *ret)
{
	static const char wanted[] = "content-disposition:";

	*ret = (struct part){ 0 };
	while (at < end) {
		const char *stop = memmem(at, (size_t)(end - at), "\r\n", 2);

		if (stop == NULL)
			stop = end;
		if ((size_t)(stop - at) > sizeof(wanted) - 1 && strncasecmp(at, wanted, sizeof(wanted) - 1) == 0)
			ret->name = parameter(at, stop, "name", &ret->name_len);
		at = stop == end ? end : stop + 2;
	}
	return ret->name ? HL_OK : HL_BAD_REQUEST;
}

enum hl_err
multipart_next(struct multipart *m, struct part *ret)
{
	size_t left = (size_t)(m->end - m->at);
	const char *data, *stop;
	enum hl_err err;

	if (left >= 2 && memcmp(m->at, "--", 2) == 0)
		return HL_NOT_FOUND;
	while (m->at < m->end && (*m->at == ' ' || *m->at == '\t'))
		m->at++;
	left = (size_t)(m->end - m->at);
	if (left < 2 || memcmp(m->at, "\r\n", 2) != 0)
		return HL_BAD_REQUEST;
	data = memmem(m->at, left < HEADERS_MAX ? left : HEADERS_MAX, "\r\n\r\n", 4);
	if (data == NULL)
		return HL_BAD_REQUEST;
	err = read_headers(m->at + 2 < data ? m->at + 2 : data, data, ret);
	if (err)
		return err;
	data += 4;
	/* The line end that ends the headers may begin the delimiter: a part may be empty. */
	stop = memmem(data - 2, (size_t)(m->end - data) + 2, m->delimiter, m->len);
	if (stop == NULL)
		return HL_BAD_REQUEST;
	ret->data = data;
	ret->len = stop > data ? (size_t)(stop - data) : 0;
	m->at = stop + m->len;
	return HL_OK;
}

enum hl_err
multipart_find(const char *content_type, const char *body, size_t len, const char *name, struct part *ret)
{
	struct multipart m;
	enum hl_err err = multipart_open(&m, content_type, body, len);

	while (err == HL_OK && (err = multipart_next(&m, ret)) == HL_OK)
		if (ret->name_len == strlen(name) && memcmp(ret->name, name, ret->name_len) == 0)
			return HL_OK;
	return err;
}
