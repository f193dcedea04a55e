/*
 * lease_scripts.h - the scripts by which a message is accepted, answered and recovered.  Included by lease.c alone.
 */
#ifndef HL_LEASE_SCRIPTS_H
#define HL_LEASE_SCRIPTS_H

#include "records/tally.h"

#define LOG_BYTES "4194304"	/* LOG_BYTES_MAX as text */

/*
 * What a customer said into a microphone comes twice: as a recording, and as a message with the same words.  Within
 * TWIN_MS, in either order, the second is the first; each has one twin at most.  seen has, under "w" and the words' keyed
 * name, those that have none yet: kind (u recording, m message), seq, space, time, space.
 *
 * note(seq): the message is known as this one from now on.
 */
#define TWIN_MS "60000"
#define LUA_TWIN											\
	"local words, alone = desk and 'w' .. string.sub(ARGV[18], 2), '' "				\
	"local function note(seq) "									\
	"  local known = seq .. ' ' .. ARGV[4] "							\
	"  local list = {ARGV[3], known} "								\
	"  if ARGV[5] ~= '' then list[3] = ARGV[5] list[4] = known end "				\
	"  if desk then list[#list + 1] = words list[#list + 1] = alone end "				\
	"  redis.call('HSET', KEYS[3], unpack(list)) "							\
	"end "												\
	"if desk then "											\
	"  local kind, twin = string.sub(ARGV[18], 1, 1) "						\
	"  for k, seq, at in string.gmatch(redis.call('HGET', KEYS[3], words) or '', '(%a)(%d+) (%d+) ') do "	\
	"    if now - at <= " TWIN_MS " then "								\
	"      if k ~= kind and not twin then twin = tonumber(seq) "					\
	"      else alone = alone .. k .. seq .. ' ' .. at .. ' ' end "				\
	"    end "											\
	"  end "											\
	"  if twin then "										\
	"    note(twin) "										\
	"    return again(twin) "									\
	"  end "											\
	"  alone = alone .. kind .. (n(redis.call('LLEN', KEYS[2])) + 1) .. ' ' .. now .. ' ' "	\
	"end "

/*
 * KEYS c log seen active due rl…
 * ARGV H uh field1 bodyhash field2 entry room except head tail lease history keep first last holder door words said intervals…
 *
 * said: when, by the clock of who wrote it down, as the message itself has it (so does the commit's).
 * words: empty for a chat session, else the kind and the words' name, see LUA_TWIN.
 * door: empty for a chat session, else as admits() of tally.h has it; uh is the account's then.
 */
