/*
 * GET /api/analytics and /api/analytics.csv: figures of a company by day and by agent (records/analytics.h says what is
 * counted and when).
 *
 * An account sees its own, and CHAT_OWNER's with them the sessions of the chat API.  An administrator may see the sums of the
 * whole installation (scope=all) and any agent.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/csv.h"
#include "base/str.h"
#include "desk/desk.h"
#include "engine/insight.h"
#include "records/agent.h"
#include "records/analytics.h"
#include "records/chat_owner.h"

#define BODY_MAX	(8u << 20)
#define DEFAULT_DAYS	30
#define PARAMETER_MAX	16
#define TIME_MAX	40

/* ---- what is asked for ---- */

struct wanted {
	struct account	 who;
	struct agent	 agent;		/* of agentId; its h is "" if there is none */
	bool		 all;		/* the whole installation */
	bool		 by_agent;	/* of the table: its rows */
	struct analytics_query query;
};

/* Of a time, as they are everywhere in this API, the day: leaves that. */
static bool
cut_time(char *text)
{
	int hour, minute, second, end = 0;

	if (strlen(text) <= CLOCK_DAY_LEN || text[CLOCK_DAY_LEN] != 'T')
		return true;
	if (sscanf(text + CLOCK_DAY_LEN, "T%2d:%2d:%2d%n", &hour, &minute, &second, &end) != 3 || hour > 23 || minute > 59 ||
	    second > 60)
		return false;
	end += CLOCK_DAY_LEN;
	if (text[end] == '.')
		end += 1 + (int)strspn(text + end + 1, "0123456789");
	if (strcmp(text + end, "Z") != 0)
		return false;
	text[CLOCK_DAY_LEN] = '\0';
	return true;
}

static enum hl_err
read_day(struct call *call, const char *name, int64_t otherwise, int64_t *ret)
{
	struct buf text;
	enum hl_err err = request_query_text(call, name, TIME_MAX, &text);

	*ret = otherwise;
	if (err || (text.len && (!cut_time(text.data) || !clock_day_parse(text.data, ret))))
		err = call_fail(call, HL_BAD_REQUEST, "%s must be a day (UTC), written like 2026-01-31, or a time like "
		    "2026-01-31T12:00:00.000Z, whose day counts", name);
	buf_free(&text);
	return err;
}

static enum hl_err
read_range(struct call *call, struct analytics_query *q)
{
	int64_t today = clock_wall_ms() / CLOCK_DAY_MS, before;
	enum hl_err err = read_day(call, "to", today, &q->to);

	before = q->to >= DEFAULT_DAYS ? q->to - (DEFAULT_DAYS - 1) : 0;
	if (err == HL_OK)
		err = read_day(call, "from", before, &q->from);
	if (err)
		return err;
	if (q->to < q->from)
		return call_fail(call, HL_BAD_REQUEST, "to (today, if it is not given) must not be before from");
	if (q->to - q->from >= ANALYTICS_RANGE_MAX)
		return call_fail(call, HL_BAD_REQUEST, "from and to must be of at most %d days, both counted", ANALYTICS_RANGE_MAX);
	return HL_OK;
}

/* A parameter that has two values; *ret: it is the second. */
static enum hl_err
read_choice(struct call *call, const char *name, const char *first, const char *second, bool *ret)
{
	char text[PARAMETER_MAX];
	enum hl_err err = request_query(call, name, text, sizeof(text));

	if (err || (*text && strcmp(text, first) != 0 && strcmp(text, second) != 0))
		return call_fail(call, HL_BAD_REQUEST, "%s must be %s or %s", name, first, second);
	if (*text)
		*ret = strcmp(text, second) == 0;
	return HL_OK;
}

static enum hl_err
read_scope(struct call *call, struct wanted *w)
{
	enum hl_err err;

	w->all = !w->who.stored && w->who.admin;	/* it has nothing of its own */
	err = read_choice(call, "scope", "own", "all", &w->all);
	if (err == HL_OK && w->all && !w->who.admin)
		err = call_fail(call, HL_FORBIDDEN, "Only an administrator may see the whole installation: ask without scope=all");
	if (err == HL_OK && !w->all && !w->who.stored)
		err = call_fail(call, HL_FORBIDDEN, "This token belongs to no account, so it owns nothing: sign in with an account");
	return err;
}

