#include <stdlib.h>
#include <string.h>

#include "desk/shown.h"
#include "engine/outcome.h"
#include "records/agent.h"

const char shown_untitled[] = "A new conversation";

/* ---- agents ---- */

struct agent_id { char h[CRYPTO_NAME_LEN + 1], id[ID_LEN + 1]; };

void
agent_ids_free(struct agent_ids *ids)
{
	free(ids->list);
	*ids = (struct agent_ids){ 0 };
}

static const struct agent_id *
find_id(const struct agent_ids *ids, const char *h)
{
	for (size_t i = 0; i < ids->count; i++)
		if (strcmp(ids->list[i].h, h) == 0)
			return &ids->list[i];
	return NULL;
}

static enum hl_err
look_up(struct store *s, const char *h, struct agent_ids *ids)
{
	struct agent_id *one = &ids->list[ids->count];
	struct agent agent = { 0 };
	enum hl_err err = agent_load(s, h, &agent);

	if (err && err != HL_NOT_FOUND)
		return err;
	*one = (struct agent_id){ 0 };
	memcpy(one->h, h, CRYPTO_NAME_LEN);
	if (err == HL_OK)
		memcpy(one->id, agent.id, ID_LEN);
	agent_clear(&agent);
	ids->count++;
	return HL_OK;
}

enum hl_err
agent_ids_find(struct store *s, const struct desk_conversation *list, size_t count, struct agent_ids *ret)
{
	enum hl_err err = HL_OK;

	*ret = (struct agent_ids){ .list = calloc(count + 1, sizeof(*ret->list)) };
	if (ret->list == NULL)
		return HL_NO_MEMORY;
	for (size_t i = 0; i < count && err == HL_OK; i++)
		if (*list[i].agent && find_id(ret, list[i].agent) == NULL)
			err = look_up(s, list[i].agent, ret);
	return err;
}

/* ---- messages ---- */

static void
write_metadata(struct buf *out, const struct entries *es, size_t index)
{
	struct json_view confidence = entry_member(&es->list[index], "confidence");
	const char *names[4];
	struct insight found;

	if (!insight_of(es, index, &found))
		return;
	(void)intent_names(found.intents, names);
	buf_printf(out, ",\"metadata\":{\"sentiment\":\"%s\",\"intent\":\"%s\"", sentiment_name(found.sentiment), names[0]);
	if (confidence.at) {
		buf_puts(out, ",\"confidence\":");
		json_view_write(out, confidence);
	}
	buf_putc(out, '}');
}

void
shown_message(struct buf *out, const struct entries *es, size_t index, enum shown_as as)
{
	static const char *const names[] = { "by", "clientMessageId", "audioUrl", "audioNotice", "interrupted", "escalation", "sources" };
	size_t count = sizeof(names) / sizeof(names[0]) - (as == SHOWN_IN_LIST);
	const struct entry *e = &es->list[index];

	entry_begin_desk(out, e);
	entry_members(out, e, names, count);
	write_metadata(out, es, index);
}

void
shown_messages(struct buf *out, const struct entries *es, enum shown_as as)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < es->count; i++) {
		if (i)
			buf_putc(out, ',');
		shown_message(out, es, i, as);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

/* ---- conversations ---- */

static void
write_id(struct buf *out, const char *member, const char *id)
{
	if (id && *id)
		buf_printf(out, ",\"%s\":\"%s\"", member, id);
	else
		buf_printf(out, ",\"%s\":null", member);
}

static void
write_intents(struct buf *out, unsigned intents, bool pending)
{
	const char *names[4];
	size_t n = pending ? 0 : intent_names(intents, names);

	buf_puts(out, ",\"intents\":[");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s\"%s\"", i ? "," : "", names[i]);
	buf_putc(out, ']');
}

void
shown_conversation(struct buf *out, const struct desk_conversation *c, const struct agent_ids *ids, enum shown_as as)
{
	char created[CLOCK_ISO_LEN + 1], updated[CLOCK_ISO_LEN + 1], ended[CLOCK_ISO_LEN + 1];
	const struct agent_id *agent = *c->agent ? find_id(ids, c->agent) : NULL;

	clock_iso(c->created_ms, created);
	clock_iso(c->updated_ms, updated);
	buf_printf(out, "{\"_id\":\"%s\",\"title\":", c->id);
	buf_json_str(out, c->title.len ? c->title.data : shown_untitled);
	write_id(out, "agentId", agent ? agent->id : NULL);
	write_id(out, "userId", c->user_id);
	buf_printf(out, ",\"isCallSimulator\":%s,\"status\":\"%s\",\"owner\":\"%s\",\"messages\":", c->simulator ? "true" : "false",
	    desk_status_name(c->status), c->person ? "human" : "ai");
	shown_messages(out, &c->messages, as);
	if (c->cut)
		buf_puts(out, ",\"messagesCut\":true");
	buf_printf(out, ",\"metadata\":{\"sentiment\":\"%s\",\"duration\":%lld,\"created\":\"%s\",\"updated\":\"%s\"",
	    sentiment_name(c->sentiment), (long long)desk_duration(c), created, updated);
	if (c->ended_ms) {
		clock_iso(c->ended_ms, ended);
		buf_printf(out, ",\"ended\":\"%s\"", ended);
	}
	write_intents(out, c->intents, c->sentiment == SENTIMENT_PENDING);
	buf_putc(out, '}');
}

void
shown_analytics(struct buf *out, const struct desk_conversation *c)
{
	buf_printf(out, ",\"analytics\":{\"duration\":%lld,\"messageCount\":%lld,\"sentiment\":\"%s\",\"satisfaction\":",
	    (long long)desk_duration(c), (long long)c->seq, sentiment_name(c->sentiment));
	if (c->satisfaction)
		buf_int(out, c->satisfaction);
	else
		buf_puts(out, "null");
	buf_putc(out, '}');
}
