#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/str.h"
#include "loop/task.h"
#include "services/redis_link.h"

#define WATCH_MS	1000
#define CONFIRM_MS	"500"	/* that a replica has */
#define COMMAND_MAX	(512u * 1024 * 1024)	/* the server takes no longer one */

static void on_confirm(uv_prepare_t *);

static void
on_watchdog(uv_timer_t *timer)
{
	links_watch(timer->data);
}

enum hl_err
redis_open(uv_loop_t *loop, const struct conf *conf, struct redis **ret)
{
	struct redis *r = calloc(1, sizeof(*r));
	enum hl_err err = HL_NO_MEMORY;

	*ret = NULL;
	if (r == NULL)
		return HL_NO_MEMORY;
	r->loop = loop;
	r->command = BUF_INIT(COMMAND_MAX);
	err = subs_open(r);
	if (err == HL_OK)
		err = links_open(r, conf);
	if (err)
		goto fail;
	note_problem(r, REDIS_AWAY, "not connected yet");
	uv_timer_init(loop, &r->watchdog);
	r->watchdog.data = r;
	uv_timer_start(&r->watchdog, on_watchdog, WATCH_MS, WATCH_MS);
	uv_unref((uv_handle_t *)&r->watchdog);
	uv_prepare_init(loop, &r->confirm);
	r->confirm.data = r;
	link_connect(&r->commands);
	*ret = r;
	return HL_OK;
fail:
	links_free(r);
	subs_free(r);
	buf_free(&r->command);
	free(r);
	return err;
}

bool
redis_connected(const struct redis *r)
{
	return r->commands.up;
}

unsigned
redis_life(const struct redis *r)
{
	return r->commands.life;
}

const char *
redis_problem(const struct redis *r)
{
	return r->problem;
}

const char *
redis_reason(const struct redis *r)
{
	static const char *const sentences[] = {
		[REDIS_AWAY] = "The store cannot be reached; try again in a moment",
		[REDIS_FULL] = "The store is full; try again later",
		[REDIS_READ_ONLY] = "The store is read-only at the moment; try again in a moment",
		[REDIS_FEW_REPLICAS] = "The store has too few replicas to take anything in; try again in a moment",
		[REDIS_UNCONFIRMED] = "No replica of the store has confirmed in time; try again in a moment",
		[REDIS_LOADING] = "The store is loading its data; try again in a moment",
		[REDIS_DISK] = "The store cannot write to its disk; try again later",
		[REDIS_BUSY] = "The store is busy with something else; try again in a moment",
		[REDIS_LOCKED] = "The store does not let this service in; try again later",
	};

	return sentences[r->commands.up || r->state == REDIS_LOCKED ? r->state : REDIS_AWAY];
}

/* ---- commands ---- */

struct call {
	struct redis	*redis;
	struct task	*task;
	const redisReply *reply;
	bool		 done;
	int64_t		 began_us;
	/* of a transaction */
	enum hl_err	 refused;	/* what a command in it met */
	size_t		 queued;	/* commands before EXEC that have no reply yet */
	bool		 abandoned;	/* EXEC could not be sent */
	/* of what is to be confirmed */
	struct call	*next;		/* of those that one WAIT is for */
	redisReply	*kept;		/* its reply until that has come; NULL: lost */
	bool		 sent;		/* WAIT is behind it */
	bool		 unconfirmed;
};

static void
count_reply(struct link *l)
{
	if (l->pending > 0)
		l->pending--;
	l->oldest_mono_ms = clock_mono_ms();
}

