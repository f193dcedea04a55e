/*
 * Long-polling by FastCGI.  A held GET is a task that waits; its client's going away is seen at once, because
 * the FastCGI connection is watched, and ends the session as the reference does.
 */
#include <string.h>
#include <strings.h>

#include "loop/task.h"
#include "push/request.h"
#include "push/transport.h"

struct poll {
	struct transport *transport;
	struct fcgi_request *request;
	struct push_request *asked;
	struct session	*session;	/* that holds it */
	struct task	*task;
	bool		 done;
	bool		 waiting;
};

static const char *
status_line(int status)
{
	switch (status) {
	case 200:
		return "Status: 200 OK\r\n";
	case 204:
		return "Status: 204 No Content\r\n";
	case 403:
		return "Status: 403 Forbidden\r\n";
	case 413:
		return "Status: 413 Content Too Large\r\n";
	case 503:
		return "Status: 503 Service Unavailable\r\nRetry-After: 1\r\n";
	default:
		return "Status: 400 Bad Request\r\n";
	}
}

/* Queues the whole answer; whoever runs the task flushes it. */
static void
reply(const struct poll *p, int status, const char *headers, const char *body, size_t len)
{
	struct buf b = BUF_INIT(len + 4096);
	enum hl_err err;

	buf_puts(&b, status_line(status));
	request_cors(&b, p->asked, p->transport->conf->frontend_url);
	buf_puts(&b, headers);
	if (status != 204)
		buf_printf(&b, "Content-Length: %zu\r\n", len);
	buf_puts(&b, "\r\n");
	buf_add(&b, body, len);
	err = buf_err(&b);
	if (err == HL_OK)
		err = fcgi_write(p->request, b.data, b.len);
	(void)err;		/* the client has gone: nobody to tell */
	buf_free(&b);
}

static void
refuse(const struct poll *p, const struct refusal *why)
{
	struct buf b = BUF_INIT(512);

	buf_printf(&b, "{\"code\":%d,\"message\":\"%s\"}", why->code, why->text);
	reply(p, why->status, "Content-Type: application/json\r\n", b.data, b.len);
	buf_free(&b);
}

#define TEXT_HEADERS	"Content-Type: text/plain; charset=UTF-8\r\nCache-Control: no-store\r\n"
#define OK_HEADERS	"Content-Type: text/html\r\nCache-Control: no-store\r\n"

void
polling_answer(struct poll *p, enum hl_err err, const char *payload, size_t len)
{
	p->session = NULL;
	p->done = true;
	if (err == HL_OK)
		reply(p, 200, TEXT_HEADERS, payload, len);
	else
		refuse(p, &refused_request);
	if (p->waiting)
		task_wake(p->task);
}

static void
client_gone(void *arg)
{
	struct poll *p = arg;
	struct session *s = p->session;

	p->session = NULL;
	p->done = true;
	if (s)
		session_poll_lost(s, p);
	if (p->waiting)
		task_wake(p->task);
}

/* Holds the GET until the session has something to say. */
static void
hold(struct poll *p, struct session *s)
{
	enum hl_err err = HL_OK;

	p->session = s;
	fcgi_on_gone(p->request, client_gone, p);
	session_poll(s, p);
	p->waiting = true;
	while (!p->done && err == HL_OK)
		err = task_wait();
	p->waiting = false;
	if (err)		/* cancelled from elsewhere */
		client_gone(p);
}

static void
open_session(struct poll *p)
{
	const char *address = fcgi_param(p->request, "REMOTE_ADDR");
	struct session *s;
	enum hl_err err = session_open(&p->transport->sessions, NULL, address ? address : "", &s);

	if (err) {
		refuse(p, &refused_busy);
		return;
	}
	session_authorize(s, fcgi_param(p->request, "HTTP_AUTHORIZATION"));
	hold(p, s);
}

static bool
is_octets(const struct poll *p)
{
	const char *type = fcgi_param(p->request, "CONTENT_TYPE");

	return type && strncasecmp(type, "application/octet-stream", 24) == 0;
}

static void
take_post(struct poll *p, struct session *s)
{
	size_t len;
	const char *body = fcgi_body(p->request, &len);
	enum hl_err err;

	if (len > p->transport->rules.max_payload) {
		reply(p, 413, "", "", 0);	/* the session lives on */
		return;
	}
	if (fcgi_body_cut(p->request))
		return;
	if (is_octets(p)) {
		session_close(s);		/* binary posts are of an older revision */
		refuse(p, &refused_request);
		return;
	}
	err = session_post(s, body, len);
	if (err == HL_OK)
		reply(p, 200, OK_HEADERS, "ok", 2);
	else
		refuse(p, err == HL_NOT_FOUND ? &refused_sid : &refused_request);
}

static void
answer_preflight(const struct poll *p)
{
	struct buf b = BUF_INIT(8192);
	const char *headers = fcgi_param(p->request, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS");

	buf_puts(&b,
	    "Access-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE\r\nAccess-Control-Max-Age: 600\r\n");
	if (headers && *headers && strpbrk(headers, "\r\n") == NULL && strlen(headers) < 4096)
		buf_printf(&b, "Access-Control-Allow-Headers: %s\r\n", headers);
	reply(p, 204, b.data, "", 0);
	buf_free(&b);
}

static const char *
param(struct fcgi_request *r, const char *name)
{
	const char *value = fcgi_param(r, name);

	return value ? value : "";
}

static const char *
origin_of(struct fcgi_request *r)
{
	const char *origin = fcgi_param(r, "HTTP_ORIGIN");

	/* nginx passes an absent header as an empty parameter */
	return origin && *origin ? origin : NULL;
}

void
polling_handler(struct fcgi_request *r, void *arg)
{
	struct transport *t = arg;
	struct push_request asked = { param(r, "REQUEST_METHOD"), param(r, "QUERY_STRING"), origin_of(r),
		fcgi_param(r, "HTTP_HOST"), false };
	struct poll p = { .transport = t, .request = r, .asked = &asked, .task = task_self() };
	const struct refusal *refusal;
	struct session *s;

	if (request_is_preflight(&asked, t->conf->frontend_url)) {
		answer_preflight(&p);
		return;
	}
	refusal = request_check(&asked, &t->sessions, t->conf->frontend_url, &s);
	if (refusal)
		refuse(&p, refusal);
	else if (s == NULL)
		open_session(&p);
	else if (strcmp(asked.method, "GET") == 0)
		hold(&p, s);
	else if (strcmp(asked.method, "POST") == 0)
		take_post(&p, s);
	else
		refuse(&p, &refused_method);
}