/* One's own; an administrator's may be anybody's. */
static enum hl_err
read_agent(struct call *call, struct wanted *w)
{
	struct buf id;
	enum hl_err err = request_query_text(call, "agentId", SEGMENT_MAX, &id);

	if (err == HL_OK && id.len == 0)
		goto out;
	if (err == HL_OK)
		err = agent_read(&call->app->store, w->who.admin ? NULL : w->who.h, id.data, &w->agent);
	if (err == HL_NOT_FOUND || err == HL_BAD_REQUEST)
		err = call_fail(call, HL_NOT_FOUND, "There is no such agent, or it is not yours");
	if (err == HL_OK) {
		w->all = false;
		w->query.agent = w->agent.h;
		w->query.account = w->agent.owner;
	}
out:
	buf_free(&id);
	return err;
}

/* To be freed also when it fails. */
static enum hl_err
read_wanted(struct call *call, struct wanted *w)
{
	enum hl_err err = call_account(call, &w->who);

	if (err == HL_OK)
		err = read_scope(call, w);
	if (err == HL_OK)
		err = read_range(call, &w->query);
	if (err == HL_OK)
		err = read_choice(call, "by", "day", "agent", &w->by_agent);
	if (err == HL_OK)
		err = read_agent(call, w);
	if (err || w->query.agent)
		return err;
	w->query.account = w->all ? ANALYTICS_ALL : w->who.h;
	return w->all ? HL_OK : chat_owned_by(&call->app->store, &w->who, &w->query.chat);
}

/* ---- rows by agent ---- */

enum row_kind { ROW_AGENT, ROW_NONE, ROW_DELETED };

struct row {
	enum row_kind	 kind;
	const struct agent *agent;	/* of ROW_AGENT, borrowed */
	struct figures	 figures;
};

struct rows { struct row *list; size_t count; struct agents agents; };

static void
rows_free(struct rows *r)
{
	free(r->list);
	agents_free(&r->agents);
}

static int
compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int64_t n = x->figures.sums[METRIC_VOLUME], m = y->figures.sums[METRIC_VOLUME];

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return n != m ? (n < m) - (n > m) : x->agent ? strcmp(x->agent->name, y->agent->name) : 0;
}

/* All that the account has, also those that have done nothing; what is nobody's now comes together at the end. */
static enum hl_err
rows_make(const struct wanted *w, const struct report *report, struct rows *r)
{
	const struct agent *agents = w->query.agent ? &w->agent : r->agents.list;
	size_t n = w->query.agent ? 1 : r->agents.count;

	r->list = calloc(n + 2, sizeof(*r->list));
	if (r->list == NULL)
		return HL_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
		r->list[i] = (struct row){ .kind = ROW_AGENT, .agent = &agents[i] };
	r->list[n].kind = ROW_NONE;
	r->list[n + 1].kind = ROW_DELETED;
	for (size_t i = 0; i < report->agent_count; i++) {
		const char *h = report->agents[i].h;
		size_t at = *h ? 0 : n;

		while (at < n && strcmp(agents[at].h, h) != 0)
			at++;
		figures_add(&r->list[*h && at == n ? n + 1 : at].figures, &report->agents[i].figures);
	}
	r->count = n + 2;
	qsort(r->list, r->count, sizeof(*r->list), compare_rows);
	return HL_OK;
}

static bool
is_empty(const struct row *r)
{
	static const struct figures nothing;

	return r->kind != ROW_AGENT && memcmp(&r->figures, &nothing, sizeof(nothing)) == 0;
}

/* The whole installation is not told by agent: that would be everybody's. */
static enum hl_err
rows_read(struct call *call, const struct wanted *w, const struct report *report, struct rows *r)
{
	enum hl_err err = HL_OK;

	*r = (struct rows){ 0 };
	if (w->all)
		return HL_OK;
	if (w->query.agent == NULL)
		err = agent_list(&call->app->store, w->query.account, &r->agents, NULL);
	return err ? err : rows_make(w, report, r);
}

/* ---- what figures come to ---- */

/* What is subtracted may be stored a second before what it is subtracted from. */
static int64_t
sum_of(const struct figures *f, enum metric m)
{
	return f->sums[m] > 0 ? f->sums[m] : 0;
}

static double
ratio(double part, int64_t whole)
{
	return whole > 0 ? part / (double)whole : NAN;
}

static double
money_of(const struct figures *f)
{
	return (double)sum_of(f, METRIC_MONEY) / 1e6;
}

