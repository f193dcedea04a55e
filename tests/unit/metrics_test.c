/* Boards, the file that processes share, what is written of them; traces and lines for the journal. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/metrics_text.h"
#include "base/trace.h"
#include "services/metrics_file.h"

static char path[64];

static int
new_path(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/helpline-metrics-%d", (int)getpid());
	unlink(path);
	return 0;
}

static int
remove_path(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

/* As a process that has just been started: what its parent has mapped is not its own. */
static void
begin_anew(void)
{
	static struct metrics fresh;

	fresh = (struct metrics){ 0 };
	metrics_own = &fresh;
}

static const char *const routes[] = { "GET /a", "POST /b/:id" };

/*
 * Another process: counts turns, and then ends with or without a goodbye, or (how 'w') says so and waits to be killed.
 * Returns its id, when it has counted.
 */
static pid_t
counting(const char *program, size_t route_count, int turns, char how)
{
	int pipes[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		struct buf problem = BUF_INIT(4400);
		uv_loop_t loop;
		struct metrics_file *f;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		begin_anew();
		uv_loop_init(&loop);
		metrics_count(M_TURN_ANSWERED, 1);	/* before there is a file */
		f = metrics_file_open(&loop, path, program, routes, route_count, &problem);
		metrics_count(M_TURN_ANSWERED, turns - 1);
		metrics_set(M_TURNS_NOW, 7);
		metrics_request(2, 200, 1500);
		if (how == 'g') {
			metrics_file_close(f);
			uv_run(&loop, UV_RUN_DEFAULT);
		}
		(void)!write(pipes[1], f ? "y" : "n", 1);
		while (how == 'w')
			pause();
		_exit(0);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	close(pipes[0]);
	close(pipes[1]);
	if (how != 'w')
		waitpid(pid, NULL, 0);
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* What somebody reads who has come later. */
static struct buf
read_all(size_t *places)
{
	struct buf text = BUF_INIT(METRICS_TEXT_MAX), problem = BUF_INIT(4400);
	struct metrics_file *f;
	struct metrics *boards;
	uv_loop_t loop;
	bool *alive;

	begin_anew();
	uv_loop_init(&loop);
	f = metrics_file_open(&loop, path, "reader", NULL, 0, &problem);
	assert_non_null(f);
	*places = metrics_file_read(f, &boards, &alive);
	metrics_write(&text, boards, alive, *places, 0);
	free(boards);
	free(alive);
	metrics_file_close(f);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	assert_int_equal(buf_err(&text), HL_OK);
	return text;
}

#define assert_says(text, line)	do { if (strstr((text).data, "\n" line "\n") == NULL) fail_msg("no %s in\n%s", line, (text).data); } while (0)

static void
a_dead_process_leaves_its_place_to_the_next_one(void **state)
{
	size_t places;
	struct buf text;

	(void)state;
	counting("chat", 2, 5, 'g');
	counting("chat", 2, 6, 'k');
	counting("chat", 2, 7, 'k');
	text = read_all(&places);
	assert_int_equal(places, 2);
	assert_says(text, "helpline_turns_total{outcome=\"answered\"} 18");
	assert_says(text, "helpline_process_starts_total{program=\"chat\"} 3");
	assert_says(text, "helpline_process_crashes_total{program=\"chat\"} 1");
	assert_says(text, "helpline_processes{program=\"chat\"} 0");
	assert_says(text, "helpline_turns_in_flight 0");
	assert_says(text, "helpline_http_requests_total{program=\"chat\",method=\"POST\",route=\"/b/:id\",status=\"200\"} 3");
	assert_says(text, "helpline_http_request_duration_seconds_bucket{program=\"chat\",method=\"POST\",route=\"/b/:id\",le=\"0.001\"} 0");
	assert_says(text, "helpline_http_request_duration_seconds_bucket{program=\"chat\",method=\"POST\",route=\"/b/:id\",le=\"0.0025\"} 3");
	assert_says(text, "helpline_http_request_duration_seconds_sum{program=\"chat\",method=\"POST\",route=\"/b/:id\"} 0.004500");
	buf_free(&text);
}

static void
two_that_live_have_two_places(void **state)
{
	size_t places;
	struct buf text;
	pid_t one, two;

	(void)state;
	one = counting("chat", 2, 5, 'w');
	two = counting("chat", 2, 6, 'w');
	text = read_all(&places);
	assert_int_equal(places, 3);
	assert_says(text, "helpline_turns_total{outcome=\"answered\"} 11");
	assert_says(text, "helpline_turns_in_flight 14");
	assert_says(text, "helpline_processes{program=\"chat\"} 2");
	buf_free(&text);
	end(one);
	counting("chat", 1, 3, 'k');		/* other routes: a place of its own */
	text = read_all(&places);
	assert_int_equal(places, 5);		/* two were read with, and each has its own as long as this process lives */
	assert_says(text, "helpline_turns_total{outcome=\"answered\"} 14");
	assert_says(text, "helpline_turns_in_flight 7");
	buf_free(&text);
	end(two);
}

static void
when_all_places_were_used_the_dead_make_room(void **state)
{
	char program[METRICS_PROGRAM_MAX];
	size_t places;
	struct buf text;

	(void)state;
	for (unsigned i = 0; i < METRICS_PLACES + 3; i++) {
		snprintf(program, sizeof(program), "p%u", i);
		counting(program, 0, 2, 'g');
	}
	text = read_all(&places);
	assert_int_equal(places, METRICS_PLACES);
	buf_free(&text);
}

static void
a_file_of_another_kind_is_replaced(void **state)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	size_t places;
	struct buf text;

	(void)state;
	assert_int_equal(write(fd, "something else", 14), 14);
	close(fd);
	text = read_all(&places);
	assert_int_equal(places, 1);
	buf_free(&text);
}

static void
without_a_file_it_counts_for_itself(void **state)
{
	struct buf problem = BUF_INIT(4400);

	(void)state;
	assert_null(metrics_file_open(NULL, "/nowhere/metrics", "chat", routes, 2, &problem));
	assert_string_equal(problem.data, "/nowhere/metrics: No such file or directory");
	buf_free(&problem);
	metrics_count(M_TURN_ANSWERED, 3);
	assert_int_equal(metrics_own->counters[M_TURN_ANSWERED], 3);
	assert_string_equal(metrics_own->program, "chat");
	metrics_file_close(NULL);
}

/* ---- traces ---- */

static void
a_trace_goes_on_as_a_child(void **state)
{
	static const char header[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
	char a[TRACE_PARENT_LEN + 1], b[TRACE_PARENT_LEN + 1];
	struct trace t;

	(void)state;
	assert_true(trace_begin(&t, header, "r1"));
	trace_child(&t, a);
	trace_child(&t, b);
	assert_memory_equal(a, header, 36);
	assert_memory_equal(b, header, 36);
	assert_string_not_equal(a, b);
	assert_memory_not_equal(a + 36, header + 36, 16);
	assert_string_equal(a + 52, "-01");		/* of the flags, that of sampling alone */
	assert_false(trace_begin(&t, NULL, "r2"));
	trace_child(&t, a);
	assert_memory_equal(a + 3, trace_id(&t), TRACE_ID_LEN);
	assert_string_equal(a + 52, "-00");
}

static void
headers_that_are_none_do_not_count(void **state)
{
	static const char *const wrong[] = { "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
		"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" };
	struct trace t;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (trace_begin(&t, wrong[i], ""))
			fail_msg("%s was taken", wrong[i]);
	assert_true(trace_begin(&t, "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", ""));
}

/* ---- lines ---- */

/* What a process writes to a file that is its standard error, and which is the journal's stream or not. */
static void
logged(bool journal, char *ret, size_t size)
{
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n;
	pid_t pid = fork();

	if (pid == 0) {
		struct trace t;
		struct stat st;
		char stream[64];

		dup2(fd, STDERR_FILENO);
		fstat(fd, &st);
		snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino + !journal);
		setenv("JOURNAL_STREAM", stream, 1);
		log_init("chat", LOG_LEVEL_DEBUG);
		(void)trace_begin(&t, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "r1");
		(void)trace_switch(&t);
		log_line(LOG_LEVEL_ERROR, "one", "a", "b", NULL);
		log_line(LOG_LEVEL_DEBUG, "two", "request_id", "r2", NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	n = pread(fd, ret, size - 1, 0);
	assert_true(n > 0);
	ret[n] = '\0';
	close(fd);
}

static void
the_journal_is_told_priorities(void **state)
{
	char text[1024];

	(void)state;
	logged(true, text, sizeof(text));
	assert_string_equal(text, "<3>level=error program=chat event=one a=b request_id=r1 trace=4bf92f3577b34da6a3ce929d0e0e4736\n"
	    "<7>level=debug program=chat event=two request_id=r2 trace=4bf92f3577b34da6a3ce929d0e0e4736\n");
	logged(false, text, sizeof(text));
	assert_null(strchr(text, '<'));
	assert_non_null(strstr(text, "Z level=error program=chat event=one a=b request_id=r1 trace="));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_dead_process_leaves_its_place_to_the_next_one, new_path, remove_path),
		cmocka_unit_test_setup_teardown(two_that_live_have_two_places, new_path, remove_path),
		cmocka_unit_test_setup_teardown(when_all_places_were_used_the_dead_make_room, new_path, remove_path),
		cmocka_unit_test_setup_teardown(a_file_of_another_kind_is_replaced, new_path, remove_path),
		cmocka_unit_test(without_a_file_it_counts_for_itself),
		cmocka_unit_test(a_trace_goes_on_as_a_child),
		cmocka_unit_test(headers_that_are_none_do_not_count),
		cmocka_unit_test_setup_teardown(the_journal_is_told_priorities, new_path, remove_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
