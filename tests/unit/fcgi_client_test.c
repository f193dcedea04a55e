/*
 * fcgi_client_test - asking a FastCGI program from tasks: one on the same loop that does everything wrong.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <fastcgi.h>

#include "fcgi_ends.h"
#include "loop/task.h"
#include "services/fcgi.h"

static void
expect(enum hl_err want, const char *want_body)
{
	struct asking a = asking_of(NULL);

	ask(&a);
	if (a.err != want)
		fail_msg("%s instead of %s", err_code(a.err), err_code(want));
	assert_int_equal(a.status, want == HL_OK ? 200 : 0);
	if (want == HL_OK)
		assert_string_equal(a.answer.data, want_body);
	buf_free(&a.answer);
}

static bool
was_asked(void)
{
	return asked > 0;
}

static bool
was_reached(void)
{
	return accepted > 0;
}

static bool
all_hung_up(void)
{
	return open_now == 0;
}

/* ---- connections that end ---- */

static void
a_kept_connection_that_ends_while_idle_is_noticed(void **state)
{
	(void)state;
	expect(HL_OK, "1.1");
	expect(HL_OK, "1.2");
	hang_up(last_peer);
	turn_until(all_hung_up);
	uv_run(&loop, UV_RUN_NOWAIT);
	uv_run(&loop, UV_RUN_NOWAIT);
	expect(HL_OK, "2.1");
	assert_int_equal(asked, 3);
}

static void
die_when_asked_again(struct peer *p)
{
	if (p->asked > 1)
		hang_up(p);
	else
		answer_well(p);
}

static void
a_kept_connection_that_dies_when_asked_is_replaced(void **state)
{
	(void)state;
	on_asked = die_when_asked_again;
	expect(HL_OK, "1.1");
	expect(HL_OK, "2.1");
	assert_int_equal(asked, 3);
}

static void
live_once(struct peer *p)
{
	if (asked > 1)
		hang_up(p);
	else
		answer_well(p);
}

static void
a_new_connection_is_not_replaced(void **state)
{
	(void)state;
	on_asked = live_once;
	expect(HL_OK, "1.1");
	expect(HL_UPSTREAM, NULL);
	assert_int_equal(asked, 3);
	assert_int_equal(accepted, 2);
	expect(HL_UPSTREAM, NULL);
	assert_int_equal(asked, 4);
}

static void
no_program_is_asked_more_than_twice(void **state)
{
	struct asking a[3] = { asking_of(NULL), asking_of(NULL), asking_of(NULL) };

	(void)state;
	for (int i = 0; i < 3; i++)
		begin(&a[i]);
	turn_until(nobody_asks);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(a[i].err, HL_OK);
		buf_free(&a[i].answer);
	}
	assert_int_equal(accepted, 3);
	on_asked = hang_up;
	expect(HL_UPSTREAM, NULL);	/* what one process died of is not given to each of the others */
	assert_int_equal(asked, 3 + 2);
}

static void
answer_half(struct peer *p)
{
	say_text(p, "Status: 200 OK\r\n\r\nhel");
	hang_up(p);
}

static void
answer_half_of_a_record(struct peer *p)
{
	say(p, "\1\6\0", 3);
	hang_up(p);
}

static void
who_is_cut_off_is_not_asked_again(void **state)
{
	(void)state;
	expect(HL_OK, "1.1");
	on_asked = answer_half;
	expect(HL_UPSTREAM, NULL);
	assert_int_equal(asked, 2);
	expect(HL_UPSTREAM, NULL);
	assert_int_equal(asked, 3);
	on_asked = answer_well;
	expect(HL_OK, "3.1");
	on_asked = answer_half_of_a_record;
	expect(HL_UPSTREAM, NULL);
	assert_int_equal(asked, 5);
}

static void
answer_twice(struct peer *p)
{
	answer_well(p);
	say_text(p, "Status: 200 OK\r\n\r\nfor nobody");
	say_end(p);
}

static void
what_follows_an_answer_is_not_the_next_one(void **state)
{
	(void)state;
	on_asked = answer_twice;
	expect(HL_UPSTREAM, NULL);
	turn_until(all_hung_up);
	on_asked = answer_well;
	expect(HL_OK, "2.1");
}

/* ---- programs that are none ---- */

static struct { const char *bytes; size_t len; } told;

static void
answer_told(struct peer *p)
{
	say(p, told.bytes, told.len);
}

#define BYTES(text)	{ text, sizeof(text) - 1 }

