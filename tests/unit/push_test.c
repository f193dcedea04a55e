/*
 * push_test - the push daemon's parts that do no I/O: handshake, query, deadlines, messages, answers,
 * publications.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha1.h"
#include "push/answer.h"
#include "push/client.h"
#include "push/deadline.h"
#include "push/handshake.h"
#include "push/recovery.h"
#include "push/request.h"
#include "push/room.h"

/* ---- SHA-1: the examples of RFC 3174 ---- */

static void
sha1_gives_the_known_digests(void **state)
{
	static const struct { const char *text, *hex; } known[] = {
		{ "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
		{ "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
		{ "0123456701234567012345670123456701234567012345670123456701234567",
		    "e0c094e867ef46c350ef54a7f59dd60bed92ae83" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		unsigned char digest[SHA1_LEN];
		char hex[2 * SHA1_LEN + 1];

		sha1(known[i].text, strlen(known[i].text), digest);
		for (int k = 0; k < SHA1_LEN; k++)
			snprintf(hex + 2 * k, 3, "%02x", digest[k]);
		assert_string_equal(hex, known[i].hex);
	}
}

/* ---- handshake ---- */

static enum hl_err
parse(const char *text, char *copy, struct handshake *h)
{
	size_t len = strlen(text);

	memcpy(copy, text, len + 1);
	assert_int_equal(handshake_end(copy, len, 0), len);
	return handshake_parse(copy, len, h);
}

static void
a_handshake_is_cut_up(void **state)
{
	char copy[1024];
	struct handshake h;
	char address[46];

	(void)state;
	assert_int_equal(parse("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a:1\r\nupgrade: WebSocket\r\n"
	    "CONNECTION: keep-alive, Upgrade\r\nOrigin:  http://a \r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	    "Sec-WebSocket-Version: 13\r\nX-Forwarded-For: 10.0.0.1, 192.0.2.7\r\n\r\n", copy, &h), HL_OK);
	assert_string_equal(h.path, "/socket.io/");
	assert_string_equal(h.query, "EIO=4&transport=websocket");
	assert_string_equal(h.host, "a:1");
	assert_string_equal(h.origin, "http://a");
	assert_true(h.upgrade);
	assert_true(handshake_is_websocket(&h));
	handshake_address(&h, address, sizeof(address));
	assert_string_equal(address, "192.0.2.7");
}

static void
an_address_is_an_address(void **state)
{
	char address[46];
	struct handshake h = { .real_ip = "2001:db8::1\r\nX: y", .forwarded_for = "192.0.2.7" };

	(void)state;
	handshake_address(&h, address, sizeof(address));
	assert_string_equal(address, "2001:db8::1");
	h.real_ip = "1111111111111111111111111111111111111111111111111111111111";
	handshake_address(&h, address, sizeof(address));
	assert_string_equal(address, "");
}

static void
what_is_not_http_is_refused(void **state)
{
	static const char *const bad[] = {
		"\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET /\r\n\r\n", "GET x HTTP/1.1\r\n\r\n",
		    "GET / HTTP/1.1\r\nno colon\r\n\r\n",
		"GET / HTTP/1.1\r\n: v\r\n\r\n", "GET / HTTP/1.1\r\na b: v\r\n\r\n",
		    "GET / HTTP/1.1\r\n folded: v\r\n\r\n",
		"GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n", "GET / HTTP/1.1\r\na: b\rc\r\n\r\n",
	};
	char copy[256];
	struct handshake h;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], copy, &h), HL_BAD_REQUEST);
	memcpy(copy, "GET / HTTP/1.1\r\na: \0b\r\n\r\n", 26);
	assert_int_equal(handshake_parse(copy, 26, &h), HL_BAD_REQUEST);
}

static void
the_head_ends_wherever_it_is_split(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\n\r\nrest";

	(void)state;
	for (size_t split = 0; split < 18; split++)
		assert_int_equal(handshake_end(text, split, split / 2), 0);
	for (size_t split = 0; split < 18; split++)
		assert_int_equal(handshake_end(text, sizeof(text) - 1, split), 18);
}

static void
a_query_is_read_by_whole_names(void **state)
{
	size_t len;

	(void)state;
	assert_null(query_get("", "sid", &len));
	assert_null(query_get(NULL, "sid", &len));
	assert_null(query_get("xsid=1&sidx=2&sid", "sid", &len));
	assert_memory_equal(query_get("a=1&&sid=abc&sid=d", "sid", &len), "abc", 3);
	assert_int_equal(len, 3);
}

/* ---- deadlines ---- */

static struct timer { struct deadline d; int64_t fired; } timers[200];
static int64_t moment, order_broken;

static void
fire(struct deadline *d)
{
	if (d->at_ms > moment)
		order_broken++;
	((struct timer *)(void *)d)->fired++;
}

static void
deadlines_come_when_they_are_due(void **state)
{
	struct deadlines h = { 0 };

	(void)state;
	srandom(1);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(deadline_init(&h, &timers[i].d, fire), HL_OK);
		deadline_set(&h, &timers[i].d, random() % 1000);
	}
	for (int i = 0; i < 200; i += 3)
		deadline_set(&h, &timers[i].d, random() % 1000);
	for (int i = 1; i < 200; i += 3)
		deadline_clear(&h, &timers[i].d);
	for (moment = 0; moment < 1000; moment += 7) {
		deadlines_run(&h, moment);
		assert_true(deadlines_next(&h) < 0 || deadlines_next(&h) > moment);
	}
	deadlines_run(&h, 1000);
	assert_int_equal(deadlines_next(&h), -1);
	assert_int_equal(order_broken, 0);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(timers[i].fired, i % 3 == 1 ? 0 : 1);
		deadline_end(&h, &timers[i].d);
	}
	deadlines_free(&h);
}

