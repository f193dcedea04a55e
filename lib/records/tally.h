/*
 * tally.h - for scripts: what a desk conversation adds up to, and how a change of it changes the account's numbers (desk.h).
 *
 * A script takes facts() before it changes anything and gives them to tally() with those of after: so no script can forget
 * a number that its change moves.  The keys depend on the conversation's owner; all are of one shard.
 */
#ifndef HL_TALLY_H
#define HL_TALLY_H

#include "records/agent.h"
#include "records/analytics_scripts.h"
#include "records/keys.h"
#include "records/scripts.h"

#define DESK_ANONYMOUS	"2"
#define DESK_SIMULATOR	"4"
#define DESK_TITLED	"8"
#define DESK_ESCALATED	"16"

#define STATS_KEY	"st:" SHARD ":"
#define ACCOUNT_KEY	"u:" SHARD ":"

/*
 * Defines the functions below if `desk`, a local of the script, is true: a chat session's message is not made to wait for
 * them.  Needs LUA_N and LUA_NOW.
 *
 *   facts(key)                of a conversation: what tally() needs
 *   tally(h, was, is)         it is another now; was or is may be nil: created, deleted
 *   count(account, agent, metric, by)     in today's analytics
 *   admits(key, account, door)   may he who came by this door have it?  own: his account's; any: also one that is open to
 *                             all; all: everything
 *   flag(key, bit)            sets a bit of dk
 *   retitle(key, tt, tx, person)  unless the title there is a person's and this one is not
 *   profile(key)              what the engine is told
 */
#define LUA_TALLY										\
	"local facts, tally, count, admits, flag, retitle, profile, add_up "			\
	"if desk then "										\
	"  add_up = " LUA_ADD_UP								\
	"  facts = function(key) "								\
	"    return redis.call('HMGET', key, 'uh', 'cr', 'seq', 'fu', 'lm', 'se', 'ag', 'sa', 'ds', 'dk', " \
	"      'ks', 'ke') "									\
	"  end "										\
	LUA_SPAN										\
	"  local function add(f, sign, sums, day) "						\
	"    local g = (f[7] or '-') .. ':' "							\
	"    local function sum(to, name, by) to[name] = (to[name] or 0) + sign * by end "	\
	"    sum(sums, 'calls', 1) "								\
	"    sum(sums, 'msgs', n(f[3])) "							\
	"    sum(day, g .. 'volume', 1) "							\
	"    local first, last = span(f[4], f[5], f[11], f[12]) "				\
	"    if first then "									\
	"      sum(sums, 'ndur', 1) "								\
	"      sum(sums, 'dur', math.floor((last - first) / 1000)) "				\
	"    end "										\
	"    if f[6] then "									\
	"      sum(sums, 's' .. f[6], 1) "							\
	"      sum(day, g .. 's' .. f[6], 1) "							\
	"    end "										\
	"    if f[7] then sum(sums, 'c:' .. f[7], 1) end "					\
	"    if f[8] then sum(day, g .. 'r' .. f[8], 1) end "					\
	"    local escalated = bit.band(f[10], " DESK_ESCALATED ") ~= 0 "			\
	"    if escalated then sum(day, g .. 'escalated', 1) end "				\
	"    if f[9] then "									\
	"      sum(day, g .. 'completed', 1) "							\
	"      if not escalated then sum(day, g .. 'resolved', 1) end "				\
	"    end "										\
	"  end "										\
	"  tally = function(h, was, is) "							\
	"    local f, sums, day = is or was, {}, {} "						\
	"    local stats, recent = '" STATS_KEY "' .. f[1], '" ACCOUNT_KEY "' .. f[1] .. ':recent' " \
	"    if was then add(was, -1, sums, day) end "						\
	"    if is then add(is, 1, sums, day) end "						\
	"    for name, by in pairs(sums) do "							\
	"      if by ~= 0 and redis.call('HINCRBY', stats, name, by) == 0 and string.sub(name, 1, 2) == 'c:' then " \
	"        redis.call('HDEL', stats, name, 'n' .. string.sub(name, 2)) "			\
	"      end "										\
	"    end "										\
	"    for name, by in pairs(day) do "							\
	"      if by ~= 0 then add_up(f[1], math.floor(f[2] / 86400000), name, by) end "		\
	"    end "										\
	"    local version = redis.call('HINCRBY', stats, 'v', 1) "				\
	"    if not is then redis.call('ZREM', recent, h) "					\
	"    else "										\
	"      redis.call('HSET', 'c:" SHARD ":' .. h, 'cv', version) "			\
	"      local function ended(x) return x and math.max(x[5], x[12] or 0) end "		\
	"      local before, last = ended(was), ended(is) "					\
	"      if before ~= last then redis.call('ZADD', recent, last, h) end "			\
	"    end "										\
	"  end "										\
	"  count = function(account, agent, metric, by) "					\
	"    add_up(account, math.floor(now / 86400000), (agent or '-') .. ':' .. metric, by) "	\
	"  end "										\
	"  admits = function(key, account, door) "						\
	"    local f = redis.call('HMGET', key, 'dk', 'uh', 'ds', 'lm', 'ttl') "		\
	"    if not f[1] then return false end "						\
	"    if door == 'all' or f[2] == account then return true end "				\
	"    return door == 'any' and bit.band(f[1], " DESK_ANONYMOUS ") ~= 0 and not f[3] and now - f[4] <= n(f[5]) " \
	"  end "										\
	"  flag = function(key, one) "								\
	"    redis.call('HSET', key, 'dk', bit.bor(redis.call('HGET', key, 'dk'), one)) "	\
	"  end "										\
	"  retitle = function(key, tt, tx, person) "						\
	"    if not person and bit.band(redis.call('HGET', key, 'dk'), " DESK_TITLED ") ~= 0 then return end " \
	"    redis.call('HSET', key, 'tt', tt) "						\
	"    if tx == '' then redis.call('HDEL', key, 'tx') else redis.call('HSET', key, 'tx', tx) end " \
	"    if person then flag(key, " DESK_TITLED ") end "					\
	"  end "										\
	"  profile = function(key) "								\
	"    return redis.call('HMGET', key, 'dk', 'uh', 'ag', 'tt', 'tx', 'se', 'in', 'cr', 'fu', 'dn', 'ui') " \
	"  end "										\
	"end "

#endif
