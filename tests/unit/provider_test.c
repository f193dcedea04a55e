/*
 * provider_test - one question to servers that fail in every way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/provider.h"
#include "loop/task.h"
#include "server.h"

#define D(content)	"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" content "\"}}]}\n\n"
#define END(reason)	"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}\n\n"
#define USAGE		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"
#define DONE		"data: [DONE]\n\n"
#define HELLO		D("Hel") D("lo") END("stop") USAGE DONE
#define JSON		D("{\\\"respo") D("nse\\\":\\\"Gr\\u00fc\\\\u00df") D("e\\\",\\\"confidence\\\":0.9,") \
	D("\\\"intents\\\":[\\\"purchase\\\"],\\\"sentiment\\\":\\\"urgent\\\",\\\"wants_person\\\":true}") END("stop") USAGE DONE
#define WHOLE(content)	"{\"choices\":[{\"message\":{\"content\":\"" content "\"},\"finish_reason\":\"stop\"}]}"
#define ERROR(code)	"{\"error\":{\"message\":\"secret words\",\"type\":\"t\",\"param\":null,\"code\":" code "}}"
#define REFUSE(param)	"{\"error\":{\"message\":\"no\",\"param\":\"" param "\",\"code\":\"unsupported_parameter\"}}"
#define SOON		"retry-after-ms: 5\r\n"
#define KEY		"sk-0123456789"

enum how { WELL, CUT, SILENT, RESET };

/* One answer of the server; status 0 is a stream, sent in pieces of n bytes. */
struct step {
	int		 status;
	const char	*headers;
	const char	*body;
	enum how	 end;
	size_t		 piece;
	const char	*type;
};

static uv_loop_t loop;
static struct http *http;
static struct server *first, *second;
static const struct step *steps[2];	/* of each server; the last one is repeated */
static size_t step_count[2], served[2];
static struct buf heads, bodies;	/* of the requests, one after the other */
static int64_t times[64];		/* when they came */
static struct conf conf;
static char url[2][64];
static struct providers *providers;

static void
stream(struct server_call *c, const struct step *s)
{
	size_t n = strlen(s->body), piece = s->piece ? s->piece : n;
	char line[128];

	snprintf(line, sizeof(line), "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n",
	    s->type ? s->type : "text/event-stream");
	call_text(c, line);
	for (size_t at = 0; at < n; at += piece) {
		snprintf(line, sizeof(line), "%zx\r\n", n - at < piece ? n - at : piece);
		call_text(c, line);
		call_send(c, s->body + at, n - at < piece ? n - at : piece);
		call_text(c, "\r\n");
		if (s->piece && task_sleep(0) != HL_OK)
			return;
	}
	if (s->end == WELL)
		call_chunk(c, "");
}

static void
serve(struct server_call *c, void *arg)
{
	size_t which = (size_t)arg, n = served[which]++;
	const struct step *s = &steps[which][n < step_count[which] ? n : step_count[which] - 1];

	times[(served[0] + served[1] - 1) % 64] = clock_mono_ms();
	buf_puts(&heads, call_head(c));
	buf_puts(&bodies, call_body(c));
	if (s->status)
		call_answer(c, s->status, s->headers ? s->headers : "", s->body ? s->body : "");
	else if (s->body)
		stream(c, s);
	if (s->end == CUT || s->end == RESET) {
		assert_int_equal(task_sleep(3), HL_OK);
		call_hang_up(c, s->end == RESET);
	}
	while (s->end == SILENT && !call_gone(c))
		assert_int_equal(task_sleep(3), HL_OK);
}