/* Refusals that say something about the server, not about the command. */
static enum hl_err
reply_error(struct redis *r, const redisReply *reply)
{
	static const struct { const char *word; enum redis_state state; } refusals[] = {
		{ "OOM ", REDIS_FULL }, { "READONLY ", REDIS_READ_ONLY }, { "NOREPLICAS ", REDIS_FEW_REPLICAS },
		{ "LOADING ", REDIS_LOADING }, { "MISCONF ", REDIS_DISK }, { "BUSY ", REDIS_BUSY },
		{ "MASTERDOWN ", REDIS_READ_ONLY }, { "CLUSTERDOWN ", REDIS_AWAY }, { "TRYAGAIN ", REDIS_BUSY },
		{ "NOAUTH ", REDIS_LOCKED }, { "WRONGPASS ", REDIS_LOCKED }, { "NOPERM ", REDIS_LOCKED },
	};

	if (reply == NULL) {
		metrics_count(M_REDIS_ERROR_AWAY, 1);
		return HL_STORE;
	}
	if (reply->type != REDIS_REPLY_ERROR) {
		r->state = REDIS_AWAY;		/* what it refused before, it may take now */
		return HL_OK;
	}
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (strncmp(reply->str, refusals[i].word, strlen(refusals[i].word)) == 0) {
			note_problem(r, refusals[i].state, reply->str);
			metrics_count(M_REDIS_ERROR_REFUSED, 1);
			return HL_STORE;
		}
	note_problem(r, r->state, reply->str);
	if (strncmp(reply->str, "NOSCRIPT", 8) != 0)
		metrics_count(M_REDIS_ERROR_WRONG, 1);
	return HL_INTERNAL;
}

/* A master that has become a replica says so here first: the sentinels know who took its place. */
static void
check_deposed(struct link *l, const redisReply *reply)
{
	if (l->ac && l->redis->sentinel_count && reply && reply->type == REDIS_REPLY_ERROR &&
	    strncmp(reply->str, "READONLY ", 9) == 0)
		link_failed(l, "the server is not the master any more");
}

#define FEW_ARGS	56	/* of a script, which are gathered on the stack */
#define KEPT_BYTES	65536u	/* of the buffer in which commands are written */

#define LENGTH_MAX	(1 + STR_INT_MAX + 2)	/* of "$123\r\n" */

static char *
write_length(char *p, char kind, size_t n)
{
	*p++ = kind;
	p += str_int(p, (int64_t)n);
	return mempcpy(p, "\r\n", 2);
}

/* RESP, an array of bulk strings.  Left to hiredis, it was an eighth of the time that chat takes for a new session. */
static void
write_command(struct buf *out, const struct redis_arg *args, size_t nargs)
{
	size_t all = LENGTH_MAX;
	char *p;

	for (size_t i = 0; i < nargs; i++)
		all += LENGTH_MAX + args[i].len + 2;
	if ((p = buf_reserve(out, all)) == NULL)
		return;
	p = write_length(p, '*', nargs);
	for (size_t i = 0; i < nargs; i++) {
		p = write_length(p, '$', args[i].len);
		if (args[i].len)
			p = mempcpy(p, args[i].bytes, args[i].len);
		p = mempcpy(p, "\r\n", 2);
	}
	buf_grow(out, (size_t)(p - out->data));
}

/* With sentinels nothing is sent before the server has said that it is the master. */
static bool
transmit(struct redis *r, const struct redis_arg *args, size_t nargs, redisCallbackFn *callback, void *arg)
{
	struct link *l = &r->commands;
	bool queued;

	if (l->ac == NULL || nargs > REDIS_ARGS_MAX || (!l->up && link_must_greet(r))) {
		metrics_count(M_REDIS_ERROR_AWAY, 1);
		return false;
	}
	buf_reset(&r->command);
	write_command(&r->command, args, nargs);
	queued = buf_err(&r->command) == HL_OK &&
	    redisAsyncFormattedCommand(l->ac, callback, arg, r->command.data, r->command.len) == REDIS_OK;
	if (r->command.cap > KEPT_BYTES)
		buf_free(&r->command);
	if (!queued)
		return false;
	if (l->pending++ == 0)
		l->oldest_mono_ms = clock_mono_ms();
	return true;
}

static void
call_done(struct call *c, const redisReply *reply)
{
	metrics_took(M_TOOK_REDIS, clock_mono_us() - c->began_us);
	c->reply = reply;
	c->done = true;
	task_wake(c->task);
}

static void
on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
	struct link *l = ac->data;

	count_reply(l);
	check_deposed(l, reply);
	if (arg)
		call_done(arg, reply);
}

enum hl_err
redis_call(struct redis *r, const struct redis_arg *args, size_t nargs, const struct redis_reply **ret)
{
	struct call call = { .redis = r, .task = task_self(), .began_us = clock_mono_us() };

	*ret = NULL;
	if (!transmit(r, args, nargs, on_reply, &call))
		return HL_STORE;
	while (!call.done)
		task_wait_always();
	*ret = (const struct redis_reply *)call.reply;
	return reply_error(r, call.reply);
}

