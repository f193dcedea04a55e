/*
 * completion_test - what is asked of a model's server, what it says, and what of it the customer sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/str.h"
#include "engine/completion.h"
#include "engine/form.h"
#include "engine/retry.h"

#define TEXT(b)	((b).len ? (b).data : "")

/* ---- the visible text of growing JSON ---- */

struct peeled {
	const char	*content;
	const char	*shown;
	bool		 json, complete;
};

static const struct peeled peeled[] = {
	{ "{\"response\":\"Hello\",\"confidence\":1}", "Hello", true, true },
	{ " \n{ \"response\" : \"Hello\" }", "Hello", true, true },
	{ "```json\n{\"response\":\"Hello\"}\n```", "Hello", true, true },
	{ "```\n{\"response\":\"Hello\"}\n```\n", "Hello", true, true },
	{ "{\"confidence\":0.5,\"x\":[{\"response\":\"no\"},\"]}\\\"\"],\"response\":\"Hello\"}", "Hello", true, true },
	{ "{\"a\":{\"response\":\"no\"},\"response\":\"yes\",\"response\":\"again\"}", "yes", true, true },
	{ "{\"respons\\u0065\":\"no\",\"responses\":\"no\",\"response\":\"yes\"}", "yes", true, true },
	{ "{\"response\":\"a\\n\\t\\\"\\\\\\/\\b\\f\\rz\"}", "a\n\t\"\\/\b\f\rz", true, true },
	{ "{\"response\":\"Gr\\u00fc\\u00DFe \\u6f22 \\ud83d\\ude42!\"}", "Gr\u00fc\u00dfe \u6f22 \U0001f642!", true, true },
	{ "{\"response\":\"\\ud83dx\\ude42\\ud83d\\ud83d\\ude42\\u0000\"}",
	  "\ufffdx\ufffd\ufffd\U0001f642\ufffd", true, true },
	{ "{\"response\":\"\\ud83d\\n\"}", "\ufffd\n", true, true },
	{ "{\"response\":\"a\\uZZ12b\\xc\\\u00e9\"}", "a\ufffdZZ12bxc\u00e9", true, true },
	{ "{\"response\":\"Gr\u00fc\u00dfe\nsecond line\"}", "Gr\u00fc\u00dfe\nsecond line", true, true },
	{ "{\"response\":\"cut of", "cut of", true, false },
	{ "{\"response\":\"cut \\u00", "cut ", true, false },
	{ "{\"response\":\"\"}", "", true, true },
	{ "{\"response\":null}", "", true, false },
	{ "{\"answer\":\"x\"}", "", true, false },
	{ "{", "", true, false },
	{ "{}", "", true, false },
	{ "{\"response\":\"a\"} and more", "a", true, true },
	{ "{\"response\":\"a\" broken", "a", true, true },
	{ "Hello", "Hello", false, false },
	{ "\n\n  Hello {\"response\":\"no\"}", "Hello {\"response\":\"no\"}", false, false },
	{ "{name}, hello", "{name}, hello", false, false },
	{ "{\"name\" is yours", "{\"name\" is yours", false, false },
	{ "```python\nprint()\n```", "```python\nprint()\n```", false, false },
	{ "```json is a fence", "```json is a fence", false, false },
	{ "``", "``", false, false },
	{ "`code`", "`code`", false, false },
	{ "```", "```", false, false },
	{ "", "", false, false },
	{ "[1]", "[1]", false, false },
};

static void
check_peel(const struct peeled *t, size_t piece)
{
	struct buf content = BUF_INIT(4096), out = BUF_INIT(4096);
	struct peel p;

	peel_init(&p, true);
	for (size_t at = 0; t->content[at];) {
		size_t n = utf8_cut(t->content + at, strlen(t->content + at), piece);

		if (n == 0)
			n = utf8_cut(t->content + at, strlen(t->content + at), 4);
		buf_add(&content, t->content + at, n);
		at += n;
		peel_more(&p, &content, &out);
		assert_true(utf8_valid(TEXT(out), out.len));
	}
	peel_end(&p, &content, &out);
	if (strcmp(TEXT(out), t->shown) != 0)
		fail_msg("%s in pieces of %zu: %s", t->content, piece, TEXT(out));
	if (peel_is_json(&p) != t->json || peel_complete(&p) != t->complete)
		fail_msg("%s in pieces of %zu: json %d complete %d", t->content, piece, peel_is_json(&p), peel_complete(&p));
	buf_free(&content);
	buf_free(&out);
}

