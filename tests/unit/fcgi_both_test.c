/*
 * fcgi_both_test - our FastCGI client asks our FastCGI server, which is a process of its own because it reads a request
 * blockingly.
 */
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

#include "fcgi_ends.h"
#include "services/fcgi.h"

static char own_path[64];
static pid_t own_pid;

/* ---- the server ---- */

static void
add_body(struct buf *out, const struct fcgi_request *r)
{
	const char *large = fcgi_param(r, "LARGE"), *echo = fcgi_param(r, "ECHO"), *body;
	size_t len = large ? (size_t)atoi(large) : 0;
	char *bytes;

	if (fcgi_param(r, "WHO")) {
		buf_printf(out, "%zu", (size_t)r);	/* it lives as long as the connection */
	} else if (echo) {
		buf_puts(out, echo);
	} else if (large) {
		bytes = pattern(len);
		buf_add(out, bytes, len);
		free(bytes);
	} else {
		body = fcgi_body(r, &len);
		buf_add(out, body, len);
	}
}

static void
answer_as_asked(struct fcgi_request *r, void *arg)
{
	const char *status = fcgi_param(r, "STATUS");
	struct buf out = BUF_INIT(2 * MOST);

	(void)arg;
	if (status)
		buf_printf(&out, "Status: %s\r\n", status);
	buf_puts(&out, "Content-Type: x/y\r\n\r\n");
	add_body(&out, r);
	(void)!fcgi_write_last(r, out.data, out.len);
	buf_free(&out);
}

static _Noreturn void
serve(int listener)
{
	struct fcgi_server *server;
	uv_loop_t *own = uv_default_loop();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fcgi_serve(own, listener, answer_as_asked, NULL, &server) == HL_OK)
		uv_run(own, UV_RUN_DEFAULT);
	_exit(1);
}

static int
start(void **state)
{
	int fd;

	if (make_dir(state) != 0)
		return -1;
	snprintf(own_path, sizeof(own_path), "%s", in_dir("own"));
	fd = listening(own_path, 1024);
	own_pid = fork();
	if (own_pid == 0)
		serve(fd);
	return own_pid < 0 ? -1 : close(fd);
}

static int
stop(void **state)
{
	kill(own_pid, SIGKILL);
	waitpid(own_pid, NULL, 0);
	return remove_dir(state);
}

/* ---- the tests ---- */

static void
status_and_body_are_the_programs(void **state)
{
	const char *const params[] = { "STATUS", "418 Teapot", NULL };
	struct asking a = asking_of(params), b = asking_of(NULL);

	(void)state;
	ask_at(own_path);
	a.q.body = "hello";
	a.q.body_len = 5;
	ask(&a);
	assert_int_equal(a.err, HL_OK);
	assert_int_equal(a.status, 418);
	assert_string_equal(a.answer.data, "hello");
	ask(&b);
	assert_int_equal(b.err, HL_OK);
	assert_int_equal(b.status, 200);
	assert_int_equal(b.answer.len, 0);
	buf_free(&a.answer);
	buf_free(&b.answer);
}

static void
one_connection_serves_again(void **state)
{
	const char *const params[] = { "WHO", "", NULL };
	char first[32] = "";

	(void)state;
	ask_at(own_path);
	for (int i = 0; i < 3; i++) {
		struct asking a = asking_of(params);

		ask(&a);
		assert_int_equal(a.err, HL_OK);
		if (i == 0)
			snprintf(first, sizeof(first), "%s", a.answer.data);
		assert_string_equal(a.answer.data, first);
		buf_free(&a.answer);
	}
}

static void
large_bodies_and_answers_arrive_as_they_are(void **state)
{
	static const size_t lengths[] = { 1, 32767, 32768, 32769, 65536, 1u << 20, FCGI_MAX_BODY };
	const char *const params[] = { "LARGE", "3145728", NULL };
	struct asking large = asking_of(params);
	char *bytes = pattern(3145728);

	(void)state;
	ask_at(own_path);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct asking a = asking_of(NULL);

		a.q.body = bytes;
		a.q.body_len = lengths[i];
		ask(&a);
		assert_int_equal(a.err, HL_OK);
		assert_int_equal(a.answer.len, lengths[i]);
		assert_memory_equal(a.answer.data, bytes, lengths[i]);
		buf_free(&a.answer);
	}
	ask(&large);
	assert_int_equal(large.err, HL_OK);
	assert_int_equal(large.answer.len, 3145728);
	assert_memory_equal(large.answer.data, bytes, 3145728);
	buf_free(&large.answer);
	free(bytes);
}

static void
parameters_may_be_long_but_no_longer_than_a_record(void **state)
{
	static const size_t lengths[] = { 126, 127, 128, 129, 255, 256, 5000, 65000 };
	char *text = calloc(1, 70001);
	const char *const params[] = { "BEFORE", "x", "ECHO", text, NULL };
	struct asking a = asking_of(params);

	(void)state;
	assert_non_null(text);
	ask_at(own_path);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		memset(text, 'a' + (int)i, lengths[i]);
		ask(&a);
		assert_int_equal(a.err, HL_OK);
		assert_string_equal(a.answer.data, text);
	}
	memset(text, 'z', 70000);
	ask(&a);
	assert_int_equal(a.err, HL_TOO_LARGE);
	text[100] = '\0';
	ask(&a);
	assert_int_equal(a.err, HL_OK);
	buf_free(&a.answer);
	free(text);
}

static void
many_ask_at_once_and_each_gets_its_own(void **state)
{
	static struct asking all[200];
	static char bodies[200][5000];

	(void)state;
	ask_at(own_path);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 200; i++) {
			all[i] = asking_of(NULL);
			memset(bodies[i], 'A' + (int)(i % 50), sizeof(bodies[i]));
			snprintf(bodies[i], 20, "%zu", i);
			all[i].q.body = bodies[i];
			all[i].q.body_len = sizeof(bodies[i]);
			begin(&all[i]);
		}
		turn_until(nobody_asks);
		for (size_t i = 0; i < 200; i++) {
			assert_int_equal(all[i].err, HL_OK);
			assert_int_equal(all[i].answer.len, sizeof(bodies[i]));
			assert_memory_equal(all[i].answer.data, bodies[i], sizeof(bodies[i]));
			buf_free(&all[i].answer);
		}
	}
}

#define EACH(test)	cmocka_unit_test_setup_teardown(test, open_ends, close_ends)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		EACH(status_and_body_are_the_programs),
		EACH(one_connection_serves_again),
		EACH(large_bodies_and_answers_arrive_as_they_are),
		EACH(parameters_may_be_long_but_no_longer_than_a_record),
		EACH(many_ask_at_once_and_each_gets_its_own),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