static void
on_ahead(redisAsyncContext *ac, void *reply, void *arg)
{
	struct link *l = ac->data;
	struct redis_ahead *a = arg;

	count_reply(l);
	check_deposed(l, reply);
	a->err = reply_error(a->redis, reply);
	a->value = a->err ? 0 : redis_int(reply);
	a->done = true;
	if (a->task)
		task_wake(a->task);
}

void
redis_send_ahead(struct redis *r, const struct redis_arg *args, size_t nargs, struct redis_ahead *a)
{
	*a = (struct redis_ahead){ .redis = r };
	if (!transmit(r, args, nargs, on_ahead, a)) {
		a->err = HL_STORE;
		a->done = true;
	}
}

enum hl_err
redis_take(struct redis_ahead *a, int64_t *ret)
{
	a->task = task_self();
	while (!a->done)
		task_wait_always();
	*ret = a->value;
	return a->err;
}

/* ---- what replicas must confirm ---- */

/*
 * WAIT follows the scripts in the same write, one for all that one turn of the loop sent: it holds up the connection until
 * the replicas have what came before it, so that one for each would make them queue.
 */
struct confirmation { struct call *calls; };

static void
forget_unsent(struct call *c)
{
	struct call **at = &c->redis->unconfirmed;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
}

/* hiredis frees a reply when its callback returns: what it holds is moved to where it can stay. */
static redisReply *
keep(redisReply *reply)
{
	redisReply *kept = reply ? malloc(sizeof(*kept)) : NULL;

	if (kept) {
		*kept = *reply;
		reply->type = REDIS_REPLY_NIL;
	}
	return kept;
}

static void
on_script(redisAsyncContext *ac, void *reply, void *arg)
{
	struct link *l = ac->data;
	struct call *c = arg;

	count_reply(l);
	c->kept = keep(reply);
	check_deposed(l, c->kept);
	if (reply == NULL && !c->sent) {
		forget_unsent(c);
		call_done(c, NULL);
	}
}

static void
confirmed(struct confirmation *take, bool enough)
{
	struct call *next;

	for (struct call *c = take->calls; c; c = next) {
		redisReply *kept = c->kept;

		next = c->next;
		c->unconfirmed = !enough;
		call_done(c, kept);	/* its stack is gone after this */
		if (kept)
			freeReplyObject(kept);
	}
	free(take);
}

static void
on_waited(redisAsyncContext *ac, void *reply, void *arg)
{
	struct link *l = ac->data;
	const redisReply *copies = reply;

	count_reply(l);
	confirmed(arg, copies && copies->type == REDIS_REPLY_INTEGER &&
	    copies->integer >= strtoll(l->redis->replicas, NULL, 10));
}

/* Runs once, before the loop writes what the scripts have queued. */
static void
on_confirm(uv_prepare_t *prepare)
{
	struct redis *r = prepare->data;
	struct redis_arg args[] = { RA("WAIT"), RA(r->replicas), RA(CONFIRM_MS) };
	struct confirmation *group = calloc(1, sizeof(*group));

	uv_prepare_stop(prepare);
	if (r->unconfirmed == NULL || group == NULL || !transmit(r, args, 3, on_waited, group)) {
		free(group);
		if (r->unconfirmed && r->commands.ac)
			link_failed(&r->commands, "out of memory");	/* the scripts' callbacks end their calls */
		return;
	}
	group->calls = r->unconfirmed;
	r->unconfirmed = NULL;
	for (struct call *c = group->calls; c; c = c->next)
		c->sent = true;
}

/* Waits for what has been sent; HL_STORE too if the replicas do not have what it did. */
static enum hl_err
await_confirmed(struct redis *r, struct call *call, const struct redis_reply **ret)
{
	enum hl_err err;

	call->next = r->unconfirmed;
	r->unconfirmed = call;
	uv_prepare_start(&r->confirm, on_confirm);
	while (!call->done)
		task_wait_always();
	*ret = (const struct redis_reply *)call->reply;
	err = reply_error(r, call->reply);
	if (err == HL_OK && call->unconfirmed) {
		note_problem(r, r->commands.up ? REDIS_UNCONFIRMED : REDIS_AWAY, "too few replicas have confirmed in time");
		err = HL_STORE;
	}
	return err;
}

static bool
wants_confirmation(const struct redis *r, bool durable)
{
	return durable && r->replicas[0] != '0';
}

