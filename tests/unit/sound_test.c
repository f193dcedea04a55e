/*
 * sound_test - recordings: what they are, how long, and where they are kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sound.h"
#include "services/uploads.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FOLDER	"AAAAAAAAAAAAAAAAAAAAAA"
#define OTHER	"BBBBBBBBBBBBBBBBBBBBBB"

static char files[64];		/* where recordings are kept in this test */

static struct sound
read_file(const char *name, char **ret, size_t *len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/sound/%s", SRCDIR, name);
	f = fopen(path, "rb");
	assert_non_null(f);
	*ret = malloc(1 << 16);
	*len = fread(*ret, 1, 1 << 16, f);
	fclose(f);
	return sound_read(*ret, *len);
}

static void
each_kind_is_known_by_its_bytes(void **state)
{
	static const struct { const char *name; enum container container; int least, most; } known[] = {
		{ "s.wav", CONTAINER_WAV, 100, 100 }, { "h.mp3", CONTAINER_MP3, 300, 450 }, { "tag.mp3", CONTAINER_MP3, 300, 450 },
		{ "h.ogg", CONTAINER_OGG, 300, 300 }, { "v.ogg", CONTAINER_OGG, 300, 300 }, { "h.webm", CONTAINER_WEBM, 300, 320 },
		{ "live.webm", CONTAINER_WEBM, 280, 320 }, { "h.m4a", CONTAINER_M4A, 300, 400 }, { "frag.m4a", CONTAINER_M4A, -1, -1 },
		{ "page.wav", CONTAINER_NONE, -1, -1 }, { "cut.wav", CONTAINER_NONE, -1, -1 }, { "cut.webm", CONTAINER_NONE, -1, -1 },
	};
	char *bytes;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		struct sound s = read_file(known[i].name, &bytes, &len);

		free(bytes);
		if (s.container != known[i].container || s.cut || s.duration_ms < known[i].least || s.duration_ms > known[i].most)
			fail_msg("%s: %s, %lld ms, cut %d", known[i].name, container_extension(s.container), (long long)s.duration_ms, s.cut);
	}
}

static void
what_is_cut_off_is_noticed(void **state)
{
	static const char *const names[] = { "s.wav", "h.ogg", "h.webm", "h.m4a" };
	char *bytes;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		(void)read_file(names[i], &bytes, &len);
		for (size_t n = 0; n + 4 < len; n += 7) {
			char *copy = malloc(n + 1);	/* its end is the end of the memory */
			struct sound s;

			memcpy(copy, bytes, n);
			s = sound_read(copy, n);
			if (s.container != CONTAINER_NONE && !s.cut && n < len / 2)
				fail_msg("%s is whole with %zu of %zu bytes", names[i], n, len);
			free(copy);
		}
		free(bytes);
	}
}

static void
a_header_is_read_as_it_was_written(void **state)
{
	unsigned char wav[WAV_HEADER + 32000] = { 0 };
	struct sound s;

	(void)state;
	wav_header(16000, 32000, wav);
	s = sound_read(wav, sizeof(wav));
	assert_int_equal(s.container, CONTAINER_WAV);
	assert_int_equal(s.duration_ms, 1000);
	assert_false(s.cut);
	assert_true(sound_read(wav, sizeof(wav) - 1).cut);
}

static bool
note(void *arg, const char *folder)
{
	*(int *)arg += 1;
	return strcmp(folder, OTHER) == 0;
}

static void
recordings_are_kept_within_their_bounds(void **state)
{
	char url[UPLOAD_URL_MAX], other[UPLOAD_URL_MAX], path[256] = "";
	int seen = 0;

	(void)state;
	assert_int_equal(upload_keep(files, 100, FOLDER, "webm", "0123456789", 10, url), HL_OK);
	assert_int_equal(strncmp(url, "/uploads/" FOLDER "-", 32), 0);
	snprintf(path, sizeof(path), "%s/" FOLDER "/%s", files, url + 32);
	assert_int_equal(access(path, R_OK), 0);
	assert_int_equal(upload_keep(files, 100, OTHER, "wav", path, 91, other), HL_TOO_LARGE);
	assert_int_equal(upload_keep(files, 100, OTHER, "wav", path, 90, other), HL_OK);
	upload_drop(files, "/uploads/../../etc/passwd");
	upload_drop(files, "/uploads/" FOLDER "-../" OTHER);
	upload_drop(files, "");
	assert_int_equal(access(path, R_OK), 0);
	uploads_sweep(files, 3600, note, &seen);
	assert_int_equal(seen, 0);		/* they are new */
	uploads_sweep(files, 0, note, &seen);
	assert_int_equal(seen, 2);
	assert_int_equal(access(path, R_OK), -1);
	uploads_remove(files, "..");
	uploads_remove(files, OTHER);
	snprintf(path, sizeof(path), "%s/usage", files);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(files), 0);		/* nothing else is left */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_known_by_its_bytes), cmocka_unit_test(what_is_cut_off_is_noticed),
		cmocka_unit_test(a_header_is_read_as_it_was_written), cmocka_unit_test(recordings_are_kept_within_their_bounds),
	};

	strcpy(files, "/tmp/sound_test.XXXXXX");
	if (mkdtemp(files) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
