/*
 * vault_test - a sealed file comes back as it was written, or not at all: cut at any byte, changed in any bit, put together
 * anew, or opened with another key.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/vault.h"

#define HEAD	64	/* all that stands before the first piece: vault.h */
#define TAG	17
#define PIECE	65536

static char dir[] = "/tmp/vault_testXXXXXX", path[64], fresh[80], key[64], other_key[64];
static const struct vault_secret with_key = { .key_file = key }, with_other_key = { .key_file = other_key };
static struct buf problem = BUF_INIT(4096);

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	snprintf(key, sizeof(key), "%s/key", dir);
	snprintf(other_key, sizeof(other_key), "%s/other", dir);
	return vault_make_key(key, &problem) || vault_make_key(other_key, &problem);
}

static int
tear_down(void **state)
{
	const char *const files[] = { path, fresh, key, other_key };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)unlink(files[i]);
	buf_free(&problem);
	return rmdir(dir);
}

static int
forget(void **state)
{
	(void)state;
	(void)unlink(path);
	buf_reset(&problem);
	return 0;
}

/* ---- hands ---- */

static void
put(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
	assert_int_equal(chmod(name, 0600), 0);
}

static size_t
get(const char *name, unsigned char **ret)
{
	FILE *f = fopen(name, "r");
	struct stat st;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	*ret = malloc((size_t)st.st_size + 1);
	assert_int_equal(fread(*ret, 1, (size_t)st.st_size, f), st.st_size);
	fclose(f);
	return (size_t)st.st_size;
}

static char *
sample(size_t len)
{
	char *text = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)(i * 31 + i / 251);
	return text;
}

static void
seal(const struct vault_secret *secret, const void *text, size_t len)
{
	struct vault *v;

	assert_int_equal(vault_create(path, secret, &v, &problem), HL_OK);
	assert_int_equal(vault_write(v, text, len), HL_OK);
	assert_int_equal(vault_finish(v, &problem), HL_OK);
	vault_close(v);
}

/* All of it was there, and nothing else. */
static bool
reads(const char *text, size_t len)
{
	struct vault *v = NULL;
	char *got = malloc(len + 1);
	bool whole = vault_open(path, &with_key, &v, &problem) == HL_OK && vault_read(v, got, len) == HL_OK && vault_is_over(v);

	if (whole)
		assert_memory_equal(got, text, len);
	vault_close(v);
	free(got);
	buf_reset(&problem);
	return whole;
}

/* ---- as it was written ---- */

static void
what_was_written_is_read_in_any_steps(void **state)
{
	static const size_t lengths[] = { 0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t len = lengths[i];
		char *text = sample(len), *got = calloc(1, len + 1), more;
		struct vault *v;

		seal(&with_key, text, len);
		assert_int_equal(vault_open(path, &with_key, &v, &problem), HL_OK);
		for (int round = 0; round < 2; round++) {
			for (size_t at = 0, step = 1, n; at < len; at += n, step *= 3) {
				n = step < len - at ? step : len - at;
				assert_false(vault_is_over(v));
				assert_int_equal(vault_read(v, got + at, n), HL_OK);
			}
			assert_memory_equal(got, text, len);
			assert_true(vault_is_over(v));
			assert_int_equal(vault_read(v, &more, 1), HL_BAD_REQUEST);
			assert_int_equal(vault_rewind(v), HL_OK);
			memset(got, 0, len);
		}
		vault_close(v);
		free(text);
		free(got);
	}
}

static void
nothing_of_it_can_be_read_and_only_its_owner_may(void **state)
{
	static const char text[] = "what a customer said, what a customer said";
	unsigned char *bytes;
	struct stat st;
	size_t len;

	(void)state;
	seal(&with_key, text, sizeof(text));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	len = get(path, &bytes);
	assert_int_equal(len, HEAD + 4 + sizeof(text) + TAG);
	assert_null(memmem(bytes, len, "customer", 8));
	free(bytes);
}

static void
it_is_there_whole_or_as_it_was_before(void **state)
{
	struct vault *v;

	(void)state;
	put(path, "before", 6);
	assert_int_equal(vault_create(path, &with_key, &v, &problem), HL_OK);
	assert_int_equal(vault_write(v, "after", 5), HL_OK);
	assert_int_equal(access(fresh, F_OK), 0);
	vault_close(v);		/* given up */
	assert_int_equal(access(fresh, F_OK), -1);
	assert_int_equal(vault_open(path, &with_key, &v, &problem), HL_BAD_REQUEST);
	assert_non_null(strstr(problem.data, "is no backup"));
	seal(&with_key, "after", 5);
	assert_true(reads("after", 5));
	assert_int_equal(access(fresh, F_OK), -1);
}

static void
what_another_one_is_writing_is_left_alone(void **state)
{
	unsigned char *bytes;
	struct vault *v;

	(void)state;
	put(fresh, "another's", 9);
	assert_int_equal(vault_create(path, &with_key, &v, &problem), HL_INTERNAL);
	assert_null(v);
	assert_non_null(strstr(problem.data, "file.new cannot be written: File exists"));
	assert_int_equal(get(fresh, &bytes), 9);
	free(bytes);
	unlink(fresh);
}

