#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/figures.h"
#include "engine/relay.h"
#include "records/relayed.h"

#define WHO_MAX		8192u
#define TEXT_MAX	(1u << 20)
#define TAIL		16	/* newest messages here, among which is what the customer said before */
#define MISSED_MOST	4	/* exchanges in a row; with more the program speaks of something else */

/* ---- which conversation ---- */

/* HL_NOT_FOUND: the account has none with this id. */
static enum hl_err
look_at(struct relay *r, const char *id)
{
	struct store *s = r->thinker->store;
	const struct desk_access own = { .account = r->agent->owner };
	struct desk_conversation found = { 0 };
	enum hl_err err = desk_read(s, &own, id, DESK_NO_MESSAGES, &found);

	if (err == HL_OK) {
		r->stored = true;
		strcpy(r->id, found.id);
		r->seq = found.seq;
		err = conversation_owner(s, &found.place, &r->owner);
		desk_clear(&found);
	}
	return err;
}

enum hl_err
relay_find(struct relay *r, const struct thinker *t, const struct agent *a, const struct talk *talk)
{
	char id[ID_LEN + 1];
	enum hl_err err = HL_NOT_FOUND;

	*r = (struct relay){ .thinker = t, .agent = a, .talk = talk };
	if (talk->conversation == NULL && talk->customer == NULL)
		return HL_OK;
	if (talk->conversation && id_valid(talk->conversation))
		err = look_at(r, talk->conversation);
	r->kind = talk->conversation ? "relayed-conversation" : "relayed-customer";
	r->name = talk->conversation;
	if (talk->conversation == NULL) {
		snprintf(r->called, sizeof(r->called), "%s %s", a->h, talk->customer);
		r->name = r->called;
	}
	if (err == HL_NOT_FOUND) {
		relayed_id(t->store, a->owner, r->kind, r->name, id);
		err = look_at(r, id);
		if (r->seq == 0)		/* who was to fill it has died */
			r->stored = false;
	}
	return err == HL_NOT_FOUND ? HL_OK : err;
}

/* ---- the answer ---- */

static void
answer_by_person(const struct relay *r, struct verdict *v)
{
	buf_puts(&v->text, ANSWER_BY_PERSON);
	v->provider = "helpline";
	v->confidence = 1;
	v->sentiment = SENTIMENT_NEUTRAL;
	v->reason = r->owner.reason;
}

/* With what people did who had it: the program does not know of that. */
static enum hl_err
think(struct relay *r, const char *told, enum hl_err (*delta)(void *, const char *, size_t), void *arg, struct verdict *v)
{
	const struct desk_access own = { .account = r->agent->owner };
	const struct place place = conversation_place(r->thinker->store, r->id);
	struct desk_conversation here = { 0 };
	struct buf note = BUF_INIT(TEXT_MAX);
	struct talk talk = *r->talk;
	enum hl_err err = conversation_note(r->thinker->store, &place, &note);

	if (err == HL_OK)
		err = desk_read(r->thinker->store, &own, r->id, r->seq > TAIL ? r->seq - TAIL : 0, &here);
	talk.here = &here.messages;
	talk.note = &note;
	if (err == HL_OK)
		err = trial_talk(r->thinker, r->agent, &talk, told, delta, arg, v);
	desk_clear(&here);
	buf_free(&note);
	return err;
}

enum hl_err
relay_think(struct relay *r, enum hl_err (*delta)(void *, const char *, size_t), void *arg, struct verdict *v)
{
	const char *told = r->stored ? r->owner.escalation_id : r->name ? "" : NULL;

	if (!r->owner.person && r->stored && r->owner.epoch > 0)
		return think(r, told, delta, arg, v);
	if (!r->owner.person)
		return trial_talk(r->thinker, r->agent, r->talk, told, delta, arg, v);
	answer_by_person(r, v);
	return buf_err(&v->text);
}

/* ---- what is counted ---- */

static bool
is_first(const struct talk *talk, size_t answered)
{
	for (size_t i = 0; i < answered; i++)
		if (talk->messages[i].user)
			return false;
	return answered < talk->count;
}

static enum hl_err
count(struct relay *r, const struct verdict *v, int64_t ms)
{
	size_t answered = talk_answered(r->talk);
	struct store *s = r->thinker->store;
	struct turn_figures f;
	enum hl_err err;

	figures_of_relayed(r->thinker->conf, r->agent->h, v, ms, answered < r->talk->count, !r->stored && is_first(r->talk, answered), &f);
	err = analytics_count(s, r->agent->owner, &f.answer);
	return err ? err : analytics_count(s, r->agent->owner, &f.session);
}