static void
text_is_peeled_from_json_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(peeled) / sizeof(*peeled); i++)
		for (size_t piece = 1; piece < 80; piece++)
			check_peel(&peeled[i], piece);
}

static void
without_structure_json_is_text(void **state)
{
	struct buf content = BUF_INIT(100), out = BUF_INIT(100);
	struct peel p;

	(void)state;
	peel_init(&p, false);
	buf_puts(&content, "\n{\"response\":\"x\"}");
	peel_more(&p, &content, &out);
	assert_string_equal(out.data, "{\"response\":\"x\"}");
	buf_free(&content);
	buf_free(&out);
}

/* ---- events and the judgement at the end ---- */

#define D(content)	"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" content "\"}}]}"
#define END(reason)	"{\"choices\":[{\"delta\":{},\"finish_reason\":\"" reason "\"}]}"
#define MEMBERS	"{\\\"response\\\":\\\"Hello\\\",\\\"confidence\\\":0.75,\\\"intents\\\":[\\\"question\\\",7,\\\"support\\\"]," \
	"\\\"sentiment\\\":\\\"positive\\\",\\\"wants_person\\\":true}"

struct said {
	const char	*events[6];
	enum hl_err	 err;
	const char	*text;
	bool		 structured;
	double		 confidence;	/* -1: did not say */
	bool		 again;
};

static const struct said said[] = {
	{ { D("Hel"), D("lo"), END("stop"), "[DONE]" }, HL_OK, "Hello", false, -1, false },
	{ { D(MEMBERS), END("stop") }, HL_OK, "Hello", true, 0.75, false },
	{ { D("```json\\n" MEMBERS "\\n```"), END("stop") }, HL_OK, "Hello", true, 0.75, false },
	/* whole, with and without an index, parts, a legacy message; other choices do not count */
	{ { "{\"choices\":[{\"message\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}" }, HL_OK, "Hello", false, -1, false },
	{ { "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}},{\"index\":0,\"delta\":{\"content\":\"yes\"},"
	    "\"finish_reason\":\"stop\"}]}" }, HL_OK, "yes", false, -1, false },
	{ { "{\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"x\"},{\"text\":\"b\"}]}}]}",
	    END("stop") }, HL_OK, "ab", false, -1, false },
	/* Azure's, Ollama's and others' forms */
	{ { "{\"choices\":[],\"id\":\"\",\"model\":\"\",\"prompt_filter_results\":[{}]}", "{\"choices\":[{\"index\":0}]}",
	    "{\"choices\":[{\"delta\":null}],\"usage\":null}", D("a"), END("stop"),
	    "{\"choices\":[],\"usage\":{\"prompt_tokens\":3}}" }, HL_OK, "a", false, -1, false },
	{ { "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"reasoning\":\"hmm\"}}]}", D("a"), END("eos") },
	  HL_OK, "a", false, -1, false },
	{ { "{\"choices\":[{\"delta\":{\"content\":null,\"refusal\":null,\"tool_calls\":[]}}]}", D("a"), END("stop") },
	  HL_OK, "a", false, -1, false },
	{ { "", " \n", "{}", "null", "[]", D("a") }, HL_UPSTREAM, "a", false, -1, true },
	/* a pair of surrogates cut in two, and NUL */
	{ { D("x\\ud83d"), D("\\ude42\\u0000y"), END("stop") }, HL_OK, "x\ufffd\ufffd\ufffdy", false, -1, false },
	{ { D("\\\\ud83d \\ud83d\\ude42 \\u0041"), END("stop") }, HL_OK, "\\ud83d \U0001f642 A", false, -1, false },
	/* how it may end */
	{ { D("Hel"), END("length") }, HL_OK, "Hel", false, -1, false },
	{ { D("{\\\"response\\\":\\\"Hel"), END("length") }, HL_OK, "Hel", false, -1, false },
	{ { D("{\\\"resp"), END("length") }, HL_UPSTREAM, "", false, -1, true },
	{ { D("{\\\"response\\\":\\\"Hel"), END("stop") }, HL_UPSTREAM, "Hel", false, -1, true },
	{ { D("{\\\"response\\\":\\\"Hello\\\",\\\"confid"), END("stop") }, HL_OK, "Hello", false, -1, false },
	{ { D("{\\\"answer\\\":\\\"Hello\\\"}"), END("stop") }, HL_OK, "{\"answer\":\"Hello\"}", false, -1, false },
	{ { D("{\\\"response\\\":\\\"Hello\\\",\\\"confidence\\\":7,\\\"intents\\\":\\\"x\\\"}"), END("stop") },
	  HL_OK, "Hello", true, -1, false },
	{ { D("{\\\"response\\\":\\\"Hello\\\",\\\"confidence\\\":\\\"high\\\"}"), END("stop") }, HL_OK, "Hello", true, -1, false },
	{ { D("Hello") }, HL_UPSTREAM, "Hello", false, -1, true },
	{ { D("Hello"), "[DONE]" }, HL_UPSTREAM, "Hello", false, -1, true },
	{ { D("Hello"), END("error") }, HL_UPSTREAM, "Hello", false, -1, true },
	{ { D(" \\n"), END("stop") }, HL_UPSTREAM, "", false, -1, true },
	{ { D("Hello"), END("content_filter") }, HL_OK, "Hello", false, 0.2, false },
	{ { END("content_filter") }, HL_UPSTREAM, "", false, -1, false },
	{ { "{\"choices\":[{\"delta\":{\"refusal\":\"I can\"}}]}", "{\"choices\":[{\"delta\":{\"refusal\":\"not.\"}}]}", END("stop") },
	  HL_OK, "I cannot.", false, 0.2, false },
	{ { "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\"}]}}]}", END("tool_calls") },
	  HL_UPSTREAM, "", false, -1, false },
	{ { "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"x\"}],\"content\":\"Hello\"}}]}", END("stop") },
	  HL_OK, "Hello", false, -1, false },
};

