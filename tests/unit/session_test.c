/*
 * session_test - the rules of Engine.IO sessions, with a clock that the test moves and transports that only
 * write down.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "push/session.h"

struct poll { char answer[256]; int answers; enum hl_err err; };
struct websocket { char sent[512]; bool ended, full; };

static int64_t time_ms;
static struct deadlines deadlines;
static struct sessions all;
static struct session_rules rules;
static int opened, closed;
static char heard[512];

static int64_t
fake_now(void)
{
	return time_ms;
}

static void
fake_answer(struct poll *p, enum hl_err err, const char *payload, size_t len)
{
	p->answers++;
	p->err = err;
	snprintf(p->answer, sizeof(p->answer), "%.*s", (int)len, payload ? payload : "");
}

static enum hl_err
fake_send(struct websocket *ws, struct message *m)
{
	if (ws->full)
		return HL_BUSY;
	snprintf(ws->sent + strlen(ws->sent), sizeof(ws->sent) - strlen(ws->sent), "%.*s|", (int)m->len,
	    message_data(m));
	return HL_OK;
}

static void
fake_end(struct websocket *ws)
{
	ws->ended = true;
}

static enum hl_err
app_open(void *arg, struct session *s)
{
	s->user = arg;
	opened++;
	return HL_OK;
}

/* Echoes; "bad" is the client's mistake, "bye" makes the application close. */
static enum hl_err
app_message(struct session *s, const char *bytes, size_t len, bool binary)
{
	struct message *m;
	char text[64];

	snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "%.*s|", (int)len, bytes);
	if (len == 3 && memcmp(bytes, "bad", 3) == 0)
		return HL_BAD_REQUEST;
	if (len == 3 && memcmp(bytes, "bye", 3) == 0)
		session_close(s);
	snprintf(text, sizeof(text), "4%.*s", (int)len, bytes);
	m = message_new(binary ? MESSAGE_BINARY : MESSAGE_TEXT, binary ? bytes : text,
	    binary ? len : len + 1);
	session_send(s, m);
	message_unref(m);
	return HL_OK;
}

static void
app_closed(struct session *s)
{
	(void)s;
	closed++;
}

static enum hl_err
fake_part(struct websocket *ws)
{
	strcat(ws->sent, "part|");
	return ws->full ? HL_BUSY : HL_OK;
}

static bool asking;

static bool
app_idle(const struct session *s)
{
	(void)s;
	return !asking;
}

static const struct session_io io = { .now_ms = fake_now, .answer = fake_answer, .send = fake_send, .end = fake_end, .part = fake_part };
static const struct session_app app = { app_open, app_message, app_idle, app_closed };

static int
begin(void **state)
{
	(void)state;
	rules = (struct session_rules){ 300, 200, 1000, 1000000, 3, 4 };
	time_ms = 1000000;
	opened = closed = 0;
	heard[0] = '\0';
	return sessions_init(&all, &rules, &io, &app, NULL, &deadlines) == HL_OK ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	sessions_free(&all);
	deadlines_free(&deadlines);
	assert_int_equal(opened, closed);
	return 0;
}

static void
wait_ms(int64_t ms)
{
	while (ms-- > 0) {
		time_ms++;
		deadlines_run(&deadlines, time_ms);
		sessions_flush(&all);
	}
}

static struct session *
open_polling(void)
{
	struct session *s;
	struct poll p = { "", 0, HL_OK };

	assert_int_equal(session_open(&all, NULL, "192.0.2.1", &s), HL_OK);
	session_joined(s);
	session_poll(s, &p);
	assert_int_equal(p.answers, 1);
	assert_int_equal(p.answer[0], '0');
	return s;
}

static struct session *
find(const char *sid)
{
	return session_find(&all, sid, strlen(sid));
}

static void
one_turn_leaves_together(void **state)
{
	struct session *s = open_polling();
	struct poll p = { "", 0, HL_OK };

	(void)state;
	session_poll(s, &p);
	assert_int_equal(session_post(s, "4a\x1e" "4b\x1e" "bAQI=", 11), HL_OK);
	assert_int_equal(p.answers, 0);
	sessions_flush(&all);
	assert_int_equal(p.answers, 1);
	assert_string_equal(p.answer, "4a\x1e" "4b\x1e" "bAQI=");
}

