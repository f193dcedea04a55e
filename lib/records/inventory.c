#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "loop/task.h"
#include "records/inventory.h"
#include "records/keys.h"

#define SCAN_COUNT	"1000"
#define LOOK_MS		50	/* between two looks at what the server does by itself */

/* ---- which keys there are ---- */

/* A kind is the word before the shard; of one without a tail the key is the word and the shard alone. */
static const struct kind {
	const char	*word, *tail;		/* NULL: any that no other row has */
	enum stored_type type;
	bool		 passing;
} kinds[] = {
	{ "c", ":log", STORED_LIST, false }, { "c", ":seen", STORED_HASH, false }, { "c", ":calls", STORED_HASH, false },
	{ "c", NULL, STORED_HASH, false }, { "e", NULL, STORED_HASH, false },
	{ "due", "", STORED_ZSET, false }, { "open", "", STORED_ZSET, false }, { "active", "", STORED_ZSET, false },
	{ "u", ":families", STORED_ZSET, false }, { "u", ":good", STORED_ZSET, false },
	{ "u", ":conversations", STORED_ZSET, false }, { "u", ":recent", STORED_ZSET, false },
	{ "u", ":open", STORED_ZSET, false }, { "u", ":agents", STORED_ZSET, false }, { "u", ":keys", STORED_HASH, false },
	{ "u", NULL, STORED_HASH, false }, { "a", NULL, STORED_HASH, false },
	{ "accounts", "", STORED_ZSET, false }, { "email", NULL, STORED_STRING, false }, { "first", "", STORED_STRING, false },
	{ "rf", NULL, STORED_HASH, false }, { "k", NULL, STORED_HASH, false }, { "keys", "", STORED_ZSET, false },
	{ "st", NULL, STORED_HASH, false }, { "spend", NULL, STORED_HASH, false }, { "lr", NULL, STORED_STRING, false },
	{ "an", NULL, STORED_HASH, false },
	{ "job", NULL, STORED_HASH, true }, { "holders", "", STORED_ZSET, true }, { "rl", NULL, STORED_STRING, true },
	{ "lf", NULL, STORED_STRING, true }, { "gone", NULL, STORED_STRING, true },
};

#define FLUSHED	"an:" SHARD ":flushed:"

static bool
is_kind(const struct kind *k, const char *key, const char *rest)
{
	size_t word = strlen(k->word), tail = k->tail ? strlen(k->tail) : 0, len = strlen(rest);

	if (strncmp(key, k->word, word) != 0 || key[word] != ':')
		return false;
	if (k->tail == NULL)
		return *rest == ':';
	return tail ? len > tail && strcmp(rest + len - tail, k->tail) == 0 : *rest == '\0';
}

bool
inventory_type(const char *key, enum stored_type *ret, bool *ret_passing)
{
	const char *shard = strstr(key, ":" SHARD);

	if (strncmp(key, FLUSHED, sizeof(FLUSHED) - 1) == 0) {
		*ret = STORED_STRING;
		*ret_passing = true;
		return true;
	}
	for (size_t i = 0; shard && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (is_kind(&kinds[i], key, shard + sizeof(SHARD))) {
			*ret = kinds[i].type;
			*ret_passing = kinds[i].passing;
			return true;
		}
	return false;
}

bool
inventory_together(const char *key, const char *other)
{
	const char *shard = strstr(key, SHARD ":");
	size_t stem = shard ? (size_t)(shard - key) + sizeof(SHARD) : 0;

	if (stem == 0)
		return false;
	stem += strcspn(key + stem, ":");
	return strncmp(key, other, stem) == 0 && (other[stem] == ':' || other[stem] == '\0');
}

/* ---- their names ---- */

void
inventory_free(struct inventory *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->keys[i]);
	free(v->keys);
	*v = (struct inventory){ 0 };
}

