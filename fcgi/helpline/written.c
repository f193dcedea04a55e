#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "written.h"

void
written_words(const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *at = text;
		uint32_t c = utf8_next(&text, end);

		if (c == '\n')
			fputs("\n    ", stdout);
		else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
			putchar('.');
		else
			fwrite(at, 1, (size_t)(text - at), stdout);
	}
}

void
written_time(struct buf *out, const char *name, int64_t ms)
{
	char at[CLOCK_ISO_LEN + 1];

	clock_iso(ms, at);
	if (ms)
		buf_printf(out, ",\"%s\":\"%s\"", name, at);
	else
		buf_printf(out, ",\"%s\":null", name);
}

void
written_session(struct buf *out, const struct session *x)
{
	buf_printf(out, "{\"sessionId\":\"%s\",\"userId\":", x->id);
	buf_json_str(out, json_get_string(x->data, "userId"));
	if (json_get(x->data, "metadata")) {
		buf_puts(out, ",\"metadata\":");
		json_write(out, json_get(x->data, "metadata"));
	}
	written_time(out, "createdAt", x->created_ms);
	written_time(out, "updatedAt", x->updated_ms);
	written_time(out, "expiresAt", x->expires_ms);
	buf_printf(out, ",\"messageCount\":%lld,\"owner\":\"%s\"", (long long)x->seq, x->person ? "human" : "ai");
	if (*x->escalation_id)
		buf_printf(out, ",\"escalationId\":\"%s\"", x->escalation_id);
}

void
written_conversation(struct buf *out, const struct desk_conversation *c)
{
	buf_printf(out, "{\"_id\":\"%s\",\"userId\":", c->id);
	buf_json_str(out, *c->user_id ? c->user_id : NULL);
	buf_puts(out, ",\"title\":");
	buf_json_str(out, c->title.len ? c->title.data : NULL);
	buf_printf(out, ",\"status\":\"%s\",\"anonymous\":%s,\"owner\":\"%s\"", desk_status_name(c->status), c->anonymous ? "true" : "false",
	    c->person ? "human" : "ai");
	if (c->satisfaction)
		buf_printf(out, ",\"satisfaction\":%d", c->satisfaction);
	written_time(out, "createdAt", c->created_ms);
	written_time(out, "updatedAt", c->updated_ms);
	written_time(out, "endedAt", c->ended_ms);
	buf_printf(out, ",\"duration\":%lld,\"messageCount\":%lld", (long long)desk_duration(c), (long long)c->seq);
}

void
written_messages(struct buf *out, const struct entries *messages)
{
	static const char *const more[] = { "audioUrl" };

	buf_puts(out, ",\"messages\":[");
	for (size_t i = 0; i < messages->count; i++) {
		if (i)
			buf_putc(out, ',');
		entry_write_desk(out, &messages->list[i]);
		if (out->err == HL_OK && out->len && json_view_kind(entry_member(&messages->list[i], "audioUrl")) == JSON_STRING) {
			out->data[--out->len] = '\0';	/* its brace */
			entry_members(out, &messages->list[i], more, 1);
			buf_putc(out, '}');
		}
	}
	buf_putc(out, ']');
}

void
written_show_messages(const struct entries *messages)
{
	for (size_t i = 0; i < messages->count; i++) {
		const struct entry *e = &messages->list[i];
		const char *who = e->user ? "customer" : e->human ? "person" : "assistant", *text;
		char at[CLOCK_ISO_LEN + 1];
		size_t len;

		entry_time(e, at);
		text = entry_content(e, &len);
		printf("%4lld  %.16s  %s\n    ", (long long)e->seq, at, who);
		written_words(text ? text : "", text ? len : 0);
		putchar('\n');
	}
}

enum hl_err
written_print(const struct buf *out)
{
	enum hl_err err = buf_err(out);

	if (err == HL_OK)
		puts(out->data ? out->data : "");
	return err;
}
