/*
 * crypto_test - sealing binds a value to its place, keys rotate, a key file that others may read is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "services/crypto.h"

static char dir[] = "/tmp/crypto_testXXXXXX";
static char key_file[64];
static struct buf problem = { .max = 1000 };

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(key_file, sizeof(key_file), "%s/seal.keys", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	buf_free(&problem);
	unlink(key_file);
	return rmdir(dir);
}

static struct crypto *
open_keys(void)
{
	struct crypto *c;

	assert_int_equal(crypto_make_keys(dir, &problem), HL_OK);
	assert_int_equal(crypto_open(dir, &c, &problem), HL_OK);
	return c;
}

static void
what_is_sealed_opens_only_in_its_place(void **state)
{
	struct crypto *c = open_keys();
	struct buf sealed = BUF_INIT(1000), plain = BUF_INIT(1000);

	(void)state;
	assert_int_equal(crypto_seal(c, "here", "secret words", 12, &sealed), HL_OK);
	assert_null(memmem(sealed.data, sealed.len, "secret", 6));
	assert_int_equal(crypto_unseal(c, "here", sealed.data, sealed.len, &plain), HL_OK);
	assert_string_equal(plain.data, "secret words");
	assert_int_equal(crypto_unseal(c, "elsewhere", sealed.data, sealed.len, &plain), HL_INTERNAL);
	for (size_t i = 0; i < sealed.len; i++) {
		sealed.data[i] = (char)(sealed.data[i] ^ 1);
		assert_int_equal(crypto_unseal(c, "here", sealed.data, sealed.len, &plain), HL_INTERNAL);
		sealed.data[i] = (char)(sealed.data[i] ^ 1);
	}
	assert_int_equal(crypto_unseal(c, "here", sealed.data, 40, &plain), HL_INTERNAL);
	buf_free(&sealed);
	buf_free(&plain);
	crypto_free(c);
}

static void
names_differ_by_purpose_and_stay(void **state)
{
	char a[CRYPTO_NAME_LEN + 1], b[CRYPTO_NAME_LEN + 1], again[CRYPTO_NAME_LEN + 1];
	struct crypto *c = open_keys();

	(void)state;
	crypto_name(c, "user", "x", 1, a);
	crypto_name(c, "session", "x", 1, b);
	assert_string_not_equal(a, b);
	crypto_free(c);
	c = open_keys();
	crypto_name(c, "user", "x", 1, again);
	assert_string_equal(a, again);
	crypto_free(c);
}

static void
old_values_open_after_a_new_key(void **state)
{
	struct crypto *c = open_keys();
	struct buf sealed = BUF_INIT(1000), plain = BUF_INIT(1000), fresh = BUF_INIT(1000);
	FILE *f;

	(void)state;
	assert_int_equal(crypto_seal(c, "p", "old", 3, &sealed), HL_OK);
	crypto_free(c);
	f = fopen(key_file, "a");
	assert_non_null(f);
	fputs("seal 2 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", f);
	fclose(f);
	c = open_keys();
	assert_int_equal(crypto_unseal(c, "p", sealed.data, sealed.len, &plain), HL_OK);
	assert_int_equal(crypto_seal(c, "p", "new", 3, &fresh), HL_OK);
	assert_int_equal(fresh.data[0], 2);
	buf_free(&sealed);
	buf_free(&plain);
	buf_free(&fresh);
	crypto_free(c);
}

static void
key_files_are_kept_from_others(void **state)
{
	struct crypto *c = open_keys();
	struct stat st;
	FILE *f;

	(void)state;
	crypto_free(c);
	assert_int_equal(stat(key_file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	chmod(key_file, 0640);
	assert_int_not_equal(crypto_open(dir, &c, &problem), HL_OK);
	assert_non_null(strstr(problem.data, "chmod 600"));
	chmod(key_file, 0600);
	f = fopen(key_file, "w");
	assert_non_null(f);
	fputs("nonsense\n", f);
	fclose(f);
	assert_int_not_equal(crypto_open(dir, &c, &problem), HL_OK);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_opens_only_in_its_place),
		cmocka_unit_test(names_differ_by_purpose_and_stay),
		cmocka_unit_test(old_values_open_after_a_new_key),
		cmocka_unit_test(key_files_are_kept_from_others),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