struct times { int64_t count; double average; int64_t percentiles[4]; };

static const struct { const char *name; double part; } percentiles[] = {
	{ "p50", 0.5 }, { "p90", 0.9 }, { "p95", 0.95 }, { "p99", 0.99 },
};

static struct times
times_of(const struct histogram *h, int64_t sum_ms)
{
	struct times t = { .count = histogram_total(h) };

	t.average = ratio((double)sum_ms, t.count);
	for (size_t i = 0; i < 4; i++)
		t.percentiles[i] = histogram_percentile(h, percentiles[i].part);
	return t;
}

struct satisfaction { int64_t count; double average; };

static struct satisfaction
satisfaction_of(const struct figures *f)
{
	struct satisfaction s = { 0 };
	double stars = 0;

	for (int i = 0; i < 5; i++) {
		s.count += sum_of(f, METRIC_R1 + (unsigned)i);
		stars += (double)(i + 1) * (double)sum_of(f, METRIC_R1 + (unsigned)i);
	}
	s.average = ratio(stars, s.count);
	return s;
}

static const enum sentiment moods[] = { SENTIMENT_POSITIVE, SENTIMENT_NEUTRAL, SENTIMENT_NEGATIVE, SENTIMENT_URGENT };

static int64_t
pending_of(const struct figures *f)
{
	int64_t n = sum_of(f, METRIC_VOLUME);

	for (size_t i = 0; i < SENTIMENTS; i++)
		n -= sum_of(f, METRIC_S0 + (unsigned)moods[i]);
	return n > 0 ? n : 0;
}

/* ---- as JSON ---- */

static void
put_int(struct buf *out, const char *name, int64_t n)
{
	buf_printf(out, ",\"%s\":%lld", name, (long long)n);
}

static void
put_real(struct buf *out, const char *name, double value)
{
	if (isfinite(value))
		buf_printf(out, ",\"%s\":%.6g", name, value);
	else
		buf_printf(out, ",\"%s\":null", name);
}

static void
put_times(struct buf *out, const char *name, const struct times *t)
{
	buf_printf(out, ",\"%s\":{\"count\":%lld", name, (long long)t->count);
	put_real(out, "average", t->count ? round(t->average) : NAN);
	for (size_t i = 0; i < 4; i++)
		put_real(out, percentiles[i].name, t->count ? (double)t->percentiles[i] : NAN);
	buf_putc(out, '}');
}

static void
put_feelings(struct buf *out, const struct figures *f)
{
	struct satisfaction s = satisfaction_of(f);

	buf_printf(out, ",\"satisfaction\":{\"count\":%lld", (long long)s.count);
	put_real(out, "average", s.average);
	buf_puts(out, ",\"distribution\":{");
	for (unsigned i = 0; i < 5; i++)
		buf_printf(out, "%s\"%u\":%lld", i ? "," : "", i + 1, (long long)sum_of(f, METRIC_R1 + i));
	buf_printf(out, "}},\"sentiment\":{\"pending\":%lld", (long long)pending_of(f));
	for (size_t i = 0; i < SENTIMENTS; i++)
		put_int(out, sentiment_name(moods[i]), sum_of(f, METRIC_S0 + (unsigned)moods[i]));
	buf_putc(out, '}');
}

/* Members, each with a comma before it. */
static void
put_figures(struct buf *out, const struct figures *f)
{
	struct times first = times_of(&f->first, f->sums[METRIC_FIRST_MS]);
	struct times answer = times_of(&f->answer, f->sums[METRIC_ANSWER_MS]);
	int64_t volume = sum_of(f, METRIC_VOLUME), completed = sum_of(f, METRIC_COMPLETED);

	put_int(out, "conversations", volume);
	put_int(out, "completed", completed);
	put_int(out, "escalated", sum_of(f, METRIC_ESCALATED));
	put_real(out, "escalationRate", ratio((double)sum_of(f, METRIC_ESCALATED), volume));
	put_int(out, "resolvedWithoutPerson", sum_of(f, METRIC_RESOLVED));
	put_real(out, "resolutionRate", ratio((double)sum_of(f, METRIC_RESOLVED), completed));
	put_int(out, "customerMessages", sum_of(f, METRIC_ASKED));
	put_int(out, "answers", answer.count);
	put_int(out, "humanReplies", sum_of(f, METRIC_REPLIES));
	put_times(out, "firstResponseMs", &first);
	put_times(out, "answerMs", &answer);
	put_feelings(out, f);
	buf_printf(out, ",\"tokens\":{\"input\":%lld,\"output\":%lld}", (long long)sum_of(f, METRIC_TOKENS_IN),
	    (long long)sum_of(f, METRIC_TOKENS_OUT));
	buf_printf(out, ",\"cost\":%.6f", money_of(f));
}

