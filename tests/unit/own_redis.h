/*
 * own_redis.h - a Redis of a test's own, a store on it, and bodies of tests that run as tasks, since records suspend.
 */
#ifndef HL_OWN_REDIS_H
#define HL_OWN_REDIS_H

#include "records/conversation.h"

extern struct store own_store;

/* For cmocka's groups.  Settings are taken from the environment. */
int	 own_redis_set_up(void **state);
int	 own_redis_tear_down(void **state);

/* For another process of the same test: the same server and keys. */
const char *own_redis_directory(void);
int	 own_redis_join(const char *directory);

void	 own_redis_run(void (*body)(void *), void *arg);	/* as a task, until none is left */

#define TASK_TEST(name)									\
	static void name##_body(void *);						\
	static void name(void **state) { (void)state; own_redis_run(name##_body, NULL); } \
	static void name##_body(void *arg)

/* Runs a command whose words are separated by spaces; the reply is borrowed as redis_call()'s. */
const struct redis_reply *own_redis(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
