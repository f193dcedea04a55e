/*
 * analytics_scripts.h - for scripts: how something is counted.  Not for others than this floor's files.
 */
#ifndef HL_ANALYTICS_SCRIPTS_H
#define HL_ANALYTICS_SCRIPTS_H

#include "records/analytics.h"
#include "records/keys.h"

#define HL_TEXT_OF(x)	#x
#define HL_TEXT(x)	HL_TEXT_OF(x)

#define ANALYTICS_KEY	"an:" SHARD ":"

/*
 * A function (account, day, field, by), field as "G:metric".  A field that is new may be a day's first, which then gets the
 * day's end; of a day whose end has come nothing stays.
 */
#define LUA_ADD_UP										\
	"function(account, day, field, by) "							\
	"  local function add(to, name) "							\
	"    local key = '" ANALYTICS_KEY "' .. to .. ':' .. day "				\
	"    if redis.call('HINCRBY', key, name, by) == tonumber(by) then "			\
	"      redis.call('EXPIREAT', key, (day + " HL_TEXT(ANALYTICS_KEEP_DAYS) ") * 86400) "	\
	"    end "										\
	"  end "										\
	"  add(account, field) "								\
	"  add('" ANALYTICS_ALL "', '-' .. string.match(field, ':.*')) "			\
	"end "

#endif