static void
ping_pong_and_the_end_of_it(void **state)
{
	struct session *s = open_polling();
	struct poll p = { "", 0, HL_OK };
	char sid[SESSION_SID_LEN + 1];

	(void)state;
	strcpy(sid, s->sid);
	assert_int_equal(sid[0], '4');		/* whose it is */
	session_poll(s, &p);
	wait_ms(299);
	assert_int_equal(p.answers, 0);
	wait_ms(1);
	assert_string_equal(p.answer, "2");
	wait_ms(100);
	assert_int_equal(session_post(s, "3", 1), HL_OK);
	wait_ms(300);
	assert_int_equal(session_post(s, "3", 1), HL_OK);
	wait_ms(499);
	assert_non_null(find(sid));
	wait_ms(1);
	assert_null(find(sid));
	assert_int_equal(closed, 1);
}

static void
a_late_timer_gives_no_more_time(void **state)
{
	struct session *s = open_polling();
	char sid[SESSION_SID_LEN + 1];

	(void)state;
	strcpy(sid, s->sid);
	time_ms += 500;			/* the timer has not run */
	assert_null(find(sid));
}

static void
who_joins_nothing_is_closed(void **state)
{
	struct websocket ws = { "", false, false };
	struct session *s;

	(void)state;
	rules.ping_interval_ms = 5000;
	assert_int_equal(session_open(&all, &ws, "", &s), HL_OK);
	assert_non_null(strstr(ws.sent, "\"upgrades\":[],"));
	wait_ms(999);
	assert_false(ws.ended);
	wait_ms(1);
	assert_true(ws.ended);
}

static void
a_lost_poll_ends_the_session(void **state)
{
	struct session *s = open_polling();
	struct poll p = { "", 0, HL_OK };
	char sid[SESSION_SID_LEN + 1];

	(void)state;
	strcpy(sid, s->sid);
	session_poll(s, &p);
	session_poll_lost(s, &p);
	assert_int_equal(p.answers, 0);
	assert_null(find(sid));
}

static void
a_second_poll_ends_it_too(void **state)
{
	struct session *s = open_polling();
	struct poll first = { "", 0, HL_OK }, second = { "", 0, HL_OK };

	(void)state;
	session_poll(s, &first);
	session_poll(s, &second);
	assert_string_equal(first.answer, "1");
	assert_int_equal(second.err, HL_BAD_REQUEST);
	assert_int_equal(closed, 1);
}

static void
closing_tells_the_next_poll(void **state)
{
	struct session *s = open_polling();
	struct poll p = { "", 0, HL_OK };
	char sid[SESSION_SID_LEN + 1];

	(void)state;
	strcpy(sid, s->sid);
	assert_int_equal(session_post(s, "4x\x1e" "4bye", 7), HL_OK);
	assert_int_equal(closed, 1);
	assert_int_equal(session_post(s, "4y", 2), HL_NOT_FOUND);
	assert_ptr_equal(find(sid), s);
	session_poll(s, &p);
	assert_string_equal(p.answer, "4x\x1e" "1");
	assert_null(find(sid));
	assert_int_equal(closed, 1);
}

static void
closing_is_forgotten_when_nobody_asks(void **state)
{
	struct session *s = open_polling();
	char sid[SESSION_SID_LEN + 1];

	(void)state;
	strcpy(sid, s->sid);
	session_close(s);
	wait_ms(SESSION_LINGER_MS - 1);
	assert_non_null(find(sid));
	wait_ms(1);
	assert_null(find(sid));
}

