#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "records/analytics_scripts.h"

/* ---- sums that wait ---- */

#define BATCH	256u		/* stored by one script */

struct sum {
	int64_t		 day, by;
	char		 metric[SUMS_METRIC_MAX + 1];	/* zeros behind the text */
};

struct sums {
	char		 process[ID_LEN + 1];
	int64_t		 number;	/* of the batch */
	size_t		 in_batch;	/* what is on its way, until it is known to be stored */
	struct sum	 batch[BATCH];
	struct sum	*list;		/* what came after it */
	size_t		 count, room;
	int64_t		 lost;
};

enum hl_err
sums_new(struct sums **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (*ret == NULL)
		return HL_NO_MEMORY;
	id_new((*ret)->process);
	return HL_OK;
}

void
sums_free(struct sums *s)
{
	if (s)
		free(s->list);
	free(s);
}

static bool
grow(struct sums *s)
{
	size_t room = s->room ? 2 * s->room : 64;
	struct sum *list = room > SUMS_MAX ? NULL : realloc(s->list, room * sizeof(*list));

	if (list == NULL)
		return false;
	s->list = list;
	s->room = room;
	return true;
}

void
sums_add(struct sums *s, int64_t day, const char *metric, int64_t by)
{
	struct sum new = { .day = day, .by = by };

	if (by == 0)
		return;
	memcpy(new.metric, metric, strnlen(metric, SUMS_METRIC_MAX));
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].day == day && memcmp(s->list[i].metric, new.metric, sizeof(new.metric)) == 0) {
			s->list[i].by += by;
			return;
		}
	if (s->count == s->room && !grow(s))
		s->lost++;
	else
		s->list[s->count++] = new;
}

/* KEYS flushed  ARGV number, then lines: day metric by */
static struct redis_script flush_script = { .text =
	"local add_up = " LUA_ADD_UP
	"if redis.call('GET', KEYS[1]) == ARGV[1] then return {'ok'} end "
	"redis.call('SET', KEYS[1], ARGV[1], 'EX', 3600) "
	"for day, metric, by in string.gmatch(ARGV[2], '(%d+) (%w+) (%-?%d+)\\n') do "
	"  add_up('" ANALYTICS_CHAT "', day, '-:' .. metric, by) "
	"end "
	"return {'ok'} "
};

static enum hl_err
send_batch(struct store *store, const struct sums *s)
{
	struct buf lines = BUF_INIT(BATCH * 64);
	const struct redis_reply *reply;
	char name[CONVERSATION_KEY_MAX];
	struct number number;
	enum hl_err err;

	snprintf(name, sizeof(name), ANALYTICS_KEY "flushed:%s", s->process);
	for (size_t i = 0; i < s->in_batch; i++)
		buf_printf(&lines, "%lld %s %lld\n", (long long)s->batch[i].day, s->batch[i].metric, (long long)s->batch[i].by);
	err = buf_err(&lines);
	if (err)
		goto out;
	struct redis_arg key[] = { RA(name) }, arg[] = { number_arg(&number, s->number), buf_arg(&lines) };

	err = redis_script(store->redis, &flush_script, key, 1, arg, 2, &reply);
out:
	buf_free(&lines);
	return err;
}

enum hl_err
sums_flush(struct store *store, struct sums *s, int64_t *ret_lost)
{
	enum hl_err err = HL_OK;

	*ret_lost = s->lost;
	s->lost = 0;
	while (err == HL_OK && s->in_batch + s->count > 0) {
		if (s->in_batch == 0) {
			s->in_batch = s->count < BATCH ? s->count : BATCH;
			s->count -= s->in_batch;
			memcpy(s->batch, s->list + s->count, s->in_batch * sizeof(*s->batch));
			s->number++;
		}
		err = send_batch(store, s);
		if (err == HL_OK)
			s->in_batch = 0;
	}
	return err;
}

/* ---- sums that do not wait ---- */

/* ARGV account, then pairs of a field and by how much */
static struct redis_script count_script = { .text =
	"local add_up, t = " LUA_ADD_UP ", redis.call('TIME') "
	"for i = 2, #ARGV, 2 do add_up(ARGV[1], math.floor(t[1] / 86400), ARGV[i], ARGV[i + 1]) end "
	"return {'ok'} "
};

