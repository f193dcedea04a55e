/*
 * socketio_test - packets with and without attachments as socket.io-parser writes and reads them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/socketio.h"
#include "vectors.h"

#define JSON_FORM	(JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

static struct json_object *doc;

static int
load(void **state)
{
	(void)state;
	doc = json_object_from_file(SRCDIR "/tests/vectors/socketio-parser.json");
	return doc ? 0 : -1;
}

static int
unload(void **state)
{
	(void)state;
	json_object_put(doc);
	return 0;
}

/* ---- writing ---- */

/* A copy in which binary values are placeholders, as a caller of sio_encode() has it.  Counts them. */
static struct json_object *
without_binary(struct json_object *o, unsigned *count)
{
	struct json_object *copy;

	if (is_binary(o)) {
		copy = json_object_new_object();
		json_object_object_add(copy, "_placeholder", json_object_new_boolean(true));
		json_object_object_add(copy, "num", json_object_new_int((int)(*count)++));
	} else if (json_object_is_type(o, json_type_array)) {
		struct json_object *item;

		copy = json_object_new_array();
		FOR_EACH(item, o)
			json_object_array_add(copy, without_binary(item, count));
	} else if (json_object_is_type(o, json_type_object)) {
		copy = json_object_new_object();
		json_object_object_foreach(o, key, value)
			json_object_object_add(copy, key, without_binary(value, count));
	} else {
		copy = json_object_get(o);
	}
	return copy;
}

static void
assert_written(struct json_object *v, const struct sio_packet *k)
{
	struct json_object *frame = json_object_array_get_idx(member(v, "frames"), 0);
	struct buf out = BUF_INIT(1 << 16);

	sio_encode(&out, k);
	/*
	 * json-c cannot hold a lone surrogate, so that vector is written from the packet that reading it
	 * gives.
	 */
	if (strstr(json_object_get_string(frame), "\\ud83d")) {
		struct sio_packet read;

		assert_int_equal(sio_parse(json_object_get_string(frame),
		    (size_t)json_object_get_string_len(frame), &read),
		    HL_OK);
		buf_reset(&out);
		sio_encode(&out, &read);
	}
	assert_string_equal(out.data, json_object_get_string(frame));
	assert_int_equal(json_object_array_length(member(v, "frames")), 1 + k->attachments);
	buf_free(&out);
}

static void
packets_are_written_as_the_reference_does(void **state)
{
	struct json_object *v;

	(void)state;
	FOR_EACH(v, member(doc, "encode")) {
		struct json_object *packet = member(v, "packet"), *nsp = member(packet, "nsp"), *data;
		struct sio_packet k = { .type = (enum sio_type)json_object_get_int(member(packet, "type")) };

		print_message("%s\n", name_of(v));
		data = without_binary(member(packet, "data"), &k.attachments);
		if (k.attachments)
			k.type = k.type == SIO_EVENT ? SIO_BINARY_EVENT : SIO_BINARY_ACK;
		k.nsp = (struct span){ json_object_get_string(nsp), (size_t)json_object_get_string_len(nsp) };
		if (member(packet, "id")) {
			k.id.p = json_object_get_string(member(packet, "id"));
			k.id.len = strlen(k.id.p);
		}
		if (data) {
			k.data.p = json_object_to_json_string_ext(data, JSON_FORM);
			k.data.len = strlen(k.data.p);
		}
		assert_written(v, &k);
		json_object_put(data);
	}
}

/* ---- reading ---- */

/* A copy in which placeholders are the attachments. */
static struct json_object *
with_binary(struct json_object *o, const struct sio_decoder *d)
{
	struct json_object *copy, *num = json_object_is_type(o, json_type_object) ? member(o, "num") : NULL;

	if (num && member(o, "_placeholder")) {
		struct span part = sio_attachment(d, (unsigned)json_object_get_int(num));
		char hex[2 * 64 + 1] = "";

		for (size_t i = 0; i < part.len; i++)
			sprintf(hex + 2 * i, "%02x", (unsigned char)part.p[i]);
		copy = json_object_new_object();
		json_object_object_add(copy, "$bin", json_object_new_string(hex));
	} else if (json_object_is_type(o, json_type_array)) {
		struct json_object *item;

		copy = json_object_new_array();
		FOR_EACH(item, o)
			json_object_array_add(copy, with_binary(item, d));
	} else if (json_object_is_type(o, json_type_object)) {
		copy = json_object_new_object();
		json_object_object_foreach(o, key, value)
			json_object_object_add(copy, key, with_binary(value, d));
	} else {
		copy = json_object_get(o);
	}
	return copy;
}