static void
the_upgrade_takes_what_waits_along(void **state)
{
	struct session *s = open_polling();
	struct websocket ws = { "", false, false }, second = { "", false, false };
	struct poll p = { "", 0, HL_OK };

	(void)state;
	session_poll(s, &p);
	assert_int_equal(session_probe(s, &ws), HL_OK);
	assert_int_equal(session_probe(s, &second), HL_CONFLICT);
	session_frame(s, &ws, "2probe", 6, false);
	assert_string_equal(ws.sent, "3probe|");
	sessions_flush(&all);
	assert_string_equal(p.answer, "6");
	assert_int_equal(session_post(s, "4a\x1e" "4b", 5), HL_OK);
	session_frame(s, &ws, "5", 1, false);
	assert_string_equal(ws.sent, "3probe|4a|4b|");
	session_frame(s, &ws, "4c", 2, false);
	assert_string_equal(ws.sent, "3probe|4a|4b|4c|");
	assert_false(session_is_polling(s));
	assert_int_equal(session_probe(s, &second), HL_CONFLICT);
	session_ws_lost(s, &ws);
	assert_int_equal(closed, 1);
}

static void
an_upgrade_that_does_not_come_leaves_polling_alone(void **state)
{
	struct session *s;
	struct websocket ws = { "", false, false }, wrong = { "", false, false };
	struct poll p = { "", 0, HL_OK };

	(void)state;
	rules.ping_interval_ms = 60000;
	s = open_polling();
	assert_int_equal(session_probe(s, &wrong), HL_OK);
	session_frame(s, &wrong, "4x", 2, false);
	assert_true(wrong.ended);
	assert_int_equal(session_probe(s, &ws), HL_OK);
	session_frame(s, &ws, "2probe", 6, false);
	wait_ms(SESSION_UPGRADE_MS - 1);
	assert_false(ws.ended);
	wait_ms(1);
	assert_true(ws.ended);
	session_poll(s, &p);
	assert_int_equal(p.answers, 0);
	assert_int_equal(session_post(s, "4x", 2), HL_OK);
	sessions_flush(&all);
	assert_string_equal(p.answer, "4x");
}

static void
bad_packets_end_it_and_what_came_before_is_heard(void **state)
{
	struct session *s = open_polling();
	struct poll p = { "", 0, HL_OK };
	struct websocket ws = { "", false, false };

	(void)state;
	session_poll(s, &p);
	assert_int_equal(session_post(s, "4a\x1e" "9\x1e" "4b", 7), HL_BAD_REQUEST);
	assert_string_equal(heard, "a|");
	assert_string_equal(p.answer, "1");
	assert_int_equal(session_open(&all, &ws, "", &s), HL_OK);
	session_frame(s, &ws, "4bad", 4, false);
	assert_true(ws.ended);
}

static void
a_slow_reader_is_closed_at_the_flush(void **state)
{
	struct websocket ws = { "", false, false };
	struct session *s;

	(void)state;
	assert_int_equal(session_open(&all, &ws, "", &s), HL_OK);
	ws.full = true;
	session_frame(s, &ws, "4x", 2, false);
	assert_false(ws.ended);
	sessions_flush(&all);
	assert_true(ws.ended);
}

static void
there_is_a_limit_and_an_end(void **state)
{
	struct session *s[4];
	struct poll p = { "", 0, HL_OK };

	(void)state;
	for (int i = 0; i < 3; i++)
		s[i] = open_polling();
	assert_int_equal(session_open(&all, NULL, "", &s[3]), HL_BUSY);
	session_poll(s[1], &p);
	sessions_part_all(&all);
	sessions_flush(&all);
	assert_string_equal(p.answer, "1");
	assert_int_equal(session_open(&all, NULL, "", &s[3]), HL_BUSY);
	wait_ms(SESSION_PART_MS);
	assert_int_equal(closed, 3);
}

static void
what_was_said_before_the_client_heard_of_the_end_is_taken(void **state)
{
	struct poll p = { "", 0, HL_OK };
	struct websocket ws = { "", false, false };
	struct session *polling = open_polling(), *s;

	(void)state;
	rules.join_timeout_ms = 0;
	assert_int_equal(session_open(&all, &ws, "", &s), HL_OK);
	*ws.sent = '\0';
	assert_false(sessions_part_some(&all, 1));
	assert_string_equal(ws.sent, "9|part|");
	assert_int_equal(session_post(polling, "4a", 2), HL_OK);
	session_frame(s, &ws, "4b", 2, false);
	assert_string_equal(heard, "a|b|");
	assert_string_equal(ws.sent, "9|part|");	/* a close frame is the last */
	session_poll(polling, &p);
	assert_string_equal(p.answer, "4a\x1e" "1");
	assert_int_equal(session_post(polling, "4c", 2), HL_OK);	/* on its way meanwhile */
	assert_string_equal(heard, "a|b|c|");
	assert_int_equal(closed, 0);
	session_ws_lost(s, &ws);
	assert_int_equal(closed, 1);
	wait_ms(SESSION_PART_MS);
	assert_int_equal(closed, 2);
}

