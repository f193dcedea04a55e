#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "api/openai.h"
#include "api/reply.h"
#include "base/log.h"

#define HEAD_MAX 4096u

static const char *
reason_phrase(int status)
{
	static const struct { int status; const char *phrase; } phrases[] = {
		{ 200, "OK" }, { 201, "Created" }, { 204, "No Content" }, { 304, "Not Modified" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 409, "Conflict" },
		{ 413, "Content Too Large" }, { 415, "Unsupported Media Type" }, { 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" }, { 499, "Client Closed Request" }, { 500, "Internal Server Error" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" }, { 504, "Gateway Timeout" },
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Unknown";
}

/* What a page on another origin may read (Fetch standard, CORS protocol). */
static void
write_cors(struct call *call, struct buf *head)
{
	if (call->origin == ORIGIN_ANY)
		buf_puts(head, "Access-Control-Allow-Origin: *\r\n");
	else if (call->origin == ORIGIN_LISTED)
		buf_printf(head, "Access-Control-Allow-Origin: %s\r\n", fcgi_param(call->fcgi, "HTTP_ORIGIN"));
	else
		return;
	buf_puts(head, "Vary: Origin\r\nAccess-Control-Expose-Headers: ETag, Link, Retry-After, X-Request-Id\r\n");
	if (strcmp(call->method, "OPTIONS") != 0)
		return;
	buf_puts(head, "Access-Control-Allow-Methods: GET, POST, PUT, DELETE\r\nAccess-Control-Max-Age: 7200\r\n"
	    "Access-Control-Allow-Headers: content-type, authorization, idempotency-key, last-event-id, if-none-match, "
	    "traceparent, tracestate\r\n");
}

#define NEVER_KEPT "no-store"
#define ASKED_AGAIN "private, no-cache"

#define UNKNOWN_LENGTH SIZE_MAX

/*
 * length is the body's: without it nginx would take what is cut off by the death of this program for the whole, and a
 * client half an answer.
 */
static enum hl_err
send_head_for(struct call *call, int status, const char *type, size_t length, const char *kept, const char *more)
{
	struct buf head = BUF_INIT(HEAD_MAX);
	enum hl_err err;

	buf_puts(&head, "Status: ");
	buf_int(&head, status);
	buf_putc(&head, ' ');
	buf_puts(&head, reason_phrase(status));
	if (type) {
		buf_puts(&head, "\r\nContent-Type: ");
		buf_puts(&head, type);
	}
	if (length != UNKNOWN_LENGTH) {
		buf_puts(&head, "\r\nContent-Length: ");
		buf_int(&head, (int64_t)length);
	}
	buf_puts(&head, "\r\nX-Request-Id: ");
	buf_puts(&head, call->shown_id);
	buf_puts(&head, "\r\nCache-Control: ");
	buf_puts(&head, kept);
	buf_puts(&head, "\r\n");
	write_cors(call, &head);
	buf_puts(&head, more);
	buf_puts(&head, "\r\n");
	err = buf_err(&head);
	if (err == HL_OK)
		err = fcgi_write(call->fcgi, head.data, head.len);
	call->answered = true;
	call->status = status;
	buf_free(&head);
	return err;
}

static enum hl_err
send_head(struct call *call, int status, const char *type, const char *more)
{
	return send_head_for(call, status, type, UNKNOWN_LENGTH, NEVER_KEPT, more);
}

static enum hl_err
send_whole(struct call *call, int status, const char *type, const char *kept, const char *more, const struct buf *body)
{
	enum hl_err err = buf_err(body);

	if (err == HL_OK)
		err = send_head_for(call, status, type, body->len, kept, more);
	return err ? err : fcgi_write_last(call->fcgi, body->data, body->len);
}

enum hl_err
reply_json(struct call *call, int status, const struct buf *body)
{
	return send_whole(call, status, "application/json", NEVER_KEPT, "", body);
}

enum hl_err
reply_text(struct call *call, const char *type, const struct buf *body)
{
	return send_whole(call, 200, type, NEVER_KEPT, "", body);
}

static enum hl_err
send_tagged(struct call *call, const char *etag, const char *link, const char *coding, const struct buf *body)
{
	struct buf more = BUF_INIT(HEAD_MAX);
	enum hl_err err;

	buf_printf(&more, "ETag: %s\r\nVary: Authorization, Accept-Encoding\r\n%s", etag, coding);
	if (link)
		buf_printf(&more, "Link: %s\r\n", link);
	err = buf_err(&more);
	if (err == HL_OK && body)
		err = send_whole(call, 200, "application/json", ASKED_AGAIN, more.data, body);
	else if (err == HL_OK)
		err = send_head_for(call, 304, NULL, UNKNOWN_LENGTH, ASKED_AGAIN, more.data);
	buf_free(&more);
	return err;
}

enum hl_err
reply_tagged(struct call *call, const char *etag, const char *link, const struct buf *body)
{
	return send_tagged(call, etag, link, "", body);
}

enum hl_err
reply_tagged_gzip(struct call *call, const char *etag, const char *link, const struct buf *body)
{
	return send_tagged(call, etag, link, "Content-Encoding: gzip\r\n", body);
}

enum hl_err
reply_csv(struct call *call, const char *name, const struct buf *body)
{
	char more[HEAD_MAX];

	snprintf(more, sizeof(more), "Content-Disposition: attachment; filename=\"%s\"\r\n", name);
	return send_whole(call, 200, "text/csv; charset=utf-8; header=present", NEVER_KEPT, more, body);
}

enum hl_err
reply_sound(struct call *call, const char *type)
{
	return send_head(call, 200, type, "Accept-Ranges: none\r\n");
}

enum hl_err
reply_empty(struct call *call, int status)
{
	return send_head(call, status, NULL, "");
}

void
reply_write_problem(const struct call *call, enum hl_err err, struct buf *out)
{
	const char *sentence = call->problem.len ? call->problem.data : err_text(err);
	int status = err_status(err);

	buf_printf(out, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"detail\":",
	    reason_phrase(status), status, err_code(err));
	buf_json_str(out, sentence);
	buf_puts(out, ",\"error\":");
	buf_json_str(out, sentence);
	buf_puts(out, ",\"message\":");
	buf_json_str(out, sentence);
	if (call->fields.len && buf_err(&call->fields) == HL_OK)
		buf_printf(out, ",\"fields\":{%s}", call->fields.data);
	buf_putc(out, '}');
}

void
reply_problem(struct call *call, enum hl_err err)
{
	struct buf body = BUF_INIT(8192), more = BUF_INIT(512);
	bool openai = openai_path(call->path);
	int status = err_status(err);

	if (call->answered)
		goto out;		/* a stream is under way: who writes it has said so there */
	if (openai) {
		openai_write_error(call, err, &body);
		openai_write_headers(call, err, &more);
	} else
		reply_write_problem(call, err, &body);
	if (status == 429 || status == 503)
		buf_printf(&more, "Retry-After: %lld\r\n", call->retry_ms > 0 ? (long long)(call->retry_ms + 999) / 1000 : 1LL);
	if (status == 401)
		buf_puts(&more, "WWW-Authenticate: Bearer\r\n");
	if (err == HL_METHOD && *call->allow)
		buf_printf(&more, "Allow: %s\r\n", call->allow);
	if (buf_err(&more) || send_whole(call, status, openai ? "application/json" : "application/problem+json", NEVER_KEPT,
	    more.data ? more.data : "", &body) != HL_OK)
		log_line(LOG_LEVEL_DEBUG, "unanswered", "code", err_code(err), NULL);
out:
	buf_free(&body);
	buf_free(&more);
}

enum hl_err
reply_stream(struct call *call)
{
	enum hl_err err = send_head(call, 200, "text/event-stream", "X-Accel-Buffering: no\r\n");

	return err ? err : fcgi_flush(call->fcgi);
}

enum hl_err
reply_event(struct call *call, const char *id, const char *name, const struct buf *data)
{
	struct buf event = BUF_INIT(data->max + HEAD_MAX);
	enum hl_err err = buf_err(data);

	buf_printf(&event, "id: %s\nevent: %s\ndata: ", id, name);
	buf_add(&event, data->data, data->len);		/* JSON: no line ends in it */
	buf_puts(&event, "\n\n");
	if (err == HL_OK)
		err = buf_err(&event);
	if (err == HL_OK)
		err = fcgi_write(call->fcgi, event.data, event.len);
	buf_free(&event);
	return err ? err : fcgi_push(call->fcgi);
}

enum hl_err
reply_data(struct call *call, const char *line, size_t len)
{
	enum hl_err err = fcgi_write(call->fcgi, "data: ", 6);

	if (err == HL_OK)
		err = fcgi_write(call->fcgi, line, len);
	if (err == HL_OK)
		err = fcgi_write(call->fcgi, "\n\n", 2);
	return err ? err : fcgi_flush(call->fcgi);
}