/* ---- messages ---- */

static void
frames_have_the_shortest_header(void **state)
{
	static const struct { size_t len, header; } sizes[] = { { 0, 2 }, { 125, 2 }, { 126, 4 },
	    { 65535, 4 }, { 65536, 10 } };
	char *bytes = calloc(1, 65536);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct message *m = message_new(MESSAGE_BINARY, bytes, sizes[i].len);
		const unsigned char *f = (const unsigned char *)message_frame(m);

		assert_int_equal(message_frame_len(m), sizes[i].len + sizes[i].header);
		assert_int_equal(f[0], 0x82);
		assert_int_equal(f[1], sizes[i].len < 126 ? sizes[i].len : sizes[i].len < 65536 ? 126 : 127);
		if (sizes[i].header == 4)
			assert_int_equal(f[2] << 8 | f[3], sizes[i].len);
		message_unref(m);
	}
	free(bytes);
}

static void
a_queue_is_full_behind_its_first_message(void **state)
{
	struct queue q = { NULL, NULL, 0 };
	char *bytes = calloc(1, QUEUE_MAX * 2);
	struct message *big = message_new(MESSAGE_TEXT, bytes, QUEUE_MAX * 2);
	struct message *m = message_new(MESSAGE_TEXT, bytes, 1000);
	int n = 0;

	(void)state;
	assert_int_equal(queue_add(&q, big), HL_OK);
	while (queue_add(&q, m) == HL_OK)
		n++;
	assert_in_range(n, 900, 1100);
	queue_drop(&q);
	assert_int_equal(queue_add(&q, m), HL_OK);
	queue_clear(&q);
	assert_int_equal(q.bytes, 0);
	message_unref(big);
	message_unref(m);
	free(bytes);
}

/* ---- answers ---- */

static void
an_answer_is_read_in_slices(void **state)
{
	static const char text[] =
	    " { \"state\" : {\"a\":[1, 2]} ,\"join\":[{\"room\":\"r\\u0031\",\"then\":null}],\"refuse\":null,"
	    "\"emit\":[[\"a\",1.0],[\"b\"]],\"seq\":12,\"other\":{\"seq\":13}}";
	struct answer a;
	struct span item;
	struct buf name = BUF_INIT(64);
	const char *at = NULL;

	(void)state;
	assert_int_equal(answer_parse(text, strlen(text), &a), HL_OK);
	assert_int_equal(a.seq, 12);
	assert_int_equal(a.refuse.len, 0);
	assert_int_equal(a.ack.len, 0);
	assert_memory_equal(a.state.p, "{\"a\":[1, 2]}", a.state.len);
	assert_true(span_next(a.emit, &at, &item));
	assert_memory_equal(item.p, "[\"a\",1.0]", item.len);
	assert_true(span_next(a.emit, &at, &item));
	assert_memory_equal(item.p, "[\"b\"]", item.len);
	assert_false(span_next(a.emit, &at, &item));
	at = NULL;
	assert_true(span_next(a.join, &at, &item));
	assert_true(span_text(span_member(item, "room"), &name));
	assert_string_equal(name.data, "r1");
	assert_int_equal(span_member(item, "then").len, 0);
	buf_free(&name);
}

