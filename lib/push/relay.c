#include <string.h>

#include "base/id.h"
#include "base/json.h"
#include "base/metrics.h"
#include "loop/task.h"
#include "push/relay.h"

#define PATIENCE_MS	15000	/* beyond what an answer of the engine may take */
#define PROBLEM_MAX	4096u

static const int pauses_ms[] = { 50, 150, 300, 600, 1200, 2400 };
#define ATTEMPTS	(sizeof(pauses_ms) / sizeof(pauses_ms[0]) + 1)

void
relay_reply_free(struct relay_reply *r)
{
	buf_free(&r->body);
	buf_free(&r->message);
	buf_free(&r->code);
}

static bool
worth_another(enum hl_err err, int status)
{
	return err == HL_UPSTREAM || (err == HL_OK && (status == 502 || status == 503 || status == 504));
}

/* Message and code for the client: the problem document's, else our own. */
static void
explain(struct relay_reply *reply, enum hl_err err)
{
	struct json *doc = NULL;
	const char *message = NULL, *code = NULL;

	if (err == HL_OK && reply->body.len && json_parse(reply->body.data, reply->body.len, &doc) == HL_OK) {
		message = json_get_string(doc, "message");
		code = json_get_string(doc, "code");
	}
	if (err == HL_OK)
		err = HL_UPSTREAM;
	buf_json_str(&reply->message, message && strlen(message) < PROBLEM_MAX / 8 ? message : err_text(err));
	buf_json_str(&reply->code, code && strlen(code) < 64 ? code : err_code(err));
	json_free(doc);
}

enum hl_err
relay_ask(struct relay *r, const char *address, const struct buf *body, bool retry, struct relay_reply *ret)
{
	char id[ID_LEN + 1];
	const char *const params[] = {
		"REQUEST_METHOD", "POST", "DOCUMENT_URI", "/push/event", "CONTENT_TYPE", "application/json",
		"REQUEST_ID", id, "HTTP_X_REQUEST_ID", id, "REMOTE_ADDR", address, NULL
	};
	const struct fcgi_question question = {
		.params = params, .body = body->data, .body_len = body->len, .total_ms = r->conf->turn_timeout_ms + PATIENCE_MS,
	};
	enum hl_err err;

	*ret = (struct relay_reply){ .body = BUF_INIT(RELAY_MAX_ANSWER), .message = BUF_INIT(PROBLEM_MAX),
	    .code = BUF_INIT(PROBLEM_MAX) };
	id_new(id);
	err = buf_err(body);
	for (size_t i = 0; err == HL_OK; i++) {
		err = fcgi_ask(r->events, &question, &ret->status, &ret->body);
		if (!retry || i + 1 == ATTEMPTS || r->closing || !worth_another(err, ret->status))
			break;
		err = task_sleep(pauses_ms[i]);
	}
	if (err == HL_OK && ret->status == 200) {
		metrics_count(M_SOCKET_EVENT, 1);
		return HL_OK;
	}
	metrics_count(err || ret->status >= 500 ? M_SOCKET_EVENT_FAILED : M_SOCKET_EVENT_REFUSED, 1);
	explain(ret, err);
	return err ? err : HL_UPSTREAM;
}
