/*
 * redis.h - Redis commands that a task waits for, scripts, and subscriptions.  hiredis stays behind this header.
 *
 * One connection carries the commands of all tasks in a pipeline, a second one the subscriptions.  Both reconnect by
 * themselves with back-off and jitter; while the server is away every call fails at once with HL_STORE.  With
 * REDIS_SENTINELS each connection first asks them where the master is, and leaves a server that is not it any more.
 */
#ifndef HL_REDIS_H
#define HL_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/conf.h"
#include "base/error.h"

struct redis;

enum redis_type { REDIS_NIL, REDIS_INT, REDIS_STR, REDIS_LIST };

/* A reply is borrowed: it lives until the task that got it suspends again.  Copy what must live longer. */
struct redis_reply;

enum hl_err redis_open(uv_loop_t *, const struct conf *, struct redis **ret) HL_MUST_CHECK;	/* connects in the background */
void	 redis_close(struct redis *);
bool	 redis_connected(const struct redis *);
unsigned redis_life(const struct redis *);	/* how often it has connected: another number, and it may be another server */

/* One argument; bytes, not necessarily a string. */
struct redis_arg { const void *bytes; size_t len; };
#define RA(s)		((struct redis_arg){ (s), strlen(s) })
#define RAN(p, n)	((struct redis_arg){ (p), (n) })

/*
 * Sends one command and suspends until its reply (at most REDIS_TIMEOUT_MS, then the connection is given up).  Not
 * cancellable.  HL_STORE: not connected, lost, timed out, or the server refused for a reason of its own (OOM, READONLY,
 * LOADING, MISCONF, …): then the command may or may not have been carried out.  HL_INTERNAL: any other error reply.
 */
#define REDIS_TIMEOUT_MS 5000
enum hl_err redis_call(struct redis *, const struct redis_arg *args, size_t nargs, const struct redis_reply **ret) HL_MUST_CHECK;

#define REDIS_ARGS_MAX	1024	/* of a command; of a script three less, and its keys */

/*
 * A Lua script, sent by its SHA-1 and, when the server does not know it, once as text.
 *
 * durable: what it did is acknowledged to somebody.  Where replicas are configured (REDIS_REPLICAS), WAIT follows it, and
 * HL_STORE may then also mean: done, but not confirmed in time (*ret is the reply then).  Whoever asks again must get there by a write, be it an
 * idle one: WAIT is for what its own connection has written.
 */
struct redis_script { const char *text; char sha[41]; bool durable; };
enum hl_err redis_script(struct redis *, struct redis_script *, const struct redis_arg *keys, size_t nkeys,
	    const struct redis_arg *args, size_t nargs, const struct redis_reply **ret) HL_MUST_CHECK;

/*
 * Commands that are carried out together or not at all (MULTI and EXEC), at half of what a script costs the server.  ret
 * is the list of their replies.  durable and errors as above; one that fails while the others are carried out (it is for
 * another type of key) is HL_INTERNAL.
 */
struct redis_command { const struct redis_arg *args; size_t count; };
enum hl_err redis_together(struct redis *, const struct redis_command *, size_t count, bool durable,
	    const struct redis_reply **ret) HL_MUST_CHECK;

/*
 * The server's time, ms: asked for once a second and after each connection, counted on by our own monotonic clock in
 * between.  For what no script needs to be exact about; leases are.
 */
enum hl_err redis_time(struct redis *, int64_t *ret_ms) HL_MUST_CHECK;

/*
 * Sends a command whose reply is a number before the task calls for something else: both go in one write, and the number is
 * there when the other reply is.  Whoever has sent one must take it, for its place is written to.  Errors as of redis_call().
 */
struct redis_ahead { struct redis *redis; struct task *task; int64_t value; enum hl_err err; bool done; };
void	 redis_send_ahead(struct redis *, const struct redis_arg *args, size_t nargs, struct redis_ahead *);
enum hl_err redis_take(struct redis_ahead *, int64_t *ret) HL_MUST_CHECK;

/* Sends and does not wait; what comes back is dropped. */
void	 redis_send(struct redis *, const struct redis_arg *args, size_t nargs);

/* Why the last call failed with HL_STORE: in the server's words, for the log; and as a sentence for people. */
const char *redis_problem(const struct redis *);
const char *redis_reason(const struct redis *);
enum redis_state { REDIS_AWAY, REDIS_FULL, REDIS_READ_ONLY, REDIS_FEW_REPLICAS, REDIS_UNCONFIRMED, REDIS_LOADING, REDIS_DISK,
	REDIS_BUSY, REDIS_LOCKED };

enum redis_type redis_type(const struct redis_reply *);		/* REDIS_NIL for NULL */
int64_t	 redis_int(const struct redis_reply *);			/* also of a numeric string; 0 otherwise */
const char *redis_str(const struct redis_reply *, size_t *len);	/* NULL unless a string; NUL-terminated */
size_t	 redis_length(const struct redis_reply *);
const struct redis_reply *redis_at(const struct redis_reply *, size_t);

/*
 * Subscriptions.  message(arg, …) is called on the loop's stack with the payload; it must not suspend (it may start a
 * task).  ready(arg) is called each time the server has confirmed the subscription: once at first and again after
 * every reconnection, when messages may have been missed.
 */
struct redis_sub;
struct redis_sub_calls {
	void	(*message)(void *arg, const char *payload, size_t len);
	void	(*ready)(void *arg);		/* may be NULL */
};
enum hl_err redis_subscribe(struct redis *, const char *channel, const struct redis_sub_calls *, void *arg,
	    struct redis_sub **ret) HL_MUST_CHECK;
/* To all channels whose names match the pattern (PSUBSCRIBE), which no channel is called. */
enum hl_err redis_subscribe_all(struct redis *, const char *pattern, const struct redis_sub_calls *, void *arg,
	    struct redis_sub **ret) HL_MUST_CHECK;
bool	 redis_sub_ready(const struct redis_sub *);
void	 redis_unsubscribe(struct redis_sub *);		/* NULL is allowed; frees it, even inside its own callback */

#endif
