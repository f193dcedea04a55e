#include <stdio.h>
#include <string.h>

#include "api/reply.h"
#include "api/request.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "loop/task.h"

/* One segment of the path at *at, which a ":name" of the route stands for.  A segment is anything but a slash. */
static bool
take_segment(const char **at, char segment[SEGMENT_MAX])
{
	size_t len = strcspn(*at, "/");

	if (len == 0 || len >= SEGMENT_MAX)
		return false;
	memcpy(segment, *at, len);
	segment[len] = '\0';
	*at += len;
	return true;
}

static bool
path_matches(const struct route *r, const char *path, struct call *call)
{
	char *const segments[] = { call->segment, call->segment2 };
	const char *p = r->path;
	size_t n, taken = 0;

	call->segment[0] = call->segment2[0] = '\0';
	for (;;) {
		n = strcspn(p, ":");
		if (strncmp(p, path, n) != 0)
			return false;
		p += n;
		path += n;
		if (*p == '\0')
			return *path == '\0';
		if (taken == sizeof(segments) / sizeof(segments[0]) || !take_segment(&path, segments[taken++]))
			return false;
		p += strcspn(p, "/");
	}
}

static bool
method_matches(const struct route *r, const char *method)
{
	return strcmp(r->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0);
}

static void
allow(struct call *call, const char *method)
{
	size_t len = strlen(call->allow);

	if (strstr(call->allow, method) == NULL)
		snprintf(call->allow + len, sizeof(call->allow) - len, "%s%s", len ? ", " : "", method);
}

static enum hl_err
find(struct call *call, const struct route *routes, size_t count, const struct route **ret)
{
	for (size_t i = 0; i < count; i++)
		if (method_matches(&routes[i], call->method) && path_matches(&routes[i], call->path, call)) {
			*ret = &routes[i];
			return HL_OK;
		}
	for (size_t i = 0; i < count; i++)
		if (path_matches(&routes[i], call->path, call))
			allow(call, routes[i].method);
	if (call->allow[0] == '\0')
		return call_fail(call, HL_NOT_FOUND, "There is nothing at this address");
	return HL_METHOD;
}

/* null says as much as nothing. */
static bool
has_body(const struct call *call)
{
	size_t len;
	const char *body = fcgi_body(call->fcgi, &len), *end = body ? body + len : NULL;

	if (len > 0) {
		body = json_space(body, end);
		if (end - body >= 4 && memcmp(body, "null", 4) == 0 && json_space(body + 4, end) == end)
			return false;
	}
	return len > 0 || fcgi_body_cut(call->fcgi);
}

static enum hl_err
run(struct call *call, const struct route *routes, size_t count, size_t *ret_number)
{
	const struct route *route = NULL;
	enum hl_err err;

	*ret_number = 0;
	if (call->origin == ORIGIN_REFUSED)
		return call_fail(call, HL_FORBIDDEN, "Pages of this origin may not call; FRONTEND_URL lists those that may");
	if (strcmp(call->method, "OPTIONS") == 0)
		return reply_empty(call, 204);
	err = find(call, routes, count, &route);
	if (route == NULL)
		return err;
	*ret_number = (size_t)(route - routes) + 1;
	if (route->body >= BODY_JSON || (route->body == BODY_OPTIONAL && has_body(call)))
		err = request_json(call, route->body == BODY_JSON_LONG ? REQUEST_LONG : REQUEST_MAX);
	return err ? err : route->handler(call);
}

static const char *
param(const struct fcgi_request *r, const char *name)
{
	const char *v = fcgi_param(r, name);

	return v ? v : "";
}

/* What the answer and the logs call it. */
static void
name_request(struct call *call)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
	const char *given = param(call->fcgi, "HTTP_X_REQUEST_ID");
	size_t n = strspn(given, allowed);

	if (n > 0 && n <= REQUEST_ID_MAX && given[n] == '\0')
		memcpy(call->shown_id, given, n + 1);
	else
		id_new(call->shown_id);
}

void
route_call(struct app *app, const struct route *routes, size_t count, struct fcgi_request *fcgi)
{
	struct call call = {
		.app = app, .fcgi = fcgi,
		.method = param(fcgi, "REQUEST_METHOD"), .path = param(fcgi, "DOCUMENT_URI"),
		.address = param(fcgi, "REMOTE_ADDR"), .request_id = param(fcgi, "REQUEST_ID"),
		.problem = BUF_INIT(1024), .fields = BUF_INIT(4096),
	};
	int64_t began_us = clock_mono_us();
	struct trace trace;
	enum hl_err err;
	size_t number;

	metrics_change(M_REQUESTS_NOW, 1);
	name_request(&call);
	if (trace_begin(&trace, fcgi_param(fcgi, "HTTP_TRACEPARENT"), call.shown_id))
		trace_take_state(&trace, fcgi_param(fcgi, "HTTP_TRACESTATE"));
	task_traces(&trace);
	call.origin = origin_check(app->conf.frontend_url, fcgi_param(fcgi, "HTTP_ORIGIN"), fcgi_param(fcgi, "HTTP_HOST"));
	err = run(&call, routes, count, &number);
	if (err == HL_STORE && app->redis && call.problem.len == 0)
		buf_puts(&call.problem, redis_reason(app->redis));
	if (err)
		reply_problem(&call, err);
	if (err_status(err) >= 500)
		log_line(LOG_LEVEL_WARN, "request_failed", "code", err_code(err), "request_id", call.shown_id, "problem",
		    err == HL_STORE && app->redis ? redis_problem(app->redis) : NULL, NULL);
	json_free(call.body);
	buf_free(&call.problem);
	buf_free(&call.fields);
	metrics_change(M_REQUESTS_NOW, -1);
	metrics_request(number, err ? err_status(err) : call.status ? call.status : err_status(HL_CANCELLED), clock_mono_us() - began_us);
}
