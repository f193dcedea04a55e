/*
 * sent_test - what is handed to a program: a body that nginx keeps in a file, which nginx is asked for where only it may read it,
 * and the sockets that it listens on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "services/listen.h"
#include "services/sent.h"

static char dir[64], path[96], front[96];

static int
set_up(void **state)
{
	FILE *f;

	(void)state;
	strcpy(dir, "/tmp/sent_testXXXXXX");
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/body", dir);
	snprintf(front, sizeof(front), "%s/front.sock", dir);
	f = fopen(path, "w");
	if (f == NULL)
		return -1;
	fputs("the body", f);
	return fclose(f);
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(front);
	return rmdir(dir);
}

/* ---- nginx ---- */

static int
front_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", front);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(chmod(front, 0777), 0);
	return fd;
}

/* One request is answered by another process; with which status says whether it was the right one. */
static pid_t
answer_once(int fd, const char *answer)
{
	pid_t pid = fork();
	char request[4096] = "", want[160];
	size_t have = 0;
	ssize_t n;
	int conn;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	conn = accept(fd, NULL, NULL);
	while (strstr(request, "\r\n\r\n") == NULL && (n = read(conn, request + have, sizeof(request) - 1 - have)) > 0)
		have += (size_t)n;
	snprintf(want, sizeof(want), "GET /sent%s HTTP/1.1\r\n", path);
	_exit(strncmp(request, want, strlen(want)) != 0 || write(conn, answer, strlen(answer)) != (ssize_t)strlen(answer));
}

/* As somebody who may not read the file; root may, so it is another user then. */
static enum hl_err
open_as_another(size_t max, struct file_view *ret)
{
	bool root = geteuid() == 0;
	enum hl_err err;

	assert_int_equal(chmod(path, root ? 0600 : 0), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	err = sent_open(front, path, max, ret);
	if (root)
		assert_int_equal(seteuid(0), 0);
	prctl(PR_SET_DUMPABLE, 1);	/* for the leak sanitizer, which looks at us from outside */
	return err;
}

static void
a_file_that_may_be_read_is_read_and_nobody_is_asked(void **state)
{
	struct file_view view;

	(void)state;
	assert_int_equal(sent_open(front, path, 100, &view), HL_OK);
	assert_int_equal(view.len, 8);
	assert_memory_equal(view.data, "the body", 8);
	file_close(&view);
	assert_int_equal(sent_open(front, path, 7, &view), HL_TOO_LARGE);
	assert_int_equal(sent_open(front, "/nonexistent/body", 7, &view), HL_NOT_FOUND);
}

static void
nginx_is_asked_for_a_file_that_it_alone_may_read(void **state)
{
	static const struct { const char *answer; int err; } answers[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe body", HL_OK },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"
		    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789!", HL_TOO_LARGE },
		{ "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", HL_NOT_FOUND },
		{ "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope", HL_INTERNAL },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe", HL_INTERNAL },
		{ "no HTTP at all", HL_INTERNAL },
	};
	int fd = front_socket();

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		pid_t nginx = answer_once(fd, answers[i].answer);
		struct file_view view;
		int status;

		assert_int_equal(open_as_another(100, &view), answers[i].err);
		assert_int_equal(view.len, answers[i].err == HL_OK ? 8 : 0);
		assert_memory_equal(view.data, "the body", view.len);
		file_close(&view);
		assert_int_equal(waitpid(nginx, &status, 0), nginx);
		assert_int_equal(status, 0);
	}
	close(fd);
}

static void
without_nginx_it_cannot_be_read(void **state)
{
	struct file_view view;

	(void)state;
	assert_int_equal(open_as_another(100, &view), HL_INTERNAL);
	file_close(&view);
}

/* ---- sockets ---- */

/* With so many of systemd's sockets: descriptors from 3 on.  The exit status is the error. */
static int
take(size_t have, bool listening, size_t want, const char *pid_text)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un a = { .sun_family = AF_UNIX };	/* an abstract name of the kernel's choice */
		struct buf problem = BUF_INIT(1000);
		char text[24];
		int fds[8] = { 0 };
		enum hl_err err;

		for (size_t i = 0; i < have; i++) {
			int fd = socket(AF_UNIX, SOCK_STREAM, 0);

			if (bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)) != 0 || (listening && listen(fd, 1) != 0) ||
			    dup2(fd, 3 + (int)i) < 0)
				_exit(98);
		}
		snprintf(text, sizeof(text), "%d", (int)getpid());
		setenv("LISTEN_PID", *pid_text ? pid_text : text, 1);
		snprintf(text, sizeof(text), "%zu", have);
		setenv("LISTEN_FDS", text, 1);
		close(STDIN_FILENO);
		err = listen_take(want, fds, &problem);
		for (size_t i = 0; err == HL_OK && i < want; i++)
			if (fds[i] != 3 + (int)i || !(fcntl(fds[i], F_GETFD) & FD_CLOEXEC))
				_exit(97);
		if (err != HL_OK && problem.len == 0)
			_exit(96);
		buf_free(&problem);
		exit((int)err);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
sockets_of_systemd_are_taken_if_they_are_ours_and_as_many(void **state)
{
	(void)state;
	assert_int_equal(take(1, true, 1, ""), HL_OK);
	assert_int_equal(take(3, true, 3, ""), HL_OK);
	assert_int_equal(take(2, true, 3, ""), HL_BAD_REQUEST);
	assert_int_equal(take(2, true, 1, ""), HL_BAD_REQUEST);
	assert_int_equal(take(1, true, 1, "1"), HL_BAD_REQUEST);	/* another process' */
	assert_int_equal(take(1, false, 1, ""), HL_BAD_REQUEST);	/* nobody can connect to it */
	assert_int_equal(take(0, true, 1, ""), HL_BAD_REQUEST);
}

/* spawn-fcgi's way. */
static void
without_systemd_it_is_descriptor_0(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct buf problem = BUF_INIT(1000);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), was = dup(STDIN_FILENO), taken = -1;

	(void)state;
	unsetenv("LISTEN_PID");
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(listen_take(2, (int[2]){ 0 }, &problem), HL_BAD_REQUEST);
	assert_non_null(strstr(problem.data, "started with 2 listening sockets"));
	assert_int_equal(listen_take(1, &taken, &problem), HL_OK);
	assert_int_equal(taken, STDIN_FILENO);
	if (was >= 0) {
		dup2(was, STDIN_FILENO);
		close(was);
	}
	close(fd);
	buf_free(&problem);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_may_be_read_is_read_and_nobody_is_asked),
		TEST(nginx_is_asked_for_a_file_that_it_alone_may_read),
		TEST(without_nginx_it_cannot_be_read),
		TEST(sockets_of_systemd_are_taken_if_they_are_ours_and_as_many),
		TEST(without_systemd_it_is_descriptor_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
