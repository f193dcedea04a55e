/*
 * shelf_test - sounds on disk: heard while they grow, whole or not there, what nobody has any more is gone, and the count of
 * bytes is right whatever happened.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/file.h"
#include "services/shelf.h"

#define ONE	"aaaaaaaaaaaaaaaaaaaaaa.mp3"
#define TWO	"bbbbbbbbbbbbbbbbbbbbbb.mp3"
#define KEYS	((const char (*)[SHELF_FILE_MAX])keys)

static char dir[64];
static char keys[3][SHELF_FILE_MAX] = { "kkkkkkkkkkkkkkkkkkkkk1.mp3", "kkkkkkkkkkkkkkkkkkkkk2.mp3", "kkkkkkkkkkkkkkkkkkkkk3.mp3" };
static struct shelf *shelf;

static int64_t left = INT64_MAX;	/* bytes on the disk */

int
fstatvfs(int fd, struct statvfs *ret)
{
	(void)fd;
	*ret = (struct statvfs){ .f_frsize = 1, .f_bavail = (fsblkcnt_t)left };
	return 0;
}

static int
open_one(int64_t cache_max, int64_t total_max)
{
	strcpy(dir, "/tmp/shelf_testXXXXXX");
	return mkdtemp(dir) == NULL || shelf_open(dir, cache_max, total_max, &shelf) != HL_OK;
}

static int
set_up(void **state)
{
	(void)state;
	return open_one(1000000, 10000000);
}

static int
set_up_small(void **state)
{
	(void)state;
	return open_one(1000, 2000);
}

