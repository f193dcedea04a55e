#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/openai.h"
#include "base/str.h"
#include "desk/completion.h"

#define MESSAGES_MAX	4096
#define MODEL_MAX	256
#define VISITOR_MAX	256
#define PLACE_MAX	56

void
completion_request_free(struct completion_request *r)
{
	free(r->messages);
	buf_free(&r->text);
	buf_free(&r->instructions);
}

/* ---- OpenAI's sentences ---- */

static const char *
kind_name(const struct json *v)
{
	static const char *const names[] = { "nothing", "null", "a boolean", "a number", "a string", "an array", "an object" };

	return names[json_kind(v)];
}

static enum hl_err
missing(struct call *call, const char *param)
{
	return openai_fail(call, param, "missing_required_parameter", "Missing required parameter: '%s'.", param);
}

static enum hl_err
wrong_type(struct call *call, const char *param, const char *expected, const struct json *v)
{
	return openai_fail(call, param, "invalid_type", "Invalid type for '%s': expected %s, but got %s instead.", param, expected,
	    kind_name(v));
}

static enum hl_err
unsupported(struct call *call, const char *param, const char *sentence)
{
	return openai_fail(call, param, "unsupported_value", "Unsupported value: '%s' %s", param, sentence);
}

static bool
is_given(const struct json *v)
{
	return json_kind(v) != JSON_NONE && json_kind(v) != JSON_NULL;
}

/* ---- what is said beside the messages ---- */

static enum hl_err
read_flag(struct call *call, const struct json *from, const char *member, const char *param, bool *ret)
{
	const struct json *v = json_get(from, member);

	*ret = json_true(v);
	return is_given(v) && json_kind(v) != JSON_BOOL ? wrong_type(call, param, "a boolean", v) : HL_OK;
}