/* As redis_call(). */
static enum hl_err
call_confirmed(struct redis *r, const struct redis_arg *args, size_t nargs, const struct redis_reply **ret)
{
	struct call call = { .redis = r, .task = task_self(), .began_us = clock_mono_us() };

	*ret = NULL;
	if (!transmit(r, args, nargs, on_script, &call))
		return HL_STORE;
	return await_confirmed(r, &call, ret);
}

/* ---- transactions ---- */

/* What the server says of a command before EXEC: queued, or refused, and then EXEC only says that it does nothing. */
static void
on_queued(redisAsyncContext *ac, void *reply, void *arg)
{
	struct link *l = ac->data;
	struct call *c = arg;
	const redisReply *said = reply;

	count_reply(l);
	c->queued--;
	if (said && said->type == REDIS_REPLY_ERROR && c->refused == HL_OK)
		c->refused = reply_error(c->redis, said);
	check_deposed(l, said);
	if (c->abandoned && c->queued == 0)
		task_wake(c->task);
}

/* Half a transaction must not swallow other tasks' commands. */
static enum hl_err
abandon(struct redis *r, struct call *c)
{
	if (c->queued && r->commands.ac)
		link_failed(&r->commands, "out of memory");
	c->abandoned = true;
	while (c->queued)	/* inside one of its callbacks hiredis ends a connection later */
		task_wait_always();
	return HL_STORE;
}

static enum hl_err
carried_out(struct redis *r, const struct redis_reply *replies)
{
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < redis_length(replies) && err == HL_OK; i++)
		err = reply_error(r, (const redisReply *)redis_at(replies, i));
	return err;
}

enum hl_err
redis_together(struct redis *r, const struct redis_command *commands, size_t count, bool durable,
    const struct redis_reply **ret)
{
	static const struct redis_arg first = { "MULTI", 5 }, exec = { "EXEC", 4 };
	const struct redis_command multi = { &first, 1 };
	struct call call = { .redis = r, .task = task_self(), .began_us = clock_mono_us() };
	bool confirm = wants_confirmation(r, durable);
	enum hl_err err;

	*ret = NULL;
	for (size_t i = 0; i < count + 1; i++) {
		const struct redis_command *c = i ? &commands[i - 1] : &multi;

		if (!transmit(r, c->args, c->count, on_queued, &call))
			return abandon(r, &call);
		call.queued++;
	}
	if (!transmit(r, &exec, 1, confirm ? on_script : on_reply, &call))
		return abandon(r, &call);
	if (confirm)
		err = await_confirmed(r, &call, ret);
	else {
		while (!call.done)
			task_wait_always();
		*ret = (const struct redis_reply *)call.reply;
		err = reply_error(r, call.reply);
	}
	if (call.refused)
		return call.refused;
	return err ? err : carried_out(r, *ret);
}

/* ---- time ---- */

#define TIME_KEPT_MS	1000

enum hl_err
redis_time(struct redis *r, int64_t *ret_ms)
{
	struct redis_arg args[] = { RA("TIME") };
	const struct redis_reply *reply;
	int64_t now = clock_mono_ms();
	enum hl_err err;

	if (r->time_life != r->commands.life || now - r->time_asked_mono_ms > TIME_KEPT_MS) {
		err = redis_call(r, args, 1, &reply);
		if (err)
			return err;
		r->time_asked_mono_ms = now = clock_mono_ms();
		r->time_life = r->commands.life;
		r->time_ahead_ms = redis_int(redis_at(reply, 0)) * 1000 + redis_int(redis_at(reply, 1)) / 1000 - now;
	}
	*ret_ms = now + r->time_ahead_ms;
	return HL_OK;
}

/* ---- scripts ---- */

void
redis_send(struct redis *r, const struct redis_arg *args, size_t nargs)
{
	(void)transmit(r, args, nargs, on_reply, NULL);	/* what it is used for may be lost */
}

static enum hl_err
load_script(struct redis *r, struct redis_script *script)
{
	struct redis_arg args[] = { RA("SCRIPT"), RA("LOAD"), RA(script->text) };
	const struct redis_reply *reply;
	const char *sha;
	size_t len;
	enum hl_err err = redis_call(r, args, 3, &reply);

	if (err)
		return err;
	sha = redis_str(reply, &len);
	if (sha == NULL || len >= sizeof(script->sha))
		return HL_INTERNAL;
	memcpy(script->sha, sha, len + 1);
	return HL_OK;
}

