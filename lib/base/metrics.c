#include <string.h>

#include "base/metrics.h"

static struct metrics private_board;
struct metrics *metrics_own = &private_board;

static const int statuses[METRICS_STATUSES - 1] = { 200, 201, 202, 204, 206, 304, 400, 401, 402, 403, 404, 405, 409, 411, 413, 415, 422,
	429, 431, 499, 500, 501, 502, 503, 504 };

static void
add_spread(struct spread *to, const struct spread *from)
{
	metrics_add(&to->sum_us, from->sum_us);
	for (size_t i = 0; i < METRICS_BUCKETS; i++)
		metrics_add(&to->counts[i], from->counts[i]);
}

static void
add_route(struct metrics_route *to, const struct metrics_route *from)
{
	add_spread(&to->took, &from->took);
	for (size_t i = 0; i < METRICS_STATUSES; i++)
		metrics_add(&to->statuses[i], from->statuses[i]);
}

void
metrics_use(struct metrics *board)
{
	const struct metrics *before = metrics_own;

	if (board == before)
		return;
	for (size_t i = 0; i < M_COUNTERS; i++)
		metrics_add(&board->counters[i], before->counters[i]);
	memcpy(board->gauges, before->gauges, sizeof(board->gauges));
	for (size_t i = 0; i < M_SPREADS; i++)
		add_spread(&board->spreads[i], &before->spreads[i]);
	for (size_t i = 0; i < M_PROVIDERS; i++)
		for (size_t j = 0; j < M_OUTCOMES; j++)
			add_spread(&board->upstream[i][j], &before->upstream[i][j]);
	for (size_t i = 0; i < METRICS_ROUTES; i++)
		add_route(&board->requests[i], &before->requests[i]);
	metrics_own = board;
}

static void
observe(struct spread *s, int64_t us)
{
	static const int64_t bounds[METRICS_BUCKETS - 1] = {
#define X(us, text) us,
		METRICS_BOUNDS(X)
#undef X
	};
	size_t i = 0;

	if (us < 0)
		us = 0;
	while (i < METRICS_BUCKETS - 1 && us > bounds[i])
		i++;
	metrics_add(&s->counts[i], 1);
	metrics_add(&s->sum_us, (uint64_t)us);
}

void
metrics_took(enum metric_spread what, int64_t us)
{
	observe(&metrics_own->spreads[what], us);
}

void
metrics_upstream(enum metric_provider who, enum metric_outcome how, int64_t us)
{
	if (who < M_PROVIDERS)
		observe(&metrics_own->upstream[who][how], us);
}

void
metrics_request(size_t route, int status, int64_t us)
{
	struct metrics_route *r = &metrics_own->requests[route < METRICS_ROUTES ? route : 0];
	size_t i = 0;

	while (i < METRICS_STATUSES - 1 && statuses[i] != status)
		i++;
	metrics_add(&r->statuses[i], 1);
	observe(&r->took, us);
}

int
metrics_status(size_t at)
{
	return at < METRICS_STATUSES - 1 ? statuses[at] : 0;
}

enum metric_outcome
metrics_outcome_of(int status)
{
	if (status >= 200 && status < 300)
		return M_END_OK;
	return status == 429 ? M_END_LIMITED : status >= 500 || status == 408 ? M_END_FAILED : M_END_REFUSED;
}

static const char *const providers[] = {
#define X(name, text) text,
	METRICS_PROVIDERS(X)
#undef X
};

static const char *const outcomes[] = {
#define X(name, text) text,
	METRICS_OUTCOMES(X)
#undef X
};

const char *
metrics_provider_name(enum metric_provider who)
{
	return providers[who];
}

const char *
metrics_outcome_name(enum metric_outcome how)
{
	return outcomes[how];
}

enum metric_provider
metrics_provider_named(const char *name)
{
	unsigned i = 0;

	while (i < M_PROVIDERS && strcmp(providers[i], name) != 0)
		i++;
	return (enum metric_provider)i;
}