static void
check_said(const struct said *t)
{
	struct buf text = BUF_INIT(1024);
	struct model_answer a;
	struct completion c;
	const char *why = "";
	bool again = false;
	enum hl_err err;

	model_answer_init(&a);
	completion_init(&c, true, &text);
	for (size_t i = 0; i < 6 && t->events[i]; i++)
		assert_int_equal(completion_event(&c, t->events[i], strlen(t->events[i])), HL_OK);
	err = completion_end(&c, &a, &why, &again);
	if (err != t->err || strcmp(TEXT(text), t->text) != 0)
		fail_msg("%s …: %s, %s (%s)", t->events[0], err_code(err), TEXT(text), why);
	assert_int_equal(a.structured, t->structured);
	if (t->confidence < 0 ? a.has_confidence : !a.has_confidence || a.confidence != t->confidence)
		fail_msg("%s …: confidence %g", t->events[0], a.confidence);
	if (err) {
		assert_true(*why);
		assert_int_equal(again, t->again);
	}
	completion_free(&c);
	model_answer_free(&a);
	buf_free(&text);
}

static const struct { const char *content, *title; } titled[] = {
	{ "{\\\"response\\\":\\\"x\\\",\\\"title\\\":\\\"'Late' delivery of a lamp!\\\"}", "Late delivery of a lamp" },
	{ "{\\\"response\\\":\\\"x\\\",\\\"title\\\":\\\"\\\"}", "" },
	{ "{\\\"response\\\":\\\"x\\\",\\\"title\\\":[1]}", "" },
	{ "{\\\"response\\\":\\\"x\\\"}", "" },
	{ "plain text", "" },
};

static void
a_title_that_is_printed_is_cleaned(void **state)
{
	struct model_answer a;
	struct completion c;
	const char *why = "";
	char event[512];
	bool again;

	(void)state;
	for (size_t i = 0; i < sizeof(titled) / sizeof(*titled); i++) {
		struct buf text = BUF_INIT(1024);

		snprintf(event, sizeof(event), "{\"choices\":[{\"delta\":{\"content\":\"%s\"},\"finish_reason\":\"stop\"}]}",
		    titled[i].content);
		model_answer_init(&a);
		completion_init(&c, true, &text);
		assert_int_equal(completion_event(&c, event, strlen(event)), HL_OK);
		assert_int_equal(completion_end(&c, &a, &why, &again), HL_OK);
		assert_string_equal(a.title, titled[i].title);
		completion_free(&c);
		model_answer_free(&a);
		buf_free(&text);
	}
}

static void
answers_are_judged_by_how_they_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++)
		check_said(&said[i]);
}

static void
the_members_are_taken(void **state)
{
	static const char *const events[] = { D(MEMBERS), END("stop"),
		"{\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7}}" };
	struct buf text = BUF_INIT(1024);
	struct model_answer a;
	struct completion c;
	const char *why;
	bool again;

	(void)state;
	model_answer_init(&a);
	completion_init(&c, true, &text);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(completion_event(&c, events[i], strlen(events[i])), HL_OK);
	assert_int_equal(completion_end(&c, &a, &why, &again), HL_OK);
	assert_true(a.wants_person);
	assert_string_equal(a.sentiment, "positive");
	assert_int_equal(a.intent_count, 2);
	assert_string_equal(a.intents[1], "support");
	assert_string_equal(a.finish, "stop");
	assert_int_equal(a.prompt_tokens, 11);
	assert_int_equal(a.completion_tokens, 7);
	completion_free(&c);
	model_answer_free(&a);
	buf_free(&text);
}

