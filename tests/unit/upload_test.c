/*
 * upload_test - forms with a file in them, what bytes are an image, and files that are kept whole or not at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/image.h"
#include "base/multipart.h"
#include "services/file.h"
#include "services/uploads.h"

#define COUNT(a)	(sizeof(a) / sizeof(*(a)))
#define TYPE		"multipart/form-data; boundary=XyZ"

static const char form[] =
	"--XyZ\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nfirst\r\n"
	"--XyZ\r\nContent-Type: image/png\r\ncontent-disposition: form-data; filename=\"a;name=b.png\"; name=\"avatar\"\r\n\r\n"
	"\x89PNG\r\n--Xy\0Z\r\n\r\n"
	"--XyZ\r\nContent-Disposition: form-data; name=empty\r\n\r\n\r\n"
	"--XyZ--\r\n";

static void
parts_are_found_in_place(void **state)
{
	static const char avatar[] = "\x89PNG\r\n--Xy\0Z\r\n";
	struct multipart m;
	struct part p;

	(void)state;
	assert_int_equal(multipart_open(&m, TYPE, form, sizeof(form) - 1), HL_OK);
	assert_int_equal(multipart_next(&m, &p), HL_OK);
	assert_int_equal(p.len, 5);
	assert_memory_equal(p.data, "first", 5);
	assert_int_equal(multipart_next(&m, &p), HL_OK);
	assert_int_equal(p.name_len, 6);
	assert_memory_equal(p.name, "avatar", 6);
	assert_int_equal(p.len, sizeof(avatar) - 1);
	assert_memory_equal(p.data, avatar, p.len);
	assert_int_equal(multipart_next(&m, &p), HL_OK);
	assert_memory_equal(p.name, "empty", p.name_len);
	assert_int_equal(p.len, 0);
	assert_int_equal(multipart_next(&m, &p), HL_NOT_FOUND);
	assert_int_equal(multipart_find(TYPE, form, sizeof(form) - 1, "other", &p), HL_NOT_FOUND);
	assert_int_equal(multipart_find("Multipart/Form-Data;charset=x; Boundary=\"XyZ\"", form, sizeof(form) - 1, "note", &p), HL_OK);
}

/* Cut at every byte, in memory that ends there: never a part of what is not whole, and nothing is read beyond. */
static void
what_is_cut_off_is_refused(void **state)
{
	struct part p;

	(void)state;
	for (size_t n = 0; n < sizeof(form) - 1; n++) {
		char *copy = malloc(n ? n : 1);
		enum hl_err err;

		memcpy(copy, form, n);
		err = multipart_find(TYPE, copy, n, "nobody", &p);
		assert_true(err == HL_BAD_REQUEST || (err == HL_NOT_FOUND && n >= sizeof(form) - 3));
		free(copy);
	}
}

static void
boundaries_that_are_none(void **state)
{
	static const char *const types[] = { "", "text/plain", "multipart/mixed; boundary=XyZ", "multipart/form-data",
		"multipart/form-data;", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
		"multipart/form-data; boundary=\"XyZ", "multipart/form-data; notboundary=XyZ", "multipart/form-databoundary=XyZ",
		"multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x" };
	struct part p;

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++)
		if (multipart_find(types[i], form, sizeof(form) - 1, "note", &p) != HL_BAD_REQUEST)
			fail_msg("%s", types[i]);
	assert_false(multipart_is(NULL));
}

static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\10\0\0\0\0crc1" "\0\0\0\1IDATxcrc2" "\0\0\0\0IENDcrc3";
static const char gif[] = "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\0;";
static const char jpeg[] = "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xd9";
static const char webp[] = "RIFF\x10\0\0\0WEBPVP8L\4\0\0\0abcd";

