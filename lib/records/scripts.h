/*
 * scripts.h - what the Redis scripts of this floor have in common.
 *
 * Time is the server's own (TIME), so that leases of programs on several hosts agree.
 */
#ifndef HL_SCRIPTS_H
#define HL_SCRIPTS_H

#include "records/keys.h"
#include "services/redis.h"

/* A field that is not there is 0: a session that nobody has written in is a small one. */
#define LUA_N "local function n(v) return tonumber(v or 0) end "
/* A whole number as text.  Given the number itself, Redis writes it with %.17g, which takes longer than many a command. */
#define LUA_I "local function i(x) return string.format('%d', x) end "
#define LUA_NOW "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "

/*
 * Rate limits by GCRA: KEYS[first…] are counted, ARGV[at…] the milliseconds between two requests of each.  A quarter of
 * a minute's worth may come at once.  All are checked before any is counted.
 */
#define LUA_LIMITS(first, at)									\
	"local tats = {} "									\
	"for i = " #first ", #KEYS do "								\
	"  local tat, step = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now), tonumber(ARGV[" #at " + i - " #first "]) " \
	"  if tat - now > 15000 + step then tat = now end "	/* the clock was set back */	\
	"  if tat - now > 15000 then return {'limited', math.ceil(tat - now - 15000)} end "	\
	"  tats[i] = tat + step "								\
	"end "											\
	"for i, tat in pairs(tats) do "								\
	"  redis.call('SET', KEYS[i], string.format('%.3f', tat), 'PX', math.ceil(tat - now) + 1) " \
	"end "

/*
 * What is made with an Idempotency-Key has an id that follows from it.  For a day after it was deleted a repetition, which
 * may be on its way, does not make it again.  epoch: how often a conversation had been handed over; what is made under its id
 * after all goes on from there.
 */
#define GONE_KEY	"gone:" SHARD ":"
#define LUA_NOTE_GONE(h, epoch)	"redis.call('SET', '" GONE_KEY "' .. " h ", " epoch ", 'PX', 86400000) "

/*
 * From when to when a conversation was: by messages (fu, lm) and by calls (ks, ke).  The first is nil when no customer came;
 * one in which nobody wrote is as long as its calls.
 */
#define LUA_SPAN										\
	"local function span(fu, lm, ks, ke) "							\
	"  if not ks then return fu, lm end "							\
	"  if not fu then return ks, ke end "							\
	"  return math.min(fu, ks), math.max(lm, ke) "						\
	"end "

/* The record of a chat session's open escalation lives as long as the session. */
#define ESCALATION_KEY	"e:" SHARD ":"

/* Of a conversation that does not expire the names of messages do: who repeats one was away for less than a day. */
#define LUA_NAMES_LIVE(ttl)	"math.max(" ttl ", 86400000)"

/* Names of one conversation's messages, of which each may have three: who repeats one under new names leaves no more. */
#define NAMES_MOST	"n(redis.call('HGET', KEYS[1], 'seq')) * 3 + 64"

/* How long the keys from first to last live after the conversation has settled. */
#define LUA_EXPIRE										\
	"local function expire(ttl, keep, first, last) "					\
	"  local ms = ttl "									\
	"  if keep and tonumber(keep) > tonumber(ttl) then ms = keep end "			\
	"  for i = first or 1, last or 3 do redis.call('PEXPIRE', KEYS[i], ms) end "		\
	"end "

/*
 * Needs LUA_I.  The last messages up to seq, at least all that wait for an answer; what the caller has of them, from first to
 * last, is left out.
 */
#define LUA_CONTEXT										\
	"local function context(seq, dn, most, first, last) "					\
	"  local from = math.max(0, math.min(seq - most, dn)) "					\
	"  if last and first <= from + 1 and last > from then from = last end "			\
	"  if from >= seq then return {} end "							\
	"  return redis.call('LRANGE', KEYS[2], i(from), i(seq - 1)) "				\
	"end "

#endif