static enum hl_err
take_names(const struct redis_reply *names, bool with_passing, struct inventory *v)
{
	char **more = realloc(v->keys, (v->count + redis_length(names) + 1) * sizeof(*more));

	if (more == NULL)
		return HL_NO_MEMORY;
	v->keys = more;
	for (size_t i = 0; i < redis_length(names); i++) {
		enum stored_type type;
		bool passing;
		size_t len = 0;
		const char *key = redis_str(redis_at(names, i), &len);

		if (key == NULL || len >= INVENTORY_KEY_MAX || strlen(key) != len || !inventory_type(key, &type, &passing) ||
		    (passing && !with_passing))
			continue;
		if ((v->keys[v->count] = strdup(key)) == NULL)
			return HL_NO_MEMORY;
		v->count++;
	}
	return HL_OK;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* SCAN may name a key twice. */
static void
sort_names(struct inventory *v)
{
	size_t kept = 0;

	if (v->count)
		qsort(v->keys, v->count, sizeof(*v->keys), compare);
	for (size_t i = 0; i < v->count; i++)
		if (kept && strcmp(v->keys[kept - 1], v->keys[i]) == 0)
			free(v->keys[i]);
		else
			v->keys[kept++] = v->keys[i];
	v->count = kept;
}

enum hl_err
inventory_read(struct store *s, bool with_passing, struct inventory *ret)
{
	const struct redis_reply *reply;
	char cursor[24] = "0";
	enum hl_err err;

	*ret = (struct inventory){ 0 };
	do {
		const struct redis_arg args[] = { RA("SCAN"), RA(cursor), RA("MATCH"), RA("*:" SHARD "*"), RA("COUNT"), RA(SCAN_COUNT) };
		const char *next;

		err = redis_call(s->redis, args, 6, &reply);
		next = err ? NULL : redis_str(redis_at(reply, 0), NULL);
		if (err == HL_OK)
			err = next ? take_names(redis_at(reply, 1), with_passing, ret) : HL_INTERNAL;
		if (err == HL_OK)
			snprintf(cursor, sizeof(cursor), "%s", next);
	} while (err == HL_OK && strcmp(cursor, "0") != 0);
	if (err)
		inventory_free(ret);
	else
		sort_names(ret);
	return err;
}

/* ---- what they hold ---- */

size_t
stored_count(const struct stored *x)
{
	return x->gone ? 0 : x->type == STORED_STRING ? 1 : redis_length(x->items);
}

const char *
stored_item(const struct stored *x, size_t i, size_t *len)
{
	return redis_str(x->type == STORED_STRING ? x->items : redis_at(x->items, i), len);
}

static size_t
reading(enum stored_type type, const char *key, struct redis_arg args[5])
{
	static const struct { char word[4][12]; size_t count; } how[STORED_TYPES] = {
		[STORED_STRING] = { { "GET" }, 0 },
		[STORED_HASH] = { { "HGETALL" }, 0 },
		[STORED_LIST] = { { "LRANGE", "0", "-1" }, 2 },
		[STORED_ZSET] = { { "ZRANGE", "0", "-1", "WITHSCORES" }, 3 },
	};

	args[0] = RA(how[type].word[0]);
	args[1] = RA(key);
	for (size_t i = 0; i < how[type].count; i++)
		args[2 + i] = RA(how[type].word[1 + i]);
	return 2 + how[type].count;
}

/* The reply to PTTL, and to what reads it. */
static void
take_stored(const struct redis_reply *ttl, const struct redis_reply *items, int64_t now, struct stored *x)
{
	int64_t ms = redis_int(ttl);

	x->items = items;
	x->expires_ms = ms >= 0 ? now + ms : 0;
	x->gone = ms == -2 || redis_type(items) == REDIS_NIL || (x->type != STORED_STRING && redis_length(items) == 0);
}

enum hl_err
inventory_get(struct store *s, const char *const *keys, size_t count, struct stored *ret)
{
	struct redis_arg time[] = { RA("TIME") }, ttl[INVENTORY_STEP][2], read[INVENTORY_STEP][5] = { { { 0 } } };
	struct redis_command commands[1 + 2 * INVENTORY_STEP] = { { time, 1 } };
	const struct redis_reply *reply, *clock;
	int64_t now;
	bool passing;
	enum hl_err err;

	if (count > INVENTORY_STEP)
		return HL_BAD_REQUEST;
	for (size_t i = 0; i < count; i++) {
		ret[i] = (struct stored){ .key = keys[i] };
		if (!inventory_type(keys[i], &ret[i].type, &passing))
			return HL_BAD_REQUEST;
		ttl[i][0] = RA("PTTL");
		ttl[i][1] = RA(keys[i]);
		commands[1 + 2 * i] = (struct redis_command){ ttl[i], 2 };
		commands[2 + 2 * i] = (struct redis_command){ read[i], reading(ret[i].type, keys[i], read[i]) };
	}
	err = redis_together(s->redis, commands, 1 + 2 * count, false, &reply);
	if (err)
		return err;
	clock = redis_at(reply, 0);
	now = redis_int(redis_at(clock, 0)) * 1000 + redis_int(redis_at(clock, 1)) / 1000;
	for (size_t i = 0; i < count; i++)
		take_stored(redis_at(reply, 1 + 2 * i), redis_at(reply, 2 + 2 * i), now, &ret[i]);
	return HL_OK;
}

/* ---- changing ---- */

enum hl_err
inventory_add(struct store *s, const char *key, enum stored_type type, const struct redis_arg *items, size_t count)
{
	static const char *const words[STORED_TYPES] = {
		[STORED_STRING] = "SET", [STORED_HASH] = "HSET", [STORED_LIST] = "RPUSH", [STORED_ZSET] = "ZADD"
	};
	struct redis_arg args[2 + INVENTORY_ITEMS] = { RA(words[type]), RA(key) };
	const struct redis_reply *reply;

	if (count == 0)
		return HL_OK;
	if (count > INVENTORY_ITEMS)
		return HL_BAD_REQUEST;
	memcpy(args + 2, items, count * sizeof(*items));
	for (size_t i = 0; type == STORED_ZSET && i + 1 < count; i += 2) {	/* ZADD wants the score first */
		args[2 + i] = items[i + 1];
		args[3 + i] = items[i];
	}
	return redis_call(s->redis, args, 2 + count, &reply);
}

enum hl_err
inventory_expire(struct store *s, const char *key, int64_t expires_ms)
{
	const struct redis_reply *reply;
	struct number at;
	const struct redis_arg args[] = { RA("PEXPIREAT"), RA(key), number_arg(&at, expires_ms) };

	return redis_call(s->redis, args, 3, &reply);
}

enum hl_err
inventory_remove(struct store *s, const char *key)
{
	const struct redis_reply *reply;
	const struct redis_arg args[] = { RA("UNLINK"), RA(key) };

	return redis_call(s->redis, args, 2, &reply);
}

enum hl_err
inventory_hold(struct store *s, int64_t ms)
{
	const struct redis_reply *reply;
	struct number n;
	const struct redis_arg args[] = { RA("CLIENT"), RA("PAUSE"), number_arg(&n, ms), RA("WRITE") };

	return redis_call(s->redis, args, 4, &reply);
}

enum hl_err
inventory_go_on(struct store *s)
{
	const struct redis_reply *reply;
	const struct redis_arg args[] = { RA("CLIENT"), RA("UNPAUSE") };

	return redis_call(s->redis, args, 2, &reply);
}

/* ---- what lies on the server's disk ---- */

struct persistence { bool aof, busy, bad; };

static enum hl_err
look(struct store *s, struct persistence *ret)
{
	const struct redis_reply *reply;
	const struct redis_arg args[] = { RA("INFO"), RA("persistence") };
	enum hl_err err = redis_call(s->redis, args, 2, &reply);
	const char *text = err ? NULL : redis_str(reply, NULL);

	if (text == NULL)
		return err ? err : HL_INTERNAL;
	ret->aof = strstr(text, "aof_enabled:1") != NULL;
	ret->busy = strstr(text, "aof_rewrite_in_progress:1") || strstr(text, "aof_rewrite_scheduled:1") ||
	    strstr(text, "rdb_bgsave_in_progress:1");
	ret->bad = strstr(text, "aof_last_bgrewrite_status:err") || strstr(text, "rdb_last_bgsave_status:err");
	return HL_OK;
}

static enum hl_err
wait_until_idle(struct store *s, int64_t until, struct persistence *p)
{
	enum hl_err err = look(s, p);

	while (err == HL_OK && p->busy) {
		if (clock_mono_ms() > until)
			return HL_TIMEOUT;
		err = task_sleep(LOOK_MS);
		if (err == HL_OK)
			err = look(s, p);
	}
	return err;
}

static enum hl_err
write_anew(struct store *s, const char *how, int64_t until, struct persistence *p)
{
	const struct redis_reply *reply;
	const struct redis_arg args[] = { RA(how) };
	enum hl_err err = wait_until_idle(s, until, p);

	if (err == HL_OK)
		err = redis_call(s->redis, args, 1, &reply);
	if (err == HL_OK)
		err = wait_until_idle(s, until, p);
	return err == HL_OK && p->bad ? HL_INTERNAL : err;
}

enum hl_err
inventory_rewrite(struct store *s, int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;
	struct persistence p;
	enum hl_err err = look(s, &p);

	if (err == HL_OK && p.aof)
		err = write_anew(s, "BGREWRITEAOF", until, &p);
	return err ? err : write_anew(s, "BGSAVE", until, &p);
}