static void
assert_read(const struct sio_packet *k, const struct sio_decoder *d, struct json_object *wanted)
{
	int type = json_object_get_int(member(wanted, "type"));
	struct json_object *got = NULL, *whole;
	char text[4096];

	if (k->attachments)
		type += SIO_BINARY_EVENT - SIO_EVENT;
	assert_int_equal(k->type, type);
	assert_int_equal(k->nsp.len, json_object_get_string_len(member(wanted, "nsp")));
	assert_memory_equal(k->nsp.p, json_object_get_string(member(wanted, "nsp")), k->nsp.len);
	assert_int_equal(k->id.len > 0, member(wanted, "id") != NULL);
	if (k->id.len) {
		snprintf(text, sizeof(text), "%.*s", (int)k->id.len, k->id.p);
		assert_true(strtod(text, NULL) >= json_object_get_double(member(wanted, "id")));
		if (k->id.len < 19)	/* json-c's integers end there */
			assert_true(strtod(text, NULL) <= json_object_get_double(member(wanted, "id")));
	}
	assert_int_equal(k->data.len > 0, member(wanted, "data") != NULL);
	if (k->data.len == 0)
		return;
	snprintf(text, sizeof(text), "%.*s", (int)k->data.len, k->data.p);
	got = json_tokener_parse(text);
	whole = k->attachments ? with_binary(got, d) : json_object_get(got);
	assert_string_equal(json_object_to_json_string_ext(whole, JSON_FORM),
	    json_object_to_json_string_ext(member(wanted, "data"), JSON_FORM));
	json_object_put(whole);
	json_object_put(got);
}

static void
assert_frames(struct json_object *v)
{
	struct buf bytes = BUF_INIT(1 << 16);
	struct sio_decoder d = { NULL };
	struct json_object *frame;
	size_t seen = 0;
	int n = 0, failed_at = -1;

	FOR_EACH(frame, member(v, "frames")) {
		struct sio_packet k;
		bool whole;
		enum hl_err err;

		bytes_of(frame, &bytes);
		err = is_binary(frame) ? sio_feed_binary(&d, bytes.data, bytes.len, &k, &whole)
		    : sio_feed_text(&d, bytes.data, bytes.len, &k, &whole);
		if (err) {
			assert_int_equal(err, HL_BAD_REQUEST);
			failed_at = n;
			break;
		}
		if (whole)
			assert_read(&k, &d, json_object_array_get_idx(member(v, "decoded"), seen++));
		n++;
	}
	assert_int_equal(failed_at, json_object_get_int(member(v, "errorAtFrame")));
	assert_int_equal(seen, json_object_array_length(member(v, "decoded")));
	sio_decoder_free(&d);
	buf_free(&bytes);
}

static void
packets_are_read_as_the_reference_does(void **state)
{
	struct json_object *v;

	(void)state;
	FOR_EACH(v, member(doc, "decode")) {
		print_message("%s\n", name_of(v));
		assert_frames(v);
	}
}

static void
what_is_read_and_written_again_is_the_same_bytes(void **state)
{
	static const char *const texts[] = { "0", "1", "2[\"a\",1.0,{\"z\":1,\"a\":[ ]}]", "2/x,7[\"a\"]",
	    "36[]",
		"4{\"message\":\"no\"}", "510-/n,3[\"x\"]", "61-4[{\"_placeholder\":true,\"num\":0}]" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct buf out = BUF_INIT(256);
		struct sio_packet k;

		assert_int_equal(sio_parse(texts[i], strlen(texts[i]), &k), HL_OK);
		sio_encode(&out, &k);
		assert_string_equal(out.data, texts[i]);
		buf_free(&out);
	}
}

static void
too_much_is_refused(void **state)
{
	static char text[SIO_MAX_NSP + 64];
	struct sio_decoder d = { NULL };
	struct sio_packet k;
	bool whole;
	char *big = calloc(1, SIO_MAX_BYTES / 2);

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "0/", 2);
	assert_int_equal(sio_parse(text, sizeof(text), &k), HL_BAD_REQUEST);
	memset(text, '9', sizeof(text));
	memcpy(text, "2", 1);
	assert_int_equal(sio_parse(text, sizeof(text), &k), HL_BAD_REQUEST);
	memset(text, '[', sizeof(text));
	memcpy(text, "2[\"a\",", 6);
	assert_int_equal(sio_parse(text, sizeof(text), &k), HL_BAD_REQUEST);

	assert_int_equal(sio_feed_text(&d, "53-[\"a\"]", 8, &k, &whole), HL_OK);
	assert_int_equal(sio_feed_binary(&d, big, SIO_MAX_BYTES / 2, &k, &whole), HL_OK);
	assert_int_equal(sio_feed_binary(&d, big, SIO_MAX_BYTES / 2, &k, &whole), HL_BAD_REQUEST);
	sio_decoder_free(&d);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_written_as_the_reference_does),
		cmocka_unit_test(packets_are_read_as_the_reference_does),
		cmocka_unit_test(what_is_read_and_written_again_is_the_same_bytes),
		cmocka_unit_test(too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
