#include <string.h>
#include <strings.h>

#include "engine/form.h"

/* Only the provider knows whether these members are asked for, so only it explains them. */
static const char explanation[] =
    "Reply with one JSON object and nothing else: "
    "\"response\" is your reply to the customer, in the customer's language; "
    "\"confidence\" is how sure you are, from 0 to 1, that the reply is right and answers the question; "
    "\"intents\" lists what the customer wants; \"sentiment\" is the mood of the customer's last message, "
    "\"urgent\" when it cannot wait; "
    "\"wants_person\" is true when the customer asks for a human being, in whatever words.";
static const char title_explanation[] =
    " \"title\" says in three to six words, without quotation marks, what the conversation is about.";

/* "response" comes first: it is shown while it is written. */
static const char schema[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"response\":{\"type\":\"string\"},"
    "\"confidence\":{\"type\":\"number\"},"
    "\"intents\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
    "\"enum\":[\"question\",\"support\",\"purchase\",\"cancellation\",\"general\"]}},"
    "\"sentiment\":{\"type\":\"string\",\"enum\":[\"positive\",\"negative\",\"neutral\",\"urgent\"]},"
    "\"wants_person\":{\"type\":\"boolean\"}";
static const char schema_title[] = ",\"title\":{\"type\":\"string\"}";
static const char schema_required[] =
    "},\"required\":[\"response\",\"confidence\",\"intents\",\"sentiment\",\"wants_person\"";

static void
write_message(struct buf *b, const char *role, const char *text, size_t len)
{
	buf_printf(b, "{\"role\":\"%s\",\"content\":", role);
	buf_json(b, text, len);
	buf_putc(b, '}');
}

/* The leading system messages are one; returns how many they were. */
static size_t
write_system(struct buf *b, const struct question *q, bool explain)
{
	size_t n = 0;

	while (n < q->count && q->messages[n].role == ROLE_SYSTEM)
		n++;
	if (n == 0 && !explain)
		return 0;
	buf_puts(b, "{\"role\":\"system\",\"content\":\"");
	for (size_t i = 0; i < n; i++)
		buf_json_part(b, q->messages[i].text, q->messages[i].len);
	if (explain) {
		if (n)
			buf_puts(b, "\\n\\n");
		buf_json_part(b, explanation, sizeof(explanation) - 1);
		if (q->want_title)
			buf_json_part(b, title_explanation, sizeof(title_explanation) - 1);
	}
	buf_puts(b, "\"}");
	return n;
}

static void
write_messages(struct buf *b, const struct question *q, bool explain)
{
	static const char *const roles[] = { "system", "user", "assistant" };

	for (size_t i = write_system(b, q, explain); i < q->count; i++) {
		if (b->len && b->data[b->len - 1] == '}')
			buf_putc(b, ',');
		write_message(b, roles[q->messages[i].role], q->messages[i].text, q->messages[i].len);
	}
}

static void
write_schema(struct buf *b, bool want_title, bool closed)
{
	buf_puts(b, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\","
	    "\"strict\":true,\"schema\":");
	buf_puts(b, schema);
	if (want_title)
		buf_puts(b, schema_title);
	buf_puts(b, schema_required);
	buf_puts(b, want_title ? ",\"title\"]" : "]");
	buf_puts(b, closed ? ",\"additionalProperties\":false}}}" : "}}}");
}

void
form_write(struct buf *b, const struct form *f, const struct question *q)
{
	bool structured = !(f->without & WITHOUT_FORMAT), streamed = !(f->without & WITHOUT_STREAM);

	buf_puts(b, "{\"model\":");
	buf_json_str(b, f->model);
	buf_puts(b, ",\"messages\":[");
	write_messages(b, q, structured);
	buf_printf(b, "],\"stream\":%s", streamed ? "true" : "false");
	if (streamed && !(f->without & WITHOUT_USAGE))
		buf_puts(b, ",\"stream_options\":{\"include_usage\":true}");
	if (!(f->without & WITHOUT_LIMIT)) {
		buf_puts(b, f->without & WITHOUT_NEW_LIMIT ? ",\"max_tokens\":" : ",\"max_completion_tokens\":");
		buf_int(b, q->max_tokens ? q->max_tokens : f->max_tokens);
	}
	if (q->has_temperature && !(f->without & WITHOUT_TEMPERATURE))
		buf_printf(b, ",\"temperature\":%.3g", q->temperature);
	if (structured)
		write_schema(b, q->want_title, !(f->without & WITHOUT_CLOSED_SCHEMA));
	buf_putc(b, '}');
}

/* ---- what a server refuses ---- */

static const struct {
	const char	*name;
	enum form_without without;
	bool		 in_text;	/* believed when the sentence has it; "stream" is too common a word */
} refusable[] = {
	{ "response_format", WITHOUT_FORMAT, true },
	{ "schema", WITHOUT_FORMAT, true },
	{ "structured output", WITHOUT_FORMAT, true },
	{ "grammar", WITHOUT_FORMAT, true },		/* llama.cpp's word for it */
	{ "stream_options", WITHOUT_USAGE, true },
	{ "include_usage", WITHOUT_USAGE, true },
	{ "stream", WITHOUT_STREAM, false },
	{ "max_completion_tokens", WITHOUT_NEW_LIMIT, true },
	{ "max_tokens", WITHOUT_LIMIT, true },
	{ "temperature", WITHOUT_TEMPERATURE, true },
};

static unsigned
sent(unsigned without)
{
	unsigned limit = without & WITHOUT_LIMIT ? 0 :
	    without & WITHOUT_NEW_LIMIT ? WITHOUT_LIMIT : WITHOUT_NEW_LIMIT;

	return limit | (~without & (WITHOUT_FORMAT | WITHOUT_STREAM | WITHOUT_TEMPERATURE)) |
	    (without & WITHOUT_STREAM ? 0 : ~without & WITHOUT_USAGE);
}

static bool
mentions(const char *body, size_t len, const char *words)
{
	size_t n = strlen(words);

	for (size_t i = 0; i + n <= len; i++)
		if (strncasecmp(body + i, words, n) == 0)
			return true;
	return false;
}

/* Complaints that only sound like one about a parameter. */
static bool
about_something_else(const struct upstream_error *e, const char *body, size_t len)
{
	return strstr(e->code, "context") || strcmp(e->code, "content_filter") == 0 ||
	    mentions(body, len, "context length");
}

unsigned
form_refused(unsigned without, const struct upstream_error *e, const char *body, size_t len)
{
	unsigned can = sent(without), named = 0;

	if (about_something_else(e, body, len))
		return 0;
	for (size_t i = 0; i < sizeof(refusable) / sizeof(*refusable); i++) {
		if (!(can & refusable[i].without))
			continue;
		if (e->param[0] ? strcmp(e->param, refusable[i].name) == 0
		    : refusable[i].in_text && mentions(body, len, refusable[i].name))
			named |= refusable[i].without;
	}
	if (named || e->param[0] || strncmp(e->code, "unsupported_", 12) != 0)
		return named;
	named = can & ~(unsigned)(WITHOUT_STREAM | WITHOUT_TEMPERATURE);	/* it does not say which */
	return named ? named : can & WITHOUT_TEMPERATURE;
}
