#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "records/keys.h"

static void
spend_key(char out[CONVERSATION_KEY_MAX])
{
	char now[CLOCK_ISO_LEN + 1];

	clock_iso(clock_wall_ms(), now);
	snprintf(out, CONVERSATION_KEY_MAX, "spend:" SHARD ":%.10s", now);
}

static struct redis_script spend_script = { .text =
	"redis.call('HINCRBY', KEYS[1], 't', ARGV[1]) "
	"redis.call('HINCRBY', KEYS[1], 'm', ARGV[2]) "
	"redis.call('EXPIRE', KEYS[1], 3456000) "	/* forty days */
	"return {'ok'} "
};

enum hl_err
spend_add(struct store *s, int64_t tokens, int64_t micro_money)
{
	const struct redis_reply *reply;
	char key_name[CONVERSATION_KEY_MAX];
	struct number t, m;

	spend_key(key_name);
	struct redis_arg key[] = { RA(key_name) }, arg[] = { number_arg(&t, tokens), number_arg(&m, micro_money) };

	return redis_script(s->redis, &spend_script, key, 1, arg, 2, &reply);
}

enum hl_err
spend_today(struct store *s, int64_t *tokens, int64_t *micro_money)
{
	const struct redis_reply *reply;
	char key_name[CONVERSATION_KEY_MAX];
	enum hl_err err;

	spend_key(key_name);
	struct redis_arg args[] = { RA("HMGET"), RA(key_name), RA("t"), RA("m") };

	err = redis_call(s->redis, args, 4, &reply);
	*tokens = err ? 0 : redis_int(redis_at(reply, 0));
	*micro_money = err ? 0 : redis_int(redis_at(reply, 1));
	return err;
}
