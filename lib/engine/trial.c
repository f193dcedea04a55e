#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/trial.h"

#define MESSAGE_MAX	(1024u * 1024)	/* as JSON */

void
trial_free(struct trial *t)
{
	buf_free(&t->text);
}

static const char *
model_of(const struct conf *conf, const char *provider)
{
	if (str_equal(provider, "openai"))
		return conf->openai_model;
	if (str_equal(provider, "gemini"))
		return conf->gemini_model;
	return str_equal(provider, "fallback") ? conf->fallback_model : provider;
}

/* A turn that nobody has accepted: one message, of nobody, to this agent. */
static enum hl_err
make_lease(const struct agent *a, const char *message, size_t len, struct lease *ret)
{
	static const char nobody[] = "{\"id\":\"\",\"userId\":null}";
	struct buf entry = BUF_INIT(MESSAGE_MAX);
	char id[ID_LEN + 1];
	enum hl_err err;

	*ret = (struct lease){ .covered = 1, .attempt = 1, .owner_ai = true, .data_text = BUF_INIT(sizeof(nobody)),
		.desk = { .desk = true, .title_by_person = true, .sentiment = SENTIMENT_PENDING } };
	strcpy(ret->desk.account, a->owner);
	strcpy(ret->desk.agent, a->h);
	buf_puts(&ret->data_text, nobody);
	err = json_view_open(ret->data_text.data, ret->data_text.len, JSON_STRICT, &ret->data);
	ret->context.list = calloc(1, sizeof(*ret->context.list));
	if (err == HL_OK && ret->context.list == NULL)
		err = HL_NO_MEMORY;
	if (err)
		return err;
	id_new(id);
	buf_puts(&entry, "{\"role\":\"user\",\"content\":");
	buf_json(&entry, message, len);
	buf_printf(&entry, ",\"ts\":%lld}", (long long)clock_wall_ms());
	err = buf_err(&entry);
	if (err == HL_OK)
		err = entry_make(1, id, &entry, &ret->context.list[0]);
	ret->context.count = err == HL_OK;
	buf_free(&entry);
	return err;
}

enum hl_err
trial_ask(const struct thinker *t, const struct agent *a, const char *message, size_t len, struct trial *ret,
    struct buf *problem)
{
	int64_t start = clock_mono_ms();
	struct verdict v;
	struct lease l;
	enum hl_err err = make_lease(a, message, len, &l);

	*ret = (struct trial){ .text = BUF_INIT(ANSWER_MAX) };
	verdict_init(&v);
	if (err == HL_OK)
		err = answer_think(t, &l, NULL, NULL, &v);
	if (err == HL_OK && str_equal(v.reason, "ai_unavailable")) {
		buf_add(problem, v.problem.data, v.problem.len);
		err = HL_UPSTREAM;
	}
	if (err == HL_OK) {
		buf_add(&ret->text, v.text.data, v.text.len);
		ret->model = model_of(t->conf, v.provider);
		ret->prompt_tokens = v.prompt_tokens;
		ret->completion_tokens = v.completion_tokens;
		ret->latency_ms = clock_mono_ms() - start;
		err = buf_err(&ret->text);
	}
	verdict_free(&v);
	lease_clear(&l);
	return err;
}