/* ---- errors in every shape ---- */

static const struct {
	const char	*body, *code, *param;
	int		 status;
} errors[] = {
	{ "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":\"max_tokens\",\"code\":\"c\"}}", "c", "max_tokens", 0 },
	{ "{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,\"code\":null}}", "server_error", "", 0 },
	{ "[{\"error\":{\"code\":400,\"message\":\"m\",\"status\":\"INVALID_ARGUMENT\"}}]", "INVALID_ARGUMENT", "", 400 },
	{ "{\"error\":{\"code\":502,\"message\":\"m\",\"metadata\":{}}}", "", "", 502 },
	{ "{\"object\":\"error\",\"message\":\"m\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}",
	  "BadRequestError", "", 400 },
	{ "{\"error\":\"model not found\"}", "", "", 0 },
	{ "{\"error\":{\"code\":\"a b\\nsk-1 =\",\"param\":\"response_format.json_schema[0]\"}}", "absk-1", "response_format", 0 },
	{ "<html>", "", "", 0 },
	{ "", "", "", 0 },
	{ "{}", "", "", 0 },
	{ "[]", "", "", 0 },
	{ "{\"error\":null}", "", "", 0 },
	{ "{\"error\":[1]}", "", "", 0 },
};

static void
errors_are_read_in_every_shape(void **state)
{
	struct upstream_error e;

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		upstream_error_read(&e, errors[i].body, strlen(errors[i].body));
		assert_string_equal(e.code, errors[i].code);
		assert_string_equal(e.param, errors[i].param);
		assert_int_equal(e.status, errors[i].status);
	}
}

static void
errors_within_an_answer_are_told(void **state)
{
	static const char *const events[] = { "{\"error\":{\"message\":\"m\"}}", "[{\"error\":{\"code\":500}}]",
		"{\"error\":\"x\"}", "{\"object\":\"error\",\"message\":\"m\"}" };
	struct buf text = BUF_INIT(100);
	struct completion c;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		completion_init(&c, true, &text);
		assert_int_equal(completion_event(&c, events[i], strlen(events[i])), HL_UPSTREAM);
		assert_string_equal(c.error.data, events[i]);
		assert_int_equal(completion_event(&c, "{broken", 7), HL_BAD_JSON);
		assert_int_equal(completion_event(&c, "\xff\xfe", 2), HL_BAD_JSON);
		completion_free(&c);
	}
	buf_free(&text);
}

/* ---- the request ---- */

static struct json *
written(unsigned without)
{
	const struct prompt_message messages[] = {
		{ ROLE_SYSTEM, "You are \"kind\".", 15 }, { ROLE_USER, "h\u00e9", 3 }, { ROLE_ASSISTANT, "a", 1 }, { ROLE_USER, "b", 1 }
	};
	const struct question q = { .messages = messages, .count = 4 };
	const struct form f = { .model = "m\"1", .max_tokens = 77, .without = without };
	struct buf b = BUF_INIT(1 << 20);
	struct json *doc;

	form_write(&b, &f, &q);
	assert_int_equal(json_parse(b.data, b.len, &doc), HL_OK);
	buf_free(&b);
	return doc;
}

static void
is_number(const struct json *object, const char *name, int64_t want)
{
	int64_t n = -1;

	assert_int_equal(json_integer(json_get(object, name), &n), want >= 0);
	assert_int_equal(n, want);
}