static void
what_is_no_answer_is_refused(void **state)
{
	static const char *const bad[] = { "", "[]", "null", "{\"a\":1", "{\"emit\":{}}", "{\"join\":\"r\"}",
	    "{\"refuse\":[]}", "{}x" };
	struct answer a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(answer_parse(bad[i], strlen(bad[i]), &a), HL_UPSTREAM);
	assert_int_equal(answer_parse("{}", 2, &a), HL_OK);
	assert_int_equal(answer_parse("{\"seq\":-3}", 10, &a), HL_OK);
	assert_int_equal(a.seq, -1);
}

static void
packets_with_attachments_are_several_messages(void **state)
{
	static const char args[] =
	    "{\"args\":[\"x\",{\"_placeholder\":true,\"num\":0}],\"binary\":[\"AQID\",\"\"]}";
	static const char *const bad[] = { "1", "{}", "{\"args\":{}}", "{\"args\":[],\"binary\":[1]}",
	    "{\"args\":[],\"binary\":[\"!\"]}",
		"{\"args\":[],\"binary\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}" };
	struct message *m[1 + SIO_MAX_ATTACHMENTS];
	struct span none = { NULL, 0 };
	unsigned n;

	(void)state;
	assert_int_equal(packet_messages(SIO_EVENT, SPAN("/n"), none, (struct span){ args, strlen(args) },
	    m, &n), HL_OK);
	assert_int_equal(n, 3);
	assert_memory_equal(message_data(m[0]), "452-/n,[\"x\",{\"_placeholder\":true,\"num\":0}]",
	    m[0]->len);
	assert_int_equal(m[1]->len, 3);
	assert_int_equal(m[2]->len, 0);
	while (n-- > 0)
		message_unref(m[n]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(packet_messages(SIO_ACK, SPAN("/"), SPAN("7"),
		    (struct span){ bad[i], strlen(bad[i]) }, m, &n), HL_OK);
}

/* ---- publications ---- */

static void
a_publication_is_a_head_and_events(void **state)
{
	static const char text[] = "7 2 0123456789012345678901\n[\"a\",1]\n\n[\"b\"]";
	static const char *const bad[] = { "", "1", "1 2", "1 2 -", "x 2 -\n[]", "-1 2 -\n[]", "1 2 -\n{}",
	    "1 2 -\n[", "1 2 -\nx" };
	struct publication *p;

	(void)state;
	assert_int_equal(publication_parse(text, strlen(text), NULL, &p), HL_OK);
	assert_int_equal(p->seq, 7);
	assert_int_equal(p->epoch, 2);
	assert_string_equal(p->except, "0123456789012345678901");
	assert_int_equal(p->count, 2);
	assert_memory_equal(message_data(p->messages[0]), "42[\"a\",1]", p->messages[0]->len);
	assert_memory_equal(message_data(p->messages[1]), "42[\"b\"]", p->messages[1]->len);
	publication_unref(p);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(publication_parse(bad[i], strlen(bad[i]), NULL, &p), HL_BAD_REQUEST);
}

static void
an_offset_goes_with_the_first_event_of_what_is_counted(void **state)
{
	static const char counted[] = "7 2 -\n[\"a\",1] \n[\"b\"]", uncounted[] = "0 2 -\n[\"a\",1]";
	static const char first[] = "42[\"a\",1,\"7.abcdef\"]";
	struct publication *p;

	(void)state;
	assert_int_equal(publication_parse(counted, strlen(counted), "abcdef", &p), HL_OK);
	assert_int_equal(p->messages[0]->len, strlen(first));
	assert_memory_equal(message_data(p->messages[0]), first, p->messages[0]->len);
	assert_memory_equal(message_data(p->messages[1]), "42[\"b\"]", p->messages[1]->len);
	publication_unref(p);
	assert_int_equal(publication_parse(uncounted, strlen(uncounted), "abcdef", &p), HL_OK);
	assert_memory_equal(message_data(p->messages[0]), "42[\"a\",1]", p->messages[0]->len);
	publication_unref(p);
}

#define ID	"0123456789_-ABCDEFGHab"

static void
an_offset_names_the_seq_the_room_and_its_alias(void **state)
{
	static const char *const bad[] = { "", "7", "7.", ".abcdef", "7.abcdeg", "7.abcdef0", "-7.abcdef", "x.abcdef",
	    "1234567890123456789.abcdef", "7.abcdef.", "7.abcdef." ID "x", "7.abcdef0" ID };
	static const char *const none[] = { "", "7.abcdef", "7.abcdef.", "7.abcdef.x", "7.abcdef." ID "x", "x.abcdef." ID, ".." ID,
	    "-1.a." ID, "1234567890123456789.abcdef." ID, "." ID };
	char tag[PUBLICATION_TAG_MAX], offset[PUBLICATION_OFFSET_MAX], alias[ID_LEN + 1];
	int64_t seq;

	(void)state;
	publication_tag("room:xxabcdef", SPAN("not an id"), tag);
	assert_string_equal(tag, "abcdef");
	publication_tag("room:xxabcdef", SPAN(ID), tag);
	publication_offset(tag, INT64_MAX, offset);
	assert_string_equal(offset, "9223372036854775807.abcdef." ID);
	assert_int_equal(publication_offset_seq("room:xxabcdef", "7.abcdef", 8), 7);
	assert_int_equal(publication_offset_seq("room:xxabcdef", "7.abcdef." ID, 9 + ID_LEN), 7);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(publication_offset_seq("room:xxabcdef", bad[i], strlen(bad[i])), -1);
	assert_true(publication_offset_alias("7.abcdef." ID, alias, &seq));
	assert_string_equal(alias, ID);
	assert_int_equal(seq, 7);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(publication_offset_alias(none[i], alias, &seq));
}

static void
what_is_held_comes_out_in_its_order_and_has_a_limit(void **state)
{
	struct held_list list = { 0 };
	struct publication *p, *more = publication_new(0);

	(void)state;
	assert_null(held_take(&list));
	for (int64_t seq = 1; seq <= HELD_MAX; seq++) {
		p = publication_new(seq);
		assert_true(held_add(&list, p));
		publication_unref(p);
	}
	assert_false(held_add(&list, more));
	for (int64_t seq = 1; seq <= 3; seq++) {
		p = held_take(&list);
		assert_int_equal(p->seq, seq);
		publication_unref(p);
	}
	assert_true(held_add(&list, more));
	assert_int_equal(more->refs, 2);
	held_drop(&list);
	assert_int_equal(more->refs, 1);
	assert_int_equal(list.count, 0);
	publication_unref(more);
}

static void
what_led_to_what_was_told_is_known(void **state)
{
	static const int64_t order[] = { 0, 7, 0, 0, 8, 0, 9, 0 };
	struct held_list list = { NULL, NULL, 0 };
	struct publication *p;

	(void)state;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		p = publication_new(order[i]);
		assert_true(held_add(&list, p));
		publication_unref(p);
	}
	assert_int_equal(held_told(&list, 6), 0);
	assert_int_equal(held_told(&list, 7), 2);
	assert_int_equal(held_told(&list, 8), 5);
	assert_int_equal(held_told(&list, 100), 7);
	assert_int_equal(held_told(&list, -1), 0);
	held_drop(&list);
}

