#include <stdio.h>
#include <string.h>

#include "records/job.h"
#include "records/keys.h"
#include "records/scripts.h"

#define LUA_JOB											\
	LUA_NOW											\
	"local j = redis.call('HMGET', KEYS[1], 'by', 'until', 'total', 'done', 'changed') "	\
	"local running = j[1] and tonumber(j[2]) > now "					\
	"local function progress(word) return {word, running and 1 or 0, j[3], j[4], j[5]} end "

/* KEYS job  ARGV by lease total */
static struct redis_script begin_script = { .text =
	LUA_JOB
	"if running then return progress('running') end "
	"redis.call('HSET', KEYS[1], 'by', ARGV[1], 'until', now + ARGV[2], 'total', ARGV[3], 'done', 0, 'changed', 0) "
	"redis.call('PEXPIRE', KEYS[1], 86400000) "
	"return {'ok'} "
};

/* KEYS job  ARGV by lease total done changed last */
static struct redis_script step_script = { .text =
	LUA_JOB
	"if j[1] ~= ARGV[1] then return {'settled'} end "
	"redis.call('HSET', KEYS[1], 'until', now + ARGV[2], 'total', ARGV[3], 'done', ARGV[4], 'changed', ARGV[5]) "
	"if ARGV[6] == '1' then redis.call('HDEL', KEYS[1], 'by') end "
	"redis.call('PEXPIRE', KEYS[1], 86400000) "
	"return {'ok'} "
};

/* KEYS job */
static struct redis_script read_script = { .text =
	LUA_JOB
	"if not j[3] then return {'gone'} end "
	"return progress('ok') "
};

static void
job_key(const struct job *j, char out[CONVERSATION_KEY_MAX])
{
	snprintf(out, CONVERSATION_KEY_MAX, "job:" SHARD ":%s:%.20s", j->account, j->kind);
}

static void
name_job(const char *account, const char *kind, struct job *ret)
{
	*ret = (struct job){ .kind = kind };
	snprintf(ret->account, sizeof(ret->account), "%s", account);
}

/* {word, running, total, done, changed} */
static void
take_progress(const struct redis_reply *reply, struct job *j)
{
	j->running = redis_int(redis_at(reply, 1)) != 0;
	j->total = redis_int(redis_at(reply, 2));
	j->done = redis_int(redis_at(reply, 3));
	j->changed = redis_int(redis_at(reply, 4));
}

enum hl_err
job_begin(struct store *s, const char *account, const char *kind, int64_t total, struct job *ret)
{
	const struct redis_reply *reply;
	char name[CONVERSATION_KEY_MAX];
	struct number lease, all;
	enum hl_err err;

	name_job(account, kind, ret);
	job_key(ret, name);
	id_new(ret->by);
	struct redis_arg key[] = { RA(name) };
	struct redis_arg arg[] = { RA(ret->by), number_arg(&lease, JOB_LEASE_MS), number_arg(&all, total) };

	err = redis_script(s->redis, &begin_script, key, 1, arg, 3, &reply);
	if (err)
		return err;
	if (said(reply, "running")) {
		take_progress(reply, ret);
		return HL_CONFLICT;
	}
	ret->running = true;
	ret->total = total;
	return HL_OK;
}

static enum hl_err
step(struct store *s, const struct job *j, bool last)
{
	const struct redis_reply *reply;
	char name[CONVERSATION_KEY_MAX];
	struct number lease, total, done, changed;
	enum hl_err err;

	job_key(j, name);
	struct redis_arg key[] = { RA(name) };
	struct redis_arg arg[] = { RA(j->by), number_arg(&lease, JOB_LEASE_MS), number_arg(&total, j->total),
		number_arg(&done, j->done), number_arg(&changed, j->changed), RA(last ? "1" : "0") };

	err = redis_script(s->redis, &step_script, key, 1, arg, 6, &reply);
	return err ? err : refusal(reply);
}

enum hl_err
job_step(struct store *s, const struct job *j)
{
	return step(s, j, false);
}

enum hl_err
job_end(struct store *s, const struct job *j)
{
	return step(s, j, true);
}

enum hl_err
job_read(struct store *s, const char *account, const char *kind, struct job *ret)
{
	const struct redis_reply *reply;
	char name[CONVERSATION_KEY_MAX];
	enum hl_err err;

	name_job(account, kind, ret);
	job_key(ret, name);
	struct redis_arg key[] = { RA(name) };

	err = redis_script(s->redis, &read_script, key, 1, NULL, 0, &reply);
	if (err == HL_OK)
		err = refusal(reply);
	if (err == HL_OK)
		take_progress(reply, ret);
	return err;
}
