#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "records/keys.h"

static void
spend_key(const struct spend *s, char out[CONVERSATION_KEY_MAX])
{
	snprintf(out, CONVERSATION_KEY_MAX, "spend:" SHARD ":%s%s%s", s->day, *s->account ? ":" : "", s->account);
}

/* KEYS spend  ARGV tokens money field limit; no field: whatever the limit */
static struct redis_script spend_script = { .text =
	"if ARGV[3] ~= '' and tonumber(redis.call('HGET', KEYS[1], ARGV[3]) or 0) >= tonumber(ARGV[4]) then "
	"  return {'spent'} "
	"end "
	"redis.call('HINCRBY', KEYS[1], 't', ARGV[1]) "
	"redis.call('HINCRBY', KEYS[1], 'm', ARGV[2]) "
	"redis.call('EXPIRE', KEYS[1], 3456000) "	/* forty days */
	"return {'ok'} "
};

static enum hl_err
run_spend(struct store *s, const struct spend *at, int64_t tokens, int64_t micro_money, const char *field, int64_t limit,
    bool *ret_done)
{
	const struct redis_reply *reply;
	char key_name[CONVERSATION_KEY_MAX];
	struct number t, m, most;
	enum hl_err err;

	spend_key(at, key_name);
	struct redis_arg key[] = { RA(key_name) };
	struct redis_arg arg[] = { number_arg(&t, tokens), number_arg(&m, micro_money), RA(field), number_arg(&most, limit) };

	err = redis_script(s->redis, &spend_script, key, 1, arg, 4, &reply);
	*ret_done = err == HL_OK && said(reply, "ok");
	return err;
}

enum hl_err
spend_reserve(struct store *s, const struct spend_limit *limit, struct spend *spend, bool *ret_within)
{
	char now[CLOCK_ISO_LEN + 1];
	enum hl_err err;

	clock_iso(clock_wall_ms(), now);
	snprintf(spend->day, sizeof(spend->day), "%.10s", now);
	err = run_spend(s, spend, spend->tokens, spend->micro_money, limit->money ? "m" : "t", limit->most, ret_within);
	return err;
}

enum hl_err
spend_settle(struct store *s, const struct spend *reserved, int64_t tokens, int64_t micro_money)
{
	bool done;

	return run_spend(s, reserved, tokens - reserved->tokens, micro_money - reserved->micro_money, "", 0, &done);
}