static void
what_is_no_answer_is_refused(void **state)
{
	static const struct { const char *bytes; size_t len; } none[] = {
		BYTES("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
		BYTES("\0\0\0\0\0\0\0\0"),
		BYTES("\2\6\0\1\0\0\0\0"),			/* version */
		BYTES("\1\6\0\2\0\0\0\0"),			/* id */
		BYTES("\1\5\0\1\0\0\0\0"),			/* STDIN */
		BYTES("\1\3\0\1\0\10\0\0\0\0\0\0\2\0\0\0"),	/* overloaded */
		BYTES("\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0"),	/* nothing answered */
		BYTES("\1\6\0\1\0\2\0\0hi\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0"),	/* no head */
	};

	(void)state;
	on_asked = answer_told;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		told.bytes = none[i].bytes;
		told.len = none[i].len;
		expect(HL_UPSTREAM, NULL);
		assert_int_equal(asked, i + 1);
	}
}

static void
answer_in_pieces(struct peer *p)
{
	say_record(p, FCGI_STDERR, "a warning", 9);
	say_text(p, "Status: 200 OK\r");
	say_text(p, "\n\r\nhel");
	say_record(p, FCGI_STDERR, "another", 7);
	say_text(p, "lo");
	say_text(p, "");
	say_end(p);
}

static void
what_a_program_complains_of_is_no_part_of_its_answer(void **state)
{
	(void)state;
	on_asked = answer_in_pieces;
	expect(HL_OK, "hello");
	expect(HL_OK, "hello");
	assert_int_equal(accepted, 1);
}

static void
nobody_there_is_told_at_once(void **state)
{
	static char too_long[200];
	const char *other_path = in_dir("other"), *const paths[] = { other_path, too_long };

	(void)state;
	memset(too_long, 'x', sizeof(too_long) - 1);
	unlink(other_path);
	for (int i = 0; i < 2; i++) {
		ask_at(paths[i]);
		expect(HL_UPSTREAM, NULL);
	}
	close(listening(other_path, 1));	/* a socket's file that nobody listens at */
	ask_at(other_path);
	expect(HL_UPSTREAM, NULL);
}

static void
a_full_queue_is_told_at_once(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *other_path = in_dir("other");
	int listener = listening(other_path, 0), waiting[8], n = 0;

	(void)state;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", other_path);
	do {
		assert_in_range(n, 0, 7);
		waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	} while (connect(waiting[n++], (struct sockaddr *)&a, sizeof(a)) == 0);
	assert_int_equal(errno, EAGAIN);
	ask_at(other_path);
	expect(HL_UPSTREAM, NULL);
	while (n > 0)
		close(waiting[--n]);
	close(listener);
}

/* ---- limits, time, cancellation ---- */

static void
what_is_too_large_is_refused(void **state)
{
	struct asking a = asking_of(NULL);
	char *body = pattern(FCGI_MAX_BODY + 1);

	(void)state;
	a.q.body = body;
	a.q.body_len = FCGI_MAX_BODY + 1;
	ask(&a);
	assert_int_equal(a.err, HL_TOO_LARGE);
	assert_int_equal(accepted, 0);
	a = asking_of(NULL);
	a.answer.max = 20;		/* 18 of them are the head */
	on_asked = answer_in_pieces;
	ask(&a);
	assert_int_equal(a.err, HL_TOO_LARGE);
	assert_int_equal(a.status, 0);
	turn_until(all_hung_up);	/* the rest of it must not be the next one's */
	assert_int_equal(asked, 1);
	buf_free(&a.answer);
	free(body);
}

static void
stay_silent(struct peer *p)
{
	(void)p;
}

static void
do_not_read(struct peer *p)
{
	uv_unref((uv_handle_t *)&p->pipe);
}

static void
silence_is_cut_short(void **state)
{
	struct asking a = asking_of(NULL);

	(void)state;
	on_asked = stay_silent;
	a.q.total_ms = 30;
	ask(&a);
	assert_int_equal(a.err, HL_TIMEOUT);
	assert_int_equal(asked, 1);
	turn_until(all_hung_up);
	on_asked = answer_well;
	expect(HL_OK, "2.1");
	buf_free(&a.answer);
}

/* Its body is more than a socket takes. */
static struct asking
asking_much(char **ret_body)
{
	struct asking a = asking_of(NULL);

	a.q.body = *ret_body = pattern(FCGI_MAX_BODY);
	a.q.body_len = FCGI_MAX_BODY;
	return a;
}

static void
who_does_not_read_is_not_waited_for(void **state)
{
	char *body;
	struct asking a = asking_much(&body);

	(void)state;
	on_accepted = do_not_read;
	a.q.total_ms = 30;
	ask(&a);
	assert_int_equal(a.err, HL_TIMEOUT);
	hang_up(last_peer);
	buf_free(&a.answer);
	free(body);
}

static uv_timer_t later;
static struct peer *later_peer;

static void
hang_up_now(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
	hang_up(later_peer);
}

static void
answer_now(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
	if (!nobody_asks())
		answer_well(later_peer);
}