static struct redis_script accept_script = { .durable = true, .text =
	LUA_N LUA_I LUA_NOW LUA_EXPIRE LUA_CONTEXT
	"local s = redis.call('HMGET', KEYS[1], 'uh', 'ow', 'ttl', 'dn', 'ep', 'esc', 'd', 'pr', 'fs', 'lb', 'nt', 'fn', 'dk', 'cr', 'us') "
	"local owner, dn, epoch, desk = s[2] or 'ai', n(s[4]), n(s[5]), s[13] "
	"if not s[1] or (desk == false) ~= (ARGV[17] == '') then return {'gone'} end "
	LUA_TALLY
	"if desk then "
	"  if s[1] ~= ARGV[2] and not admits(KEYS[1], ARGV[2], ARGV[17]) then return {'gone'} end "
	"elseif s[1] ~= ARGV[2] then return {'forbidden'} end "
	"local function again(seq) "
	"  redis.call('HINCRBY', KEYS[1], 'seq', 0) "	/* replicas that have this have the message */
	"  return {'again', seq, seq <= dn and 1 or 0, owner, redis.call('LINDEX', KEYS[2], seq - 1)} "
	"end "
	"local known "
	"for _, field in ipairs({ARGV[3], ARGV[5]}) do "
	"  local v = field ~= '' and redis.call('HGET', KEYS[3], field) "
	"  if v and (string.match(v, ' (.*)$') ~= ARGV[4] or known and known ~= v) then return {'conflict'} end "
	"  known = known or v "
	"end "
	"if known then "
	"  if ARGV[5] ~= '' and redis.call('HLEN', KEYS[3]) < " NAMES_MOST " then "	/* one name may be new */
	"    redis.call('HSET', KEYS[3], ARGV[3], known, ARGV[5], known) "
	"  end "
	"  return again(tonumber(string.match(known, '^%d+'))) "
	"end "
	LUA_TWIN
	"local bytes = n(s[10]) + #ARGV[6] "
	"if bytes > " LOG_BYTES " then return {'full'} end "
	LUA_LIMITS(6, 20)
	"local was = desk and facts(KEYS[1]) "
	"local seq = redis.call('RPUSH', KEYS[2], ARGV[6]) "
	"local q, at = i(seq), i(now) "
	"note(q) "
	"local lease = owner == 'ai' and n(s[15]) > dn and redis.call('ZSCORE', KEYS[5], ARGV[1]) "	/* who owes nothing has none */
	"local run, fence = owner == 'ai' and not (lease and tonumber(lease) > now), n(s[12]) "
	"if run then fence = fence + 1 end "
	"redis.call('HSET', KEYS[1], 'seq', q, 'us', q, 'up', at, 'lb', i(bytes), 'fn', i(fence), run and 'by' or 'up', run and ARGV[16] or at) "
	"if desk then "
	"  if was[9] then redis.call('HDEL', KEYS[1], 'ds', 'en') end "	/* it goes on */
	"  local said = i(math.max(tonumber(ARGV[19]), n(was[5]))) "
	"  redis.call('HSET', KEYS[1], 'lm', said, 'fu', was[4] or said) "
	"  count(s[1], was[7], 'asked', 1) "
	"  tally(ARGV[1], was, facts(KEYS[1])) "
	"end "
	"local heard = redis.call('PUBLISH', ARGV[7], q .. ' ' .. (s[5] or '0') .. ' ' .. ARGV[8] .. '\\n' .. ARGV[9] .. q .. ARGV[10] "
	"  .. (run and '\\n[\"typing\",true]' or '')) "
	"if owner ~= 'ai' then "
	"  if not desk then "
	"    redis.call('ZADD', KEYS[4], now + s[3], ARGV[1]) "
	"    if s[6] then redis.call('PEXPIRE', '" ESCALATION_KEY "' .. s[6], ARGV[13]) end "
	"  end "
	"  expire(desk and " LUA_NAMES_LIVE("s[3]") " or s[3], s[6] and ARGV[13], desk and 3) "
	"  return {'person', seq, s[6] or '', desk and s[1]} "
	"end "
	"if not run then return {'queued', seq, s[6] or '', desk and s[1]} end "
	"if desk then expire(" LUA_NAMES_LIVE("s[3]") ", s[6] and ARGV[13], 3, 3) "
	"else "
	"  for k = 1, 3 do redis.call('PERSIST', KEYS[k]) end "		/* until it is answered */
	"end "
	"redis.call('ZADD', KEYS[5], i(now + ARGV[11]), ARGV[1]) "
	"return {'run', seq, fence, epoch, dn, s[6] or '', s[7], s[8], heard, "
	"  context(seq - 1, dn, ARGV[12] - 1, tonumber(ARGV[14]), tonumber(ARGV[15])), n(s[9]), s[11] or '', "
	"  desk and profile(KEYS[1]) or n(s[14])} "
};

/* What the turn of a desk conversation found. */
#define LUA_FOUND											\
	"if desk then "											\
	"  local said = i(math.max(tonumber(ARGV[22]), n(was[5]))) "					\
	"  redis.call('HSET', KEYS[1], 'lm', said, ARGV[16] == '' and 'lm' or 'se', ARGV[16] == '' and said or ARGV[16], " \
	"    'in', bit.bor(n(redis.call('HGET', KEYS[1], 'in')), ARGV[17])) "				\
	"  if not more then redis.call('HDEL', KEYS[1], 'by') end "	/* these are kept, and it is long */ \
	"  if ARGV[18] ~= '' then retitle(KEYS[1], ARGV[18], ARGV[19], false) end "			\
	"  local agent = ARGV[20] "									\
	"  if agent ~= '' and agent ~= was[7] then "							\
	"    redis.call('HSET', KEYS[1], 'ag', agent) "							\
	"    " LUA_AGENT_BEGUN("'" AGENT_KEY "' .. agent", "now")					\
	"    local company = " LUA_AGENT_COMPANY("'" AGENT_KEY "' .. agent", "ARGV[21]")		\
	"    if company ~= '' then redis.call('HSET', '" STATS_KEY "' .. was[1], 'n:' .. agent, company) end " \
	"  end "											\
	"  for k = 23, #ARGV, 2 do add_up(was[1], math.floor(now / 86400000), ARGV[k], ARGV[k + 1]) end "	\
	"  tally(ARGV[1], was, facts(KEYS[1])) "							\
	"end "

