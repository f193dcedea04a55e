#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "records/keys.h"
#include "records/scripts.h"

static void
spend_key(const struct spend *s, char out[CONVERSATION_KEY_MAX])
{
	snprintf(out, CONVERSATION_KEY_MAX, "spend:" SHARD ":%s%s%s", s->day, *s->account ? ":" : "", s->account);
}

#define HELD	":held"
#define HELD_MAX	64		/* "tokens:micro_money:id" */
#define SETTLE_SLACK_MS	10000

struct spend_keys { char sums[CONVERSATION_KEY_MAX], held[CONVERSATION_KEY_MAX + sizeof(HELD)]; };

static void
spend_keys(const struct spend *s, struct spend_keys *k)
{
	spend_key(s, k->sums);
	stpcpy(stpcpy(k->held, k->sums), HELD);
}

static void
held_member(const struct spend *s, char out[HELD_MAX])
{
	snprintf(out, HELD_MAX, "%lld:%lld:%s", (long long)s->tokens, (long long)s->micro_money, s->id);
}

#define LUA_ADD \
	"local function add(tokens, money) " \
	"  redis.call('HINCRBY', KEYS[1], 't', tokens) " \
	"  redis.call('HINCRBY', KEYS[1], 'm', money) " \
	"end "

/*
 * KEYS sums, held  ARGV tokens money field limit held ms
 * What is held longer than a request can take is a dead process's.
 */
static struct redis_script reserve_script = { .text =
	LUA_ADD LUA_NOW
	"for _, m in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do "
	"  local t, money = string.match(m, '^(%d+):(%d+):') "
	"  add(0 - t, 0 - money) "
	"  redis.call('ZREM', KEYS[2], m) "
	"end "
	"if tonumber(redis.call('HGET', KEYS[1], ARGV[3]) or 0) >= tonumber(ARGV[4]) then "
	"  return {'spent'} "
	"end "
	"if ARGV[1] ~= '0' or ARGV[2] ~= '0' then "
	"  add(ARGV[1], ARGV[2]) "
	"  redis.call('ZADD', KEYS[2], now + ARGV[6], ARGV[5]) "
	"  redis.call('EXPIRE', KEYS[1], 3456000) "	/* forty days */
	"  redis.call('EXPIRE', KEYS[2], 3456000) "
	"end "
	"return {'ok'} "
};

/* KEYS sums, held  ARGV tokens money (what it did cost) less_tokens less_money (what it had been reserved for) held */
static struct redis_script settle_script = { .text =
	LUA_ADD
	"if redis.call('ZREM', KEYS[2], ARGV[5]) == 1 then "
	"  add(ARGV[3], ARGV[4]) "
	"else "
	"  add(ARGV[1], ARGV[2]) "
	"  redis.call('EXPIRE', KEYS[1], 3456000) "
	"end "
	"return {'ok'} "
};

enum hl_err
spend_reserve(struct store *s, const struct spend_limit *limit, struct spend *spend, bool *ret_within)
{
	const struct redis_reply *reply;
	struct number t, m, most, ms;
	struct spend_keys k;
	char now[CLOCK_ISO_LEN + 1], held[HELD_MAX];
	enum hl_err err;

	clock_iso(clock_wall_ms(), now);
	snprintf(spend->day, sizeof(spend->day), "%.10s", now);
	id_new(spend->id);
	spend_keys(spend, &k);
	held_member(spend, held);
	struct redis_arg key[] = { RA(k.sums), RA(k.held) };
	struct redis_arg arg[] = { number_arg(&t, spend->tokens), number_arg(&m, spend->micro_money), RA(limit->money ? "m" : "t"),
		number_arg(&most, limit->most), RA(held), number_arg(&ms, s->conf->turn_timeout_ms + SETTLE_SLACK_MS) };

	err = redis_script(s->redis, &reserve_script, key, 2, arg, 6, &reply);
	*ret_within = err == HL_OK && said(reply, "ok");
	return err;
}

enum hl_err
spend_settle(struct store *s, const struct spend *reserved, int64_t tokens, int64_t micro_money)
{
	const struct redis_reply *reply;
	struct number t, m, less_t, less_m;
	struct spend_keys k;
	char held[HELD_MAX];

	spend_keys(reserved, &k);
	held_member(reserved, held);
	struct redis_arg key[] = { RA(k.sums), RA(k.held) };
	struct redis_arg arg[] = { number_arg(&t, tokens), number_arg(&m, micro_money),
		number_arg(&less_t, tokens - reserved->tokens), number_arg(&less_m, micro_money - reserved->micro_money), RA(held) };

	return redis_script(s->redis, &settle_script, key, 2, arg, 5, &reply);
}