static int
set_up(void **state)
{
	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(http_new(&loop, &http), HL_OK);
	first = server_new(&loop, NULL, serve, (void *)0);
	second = server_new(&loop, NULL, serve, (void *)1);
	snprintf(url[0], sizeof(url[0]), "http://127.0.0.1:%d/v1", server_port(first));
	snprintf(url[1], sizeof(url[1]), "http://127.0.0.1:%d/v1/", server_port(second));
	conf = (struct conf){ .openai_key = KEY, .openai_url = url[0], .openai_model = "m1", .fallback_key = "", .fallback_url = "",
		.fallback_model = "m2", .gemini_key = "", .gemini_model = "g", .max_tokens = 100 };
	heads = bodies = BUF_INIT(16 << 20);
	served[0] = served[1] = 0;
	providers = NULL;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	providers_free(providers);
	http_free(http);
	server_free(first);
	server_free(second);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(task_count(), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	buf_free(&heads);
	buf_free(&bodies);
	return 0;
}

/* ---- asking ---- */

struct asked {
	int64_t			 time_ms;	/* allowed; 0: 8 s, more than a slow machine needs for what goes as it should */
	bool			 no_delta;
	enum hl_err		 delta_says;
	const char		*traceparent;
	struct task		*task;
	enum hl_err		 err;
	struct model_answer	 a;
	struct buf		 problem, deltas;	/* the pieces, each followed by | */
	int64_t			 took_ms;
};

static enum hl_err
on_delta(void *arg, const char *text, size_t len)
{
	struct asked *k = arg;

	buf_add(&k->deltas, text, len);
	buf_putc(&k->deltas, '|');
	return k->delta_says ? k->delta_says : task_sleep(0);
}

static void
ask_task(void *arg)
{
	static const struct prompt_message messages[] = { { ROLE_SYSTEM, "Be kind.", 8 }, { ROLE_USER, "hello?", 6 } };
	struct asked *k = arg;
	struct question q = { .messages = messages, .count = 2, .arg = k };
	int64_t from = clock_mono_ms();
	struct trace trace;

	if (k->traceparent && trace_begin(&trace, k->traceparent, "request"))
		task_traces(&trace);
	k->task = task_self();
	q.deadline_mono_ms = from + (k->time_ms ? k->time_ms : 8000);
	q.delta = k->no_delta ? NULL : on_delta;
	model_answer_init(&k->a);
	k->problem = k->deltas = BUF_INIT(1 << 16);
	k->err = provider_ask(providers, &q, &k->a, &k->problem);
	k->took_ms = clock_mono_ms() - from;
	k->task = NULL;
}

static void
run(struct asked *k)
{
	if (providers == NULL)
		assert_int_equal(providers_new(&conf, http, &providers), HL_OK);
	assert_int_equal(task_start(&loop, ask_task, k), HL_OK);
	while (task_count())
		uv_run(&loop, UV_RUN_ONCE);
	assert_null(k->problem.len ? strstr(k->problem.data, KEY) : NULL);
	assert_null(k->problem.len ? strstr(k->problem.data, "secret") : NULL);
}

static void
forget(struct asked *k)
{
	model_answer_free(&k->a);
	buf_free(&k->problem);
	buf_free(&k->deltas);
}

#define SCRIPT(which, ...) do {										\
	static const struct step script[] = { __VA_ARGS__ };						\
	steps[which] = script;										\
	step_count[which] = sizeof(script) / sizeof(*script);						\
} while (0)

/* Asks once; the answer must be this text (NULL: a failure) after so many requests to each server. */
static void
expect(const char *text, size_t to_first, size_t to_second)
{
	struct asked k = { 0 };

	served[0] = served[1] = 0;
	run(&k);
	if (text ? k.err || strcmp(k.a.text.data, text) != 0 : k.err != HL_UPSTREAM)
		fail_msg("%s %s (%s)", err_code(k.err), k.a.text.len ? k.a.text.data : "", k.problem.len ? k.problem.data : "");
	assert_int_equal(served[0], to_first);
	assert_int_equal(served[1], to_second);
	assert_int_equal(k.a.requests, to_first + to_second);
	forget(&k);
	if (text == NULL || to_second) {	/* a server that failed is asked as if it had not */
		providers_free(providers);
		assert_int_equal(providers_new(&conf, http, &providers), HL_OK);
	}
}

/* ---- answers ---- */