/* ---- sockets by their sid ---- */

#define SOCKETS		1000

static void
a_socket_is_found_by_its_sid_among_many(void **state)
{
	struct socket *sockets[SOCKETS];
	struct roster r;

	(void)state;
	assert_int_equal(roster_init(&r), HL_OK);
	for (size_t i = 0; i < SOCKETS; i++) {
		sockets[i] = calloc(1, sizeof(struct socket));
		assert_non_null(sockets[i]);
		id_new(sockets[i]->sid);
		roster_add(&r, sockets[i]);
	}
	for (size_t i = 0; i < SOCKETS; i++)
		assert_ptr_equal(roster_find(&r, (struct span){ sockets[i]->sid, ID_LEN }), sockets[i]);
	assert_null(roster_find(&r, SPAN("too short")));
	assert_null(roster_find(&r, SPAN("0123456789012345678901")));
	roster_rename(&r, sockets[7], "0123456789012345678901");
	assert_ptr_equal(roster_find(&r, SPAN("0123456789012345678901")), sockets[7]);
	for (size_t i = 0; i < SOCKETS; i++) {
		roster_remove(&r, sockets[i]);
		assert_null(roster_find(&r, (struct span){ sockets[i]->sid, ID_LEN }));
		free(sockets[i]);
	}
	roster_free(&r);
}

/* ---- what is remembered of a socket that was cut off ---- */

static int64_t now_ms;

static int64_t
fake_now(void)
{
	return now_ms;
}

static struct span
as_span(const char *text)
{
	return (struct span){ text, strlen(text) };
}

static const char *
keep_one(struct recovery *r, char pid[ID_LEN + 1])
{
	struct lost *l;

	id_new(pid);
	l = lost_new("0123456789012345678901", pid, as_span("/"));
	assert_non_null(l);
	assert_int_equal(lost_add_room(l, "emitter:x", as_span("x"), false), HL_OK);
	recovery_keep(r, l);
	return pid;
}