static int
tear_down(void **state)
{
	char command[96];

	(void)state;
	shelf_close(shelf);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* ---- hands ---- */

static const char *
at(const char *place, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s/%s", dir, place, name);
	return path;
}

static bool
is_there(const char *place, const char *name)
{
	return access(at(place, name), F_OK) == 0;
}

static int
files_in(const char *place)
{
	DIR *d = opendir(at(place, ""));
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_type == DT_REG;
	closedir(d);
	return n;
}

static void
leave(const char *place, const char *name, const char *text, time_t age_s)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) - age_s }, { .tv_sec = time(NULL) - age_s } };
	FILE *f = fopen(at(place, name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(utimensat(AT_FDCWD, at(place, name), times, 0), 0);
}

static void
grow(const char *file, const char *text, struct growing *g)
{
	assert_int_equal(shelf_begin(shelf, file, g), HL_OK);
	assert_int_equal(shelf_write(shelf, g, text, strlen(text)), HL_OK);
}

static void
make(const char *file, const char *text, size_t pieces)
{
	struct growing g;

	grow(file, text, &g);
	assert_int_equal(shelf_finish(shelf, &g, KEYS, pieces), HL_OK);
	assert_int_equal(g.fd, -1);
}

static void
expect(const char *file, const char *text)
{
	struct buf out = BUF_INIT(1000);

	assert_int_equal(shelf_read(shelf, file, 1000, &out), HL_OK);
	assert_string_equal(out.data, text);
	buf_free(&out);
}

static void
expect_nothing_left(void)
{
	assert_int_equal(files_in("public") + files_in("making") + files_in("cache") + files_in("parts"), 0);
	assert_int_equal(shelf_usage(shelf), 0);
}

/* ---- one sound ---- */

static void
a_sound_is_heard_while_it_grows_and_is_whole_in_the_end(void **state)
{
	char heard[16] = "";
	struct growing g;
	bool whole;
	int fd;

	(void)state;
	assert_int_equal(shelf_listen(shelf, ONE, &fd, &whole), HL_NOT_FOUND);
	grow(ONE, "one ", &g);
	assert_int_equal(shelf_listen(shelf, ONE, &fd, &whole), HL_OK);
	assert_false(whole);
	assert_int_equal(read(fd, heard, sizeof(heard)), 4);
	assert_false(shelf_is_over(shelf, ONE, &fd, &whole));
	assert_false(is_there("public", ONE));
	assert_int_equal(shelf_write(shelf, &g, "two", 3), HL_OK);
	assert_int_equal(shelf_finish(shelf, &g, KEYS, 1), HL_OK);
	assert_true(shelf_is_over(shelf, ONE, &fd, &whole));
	assert_true(whole);
	assert_int_equal(pread(fd, heard, sizeof(heard), 0), 7);
	assert_memory_equal(heard, "one two", 7);
	close(fd);
	assert_int_equal(shelf_listen(shelf, ONE, &fd, &whole), HL_OK);
	assert_true(whole);
	close(fd);
	assert_false(is_there("making", ONE));
	expect(ONE, "one two");
	shelf_remove(shelf, ONE);
	expect_nothing_left();
}

static void
a_piece_that_has_been_said_is_not_kept_twice(void **state)
{
	struct stat one, two;
	char *piece;
	size_t len;

	(void)state;
	assert_int_equal(shelf_piece(shelf, keys[0], &piece, &len), HL_NOT_FOUND);
	make(ONE, "hello", 1);
	assert_int_equal(shelf_piece(shelf, keys[0], &piece, &len), HL_OK);
	assert_int_equal(len, 5);
	assert_memory_equal(piece, "hello", 5);
	free(piece);
	make(TWO, "hello", 1);
	assert_int_equal(stat(at("public", ONE), &one), 0);
	assert_int_equal(stat(at("public", TWO), &two), 0);
	assert_int_equal(one.st_ino, two.st_ino);
	assert_int_equal(one.st_nlink, 3);		/* the cached one is the third */
	assert_int_equal(files_in("making"), 0);
	shelf_remove(shelf, ONE);
	expect(TWO, "hello");
	assert_true(is_there("cache", keys[0]));
	shelf_remove(shelf, TWO);
	expect_nothing_left();
}

static void
pieces_go_with_the_last_sound_they_are_a_part_of(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		shelf_keep(shelf, keys[i], "piece", 5);
	assert_int_equal(shelf_usage(shelf), 15);
	make(ONE, "piecepiece", 2);
	make(TWO, "piecepiecepiece", 3);
	shelf_remove(shelf, TWO);
	assert_true(is_there("cache", keys[0]) && is_there("cache", keys[1]));
	assert_false(is_there("cache", keys[2]));
	expect(ONE, "piecepiece");
	shelf_remove(shelf, ONE);
	expect_nothing_left();
	shelf_remove(shelf, ONE);
	expect_nothing_left();
}

static void
one_that_is_removed_while_it_grows_does_not_come_back(void **state)
{
	struct growing g;
	bool whole;
	int fd;

	(void)state;
	for (size_t pieces = 1; pieces <= 2; pieces++) {
		grow(ONE, "never heard", &g);
		assert_int_equal(shelf_listen(shelf, ONE, &fd, &whole), HL_OK);
		shelf_remove(shelf, ONE);
		assert_int_equal(shelf_finish(shelf, &g, KEYS, pieces), HL_NOT_FOUND);
		shelf_abandon(shelf, &g);
		assert_true(shelf_is_over(shelf, ONE, &fd, &whole));
		assert_false(whole);
		close(fd);
		assert_int_equal(files_in("public") + files_in("making") + files_in("parts"), 0);
	}
}

static void
one_that_is_begun_again_or_given_up_is_not_counted(void **state)
{
	struct growing g;

	(void)state;
	grow(ONE, "a first attempt", &g);
	assert_int_equal(shelf_restart(shelf, &g), HL_OK);
	assert_int_equal(shelf_usage(shelf), 0);
	assert_int_equal(shelf_write(shelf, &g, "b", 1), HL_OK);
	assert_int_equal(shelf_usage(shelf), 1);
	shelf_abandon(shelf, &g);
	assert_int_equal(g.fd, -1);
	shelf_abandon(shelf, &g);
	expect_nothing_left();
}

static void
who_listens_to_one_that_is_begun_again_is_told_so(void **state)
{
	struct growing g;
	bool whole;
	int fd, other;

	(void)state;
	grow(ONE, "a first attempt", &g);
	assert_int_equal(shelf_listen(shelf, ONE, &fd, &whole), HL_OK);
	assert_int_equal(shelf_restart(shelf, &g), HL_OK);
	assert_true(shelf_is_over(shelf, ONE, &fd, &whole));
	assert_false(whole);
	assert_int_equal(shelf_listen(shelf, ONE, &other, &whole), HL_OK);
	assert_false(shelf_is_over(shelf, ONE, &other, &whole));
	close(other);
	close(fd);
	assert_int_equal(shelf_write(shelf, &g, "another", 7), HL_OK);
	shelf_remove(shelf, ONE);
	assert_int_equal(shelf_restart(shelf, &g), HL_NOT_FOUND);
	assert_false(is_there("making", ONE));
	shelf_abandon(shelf, &g);
	expect_nothing_left();
}

static void
what_one_makes_no_other_begins(void **state)
{
	struct growing g, other;

	(void)state;
	grow(ONE, "hello", &g);
	assert_int_equal(shelf_begin(shelf, ONE, &other), HL_CONFLICT);
	assert_int_equal(other.fd, -1);
	assert_int_equal(shelf_finish(shelf, &g, KEYS, 0), HL_OK);
	assert_int_equal(shelf_begin(shelf, ONE, &other), HL_CONFLICT);
	assert_int_equal(files_in("making"), 0);
	expect(ONE, "hello");
}

static void
expect_order(const char *file, const char *text)
{
	struct buf out = BUF_INIT(1000);

	assert_int_equal(shelf_ordered(shelf, file, &out), text ? HL_OK : HL_NOT_FOUND);
	if (text)
		assert_string_equal(out.data, text);
	buf_free(&out);
}

static void
what_was_ordered_is_owed_until_it_is_whole_or_gone(void **state)
{
	struct growing g;

	(void)state;
	expect_order(ONE, NULL);
	shelf_order(shelf, ONE, "first", 6);
	grow(ONE, "half", &g);
	shelf_order(shelf, ONE, "second", 7);
	shelf_abandon(shelf, &g);
	expect_order(ONE, "second");
	make(ONE, "whole", 0);
	expect_order(ONE, NULL);
	shelf_order(shelf, TWO, "of what is deleted", 19);
	shelf_remove(shelf, TWO);
	expect_order(TWO, NULL);
	shelf_order(shelf, TWO, "of what has nothing to say", 27);
	shelf_order_done(shelf, TWO);
	expect_order(TWO, NULL);
	leave("orders", ONE, "of last week", 8 * 86400);
	leave("orders", TWO, "of yesterday", 86400);
	shelf_tend(shelf);
	assert_false(is_there("orders", ONE));
	assert_true(is_there("orders", TWO));
}

static void
no_more_is_read_than_is_asked_for(void **state)
{
	struct buf out = BUF_INIT(1000);

	(void)state;
	make(ONE, "hello", 0);
	assert_int_equal(shelf_read(shelf, ONE, 4, &out), HL_TOO_LARGE);
	assert_int_equal(shelf_read(shelf, TWO, 4, &out), HL_NOT_FOUND);
	assert_int_equal(out.len, 0);
	assert_int_equal(shelf_read(shelf, ONE, 5, &out), HL_OK);
	assert_int_equal(out.len, 5);
	buf_free(&out);
}

/* ---- bounds ---- */

static void
past_the_quota_nothing_more_is_written(void **state)
{
	char text[1801];
	struct growing g;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_false(shelf_full(shelf));
	assert_int_equal(shelf_begin(shelf, ONE, &g), HL_OK);
	assert_int_equal(shelf_write(shelf, &g, text, 1800), HL_OK);
	assert_true(shelf_full(shelf));		/* less than an eighth is left */
	assert_int_equal(shelf_write(shelf, &g, text, 201), HL_TOO_LARGE);
	shelf_keep(shelf, keys[0], text, 201);
	assert_false(is_there("cache", keys[0]));
	assert_int_equal(shelf_write(shelf, &g, text, 200), HL_OK);
	shelf_abandon(shelf, &g);
	assert_false(shelf_full(shelf));
	expect_nothing_left();
}

static void
the_disk_is_never_filled(void **state)
{
	struct growing g, other;

	(void)state;
	assert_int_equal(shelf_begin(shelf, ONE, &g), HL_OK);
	left = DISK_ROOM + 4;
	assert_int_equal(shelf_write(shelf, &g, "four", 4), HL_OK);
	assert_false(shelf_full(shelf));
	left = DISK_ROOM;
	shelf_keep(shelf, keys[0], "four", 4);
	assert_false(is_there("cache", keys[0]));
	assert_int_equal(shelf_write(shelf, &g, "x", 1), HL_TOO_LARGE);
	assert_true(shelf_full(shelf));		/* so nothing more is promised */
	assert_int_equal(shelf_begin(shelf, TWO, &other), HL_TOO_LARGE);
	shelf_abandon(shelf, &g);
	left = INT64_MAX;
}

static void
the_least_recently_used_go_until_a_tenth_is_free(void **state)
{
	char text[101], *piece, name[SHELF_FILE_MAX];
	size_t len;

	(void)state;
	memset(text, 'x', 100);
	for (int i = 0; i < 12; i++) {
		struct timespec times[2] = { { .tv_sec = 0 }, { .tv_sec = time(NULL) - 1000 + i } };

		snprintf(name, sizeof(name), "key%02d.mp3", i);
		shelf_keep(shelf, name, text, 100);
		assert_int_equal(utimensat(AT_FDCWD, at("cache", name), times, 0), 0);
		assert_int_equal(shelf_wants_tending(shelf), i >= 10);
	}
	assert_int_equal(shelf_piece(shelf, "key00.mp3", &piece, &len), HL_OK);		/* it counts as used now */
	free(piece);
	shelf_tend(shelf);
	assert_int_equal(files_in("cache"), 9);
	assert_int_equal(shelf_usage(shelf), 900);
	assert_true(is_there("cache", "key00.mp3"));
	assert_false(is_there("cache", "key01.mp3") || is_there("cache", "key02.mp3") || is_there("cache", "key03.mp3"));
	assert_true(is_there("cache", "key04.mp3"));
	assert_false(shelf_wants_tending(shelf));
}

/* ---- what the dead left ---- */

/* Another process begins one, and dies. */
static void
die_with(const char *file)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct shelf *mine;
		struct growing g;

		_exit(shelf_open(dir, 1000000, 10000000, &mine) || shelf_begin(mine, file, &g) || shelf_write(mine, &g, "half", 4));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
what_a_dead_maker_left_goes_and_a_living_ones_stays(void **state)
{
	struct growing g;
	bool whole;
	int fd;

	(void)state;
	grow(ONE, "alive", &g);
	die_with(TWO);
	assert_true(is_there("making", TWO));
	assert_int_equal(shelf_usage(shelf), 9);
	die_with(TWO);						/* in place of the other one */
	assert_int_equal(shelf_usage(shelf), 9);
	assert_int_equal(shelf_listen(shelf, TWO, &fd, &whole), HL_NOT_FOUND);
	shelf_tend(shelf);
	assert_false(is_there("making", TWO));
	assert_true(is_there("making", ONE));
	assert_int_equal(shelf_usage(shelf), 5);
	assert_int_equal(shelf_finish(shelf, &g, KEYS, 0), HL_OK);
	expect(ONE, "alive");
}

static void
parts_of_no_sound_and_broken_files_go_after_a_while(void **state)
{
	static const char *const hidden[] = { "public", "making", "cache", "parts", "orders" };
	char list[2 * SHELF_FILE_MAX + 4], one[SHELF_NAME_LEN + 1] = "", two[SHELF_NAME_LEN + 1] = "";

	(void)state;
	memcpy(one, ONE, SHELF_NAME_LEN);
	memcpy(two, TWO, SHELF_NAME_LEN);
	for (size_t i = 0; i < 5; i++) {
		leave(hidden[i], ".old", "broken", 3600);
		leave(hidden[i], ".new", "being written", 0);
	}
	shelf_keep(shelf, keys[0], "piece", 5);
	make(ONE, "a sound", 2);
	leave("parts", one, keys[0], 3600);		/* of a sound that is there */
	snprintf(list, sizeof(list), "%s\n%s\n", keys[0], keys[1]);
	leave("parts", two, list, 3600);		/* of one that is not */
	leave("parts", "bbbbbbbbbbbbbbbbbbbbbb.0", "piece", 3600);
	shelf_tend(shelf);
	for (size_t i = 0; i < 5; i++) {
		assert_false(is_there(hidden[i], ".old"));
		assert_true(is_there(hidden[i], ".new"));
	}
	assert_true(is_there("parts", one) && is_there("public", ONE));
	assert_false(is_there("parts", two) || is_there("parts", "bbbbbbbbbbbbbbbbbbbbbb.0"));
	assert_true(is_there("cache", keys[0]));	/* the other sound has a part in it */
}

static void
a_count_that_went_wrong_is_made_anew(void **state)
{
	struct { int64_t total, cache, tended_s; } usage = { -5, 1 << 30, time(NULL) + 86400 };	/* by a clock that ran ahead */
	FILE *f;

	(void)state;
	make(ONE, "hello", 1);				/* and the cached one, which is the same */
	shelf_keep(shelf, keys[1], "other", 5);
	f = fopen(at(".", "usage"), "r+");
	assert_non_null(f);
	assert_int_equal(fwrite(&usage, sizeof(usage), 1, f), 1);
	fclose(f);
	assert_int_equal(shelf_usage(shelf), -5);
	assert_true(shelf_wants_tending(shelf));
	shelf_tend(shelf);
	assert_int_equal(shelf_usage(shelf), 5 + 5 + SHELF_NAME_LEN + 4 + 1);	/* with the list of its one piece */
	assert_false(shelf_wants_tending(shelf));
	assert_int_equal(files_in("cache"), 2);
}

static void
where_there_can_be_no_folder_it_says_so(void **state)
{
	struct shelf *none;

	(void)state;
	assert_int_equal(shelf_open("/dev/null", 1, 1, &none), HL_INTERNAL);
	assert_int_equal(errno, ENOTDIR);
	assert_null(none);
	assert_int_equal(rmdir(at("making", "")), 0);
	leave(".", "making", "in the way", 0);
	assert_int_equal(shelf_open(dir, 1, 1, &none), HL_INTERNAL);
	assert_null(none);
}

#define TEST(name)		cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_SMALL(name)	cmocka_unit_test_setup_teardown(name, set_up_small, tear_down)

static uid_t
owner_of(const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(lstat(path, &st), 0);
	return st.st_uid;
}

/* An administrator's command may be the first to come, and root. */
static void
what_root_makes_is_the_owners_of_the_folder(void **state)
{
	static const char *const names[] = { "public", "cache", "parts", "making", "usage" };
	char path[128], elsewhere[] = "/tmp/shelf_awayXXXXXX";
	struct shelf *other;
	struct stat st;

	(void)state;
	if (geteuid() != 0 || chown(dir, 65534, 65534) != 0)
		skip();
	assert_int_equal(shelf_open(dir, 1000000, 10000000, &other), HL_OK);
	shelf_close(other);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(owner_of(names[i]), 65534);
	assert_non_null(mkdtemp(elsewhere));
	snprintf(path, sizeof(path), "%s/cache", dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink(elsewhere, path), 0);
	assert_int_not_equal(shelf_open(dir, 1000000, 10000000, &other), HL_OK);
	assert_int_equal(stat(elsewhere, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(rmdir(elsewhere), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sound_is_heard_while_it_grows_and_is_whole_in_the_end),
		TEST(a_piece_that_has_been_said_is_not_kept_twice),
		TEST(pieces_go_with_the_last_sound_they_are_a_part_of),
		TEST(one_that_is_removed_while_it_grows_does_not_come_back),
		TEST(one_that_is_begun_again_or_given_up_is_not_counted),
		TEST(who_listens_to_one_that_is_begun_again_is_told_so),
		TEST(what_one_makes_no_other_begins),
		TEST(what_was_ordered_is_owed_until_it_is_whole_or_gone),
		TEST(no_more_is_read_than_is_asked_for),
		TEST_SMALL(past_the_quota_nothing_more_is_written),
		TEST(the_disk_is_never_filled),
		TEST_SMALL(the_least_recently_used_go_until_a_tenth_is_free),
		TEST(what_a_dead_maker_left_goes_and_a_living_ones_stays),
		TEST(parts_of_no_sound_and_broken_files_go_after_a_while),
		TEST(a_count_that_went_wrong_is_made_anew),
		TEST(where_there_can_be_no_folder_it_says_so),
		TEST(what_root_makes_is_the_owners_of_the_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