static void
put_row(struct buf *out, const struct row *r)
{
	static const char *const kinds[] = { "agent", "none", "deleted" };

	buf_printf(out, "{\"kind\":\"%s\",\"agentId\":", kinds[r->kind]);
	buf_json_str(out, r->agent ? r->agent->id : NULL);
	buf_puts(out, ",\"name\":");
	buf_json_str(out, r->agent ? r->agent->name : NULL);
	buf_puts(out, ",\"companyName\":");
	buf_json_str(out, r->agent ? r->agent->company : NULL);
	put_figures(out, &r->figures);
	buf_putc(out, '}');
}

static void
put_report(struct buf *out, const struct wanted *w, const struct report *report, const struct rows *rows)
{
	char from[CLOCK_DAY_LEN + 1], to[CLOCK_DAY_LEN + 1];
	const char *comma = "";

	clock_day(w->query.from, from);
	clock_day(w->query.to, to);
	buf_printf(out, "{\"from\":\"%s\",\"to\":\"%s\",\"days\":%zu,\"scope\":\"%s\",\"agentId\":", from, to, report->day_count,
	    w->all ? "all" : "own");
	buf_json_str(out, w->query.agent ? w->agent.id : NULL);
	buf_printf(out, ",\"percentileError\":%g,\"totals\":{\"days\":%zu", HISTOGRAM_ERROR, report->day_count);
	put_figures(out, &report->total);
	buf_puts(out, "},\"byDay\":[");
	for (size_t i = 0; i < report->day_count; i++) {
		clock_day(w->query.from + (int64_t)i, from);
		buf_printf(out, "%s{\"date\":\"%s\"", i ? "," : "", from);
		put_figures(out, &report->days[i]);
		buf_putc(out, '}');
	}
	buf_puts(out, "],\"byAgent\":[");
	for (size_t i = 0; i < rows->count; i++) {
		if (is_empty(&rows->list[i]))
			continue;
		buf_puts(out, comma);
		put_row(out, &rows->list[i]);
		comma = ",";
	}
	buf_puts(out, "]}");
}

/* ---- as a table ---- */

static const char *const columns[] = {
	"conversations", "completed", "escalated", "escalation_rate", "resolved_without_person", "resolution_rate",
	"customer_messages", "answers", "human_replies",
	"first_response_count", "first_response_average_ms", "first_response_p50_ms", "first_response_p90_ms",
	"first_response_p95_ms", "first_response_p99_ms",
	"answer_count", "answer_average_ms", "answer_p50_ms", "answer_p90_ms", "answer_p95_ms", "answer_p99_ms",
	"satisfaction_count", "satisfaction_average",
	"satisfaction_1", "satisfaction_2", "satisfaction_3", "satisfaction_4", "satisfaction_5",
	"sentiment_pending", "sentiment_positive", "sentiment_neutral", "sentiment_negative", "sentiment_urgent",
	"tokens_input", "tokens_output", "cost",
};

static void
cells_of_times(struct buf *out, const struct times *t)
{
	csv_int(out, t->count);
	csv_real(out, round(t->average), 0);	/* as in the JSON: printf rounds a half to even */
	for (size_t i = 0; i < 4; i++)
		csv_real(out, t->count ? (double)t->percentiles[i] : NAN, 0);
}