static bool
take_one(struct recovery *r, const char *pid, const char *nsp)
{
	struct lost *l = recovery_take(r, as_span(pid), as_span(nsp));

	lost_free(l);
	return l != NULL;
}

static void
a_lost_socket_is_kept_for_a_while_and_given_once(void **state)
{
	struct deadlines deadlines = { NULL, 0, 0, 0 };
	struct recovery r = { .max = 3, .keep_ms = 1000, .now_ms = fake_now, .deadlines = &deadlines };
	char pid[5][ID_LEN + 1];

	(void)state;
	now_ms = 5000;
	assert_int_equal(recovery_init(&r), HL_OK);
	keep_one(&r, pid[0]);
	assert_false(take_one(&r, pid[0], "/other"));
	assert_false(take_one(&r, "x", "/"));
	assert_true(take_one(&r, pid[0], "/"));
	assert_false(take_one(&r, pid[0], "/"));
	for (int i = 0; i < 5; i++, now_ms += 10)
		keep_one(&r, pid[i]);
	assert_int_equal(r.count, 3);		/* the oldest ones had to go */
	assert_false(take_one(&r, pid[1], "/"));
	assert_true(take_one(&r, pid[3], "/"));
	now_ms = 6020;
	deadlines_run(&deadlines, now_ms);
	assert_int_equal(r.count, 1);
	assert_int_equal(deadlines_next(&deadlines), 6040);
	now_ms = 6040;
	assert_false(take_one(&r, pid[4], "/"));	/* also before the timer comes to it */
	deadlines_run(&deadlines, now_ms);
	assert_int_equal(r.count, 0);
	assert_null(r.oldest);
	keep_one(&r, pid[0]);
	recovery_free(&r);
	deadlines_free(&deadlines);
}

static void
a_lost_socket_whose_token_is_over_or_that_was_sent_away_is_not_given(void **state)
{
	struct deadlines deadlines = { NULL, 0, 0, 0 };
	struct recovery r = { .max = 9, .keep_ms = 1000, .now_ms = fake_now, .deadlines = &deadlines };
	char pid[4][ID_LEN + 1];

	(void)state;
	now_ms = 5000;
	recovery_drop(&r, "emitter:x");		/* nothing is kept at all */
	assert_int_equal(recovery_init(&r), HL_OK);
	for (int i = 0; i < 4; i++)
		keep_one(&r, pid[i]);
	r.newest->ends_ms = 5010;
	r.newest->older->ends_ms = 5011;
	now_ms = 5010;
	assert_false(take_one(&r, pid[3], "/"));
	assert_true(take_one(&r, pid[2], "/"));
	recovery_drop(&r, "emitter:y");
	assert_int_equal(r.count, 2);
	assert_int_equal(lost_add_room(r.oldest, "emitter:y", as_span(""), false), HL_OK);
	recovery_drop(&r, "emitter:y");
	assert_false(take_one(&r, pid[0], "/"));
	assert_true(take_one(&r, pid[1], "/"));
	assert_int_equal(r.count, 0);
	recovery_free(&r);
	deadlines_free(&deadlines);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha1_gives_the_known_digests),
		cmocka_unit_test(a_handshake_is_cut_up),
		cmocka_unit_test(an_address_is_an_address),
		cmocka_unit_test(what_is_not_http_is_refused),
		cmocka_unit_test(the_head_ends_wherever_it_is_split),
		cmocka_unit_test(a_query_is_read_by_whole_names),
		cmocka_unit_test(deadlines_come_when_they_are_due),
		cmocka_unit_test(frames_have_the_shortest_header),
		cmocka_unit_test(a_queue_is_full_behind_its_first_message),
		cmocka_unit_test(an_answer_is_read_in_slices),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(packets_with_attachments_are_several_messages),
		cmocka_unit_test(a_publication_is_a_head_and_events),
		cmocka_unit_test(an_offset_goes_with_the_first_event_of_what_is_counted),
		cmocka_unit_test(an_offset_names_the_seq_the_room_and_its_alias),
		cmocka_unit_test(what_led_to_what_was_told_is_known),
		cmocka_unit_test(what_is_held_comes_out_in_its_order_and_has_a_limit),
		cmocka_unit_test(a_socket_is_found_by_its_sid_among_many),
		cmocka_unit_test(a_lost_socket_is_kept_for_a_while_and_given_once),
		cmocka_unit_test(a_lost_socket_whose_token_is_over_or_that_was_sent_away_is_not_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
