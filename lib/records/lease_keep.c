/*
 * Leases as such: kept, let go, and found when whoever held them is gone.
 */
#include <stdio.h>
#include <string.h>

#include "records/holder.h"
#include "records/keys.h"
#include "records/scripts.h"

/* KEYS due  ARGV lease, then H fence of each; replies which are still theirs. */
static struct redis_script renew_script = { .text =
	LUA_NOW
	"local kept = {} "
	"for i = 2, #ARGV, 2 do "
	"  local own = redis.call('HGET', 'c:" SHARD ":' .. ARGV[i], 'fn') == ARGV[i + 1] "
	"  if own then redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[i]) end "
	"  kept[i / 2] = own and 1 or 0 "
	"end "
	"return kept "
};

/* KEYS due holders  ARGV most holder lease */
static struct redis_script overdue_script = { .text =
	LUA_NOW
	"local noted = ARGV[2] ~= '' and redis.call('ZSCORE', KEYS[2], ARGV[2]) or now "
	"if ARGV[2] ~= '' and (noted == now or now - noted > 3600000) then "
	"  redis.call('ZADD', KEYS[2], now, ARGV[2]) "
	"  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 86400000) "	/* of other hosts, which nobody here can judge */
	"end "
	/* A clock that was set back, or that of a server that took over: who lives says how long from now, for the others it is now. */
	"for _, h in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now + 2 * ARGV[3], '+inf', 'LIMIT', 0, ARGV[1])) do "
	"  redis.call('ZADD', KEYS[1], 'XX', now + ARGV[3], h) "
	"end "
	"return {redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1]), redis.call('ZRANGE', KEYS[2], 0, -1)} "
};

/* KEYS due holders  ARGV holder: its leases end. */
static struct redis_script bury_script = { .text =
	LUA_NOW
	"local left = 0 "
	"for _, h in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')) do "
	"  if redis.call('HGET', 'c:" SHARD ":' .. h, 'by') == ARGV[1] then "
	"    redis.call('ZADD', KEYS[1], 0, h) "
	"    left = left + 1 "
	"  end "
	"end "
	"redis.call('ZREM', KEYS[2], ARGV[1]) "
	"return {'ok', left} "
};

/* KEYS c due  ARGV H fence: whoever looks next takes it. */
static struct redis_script leave_script = { .text =
	"if redis.call('HGET', KEYS[1], 'fn') == ARGV[2] then redis.call('ZADD', KEYS[2], 'XX', 0, ARGV[1]) end "
	"return {'ok'} "
};

#define RENEW_AT_ONCE	32u

enum hl_err
conversation_renew(struct store *s, struct kept_lease *leases, size_t count)
{
	struct redis_arg key[] = { RA(DUE_KEY) }, arg[1 + 2 * RENEW_AT_ONCE];
	struct number lease, fence[RENEW_AT_ONCE];
	const struct redis_reply *reply;
	enum hl_err err = HL_OK;

	arg[0] = number_arg(&lease, LEASE_MS);
	while (count > 0 && err == HL_OK) {
		size_t n = count < RENEW_AT_ONCE ? count : RENEW_AT_ONCE;

		for (size_t i = 0; i < n; i++) {
			arg[1 + 2 * i] = RA(leases[i].place.h);
			arg[2 + 2 * i] = number_arg(&fence[i], leases[i].fence);
		}
		err = redis_script(s->redis, &renew_script, key, 1, arg, 1 + 2 * n, &reply);
		for (size_t i = 0; err == HL_OK && i < n; i++)
			leases[i].lost = redis_int(redis_at(reply, i)) == 0;
		leases += n;
		count -= n;
	}
	return err;
}

/* KEYS due (for its slot)  ARGV H… */
static struct redis_script epochs_script = { .text =
	"local epochs = {} "
	"for i, h in ipairs(ARGV) do "
	"  local s = redis.call('HMGET', 'c:" SHARD ":' .. h, 'uh', 'ep') "
	"  epochs[i] = s[1] and tonumber(s[2] or 0) or -1 "
	"end "
	"return epochs "
};

enum hl_err
conversation_epochs(struct store *s, const struct place *places, size_t count, int64_t *ret)
{
	struct redis_arg key[] = { RA(DUE_KEY) }, arg[RENEW_AT_ONCE];
	const struct redis_reply *reply;
	enum hl_err err = HL_OK;

	while (count > 0 && err == HL_OK) {
		size_t n = count < RENEW_AT_ONCE ? count : RENEW_AT_ONCE;

		for (size_t i = 0; i < n; i++)
			arg[i] = RA(places[i].h);
		err = redis_script(s->redis, &epochs_script, key, 1, arg, n, &reply);
		for (size_t i = 0; err == HL_OK && i < n; i++) {
			ret[i] = redis_int(redis_at(reply, i));
			if (ret[i] < 0)
				ret[i] = INT64_MAX;
		}
		places += n;
		ret += n;
		count -= n;
	}
	return err;
}

/* The first of the holders that is dead; false: none is. */
static bool
find_dead(const struct store *s, const struct redis_reply *holders, char ret[HOLDER_MAX])
{
	for (size_t i = 0; s->holder && i < redis_length(holders); i++) {
		const char *name = redis_str(redis_at(holders, i), NULL);

		if (name && strlen(name) < HOLDER_MAX && holder_is_dead(name, s->holder)) {
			strcpy(ret, name);
			return true;
		}
	}
	return false;
}

enum hl_err
conversation_overdue(struct store *s, struct place *ret, size_t max, size_t *count)
{
	struct redis_arg key[] = { RA(DUE_KEY), RA(HOLDERS_KEY) };
	const struct redis_reply *reply;
	char dead[HOLDER_MAX];
	struct number most, lease;
	enum hl_err err;

	*count = 0;
	struct redis_arg arg[] = { number_arg(&most, (int64_t)max), holder_arg(s), number_arg(&lease, LEASE_MS) };

	while ((err = redis_script(s->redis, &overdue_script, key, 2, arg, 3, &reply)) == HL_OK &&
	    find_dead(s, redis_at(reply, 1), dead)) {
		struct redis_arg name[] = { RA(dead) };

		err = redis_script(s->redis, &bury_script, key, 2, name, 1, &reply);
		if (err)
			break;
	}
	reply = err ? NULL : redis_at(reply, 0);
	for (size_t i = 0; i < redis_length(reply) && i < max; i++) {
		const char *h = redis_str(redis_at(reply, i), NULL);

		if (h)
			snprintf(ret[(*count)++].h, sizeof(ret->h), "%s", h);
	}
	return err;
}

enum hl_err
conversation_leave(struct store *s, const struct lease *l)
{
	const struct redis_reply *reply;
	struct number fence;
	struct keys k;

	keys_of(&l->place, &k);
	struct redis_arg key[] = { RA(k.c), RA(DUE_KEY) }, arg[] = { RA(l->place.h), number_arg(&fence, l->fence) };

	return redis_script(s->redis, &leave_script, key, 2, arg, 2, &reply);
}