static bool
script_unknown(const struct redis_reply *reply)
{
	const redisReply *r = (const redisReply *)reply;

	return r && r->type == REDIS_REPLY_ERROR && strncmp(r->str, "NOSCRIPT", 8) == 0;
}

/* all: of EVALSHA, but the name. */
static enum hl_err
run_script(struct redis *r, struct redis_script *script, struct redis_arg *all, size_t count, const struct redis_reply **ret)
{
	enum hl_err err = HL_OK;

	for (int attempt = 0; attempt < 2; attempt++) {
		if (script->sha[0] == '\0')
			err = load_script(r, script);
		if (err)
			return err;
		all[1] = RA(script->sha);
		err = wants_confirmation(r, script->durable) ? call_confirmed(r, all, count, ret) : redis_call(r, all, count, ret);
		if (!script_unknown(*ret))
			return err;
		script->sha[0] = '\0';	/* the server has been restarted */
		err = HL_OK;
	}
	return HL_STORE;
}

enum hl_err
redis_script(struct redis *r, struct redis_script *script, const struct redis_arg *keys, size_t nkeys,
    const struct redis_arg *args, size_t nargs, const struct redis_reply **ret)
{
	struct redis_arg few[FEW_ARGS], *all = few;
	char number[STR_INT_MAX];
	size_t count = 3 + nkeys + nargs;
	enum hl_err err;

	*ret = NULL;
	if (count > REDIS_ARGS_MAX)
		return HL_INTERNAL;
	if (count > FEW_ARGS && (all = calloc(count, sizeof(*all))) == NULL)
		return HL_NO_MEMORY;
	(void)str_int(number, (int64_t)nkeys);
	all[0] = RA("EVALSHA");
	all[2] = RA(number);
	for (size_t i = 0; i < nkeys; i++)
		all[3 + i] = keys[i];
	for (size_t i = 0; i < nargs; i++)
		all[3 + nkeys + i] = args[i];
	err = run_script(r, script, all, count, ret);
	if (all != few)
		free(all);
	return err;
}

/* ---- replies ---- */

static const redisReply *
inner(const struct redis_reply *r)
{
	return (const redisReply *)r;
}

enum redis_type
redis_type(const struct redis_reply *reply)
{
	const redisReply *r = inner(reply);

	if (r == NULL)
		return REDIS_NIL;
	switch (r->type) {
	case REDIS_REPLY_INTEGER:
		return REDIS_INT;
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		return REDIS_STR;
	case REDIS_REPLY_ARRAY:
		return REDIS_LIST;
	default:
		return REDIS_NIL;
	}
}

int64_t
redis_int(const struct redis_reply *reply)
{
	if (redis_type(reply) == REDIS_INT)
		return inner(reply)->integer;
	if (redis_type(reply) == REDIS_STR)
		return strtoll(inner(reply)->str, NULL, 10);
	return 0;
}

const char *
redis_str(const struct redis_reply *reply, size_t *len)
{
	if (redis_type(reply) != REDIS_STR)
		return NULL;
	if (len)
		*len = (size_t)inner(reply)->len;
	return inner(reply)->str;
}

size_t
redis_length(const struct redis_reply *reply)
{
	return redis_type(reply) == REDIS_LIST ? inner(reply)->elements : 0;
}

const struct redis_reply *
redis_at(const struct redis_reply *reply, size_t i)
{
	return i < redis_length(reply) ? (const struct redis_reply *)inner(reply)->element[i] : NULL;
}

/* ---- the end ---- */

static void
on_handle_closed(uv_handle_t *handle)
{
	struct redis *r = handle->data;

	if (--r->open_handles > 0)
		return;
	subs_free(r);
	links_free(r);
	buf_free(&r->command);
	free(r);
}

void
redis_close(struct redis *r)
{
	if (r == NULL)
		return;
	r->open_handles = 2 + 2 * LINK_HANDLES;
	link_close(&r->commands, on_handle_closed);
	link_close(&r->subscriptions, on_handle_closed);
	uv_close((uv_handle_t *)&r->watchdog, on_handle_closed);
	uv_close((uv_handle_t *)&r->confirm, on_handle_closed);
}
