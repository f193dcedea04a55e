/*
 * outgoing.c - what is stored and sent of a verdict (answer.h).
 */
#include <string.h>

#include "base/clock.h"
#include "engine/aloud.h"
#include "engine/answer.h"
#include "engine/budget.h"

static void
write_escalation(struct buf *out, const struct verdict *v, const char *id)
{
	if (v->reason == NULL) {
		buf_puts(out, "null");
		return;
	}
	buf_printf(out, "{\"reason\":\"%s\",\"id\":\"%s\"", v->reason, id);
	if (v->keyword) {
		buf_puts(out, ",\"keyword\":");
		buf_json_str(out, v->keyword);
	}
	buf_putc(out, '}');
}

/* The members that the entry and the event share. */
static void
write_common(struct buf *out, const struct verdict *v, const char *escalation_id)
{
	buf_printf(out, ",\"needsEscalation\":%s,\"confidence\":%.3g,\"provider\":\"%s\",\"escalation\":",
	    v->reason ? "true" : "false", v->confidence, v->provider);
	write_escalation(out, v, escalation_id);
	buf_puts(out, ",\"sources\":");
	passages_json(out, &v->passages);
}

/* Why there is no sound where there usually is. */
static void
write_silence(struct buf *out, const struct verdict *v)
{
	if (v->silent)
		buf_puts(out, ",\"audioNotice\":\"" BUDGET_SILENT "\"");
}

static void
write_entry(struct buf *out, const struct lease *l, const struct verdict *v, int64_t at_ms, const char *escalation_id)
{
	const char *intents[4];
	size_t n = intent_names(v->intents, intents);

	buf_puts(out, "{\"role\":\"assistant\",\"content\":");
	buf_json(out, v->text.data, v->text.len);
	buf_printf(out, ",\"ts\":%lld,\"for\":%lld", (long long)at_ms, (long long)l->covered);
	buf_printf(out, ",\"sentiment\":\"%s\",\"intents\":[", sentiment_name(v->sentiment));
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s\"%s\"", i ? "," : "", intents[i]);
	buf_putc(out, ']');
	aloud_write(out, v->audio_url, NULL);
	write_silence(out, v);
	write_common(out, v, escalation_id);	/* last: its sources are most of the entry, and readers look for the others */
	buf_putc(out, '}');
}

/* The newest of the messages that are answered. */
static const struct entry *
newest_question(const struct lease *l)
{
	const struct entry *found = NULL;

	for (size_t i = 0; i < l->context.count; i++)
		if (answer_covers(l, &l->context.list[i]))
			found = &l->context.list[i];
	return found;
}

/* What chat sockets get. */
static void
write_received(struct outgoing *o, const struct lease *l, const struct verdict *v, const char *at)
{
	static const char *const names[] = { "clientMessageId" };
	const struct entry *asked = newest_question(l);
	struct buf *out = &o->event_tail;

	buf_printf(&o->event_head, "[\"message-received\",{\"id\":\"%s\",\"seq\":", o->id);
	buf_puts(out, ",\"message\":");
	buf_json(out, v->text.data, v->text.len);
	buf_printf(out, ",\"timestamp\":\"%s\",\"isBot\":true", at);
	write_common(out, v, o->escalation_id);
	if (asked)
		entry_members(out, asked, names, 1);
	buf_puts(out, "}]\n[\"typing\",false]");
}

/* What sockets of a desk conversation get. */
static void
write_response(struct outgoing *o, const struct lease *l, const struct verdict *v, const char *at)
{
	static const char *const names[] = { "clientMessageId" };
	const struct entry *asked = newest_question(l);
	struct buf *out = &o->event_tail;

	buf_printf(&o->event_head, "[\"ai_response\",{\"id\":\"%s\",\"seq\":", o->id);
	buf_puts(out, ",\"conversationId\":");
	json_view_write(out, json_view_get(l->data, "id"));
	buf_puts(out, ",\"message\":");
	buf_json(out, v->text.data, v->text.len);
	buf_printf(out, ",\"timestamp\":\"%s\",\"sentiment\":\"%s\"", at, sentiment_name(v->sentiment));
	if (o->found.title) {
		buf_puts(out, ",\"title\":");
		buf_json_str(out, o->found.title);
	}
	if (v->speaker.len)
		buf_printf(out, ",\"demoAgent\":%s", v->speaker.data);
	aloud_write(out, v->audio_url, &v->sound);
	write_silence(out, v);
	write_common(out, v, o->escalation_id);
	if (asked)
		entry_members(out, asked, names, 1);
	buf_puts(out, "}]\n[\"typing\",false]");
}

