#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics_text.h"

struct row { const char *family, *labels; bool each; const char *help; };

#define X(name, family, labels, each, help) { family, labels, each, help },
static const struct row counter_rows[M_COUNTERS] = { METRICS_COUNTERS(X) };
static const struct row gauge_rows[M_GAUGES] = { METRICS_GAUGES(X) };
static const struct row spread_rows[M_SPREADS] = { METRICS_SPREADS(X) };
#undef X

#define X(us, text) text,
static const char *const bounds[METRICS_BUCKETS] = { METRICS_BOUNDS(X) "+Inf" };
#undef X

#define PROGRAMS_MAX	64u	/* as many as there may be boards */

struct sheet {
	struct buf	*out;
	const struct metrics *boards;
	const bool	*alive;
	size_t		 count;
	const char	*programs[PROGRAMS_MAX];
	size_t		 program_count;
};

static void
add_program(struct sheet *s, const char *name)
{
	for (size_t i = 0; i < s->program_count; i++)
		if (strcmp(s->programs[i], name) == 0)
			return;
	if (s->program_count < PROGRAMS_MAX)
		s->programs[s->program_count++] = name;
}

/* program NULL: all of them. */
static bool
is_of(const struct metrics *m, const char *program)
{
	return program == NULL || strcmp(m->program, program) == 0;
}

static void
write_head(struct buf *out, const char *family, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", family, help, family, type);
}

/* A comma stands between the two if there are both, and braces around them if there is one. */
static void
write_name(struct buf *out, const char *family, const char *suffix, const char *program, const char *labels)
{
	buf_printf(out, "%s%s", family, suffix);
	if (program == NULL && *labels == '\0')
		return;
	buf_putc(out, '{');
	if (program)
		buf_printf(out, "program=\"%s\"%s", program, *labels ? "," : "");
	buf_printf(out, "%s}", labels);
}

static void
write_seconds(struct buf *out, uint64_t us)
{
	buf_printf(out, " %" PRIu64 ".%06u\n", us / 1000000, (unsigned)(us % 1000000));
}

static void
sum_spread(struct spread *sum, const struct spread *one)
{
	sum->sum_us += one->sum_us;
	for (size_t i = 0; i < METRICS_BUCKETS; i++)
		sum->counts[i] += one->counts[i];
}

static uint64_t
spread_total(const struct spread *s)
{
	uint64_t total = 0;

	for (size_t i = 0; i < METRICS_BUCKETS; i++)
		total += s->counts[i];
	return total;
}

static void
write_spread(struct buf *out, const char *family, const char *program, const char *labels, const struct spread *s)
{
	char with[256];
	uint64_t total = 0;

	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		total += s->counts[i];
		snprintf(with, sizeof(with), "%s%sle=\"%s\"", labels, *labels ? "," : "", bounds[i]);
		write_name(out, family, "_bucket", program, with);
		buf_printf(out, " %" PRIu64 "\n", total);
	}
	write_name(out, family, "_sum", program, labels);
	write_seconds(out, s->sum_us);
	write_name(out, family, "_count", program, labels);
	buf_printf(out, " %" PRIu64 "\n", total);
}

/* ---- what is in the tables ---- */

static bool
begins(const struct row *rows, size_t i)
{
	return i == 0 || strcmp(rows[i].family, rows[i - 1].family) != 0;
}

static void
write_counter(const struct sheet *s, size_t which, const char *program)
{
	const struct row *row = &counter_rows[which];
	uint64_t sum = 0;

	for (size_t i = 0; i < s->count; i++)
		if (is_of(&s->boards[i], program))
			sum += s->boards[i].counters[which];
	write_name(s->out, row->family, "", program, row->labels);
	if (which == M_PROCESS_CPU_US)
		write_seconds(s->out, sum);
	else
		buf_printf(s->out, " %" PRIu64 "\n", sum);
}

static void
write_gauge(const struct sheet *s, size_t which, const char *program)
{
	const struct row *row = &gauge_rows[which];
	int64_t sum = 0;

	for (size_t i = 0; i < s->count; i++)
		if (s->alive[i] && is_of(&s->boards[i], program))
			sum += s->boards[i].gauges[which];
	write_name(s->out, row->family, "", program, row->labels);
	buf_printf(s->out, " %" PRId64 "\n", sum);
}