static void
an_image_is_what_its_bytes_are_whole(void **state)
{
	static const struct { const char *bytes; size_t len; const char *type; } images[] = {
		{ png, sizeof(png) - 1, "png" }, { gif, sizeof(gif) - 1, "gif" }, { jpeg, sizeof(jpeg) - 1, "jpg" },
		{ webp, sizeof(webp) - 1, "webp" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(images); i++) {
		size_t len = images[i].len;
		char *copy = malloc(len + 1);

		assert_non_null(image_type(images[i].bytes, len));
		assert_string_equal(image_type(images[i].bytes, len), images[i].type);
		memcpy(copy, images[i].bytes, len);
		copy[len] = 'x';
		assert_null(image_type(copy, len + 1));
		free(copy);
		for (size_t n = 0; n < len; n++) {
			copy = malloc(n ? n : 1);
			memcpy(copy, images[i].bytes, n);
			assert_null(image_type(copy, n));
			free(copy);
		}
	}
	assert_null(image_type("<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>", 53));
	assert_null(image_type("<html>GIF89a</html>", 19));
}

static int64_t left = INT64_MAX;	/* bytes on the disk */

int
fstatvfs(int fd, struct statvfs *ret)
{
	(void)fd;
	*ret = (struct statvfs){ .f_frsize = 1, .f_bavail = (fsblkcnt_t)left };
	return 0;
}

static size_t
entries(const char *dir)
{
	DIR *list = opendir(dir);
	size_t n = 0;

	while (readdir(list))
		n++;
	closedir(list);
	return n - 2;
}

static void
files_are_kept_whole(void **state)
{
	char top[] = "/tmp/upload_test.XXXXXX", dir[64], path[96];
	struct file_view v;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/images", top);
	snprintf(path, sizeof(path), "%s/a.png", dir);
	assert_int_equal(file_open(path, 100, &v), HL_NOT_FOUND);
	assert_int_equal(file_keep(dir, "a.png", "first", 5), HL_OK);
	assert_int_equal(file_keep(dir, "a.png", "second", 6), HL_OK);
	assert_int_equal(entries(dir), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_open(path, 5, &v), HL_TOO_LARGE);
	assert_int_equal(file_open(path, 6, &v), HL_OK);
	assert_int_equal(v.len, 6);
	assert_memory_equal(v.data, "second", 6);
	file_close(&v);
	assert_int_equal(file_keep(dir, "empty", "", 0), HL_OK);
	file_remove(dir, "a.png");
	file_remove(dir, "a.png");
	assert_int_equal(entries(dir), 1);
	assert_int_equal(file_open(dir, 100, &v), HL_INTERNAL);
	snprintf(path, sizeof(path), "%s/link", dir);
	assert_int_equal(symlink("empty", path), 0);
	assert_int_equal(file_open(path, 100, &v), HL_INTERNAL);
	assert_int_equal(file_keep("/proc/nowhere/at/all", "x", "x", 1), HL_INTERNAL);
	snprintf(path, sizeof(path), "rm -rf %s", top);
	assert_int_equal(system(path), 0);
}

static void
the_disk_is_never_filled(void **state)
{
	char top[] = "/tmp/upload_test.XXXXXX", url[UPLOAD_URL_MAX], command[64];

	(void)state;
	assert_non_null(mkdtemp(top));
	left = DISK_ROOM + 5;
	assert_int_equal(file_keep(top, "a.png", "bytes", 5), HL_OK);
	left--;
	assert_int_equal(file_keep(top, "b.png", "bytes", 5), HL_INTERNAL);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(upload_keep(top, 1000, "aaaaaaaaaaaaaaaaaaaaaa", "webm", "bytes", 5, url), HL_TOO_LARGE);
	assert_string_equal(url, "");
	assert_int_equal(file_keep(top, "a.png", "byte", 4), HL_OK);
	left = INT64_MAX;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	assert_int_equal(system(command), 0);
}

/* Another process keeps a recording of that many bytes, whenever it is told to; it says what came of it. */
static enum hl_err
keeper_says(int ask, int answers, unsigned char bytes)
{
	unsigned char err;

	assert_int_equal(write(ask, &bytes, 1), 1);
	assert_int_equal(read(answers, &err, 1), 1);
	return err;
}

static void
keep_for_another(const char *top, int asked, int answer)
{
	char bytes[256] = "", url[UPLOAD_URL_MAX];
	unsigned char len, err;

	while (read(asked, &len, 1) == 1) {
		err = (unsigned char)upload_keep(top, 300, "bbbbbbbbbbbbbbbbbbbbbb", "webm", bytes, len, url);
		if (write(answer, &err, 1) != 1)
			break;
	}
	_exit(0);
}

static void
the_quota_is_all_processes(void **state)
{
	char top[] = "/tmp/upload_test.XXXXXX", bytes[256] = "", url[UPLOAD_URL_MAX], command[64];
	int ask[2], answers[2], status;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(top));
	assert_int_equal(pipe(ask), 0);
	assert_int_equal(pipe(answers), 0);
	pid = fork();
	if (pid == 0) {
		close(ask[1]);
		keep_for_another(top, ask[0], answers[1]);
	}
	assert_int_equal(keeper_says(ask[1], answers[0], 1), HL_OK);
	assert_int_equal(upload_keep(top, 300, "aaaaaaaaaaaaaaaaaaaaaa", "webm", bytes, 200, url), HL_OK);
	assert_int_equal(keeper_says(ask[1], answers[0], 100), HL_TOO_LARGE);
	assert_int_equal(keeper_says(ask[1], answers[0], 99), HL_OK);
	assert_int_equal(upload_keep(top, 300, "aaaaaaaaaaaaaaaaaaaaaa", "webm", bytes, 1, url), HL_TOO_LARGE);
	close(ask[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_found_in_place),
		cmocka_unit_test(what_is_cut_off_is_refused),
		cmocka_unit_test(boundaries_that_are_none),
		cmocka_unit_test(an_image_is_what_its_bytes_are_whole),
		cmocka_unit_test(files_are_kept_whole),
		cmocka_unit_test(the_disk_is_never_filled),
		cmocka_unit_test(the_quota_is_all_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
