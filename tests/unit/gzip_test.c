/*
 * gzip_test - what is packed is what zlib unpacks; who takes gzip, as RFC 9110, section 12.5.3 has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/gzip.h"

static void
what_is_packed_comes_out_again(void **state)
{
	struct buf plain = BUF_INIT(1 << 20), packed = BUF_INIT(1 << 20);
	static char out[1 << 20];
	z_stream z = { 0 };

	(void)state;
	for (int i = 0; i < 2000; i++)
		buf_printf(&plain, "{\"_id\":\"%d\",\"title\":\"Grüße\"},", i);
	assert_int_equal(gzip_pack(plain.data, plain.len, &packed), HL_OK);
	assert_true(packed.len < plain.len / 4);
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (Bytef *)packed.data;
	z.avail_in = (uInt)packed.len;
	z.next_out = (Bytef *)out;
	z.avail_out = sizeof(out);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, plain.len);
	assert_memory_equal(out, plain.data, plain.len);
	inflateEnd(&z);
	buf_free(&plain);
	buf_free(&packed);
}

static void
what_would_not_be_shorter_is_left(void **state)
{
	struct buf packed = BUF_INIT(1 << 20);

	(void)state;
	assert_int_equal(gzip_pack("[]", 2, &packed), HL_TOO_LARGE);
	assert_int_equal(gzip_pack("", 0, &packed), HL_TOO_LARGE);
	assert_int_equal(packed.len, 0);
	buf_free(&packed);
}

static void
who_takes_it(void **state)
{
	static const char *const takes[] = { "gzip", "GZip", "x-gzip", "*", "br, gzip", "gzip;q=1.0", "gzip ; q=0.5, br",
		"identity;q=0, gzip;q=0.001", "deflate, *;q=0.3", "br;q=0,gzip", "*;q=0, gzip" };
	static const char *const not[] = { "", "identity", "br", "gzip;q=0", "gzip; q=0.000", "gzip;Q=0.0, br", "*;q=0", "gzipped", "gzip;q=0, *" };

	(void)state;
	assert_false(gzip_taken(NULL));
	for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++)
		if (!gzip_taken(takes[i]))
			fail_msg("%s", takes[i]);
	for (size_t i = 0; i < sizeof(not) / sizeof(not[0]); i++)
		if (gzip_taken(not[i]))
			fail_msg("%s", not[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_comes_out_again),
		cmocka_unit_test(what_would_not_be_shorter_is_left),
		cmocka_unit_test(who_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