static enum hl_err
read_stream(struct call *call, struct completion_request *r)
{
	const struct json *options = json_get(call->body, "stream_options");
	enum hl_err err = read_flag(call, call->body, "stream", "stream", &r->stream);

	if (err || !is_given(options))
		return err;
	if (json_kind(options) != JSON_OBJECT)
		return wrong_type(call, "stream_options", "an object", options);
	if (!r->stream)
		return openai_fail(call, "stream_options", NULL, "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
	return read_flag(call, options, "include_usage", "stream_options.include_usage", &r->usage);
}

/* The agent's own settings decide these; nonsense is told all the same. */
static enum hl_err
check_numbers(struct call *call)
{
	static const struct { const char *name; double least, most; bool whole; } numbers[] = {
		{ "temperature", 0, 2, false }, { "top_p", 0, 1, false }, { "presence_penalty", -2, 2, false },
		{ "frequency_penalty", -2, 2, false }, { "max_tokens", 1, 1e9, true }, { "max_completion_tokens", 1, 1e9, true },
		{ "seed", -1e15, 1e15, true }, { "n", 1, 128, true },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct json *v = json_get(call->body, numbers[i].name);
		const char *expected = numbers[i].whole ? "an integer" : "a decimal";
		int64_t whole;
		double n;

		if (!is_given(v))
			continue;
		if (!json_number(v, &n) || (numbers[i].whole && !json_integer(v, &whole)))
			return wrong_type(call, numbers[i].name, expected, v);
		if (n < numbers[i].least || n > numbers[i].most)
			return openai_fail(call, numbers[i].name, numbers[i].whole ? "integer_out_of_range" : "decimal_out_of_range",
			    "Invalid '%s': expected a value from %.15g to %.15g, but got %.15g instead.", numbers[i].name,
			    numbers[i].least, numbers[i].most, n);
	}
	return HL_OK;
}

/* "auto" and "none" leave it to the agent, who calls no tool. */
static bool
must_call(const struct json *choice)
{
	const char *word = json_string(choice, NULL);

	return json_kind(choice) == JSON_OBJECT || (word && strcmp(word, "auto") != 0 && strcmp(word, "none") != 0);
}

static bool
wants_sound(const struct json *modalities)
{
	for (size_t i = 0; i < json_length(modalities); i++)
		if (!str_equal(json_string(json_at(modalities, i), NULL), "text"))
			return true;
	return false;
}

/* What would be another kind of answer. */
static enum hl_err
check_kind(struct call *call)
{
	const struct json *body = call->body;
	const char *format = json_get_string(json_get(body, "response_format"), "type");
	int64_t n;

	if (json_integer(json_get(body, "n"), &n) && n != 1)
		return unsupported(call, "n", "must be 1: an agent gives one answer.");
	if (is_given(json_get(body, "response_format")) && !str_equal(format, "text"))
		return unsupported(call, "response_format", "must be of type 'text': an agent speaks to customers.");
	if (must_call(json_get(body, "tool_choice")))
		return unsupported(call, "tool_choice", "must be 'auto' or 'none': an agent calls no tools.");
	if (must_call(json_get(body, "function_call")))
		return unsupported(call, "function_call", "must be 'auto' or 'none': an agent calls no functions.");
	if (json_true(json_get(body, "logprobs")))
		return unsupported(call, "logprobs", "must be false.");
	if (wants_sound(json_get(body, "modalities")))
		return unsupported(call, "modalities", "must be ['text'].");
	if (is_given(json_get(body, "stop")))
		return openai_fail(call, "stop", "unsupported_parameter", "Unsupported parameter: 'stop' is not supported with this model.");
	return HL_OK;
}

/* Who speaks, as the caller calls him. */
static enum hl_err
read_visitor(struct call *call, struct completion_request *r)
{
	static const char *const names[] = { "safety_identifier", "user", "prompt_cache_key" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct json *v = json_get(call->body, names[i]);
		size_t len;
		const char *text = json_string(v, &len);

		if (is_given(v) && text == NULL)
			return wrong_type(call, names[i], "a string", v);
		if (text && len > VISITOR_MAX)
			return openai_fail(call, names[i], "string_above_max_length", "Invalid '%s': string too long. Expected at most %d bytes.",
			    names[i], VISITOR_MAX);
		if (text && *text && r->talk.visitor == NULL)
			r->talk.visitor = text;
		if (text && *text && i < 2 && r->talk.customer == NULL)
			r->talk.customer = text;	/* the third says no more than what is alike */
	}
	return HL_OK;
}

/* What the program knows the conversation by; the rest of its metadata is its own. */
static enum hl_err
read_conversation(struct call *call, struct completion_request *r)
{
	const struct json *metadata = json_get(call->body, "metadata"), *v = json_get(metadata, "conversationId");
	size_t len = 0;
	const char *text = json_string(v, &len);

	if (is_given(metadata) && json_kind(metadata) != JSON_OBJECT)
		return wrong_type(call, "metadata", "an object", metadata);
	if (is_given(v) && text == NULL)
		return wrong_type(call, "metadata.conversationId", "a string", v);
	if (len > VISITOR_MAX)
		return openai_fail(call, "metadata.conversationId", "string_above_max_length", "Invalid 'metadata.conversationId': string too "
		    "long. Expected at most %d bytes.", VISITOR_MAX);
	r->talk.conversation = len ? text : NULL;
	return HL_OK;
}

static enum hl_err
read_model(struct call *call, struct completion_request *r)
{
	const struct json *v = json_get(call->body, "model");
	size_t len = 0;

	if (!is_given(v))
		return missing(call, "model");
	r->model = json_string(v, &len);
	if (r->model == NULL)
		return wrong_type(call, "model", "a string", v);
	if (len == 0)
		return missing(call, "model");
	if (len > MODEL_MAX)
		return openai_fail(call, "model", "string_above_max_length", "Invalid 'model': string too long. Expected at most %d bytes.",
		    MODEL_MAX);
	return HL_OK;
}

/* ---- messages ---- */

enum said_by { SPEAKER_PROGRAM, SPEAKER_USER, SPEAKER_AGENT, SPEAKER_TOOL };

static enum hl_err
read_speaker(struct call *call, const struct json *message, size_t at, enum said_by *ret)
{
	static const struct { const char *role; enum said_by speaker; } roles[] = {
		{ "system", SPEAKER_PROGRAM }, { "developer", SPEAKER_PROGRAM }, { "user", SPEAKER_USER },
		{ "assistant", SPEAKER_AGENT }, { "tool", SPEAKER_TOOL }, { "function", SPEAKER_TOOL },
	};
	const struct json *v = json_get(message, "role");
	const char *role = json_string(v, NULL);
	char param[PLACE_MAX];

	snprintf(param, sizeof(param), "messages[%zu].role", at);
	if (!is_given(v))
		return missing(call, param);
	if (role == NULL)
		return wrong_type(call, param, "a string", v);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(role, roles[i].role) == 0) {
			*ret = roles[i].speaker;
			return HL_OK;
		}
	return openai_fail(call, param, "invalid_value", "Invalid value for '%s'. Supported values are: 'system', 'assistant', 'user', "
	    "'function', 'tool', and 'developer'.", param);
}

/* A part of a content: text, or what an assistant has refused to say. */
static enum hl_err
read_part(struct call *call, const struct json *part, size_t message, size_t at, struct buf *out)
{
	const char *type = json_get_string(part, "type");
	const char *member = str_equal(type, "refusal") ? "refusal" : "text", *text;
	char param[PLACE_MAX];
	size_t len;

	snprintf(param, sizeof(param), "messages[%zu].content[%zu]", message, at);
	if (json_kind(part) != JSON_OBJECT)
		return wrong_type(call, param, "an object", part);
	snprintf(param, sizeof(param), "messages[%zu].content[%zu].type", message, at);
	if (type == NULL)
		return missing(call, param);
	if (strcmp(type, member) != 0)
		return openai_fail(call, param, "invalid_value", "Invalid content type. Only text is supported by this model.");
	snprintf(param, sizeof(param), "messages[%zu].content[%zu].%s", message, at, member);
	text = json_string(json_get(part, member), &len);
	if (text == NULL)
		return wrong_type(call, param, "a string", json_get(part, member));
	buf_add(out, text, len);
	return HL_OK;
}

