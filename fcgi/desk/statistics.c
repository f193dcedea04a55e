/*
 * GET /api/conversations/stats/user/:id: what an account's conversations add up to.
 */
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "desk/conversations.h"
#include "engine/insight.h"

#define STATISTICS_MAX (4u << 20)

/* Whose: one's own, and an administrator anybody's. */
static enum hl_err
find_account(struct call *call, char h[CRYPTO_NAME_LEN + 1])
{
	struct account who, other;
	enum hl_err err = call_account(call, &who);

	if (err)
		return err;
	account_name(&call->app->store, call->segment, h);
	if (who.stored && strcmp(who.id, call->segment) == 0)
		return HL_OK;
	err = who.admin ? account_load(&call->app->store, h, &other) : HL_NOT_FOUND;
	return err == HL_NOT_FOUND ? call_fail(call, err, "There is no such account, or it is not yours") : err;
}

static void
write_statistics(struct buf *out, const struct desk_stats *s)
{
	static const enum sentiment order[] = { SENTIMENT_POSITIVE, SENTIMENT_NEGATIVE, SENTIMENT_NEUTRAL, SENTIMENT_URGENT };
	char at[CLOCK_ISO_LEN + 1];

	buf_printf(out, "{\"totalCalls\":%lld,\"averageDuration\":%lld,\"totalMessages\":%lld,\"lastActivity\":", (long long)s->calls,
	    s->timed ? (long long)((s->seconds + s->timed / 2) / s->timed) : 0LL, (long long)s->messages);
	clock_iso(s->last_ms, at);
	buf_json_str(out, s->last_ms ? at : NULL);
	buf_puts(out, ",\"sentimentBreakdown\":{");
	for (size_t i = 0; i < SENTIMENTS; i++)
		buf_printf(out, "%s\"%s\":%lld", i ? "," : "", sentiment_name(order[i]), (long long)s->sentiments[order[i]]);
	buf_puts(out, "},\"companiesInteractedWith\":[");
	for (size_t i = 0; i < s->company_count; i++) {
		if (i)
			buf_putc(out, ',');
		buf_json(out, s->companies[i].data ? s->companies[i].data : "", s->companies[i].len);
	}
	buf_puts(out, "]}");
}

enum hl_err
statistics_get(struct call *call)
{
	struct buf body = BUF_INIT(STATISTICS_MAX);
	char h[CRYPTO_NAME_LEN + 1];
	struct desk_stats stats = { 0 };
	enum hl_err err = find_account(call, h);

	if (err == HL_OK)
		err = desk_stats(&call->app->store, h, &stats);
	if (err)
		goto out;
	write_statistics(&body, &stats);
	err = reply_json(call, 200, &body);
out:
	desk_stats_free(&stats);
	buf_free(&body);
	return err;
}
