/*
 * redis_test - where the server is and how to sign in, in each form in which it may be said; what is no address is refused at
 * once, and a server that refuses us is told of in words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/task.h"
#include "services/redis.h"
#include "own_redis.h"

static int port;

/* One that is free now; the server listens there from here on. */
static void
listen_on_tcp(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof(a);
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		const struct redis_reply *reply;
		char text[8];
		struct redis_arg set[] = { RA("CONFIG"), RA("SET"), RA("port"), { text, 0 } };

		assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
		close(fd);
		port = ntohs(a.sin_port);
		set[3].len = (size_t)snprintf(text, sizeof(text), "%d", port);
		if (redis_call(own_store.redis, set, 4, &reply) == HL_OK)
			break;
	}
	own_redis("ACL SETUSER teller on >pass:w@rd ~* &* +@all");
}

static int
set_up(void **state)
{
	int failed = own_redis_set_up(state);

	if (!failed)
		own_redis_run(listen_on_tcp, NULL);
	return failed;
}

/* ---- hands ---- */

/* Connects as these settings say, waits until that is decided, and says who and where it is. */
struct attempt { struct conf conf; const char *problem, *reason; bool up; char who[64], db[64]; };

static const char *
call(struct redis *r, const char *a, const char *b, const char *c)
{
	const struct redis_arg args[] = { RA(a), RA(b), RA(c ? c : "") };
	const struct redis_reply *reply;

	assert_int_equal(redis_call(r, args, c ? 3 : 2, &reply), HL_OK);
	return redis_str(reply, NULL);
}

static void
connect_as(void *arg)
{
	const struct redis_arg ping[] = { RA("PING") };
	const struct redis_reply *reply;
	struct attempt *t = arg;
	struct redis *r;
	const char *text;

	assert_int_equal(redis_open(uv_default_loop(), &t->conf, &r), HL_OK);
	for (int i = 0; i < 2000 && !redis_connected(r) && strcmp(redis_problem(r), "not connected yet") == 0; i++)
		assert_int_equal(task_sleep(5), HL_OK);
	t->up = redis_connected(r) && redis_call(r, ping, 1, &reply) == HL_OK;	/* a refused sign-in is the first reply */
	if (t->up) {
		text = call(r, "ACL", "WHOAMI", NULL);
		snprintf(t->who, sizeof(t->who), "%s", text);
		text = strstr(call(r, "CLIENT", "INFO", NULL), " db=");
		snprintf(t->db, sizeof(t->db), "%.*s", text ? (int)strcspn(text + 1, " ") : 0, text ? text + 1 : "");
	} else {
		t->problem = strdup(redis_problem(r));
		t->reason = redis_reason(r);
	}
	redis_close(r);
}

static struct attempt
attempt(const char *url, const char *password)
{
	struct attempt t = { .conf = *own_store.conf };

	t.conf.redis_url = url;
	t.conf.redis_password = password;
	if (*url == '\0') {
		t.conf.redis_socket = "";
		t.conf.redis_host = "127.0.0.1";
		t.conf.redis_port = port;
	}
	own_redis_run(connect_as, &t);
	return t;
}

static void
expect_up(const char *url, const char *who, const char *db)
{
	struct attempt t = attempt(url, "");

	if (!t.up)
		fail_msg("%s: %s", url, t.problem);
	assert_string_equal(t.who, who);
	assert_string_equal(t.db, db);
}

/* ---- the tests ---- */

static void
a_server_is_found_by_each_form_of_its_address(void **state)
{
	char url[160];

	(void)state;
	snprintf(url, sizeof(url), "unix://%s/redis.sock", own_redis_directory());
	expect_up(url, "default", "db=0");
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d", port);
	expect_up(url, "default", "db=0");
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d/3", port);
	expect_up(url, "default", "db=3");
	snprintf(url, sizeof(url), "redis://teller:pass%%3Aw%%40rd@127.0.0.1:%d/2", port);
	expect_up(url, "teller", "db=2");
	expect_up("", "default", "db=0");		/* REDIS_HOST and REDIS_PORT */
}

static void
a_server_that_refuses_us_is_told_of(void **state)
{
	struct attempt t;
	char url[160];

	(void)state;
	snprintf(url, sizeof(url), "redis://teller:wrong@127.0.0.1:%d", port);
	t = attempt(url, "");
	assert_false(t.up);
	assert_non_null(strstr(t.problem, "WRONGPASS"));
	free((char *)(uintptr_t)t.problem);
	t = attempt("", "nobody has set one");
	assert_false(t.up);
	assert_true(*t.problem && *t.reason);
	free((char *)(uintptr_t)t.problem);
	t = attempt("unix:///nonexistent/redis.sock", "");
	assert_false(t.up);
	assert_non_null(strstr(t.problem, "No such file"));
	free((char *)(uintptr_t)t.problem);
}

/* The server is slow to say that there is no such database; the default one would take what is sent meanwhile. */
static void
ask_meanwhile(void *arg)
{
	const struct redis_arg stray[] = { RA("SET"), RA("stray"), RA("1") };
	const struct redis_reply *reply;
	struct conf *conf = arg;
	struct redis *r;

	own_redis("CLIENT PAUSE 300 ALL");
	assert_int_equal(redis_open(uv_default_loop(), conf, &r), HL_OK);
	for (int i = 0; i < 2000 && strcmp(redis_problem(r), "not connected yet") == 0; i++) {
		assert_int_not_equal(redis_call(r, stray, 3, &reply), HL_OK);
		assert_int_equal(task_sleep(1), HL_OK);
	}
	assert_non_null(strstr(redis_problem(r), "DB index"));
	redis_close(r);
	assert_int_equal(redis_int(own_redis("EXISTS stray")), 0);
}

static void
nothing_is_done_before_we_are_let_in(void **state)
{
	struct conf conf = *own_store.conf;
	char url[160];

	(void)state;
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d/99", port);
	conf.redis_url = url;
	own_redis_run(ask_meanwhile, &conf);
}

static void
what_is_no_address_is_refused(void **state)
{
	static const char *const urls[] = { "redis://", "rediss://127.0.0.1", "http://127.0.0.1", "127.0.0.1:6379", "redis://127.0.0.1:port",
		"redis://127.0.0.1:70000", "redis://127.0.0.1/zero", "redis://127.0.0.1/1x", "redis://user@127.0.0.1" };
	static const char *const sentinels[] = { "127.0.0.1", ":26379", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:1x",
		"[::1]", "[]:1", "[::1:1", "127.0.0.1:1, nowhere" };
	struct conf conf = *own_store.conf;
	struct redis *r;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		conf.redis_url = urls[i];
		if (redis_open(uv_default_loop(), &conf, &r) != HL_BAD_REQUEST)
			fail_msg("%s", urls[i]);
	}
	conf.redis_url = "";
	for (size_t i = 0; i < sizeof(sentinels) / sizeof(sentinels[0]); i++) {
		conf.redis_sentinels = sentinels[i];
		if (redis_open(uv_default_loop(), &conf, &r) != HL_BAD_REQUEST)
			fail_msg("%s", sentinels[i]);
	}
	conf.redis_sentinels = "127.0.0.1:26379,[::1]:26379 /run/sentinel.sock";
	assert_int_equal(redis_open(uv_default_loop(), &conf, &r), HL_OK);
	redis_close(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_is_found_by_each_form_of_its_address),
		cmocka_unit_test(a_server_that_refuses_us_is_told_of),
		cmocka_unit_test(nothing_is_done_before_we_are_let_in),
		cmocka_unit_test(what_is_no_address_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, own_redis_tear_down);
}
