#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "check.h"
#include "loop/task.h"
#include "services/redis.h"

#define CONNECT_MS	2000
#define CLOCKS_APART_MS	1000
#define OLDEST_MAJOR	6
#define OLDEST_MINOR	2
#define FULL_PERCENT	80
#define VALUE_MAX	64

/* What Redis says of itself: lines name:value. */
struct info { struct buf text; };

static bool
value_of(const struct info *info, const char *name, char out[VALUE_MAX])
{
	size_t len = strlen(name), n;
	const char *at = info->text.data;

	*out = '\0';
	for (; at && *at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, name, len) == 0 && at[len] == ':') {
			n = strcspn(at + len + 1, "\r\n");
			snprintf(out, VALUE_MAX, "%.*s", (int)n, at + len + 1);
			return true;
		}
	}
	return false;
}

static bool
says(const struct info *info, const char *name, const char *value)
{
	char is[VALUE_MAX];

	return value_of(info, name, is) && strcmp(is, value) == 0;
}

static int64_t
number_of(const struct info *info, const char *name)
{
	char is[VALUE_MAX];

	return value_of(info, name, is) ? strtoll(is, NULL, 10) : -1;
}

static enum hl_err
read_info(struct redis *redis, struct info *ret)
{
	const struct redis_arg args[] = { RA("INFO") };
	const struct redis_reply *reply;
	enum hl_err err = redis_call(redis, args, 1, &reply);
	size_t len = 0;
	const char *text = err ? NULL : redis_str(reply, &len);

	if (text)
		buf_add(&ret->text, text, len);
	return text ? buf_err(&ret->text) : HL_STORE;
}

static bool
redis_setting(struct redis *redis, const char *name, char *out, size_t size)
{
	const struct redis_arg args[] = { RA("CONFIG"), RA("GET"), RA(name) };
	const struct redis_reply *reply;
	const char *text = NULL;

	if (redis_call(redis, args, 3, &reply) == HL_OK)
		text = redis_str(redis_at(reply, 1), NULL);
	snprintf(out, size, "%s", text ? text : "");
	return text != NULL;
}

/* ---- what it does with what it is given ---- */

static void
check_persistence(struct check *c, struct redis *redis, const struct info *info)
{
	char fsync[16];

	found_if(c, "redis.persistence", says(info, "aof_enabled", "1"), "Redis writes an append-only file",
	    "Redis writes no append-only file",
	    "Without one, acknowledged messages are lost when it ends: set \"appendonly yes\".");
	if (!redis_setting(redis, "appendfsync", fsync, sizeof(fsync)))
		found(c, "redis.fsync", FOUND_UNKNOWN, "Allow its user CONFIG GET, or see that it has \"appendfsync always\".",
		    "Redis does not show whether it writes to disk before it acknowledges (CONFIG is forbidden)");
	else
		found_if(c, "redis.fsync", strcmp(fsync, "always") == 0, "Redis writes to disk before it acknowledges",
		    "Redis acknowledges before it has written to disk",
		    "A power failure loses up to a second of acknowledged messages: set \"appendfsync always\".");
	if (says(info, "aof_last_write_status", "err") || says(info, "rdb_last_bgsave_status", "err"))
		found(c, "redis.writes", FOUND_WRONG, "Look at its log: the disk is full, or its folder cannot be written.",
		    "Redis could not write to its disk");
}

static void
check_memory(struct check *c, const struct info *info)
{
	int64_t limit = number_of(info, "maxmemory"), used = number_of(info, "used_memory"),
	    total = number_of(info, "total_system_memory");

	found_if(c, "redis.eviction", says(info, "maxmemory_policy", "noeviction"), "Redis keeps everything",
	    "Redis may throw conversations away when its memory is full", "Set \"maxmemory-policy noeviction\".");
	found_if(c, "redis.memory", limit > 0, "Redis has a memory limit", "Redis has no memory limit",
	    "Without one the system may kill it when memory is full: set \"maxmemory\".");
	if (limit > 0 && total > 0 && limit > total)
		found(c, "redis.memory", FOUND_WRONG, "Set a smaller \"maxmemory\".",
		    "Redis may use more memory than its computer has (%" PRId64 " of %" PRId64 " MB)", limit >> 20, total >> 20);
	if (limit > 0 && used > limit / 100 * FULL_PERCENT)
		found(c, "redis.memory", FOUND_WRONG, "When it is full nothing more can be stored: set a larger \"maxmemory\".",
		    "Redis is nearly full (%" PRId64 " of %" PRId64 " MB)", used >> 20, limit >> 20);
}

static void
check_version(struct check *c, const struct info *info)
{
	char version[VALUE_MAX];
	int major = 0, minor = 0;

	(void)value_of(info, "redis_version", version);
	if (sscanf(version, "%d.%d", &major, &minor) != 2)
		found(c, "redis.version", FOUND_UNKNOWN, NULL, "Redis does not tell its version");
	else if (major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR))
		found(c, "redis.version", FOUND_WRONG, "Install a newer one.", "Redis is too old: it is %s, and must be %d.%d or later",
		    version, OLDEST_MAJOR, OLDEST_MINOR);
	else
		found(c, "redis.version", FOUND_OK, NULL, "Redis is new enough (%s)", version);
}

