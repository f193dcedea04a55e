/*
 * escalation_scripts.h - the scripts of the hand-over.  Included by escalation.c alone.
 *
 * A record is read by its id, and only it knows the conversation: the two are of one shard, so that their keys may be put
 * together in the script.
 */
#ifndef HL_ESCALATION_SCRIPTS_H
#define HL_ESCALATION_SCRIPTS_H

#include "records/tally.h"

#define LUA_RECORD										\
	"local function record(id) "								\
	"  local e = redis.call('HMGET', 'e:" SHARD ":' .. id, 'c', 'at', 'reason', 'st', 'd', 'by', 'n', 'r', 'ur') "	\
	"  if not e[1] then return nil end "							\
	"  local s = redis.call('HMGET', 'c:" SHARD ":' .. e[1], 'uh', 'us', 'dk') "		\
	"  if not s[1] then return nil end "							\
	"  return {id, e[1], e[2], e[3], e[4], e[5], e[6], e[7], e[8], s[2], s[3] and s[1], e[9]} "	\
	"end "

/* Of the record KEYS[6] and its conversation: e, s and desk, or the end of the script. */
#define LUA_PAIR										\
	"local e = redis.call('HMGET', KEYS[6], 'c', 'st', 'bh', 'by') "			\
	"local s = redis.call('HMGET', KEYS[1], 'uh', 'ttl', 'ep', 'lb', 'us', 'dn', 'esc', 'dk', 'ag') " \
	"local desk = s[8] "									\
	"if e[1] ~= ARGV[1] or not s[1] then return {'gone'} end "				\
	"local function settled() return {'settled', e[2], e[4]} end "

/* The conversation has another owner: no turn that began before may say or store anything. */
#define LUA_HAND_OVER										\
	"local function hand_over(room, line) "							\
	"  local epoch = redis.call('HINCRBY', KEYS[1], 'ep', 1) "				\
	"  redis.call('HINCRBY', KEYS[1], 'fn', 1) "						\
	"  if desk then redis.call('HSET', KEYS[1], 'cv', redis.call('HINCRBY', '" STATS_KEY "' .. s[1], 'v', 1)) end " /* lists show whose it is */ \
	"  redis.call('ZREM', KEYS[4], ARGV[1]) "						\
	"  redis.call('PUBLISH', room, '0 ' .. epoch .. ' -\\n' .. line) "			\
	"  redis.call('PUBLISH', '" HANDOVER_CHANNEL "', ARGV[1] .. ' ' .. epoch) "		\
	"end "

/*
 * KEYS open, of all or of an account  ARGV most status chat
 *
 * Of the oldest ten thousand the most urgent, then the oldest.  status: only these, "": all; chat: only of chat sessions.
 */
static struct redis_script list_script = { .text =
	LUA_RECORD
	"local ranks, gone, from, ids, out = {{}, {}, {}}, {}, 0, {}, {} "
	"repeat "
	"  ids = redis.call('ZRANGE', KEYS[1], from, from + 499) "
	"  for _, id in ipairs(ids) do "
	"    local e = redis.call('HMGET', 'e:" SHARD ":' .. id, 'c', 'st', 'ur') "
	"    local c = e[1] and redis.call('HMGET', 'c:" SHARD ":' .. e[1], 'uh', 'dk') "
	"    if not c or not c[1] then gone[#gone + 1] = id "
	"    elseif (ARGV[2] == '' or e[2] == ARGV[2]) and (ARGV[3] == '' or not c[2]) then "
	"      table.insert(ranks[3 - tonumber(e[3] or 0)], id) "
	"    end "
	"  end "
	"  from = from + 500 "
	"until #ids < 500 or from >= 10000 "
	"for _, id in ipairs(gone) do redis.call('ZREM', KEYS[1], id) end "
	"for _, rank in ipairs(ranks) do "
	"  for _, id in ipairs(rank) do "
	"    if #out < tonumber(ARGV[1]) then out[#out + 1] = record(id) end "
	"  end "
	"end "
	"return out "
};

/* KEYS e  ARGV id */
static struct redis_script record_script = { .text =
	LUA_RECORD
	"return record(ARGV[1]) or {} "
};

/* KEYS c log seen due open e  ARGV H bh by room line keep */
static struct redis_script take_script = { .durable = true, .text =
	LUA_EXPIRE LUA_PAIR LUA_HAND_OVER
	"if e[2] ~= 'open' then "
	"  if e[2] == 'taken' and e[3] == ARGV[2] then return {'ok'} end "
	"  return settled() "
	"end "
	"redis.call('HSET', KEYS[6], 'st', 'taken', 'bh', ARGV[2], 'by', ARGV[3]) "
	"redis.call('HSET', KEYS[1], 'ow', 'human') "
	"if not desk then "
	"  redis.call('PEXPIRE', KEYS[6], ARGV[6]) "
	"  expire(s[2], ARGV[6]) "
	"end "
	"hand_over(ARGV[4], ARGV[5]) "
	"return {'ok'} "
};