/* ---- what is stored ---- */

/* With what was said before; of that the customer's first message has been counted as a conversation already. */
static enum hl_err
make(struct relay *r)
{
	struct store *s = r->thinker->store;
	const struct agent *a = r->agent;
	size_t answered = talk_answered(r->talk);
	struct desk_conversation made = { 0 };
	struct counts c = { 0 };
	bool fresh;
	enum hl_err err = relayed_create(s, a->owner, a->h, a->company, r->kind, r->name, r->talk->messages, answered, &made, &fresh);

	if (err)
		return err;
	r->stored = true;
	strcpy(r->id, made.id);
	desk_clear(&made);
	if (!fresh || is_first(r->talk, answered))
		return HL_OK;
	counts_add(&c, a->h, "volume", -1);
	return analytics_count(s, a->owner, &c);
}

/* Messages as one. */
static enum hl_err
join(const struct talk *talk, size_t from, size_t to, struct buf *out)
{
	for (size_t i = from; i < to; i++) {
		buf_puts(out, out->len ? "\n" : "");
		buf_add(out, talk->messages[i].text, talk->messages[i].len);
	}
	return buf_err(out);
}

/* What the customer said, as it is stored: longer is no customer's. */
static enum hl_err
join_said(const struct relay *r, size_t from, size_t to, struct buf *out)
{
	enum hl_err err = join(r->talk, from, to, out);

	if (err == HL_OK && out->len)
		out->len = utf8_cut(out->data, out->len, (size_t)r->thinker->conf->max_message);
	return err;
}

/* As a lease has it: who speaks, as the program calls him, is for people to see. */
static enum hl_err
name_customer(const struct relay *r, struct lease *l)
{
	buf_reset(&l->data_text);
	l->data_text.max = WHO_MAX;
	buf_printf(&l->data_text, "{\"id\":\"%s\",\"userId\":", r->id);
	buf_json_str(&l->data_text, r->talk->customer);
	buf_putc(&l->data_text, '}');
	if (buf_err(&l->data_text))
		return buf_err(&l->data_text);
	return json_view_open(l->data_text.data, l->data_text.len, JSON_STRICT, &l->data);
}

/* ms < 0: nothing of it is counted. */
static enum hl_err
commit(struct relay *r, struct lease *l, struct verdict *v, const char *answer_id, int64_t ms)
{
	struct store *s = r->thinker->store;
	struct outgoing o = { 0 };
	struct turn_figures figures = { 0 };
	enum committed how = COMMIT_FENCED;
	int64_t seq, now = clock_wall_ms();
	enum hl_err err = name_customer(r, l);

	strcpy(o.id, answer_id);
	if (*l->escalation_id)
		strcpy(o.escalation_id, l->escalation_id);
	else
		id_new(o.escalation_id);
	strcpy(l->desk.agent, r->agent->h);
	if (ms >= 0)
		figures_of_turn(r->thinker->conf, l, v, now + ms, &figures);	/* it was thought of before its message was stored */
	o.counts = figures.answer;
	if (err == HL_OK)
		err = answer_write(l, v, now, &o);
	if (err == HL_OK)
		err = conversation_commit(s, l, &o, &how, &seq);
	if (err == HL_STORE)		/* the same twice is done once */
		err = conversation_commit(s, l, &o, &how, &seq);
	if (err == HL_OK && how != COMMIT_FENCED && v->reason)
		strcpy(r->escalation_id, o.escalation_id);
	outgoing_free(&o);
	return err;
}

static enum hl_err
store_exchange(struct relay *r, const struct buf *said, struct verdict *v, const char *answer_id, const char *once, int64_t ms)
{
	struct acceptance accepted = { 0 };
	struct incoming in = { .id = r->id, .account = r->agent->owner, .client_id = once, .text = said->data, .text_len = said->len };
	enum hl_err err = conversation_accept(r->thinker->store, &in, &accepted);

	if (err == HL_OK && accepted.how == ACCEPTED_RUN)
		err = commit(r, &accepted.lease, v, answer_id, ms);
	else if (err == HL_OK && accepted.how == ACCEPTED_AGAIN && ms >= 0)
		err = count(r, v, -1);		/* it was asked twice */
	lease_clear(&accepted.lease);
	return err;
}

/* ---- what was broken off ---- */

