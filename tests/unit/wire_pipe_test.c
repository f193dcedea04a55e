/*
 * wire_pipe_test - the private connection of a live call: frames arrive whole and in order, one that is none ends it, whoever
 * does not read is not waited for, and it may be closed from inside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/wire_pipe.h"

#define MOST	100000u

struct end {
	struct wire_pipe *pipe;
	char		 types[8], last[64];
	size_t		 count, bytes;
	bool		 refuse, close, lost;
};

static uv_loop_t loop;
static uv_pipe_t listener;
static char path[64];
static struct end here, there;

static bool
on_frame(void *arg, const struct wire_frame *f)
{
	struct end *e = arg;

	e->types[e->count++] = (char)f->type;
	snprintf(e->last, sizeof(e->last), "%.*s", (int)(f->len < sizeof(e->last) ? f->len : sizeof(e->last) - 1), f->data);
	e->bytes += f->len + f->bytes_len;
	if (e->close) {
		wire_pipe_close(e->pipe);
		e->pipe = NULL;
	}
	return !e->refuse;
}

static void
on_lost(void *arg)
{
	struct end *e = arg;

	e->lost = true;
	wire_pipe_close(e->pipe);
	e->pipe = NULL;
}

static const struct wire_pipe_calls calls = { on_frame, on_lost };

static void
on_connection(uv_stream_t *stream, int status)
{
	assert_int_equal(status, 0);
	assert_int_equal(wire_pipe_accept(stream, &calls, &there, &there.pipe), HL_OK);
}

static int
open_both(void **state)
{
	(void)state;
	here = there = (struct end){ 0 };
	snprintf(path, sizeof(path), "/tmp/wire-pipe-test-%d", (int)getpid());
	unlink(path);
	return uv_loop_init(&loop) || uv_pipe_init(&loop, &listener, 0) || uv_pipe_bind(&listener, path) ||
	    uv_listen((uv_stream_t *)&listener, 1, on_connection) || wire_pipe_connect(&loop, path, &calls, &here, &here.pipe) != HL_OK;
}

static int
close_both(void **state)
{
	(void)state;
	wire_pipe_close(here.pipe);
	wire_pipe_close(there.pipe);
	uv_close((uv_handle_t *)&listener, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	unlink(path);
	return uv_loop_close(&loop);
}

static enum hl_err
say(struct end *e, enum wire_type type, const char *text)
{
	return wire_pipe_send(e->pipe, MOST, &(struct wire_frame){ .type = type, .data = text, .len = strlen(text) });
}

static void
frames_arrive_in_order(void **state)
{
	static const struct wire_frame sound = { .type = WIRE_BINARY, .data = "[1]", .len = 3, .bytes = "\0\1", .bytes_len = 2 };

	(void)state;
	assert_int_equal(say(&here, WIRE_HELLO, "key"), HL_OK);		/* not connected yet */
	assert_int_equal(say(&here, WIRE_EVENT, "[\"voice_stop\"]"), HL_OK);
	while (there.count < 2)
		uv_run(&loop, UV_RUN_ONCE);
	assert_string_equal(there.types, "HE");
	assert_string_equal(there.last, "[\"voice_stop\"]");
	assert_int_equal(wire_pipe_send(there.pipe, MOST, &sound), HL_OK);
	while (here.count < 1)
		uv_run(&loop, UV_RUN_ONCE);
	assert_string_equal(here.types, "B");
	assert_int_equal(here.bytes, 5);
}

static void
what_is_refused_ends_it(void **state)
{
	(void)state;
	there.refuse = true;
	assert_int_equal(say(&here, WIRE_BYE, "[]"), HL_OK);
	while (!here.lost)		/* by the other end's closing */
		uv_run(&loop, UV_RUN_ONCE);
	assert_true(there.lost);
	assert_int_equal(there.count, 1);
}

static void
closing_from_inside_is_the_last_that_is_heard(void **state)
{
	(void)state;
	there.close = true;
	assert_int_equal(say(&here, WIRE_EVENT, "[1]"), HL_OK);
	assert_int_equal(say(&here, WIRE_EVENT, "[2]"), HL_OK);
	while (!here.lost)
		uv_run(&loop, UV_RUN_ONCE);
	assert_false(there.lost);
	assert_int_equal(there.count, 1);
}

/* Nothing of the loop runs, so nothing is taken. */
static void
who_does_not_read_is_not_waited_for(void **state)
{
	static const char sound[MOST];
	const struct wire_frame f = { .type = WIRE_SOUND, .data = sound, .len = sizeof(sound) };

	(void)state;
	assert_int_equal(wire_pipe_send(here.pipe, MOST, &f), HL_OK);
	assert_int_equal(wire_pipe_send(here.pipe, MOST, &f), HL_BUSY);
	while (there.count < 1)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(there.bytes, sizeof(sound));
	assert_int_equal(wire_pipe_send(here.pipe, MOST, &f), HL_OK);
}

static void
a_frame_that_is_too_long_is_not_sent(void **state)
{
	static char long_one[WIRE_MAX + 1];

	(void)state;
	assert_int_equal(wire_pipe_send(here.pipe, MOST, &(struct wire_frame){ .type = WIRE_SOUND, .data = long_one,
	    .len = sizeof(long_one) }), HL_TOO_LARGE);
	assert_int_equal(say(&here, WIRE_HELLO, "key"), HL_OK);
	while (there.count < 1)
		uv_run(&loop, UV_RUN_ONCE);
	assert_string_equal(there.last, "key");
}

static void
that_nobody_is_there_is_told(void **state)
{
	struct end nobody = { 0 };
	enum hl_err err = wire_pipe_connect(&loop, "/tmp/nobody-is-there", &calls, &nobody, &nobody.pipe), said;

	(void)state;
	assert_int_equal(err, HL_OK);
	said = say(&nobody, WIRE_HELLO, "key");
	while (!nobody.lost)
		uv_run(&loop, UV_RUN_ONCE);
	assert_true(said == HL_OK || said == HL_UPSTREAM);
	assert_int_equal(nobody.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frames_arrive_in_order, open_both, close_both),
		cmocka_unit_test_setup_teardown(what_is_refused_ends_it, open_both, close_both),
		cmocka_unit_test_setup_teardown(closing_from_inside_is_the_last_that_is_heard, open_both, close_both),
		cmocka_unit_test_setup_teardown(who_does_not_read_is_not_waited_for, open_both, close_both),
		cmocka_unit_test_setup_teardown(a_frame_that_is_too_long_is_not_sent, open_both, close_both),
		cmocka_unit_test_setup_teardown(that_nobody_is_there_is_told, open_both, close_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