static void
the_request_has_what_was_not_refused(void **state)
{
	struct json *doc = written(0);
	const struct json *format = json_get(json_get(doc, "response_format"), "json_schema"), *schema = json_get(format, "schema");

	(void)state;
	assert_string_equal(json_get_string(doc, "model"), "m\"1");
	assert_int_equal(json_length(json_get(doc, "messages")), 4);
	assert_non_null(strstr(json_get_string(json_at(json_get(doc, "messages"), 0), "content"), "\"kind\".\n\nReply with one JSON"));
	assert_string_equal(json_get_string(json_at(json_get(doc, "messages"), 1), "content"), "h\u00e9");
	assert_string_equal(json_get_string(json_at(json_get(doc, "messages"), 2), "role"), "assistant");
	assert_true(json_true(json_get(doc, "stream")));
	assert_true(json_true(json_get(json_get(doc, "stream_options"), "include_usage")));
	is_number(doc, "max_completion_tokens", 77);
	assert_null(json_get(doc, "max_tokens"));
	assert_true(json_true(json_get(format, "strict")));
	assert_int_equal(json_length(json_get(schema, "required")), 5);
	assert_int_equal(json_kind(json_get(schema, "additionalProperties")), JSON_BOOL);
	json_free(doc);

	doc = written(WITHOUT_FORMAT | WITHOUT_NEW_LIMIT | WITHOUT_USAGE);
	assert_string_equal(json_get_string(json_at(json_get(doc, "messages"), 0), "content"), "You are \"kind\".");
	assert_null(json_get(doc, "response_format"));
	assert_null(json_get(doc, "stream_options"));
	assert_null(json_get(doc, "max_completion_tokens"));
	is_number(doc, "max_tokens", 77);
	json_free(doc);

	doc = written(WITHOUT_STREAM | WITHOUT_LIMIT | WITHOUT_CLOSED_SCHEMA);
	assert_false(json_true(json_get(doc, "stream")));
	assert_null(json_get(doc, "stream_options"));
	assert_null(json_get(doc, "max_completion_tokens"));
	assert_null(json_get(json_get(json_get(json_get(doc, "response_format"), "json_schema"), "schema"), "additionalProperties"));
	json_free(doc);
}

/* What only some conversations ask for. */
static void
the_request_has_what_the_question_wants(void **state)
{
	const struct prompt_message hello = { ROLE_USER, "hello", 5 };
	struct question q = { .messages = &hello, .count = 1, .want_title = true, .max_tokens = 5, .has_temperature = true };
	struct form f = { .model = "m", .max_tokens = 1 };
	struct buf b = BUF_INIT(1 << 16);
	const struct json *schema;
	struct json *doc;
	double t;

	(void)state;
	q.temperature = 0.25;
	form_write(&b, &f, &q);
	assert_int_equal(json_parse(b.data, b.len, &doc), HL_OK);
	schema = json_get(json_get(json_get(doc, "response_format"), "json_schema"), "schema");
	assert_int_equal(json_length(json_get(schema, "required")), 6);
	assert_string_equal(json_get_string(json_get(json_get(schema, "properties"), "title"), "type"), "string");
	assert_non_null(strstr(json_get_string(json_at(json_get(doc, "messages"), 0), "content"), "\"title\""));
	is_number(doc, "max_completion_tokens", 5);
	assert_true(json_number(json_get(doc, "temperature"), &t) && t == 0.25);
	json_free(doc);
	buf_reset(&b);
	f.without = WITHOUT_TEMPERATURE;
	form_write(&b, &f, &q);
	assert_null(strstr(b.data, "temperature"));
	buf_free(&b);
}

static void
a_prompt_without_system_message_still_explains(void **state)
{
	const struct prompt_message hello = { ROLE_USER, "hello", 5 };
	const struct question q = { .messages = &hello, .count = 1 };
	struct form f = { .model = "m", .max_tokens = 1 };
	struct buf b = BUF_INIT(1 << 16);

	(void)state;
	form_write(&b, &f, &q);
	assert_non_null(strstr(b.data, "\"messages\":[{\"role\":\"system\",\"content\":\"Reply with"));
	buf_reset(&b);
	f.without = WITHOUT_FORMAT;
	form_write(&b, &f, &q);
	assert_non_null(strstr(b.data, "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]"));
	buf_free(&b);
}

#define OPENAI(param, code, message)	"{\"error\":{\"message\":\"" message "\",\"param\":" param ",\"code\":\"" code "\"}}"