static void
a_full_disk_is_told_and_leaves_nothing(void **state)
{
	struct rlimit before, small;
	char *text = sample(4 * PIECE);
	enum hl_err err;
	struct vault *v;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ .rlim_cur = 2 * PIECE, .rlim_max = before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	for (int late = 0; late < 2; late++) {		/* while it is written, or when it is finished */
		assert_int_equal(vault_create(path, &with_key, &v, &problem), HL_OK);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		err = vault_write(v, text, late ? 2 * PIECE - 100 : 4 * PIECE);
		if (late) {
			assert_int_equal(err, HL_OK);
			err = vault_finish(v, &problem);
		}
		vault_close(v);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		assert_int_equal(err, HL_INTERNAL);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(access(fresh, F_OK), -1);
	}
	assert_non_null(strstr(problem.data, "file cannot be written: File too large"));
	free(text);
}

/* ---- as it was not ---- */

static void
a_file_that_was_cut_anywhere_is_refused(void **state)
{
	static const char text[] = "four and twenty";
	unsigned char *bytes;
	size_t len;

	(void)state;
	seal(&with_key, text, sizeof(text));
	len = get(path, &bytes);
	assert_true(reads(text, sizeof(text)));
	for (size_t n = 0; n < len; n++) {
		put(path, bytes, n);
		if (reads(text, sizeof(text)))
			fail_msg("of %zu bytes only %zu", len, n);
	}
	put(path, bytes, len);
	assert_true(reads(text, sizeof(text)));
	bytes[len] = 0;
	put(path, bytes, len + 1);
	assert_false(reads(text, sizeof(text)));
	free(bytes);
}

static void
a_file_of_which_any_bit_was_changed_is_refused(void **state)
{
	static const char text[] = "four and twenty";
	unsigned char *bytes;
	size_t len;

	(void)state;
	seal(&with_key, text, sizeof(text));
	len = get(path, &bytes);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		put(path, bytes, len);
		if (reads(text, sizeof(text)))
			fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	free(bytes);
}

/* The bytes from one place of a file, and how many. */
struct part { size_t from, len; };

static bool
reads_parts(const unsigned char *bytes, const struct part *parts, size_t count, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(fwrite(bytes + parts[i].from, 1, parts[i].len, f), parts[i].len);
	fclose(f);
	return reads(text, len);
}

static void
pieces_in_another_order_or_of_another_file_are_refused(void **state)
{
	const size_t len = 2 * PIECE + 5, piece = 4 + PIECE + TAG, end = 4 + 5 + TAG;
	const struct part head = { 0, HEAD }, one = { HEAD, piece }, two = { HEAD + piece, piece }, last = { HEAD + 2 * piece, end };
	const struct part foreign = { HEAD + 2 * piece + end + HEAD, piece };
	const struct { struct part parts[6]; size_t count; } others[] = {
		{ { head, two, one, last }, 4 }, { { head, one, last }, 3 }, { { head, one, two }, 3 }, { { head, last }, 2 },
		{ { head, one, one, two, last }, 5 }, { { head, one, two, two, last }, 5 }, { { head, one, two, last, last }, 5 },
		{ { head, foreign, two, last }, 4 }, { { head, one, two, last, head }, 5 }, { { head }, 1 },
	};
	char *text = sample(len);
	unsigned char *bytes, *second;
	size_t n;

	(void)state;
	seal(&with_key, text, len);
	n = get(path, &bytes);
	assert_int_equal(n, HEAD + 2 * piece + end);
	seal(&with_key, text, len);
	assert_int_equal(get(path, &second), n);
	bytes = realloc(bytes, 2 * n);
	memcpy(bytes + n, second, n);
	assert_true(reads_parts(bytes, (const struct part[]){ head, one, two, last }, 4, text, len));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (reads_parts(bytes, others[i].parts, others[i].count, text, len))
			fail_msg("%zu", i);
	free(bytes);
	free(second);
	free(text);
}

static void
lengths_that_cannot_be_are_refused(void **state)
{
	static const uint32_t lengths[] = { 0, 1, TAG - 1, TAG, PIECE + TAG, PIECE + TAG + 1, 0x7fffffff, 0x80000000, 0xffffffff };
	unsigned char *bytes;
	struct vault *v;
	size_t len;

	(void)state;
	seal(&with_key, "text", 4);
	len = get(path, &bytes);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (int b = 0; b < 4; b++)
			bytes[HEAD + b] = (unsigned char)(lengths[i] >> (8 * b));
		put(path, bytes, len);
		buf_reset(&problem);
		assert_int_equal(vault_open(path, &with_key, &v, &problem), HL_FORBIDDEN);
		assert_null(v);
		assert_non_null(strstr(problem.data, "this is not its key, or its beginning is damaged"));
	}
	free(bytes);
}

/* ---- keys ---- */

static void
refuse(const struct vault_secret *secret, enum hl_err why, const char *sentence)
{
	struct vault *v;

	buf_reset(&problem);
	assert_int_equal(vault_open(path, secret, &v, &problem), why);
	assert_null(v);
	if (!strstr(problem.data, sentence))
		fail_msg("\"%s\" is not in \"%s\"", sentence, problem.data);
}

