#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/task.h"
#include "own_redis.h"

#define WORDS	16

struct store own_store;

static char dir[64] = "/tmp/own_redisXXXXXX";
static pid_t server;
static struct conf conf;
static struct crypto *crypto;

static void
start_server(void)
{
	char path[80];

	server = fork();
	if (server)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* a test that crashes leaves nothing behind */
	snprintf(path, sizeof(path), "%s/redis.sock", dir);
	/* redis-tools has the server too, under another name; it goes by what it is called with. */
	execlp("redis-check-rdb", "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", dir,
	    "--logfile", "/dev/null", (char *)NULL);
	_exit(127);
}

static void
wait_connected(void *arg)
{
	bool *connected = arg;

	for (int i = 0; i < 2000 && !*connected; i++) {
		*connected = redis_connected(own_store.redis);
		if (!*connected && task_sleep(5) != HL_OK)
			break;
	}
}

static int
open_store(void)
{
	struct buf problem = BUF_INIT(1000);
	bool connected = false;
	char path[80];

	snprintf(path, sizeof(path), "%s/redis.sock", dir);
	setenv("REDIS_SOCKET", path, 1);
	if (conf_load(&conf, &problem) || crypto_make_keys(dir, &problem) || crypto_open(dir, &crypto, &problem) ||
	    redis_open(uv_default_loop(), &conf, &own_store.redis))
		return -1;
	own_store.crypto = crypto;
	own_store.conf = &conf;
	own_redis_run(wait_connected, &connected);
	return connected ? 0 : -1;
}

int
own_redis_set_up(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	start_server();
	return open_store();
}

const char *
own_redis_directory(void)
{
	return dir;
}

int
own_redis_join(const char *directory)
{
	snprintf(dir, sizeof(dir), "%s", directory);
	return open_store();
}

int
own_redis_tear_down(void **state)
{
	char command[128];

	(void)state;
	redis_close(own_store.redis);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	crypto_free(crypto);
	conf_free(&conf);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

void
own_redis_run(void (*body)(void *), void *arg)
{
	assert_int_equal(task_start(uv_default_loop(), body, arg), HL_OK);
	while (task_count())
		uv_run(uv_default_loop(), UV_RUN_ONCE);
}

const struct redis_reply *
own_redis(const char *format, ...)
{
	const struct redis_reply *reply;
	struct redis_arg args[WORDS];
	char text[512], *save, *word;
	size_t n = 0;
	va_list ap;

	va_start(ap, format);
	assert_true(vsnprintf(text, sizeof(text), format, ap) < (int)sizeof(text));
	va_end(ap);
	for (word = strtok_r(text, " ", &save); word && n < WORDS; word = strtok_r(NULL, " ", &save))
		args[n++] = RA(word);
	assert_int_equal(redis_call(own_store.redis, args, n, &reply), HL_OK);
	return reply;
}