static const struct {
	unsigned	 without;
	const char	*body;
	unsigned	 refused;
} refusals[] = {
	{ 0, OPENAI("\"response_format\"", "unsupported_parameter", "no"), WITHOUT_FORMAT },
	{ 0, OPENAI("\"response_format.json_schema\"", "invalid_value", "no"), WITHOUT_FORMAT },
	{ 0, OPENAI("\"stream_options\"", "unknown_parameter", "no"), WITHOUT_USAGE },
	{ 0, OPENAI("\"max_completion_tokens\"", "unsupported_parameter", "no"), WITHOUT_NEW_LIMIT },
	{ WITHOUT_NEW_LIMIT, OPENAI("\"max_tokens\"", "unsupported_parameter", "Use 'max_completion_tokens' instead."), WITHOUT_LIMIT },
	{ 0, OPENAI("\"stream\"", "unsupported_value", "verify your organization"), WITHOUT_STREAM },
	{ 0, OPENAI("\"messages\"", "invalid_value", "response_format"), 0 },
	{ 0, OPENAI("\"temperature\"", "unsupported_value", "no"), WITHOUT_TEMPERATURE },
	{ WITHOUT_TEMPERATURE, OPENAI("\"temperature\"", "unsupported_value", "no"), 0 },
	{ 0, OPENAI("null", "", "Invalid value"), 0 },
	{ 0, OPENAI("null", "", "upstream went downstream"), 0 },
	{ 0, OPENAI("null", "", "'Response_Format' of type json_schema is not supported"), WITHOUT_FORMAT },
	{ WITHOUT_FORMAT, OPENAI("null", "", "json_schema is not supported"), 0 },
	{ 0, OPENAI("null", "unsupported_parameter", "no"), WITHOUT_FORMAT | WITHOUT_USAGE | WITHOUT_NEW_LIMIT },
	{ 0, OPENAI("null", "context_length_exceeded", "max_completion_tokens is too large"), 0 },
	{ 0, OPENAI("null", "", "max_completion_tokens too large: the model's maximum context length is 8"), 0 },
	{ 0, OPENAI("null", "content_filter", "response_format"), 0 },
	{ 0, "{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"stream_options\"]}]}", WITHOUT_USAGE },
	{ 0, "[{\"error\":{\"code\":400,\"message\":\"Unknown name additionalProperties at response_schema\"}}]", WITHOUT_FORMAT },
	{ 0, "<html>400</html>", 0 },
	{ 0, "", 0 },
};

static void
refused_parameters_are_found(void **state)
{
	struct upstream_error e;

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		const char *body = refusals[i].body;

		upstream_error_read(&e, body, strlen(body));
		if (form_refused(refusals[i].without, &e, body, strlen(body)) != refusals[i].refused)
			fail_msg("%s", body);
	}
}

/* ---- what openai-node sends and gets ---- */

static struct json *
vectors(void)
{
	struct buf b = BUF_INIT(1 << 20);
	FILE *f = fopen(SRCDIR "/tests/vectors/openai-sdk.json", "rb");
	struct json *doc;
	char *p = buf_reserve(&b, 1 << 19);

	assert_non_null(f);
	assert_non_null(p);
	buf_grow(&b, fread(p, 1, 1 << 19, f));
	fclose(f);
	assert_int_equal(json_parse(b.data, b.len, &doc), HL_OK);
	buf_free(&b);
	return doc;
}

static const struct json *
scenario(const struct json *doc, const char *name)
{
	const struct json *all = json_get(doc, "scenarios");

	for (size_t i = 0; i < json_length(all); i++)
		if (strcmp(json_get_string(json_at(all, i), "name"), name) == 0)
			return json_at(all, i);
	fail_msg("no scenario %s", name);
	return NULL;
}

static void
chunks_of_the_sdk_are_understood(void **state)
{
	struct json *doc = vectors();
	const struct json *chunks = json_get(json_get(scenario(doc, "chat streamed with usage"), "result"), "ok");
	struct buf event = BUF_INIT(1 << 16), text = BUF_INIT(1024);
	struct model_answer a;
	struct completion c;
	const char *why;
	bool again;

	(void)state;
	model_answer_init(&a);
	completion_init(&c, true, &text);
	assert_true(json_length(chunks) > 2);
	for (size_t i = 0; i < json_length(chunks); i++) {
		buf_reset(&event);
		json_write(&event, json_at(chunks, i));
		assert_int_equal(completion_event(&c, event.data, event.len), HL_OK);
	}
	assert_int_equal(completion_end(&c, &a, &why, &again), HL_OK);
	assert_true(text.len > 0);
	assert_true(a.prompt_tokens > 0);
	assert_string_equal(a.finish, "stop");
	completion_free(&c);
	model_answer_free(&a);
	buf_free(&text);
	buf_free(&event);
	json_free(doc);
}

#define CHUNK(delta, more) "{\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}]" more "}"