static void
write_needed(struct outgoing *o, const struct lease *l, const struct verdict *v, const char *at)
{
	const struct entry *asked = newest_question(l);
	struct buf *out = &o->escalation;

	buf_puts(out, "{\"sessionId\":");
	json_view_write(out, json_view_get(l->data, "id"));
	buf_puts(out, ",\"userId\":");
	json_view_write(out, json_view_get(l->data, "userId"));
	buf_puts(out, ",\"message\":");
	buf_json(out, v->text.data, v->text.len);
	buf_printf(out, ",\"timestamp\":\"%s\",\"originalMessage\":", at);
	json_view_write(out, asked ? entry_member(asked, "content") : (struct json_view){ 0 });
	if (!l->desk.desk) {
		buf_puts(&o->event_tail, "\n[\"escalation-needed\",");
		buf_add(&o->event_tail, out->data, out->len);
		buf_puts(&o->event_tail, "}]");
	}
	/* The record, which people see, says more. */
	buf_printf(out, ",\"_id\":\"%s\",\"reason\":\"%s\",\"sentiment\":\"%s\"", o->escalation_id, v->reason,
	    sentiment_name(v->sentiment));
	if (v->keyword) {
		buf_puts(out, ",\"keyword\":");
		buf_json_str(out, v->keyword);
	}
	buf_putc(out, '}');
}

/* The model's title; without one the first of the customer's words that say something. */
static void
find_title(const struct lease *l, struct verdict *v, struct outgoing *o)
{
	const struct entry *asked = newest_question(l);
	size_t len = 0;
	const char *text = asked ? entry_content(asked, &len) : "";

	if (l->desk.title_by_person)
		return;
	if (*v->title == '\0' && (l->desk.title.len == 0 || title_is_vague(l->desk.title.data)))
		title_of(text, len, v->title);
	if (*v->title)
		o->found.title = v->title;
}

static void
write_found(const struct lease *l, struct verdict *v, struct outgoing *o)
{
	o->found = (struct found){ .sentiment = v->sentiment, .intents = v->intents };
	if (!l->desk.desk)
		return;
	find_title(l, v, o);
	if (*v->agent) {
		o->found.agent = v->agent;
		o->found.company = v->company.data;
	}
}

enum hl_err
answer_write(const struct lease *l, struct verdict *v, int64_t at_ms, struct outgoing *o)
{
	char at[CLOCK_ISO_LEN + 1];
	enum hl_err err;

	clock_iso(at_ms, at);
	o->reason = v->reason;
	o->at_ms = at_ms;
	o->entry = o->event_tail = o->escalation = BUF_INIT(2 * ANSWER_MAX);
	o->event_head = BUF_INIT(256);
	o->event_tail.max += v->sound.len / 3 * 4 + 4;
	write_found(l, v, o);
	write_entry(&o->entry, l, v, at_ms, o->escalation_id);
	if (l->desk.desk)
		write_response(o, l, v, at);
	else
		write_received(o, l, v, at);
	if (v->reason)
		write_needed(o, l, v, at);
	if ((err = buf_err(&o->entry)) || (err = buf_err(&o->event_head)) || (err = buf_err(&o->event_tail)))
		return err;
	return buf_err(&o->escalation);
}

void
outgoing_free(struct outgoing *o)
{
	buf_free(&o->entry);
	buf_free(&o->event_head);
	buf_free(&o->event_tail);
	buf_free(&o->escalation);
}
