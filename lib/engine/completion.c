#include <stdio.h>
#include <string.h>

#include "base/json_view.h"
#include "base/str.h"
#include "engine/completion.h"

#define CONTENT_MAX		(512u * 1024)
#define FORM_MAX		1024u
#define DOUBTFUL		0.2	/* the confidence of a refusal and of a filtered answer */

void
completion_init(struct completion *c, bool structured, struct buf *text)
{
	*c = (struct completion){
		.structured = structured, .text = text,
		.content = BUF_INIT(CONTENT_MAX), .error = BUF_INIT(ERROR_BODY_MAX), .form = BUF_INIT(FORM_MAX)
	};
	peel_init(&c->peel, structured);
}

void
completion_free(struct completion *c)
{
	buf_free(&c->content);
	buf_free(&c->error);
	buf_free(&c->form);
}

/* ---- JSON from afar ---- */

/* The escapes of a text that was cut in the middle of a surrogate pair, as characters; others stay. */
static void
mend(struct buf *out, const char *s, size_t len)
{
	const char *end = s + len, *escape;
	size_t used = 0;
	uint32_t c;

	while ((escape = memchr(s, '\\', (size_t)(end - s))) != NULL && end - escape > 1) {
		buf_add(out, s, (size_t)(escape - s));
		c = escape[1] == 'u' ? peel_escape(escape, (size_t)(end - escape), &used) : 0;
		if (c >= 0x80 && used)
			utf8_put(out, c);
		else {
			buf_add(out, escape, 2);
			used = 2;
		}
		s = escape + used;
	}
	buf_add(out, s, (size_t)(end - s));
}

/*
 * As json_parse(), but lone surrogates and \u0000 are forgiven: servers that cut UTF-16 into tokens send
 * them.
 */
static enum hl_err
parse(const char *text, size_t len, struct json **ret_doc)
{
	struct buf mended = BUF_INIT(2 * CONTENT_MAX);
	enum hl_err err = json_parse(text, len, ret_doc);

	if (err != HL_BAD_JSON || memmem(text, len, "\\u", 2) == NULL)
		return err;
	mend(&mended, text, len);
	err = buf_err(&mended);
	if (err == HL_OK)
		err = json_parse(mended.data, mended.len, ret_doc);
	buf_free(&mended);
	return err;
}

/* Letters, digits, _ . - of a word; it may go to the log. */
static void
copy_word(char *out, size_t size, const char *word)
{
	size_t n = 0;

	for (; word && *word && n + 1 < size; word++)
		if ((*word >= '0' && *word <= '9') || ((*word | 32) >= 'a' && (*word | 32) <= 'z') ||
		    strchr("_.-", *word))
			out[n++] = *word;
	out[n] = '\0';
}

/* ---- errors ---- */

static const struct json *
error_of(const struct json *doc)
{
	const struct json *error, *root = json_kind(doc) == JSON_ARRAY ? json_at(doc, 0) : doc;
	const char *object = json_get_string(root, "object");

	error = json_get(root, "error");
	if (json_kind(error) == JSON_OBJECT || (json_kind(error) == JSON_STRING && *json_string(error, NULL)))
		return error;
	return object && strcmp(object, "error") == 0 ? root : NULL;	/* old vLLM */
}

static const char *
error_word(const struct json *error)
{
	static const char *const names[] = { "code", "type", "status" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *word = json_get_string(error, names[i]);

		if (word && *word)
			return word;
	}
	return "";
}

void
upstream_error_read(struct upstream_error *e, const char *body, size_t len)
{
	const struct json *error;
	struct json *doc = NULL;
	int64_t code;

	*e = (struct upstream_error){ 0 };
	if (parse(body, len, &doc) != HL_OK)
		return;
	error = error_of(doc);
	copy_word(e->code, sizeof(e->code), error_word(error));
	copy_word(e->param, sizeof(e->param), json_get_string(error, "param"));
	e->param[strcspn(e->param, ".[")] = '\0';
	if (json_integer(json_get(error, "code"), &code) && code >= 400 && code < 600)
		e->status = (int)code;
	json_free(doc);
}

/* ---- one event ---- */

/* A string, or an array of parts with texts. */
static void
take_content(struct completion *c, struct json_view content)
{
	struct json_view part = { 0 };

	if (json_view_string(content, &c->content))
		peel_more(&c->peel, &c->content, c->text);
	while (json_view_next(content, &part))
		if (json_view_string(json_view_get(part, "text"), &c->content))
			peel_more(&c->peel, &c->content, c->text);
}