static void
check_role(struct check *c, const struct info *info)
{
	int64_t want = *c->conf.redis_replicas ? strtoll(c->conf.redis_replicas, NULL, 10) : *c->conf.redis_sentinels ? 1 : 0,
	    have = number_of(info, "connected_slaves");

	if (says(info, "role", "slave"))
		found(c, "redis.role", FOUND_WRONG, "Name its master, or the sentinels that know it (REDIS_SENTINELS).",
		    "This Redis is another one's replica: it takes no writes");
	if (have < want)
		found(c, "redis.replicas", FOUND_WRONG, "Start them, or set a smaller REDIS_REPLICAS; until then every message is refused.",
		    "Redis has %" PRId64 " of the %" PRId64 " replicas that must have a message", have < 0 ? 0 : have, want);
	else if (want > 0)
		found(c, "redis.replicas", FOUND_OK, NULL, "Redis has the replicas that must have a message");
}

/* Over the network, whoever reaches it could erase everything. */
static void
check_password(struct check *c)
{
	const struct conf *f = &c->conf;
	bool socket = *f->redis_socket || strncmp(f->redis_url, "unix:", 5) == 0;
	bool near = str_equal(f->redis_host, "localhost") || strncmp(f->redis_host, "127.", 4) == 0 || str_equal(f->redis_host, "::1");

	if (*f->redis_url && !socket)
		near = strstr(f->redis_url, "//localhost") || strstr(f->redis_url, "//127.") || strchr(f->redis_url, '@');
	if (!socket && !near && *f->redis_password == '\0' && *f->redis_sentinels == '\0')
		found(c, "redis.password", FOUND_WRONG, "Set its \"requirepass\" (or a user) and REDIS_PASSWORD.",
		    "Redis is reached over the network without a password");
}

static void
check_clocks(struct check *c, struct redis *redis)
{
	const struct redis_arg args[] = { RA("TIME") };
	const struct redis_reply *reply;
	int64_t before = clock_wall_ms(), theirs, after;

	if (redis_call(redis, args, 1, &reply) != HL_OK)
		return;
	theirs = redis_int(redis_at(reply, 0)) * 1000 + redis_int(redis_at(reply, 1)) / 1000;
	after = clock_wall_ms();
	if (theirs < before - CLOCKS_APART_MS || theirs > after + CLOCKS_APART_MS)
		found(c, "clock.redis", FOUND_WRONG, "Let both set their clocks by a time server (chrony, systemd-timesyncd).",
		    "Redis' clock and this one are %" PRId64 " s apart", (theirs > after ? theirs - after : before - theirs) / 1000);
	else
		found(c, "clock.redis", FOUND_OK, NULL, "Redis' clock and this one agree");
}

/* It lets nobody in without a password, or not with this one. */
static bool
is_locked(struct check *c, struct redis *redis)
{
	const struct redis_arg args[] = { RA("PING") };
	const struct redis_reply *reply;

	if (redis_call(redis, args, 1, &reply) == HL_OK)
		return false;
	found(c, "redis.refuses", FOUND_WRONG, "Set REDIS_PASSWORD, or user and password in REDIS_URL; a credential of that name wins over the settings file.",
	    "Redis takes no orders from Helpline: %s", redis_problem(redis));
	return true;
}

static void
look_inside(struct check *c, struct redis *redis)
{
	struct info info = { BUF_INIT(1u << 18) };

	if (is_locked(c, redis))
		return;
	if (read_info(redis, &info) == HL_OK) {
		check_version(c, &info);
		check_persistence(c, redis, &info);
		check_memory(c, &info);
		check_role(c, &info);
	} else
		found(c, "redis.info", FOUND_UNKNOWN, "Allow its user INFO.",
		    "Redis does not tell of itself (INFO is forbidden): persistence and memory are not checked");
	check_clocks(c, redis);
	buf_free(&info.text);
}

void
check_redis(struct check *c, uv_loop_t *loop)
{
	static const char remedy[] = "See REDIS_URL, REDIS_SOCKET, REDIS_HOST and REDIS_PORT.";
	struct redis *redis;

	if (redis_open(loop, &c->conf, &redis) != HL_OK) {
		found(c, "redis.reached", FOUND_WRONG, "It must be redis://[user:password@]host[:port][/db] or unix:///path.",
		    "REDIS_URL is no address");
		return;
	}
	for (int ms = 0; ms < CONNECT_MS && !redis_connected(redis); ms += 10)
		if (task_sleep(10) != HL_OK)
			break;
	if (redis_connected(redis)) {
		found(c, "redis.reached", FOUND_OK, NULL, "Redis can be reached");
		look_inside(c, redis);
	} else
		found(c, "redis.reached", FOUND_WRONG, remedy, "Redis cannot be reached: %s", redis_problem(redis));
	check_password(c);
	redis_close(redis);
}
