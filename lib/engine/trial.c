#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/persona.h"
#include "engine/trial.h"

#define MESSAGE_MAX	(1024u * 1024)	/* as JSON */
#define VISITOR_MAX	8192u

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

static enum hl_err
add_entry(const struct talk_message *m, struct entries *list)
{
	struct buf entry = BUF_INIT(MESSAGE_MAX);
	char id[ID_LEN + 1];
	enum hl_err err;

	id_new(id);
	talk_message_write(&entry, m, clock_wall_ms());
	err = buf_err(&entry);
	if (err == HL_OK)
		err = entry_make((int64_t)list->count + 1, id, &entry, &list->list[list->count]);
	list->count += err == HL_OK;
	buf_free(&entry);
	return err;
}

/* What people of the company wrote. */
static enum hl_err
add_people(const struct entries *here, struct entries *list)
{
	enum hl_err err = HL_OK;

	for (const struct entry *e = here->list; err == HL_OK && e < here->list + here->count; e++) {
		if (!e->human)
			continue;
		err = entry_make((int64_t)list->count + 1, e->id, &e->text, &list->list[list->count]);
		list->count += err == HL_OK;
	}
	return err;
}

/* Whose conversation it is, as a lease says it: nobody's, or of a visitor whom a program names. */
static enum hl_err
name_visitor(const char *visitor, struct lease *l)
{
	buf_puts(&l->data_text, "{\"id\":\"\",\"userId\":");
	buf_json_str(&l->data_text, visitor);
	buf_putc(&l->data_text, '}');
	if (buf_err(&l->data_text))
		return buf_err(&l->data_text);
	return json_view_open(l->data_text.data, l->data_text.len, JSON_STRICT, &l->data);
}

/* The customer's mood before the messages that are to be answered, as far as rules can tell. */
static enum sentiment
mood_before(const struct talk *talk, size_t answered)
{
	for (size_t i = answered; i-- > 0; )
		if (talk->messages[i].user)
			return sentiment_of(talk->messages[i].text, talk->messages[i].len);
	return SENTIMENT_PENDING;
}

size_t
talk_answered(const struct talk *talk)
{
	size_t answered = talk->count;

	while (answered > 0 && talk->messages[answered - 1].user)
		answered--;
	return answered;
}

/* A turn that nobody has accepted: what follows the agent's last message is to be answered, behind what people wrote. */
static enum hl_err
make_lease(const struct agent *a, const struct talk *talk, struct lease *ret)
{
	size_t answered = talk_answered(talk), here = talk->here ? talk->here->count : 0;
	enum hl_err err;

	*ret = (struct lease){ .attempt = 1, .owner_ai = true,
		.data_text = BUF_INIT(VISITOR_MAX), .instructions = BUF_INIT(MESSAGE_MAX), .note = BUF_INIT(MESSAGE_MAX),
		.desk = { .desk = true, .title_by_person = true, .sentiment = mood_before(talk, answered) } };
	strcpy(ret->desk.account, a->owner);
	strcpy(ret->desk.agent, a->h);
	buf_add(&ret->instructions, talk->instructions, talk->instructions_len);
	err = buf_err(&ret->instructions);
	if (err == HL_OK)
		err = name_visitor(talk->visitor, ret);
	if (err == HL_OK && talk->note) {
		buf_add(&ret->note, talk->note->data, talk->note->len);
		err = buf_err(&ret->note);
	}
	ret->context.list = calloc(talk->count + here + 1, sizeof(*ret->context.list));
	if (err == HL_OK && ret->context.list == NULL)
		err = HL_NO_MEMORY;
	for (size_t i = 0; i <= talk->count && err == HL_OK; i++) {
		if (i == answered && here)
			err = add_people(talk->here, &ret->context);
		if (i == answered)
			ret->before = (int64_t)ret->context.count;
		if (i < talk->count && err == HL_OK)
			err = add_entry(&talk->messages[i], &ret->context);
	}
	ret->covered = (int64_t)ret->context.count;
	return err;
}

enum hl_err
trial_ask(const struct thinker *t, const struct agent *a, const char *message, size_t len, struct trial *ret,
    struct buf *problem)
{
	const struct talk_message one = { true, message, len };
	const struct talk talk = { .messages = &one, .count = 1, .instructions = "" };
	int64_t start = clock_mono_ms();
	struct verdict v;
	struct lease l;
	enum hl_err err = make_lease(a, &talk, &l);

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

enum hl_err
trial_talk(const struct thinker *t, const struct agent *a, const struct talk *talk, const char *told,
    enum hl_err (*delta)(void *, const char *, size_t), void *arg, struct verdict *ret)
{
	struct lease l;
	enum hl_err err = make_lease(a, talk, &l);

	l.relayed = told == NULL;
	snprintf(l.escalation_id, sizeof(l.escalation_id), "%s", told ? told : "");
	l.desk.anonymous = true;	/* whoever speaks has no token */
	if (err == HL_OK && l.before == l.covered && !providers_configured(t->providers)) {
		persona_welcome(a, &ret->text);
		ret->confidence = 1;
		err = buf_err(&ret->text);
	} else if (err == HL_OK)
		err = answer_think(t, &l, delta, arg, ret);
	lease_clear(&l);
	return err;
}
