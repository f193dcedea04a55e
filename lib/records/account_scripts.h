/*
 * account_scripts.h - the scripts of accounts and of signing in.  Included by account.c and sign_in.c alone.
 */
#ifndef HL_ACCOUNT_SCRIPTS_H
#define HL_ACCOUNT_SCRIPTS_H

#include "records/account.h"
#include "records/keys.h"
#include "records/scripts.h"

#define ACCOUNTS_KEY	"accounts:" SHARD
#define FIRST_KEY	"first:" SHARD

#define ACCOUNT_OVER	"over:"		/* and a family: the field that tells of its end */

#define LUA_ACCOUNT	"redis.call('HMGET', KEYS[1], " ACCOUNT_FIELDS ") "

/* As @socket.io/redis-emitter's disconnectSockets(true) says it (lib/push/emitter.c): those of the account or family ARGV[1]. */
#define SOCKETS_ALIAS "account:"
#define LUA_CLOSE_SOCKETS									\
	"redis.call('PUBLISH', 'socket.io-request#/#', "					\
	"  '{\"type\":4,\"opts\":{\"rooms\":[\"" SOCKETS_ALIAS "' .. ARGV[1] .. '\"],\"except\":[]},\"close\":true}') "

#define LUA_END_FAMILIES									\
	"local function end_families(keep) "							\
	"  for _, f in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do "			\
	"    if f ~= keep then redis.call('DEL', 'rf:" SHARD ":' .. f) redis.call('ZREM', KEYS[2], f) end "	\
	"  end "										\
	"end "

#endif