static void
a_structured_answer_streams_its_text_and_tells_its_members(void **state)
{
	struct asked k = { .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" };

	(void)state;
	SCRIPT(0, { .body = JSON, .piece = 90 });
	run(&k);
	assert_int_equal(k.err, HL_OK);
	assert_string_equal(k.a.text.data, "Gr\u00fc\u00dfe");
	assert_string_equal(k.deltas.data, "Gr\u00fc\u00df|e|");
	assert_true(k.a.structured && k.a.has_confidence && k.a.wants_person);
	assert_true(k.a.confidence > 0.89 && k.a.confidence < 0.91);
	assert_string_equal(k.a.intents[0], "purchase");
	assert_string_equal(k.a.sentiment, "urgent");
	assert_string_equal(k.a.finish, "stop");
	assert_string_equal(k.a.provider, "openai");
	assert_int_equal(k.a.prompt_tokens, 3);
	assert_int_equal(k.a.completion_tokens, 2);
	assert_int_equal(k.a.requests, 1);
	assert_non_null(strstr(heads.data, "POST /v1/chat/completions HTTP/1.1\r\n"));
	assert_non_null(strstr(heads.data, "\r\nAuthorization: Bearer " KEY "\r\n"));
	assert_non_null(strstr(heads.data, "\r\ntraceparent: 00-4bf92f"));
	assert_null(strstr(heads.data, "api-key"));
	assert_non_null(strstr(bodies.data, "{\"model\":\"m1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\\n\\nReply"));
	forget(&k);
}

static void
pieces_of_every_size_give_the_same(void **state)
{
	static struct step step = { .body = JSON };

	(void)state;
	steps[0] = &step;
	step_count[0] = 1;
	for (step.piece = 1; step.piece < sizeof(JSON); step.piece += step.piece < 12 ? 1 : 97)
		expect("Gr\u00fc\u00dfe", 1, 0);
}

static void
every_form_of_answer_is_understood(void **state)
{
	(void)state;
	SCRIPT(0, { .body = HELLO }, { .body = D("Hel") D("lo") END("stop"), .end = CUT }, { .body = HELLO, .type = "text/plain" },
	    { .status = 200, .headers = "Content-Type: application/json\r\n", .body = WHOLE("Hello") },
	    { .status = 200, .headers = "Content-Type: text/plain\r\n", .body = "\n" WHOLE("Hello") },
	    { .status = 200, .body = WHOLE("{\\\"response\\\":\\\"Hello\\\",\\\"confidence\\\":1}") });
	for (size_t i = 0; i < 6; i++) {
		steps[0] += i > 0;
		expect("Hello", 1, 0);
	}
}

static void
the_end_is_not_waited_for_when_all_is_there(void **state)
{
	struct asked k = { .time_ms = 60000 };

	(void)state;
	SCRIPT(0, { .body = HELLO, .end = SILENT });
	run(&k);
	assert_int_equal(k.err, HL_OK);
	assert_true(k.took_ms < 30000);
	forget(&k);

	k = (struct asked){ .time_ms = 100 };
	SCRIPT(0, { .body = D("Hello") END("stop"), .end = SILENT });
	run(&k);
	assert_int_equal(k.err, HL_OK);
	assert_string_equal(k.a.text.data, "Hello");
	forget(&k);
}

static void
what_delta_returns_is_passed_on(void **state)
{
	struct asked k = { .delta_says = HL_CONFLICT };

	(void)state;
	SCRIPT(0, { .body = HELLO, .piece = 60 });
	run(&k);
	assert_int_equal(k.err, HL_CONFLICT);
	assert_string_equal(k.deltas.data, "Hel|");
	assert_int_equal(served[0], 1);
	forget(&k);
}

/* ---- failures ---- */

static void
passing_failures_are_retried(void **state)
{
	static const struct step failing[] = {
		{ 500, SOON, ERROR("null"), WELL, 0, NULL }, { 502, SOON, "<html>secret</html>", WELL, 0, NULL }, { 503, SOON, "", WELL, 0, NULL },
		{ 408, SOON, "", WELL, 0, NULL }, { 409, SOON, "[]", WELL, 0, NULL }, { 429, SOON, ERROR("\"rate_limit_exceeded\""), WELL, 0, NULL },
		{ 400, SOON "x-should-retry: true\r\n", "", WELL, 0, NULL },
		{ 200, SOON "Content-Type: application/json\r\n", ERROR("502"), WELL, 0, NULL },
		{ 200, SOON "Content-Type: text/event-stream\r\n", "data: " ERROR("\"x\"") "\n\n", WELL, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(failing) / sizeof(*failing); i++) {
		struct step script[] = { failing[i], failing[i], { .body = HELLO } };

		steps[0] = script;
		step_count[0] = 3;
		expect("Hello", 3, 0);
		step_count[0] = 2;
		expect(NULL, 3, 0);
	}
}

static void
lasting_failures_are_not_retried(void **state)
{
	static const struct step failing[] = {
		{ 400, SOON, ERROR("\"x\""), WELL, 0, NULL }, { 401, SOON, ERROR("\"invalid_api_key\""), WELL, 0, NULL },
		{ 402, SOON, "", WELL, 0, NULL }, { 403, SOON, "", WELL, 0, NULL }, { 404, SOON, "", WELL, 0, NULL },
		{ 413, SOON, "", WELL, 0, NULL }, { 422, SOON, "", WELL, 0, NULL }, { 302, SOON "Location: /\r\n", "", WELL, 0, NULL },
		{ 429, SOON, ERROR("\"insufficient_quota\""), WELL, 0, NULL }, { 429, "x-should-retry: false\r\n", "", WELL, 0, NULL },
		{ 429, "Retry-After: 3600\r\n", "", WELL, 0, NULL }, { 503, "Retry-After: 9\r\n", "", WELL, 0, NULL },
		{ 200, "Content-Type: application/json\r\n", ERROR("401"), WELL, 0, NULL },
		{ 0, NULL, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"1\"}]},\"finish_reason\":\"tool_calls\"}]}\n\n", WELL, 0, NULL },
		{ 0, NULL, END("content_filter"), WELL, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(failing) / sizeof(*failing); i++) {
		steps[0] = &failing[i];
		step_count[0] = 1;
		expect(NULL, 1, 0);
	}
}

static void
a_broken_connection_is_retried_before_the_first_delta(void **state)
{
	(void)state;
	SCRIPT(0, { .end = CUT }, { .body = HELLO });
	expect("Hello", 2, 0);
}

static void
a_cut_stream_is_retried_before_the_first_delta_only(void **state)
{
	struct asked k = { .no_delta = true };

	(void)state;
	SCRIPT(0, { .body = D("") D("{\\\"resp"), .end = CUT }, { .body = HELLO });
	expect("Hello", 2, 0);
	SCRIPT(0, { .body = D("Hel"), .end = CUT });
	expect(NULL, 1, 0);
	SCRIPT(0, { .body = D("Hel") DONE });
	expect(NULL, 1, 0);
	SCRIPT(0, { .body = D("Hel") "data: {\"error\":{\"message\":\"x\"}}\n\n", .piece = sizeof(D("Hel")) - 1 });
	expect(NULL, 1, 0);
	SCRIPT(0, { .body = D("Hel") "data: {broken\n\n", .piece = sizeof(D("Hel")) - 1 });
	expect(NULL, 1, 0);
	/* what nobody has seen may be asked again */
	SCRIPT(0, { .body = D("Hel") "data: {broken\n\n", .piece = sizeof(D("Hel")) - 1 }, { .body = HELLO });
	served[0] = 0;
	run(&k);
	assert_int_equal(k.err, HL_OK);
	assert_string_equal(k.a.text.data, "Hello");
	assert_int_equal(served[0], 2);
	forget(&k);
}

static void
the_waiting_time_is_obeyed(void **state)
{
	char date[64];
	struct step script[2] = { { .status = 429, .headers = "Retry-After: 1\r\n" }, { .body = HELLO } };
	time_t then = time(NULL) + 1;
	struct tm tm;

	(void)state;
	steps[0] = script;
	step_count[0] = 2;
	strftime(date, sizeof(date), "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&then, &tm));
	script[0].headers = date;
	expect("Hello", 2, 0);
	assert_in_range(clock_wall_ms(), (int64_t)then * 1000 - 5, (int64_t)then * 1000 + 8000);
	script[0].headers = "retry-after-ms: 60\r\nRetry-After: 9\r\n";
	expect("Hello", 2, 0);
	assert_in_range(times[1] - times[0], 58, 8000);
	script[0].headers = "Retry-After: soon\r\n";	/* then half a second, less up to a quarter */
	expect("Hello", 2, 0);
	assert_in_range(times[1] - times[0], 370, 8000);
}

static void
the_deadline_ends_everything(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct asked k = { .time_ms = 60 };

		if (i == 0)
			SCRIPT(0, { .end = SILENT });
		else if (i == 1)
			SCRIPT(0, { .body = D("Hel"), .end = SILENT });
		else
			SCRIPT(0, { .body = D(""), .end = SILENT });
		run(&k);
		assert_int_equal(k.err, HL_TIMEOUT);
		assert_in_range(k.took_ms, 58, 30000);
		forget(&k);
	}
}

/* ---- refused parameters ---- */

static void
refused_parameters_are_left_out_and_remembered(void **state)
{
	(void)state;
	SCRIPT(0, { 400, NULL, REFUSE("response_format"), WELL, 0, NULL }, { 400, NULL, REFUSE("max_completion_tokens"), WELL, 0, NULL },
	    { 503, SOON, "", WELL, 0, NULL }, { 503, SOON, "", WELL, 0, NULL }, { .body = D("{\\\"a\\\":1}") END("stop") });
	expect("{\"a\":1}", 5, 0);	/* plain now, whatever it looks like */
	assert_non_null(strstr(bodies.data, "\"max_completion_tokens\":100,\"response_format\""));
	buf_reset(&bodies);
	SCRIPT(0, { .body = HELLO });
	expect("Hello", 1, 0);
	assert_null(strstr(bodies.data, "response_format"));
	assert_null(strstr(bodies.data, "Reply with"));
	assert_non_null(strstr(bodies.data, "\"max_tokens\":100"));
	SCRIPT(0, { 400, NULL, REFUSE("stream"), WELL, 0, NULL },
	    { 200, "Content-Type: application/json\r\n", WHOLE("Hello"), WELL, 0, NULL });
	expect("Hello", 2, 0);
}

static void
a_limit_that_is_not_heeded_is_sent_by_its_old_name(void **state)
{
	(void)state;
	SCRIPT(0, { .body = "data: {\"system_fingerprint\":\"fp_ollama\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"}}]}\n\n"
	    D("lo") END("stop") USAGE DONE }, { .body = HELLO });
	expect("Hello", 1, 0);
	assert_non_null(strstr(bodies.data, "\"max_completion_tokens\":100"));
	buf_reset(&bodies);
	expect("Hello", 1, 0);
	assert_null(strstr(bodies.data, "max_completion_tokens"));
	assert_non_null(strstr(bodies.data, "\"max_tokens\":100"));
	assert_non_null(strstr(bodies.data, "response_format"));
}