static void
who_posts_just_then_is_told_when_he_has_finished(void **state)
{
	struct poll p = { "", 0, HL_OK };
	struct session *s = open_polling();

	(void)state;
	session_poll(s, &p);
	assert_int_equal(session_post(s, "6", 1), HL_OK);
	assert_true(sessions_part_some(&all, 1));
	wait_ms(SESSION_BREATH_MS - 1);
	assert_true(sessions_part_some(&all, 1));
	assert_int_equal(p.answers, 0);
	wait_ms(1);
	assert_false(sessions_part_some(&all, 1));
	sessions_flush(&all);
	assert_string_equal(p.answer, "1");
}

static void
who_comes_by_polling_at_the_end_is_told_at_once(void **state)
{
	struct poll p = { "", 0, HL_OK };
	struct websocket ws = { "", false, false };
	struct session *s;

	(void)state;
	assert_false(sessions_part_some(&all, 1));
	assert_int_equal(session_open(&all, &ws, "", &s), HL_BUSY);
	assert_int_equal(session_open(&all, NULL, "", &s), HL_OK);
	session_poll(s, &p);
	assert_int_equal(p.answer[0], '0');
	assert_string_equal(p.answer + strlen(p.answer) - 2, "\x1e" "1");
	wait_ms(SESSION_PART_MS);
	assert_int_equal(closed, 1);
}

static void
what_is_being_asked_is_answered_first(void **state)
{
	struct websocket ws = { "", false, false };
	struct session *s;

	(void)state;
	rules.join_timeout_ms = 0;
	assert_int_equal(session_open(&all, &ws, "", &s), HL_OK);
	*ws.sent = '\0';
	asking = true;
	session_frame(s, &ws, "4a", 2, false);
	assert_true(sessions_part_some(&all, 1));
	assert_string_equal(ws.sent, "4a|");
	asking = false;
	assert_false(sessions_part_some(&all, 1));
	assert_string_equal(ws.sent, "4a|9|part|");
	session_ws_lost(s, &ws);
}

static void
a_thousand_sessions_find_each_other(void **state)
{
	char sids[1000][SESSION_SID_LEN + 1];
	struct session *s;

	(void)state;
	rules.max_sessions = 1000;
	rules.join_timeout_ms = 0;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(session_open(&all, NULL, "", &s), HL_OK);
		strcpy(sids[i], s->sid);
	}
	for (int i = 0; i < 1000; i++)
		assert_string_equal(find(sids[i])->sid, sids[i]);
	wait_ms(500);
	assert_int_equal(all.count, 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(one_turn_leaves_together),
		CASE(ping_pong_and_the_end_of_it),
		CASE(a_late_timer_gives_no_more_time),
		CASE(who_joins_nothing_is_closed),
		CASE(a_lost_poll_ends_the_session),
		CASE(a_second_poll_ends_it_too),
		CASE(closing_tells_the_next_poll),
		CASE(closing_is_forgotten_when_nobody_asks),
		CASE(the_upgrade_takes_what_waits_along),
		CASE(an_upgrade_that_does_not_come_leaves_polling_alone),
		CASE(bad_packets_end_it_and_what_came_before_is_heard),
		CASE(a_slow_reader_is_closed_at_the_flush),
		CASE(there_is_a_limit_and_an_end),
		CASE(what_was_said_before_the_client_heard_of_the_end_is_taken),
		CASE(who_posts_just_then_is_told_when_he_has_finished),
		CASE(who_comes_by_polling_at_the_end_is_told_at_once),
		CASE(what_is_being_asked_is_answered_first),
		CASE(a_thousand_sessions_find_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