/* A chat session, which was counted as one that needs nobody, needs somebody. */
#define LUA_SESSION_ESCALATED										\
	"local c = redis.call('HMGET', KEYS[1], 'cr', 'es', 'pr') "					\
	"if not c[2] and not c[3] then "								\
	"  local count, day = " LUA_ADD_UP ", math.floor(c[1] / 86400000) "				\
	"  redis.call('HSET', KEYS[1], 'es', 1) "							\
	"  count('" ANALYTICS_CHAT "', day, '-:escalated', 1) "						\
	"  count('" ANALYTICS_CHAT "', day, '-:resolved', -1) "						\
	"end "

/*
 * KEYS c log seen active due open e
 * ARGV H fence epoch covered entry room head told lease id escalation reason sealed keep urgency, and of a desk conversation
 *      sentiment intents tt tx agent company said, then pairs of a field of the analytics and by how much
 *
 * told: what is published, as it is if the answer comes right behind what it covers, as most do: "SEQ EPOCH -\n", head, SEQ
 * and the rest.  To put it together here costs the server a second reading of it all.
 */
static struct redis_script commit_script = { .durable = true, .text =
	LUA_N LUA_I LUA_NOW LUA_EXPIRE
	"local s = redis.call('HMGET', KEYS[1], 'fn', 'ow', 'ep', 'us', 'ttl', 'esc', 'la', 'las', 'dn', 'lb', 'ax', 'dk') "
	"local desk = s[12] "
	"if not s[1] then redis.call('ZREM', KEYS[5], ARGV[1]) return {'fenced'} end "
	"local more = n(s[4]) > tonumber(ARGV[4]) "
	"if s[7] == ARGV[10] then "
	"  redis.call('HINCRBY', KEYS[1], 'seq', 0) "	/* replicas that have this have the answer */
	"  return {more and 'more' or 'ok', tonumber(s[8])} "
	"end "
	"if s[1] ~= ARGV[2] or n(s[9]) >= tonumber(ARGV[4]) then return {'fenced'} end "
	"if (s[2] or 'ai') ~= 'ai' or n(s[3]) ~= tonumber(ARGV[3]) then redis.call('ZREM', KEYS[5], ARGV[1]) return {'fenced'} end "
	LUA_TALLY
	"local was = desk and facts(KEYS[1]) "
	"local seq = redis.call('RPUSH', KEYS[2], ARGV[5]) "
	"local q, at = i(seq), i(now) "
	"local expiry, listed = now + s[5], n(s[11]) "	/* the count of sessions may be a thirtieth of a lifetime behind */
	"local late = not desk and expiry - listed > s[5] / 30 "
	"redis.call('HSET', KEYS[1], 'ax', late and i(expiry) or s[11] or '0', 'dn', ARGV[4], 'seq', q, 'up', at, 'la', ARGV[10], 'las', q, "
	"  'fs', more and s[1] - 1 or s[1], 'lb', i(n(s[10]) + #ARGV[5])) "
	"local open = s[6] "	/* its record is KEYS[7], and lives as long as the conversation */
	"local function gone() "
	"  if desk then return redis.call('EXISTS', KEYS[7]) == 0 end "
	"  return redis.call('PEXPIRE', KEYS[7], ARGV[14]) == 0 "
	"end "
	"local lost = (open or ARGV[11] ~= '') and gone() "
	"if ARGV[11] ~= '' and (lost or not open) then "
	"  open = ARGV[11] "
	"  redis.call('DEL', KEYS[7]) "	/* closed while the turn ran: the answer names it, so it is opened anew */
	"  redis.call('HSET', KEYS[1], 'esc', open) "
	"  redis.call('HSET', KEYS[7], 'c', ARGV[1], 'at', now, 'reason', ARGV[12], 'st', 'open', 'd', ARGV[13]) "
	"  redis.call('ZADD', KEYS[6], now, open) "
	"  if desk then "
	"    redis.call('ZADD', '" ACCOUNT_KEY "' .. was[1] .. ':open', now, open) "
	"    flag(KEYS[1], " DESK_ESCALATED ") "
	"    local left = redis.call('PTTL', KEYS[1]) "
	"    if left > 0 then redis.call('PEXPIRE', KEYS[7], left) end "
	"  else "
	"    redis.call('PEXPIRE', KEYS[7], ARGV[14]) "
	"    " LUA_SESSION_ESCALATED
	"  end "
	"end "
	"if open and ARGV[15] ~= '0' then "	/* the list has the most urgent first, whatever it was opened for */
	"  local e = redis.call('HMGET', KEYS[7], 'c', 'ur') "
	"  if e[1] and n(e[2]) < tonumber(ARGV[15]) then redis.call('HSET', KEYS[7], 'ur', ARGV[15]) end "
	"end "
	LUA_FOUND
	"local told, guess = ARGV[8], i(ARGV[4] + 1) "
	"if q ~= guess then "
	"  local before = 2 * #guess + #ARGV[3] + #ARGV[7] + 4 "
	"  told = q .. ' ' .. ARGV[3] .. ' -\\n' .. ARGV[7] .. q .. string.sub(told, before + 1) "
	"end "
	"redis.call('PUBLISH', ARGV[6], told) "
	"if late then redis.call('ZADD', KEYS[4], expiry, ARGV[1]) end "
	"if more then "
	"  redis.call('ZADD', KEYS[5], now + ARGV[9], ARGV[1]) "
	"  return {'more', seq} "
	"end "
	"redis.call('ZREM', KEYS[5], ARGV[1]) "
	"if not desk then expire(s[5], open and ARGV[14]) end "
	"return {'ok', seq} "
};