static void
a_refusal_that_does_not_help_ends_and_is_forgotten(void **state)
{
	(void)state;
	SCRIPT(0, { 400, NULL, REFUSE("response_format"), WELL, 0, NULL });
	expect(NULL, 2, 0);
	buf_reset(&bodies);
	SCRIPT(0, { .body = HELLO });
	expect("Hello", 1, 0);
	assert_non_null(strstr(bodies.data, "response_format"));
}

/* ---- two servers ---- */

static void
two_servers(void)
{
	conf.fallback_url = url[1];
	conf.fallback_key = " key-of-the-second\n";
}

static void
the_second_server_answers_when_the_first_cannot(void **state)
{
	struct asked k = { 0 };

	(void)state;
	two_servers();
	SCRIPT(1, { .body = HELLO });
	SCRIPT(0, { .body = HELLO });
	expect("Hello", 1, 0);
	SCRIPT(0, { .status = 401, .body = ERROR("\"invalid_api_key\"") });
	expect("Hello", 1, 1);
	SCRIPT(0, { .status = 429, .headers = "Retry-After: 11\r\n" });
	expect("Hello", 1, 1);
	SCRIPT(0, { .status = 500, .headers = SOON });
	expect("Hello", 3, 1);
	SCRIPT(0, { .body = D("Hel"), .end = CUT });
	expect(NULL, 1, 0);

	SCRIPT(0, { .status = 401, .body = ERROR("\"invalid_api_key\"") });
	SCRIPT(1, { .status = 503, .headers = SOON }, { .status = 404, .body = "{\"error\":{\"code\":\"model_not_found\"}}" });
	served[1] = 0;
	run(&k);
	assert_int_equal(k.err, HL_UPSTREAM);
	assert_string_equal(k.problem.data, "openai: status 401 invalid_api_key; fallback: status 404 model_not_found");
	assert_string_equal(k.a.provider, "fallback");
	assert_non_null(strstr(heads.data, "POST /v1/chat/completions HTTP/1.1\r\n"));
	assert_non_null(strstr(heads.data, "\r\nAuthorization: Bearer key-of-the-second\r\n"));
	assert_non_null(strstr(bodies.data, "\"model\":\"m2\""));
	forget(&k);
}