/* The text of a message: *ret_text is NULL until all of r->text is there, if it came in parts. */
static enum hl_err
read_content(struct call *call, const struct json *message, size_t at, enum said_by speaker, struct completion_request *r,
    const char **ret_text, size_t *ret_len)
{
	const struct json *v = json_get(message, "content");
	size_t before = r->text.len;
	char param[PLACE_MAX];
	enum hl_err err = HL_OK;

	snprintf(param, sizeof(param), "messages[%zu].content", at);
	*ret_len = 0;
	*ret_text = json_string(v, ret_len);
	if (*ret_text || (!is_given(v) && speaker == SPEAKER_AGENT))
		return HL_OK;
	if (json_kind(v) == JSON_NONE)
		return missing(call, param);
	if (json_kind(v) != JSON_ARRAY)
		return wrong_type(call, param, "a string or an array of objects", v);
	for (size_t i = 0; i < json_length(v) && err == HL_OK; i++)
		err = read_part(call, json_at(v, i), at, i, &r->text);
	*ret_len = r->text.len - before;
	return err ? err : buf_err(&r->text);
}

static enum hl_err
read_message(struct call *call, const struct json *message, size_t at, struct completion_request *r)
{
	enum said_by speaker = SPEAKER_TOOL;
	char param[PLACE_MAX];
	const char *text;
	enum hl_err err;
	size_t len;

	snprintf(param, sizeof(param), "messages[%zu]", at);
	if (json_kind(message) != JSON_OBJECT)
		return wrong_type(call, param, "an object", message);
	err = read_speaker(call, message, at, &speaker);
	if (err || speaker == SPEAKER_TOOL)
		return err;
	err = read_content(call, message, at, speaker, r, &text, &len);
	if (err || len == 0)
		return err;
	if (speaker == SPEAKER_PROGRAM) {
		buf_puts(&r->instructions, r->instructions.len ? "\n\n" : "");
		buf_add(&r->instructions, text ? text : r->text.data + r->text.len - len, len);
		return buf_err(&r->instructions);
	}
	r->messages[r->talk.count++] = (struct talk_message){ speaker == SPEAKER_USER, text, len };
	return HL_OK;
}

/* Texts in parts are one behind the other in r->text, which does not move any more. */
static void
place_texts(struct completion_request *r, const size_t *offsets)
{
	for (size_t i = 0; i < r->talk.count; i++)
		if (r->messages[i].text == NULL)
			r->messages[i].text = r->text.data + offsets[i];
}

static enum hl_err
read_messages(struct call *call, struct completion_request *r)
{
	const struct json *list = json_get(call->body, "messages");
	size_t *offsets, count = json_length(list);
	enum hl_err err = HL_OK;

	if (!is_given(list))
		return missing(call, "messages");
	if (json_kind(list) != JSON_ARRAY)
		return wrong_type(call, "messages", "an array of objects", list);
	if (count == 0)
		return openai_fail(call, "messages", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum "
		    "length 1, but got an empty array instead.");
	if (count > MESSAGES_MAX)
		return openai_fail(call, "messages", "array_above_max_length", "Invalid 'messages': array too long. Expected an array with "
		    "maximum length %d, but got an array with length %zu instead.", MESSAGES_MAX, count);
	offsets = calloc(count, sizeof(*offsets));
	r->messages = calloc(count, sizeof(*r->messages));
	if (offsets == NULL || r->messages == NULL)
		err = HL_NO_MEMORY;
	for (size_t i = 0; i < count && err == HL_OK; i++) {
		offsets[r->talk.count] = r->text.len;
		err = read_message(call, json_at(list, i), i, r);
	}
	if (err == HL_OK)
		place_texts(r, offsets);
	free(offsets);
	return err;
}

enum hl_err
completion_request_read(struct call *call, struct completion_request *r)
{
	enum hl_err err;

	*r = (struct completion_request){ .text = BUF_INIT(COMPLETION_TEXT_MAX), .instructions = BUF_INIT(COMPLETION_TEXT_MAX) };
	if ((err = read_model(call, r)) || (err = read_messages(call, r)) || (err = read_stream(call, r)) ||
	    (err = check_numbers(call)) || (err = check_kind(call)) || (err = read_visitor(call, r)) || (err = read_conversation(call, r)))
		return err;
	r->talk.messages = r->messages;
	r->talk.instructions = r->instructions.len ? r->instructions.data : "";
	r->talk.instructions_len = r->instructions.len;
	return HL_OK;
}