/* KEYS c log due  ARGV H fence epoch covered lease history */
static struct redis_script peek_script = { .text =
	LUA_N LUA_I LUA_NOW LUA_CONTEXT
	"local s = redis.call('HMGET', KEYS[1], 'fn', 'ow', 'ep', 'us', 'dn', 'esc') "
	"if s[1] ~= ARGV[2] or (s[2] or 'ai') ~= 'ai' or n(s[3]) ~= tonumber(ARGV[3]) then return {'fenced'} end "
	"redis.call('ZADD', KEYS[3], 'XX', now + ARGV[5], ARGV[1]) "
	"local us, dn = n(s[4]), n(s[5]) "
	"if us <= tonumber(ARGV[4]) then return {'same'} end "
	"return {'more', us, dn, s[6] or '', context(us, dn, tonumber(ARGV[6]))} "
};

/* KEYS c log due  ARGV H lease history holder */
static struct redis_script claim_script = { .durable = true, .text =
	LUA_N LUA_I LUA_NOW LUA_CONTEXT
	"local lease = redis.call('ZSCORE', KEYS[3], ARGV[1]) "
	"if not lease or tonumber(lease) > now then return {'settled'} end "
	"local s = redis.call('HMGET', KEYS[1], 'ow', 'us', 'dn', 'ep', 'esc', 'd', 'pr', 'fs', 'nt', 'dk', 'cr') "
	"local us, dn, desk = n(s[2]), n(s[3]), s[10] "
	LUA_TALLY
	"if not s[6] or (s[1] or 'ai') ~= 'ai' or us <= dn then redis.call('ZREM', KEYS[3], ARGV[1]) return {'settled'} end "
	"redis.call('ZADD', KEYS[3], now + ARGV[2], ARGV[1]) "
	"redis.call('HSET', KEYS[1], 'by', ARGV[4]) "
	"return {'run', us, redis.call('HINCRBY', KEYS[1], 'fn', 1), n(s[4]), dn, s[5] or '', s[6], s[7], 1, "
	"  context(us, dn, tonumber(ARGV[3])), n(s[8]), s[9] or '', desk and profile(KEYS[1]) or n(s[11])} "
};

#endif
