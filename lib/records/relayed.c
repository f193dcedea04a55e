#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "records/entry.h"
#include "records/relayed.h"
#include "records/tally.h"

#define ONCE_MAX	64
#define ARGS_BEFORE	3	/* the messages */
_Static_assert(3 + 2 + ARGS_BEFORE + RELAYED_BEFORE_MAX <= REDIS_ARGS_MAX, "all that is kept fits into one script");

/*
 * KEYS c log  ARGV H lastcustomer said entry…
 *
 * Its last customer's message, and with it all, is answered.
 */
static struct redis_script fill_script = { .durable = true, .text =
	LUA_N LUA_NOW "local desk = true " LUA_TALLY
	"if n(redis.call('HGET', KEYS[1], 'seq')) > 0 or not redis.call('HGET', KEYS[1], 'dk') then return {'again'} end "
	"local was, bytes, us = facts(KEYS[1]), 0, tonumber(ARGV[2]) "
	"for i = " HL_TEXT(ARGS_BEFORE) " + 1, #ARGV do "
	"  redis.call('RPUSH', KEYS[2], ARGV[i]) "
	"  bytes = bytes + #ARGV[i] "
	"end "
	"redis.call('HSET', KEYS[1], 'seq', #ARGV - " HL_TEXT(ARGS_BEFORE) ", 'us', us, 'dn', us, 'lb', bytes, 'lm', ARGV[3], 'up', now) "
	"if us > 0 then redis.call('HSET', KEYS[1], 'fu', ARGV[3]) end "
	"tally(ARGV[1], was, facts(KEYS[1])) "
	"return {'ok'} "
};

static void
once_of(const struct store *s, const char *kind, const char *name, char out[ONCE_MAX])
{
	char h[CRYPTO_NAME_LEN + 1];

	crypto_name(s->crypto, kind, name, strlen(name), h);
	snprintf(out, ONCE_MAX, "relayed %s", h);
}

void
relayed_id(const struct store *s, const char *account, const char *kind, const char *name, char ret[ID_LEN + 1])
{
	char once[ONCE_MAX];

	once_of(s, kind, name, once);
	desk_named(s, account, once, ret);
}

void
talk_message_write(struct buf *out, const struct talk_message *m, int64_t said_ms)
{
	buf_printf(out, "{\"role\":\"%s\",\"content\":", m->user ? "user" : "assistant");
	buf_json(out, m->text, m->len);
	buf_printf(out, ",\"ts\":%lld}", (long long)said_ms);
}

static enum hl_err
seal_message(const struct store *s, const struct keys *k, const struct talk_message *m, int64_t said_ms, struct buf *out)
{
	struct buf json = BUF_INIT(ENTRY_MAX);
	char id[ID_LEN + 1];
	enum hl_err err;

	id_new(id);
	talk_message_write(&json, m, said_ms);
	err = buf_err(&json);
	if (err == HL_OK)
		err = entry_seal(s, k, id, &json, out);
	buf_free(&json);
	return err;
}

static enum hl_err
fill(struct store *s, const struct place *p, const struct talk_message *list, size_t count)
{
	struct redis_arg *args = calloc(count + ARGS_BEFORE, sizeof(*args));
	struct buf *sealed = calloc(count, sizeof(*sealed));
	const struct redis_reply *reply;
	enum hl_err err = HL_OK;
	int64_t customer = 0, now = clock_wall_ms();
	struct number last, said_at;
	struct keys k;

	keys_of(p, &k);
	if (args == NULL || sealed == NULL)
		err = HL_NO_MEMORY;
	for (size_t i = 0; i < count && err == HL_OK; i++) {
		sealed[i] = BUF_INIT(ENTRY_MAX);
		err = seal_message(s, &k, &list[i], now, &sealed[i]);
		args[ARGS_BEFORE + i] = buf_arg(&sealed[i]);
		if (list[i].user)
			customer = (int64_t)i + 1;
	}
	if (err == HL_OK) {
		struct redis_arg key[] = { RA(k.c), RA(k.log) };

		args[0] = RA(p->h);
		args[1] = number_arg(&last, customer);
		args[2] = number_arg(&said_at, now);
		err = redis_script(s->redis, &fill_script, key, 2, args, ARGS_BEFORE + count, &reply);
	}
	for (size_t i = 0; sealed && i < count; i++)
		buf_free(&sealed[i]);
	free(sealed);
	free(args);
	return err;
}

enum hl_err
relayed_create(struct store *s, const char *account, const char *agent, const char *company, const char *kind, const char *name,
    const struct talk_message *before, size_t count, struct desk_conversation *ret, bool *ret_made)
{
	char once[ONCE_MAX];
	const struct desk_new new = { .account = account, .agent = agent, .company = company, .once = once, .anew = true };
	int64_t retry_ms;
	enum hl_err err;

	once_of(s, kind, name, once);
	err = desk_create(s, &new, ret, &retry_ms);
	*ret_made = err == HL_OK && ret->seq == 0;
	if (err || !*ret_made || count == 0)
		return err;
	if (count > RELAYED_BEFORE_MAX) {
		before += count - RELAYED_BEFORE_MAX;
		count = RELAYED_BEFORE_MAX;
	}
	err = fill(s, &ret->place, before, count);
	if (err)
		desk_clear(ret);
	return err;
}
