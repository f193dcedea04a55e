/*
 * msgpack_test - MessagePack as JSON, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/msgpack.h"

#define MAX_BYTES	64

static size_t
bytes_of(const char *hex, unsigned char *out)
{
	size_t n = strlen(hex) / 2;
	unsigned byte;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (unsigned char)byte;
	}
	return n;
}

static void
values_become_json(void **state)
{
	static const struct { const char *hex, *json, *binary; } cases[] = {
		{ "00", "0", "" }, { "7f", "127", "" }, { "ff", "-1", "" }, { "e0", "-32", "" }, { "cc80", "128", "" },
		{ "cdffff", "65535", "" }, { "ceffffffff", "4294967295", "" }, { "cf0000000100000000", "4294967296", "" },
		{ "cfffffffffffffffff", "18446744073709551615", "" }, { "d080", "-128", "" }, { "d18000", "-32768", "" },
		{ "d3ffffffffffffffff", "-1", "" }, { "cb3ff8000000000000", "1.5", "" }, { "cb3fb999999999999a", "0.1", "" },
		{ "ca3fc00000", "1.5", "" }, { "cb7ff8000000000000", "null", "" }, { "c0", "null", "" }, { "c3", "true", "" },
		{ "a2c3a9", "\"\xc3\xa9\"", "" }, { "d90161", "\"a\"", "" }, { "93010203", "[1,2,3]", "" },
		{ "82a16101a16290", "{\"a\":1,\"b\":[]}", "" }, { "80", "{}", "" }, { "dc000101", "[1]", "" },
		{ "d6ff00000000", "\"1970-01-01T00:00:00.000Z\"", "" }, { "d40000", "null", "" },
		/* a text that is no UTF-8 */
		{ "a561ff62ed63", "\"a\xef\xbf\xbd" "b\xef\xbf\xbd" "c\"", "" }, { "a2c080", "\"\xef\xbf\xbd\xef\xbf\xbd\"", "" },
		{ "81a1ff01", "{\"\xef\xbf\xbd\":1}", "" }, { "a5efbfbd22ff", "\"\xef\xbf\xbd\\\"\xef\xbf\xbd\"", "" },
		{ "c403" "0102ff", "{\"_placeholder\":true,\"num\":0}", "\"AQL/\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned char bytes[MAX_BYTES];
		size_t len = bytes_of(cases[i].hex, bytes);
		struct msgpack m = { bytes, bytes + len };
		struct buf json = BUF_INIT(1024), binary = BUF_INIT(1024);
		unsigned n = 0;

		assert_int_equal(msgpack_json(&m, &json, &binary, &n), HL_OK);
		assert_ptr_equal(m.at, m.end);
		assert_string_equal(json.data, cases[i].json);
		assert_string_equal(binary.data ? binary.data : "", cases[i].binary);
		for (size_t cut = 0; cut < len; cut++) {
			m = (struct msgpack){ bytes, bytes + cut };
			buf_reset(&json);
			assert_int_equal(msgpack_json(&m, &json, &binary, &n), HL_BAD_REQUEST);
		}
		buf_free(&json);
		buf_free(&binary);
	}
}

static void
what_it_claims_to_hold_is_not_believed(void **state)
{
	static const char *const bad[] = { "c1", "ddffffffff", "dfffffffff", "dbffffffff41", "c6ffffffff", "c9ffffffff00", "8101c0" };
	unsigned char deep[MSGPACK_MAX_DEPTH + 1], bytes[MAX_BYTES];
	struct buf json = BUF_INIT(4096), binary = BUF_INIT(16);
	unsigned n = 0;
	struct msgpack m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m = (struct msgpack){ bytes, bytes + bytes_of(bad[i], bytes) };
		assert_int_equal(msgpack_json(&m, &json, &binary, &n), HL_BAD_REQUEST);
	}
	memset(deep, 0x91, sizeof(deep));
	deep[MSGPACK_MAX_DEPTH] = 0xc0;
	m = (struct msgpack){ deep, deep + sizeof(deep) };
	assert_int_equal(msgpack_json(&m, &json, &binary, &n), HL_BAD_REQUEST);
	m = (struct msgpack){ deep + 1, deep + sizeof(deep) };
	buf_reset(&json);
	assert_int_equal(msgpack_json(&m, &json, &binary, &n), HL_OK);
	buf_free(&json);
	buf_free(&binary);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_become_json),
		cmocka_unit_test(what_it_claims_to_hold_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