/* The first is answered at once, the second with a hang-up after a while, the third with an answer after a longer one. */
static void
dawdle(struct peer *p)
{
	if (asked == 1) {
		answer_well(p);
		return;
	}
	later_peer = p;
	uv_timer_init(&loop, &later);
	uv_timer_start(&later, asked == 2 ? hang_up_now : answer_now, asked == 2 ? 200 : 300, 0);
}

static void
asking_again_takes_no_time_of_its_own(void **state)
{
	struct asking a = asking_of(NULL);

	(void)state;
	on_asked = dawdle;
	expect(HL_OK, "1.1");
	a.q.total_ms = 400;
	ask(&a);
	assert_int_equal(a.err, HL_TIMEOUT);
	buf_free(&a.answer);
	if (asked == 3 && !uv_is_closing((uv_handle_t *)&later))
		uv_close((uv_handle_t *)&later, NULL);
}

static void
cancel_while_waiting(struct asking *a)
{
	assert_false(a->over);
	task_cancel(a->task);
	assert_true(a->over);
	assert_int_equal(a->err, HL_CANCELLED);
	buf_free(&a->answer);
}

static void
who_is_cancelled_hangs_up(void **state)
{
	struct asking a = asking_of(NULL);

	(void)state;
	on_asked = stay_silent;
	begin(&a);
	turn_until(was_asked);
	cancel_while_waiting(&a);
	turn_until(all_hung_up);
	on_asked = answer_well;
	expect(HL_OK, "2.1");
}

static void
who_is_cancelled_while_sending_hangs_up(void **state)
{
	char *body;
	struct asking a = asking_much(&body);

	(void)state;
	on_accepted = do_not_read;
	begin(&a);
	turn_until(was_reached);
	cancel_while_waiting(&a);
	free(body);
	assert_int_equal(open_now, 1);
	read_on(last_peer);
	turn_until(all_hung_up);
	assert_int_equal(asked, 0);
}

static void
run_cancelled(void *arg)
{
	task_cancel(task_self());
	run_asking(arg);
}

static void
who_was_cancelled_before_leaves_nothing_behind(void **state)
{
	struct asking a = asking_of(NULL);

	(void)state;
	on_asked = stay_silent;
	assert_int_equal(task_start(&loop, run_cancelled, &a), HL_OK);
	assert_true(a.over);
	assert_int_equal(a.err, HL_CANCELLED);
	turn_until(was_reached);
	turn_until(all_hung_up);
	buf_free(&a.answer);
}

/* Reads what there is, so that the client's end knows of no error but that nobody is there. */
static void
answer_before_all_is_read(struct peer *p)
{
	char bytes[65536];
	uv_os_fd_t fd;

	assert_int_equal(uv_fileno((uv_handle_t *)&p->pipe, &fd), 0);
	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	answer_well(p);
	hang_up(p);
}

static void
an_answer_before_all_is_sent_counts(void **state)
{
	char *body;
	struct asking a = asking_much(&body);

	(void)state;
	on_accepted = answer_before_all_is_read;
	ask(&a);
	assert_int_equal(a.err, HL_OK);
	assert_string_equal(a.answer.data, "1.0");
	buf_free(&a.answer);
	free(body);
}

static void
a_client_may_be_freed_while_one_asks(void **state)
{
	struct asking a = asking_of(NULL);

	(void)state;
	on_asked = stay_silent;
	begin(&a);
	turn_until(was_asked);
	fcgi_client_free(client);
	client = NULL;
	answer_well(last_peer);
	turn_until(nobody_asks);
	assert_int_equal(a.err, HL_OK);
	assert_string_equal(a.answer.data, "1.1");
	turn_until(all_hung_up);
	buf_free(&a.answer);
}

#define EACH(test)	cmocka_unit_test_setup_teardown(test, open_ends, close_ends)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		EACH(a_kept_connection_that_ends_while_idle_is_noticed),
		EACH(a_kept_connection_that_dies_when_asked_is_replaced),
		EACH(a_new_connection_is_not_replaced),
		EACH(no_program_is_asked_more_than_twice),
		EACH(who_is_cut_off_is_not_asked_again),
		EACH(what_follows_an_answer_is_not_the_next_one),
		EACH(what_is_no_answer_is_refused),
		EACH(what_a_program_complains_of_is_no_part_of_its_answer),
		EACH(nobody_there_is_told_at_once),
		EACH(a_full_queue_is_told_at_once),
		EACH(what_is_too_large_is_refused),
		EACH(silence_is_cut_short),
		EACH(who_does_not_read_is_not_waited_for),
		EACH(asking_again_takes_no_time_of_its_own),
		EACH(who_is_cancelled_hangs_up),
		EACH(who_is_cancelled_while_sending_hangs_up),
		EACH(who_was_cancelled_before_leaves_nothing_behind),
		EACH(an_answer_before_all_is_sent_counts),
		EACH(a_client_may_be_freed_while_one_asks),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
