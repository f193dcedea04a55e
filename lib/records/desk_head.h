/*
 * desk_head.h - a desk conversation as scripts give it to C.  Not for others.
 */
#ifndef HL_DESK_HEAD_H
#define HL_DESK_HEAD_H

#include "records/desk_fields.h"

/* head(h): what the record says.  The caller adds its log as [HEAD_LOG], and 1 as the next if that is not all of it. */
#define LUA_HEAD										\
	LUA_SPAN										\
	"local function head(h) "								\
	"  local r = redis.call('HMGET', 'c:" SHARD ":' .. h, 'dk', 'uh', 'ag', 'd', 'ui', 'tt', 'tx', 'ds', 'sa', 'se', " \
	"    'in', 'cr', 'up', 'fu', 'lm', 'en', 'seq', 'ep', 'ow', 'ks', 'ke', 'cv') "		\
	"  r[14], r[15] = span(r[14], r[15], r[20], r[21]) "					\
	"  r[" HEAD_VERSION "] = r[22] "							\
	"  r[14], r[20], r[21], r[22] = r[14] or false, false, false, false "			\
	"  return r "										\
	"end "
#define HEAD_LOG	"20"
#define HEAD_CUT	"21"
#define HEAD_NAME	"22"	/* h, in a list */
#define HEAD_VERSION	"23"

enum head { HEAD_DK, HEAD_UH, HEAD_AG, HEAD_D, HEAD_UI, HEAD_TT, HEAD_TX, HEAD_DS, HEAD_SA, HEAD_SE, HEAD_IN, HEAD_CR,
	HEAD_UP, HEAD_FU, HEAD_LM, HEAD_EN, HEAD_SEQ, HEAD_EP, HEAD_OW, HEAD_ENTRIES, HEAD_IS_CUT, HEAD_H, HEAD_CV };

/* At most max bytes of messages are opened, the newest. */
enum hl_err head_take(const struct store *, const struct place *, const struct redis_reply *, size_t max,
	    struct desk_conversation *ret) HL_MUST_CHECK;

#endif