/*
 * Most events of a stream are the last one with another text: such a one is known by its bytes before and behind the text,
 * and need not be read as JSON.  What else stands in it has been taken, and taking it again would change nothing: so those
 * that refuse, or say something in several places, are never the form.
 */
static void
learn_form(struct completion *c, const char *data, size_t len, struct json_view content)
{
	buf_reset(&c->form);
	if (json_view_kind(content) != JSON_STRING || len > FORM_MAX)
		return;
	buf_add(&c->form, data, len);
	c->said_at = (size_t)(content.at + 1 - data);
	c->said_end = (size_t)(content.end - 1 - data);
}

static bool
take_in_form(struct completion *c, const char *data, size_t len)
{
	size_t behind, said;

	if (c->form.len == 0 || len < c->said_at + c->form.len - c->said_end)
		return false;
	behind = c->form.len - c->said_end;
	said = len - c->said_at - behind;
	if (memcmp(data, c->form.data, c->said_at) != 0 || memcmp(data + len - behind, c->form.data + c->said_end, behind) != 0)
		return false;
	data += c->said_at;
	if (str_json_plain(data, data + said) != said || !utf8_valid(data, said))
		return false;
	buf_add(&c->content, data, said);
	peel_more(&c->peel, &c->content, c->text);
	return true;
}

static void
take_finish(struct completion *c, struct json_view finish)
{
	struct buf word = BUF_INIT(sizeof(c->finish));

	if (json_view_string(finish, &word) && word.len)
		copy_word(c->finish, sizeof(c->finish), word.data);
	buf_free(&word);
}

/* Returns its text if it has nothing that could not be taken twice. */
static struct json_view
take_choice(struct completion *c, struct json_view choice)
{
	static const char *const in_choice[] = { "delta", "message", "index", "finish_reason" };
	static const char *const in_piece[] = { "content", "refusal", "tool_calls", "function_call" };
	struct json_view said[4], piece[4], call = { 0 }, none = { 0 };
	int64_t index = 0;
	size_t before;

	json_view_members(choice, in_choice, said, 4);
	if (json_view_integer(said[2], &index) && index != 0)
		return none;
	json_view_members(json_view_kind(said[0]) == JSON_OBJECT ? said[0] : said[1], in_piece, piece, 4);
	take_content(c, piece[0]);
	before = c->text->len;
	if (json_view_string(piece[1], c->text) && c->text->len > before)
		c->refusal = true;
	if (json_view_next(piece[2], &call) || json_view_kind(piece[3]) == JSON_OBJECT)
		c->tool_calls = true;
	take_finish(c, said[3]);
	return json_view_kind(piece[1]) == JSON_STRING ? none : piece[0];
}

static void
take_count(struct json_view usage, const char *name, int64_t *count)
{
	int64_t n;

	if (json_view_integer(json_view_get(usage, name), &n) && n >= 0)
		*count = n;
}

/* Whether error_of() may find something in it: few documents are worth its tree. */
static bool
may_be_error(struct json_view doc, struct json_view error, struct json_view object)
{
	enum json_kind kind = json_view_kind(error);

	return json_view_kind(doc) != JSON_OBJECT || (kind != JSON_NONE && kind != JSON_NULL) || json_view_is(object, "error");
}

static enum hl_err
take_error(struct completion *c, const char *data, size_t len)
{
	struct json *doc;
	enum hl_err err = parse(data, len, &doc);

	if (err == HL_OK && error_of(doc)) {
		buf_reset(&c->error);
		buf_add(&c->error, data, len);
		err = HL_UPSTREAM;
	}
	json_free(doc);
	return err;
}

enum hl_err
completion_event(struct completion *c, const char *data, size_t len)
{
	static const char *const names[] = { "error", "object", "usage", "choices", "system_fingerprint" };
	struct json_view doc, member[5], choice = { 0 }, text = { 0 };
	unsigned choices = 0;
	enum hl_err err;

	if (json_space(data, data + len) == data + len)
		return HL_OK;
	if (len >= 6 && memcmp(data, "[DONE]", 6) == 0) {
		c->over = true;
		return HL_OK;
	}
	if (take_in_form(c, data, len))
		return buf_err(&c->content) ? buf_err(&c->content) : buf_err(c->text);
	err = json_view_open(data, len, JSON_JS, &doc);
	if (err)
		return err;
	json_view_members(doc, names, member, 5);
	if (may_be_error(doc, member[0], member[1]) && (err = take_error(c, data, len)) != HL_OK)
		return err;
	take_count(member[2], "prompt_tokens", &c->prompt_tokens);
	take_count(member[2], "completion_tokens", &c->completion_tokens);
	for (; json_view_next(member[3], &choice); choices++)
		text = take_choice(c, choice);
	if (choices != 1)
		text = (struct json_view){ 0 };
	learn_form(c, data, len, text);
	c->ollama = c->ollama || json_view_is(member[4], "fp_ollama");
	return buf_err(&c->content) ? buf_err(&c->content) : buf_err(c->text);
}

