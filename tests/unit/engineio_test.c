/*
 * engineio_test - packets and payloads as engine.io-parser writes and reads them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/engineio.h"
#include "vectors.h"

static const char *const types[] = { "open", "close", "ping", "pong", "message", "upgrade", "noop" };
static struct json_object *doc;

static int
load(void **state)
{
	(void)state;
	doc = json_object_from_file(SRCDIR "/tests/vectors/engineio-parser.json");
	return doc ? 0 : -1;
}

static int
unload(void **state)
{
	(void)state;
	json_object_put(doc);
	return 0;
}

/* The packet a vector describes; its data lives in *bytes. */
static struct eio_packet
packet_of(struct json_object *o, struct buf *bytes)
{
	const char *type = json_object_get_string(member(o, "type"));
	struct eio_packet p = { .binary = is_binary(member(o, "data")) };

	while (strcmp(types[p.type], type) != 0)
		p.type++;
	bytes_of(member(o, "data"), bytes);
	p.data = bytes->data;
	p.len = bytes->len;
	return p;
}

static bool
is_error(struct json_object *packet)
{
	return strcmp(json_object_get_string(member(packet, "type")), "error") == 0;
}

static void
assert_packet(const struct eio_packet *got, struct json_object *wanted)
{
	struct buf bytes = BUF_INIT(4096);
	struct eio_packet p = packet_of(wanted, &bytes);

	assert_int_equal(got->type, p.type);
	assert_int_equal(got->binary, p.binary);
	assert_int_equal(got->len, p.len);
	assert_memory_equal(got->data, p.data, p.len);
	buf_free(&bytes);
}

/* A packet in WebSocket form, appended to a payload. */
static void
add_packet(struct buf *payload, struct json_object *packet)
{
	struct buf bytes = BUF_INIT(4096), frame = BUF_INIT(4096);
	struct eio_packet p = packet_of(packet, &bytes);

	eio_encode(&frame, &p);
	eio_payload_add(payload, frame.data, frame.len, p.binary);
	buf_free(&bytes);
	buf_free(&frame);
}

static void
packets_are_written_as_the_reference_does(void **state)
{
	struct buf bytes = BUF_INIT(4096), out = BUF_INIT(4096), wire = BUF_INIT(4096);
	struct json_object *v;

	(void)state;
	FOR_EACH(v, member(doc, "encodePacket")) {
		struct eio_packet p = packet_of(member(v, "packet"), &bytes);

		print_message("%s\n", name_of(v));
		buf_reset(&out);
		if (json_object_get_boolean(member(v, "supportsBinary")))
			eio_encode(&out, &p);
		else
			add_packet(&out, member(v, "packet"));
		bytes_of(member(v, "wire"), &wire);
		assert_int_equal(is_binary(member(v, "wire")),
		    p.binary && json_object_get_boolean(member(v, "supportsBinary")));
		assert_int_equal(out.len, wire.len);
		assert_memory_equal(out.data, wire.data, wire.len);
	}
	buf_free(&bytes);
	buf_free(&out);
	buf_free(&wire);
}

static void
payloads_are_written_as_the_reference_does(void **state)
{
	struct buf out = BUF_INIT(4096);
	struct json_object *v, *packet;

	(void)state;
	FOR_EACH(v, member(doc, "encodePayload")) {
		print_message("%s\n", name_of(v));
		buf_reset(&out);
		FOR_EACH(packet, member(v, "packets"))
			add_packet(&out, packet);
		assert_string_equal(out.data, json_object_get_string(member(v, "payload")));
	}
	buf_free(&out);
}

static void
packets_are_read_as_the_reference_does(void **state)
{
	struct buf scratch = BUF_INIT(4096), wire = BUF_INIT(4096);
	struct eio_packet p;
	struct json_object *v;
	enum hl_err err;

	(void)state;
	FOR_EACH(v, member(doc, "decodePacket")) {
		print_message("%s\n", name_of(v));
		if (is_binary(member(v, "wire")))
			continue;	/* a binary frame is its own packet */
		bytes_of(member(v, "wire"), &wire);
		err = eio_decode(wire.data, wire.len, &scratch, &p);
		assert_int_equal(err, is_error(member(v, "packet")) ? HL_BAD_REQUEST : HL_OK);
		if (err == HL_OK)
			assert_packet(&p, member(v, "packet"));
	}
	buf_free(&scratch);
	buf_free(&wire);
}

static void
payloads_are_read_as_the_reference_does(void **state)
{
	struct buf scratch = BUF_INIT(4096), wire = BUF_INIT(4096);
	struct json_object *v, *packet;

	(void)state;
	FOR_EACH(v, member(doc, "decodePayload")) {
		const char *at;

		print_message("%s\n", name_of(v));
		bytes_of(member(v, "payload"), &wire);
		at = wire.data;
		FOR_EACH(packet, member(v, "packets")) {
			struct eio_packet p;
			enum hl_err err;

			assert_non_null(at);
			err = eio_payload_next(&at, wire.data + wire.len, &scratch, &p);
			assert_int_equal(err, is_error(packet) ? HL_BAD_REQUEST : HL_OK);
			if (err == HL_OK)
				assert_packet(&p, packet);
			else
				at = NULL;
		}
		assert_null(at);
	}
	buf_free(&scratch);
	buf_free(&wire);
}

static void
bad_bytes_are_refused(void **state)
{
	static const char *const bad[] = { "4\xff", "4\xc0\xaf", "4\xed\xa0\x80", "b!", "bA\n==", "b====" };
	struct buf scratch = BUF_INIT(16);
	struct eio_packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(eio_decode(bad[i], strlen(bad[i]), &scratch, &p), HL_BAD_REQUEST);
	assert_int_equal(eio_decode("bAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 41, &scratch, &p),
	    HL_TOO_LARGE);
	buf_free(&scratch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_written_as_the_reference_does),
		cmocka_unit_test(payloads_are_written_as_the_reference_does),
		cmocka_unit_test(packets_are_read_as_the_reference_does),
		cmocka_unit_test(payloads_are_read_as_the_reference_does),
		cmocka_unit_test(bad_bytes_are_refused),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