static void
a_silent_server_leaves_time_for_the_second(void **state)
{
	struct asked k = { .time_ms = 3000 };

	(void)state;
	two_servers();
	SCRIPT(0, { .end = SILENT });
	SCRIPT(1, { .body = HELLO });
	run(&k);
	assert_int_equal(k.err, HL_OK);
	assert_string_equal(k.a.provider, "fallback");
	assert_in_range(k.took_ms, 1490, 3000);
	assert_int_equal(served[0], 1);
	forget(&k);
}

static void
an_unreachable_server_leaves_time_for_the_second(void **state)
{
	struct asked k = { .time_ms = 1800 };	/* into half of what is left one pause fits, a second one does not */

	(void)state;
	two_servers();
	conf.openai_url = "http://127.0.0.1:1/v1";
	SCRIPT(1, { .body = HELLO });
	run(&k);
	assert_int_equal(k.err, HL_OK);
	assert_int_equal(k.a.requests, 3);
	assert_non_null(strstr(k.problem.data, "openai: Failed to connect"));
	forget(&k);
}

/* ---- settings ---- */

static void
a_server_needs_no_key_and_bases_vary(void **state)
{
	static const char *const bases[] = { "", "/", "//", "/chat/completions", "/chat/completions/" };
	char base[128];

	(void)state;
	SCRIPT(0, { .body = HELLO });
	conf.openai_key = "";
	conf.openai_url = base;
	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++) {
		snprintf(base, sizeof(base), "%s%s", url[0], bases[i]);
		buf_reset(&heads);
		expect("Hello", 1, 0);
		providers_free(providers);
		providers = NULL;
		assert_non_null(strstr(heads.data, "POST /v1/chat/completions HTTP/1.1\r\n"));
		assert_null(strstr(heads.data, "Authorization"));
	}
	snprintf(base, sizeof(base), "%s/d/.openai.azure.com/?api-version=2", url[0]);
	conf.openai_key = KEY;
	expect("Hello", 1, 0);
	assert_non_null(strstr(heads.data, "POST /v1/d/.openai.azure.com/chat/completions?api-version=2 HTTP/1.1\r\n"));
	assert_non_null(strstr(heads.data, "\r\napi-key: " KEY "\r\n"));
}