enum hl_err
analytics_count(struct store *s, const char *account, const struct counts *c)
{
	struct redis_arg args[1 + 2 * COUNTS_MAX];
	const struct redis_reply *reply;
	struct number by[COUNTS_MAX];

	args[0] = RA(account);
	for (size_t i = 0; i < c->count; i++) {
		args[1 + 2 * i] = RA(c->list[i].field);
		args[2 + 2 * i] = number_arg(&by[i], c->list[i].by);
	}
	return c->count ? redis_script(s->redis, &count_script, NULL, 0, args, 1 + 2 * c->count, &reply) : HL_OK;
}

/* ---- figures ---- */

void
figures_add(struct figures *f, const struct figures *more)
{
	for (size_t i = 0; i < METRICS; i++)
		f->sums[i] += more->sums[i];
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		f->first.counts[i] += more->first.counts[i];
		f->answer.counts[i] += more->answer.counts[i];
	}
}

/* Where in struct figures a metric is kept; false: it is none of ours. */
static bool
place_of(const char *metric, size_t *ret)
{
	static const char *const names[METRICS] = {
		"volume", "completed", "escalated", "resolved", "r1", "r2", "r3", "r4", "r5", "s0", "s1", "s2", "s3",
		"asked", "replies", "fms", "tms", "ti", "to", "m",
	};
	size_t histogram = *metric == 'f' ? offsetof(struct figures, first) : offsetof(struct figures, answer);
	unsigned long bucket;
	char *end;

	for (size_t i = 0; i < METRICS; i++)
		if (strcmp(metric, names[i]) == 0) {
			*ret = offsetof(struct figures, sums) + i * sizeof(int64_t);
			return true;
		}
	if ((*metric != 'f' && *metric != 't') || metric[1] == '\0')
		return false;
	bucket = strtoul(metric + 1, &end, 10);
	*ret = histogram + bucket * sizeof(int64_t);
	return *end == '\0' && bucket < HISTOGRAM_BUCKETS;
}

static void
add_at(struct figures *f, size_t place, int64_t by)
{
	int64_t *sum = (int64_t *)(void *)((char *)f + place);

	*sum += by;
}

/* ---- a report ---- */

#define SLOTS		4096u	/* a power of two, more than twice ANALYTICS_AGENTS_MAX */
#define DAYS_AT_ONCE	2	/* of a big company they are tens of thousands of sums, and the store does nothing else */

struct reading {
	const struct analytics_query *query;
	struct report	*report;
	size_t		 room;		/* for agents */
	unsigned short	 slots[SLOTS];	/* index of an agent and one; 0: free */
};

void
report_free(struct report *r)
{
	if (r == NULL)
		return;
	free(r->days);
	free(r->agents);
	free(r);
}

static struct figures *
add_agent(struct reading *r, const char *h)
{
	struct report *report = r->report;
	struct agent_figures *list;

	if (report->agent_count == r->room) {
		r->room = r->room ? 2 * r->room : 16;
		list = realloc(report->agents, r->room * sizeof(*list));
		if (list == NULL)
			return NULL;
		report->agents = list;
	}
	list = &report->agents[report->agent_count++];
	*list = (struct agent_figures){ 0 };
	snprintf(list->h, sizeof(list->h), "%s", h);
	return &list->figures;
}

/* The figures of an agent; of those that are too many, of all together.  NULL: no memory. */
static struct figures *
agent_of(struct reading *r, const char *h)
{
	struct report *report = r->report;
	size_t slot = str_hash(h, strlen(h)) % SLOTS;
	struct figures *f;

	while (r->slots[slot] && strcmp(report->agents[r->slots[slot] - 1].h, h) != 0)
		slot = (slot + 1) % SLOTS;
	if (r->slots[slot])
		return &report->agents[r->slots[slot] - 1].figures;
	if (report->agent_count >= ANALYTICS_AGENTS_MAX && strcmp(h, "?") != 0)
		return agent_of(r, "?");
	f = add_agent(r, h);
	if (f)
		r->slots[slot] = (unsigned short)report->agent_count;
	return f;
}

