#include <string.h>
#include <strings.h>

#include <fastcgi.h>

#include "services/fcgi_answer.h"

static enum hl_err
begin_record(struct fcgi_answer *a)
{
	const FCGI_Header *h = (const FCGI_Header *)(const void *)a->head;

	if (h->version != FCGI_VERSION_1 || h->requestIdB1 != FCGI_ANSWER_ID >> 8 || h->requestIdB0 != (FCGI_ANSWER_ID & 255))
		return HL_UPSTREAM;
	if (h->type != FCGI_STDOUT && h->type != FCGI_STDERR && h->type != FCGI_END_REQUEST)
		return HL_UPSTREAM;
	a->content = (size_t)h->contentLengthB1 << 8 | h->contentLengthB0;
	a->padding = h->paddingLength;
	return h->type == FCGI_END_REQUEST && a->content != sizeof(a->end) ? HL_UPSTREAM : HL_OK;
}

static enum hl_err
end_record(struct fcgi_answer *a)
{
	const FCGI_EndRequestBody *end = (const FCGI_EndRequestBody *)(const void *)a->end;

	a->head_len = 0;
	if (((const FCGI_Header *)(const void *)a->head)->type != FCGI_END_REQUEST)
		return HL_OK;
	a->ended = true;
	return end->protocolStatus == FCGI_REQUEST_COMPLETE ? HL_OK : HL_UPSTREAM;
}

/* Of the content of the record under way. */
static enum hl_err
take_content(struct fcgi_answer *a, const char *bytes, size_t len, struct buf *out)
{
	switch (((const FCGI_Header *)(const void *)a->head)->type) {
	case FCGI_STDOUT:
		buf_add(out, bytes, len);
		return buf_err(out);
	case FCGI_END_REQUEST:
		memcpy(a->end + sizeof(a->end) - a->content, bytes, len);
		return HL_OK;
	default:
		return HL_OK;
	}
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

enum hl_err
fcgi_answer_feed(struct fcgi_answer *a, const char *bytes, size_t len, struct buf *out)
{
	enum hl_err err = HL_OK;

	while (err == HL_OK && len > 0) {
		size_t n;

		if (a->ended)
			return HL_UPSTREAM;
		if (a->head_len < sizeof(a->head)) {
			n = least(len, sizeof(a->head) - a->head_len);
			memcpy(a->head + a->head_len, bytes, n);
			a->head_len += n;
			if (a->head_len == sizeof(a->head))
				err = begin_record(a);
		} else if (a->content) {
			n = least(len, a->content);
			err = take_content(a, bytes, n, out);
			a->content -= n;
		} else {
			n = least(len, a->padding);
			a->padding -= n;
		}
		bytes += n;
		len -= n;
		if (err == HL_OK && a->head_len == sizeof(a->head) && a->content + a->padding == 0)
			err = end_record(a);
	}
	return err;
}

/* ---- the head ---- */

static bool
status_of(const char *line, size_t len, int *ret_status)
{
	static const char name[] = "Status:";
	const char *end = line + len;
	int status = 0;

	if (len < sizeof(name) - 1 || strncasecmp(line, name, sizeof(name) - 1) != 0)
		return true;
	for (line += sizeof(name) - 1; line < end && (*line == ' ' || *line == '\t'); line++)
		;
	for (int i = 0; i < 3; i++, line++) {
		if (line >= end || *line < '0' || *line > '9')
			return false;
		status = 10 * status + (*line - '0');
	}
	*ret_status = status;
	return status >= 100 && (line == end || *line == ' ');
}

enum hl_err
fcgi_answer_head(struct buf *answer, int *ret_status)
{
	const char *at = answer->data, *end = at ? at + answer->len : NULL, *newline;

	*ret_status = 200;
	while (at < end && (newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		size_t len = (size_t)(newline - at);

		if (len && at[len - 1] == '\r')
			len--;
		if (len == 0) {
			buf_consume(answer, (size_t)(newline + 1 - answer->data));
			return HL_OK;
		}
		if (!status_of(at, len, ret_status))
			break;
		at = newline + 1;
	}
	*ret_status = 0;
	return HL_UPSTREAM;
}