static void
only_the_second_may_be_configured_or_none(void **state)
{
	struct asked k = { 0 };

	(void)state;
	conf.openai_key = conf.openai_url = "";
	run(&k);
	assert_int_equal(k.err, HL_UPSTREAM);
	assert_false(providers_configured(providers));
	providers_free(providers);
	providers = NULL;
	forget(&k);
	two_servers();
	SCRIPT(1, { .body = HELLO });
	expect("Hello", 0, 1);
	assert_true(providers_configured(providers));
}

/* ---- cancelling, and many ---- */

static void
cancel_soon(void *arg)
{
	struct asked *k = arg;

	assert_int_equal(task_sleep(20), HL_OK);
	assert_non_null(k->task);
	task_cancel(k->task);
}

static void
cancelling_ends_a_question_wherever_it_is(void **state)
{
	(void)state;
	two_servers();
	SCRIPT(1, { .body = HELLO });
	for (int i = 0; i < 4; i++) {
		struct asked k = { .time_ms = 60000 };

		if (i == 0)
			SCRIPT(0, { .end = SILENT });
		else if (i == 1)
			SCRIPT(0, { .body = D("Hel"), .end = SILENT });
		else if (i == 2)
			SCRIPT(0, { .status = 429, .headers = "Retry-After: 9\r\n" });
		else
			SCRIPT(0, { .status = 0, .body = D("Hel"), .type = "application/json", .end = SILENT });
		assert_int_equal(providers ? HL_OK : providers_new(&conf, http, &providers), HL_OK);
		assert_int_equal(task_start(&loop, cancel_soon, &k), HL_OK);
		run(&k);
		assert_int_equal(k.err, HL_CANCELLED);
		assert_int_equal(served[1], 0);
		assert_true(k.took_ms < 9000);
		forget(&k);
	}
}

