/*
 * listen_test - the sockets that a program is started with: as systemd and spawn-fcgi give them, and what is said when they are
 * not there.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/listen.h"

/* fd becomes a socket, which listens or does not. */
static void
place_socket(int fd, bool listens)
{
	const struct sockaddr any = { .sa_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(s >= 0);
	assert_int_equal(bind(s, &any, sizeof(any.sa_family)), 0);	/* the kernel chooses an address */
	if (listens)
		assert_int_equal(listen(s, 1), 0);
	if (s != fd) {
		assert_int_equal(dup2(s, fd), fd);
		close(s);
	}
}

static void
pass(long pid, const char *count)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", pid);
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDS", count, 1);
}

static void
assert_problem(size_t want, const char *words)
{
	struct buf problem = BUF_INIT(512);
	int fds[2];

	assert_int_equal(listen_take(want, fds, &problem), HL_BAD_REQUEST);
	assert_non_null(strstr(problem.data, words));
	buf_free(&problem);
}

static void
those_that_are_passed_are_taken_and_closed_on_exec(void **state)
{
	struct buf problem = BUF_INIT(512);
	int fds[2];

	(void)state;
	place_socket(LISTEN_FIRST, true);
	place_socket(LISTEN_FIRST + 1, true);
	pass((long)getpid(), "2");
	assert_int_equal(listen_take(2, fds, &problem), HL_OK);
	assert_int_equal(fds[0], LISTEN_FIRST);
	assert_int_equal(fds[1], LISTEN_FIRST + 1);
	assert_int_equal(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
	assert_int_equal(problem.len, 0);
	assert_problem(1, "It got 2");
	place_socket(LISTEN_FIRST + 1, false);
	assert_problem(2, "Descriptor 4 is not a listening socket");
}

static void
those_of_another_process_are_not_ours(void **state)
{
	(void)state;
	pass((long)getppid(), "2");
	assert_problem(2, "2 listening sockets: by systemd");
	unsetenv("LISTEN_PID");
	assert_problem(1, "spawn-fcgi on descriptor 0");
}

static void
one_may_be_descriptor_0(void **state)
{
	struct buf problem = BUF_INIT(512);
	int fd = -1;

	(void)state;
	unsetenv("LISTEN_PID");
	place_socket(STDIN_FILENO, true);
	assert_int_equal(listen_take(1, &fd, &problem), HL_OK);
	assert_int_equal(fd, STDIN_FILENO);
	assert_problem(2, "It got 0");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_that_are_passed_are_taken_and_closed_on_exec),
		cmocka_unit_test(those_of_another_process_are_not_ours),
		cmocka_unit_test(one_may_be_descriptor_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