/*
 * KEYS c log seen active open e
 * ARGV H bh field1 bodyhash covered entry room head tail keep most said field2
 */
static struct redis_script reply_script = { .durable = true, .text =
	LUA_N LUA_NOW LUA_EXPIRE LUA_PAIR
	"local function note(v) "
	"  redis.call('HSET', KEYS[3], ARGV[3], v) "
	"  if ARGV[13] ~= '' then redis.call('HSET', KEYS[3], ARGV[13], v) end "
	"end "
	"local known "
	"for _, field in ipairs({ARGV[3], ARGV[13]}) do "
	"  local v = field ~= '' and redis.call('HGET', KEYS[3], field) "
	"  if v and (string.match(v, ' (.*)$') ~= ARGV[4] or known and known ~= v) then return {'conflict'} end "
	"  known = known or v "
	"end "
	"if known then "
	"  local seq = tonumber(string.match(known, '^%d+')) "
	"  if redis.call('HLEN', KEYS[3]) < " NAMES_MOST " then note(known) end "
	"  return {'again', seq, redis.call('LINDEX', KEYS[2], seq - 1)} "
	"end "
	"if e[2] ~= 'taken' or e[3] ~= ARGV[2] then return settled() end "
	"local bytes = n(s[4]) + #ARGV[6] "
	"if bytes > tonumber(ARGV[11]) then return {'full'} end "
	LUA_TALLY
	"local was = desk and facts(KEYS[1]) "
	"local seq = redis.call('RPUSH', KEYS[2], ARGV[6]) "
	"note(seq .. ' ' .. ARGV[4]) "
	"redis.call('HSET', KEYS[1], 'seq', seq, 'up', now, 'lb', bytes, 'dn', math.max(n(s[6]), tonumber(ARGV[5]))) "
	"redis.call('PUBLISH', ARGV[7], seq .. ' ' .. n(s[3]) .. ' -\\n' .. ARGV[8] .. seq .. ARGV[9]) "
	"if desk then "
	"  redis.call('HSET', KEYS[1], 'lm', math.max(tonumber(ARGV[12]), n(was[5]))) "
	"  count(s[1], s[9], 'replies', 1) "
	"  tally(ARGV[1], was, facts(KEYS[1])) "
	"  expire(" LUA_NAMES_LIVE("s[2]") ", ARGV[10], 3) "
	"else "
	"  local count = " LUA_ADD_UP
	"  count('" ANALYTICS_CHAT "', math.floor(now / 86400000), '-:replies', 1) "
	"  redis.call('ZADD', KEYS[4], now + s[2], ARGV[1]) "
	"  expire(s[2], ARGV[10]) "
	"  redis.call('PEXPIRE', KEYS[6], ARGV[10]) "
	"end "
	"return {'ok', seq} "
};

/* KEYS c log seen due open e  ARGV H bh id admin status member sealed note room line keep */
static struct redis_script end_script = { .durable = true, .text =
	LUA_N LUA_EXPIRE LUA_PAIR LUA_HAND_OVER
	"local mine, admin = e[3] == ARGV[2], ARGV[4] == '1' "
	"if e[2] == ARGV[5] and mine then return {'again'} end "	/* what was said then holds */
	"local ends = (e[2] == 'taken' and (mine or admin)) or (e[2] == 'open' and ARGV[5] == 'closed' and admin) "
	"if not ends then return settled() end "
	"redis.call('HSET', KEYS[6], 'st', ARGV[5], 'bh', ARGV[2]) "
	"if ARGV[7] ~= '' then redis.call('HSET', KEYS[6], ARGV[6], ARGV[7]) end "
	"redis.call('PEXPIRE', KEYS[6], ARGV[11]) "
	"redis.call('ZREM', KEYS[5], ARGV[3]) "
	"if desk then "
	"  redis.call('ZREM', '" ACCOUNT_KEY "' .. s[1] .. ':open', ARGV[3]) "
	"  redis.call('HSET', KEYS[1], 'eo', string.sub((redis.call('HGET', KEYS[1], 'eo') or '') .. ARGV[3], -880)) "
	"end "
	"if s[7] == ARGV[3] then redis.call('HDEL', KEYS[1], 'esc') end "
	"if e[2] == 'open' then "
	"  if not desk and n(s[5]) <= n(s[6]) then expire(s[2]) end "	/* what is owed is kept until it is answered */
	"  return {'ok'} "
	"end "
	"redis.call('HDEL', KEYS[1], 'ow') "
	"if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'nt', ARGV[8]) end "
	"hand_over(ARGV[9], ARGV[10]) "
	/* What the customer said after the person's last word is the assistant's to answer. */
	"local owed = ARGV[5] == 'returned' and n(s[5]) > n(s[6]) "
	"if owed then redis.call('ZADD', KEYS[4], 0, ARGV[1]) else redis.call('HSET', KEYS[1], 'dn', n(s[5])) end "
	"if not desk then "
	"  expire(s[2]) "
	"  for k = 1, owed and 3 or 0 do redis.call('PERSIST', KEYS[k]) end "
	"end "
	"return {'ok'} "
};

#endif