/* The customer's messages from there on, and the agent's behind them, which end at `to`. */
struct exchange { size_t from, answer, to; };

/* What was said before that message; false: nothing was, or nothing was said in return. */
static bool
exchange_before(const struct talk *talk, size_t to, struct exchange *ret)
{
	*ret = (struct exchange){ .from = to, .answer = to, .to = to };
	while (ret->answer > 0 && !talk->messages[ret->answer - 1].user)
		ret->answer--;
	ret->from = ret->answer;
	while (ret->from > 0 && talk->messages[ret->from - 1].user)
		ret->from--;
	return ret->from < ret->answer && ret->answer < to;
}

static bool
is_stored(const struct relay *r, const struct exchange *e, const struct entries *tail)
{
	struct buf said = BUF_INIT(TEXT_MAX);
	bool found = join_said(r, e->from, e->answer, &said) != HL_OK;

	for (size_t i = 0; i < tail->count && !found; i++) {
		size_t len;
		const char *text = entry_content(&tail->list[i], &len);

		found = tail->list[i].user && text && len == said.len && memcmp(text, said.data, len) == 0;
	}
	buf_free(&said);
	return found;
}

/* What the agent has said of it is what the program says that it has. */
static enum hl_err
store_missed(struct relay *r, const struct exchange *e, const char *once)
{
	struct buf said = BUF_INIT(TEXT_MAX), name = BUF_INIT(256);
	struct verdict v;
	char id[ID_LEN + 1];
	enum hl_err err;

	verdict_init(&v);
	v.provider = "helpline";
	v.confidence = 1;
	v.sentiment = SENTIMENT_NEUTRAL;
	id_new(id);
	buf_printf(&name, "%s %zu", once, e->from);
	err = join_said(r, e->from, e->answer, &said);
	if (err == HL_OK)
		err = join(r->talk, e->answer, e->to, &v.text);
	if (err == HL_OK)
		err = store_exchange(r, &said, &v, id, name.data, -1);
	verdict_free(&v);
	buf_free(&name);
	buf_free(&said);
	return err;
}

/*
 * A program that is interrupted breaks its request off, and says the next time what was heard of the answer: that is stored now.
 * It is known by what the customer said, which is not among the newest messages here.
 */
static enum hl_err
catch_up(struct relay *r, const char *once)
{
	const struct desk_access own = { .account = r->agent->owner };
	struct desk_conversation here = { 0 };
	struct exchange missed[MISSED_MOST + 1];
	size_t n = 0, to = talk_answered(r->talk);
	enum hl_err err = HL_OK;

	if (!exchange_before(r->talk, to, &missed[0]))
		return HL_OK;
	err = desk_read(r->thinker->store, &own, r->id, r->seq > TAIL ? r->seq - TAIL : 0, &here);
	while (err == HL_OK && n <= MISSED_MOST && exchange_before(r->talk, to, &missed[n]) && !is_stored(r, &missed[n], &here.messages))
		to = missed[n++].from;
	desk_clear(&here);
	if (n > MISSED_MOST)
		n = 0;
	while (err == HL_OK && n > 0)
		err = store_missed(r, &missed[--n], once);
	return err;
}

/* ---- */

static enum hl_err
store_turn(struct relay *r, struct verdict *v, const char *answer_id, const char *once, int64_t ms)
{
	struct buf said = BUF_INIT(TEXT_MAX);
	enum hl_err err = join_said(r, talk_answered(r->talk), r->talk->count, &said);

	if (err == HL_OK)
		err = store_exchange(r, &said, v, answer_id, once, ms);
	if (err == HL_OK && (r->owner.person || v->reason) && *r->escalation_id == '\0')
		strcpy(r->escalation_id, r->owner.escalation_id);
	buf_free(&said);
	return err;
}

void
relay_keep(struct relay *r, struct verdict *v, const char *answer_id, const char *once, int64_t began_mono_ms, bool answered)
{
	int64_t ms = clock_mono_ms() - began_mono_ms;
	bool asked = talk_answered(r->talk) < r->talk->count;
	enum hl_err err = HL_OK;

	if (!answered || !asked || !(r->stored || (r->name && v->reason)))
		err = count(r, v, answered ? ms : -1);
	else {
		err = r->stored ? catch_up(r, once) : make(r);
		if (err == HL_OK)
			err = store_turn(r, v, answer_id, once, ms);
	}
	if (err)
		log_line(LOG_LEVEL_WARN, "completion_not_kept", "problem", err_code(err), NULL);
}