/* Each line follows all those before it, and comes twice in a row. */
static const char *const pieces[] = {
	CHUNK("\"content\":\"a\"", ""), CHUNK("\"content\":\"bc \"", ""), CHUNK("\"content\":\"\"", ""),
	CHUNK("\"content\":\"\\\"\"", ""), CHUNK("\"content\":\"\\u00fc\\n\"", ""), CHUNK("\"content\":\"\\\\\"", ""),
	CHUNK("\"content\":\"d\",\"content\":\"e\"", ""), CHUNK("\"content\":\"f\",\"content\":\"e\"", ""),
	CHUNK("\"content\":\"g\",\"refusal\":\"h\"", ""), CHUNK("\"content\":\"i\",\"refusal\":\"h\"", ""),
	CHUNK("\"content\":\"j\",\"refusal\":\"\"", ""), CHUNK("\"content\":\"k\",\"refusal\":null", ""),
	CHUNK("\"content\":\"l\",\"refusal\":null", ""), CHUNK("\"content\":null", ""), CHUNK("\"content\":[{\"text\":\"m\"}]", ""),
	CHUNK("\"content\":[{\"text\":\"n\"}]", ""), CHUNK("\"content\":\"o\"", ",\"usage\":{\"completion_tokens\":7}"),
	CHUNK("\"content\":\"p\"", ",\"usage\":{\"completion_tokens\":7}"), CHUNK("\"content\":\"q\"", ",\"usage\":{\"completion_tokens\":8}"),
	"{\"choices\":[{\"delta\":{\"content\":\"r\"}},{\"delta\":{\"content\":\"s\"}}]}",
	"{\"choices\":[{\"delta\":{\"content\":\"t\"}},{\"delta\":{\"content\":\"s\"}}]}",
	"{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"u\"}}]}", "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"u\"}}]}",
	"{\"choices\":[]}", CHUNK("\"content\":\"v\",\"tool_calls\":[{}]", ""), CHUNK("\"content\":\"w\",\"tool_calls\":[{}]", ""),
	"{\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"length\"}]}",
	"{\"choices\":[{\"delta\":{\"content\":\"y\"},\"finish_reason\":\"length\"}]}", "[DONE]",
};

/* Both readers are given the same; one of them has to read every event. */
static enum hl_err
feed_both(struct completion *quick, struct completion *slow, const char *data, size_t len)
{
	char *copy = malloc(len ? len : 1);	/* so that a byte too many is seen */
	enum hl_err err;

	assert_non_null(copy);
	memcpy(copy, data, len);
	buf_reset(&slow->form);
	err = completion_event(slow, copy, len);
	assert_int_equal(completion_event(quick, copy, len), err);
	free(copy);
	assert_string_equal(TEXT(*quick->text), TEXT(*slow->text));
	assert_string_equal(TEXT(quick->content), TEXT(slow->content));
	assert_string_equal(quick->finish, slow->finish);
	assert_int_equal(quick->refusal, slow->refusal);
	assert_int_equal(quick->tool_calls, slow->tool_calls);
	assert_int_equal(quick->completion_tokens, slow->completion_tokens);
	return err;
}

static void
pieces_in_the_last_form_mean_what_they_say(void **state)
{
	struct buf quick_text = BUF_INIT(1 << 16), slow_text = BUF_INIT(1 << 16);
	struct completion quick, slow;

	(void)state;
	completion_init(&quick, false, &quick_text);
	completion_init(&slow, false, &slow_text);
	for (size_t i = 0; i < 2 * sizeof(pieces) / sizeof(*pieces); i++)
		assert_int_equal(feed_both(&quick, &slow, pieces[i / 2], strlen(pieces[i / 2])), HL_OK);
	completion_free(&quick);
	completion_free(&slow);
	buf_free(&quick_text);
	buf_free(&slow_text);
}

/* A piece with any byte replaced by any that means something, after the piece as it was. */
static void
broken_pieces_are_no_pieces(void **state)
{
	static const char piece[] = CHUNK("\"content\":\"so \u00fc\"", ""), odd[] = "\"\\{}[]:,n0 \n\x01\xc3\xbc\xff";
	unsigned refused = 0, taken = 0;

	(void)state;
	for (size_t at = 0; at < sizeof(piece) - 1; at++) {
		for (size_t i = 0; i < sizeof(odd) - 1; i++) {
			struct buf quick_text = BUF_INIT(4096), slow_text = BUF_INIT(4096);
			struct completion quick, slow;
			char changed[sizeof(piece)];

			memcpy(changed, piece, sizeof(piece));
			changed[at] = odd[i];
			completion_init(&quick, false, &quick_text);
			completion_init(&slow, false, &slow_text);
			assert_int_equal(feed_both(&quick, &slow, piece, sizeof(piece) - 1), HL_OK);
			*(feed_both(&quick, &slow, changed, sizeof(piece) - 1) ? &refused : &taken) += 1;
			completion_free(&quick);
			completion_free(&slow);
			buf_free(&quick_text);
			buf_free(&slow_text);
		}
	}
	assert_true(refused > 100 && taken > 100);
}