/* In the order of the columns. */
static void
cells_of_figures(struct buf *out, const struct figures *f)
{
	struct times first = times_of(&f->first, f->sums[METRIC_FIRST_MS]);
	struct times answer = times_of(&f->answer, f->sums[METRIC_ANSWER_MS]);
	int64_t volume = sum_of(f, METRIC_VOLUME), completed = sum_of(f, METRIC_COMPLETED);
	struct satisfaction s = satisfaction_of(f);

	csv_int(out, volume);
	csv_int(out, completed);
	csv_int(out, sum_of(f, METRIC_ESCALATED));
	csv_real(out, ratio((double)sum_of(f, METRIC_ESCALATED), volume), 6);
	csv_int(out, sum_of(f, METRIC_RESOLVED));
	csv_real(out, ratio((double)sum_of(f, METRIC_RESOLVED), completed), 6);
	csv_int(out, sum_of(f, METRIC_ASKED));
	csv_int(out, answer.count);
	csv_int(out, sum_of(f, METRIC_REPLIES));
	cells_of_times(out, &first);
	cells_of_times(out, &answer);
	csv_int(out, s.count);
	csv_real(out, s.average, 6);
	for (unsigned i = 0; i < 5; i++)
		csv_int(out, sum_of(f, METRIC_R1 + i));
	csv_int(out, pending_of(f));
	for (size_t i = 0; i < SENTIMENTS; i++)
		csv_int(out, sum_of(f, METRIC_S0 + (unsigned)moods[i]));
	csv_int(out, sum_of(f, METRIC_TOKENS_IN));
	csv_int(out, sum_of(f, METRIC_TOKENS_OUT));
	csv_real(out, money_of(f), 6);
	csv_end(out);
}

static void
put_header(struct buf *out, bool by_agent)
{
	if (by_agent) {
		csv_text(out, "agent_id");
		csv_text(out, "agent");
		csv_text(out, "company");
	} else
		csv_text(out, "date");
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		csv_text(out, columns[i]);
	csv_end(out);
}

static void
put_table(struct buf *out, const struct wanted *w, const struct report *report, const struct rows *rows)
{
	static const char *const names[] = { "", "(no agent)", "(deleted agents)" };
	char day[CLOCK_DAY_LEN + 1];

	put_header(out, w->by_agent);
	for (size_t i = 0; !w->by_agent && i < report->day_count; i++) {
		clock_day(w->query.from + (int64_t)i, day);
		csv_text(out, day);
		cells_of_figures(out, &report->days[i]);
	}
	for (size_t i = 0; w->by_agent && i < rows->count; i++) {
		const struct row *r = &rows->list[i];

		if (is_empty(r))
			continue;
		csv_text(out, r->agent ? r->agent->id : "");
		csv_text(out, r->agent ? r->agent->name : names[r->kind]);
		csv_text(out, r->agent ? r->agent->company : "");
		cells_of_figures(out, &r->figures);
	}
}

/* ---- the routes ---- */

static enum hl_err
get(struct call *call, void (*put)(struct buf *, const struct wanted *, const struct report *, const struct rows *),
    enum hl_err (*reply)(struct call *, const struct wanted *, const struct buf *))
{
	struct buf body = BUF_INIT(BODY_MAX);
	struct wanted *w = calloc(1, sizeof(*w));
	struct report *report = NULL;
	struct rows rows = { 0 };
	enum hl_err err = HL_NO_MEMORY;

	if (w == NULL)
		goto out;
	err = read_wanted(call, w);
	if (err == HL_OK)
		err = analytics_read(&call->app->store, &w->query, &report);
	if (err == HL_OK)
		err = rows_read(call, w, report, &rows);
	if (err)
		goto out;
	put(&body, w, report, &rows);
	err = reply(call, w, &body);
out:
	rows_free(&rows);
	report_free(report);
	if (w)
		agent_clear(&w->agent);
	free(w);
	buf_free(&body);
	return err;
}

static enum hl_err
reply_report(struct call *call, const struct wanted *w, const struct buf *body)
{
	(void)w;
	return reply_json(call, 200, body);
}

static enum hl_err
reply_table(struct call *call, const struct wanted *w, const struct buf *body)
{
	char from[CLOCK_DAY_LEN + 1], to[CLOCK_DAY_LEN + 1], name[64];

	clock_day(w->query.from, from);
	clock_day(w->query.to, to);
	snprintf(name, sizeof(name), "analytics-%s-%s.csv", from, to);
	return reply_csv(call, name, body);
}

static enum hl_err
get_report(struct call *call)
{
	return get(call, put_report, reply_report);
}

static enum hl_err
get_table(struct call *call)
{
	return get(call, put_table, reply_table);
}

static const struct route routes[] = {
	{ "GET", "/api/analytics", BODY_NONE, get_report },
	{ "GET", "/api/analytics.csv", BODY_NONE, get_table },
};
const struct desk_part desk_analytics = { routes, sizeof(routes) / sizeof(routes[0]) };