static void
write_spread_row(const struct sheet *s, size_t which, const char *program)
{
	struct spread sum = { 0 };

	for (size_t i = 0; i < s->count; i++)
		if (is_of(&s->boards[i], program))
			sum_spread(&sum, &s->boards[i].spreads[which]);
	write_spread(s->out, spread_rows[which].family, program, spread_rows[which].labels, &sum);
}

/* For all programs together, or for each. */
static void
write_table(const struct sheet *s, const struct row *rows, size_t count, const char *type,
    void (*write)(const struct sheet *, size_t, const char *))
{
	for (size_t i = 0; i < count; i++) {
		if (begins(rows, i))
			write_head(s->out, rows[i].family, type, rows[i].help);
		if (!rows[i].each)
			write(s, i, NULL);
		for (size_t p = 0; rows[i].each && p < s->program_count; p++)
			write(s, i, s->programs[p]);
	}
}

/* ---- servers of others ---- */

static void
write_upstream(const struct sheet *s)
{
	static const char family[] = "helpline_upstream_request_duration_seconds";
	char labels[96];

	write_head(s->out, family, "histogram", "Requests to the servers of models and of speech, to the end of their answers");
	for (unsigned p = 0; p < M_PROVIDERS; p++)
		for (unsigned o = 0; o < M_OUTCOMES; o++) {
			struct spread sum = { 0 };

			for (size_t i = 0; i < s->count; i++)
				sum_spread(&sum, &s->boards[i].upstream[p][o]);
			snprintf(labels, sizeof(labels), "provider=\"%s\",outcome=\"%s\"",
			    metrics_provider_name((enum metric_provider)p), metrics_outcome_name((enum metric_outcome)o));
			if (spread_total(&sum))
				write_spread(s->out, family, NULL, labels, &sum);
		}
}

/* ---- routes ---- */

/* What is no route has the first place of each board; all of them are one. */
static const char *
route_name(const struct metrics *m, size_t route)
{
	return route ? m->routes[route - 1] : "any other";
}

/* The first board of that program which has the route: only there it is shown, with what all have counted. */
static bool
is_first_with(const struct sheet *s, size_t board, const char *name)
{
	for (size_t i = 0; i < board; i++) {
		if (!is_of(&s->boards[i], s->boards[board].program))
			continue;
		for (size_t r = 0; r <= s->boards[i].route_count; r++)
			if (strcmp(route_name(&s->boards[i], r), name) == 0)
				return false;
	}
	return true;
}

static void
sum_route(const struct sheet *s, const char *program, const char *name, struct metrics_route *ret)
{
	*ret = (struct metrics_route){ 0 };
	for (size_t i = 0; i < s->count; i++) {
		for (size_t r = 0; is_of(&s->boards[i], program) && r <= s->boards[i].route_count; r++) {
			const struct metrics_route *one = &s->boards[i].requests[r];

			if (strcmp(route_name(&s->boards[i], r), name) != 0)
				continue;
			sum_spread(&ret->took, &one->took);
			for (size_t k = 0; k < METRICS_STATUSES; k++)
				ret->statuses[k] += one->statuses[k];
		}
	}
}

static void
write_statuses(const struct sheet *s, const char *family, const char *program, const char *labels, const struct metrics_route *r)
{
	char with[192];

	for (size_t k = 0; k < METRICS_STATUSES; k++) {
		if (r->statuses[k] == 0)
			continue;
		snprintf(with, sizeof(with), metrics_status(k) ? "%s,status=\"%d\"" : "%s,status=\"other\"", labels, metrics_status(k));
		write_name(s->out, family, "", program, with);
		buf_printf(s->out, " %" PRIu64 "\n", r->statuses[k]);
	}
}

static void
write_route(const struct sheet *s, const char *family, const char *program, const char *name, bool times)
{
	const char *space = strchr(name, ' ');
	struct metrics_route sum;
	char labels[128];

	sum_route(s, program, name, &sum);
	if (spread_total(&sum.took) == 0 || space == NULL)
		return;
	snprintf(labels, sizeof(labels), "method=\"%.*s\",route=\"%s\"", (int)(space - name), name, space + 1);
	if (times)
		write_spread(s->out, family, program, labels, &sum.took);
	else
		write_statuses(s, family, program, labels, &sum);
}