/* Every member that the SDK puts around a schema is in ours too, with a value of the same kind. */
static void
the_schema_is_wrapped_as_the_sdk_wraps_it(void **state)
{
	struct json *doc = vectors(), *ours = written(0), *theirs;
	const char *key, *body = json_get_string(json_at(json_get(scenario(doc, "chat json_schema"), "requests"), 0), "body");
	struct json_iter i;
	const struct json *value;

	(void)state;
	assert_int_equal(json_parse(body, strlen(body), &theirs), HL_OK);
	assert_string_equal(json_get_string(json_get(ours, "response_format"), "type"), "json_schema");
	i = (struct json_iter){ .object = json_get(json_get(theirs, "response_format"), "json_schema") };
	while (json_next(&i, &key, &value))
		assert_int_equal(json_kind(value),
		    json_kind(json_get(json_get(json_get(ours, "response_format"), "json_schema"), key)));
	json_free(theirs);
	json_free(ours);
	json_free(doc);
}

/* ---- retries ---- */

#define NOW	INT64_C(1793491200000)	/* Sun, 01 Nov 2026 00:00:00 GMT */

static void
waiting_times_are_read(void **state)
{
	(void)state;
	assert_int_equal(retry_after("50", "7", NOW), 50);
	assert_int_equal(retry_after("x", "7", NOW), 7000);
	assert_int_equal(retry_after(NULL, "0.5", NOW), 500);
	assert_int_equal(retry_after(NULL, "0", NOW), 0);
	assert_int_equal(retry_after(NULL, NULL, NOW), -1);
	assert_int_equal(retry_after(NULL, "-5", NOW), -1);
	assert_int_equal(retry_after(NULL, "soon", NOW), -1);
	assert_int_equal(retry_after(NULL, "", NOW), -1);
	assert_int_equal(retry_after(NULL, "99999999999999999999", NOW), -1);
	assert_int_equal(retry_after(NULL, "3 s", NOW), -1);
	assert_int_equal(retry_after(NULL, "Sun, 01 Nov 2026 00:00:05 GMT", NOW), 5000);
	assert_int_equal(retry_after(NULL, "Sat, 31 Oct 2026 23:59:59 GMT", NOW), 0);
	assert_int_equal(retry_after(NULL, "Mon, 99 Foo 2020", NOW), -1);
}

static void
only_what_can_pass_is_retried(void **state)
{
	static const int passing[] = { 408, 409, 429, 500, 502, 503, 504, 529 }, lasting[] = { 302, 400, 401, 402, 403, 404, 413, 422 };

	(void)state;
	for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
		assert_true(retry_helps(passing[i], "", NULL) && !retry_helps(passing[i], "", "false"));
	for (size_t i = 0; i < sizeof(lasting) / sizeof(*lasting); i++)
		assert_true(!retry_helps(lasting[i], "", NULL) && retry_helps(lasting[i], "", "true"));
	assert_false(retry_helps(429, "insufficient_quota", "true"));
	assert_true(retry_helps(429, "rate_limit_exceeded", "perhaps"));
}

static void
pauses_double_with_jitter(void **state)
{
	static const int64_t most[] = { 500, 1000, 2000, 4000, 8000, 8000 };
	int64_t low = 1000, high = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		int64_t wait = retry_backoff(0);

		low = wait < low ? wait : low;
		high = wait > high ? wait : high;
		assert_in_range(retry_backoff(i % 6), most[i % 6] * 3 / 4, most[i % 6]);
	}
	assert_true(high - low > 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_peeled_from_json_cut_anywhere),
		cmocka_unit_test(without_structure_json_is_text),
		cmocka_unit_test(answers_are_judged_by_how_they_end),
		cmocka_unit_test(the_members_are_taken),
		cmocka_unit_test(errors_are_read_in_every_shape),
		cmocka_unit_test(errors_within_an_answer_are_told),
		cmocka_unit_test(the_request_has_what_was_not_refused),
		cmocka_unit_test(a_prompt_without_system_message_still_explains),
		cmocka_unit_test(refused_parameters_are_found),
		cmocka_unit_test(chunks_of_the_sdk_are_understood),
		cmocka_unit_test(pieces_in_the_last_form_mean_what_they_say),
		cmocka_unit_test(broken_pieces_are_no_pieces),
		cmocka_unit_test(a_title_that_is_printed_is_cleaned),
		cmocka_unit_test(the_request_has_what_the_question_wants),
		cmocka_unit_test(the_schema_is_wrapped_as_the_sdk_wraps_it),
		cmocka_unit_test(waiting_times_are_read),
		cmocka_unit_test(only_what_can_pass_is_retried),
		cmocka_unit_test(pauses_double_with_jitter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