static void
another_key_or_a_bad_key_file_is_refused(void **state)
{
	static const char *const bad[] = { "", "\n", "helpline-backup-key", "helpline-backup-key !!!\n",
		"helpline-backup-key AAAA\n", "helpline-seal-key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		"helpline-backup-key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" };
	char name[80];
	struct vault_secret with_bad = { .key_file = name };
	struct vault *v;

	(void)state;
	seal(&with_key, "text", 4);
	refuse(&with_other_key, HL_FORBIDDEN, "cannot be opened: this is not its key");
	refuse(&(struct vault_secret){ .passphrase = "a passphrase" }, HL_FORBIDDEN, "was sealed with a key file: name it with --key");
	snprintf(name, sizeof(name), "%s/bad", dir);
	refuse(&with_bad, HL_BAD_REQUEST, "bad cannot be read: No such file");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(name, bad[i], strlen(bad[i]));
		refuse(&with_bad, HL_BAD_REQUEST, "bad is no key file");
	}
	assert_int_equal(vault_create(path, &with_bad, &v, &problem), HL_BAD_REQUEST);
	assert_null(v);
	unlink(name);
	assert_int_equal(chmod(key, 0640), 0);
	refuse(&with_key, HL_BAD_REQUEST, "key can be read by others: chmod 600 it");
	assert_int_equal(chmod(key, 0600), 0);
	assert_true(reads("text", 4));
}

static void
a_key_is_not_written_over(void **state)
{
	unsigned char *was, *now;
	size_t len;

	(void)state;
	len = get(key, &was);
	assert_int_equal(vault_make_key(key, &problem), HL_INTERNAL);
	assert_non_null(strstr(problem.data, "key cannot be made: File exists"));
	assert_int_equal(get(key, &now), len);
	assert_memory_equal(was, now, len);
	free(was);
	free(now);
}

static void
where_there_is_nothing_it_says_so(void **state)
{
	char nowhere[80];
	struct vault *v;

	(void)state;
	refuse(&with_key, HL_BAD_REQUEST, "file cannot be read: No such file");
	snprintf(nowhere, sizeof(nowhere), "%s/no/where", dir);
	buf_reset(&problem);
	assert_int_equal(vault_create(nowhere, &with_key, &v, &problem), HL_INTERNAL);
	assert_non_null(strstr(problem.data, "no/where.new cannot be written: No such file"));
	vault_close(NULL);
}

/* A passphrase is made expensive: what the file says of how expensive is believed within bounds only. */
static void
a_passphrase_opens_what_it_sealed(void **state)
{
	static const struct vault_secret right = { .passphrase = "a passphrase" }, wrong = { .passphrase = "a passphrasf" };
	static const struct { size_t at; unsigned char byte; } hostile[] = { { 12, 0 }, { 12, 11 }, { 14, 1 }, { 15, 255 }, { 20, 1 },
		{ 23, 128 } };
	unsigned char *bytes;
	struct vault *v;
	char got[4];
	size_t len;

	(void)state;
	seal(&right, "text", 4);
	assert_int_equal(vault_open(path, &right, &v, &problem), HL_OK);
	assert_int_equal(vault_read(v, got, 4), HL_OK);
	assert_memory_equal(got, "text", 4);
	assert_true(vault_is_over(v));
	vault_close(v);
	refuse(&wrong, HL_FORBIDDEN, "this is not its passphrase");
	refuse(&with_key, HL_FORBIDDEN, "was sealed with a passphrase");
	len = get(path, &bytes);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		unsigned char was = bytes[hostile[i].at];

		bytes[hostile[i].at] = hostile[i].byte;
		put(path, bytes, len);
		refuse(&right, HL_BAD_REQUEST, "is damaged");
		bytes[hostile[i].at] = was;
	}
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_was_written_is_read_in_any_steps, forget),
		cmocka_unit_test_setup(nothing_of_it_can_be_read_and_only_its_owner_may, forget),
		cmocka_unit_test_setup(it_is_there_whole_or_as_it_was_before, forget),
		cmocka_unit_test_setup(what_another_one_is_writing_is_left_alone, forget),
		cmocka_unit_test_setup(a_full_disk_is_told_and_leaves_nothing, forget),
		cmocka_unit_test_setup(a_file_that_was_cut_anywhere_is_refused, forget),
		cmocka_unit_test_setup(a_file_of_which_any_bit_was_changed_is_refused, forget),
		cmocka_unit_test_setup(pieces_in_another_order_or_of_another_file_are_refused, forget),
		cmocka_unit_test_setup(lengths_that_cannot_be_are_refused, forget),
		cmocka_unit_test_setup(another_key_or_a_bad_key_file_is_refused, forget),
		cmocka_unit_test_setup(a_key_is_not_written_over, forget),
		cmocka_unit_test_setup(where_there_is_nothing_it_says_so, forget),
		cmocka_unit_test_setup(a_passphrase_opens_what_it_sealed, forget),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