static void
write_routes(const struct sheet *s, bool times)
{
	const char *family = times ? "helpline_http_request_duration_seconds" : "helpline_http_requests_total";

	if (times)
		write_head(s->out, family, "histogram", "From a request's arrival to the end of its answer, streams included");
	else
		write_head(s->out, family, "counter", "Requests that were answered; 499 is one whose client went away first");
	for (size_t i = 0; i < s->count; i++)
		for (size_t r = 0; r <= s->boards[i].route_count; r++)
			if (is_first_with(s, i, route_name(&s->boards[i], r)))
				write_route(s, family, s->boards[i].program, route_name(&s->boards[i], r), times);
}

/* ---- processes ---- */

/* One more row for each program: write says what stands in it. */
static void
write_processes(const struct sheet *s, const char *family, const char *help, int64_t (*value)(const struct metrics *, int64_t so_far, int64_t now),
    int64_t now)
{
	write_head(s->out, family, "gauge", help);
	for (size_t p = 0; p < s->program_count; p++) {
		int64_t so_far = 0;

		for (size_t i = 0; i < s->count; i++)
			if (s->alive[i] && is_of(&s->boards[i], s->programs[p]))
				so_far = value(&s->boards[i], so_far, now);
		write_name(s->out, family, "", s->programs[p], "");
		buf_printf(s->out, " %" PRId64 "\n", so_far);
	}
}

static int64_t
one_more(const struct metrics *m, int64_t so_far, int64_t now)
{
	(void)m;
	(void)now;
	return so_far + 1;
}

static int64_t
latest_start(const struct metrics *m, int64_t so_far, int64_t now)
{
	(void)now;
	return m->started_ms / 1000 > so_far ? m->started_ms / 1000 : so_far;
}

static int64_t
oldest_beat(const struct metrics *m, int64_t so_far, int64_t now)
{
	int64_t age = (now - m->beat_ms) / 1000;

	return age > so_far ? age : so_far;
}

static void
write_builds(const struct sheet *s)
{
	char labels[64];

	write_head(s->out, "helpline_build_info", "gauge", "Processes that live, by their version");
	for (size_t i = 0; i < s->count; i++) {
		int64_t same = 0;
		bool first = true;

		for (size_t k = 0; k < s->count; k++) {
			if (!s->alive[k] || !is_of(&s->boards[k], s->boards[i].program) ||
			    strcmp(s->boards[k].version, s->boards[i].version) != 0)
				continue;
			same++;
			first = first && k >= i;
		}
		if (!s->alive[i] || !first)
			continue;
		snprintf(labels, sizeof(labels), "version=\"%s\"", s->boards[i].version);
		write_name(s->out, "helpline_build_info", "", s->boards[i].program, labels);
		buf_printf(s->out, " %" PRId64 "\n", same);
	}
}

void
metrics_write_gauge(struct buf *out, const char *family, const char *help, int64_t value)
{
	write_head(out, family, "gauge", help);
	buf_printf(out, "%s %" PRId64 "\n", family, value);
}

void
metrics_write(struct buf *out, const struct metrics *boards, const bool *alive, size_t count, int64_t now_wall_ms)
{
	struct sheet s = { .out = out, .boards = boards, .alive = alive, .count = count };

	for (size_t i = 0; i < count; i++)
		add_program(&s, boards[i].program);
	write_routes(&s, false);
	write_routes(&s, true);
	write_upstream(&s);
	write_table(&s, spread_rows, M_SPREADS, "histogram", write_spread_row);
	write_table(&s, counter_rows, M_COUNTERS, "counter", write_counter);
	write_table(&s, gauge_rows, M_GAUGES, "gauge", write_gauge);
	write_builds(&s);
	write_processes(&s, "helpline_processes", "Processes that live", one_more, now_wall_ms);
	write_processes(&s, "helpline_process_start_time_seconds", "When the youngest process began, in seconds since 1970", latest_start, now_wall_ms);
	write_processes(&s, "helpline_process_heartbeat_age_seconds", "How long ago the process that is most behind has said that it lives, each second",
	    oldest_beat, now_wall_ms);
}