/* ---- the end ---- */

static void
copy_said(char out[16], struct json_view said)
{
	struct buf text = BUF_INIT(CONTENT_MAX);

	if (json_view_string(said, &text) && text.len)
		snprintf(out, 16, "%.*s", (int)utf8_cut(text.data, text.len, 15), text.data);
	buf_free(&text);
}

static void
copy_title(char out[TITLE_MAX + 1], struct json_view said)
{
	struct buf text = BUF_INIT(CONTENT_MAX);

	if (json_view_string(said, &text) && text.len)
		(void)title_clean(text.data, text.len, out);
	buf_free(&text);
}

/* What is not in its range was not said; the rules of insight.h stand in. */
static void
take_members(struct model_answer *a, const struct json_view *member)
{
	struct json_view intent = { 0 };
	double confidence;

	a->structured = true;
	a->has_confidence = json_view_number(member[1], &confidence) && confidence >= 0 && confidence <= 1;
	if (a->has_confidence)
		a->confidence = confidence;
	a->wants_person = json_view_kind(member[2]) == JSON_BOOL && *member[2].at == 't';
	copy_said(a->sentiment, member[3]);
	while (json_view_next(member[4], &intent) && a->intent_count < 4)
		if (json_view_kind(intent) == JSON_STRING)
			copy_said(a->intents[a->intent_count++], intent);
	copy_title(a->title, member[5]);
}

/*
 * The object is judged now that it is whole.  Cut before the end of its text, it stands only if the model
 * ran into the length limit; one without "response" is the text itself.
 */
static enum hl_err
take_object(struct completion *c, struct model_answer *a)
{
	static const char *const names[] = { "response", "confidence", "wants_person", "sentiment", "intents",
		"title" };
	const char *from = c->content.data + c->peel.object, *end = c->content.data + c->content.len;
	const char *stop = json_skip(from, end, JSON_JS);
	struct json_view member[6];

	if (stop) {
		json_view_members((struct json_view){ from, stop }, names, member, 6);
		if (json_view_kind(member[0]) == JSON_STRING)
			take_members(a, member);
	}
	if (peel_complete(&c->peel))
		return HL_OK;
	if (stop && c->text->len == 0)
		buf_add(c->text, from, (size_t)(end - from));
	return stop || strcmp(c->finish, "length") == 0 ? HL_OK : HL_BAD_JSON;
}

static const char *
why_empty(const struct completion *c, bool *again)
{
	bool filtered = strcmp(c->finish, "content_filter") == 0;

	*again = !filtered && !c->tool_calls;
	return filtered ? "filtered" : c->tool_calls ? "a tool call instead of an answer" : "an empty answer";
}

enum hl_err
completion_end(struct completion *c, struct model_answer *a, const char **why, bool *again)
{
	bool filtered = strcmp(c->finish, "content_filter") == 0;

	*again = true;
	a->prompt_tokens = c->prompt_tokens;
	a->completion_tokens = c->completion_tokens;
	memcpy(a->finish, c->finish, sizeof(a->finish));
	*why = c->finish[0] ? "the model's server gave up" : "cut off, no finish_reason";
	if (c->finish[0] == '\0' || strcmp(c->finish, "error") == 0)
		return HL_UPSTREAM;
	peel_end(&c->peel, &c->content, c->text);
	*why = "broken JSON";
	if (!c->refusal && peel_is_json(&c->peel) && take_object(c, a) != HL_OK)
		return HL_UPSTREAM;
	*why = why_empty(c, again);
	if (str_blank(c->text->data, c->text->len))
		return HL_UPSTREAM;
	if (c->refusal || filtered) {
		a->has_confidence = true;
		a->confidence = DOUBTFUL;
	}
	return buf_err(c->text);
}
