#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "records/keys.h"
#include "records/scripts.h"
#include "records/sessions.h"

/* KEYS c log seen active due open  ARGV H */
static struct redis_script end_script = { .durable = true, .text =
	LUA_N
	"local s = redis.call('HMGET', KEYS[1], 'uh', 'dk', 'ep', 'esc') "
	"if not s[1] or s[2] then return {'ok'} end "
	"local epoch = n(s[3]) + 1 "
	"if s[4] then "
	"  redis.call('DEL', 'e:" SHARD ":' .. s[4]) "
	"  redis.call('ZREM', KEYS[6], s[4]) "
	"end "
	"redis.call('PUBLISH', 'room:' .. ARGV[1], '0 ' .. epoch .. ' -\\n[\"typing\",false]') "
	"redis.call('PUBLISH', '" HANDOVER_CHANNEL "', ARGV[1] .. ' ' .. epoch) "
	"redis.call('DEL', KEYS[1], KEYS[2], KEYS[3]) "
	"redis.call('ZREM', KEYS[4], ARGV[1]) "
	"redis.call('ZREM', KEYS[5], ARGV[1]) "
	"return {'ok'} "
};

enum hl_err
session_end(struct store *s, const struct place *p)
{
	const struct redis_reply *reply;
	struct keys k;

	keys_of(p, &k);
	const struct redis_arg key[] = { RA(k.c), RA(k.log), RA(k.seen), RA(ACTIVE_KEY), RA(DUE_KEY), RA(OPEN_KEY) };
	const struct redis_arg arg[] = { RA(p->h) };

	return redis_script(s->redis, &end_script, key, 6, arg, 1, &reply);
}

void
session_clear(struct session *x)
{
	json_free(x->data);
	x->data = NULL;
}

enum hl_err
session_at(struct store *s, const struct place *p, struct session *ret)
{
	const struct redis_reply *both, *r;
	const char *esc, *id;
	struct keys k;
	enum hl_err err;

	*ret = (struct session){ .place = *p };
	keys_of(p, &k);
	const struct redis_arg fields[] = { RA("HMGET"), RA(k.c), RA("uh"), RA("dk"), RA("cr"), RA("up"), RA("seq"), RA("ow"), RA("esc"),
		RA("d") };
	const struct redis_arg score[] = { RA("ZSCORE"), RA(ACTIVE_KEY), RA(p->h) };
	const struct redis_command commands[] = { { fields, sizeof(fields) / sizeof(fields[0]) }, { score, 3 } };

	err = redis_together(s->redis, commands, 2, false, &both);
	if (err)
		return err;
	r = redis_at(both, 0);
	if (redis_type(redis_at(r, 0)) == REDIS_NIL || redis_type(redis_at(r, 1)) != REDIS_NIL)
		return HL_NOT_FOUND;
	ret->created_ms = redis_int(redis_at(r, 2));
	ret->updated_ms = redis_type(redis_at(r, 3)) == REDIS_NIL ? ret->created_ms : redis_int(redis_at(r, 3));
	ret->seq = redis_int(redis_at(r, 4));
	ret->person = str_equal(redis_str(redis_at(r, 5), NULL), "human");
	esc = redis_str(redis_at(r, 6), NULL);
	snprintf(ret->escalation_id, sizeof(ret->escalation_id), "%s", esc ? esc : "");
	ret->expires_ms = esc ? 0 : redis_int(redis_at(both, 1));
	err = open_data(s, &k, redis_at(r, 7), &ret->data);
	id = err ? NULL : json_get_string(ret->data, "id");
	if (err == HL_OK && !id_valid(id))
		err = HL_INTERNAL;
	if (err == HL_OK)
		memcpy(ret->id, id, sizeof(ret->id));
	else
		session_clear(ret);
	return err;
}

/* KEYS active  ARGV from count */
static struct redis_script list_script = { .text =
	LUA_NOW
	"return redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '(' .. now, 'LIMIT', ARGV[1], ARGV[2]) "
};

enum hl_err
sessions_list(struct store *s, size_t from, struct session *ret, size_t *ret_count, bool *ret_more)
{
	struct place places[SESSIONS_PAGE];
	const struct redis_reply *reply;
	struct number first, count;
	const struct redis_arg key[] = { RA(ACTIVE_KEY) };
	const struct redis_arg arg[] = { number_arg(&first, (int64_t)from), number_arg(&count, SESSIONS_PAGE) };
	enum hl_err err = redis_script(s->redis, &list_script, key, 1, arg, 2, &reply);
	size_t n = err ? 0 : redis_length(reply);

	*ret_count = 0;
	*ret_more = n == SESSIONS_PAGE;
	for (size_t i = 0; i < n; i++) {
		const char *h = redis_str(redis_at(reply, i), NULL);

		snprintf(places[i].h, sizeof(places[i].h), "%s", h ? h : "");
	}
	for (size_t i = 0; i < n && err == HL_OK; i++) {
		err = session_at(s, &places[i], &ret[*ret_count]);
		*ret_count += err == HL_OK;
		if (err == HL_NOT_FOUND)
			err = HL_OK;
	}
	return err;
}
