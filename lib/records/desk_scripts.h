/*
 * desk_scripts.h - the scripts that create, read, change and delete a desk conversation.  Included by desk.c alone.
 */
#ifndef HL_DESK_SCRIPTS_H
#define HL_DESK_SCRIPTS_H

#include "records/desk_head.h"
#include "records/tally.h"

#define LUA_DESK	LUA_N LUA_NOW "local desk = true " LUA_TALLY

/* The conversation as it is, with its messages from an index on. */
#define LUA_SHOW										\
	LUA_HEAD										\
	"local function show(from) "								\
	"  local r = head(ARGV[1]) "								\
	"  r[" HEAD_LOG "] = redis.call('LRANGE', KEYS[2], from, -1) "				\
	"  return {'ok', r, n(redis.call('HGET', '" STATS_KEY "' .. r[2], 'v'))} "		\
	"end "

/*
 * KEYS c log rl…
 * ARGV H account ttl d ui dk agent company tt tx entry keep said body anew intervals…
 */
static struct redis_script desk_create_script = { .durable = true, .text =
	LUA_DESK
	"if redis.call('EXISTS', KEYS[1]) == 1 then "
	"  redis.call('HINCRBY', KEYS[1], 'seq', 0) "	/* WAIT is for what this connection has written */
	"  if (redis.call('HGET', KEYS[1], 'bh') or ARGV[14]) ~= ARGV[14] then return {'conflict'} end "
	"  return {'again'} "
	"end "
	"local gone = redis.call('GET', '" GONE_KEY "' .. ARGV[1]) "
	"if gone and ARGV[15] == '' then return {'again'} end "
	LUA_LIMITS(3, 16)
	"redis.call('HSET', KEYS[1], 'dk', ARGV[6], 'uh', ARGV[2], 'cr', now, 'up', now, 'lm', ARGV[11] ~= '' and ARGV[13] or now, 'ttl', ARGV[3], 'd', ARGV[4]) "
	"if gone then "
	"  redis.call('DEL', '" GONE_KEY "' .. ARGV[1]) "
	"  if (tonumber(gone) or 0) > 0 then redis.call('HSET', KEYS[1], 'ep', gone) end "
	"end "
	"for field, at in pairs({ui = 5, ag = 7, tt = 9, tx = 10, bh = 14}) do "
	"  if ARGV[at] ~= '' then redis.call('HSET', KEYS[1], field, ARGV[at]) end "
	"end "
	"if ARGV[11] ~= '' then "
	"  redis.call('RPUSH', KEYS[2], ARGV[11]) "
	"  redis.call('HSET', KEYS[1], 'seq', 1, 'lb', #ARGV[11]) "
	"end "
	"local agent = ARGV[7] "
	"if agent ~= '' then "
	"  " LUA_AGENT_BEGUN("'" AGENT_KEY "' .. agent", "now")
	"  local company = " LUA_AGENT_COMPANY("'" AGENT_KEY "' .. agent", "ARGV[8]")
	"  if company ~= '' then redis.call('HSET', '" STATS_KEY "' .. ARGV[2], 'n:' .. agent, company) end "
	"end "
	"redis.call('ZADD', '" ACCOUNT_KEY "' .. ARGV[2] .. ':conversations', now, ARGV[1]) "
	"tally(ARGV[1], nil, facts(KEYS[1])) "
	"if ARGV[12] ~= '0' then "	/* nothing else is done with it that would change its expiry */
	"  for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], ARGV[12]) end "
	"  for _, list in ipairs({':conversations', ':recent', ':open'}) do "
	"    redis.call('ZREMRANGEBYSCORE', '" ACCOUNT_KEY "' .. ARGV[2] .. list, '-inf', now - ARGV[12]) "
	"  end "
	"end "
	"return {'ok', now, n(redis.call('HGET', '" STATS_KEY "' .. ARGV[2], 'v'))} "
};

/* KEYS c log  ARGV H account door after */
static struct redis_script desk_read_script = { .text =
	LUA_DESK LUA_SHOW
	"if not admits(KEYS[1], ARGV[2], ARGV[3]) then return {'gone'} end "
	"return show(ARGV[4]) "
};

/*
 * KEYS c log
 * ARGV H account door tt tx person status satisfaction sentiment intents seq; empty: as it is, seq: however many messages
 */
static struct redis_script desk_change_script = { .durable = true, .text =
	LUA_DESK LUA_SHOW
	"if not admits(KEYS[1], ARGV[2], ARGV[3]) then return {'gone'} end "
	"local was = facts(KEYS[1]) "
	"if ARGV[11] ~= '' and n(was[3]) ~= tonumber(ARGV[11]) then return {'fenced'} end "
	"if ARGV[4] ~= '' then retitle(KEYS[1], ARGV[4], ARGV[5], ARGV[6] == '1') end "
	"if ARGV[7] == '0' then redis.call('HDEL', KEYS[1], 'ds', 'en') "
	"elseif ARGV[7] ~= '' then "
	"  redis.call('HSET', KEYS[1], 'ds', ARGV[7]) "
	"  redis.call('HSETNX', KEYS[1], 'en', now) "
	"end "
	"if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'sa', ARGV[8]) end "
	"local ra = redis.call('HGET', KEYS[1], 'ra') "
	"if ARGV[9] ~= '' and (ARGV[7] == '' or not ra or ra ~= was[3]) then redis.call('HSET', KEYS[1], 'se', ARGV[9], 'in', ARGV[10]) end "
	"if ARGV[9] ~= '' and ARGV[7] == '' and was[3] then redis.call('HSET', KEYS[1], 'ra', was[3]) end "
	"redis.call('HSET', KEYS[1], 'up', now) "
	"tally(ARGV[1], was, facts(KEYS[1])) "
	"return show(0) "
};

/* KEYS c log seen due open  ARGV H account door noted */
static struct redis_script desk_delete_script = { .durable = true, .text =
	LUA_DESK
	"if not admits(KEYS[1], ARGV[2], ARGV[3]) then return {'gone'} end "
	"local was = facts(KEYS[1]) "
	"local s = redis.call('HMGET', KEYS[1], 'esc', 'eo') "
	"for id in string.gmatch((s[1] or '') .. (s[2] or ''), string.rep('.', 22)) do "
	"  redis.call('DEL', 'e:" SHARD ":' .. id) "
	"  redis.call('ZREM', KEYS[5], id) "
	"  redis.call('ZREM', '" ACCOUNT_KEY "' .. was[1] .. ':open', id) "
	"end "
	"local epoch = n(redis.call('HGET', KEYS[1], 'ep')) + 1 "	/* a turn under way ends, and those who wait for it are told */
	"redis.call('PUBLISH', 'room:' .. ARGV[1], '0 ' .. epoch .. ' -\\n[\"typing\",false]') "
	"redis.call('PUBLISH', '" HANDOVER_CHANNEL "', ARGV[1] .. ' ' .. epoch) "
	"redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[1] .. ':calls') "
	"if ARGV[4] == '1' then " LUA_NOTE_GONE("ARGV[1]", "epoch") "end "
	"redis.call('ZREM', KEYS[4], ARGV[1]) "
	"redis.call('ZREM', '" ACCOUNT_KEY "' .. was[1] .. ':conversations', ARGV[1]) "
	"tally(ARGV[1], was, nil) "
	"return {'ok'} "
};

#endif