#define MANY	300

static void
many_questions_at_once(void **state)
{
	static struct asked many[MANY];

	(void)state;
	SCRIPT(0, { .body = JSON, .piece = 100 });
	assert_int_equal(providers_new(&conf, http, &providers), HL_OK);
	for (size_t i = 0; i < MANY; i++) {
		many[i] = (struct asked){ .time_ms = 20000 };
		assert_int_equal(task_start(&loop, ask_task, &many[i]), HL_OK);
	}
	while (task_count())
		uv_run(&loop, UV_RUN_ONCE);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(many[i].err, HL_OK);
		assert_string_equal(many[i].a.text.data, "Gr\u00fc\u00dfe");
		forget(&many[i]);
	}
	assert_int_equal(served[0], MANY);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_structured_answer_streams_its_text_and_tells_its_members),
		TEST(pieces_of_every_size_give_the_same),
		TEST(every_form_of_answer_is_understood),
		TEST(the_end_is_not_waited_for_when_all_is_there),
		TEST(what_delta_returns_is_passed_on),
		TEST(passing_failures_are_retried),
		TEST(lasting_failures_are_not_retried),
		TEST(a_broken_connection_is_retried_before_the_first_delta),
		TEST(a_cut_stream_is_retried_before_the_first_delta_only),
		TEST(the_waiting_time_is_obeyed),
		TEST(the_deadline_ends_everything),
		TEST(refused_parameters_are_left_out_and_remembered),
		TEST(a_limit_that_is_not_heeded_is_sent_by_its_old_name),
		TEST(a_refusal_that_does_not_help_ends_and_is_forgotten),
		TEST(the_second_server_answers_when_the_first_cannot),
		TEST(a_silent_server_leaves_time_for_the_second),
		TEST(an_unreachable_server_leaves_time_for_the_second),
		TEST(a_server_needs_no_key_and_bases_vary),
		TEST(only_the_second_may_be_configured_or_none),
		TEST(cancelling_ends_a_question_wherever_it_is),
		TEST(many_questions_at_once),
	};
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;	/* a connection has both its ends in this process */
	setrlimit(RLIMIT_NOFILE, &files);
	setenv("CMOCKA_TEST_ABORT", "1", 1);	/* a failure cannot jump from a task's stack to the test's */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