/* "G:metric" and its sum, of a day. */
static enum hl_err
take_field(struct reading *r, size_t day, const char *field, int64_t by)
{
	char h[CRYPTO_NAME_LEN + 1];
	const char *colon = field ? strchr(field, ':') : NULL;
	size_t len = colon ? (size_t)(colon - field) : 0;
	struct figures *agent;
	size_t place;

	if (colon == NULL || len > CRYPTO_NAME_LEN || by == 0 || !place_of(colon + 1, &place))
		return HL_OK;
	memcpy(h, field, len);
	h[len] = '\0';
	agent = agent_of(r, strcmp(h, "-") == 0 ? "" : h);
	if (agent == NULL)
		return HL_NO_MEMORY;
	add_at(&r->report->days[day], place, by);
	add_at(&r->report->total, place, by);
	add_at(agent, place, by);
	return HL_OK;
}

/* KEYS days  ARGV how the fields begin that are wanted; '': all */
static struct redis_script read_script = { .text =
	"local out = {} "
	"for i, key in ipairs(KEYS) do "
	"  local all = redis.call('HGETALL', key) "
	"  if ARGV[1] ~= '' then "
	"    local some = {} "
	"    for j = 1, #all, 2 do "
	"      if string.sub(all[j], 1, #ARGV[1]) == ARGV[1] then some[#some + 1] = all[j] some[#some + 1] = all[j + 1] end "
	"    end "
	"    all = some "
	"  end "
	"  out[i] = all "
	"end "
	"return out "
};

/* Some days of one account. */
static enum hl_err
read_days(struct store *s, struct reading *r, const char *account, int64_t from, int64_t to)
{
	char names[DAYS_AT_ONCE][CONVERSATION_KEY_MAX], prefix[CRYPTO_NAME_LEN + 2] = "";
	struct redis_arg keys[DAYS_AT_ONCE] = { RA("") }, args[1];
	const struct redis_reply *reply;
	size_t n = 0;
	enum hl_err err;

	for (int64_t day = from; day <= to; day++, n++) {
		snprintf(names[n], sizeof(names[n]), ANALYTICS_KEY "%s:%lld", account, (long long)day);
		keys[n] = RA(names[n]);
	}
	if (r->query->agent)
		snprintf(prefix, sizeof(prefix), "%s:", r->query->agent);
	args[0] = RA(prefix);
	err = redis_script(s->redis, &read_script, keys, n, args, 1, &reply);
	for (size_t i = 0; err == HL_OK && i < n; i++) {
		const struct redis_reply *day = redis_at(reply, i);

		for (size_t j = 0; err == HL_OK && j + 1 < redis_length(day); j += 2)
			err = take_field(r, (size_t)(from - r->query->from) + i, redis_str(redis_at(day, j), NULL),
			    redis_int(redis_at(day, j + 1)));
	}
	return err;
}

static enum hl_err
read_all(struct store *s, struct reading *r, const char *account)
{
	enum hl_err err = HL_OK;

	for (int64_t day = r->query->from; err == HL_OK && day <= r->query->to; day += DAYS_AT_ONCE)
		err = read_days(s, r, account, day, day + DAYS_AT_ONCE - 1 < r->query->to ? day + DAYS_AT_ONCE - 1 : r->query->to);
	return err;
}

enum hl_err
analytics_read(struct store *s, const struct analytics_query *q, struct report **ret)
{
	struct reading *r = calloc(1, sizeof(*r));
	struct report *report = calloc(1, sizeof(*report));
	enum hl_err err = HL_NO_MEMORY;

	*ret = NULL;
	if (r == NULL || report == NULL || q->to < q->from || q->to - q->from >= ANALYTICS_RANGE_MAX)
		goto out;
	r->query = q;
	r->report = report;
	report->day_count = (size_t)(q->to - q->from + 1);
	report->days = calloc(report->day_count, sizeof(*report->days));
	if (report->days == NULL)
		goto out;
	err = q->account ? read_all(s, r, q->account) : HL_OK;
	if (err == HL_OK && q->chat)
		err = read_all(s, r, ANALYTICS_CHAT);
	if (err)
		goto out;
	*ret = report;
	report = NULL;
out:
	report_free(report);
	free(r);
	return err;
}
