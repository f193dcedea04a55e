/*
 * archive_test - what a backup says inside its seal, and the store that it is of: all of it comes back, and of what was cut,
 * changed or made up by somebody who has the key nothing is taken that is not Helpline's.
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

#include "base/clock.h"
#include "helpline/archive.h"
#include "own_redis.h"
#include "records/keys.h"
#include "services/redis.h"

static struct store *const store = &own_store;
static char path[96], key[96], sound[96];
static struct vault_secret secret = { .key_file = key };
static struct buf problem = BUF_INIT(4096);

static int
set_up(void **state)
{
	int failed = own_redis_set_up(state);

	snprintf(path, sizeof(path), "%s/backup", own_redis_directory());
	snprintf(key, sizeof(key), "%s/key", own_redis_directory());
	snprintf(sound, sizeof(sound), "%s/sound", own_redis_directory());
	return failed || vault_make_key(key, &problem) != HL_OK;
}

static int
tear_down(void **state)
{
	buf_free(&problem);
	return own_redis_tear_down(state);
}

/* ---- hands ---- */

static void
seal(const void *bytes, size_t len)
{
	struct vault *v;

	assert_int_equal(vault_create(path, &secret, &v, &problem), HL_OK);
	assert_int_equal(vault_write(v, bytes, len), HL_OK);
	assert_int_equal(vault_finish(v, &problem), HL_OK);
	vault_close(v);
}

/* What was told, and that it is ours. */
struct told { int items, keys, files; };

static enum hl_err
see_items(void *arg, const char *name, enum stored_type type, const struct redis_arg *items, size_t count)
{
	struct told *told = arg;
	enum stored_type known;
	bool passing;

	assert_true(inventory_type(name, &known, &passing) && !passing && known == type);
	assert_in_range(count, 1, INVENTORY_ITEMS);
	assert_true((type != STORED_HASH && type != STORED_ZSET) || count % 2 == 0);
	for (size_t i = 0; i < count; i++)
		assert_non_null(items[i].bytes);
	told->items += (int)count;
	return HL_OK;
}

static enum hl_err
see_key(void *arg, const char *name, int64_t expires_ms)
{
	(void)expires_ms;
	assert_true(strlen(name) < INVENTORY_KEY_MAX);
	((struct told *)arg)->keys++;
	return HL_OK;
}

static enum hl_err
see_file(void *arg, enum area a, const char *name, const void *bytes, size_t len)
{
	assert_true(a < AREAS && area_takes(a, name));
	assert_true(bytes || len == 0);
	((struct told *)arg)->files++;
	return HL_OK;
}

static enum hl_err
read_with(const struct archive_calls *calls, struct buf *meta, struct archive_totals *totals)
{
	struct vault *v;
	enum hl_err err = vault_open(path, &secret, &v, &problem);

	assert_int_equal(err, HL_OK);
	err = archive_read(v, calls, meta, totals);
	vault_close(v);
	return err;
}

static enum hl_err
read_it(struct told *told)
{
	const struct archive_calls calls = { see_items, see_key, see_file, told };
	struct buf meta = BUF_INIT(4096);
	struct archive_totals totals;
	enum hl_err err;

	*told = (struct told){ 0 };
	err = read_with(&calls, &meta, &totals);
	buf_free(&meta);
	return err;
}

/* Little-endian. */
static void
number(struct buf *b, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++, value >>= 8)
		buf_add(b, &(char){ (char)value }, 1);
}

static void
text(struct buf *b, const char *s)
{
	number(b, strlen(s), 4);
	buf_puts(b, s);
}

#define META "{\"format\":1,\"version\":\"0\"}"

static void
begin(struct buf *b)
{
	buf_puts(b, "M");
	text(b, META);
}

static void
end(struct buf *b, uint64_t keys, uint64_t files)
{
	buf_puts(b, "Z");
	number(b, keys, 8);
	number(b, files, 8);
}

static void
add_key(struct buf *b, uint64_t type, const char *name, uint64_t count)
{
	buf_puts(b, "K");
	number(b, type, 4);
	number(b, 0, 8);
	text(b, name);
	number(b, count, 8);
}

static void
add_file(struct buf *b, uint64_t area, const char *name, uint64_t size)
{
	buf_puts(b, "F");
	number(b, area, 4);
	text(b, name);
	number(b, size, 8);
}

#define CALL	"c:{0}:aaaaaaaaaaaaaaaaaaaaaa"

static void
small_archive(struct buf *b)
{
	begin(b);
	add_key(b, STORED_HASH, CALL, 2);
	text(b, "field");
	text(b, "");
	add_key(b, STORED_LIST, CALL ":log", 1);
	text(b, "entry");
	add_file(b, AREA_UPLOADS, "aa/b.wav", 4);
	buf_puts(b, "RIFF");
	add_file(b, AREA_AVATARS, "empty", 0);
	end(b, 2, 2);
}

/* ---- there and back ---- */

static void
fill_store(void)
{
	static char large[700000];
	const struct redis_arg log[] = { RAN(large, sizeof(large)), RAN("\0\xff\r\n", 4), RAN("", 0), RAN(large, sizeof(large)) };

	memset(large, 'x', sizeof(large));
	for (int i = 0; i < 150; i++) {
		own_redis("HSET " CALL " field%d value%d", i, i);
		own_redis("ZADD u:{0}:aaaaaaaaaaaaaaaaaaaaaa:recent %d.5 member%d", i, i);
	}
	assert_int_equal(inventory_add(store, CALL ":log", STORED_LIST, log, 4), HL_OK);
	own_redis("SET email:{0}:aaaaaaaaaaaaaaaaaaaaaa somebody");
	own_redis("PEXPIREAT email:{0}:aaaaaaaaaaaaaaaaaaaaaa %lld", (long long)clock_wall_ms() + 3600000);
	own_redis("SET rl:{0}:limit 1");
	own_redis("HSET job:{0}:x a b");
	own_redis("SET not:ours 1");
	own_redis("SET c:{0}x:unlike-ours 1");
}

static void
save_store(struct archive_totals *totals)
{
	struct stored group[INVENTORY_STEP];
	struct inventory names;
	struct vault *v;
	FILE *f = fopen(sound, "w");

	fputs("RIFF sound", f);
	fclose(f);
	f = fopen(sound, "r");
	assert_int_equal(vault_create(path, &secret, &v, &problem), HL_OK);
	assert_int_equal(archive_begin(v, true), HL_OK);
	assert_int_equal(inventory_read(store, false, &names), HL_OK);
	assert_int_equal(names.count, 4);
	assert_int_equal(inventory_get(store, (const char *const *)names.keys, names.count, group), HL_OK);
	for (size_t i = 0; i < names.count; i++)
		assert_int_equal(archive_key(v, &group[i], totals), HL_OK);
	assert_int_equal(archive_file(v, AREA_AUDIO, "a.wav", fileno(f), totals), HL_OK);
	assert_int_equal(archive_end(v, totals), HL_OK);
	assert_int_equal(vault_finish(v, &problem), HL_OK);
	vault_close(v);
	fclose(f);
	inventory_free(&names);
}

static enum hl_err
put_items(void *arg, const char *name, enum stored_type type, const struct redis_arg *items, size_t count)
{
	(void)arg;
	return inventory_add(store, name, type, items, count);
}

static enum hl_err
put_expiry(void *arg, const char *name, int64_t expires_ms)
{
	(void)arg;
	return expires_ms ? inventory_expire(store, name, expires_ms) : HL_OK;
}

static enum hl_err
expect_sound(void *arg, enum area a, const char *name, const void *bytes, size_t len)
{
	(void)arg;
	assert_int_equal(a, AREA_AUDIO);
	assert_string_equal(name, "a.wav");
	assert_int_equal(len, 10);
	assert_memory_equal(bytes, "RIFF sound", 10);
	return HL_OK;
}

static void
expect_store(void)
{
	const struct redis_reply *reply;
	int64_t left;
	size_t len;

	assert_int_equal(redis_int(own_redis("HLEN " CALL)), 150);
	assert_string_equal(redis_str(own_redis("HGET " CALL " field149"), NULL), "value149");
	assert_int_equal(redis_int(own_redis("ZCARD u:{0}:aaaaaaaaaaaaaaaaaaaaaa:recent")), 150);
	assert_string_equal(redis_str(own_redis("ZSCORE u:{0}:aaaaaaaaaaaaaaaaaaaaaa:recent member77"), NULL), "77.5");
	reply = own_redis("LRANGE " CALL ":log 0 -1");
	assert_int_equal(redis_length(reply), 4);
	assert_non_null(redis_str(redis_at(reply, 0), &len));
	assert_int_equal(len, 700000);
	assert_memory_equal(redis_str(redis_at(reply, 1), &len), "\0\xff\r\n", 4);
	assert_int_equal(len, 4);
	assert_string_equal(redis_str(redis_at(reply, 2), NULL), "");
	left = redis_int(own_redis("PTTL email:{0}:aaaaaaaaaaaaaaaaaaaaaa"));
	assert_in_range(left, 3000000, 3600000);
	assert_int_equal(redis_int(own_redis("DBSIZE")), 4);
}

TASK_TEST(a_store_comes_back_as_it_was_and_without_what_passes_or_is_not_ours)
{
	const struct archive_calls calls = { put_items, put_expiry, expect_sound, NULL };
	struct archive_totals saved = { 0 }, read;
	struct buf meta = BUF_INIT(4096);

	(void)arg;
	fill_store();
	save_store(&saved);
	own_redis("FLUSHALL");
	assert_int_equal(read_with(&calls, &meta, &read), HL_OK);
	assert_non_null(strstr(meta.data, "\"atOnce\":true"));
	assert_int_equal(read.keys, 4);
	assert_int_equal(read.files, 1);
	assert_int_equal(read.bytes, saved.bytes);
	expect_store();
	buf_free(&meta);
	own_redis("FLUSHALL");
}

TASK_TEST(a_key_that_goes_meanwhile_is_gone_and_many_at_once_are_refused)
{
	static const char *const names[INVENTORY_STEP + 1] = { CALL, CALL ":log", "email:{0}:x" };
	static const char *const foreign[] = { "not:ours" };
	struct redis_arg many[INVENTORY_ITEMS + 1];
	struct stored group[INVENTORY_STEP];

	(void)arg;
	own_redis("HSET " CALL " a b");
	assert_int_equal(inventory_get(store, names, 3, group), HL_OK);
	assert_false(group[0].gone);
	assert_int_equal(stored_count(&group[0]), 2);
	assert_true(group[1].gone && group[2].gone);
	assert_int_equal(stored_count(&group[1]) + stored_count(&group[2]), 0);
	assert_int_equal(inventory_get(store, names, INVENTORY_STEP + 1, group), HL_BAD_REQUEST);
	assert_int_equal(inventory_get(store, foreign, 1, group), HL_BAD_REQUEST);
	for (size_t i = 0; i < INVENTORY_ITEMS + 1; i++)
		many[i] = RA("x");
	assert_int_equal(inventory_add(store, CALL ":log", STORED_LIST, many, INVENTORY_ITEMS + 1), HL_BAD_REQUEST);
	assert_int_equal(inventory_add(store, CALL ":log", STORED_LIST, many, 0), HL_OK);
	assert_int_equal(redis_int(own_redis("EXISTS " CALL ":log")), 0);
	assert_int_equal(inventory_add(store, CALL, STORED_LIST, many, 1), HL_INTERNAL);	/* it is a hash */
	assert_int_equal(inventory_remove(store, CALL), HL_OK);
	assert_int_equal(redis_int(own_redis("DBSIZE")), 0);
}

TASK_TEST(the_server_writes_its_dump_anew_or_it_is_said_that_it_did_not)
{
	char dump[96];

	(void)arg;
	snprintf(dump, sizeof(dump), "%s/dump.rdb", own_redis_directory());
	own_redis("SET email:{0}:x here");
	assert_int_equal(access(dump, F_OK), -1);
	assert_int_equal(inventory_rewrite(store, 20000), HL_OK);
	assert_int_equal(access(dump, F_OK), 0);
	own_redis("CONFIG SET appendonly yes");
	assert_int_equal(inventory_rewrite(store, 20000), HL_OK);
	own_redis("CONFIG SET appendonly no");
	/* A folder is in its dump's way. */
	unlink(dump);
	assert_int_equal(mkdir(dump, 0700), 0);
	assert_int_equal(inventory_rewrite(store, 20000), HL_INTERNAL);
	assert_int_equal(rmdir(dump), 0);
	assert_int_equal(inventory_rewrite(store, 20000), HL_OK);
	own_redis("FLUSHALL");
}

TASK_TEST(a_server_that_is_held_writes_when_that_is_over_or_it_may_go_on)
{
	int64_t from = clock_mono_ms();

	(void)arg;
	assert_int_equal(inventory_hold(store, 300), HL_OK);
	assert_int_equal(redis_int(own_redis("EXISTS email:{0}:x")), 0);	/* reads are answered */
	own_redis("SET email:{0}:x written");
	assert_true(clock_mono_ms() >= from + 290);
	assert_int_equal(inventory_hold(store, 600000), HL_OK);
	assert_int_equal(inventory_go_on(store), HL_OK);
	own_redis("FLUSHALL");		/* or it would take longer than a reply may */
}

/* ---- names ---- */

static void
names_of_files_lead_nowhere_else(void **state)
{
	static const struct { enum area area; const char *name; bool taken; } names[] = {
		{ AREA_AUDIO, "a.wav", true }, { AREA_AUDIO, "A-b_c.9", true }, { AREA_AUDIO, "", false }, { AREA_AUDIO, ".", false },
		{ AREA_AUDIO, "..", false }, { AREA_AUDIO, ".hidden", false }, { AREA_AUDIO, "a/b", false }, { AREA_AUDIO, "/a", false },
		{ AREA_AUDIO, "a b", false }, { AREA_AUDIO, "a\nb", false }, { AREA_AVATARS, "\xc3\xa4", false },
		{ AREA_UPLOADS, "a/b.wav", true }, { AREA_UPLOADS, "a", false }, { AREA_UPLOADS, "a/", false }, { AREA_UPLOADS, "/a", false },
		{ AREA_UPLOADS, "a/b/c", false }, { AREA_UPLOADS, "../b", false }, { AREA_UPLOADS, "a/..", false },
		{ AREA_UPLOADS, "a/.b", false }, { AREA_UPLOADS, ".a/b", false },
		{ AREA_SECRETS, "seal.keys", true }, { AREA_SECRETS, "jwt", true }, { AREA_SECRETS, "probe", true },
		{ AREA_SECRETS, "seal.keys.before-1", false }, { AREA_SECRETS, "JWT", false }, { AREA_SECRETS, "", false },
	};
	char longest[ARCHIVE_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (area_takes(names[i].area, names[i].name) != names[i].taken)
			fail_msg("%s of %s", names[i].name, area_name(names[i].area));
	memset(longest, 'a', sizeof(longest));
	longest[ARCHIVE_NAME_MAX] = '\0';
	assert_false(area_takes(AREA_AUDIO, longest));
	longest[ARCHIVE_NAME_MAX - 1] = '\0';
	assert_true(area_takes(AREA_AUDIO, longest));
}

static void
keys_belong_together_by_their_stem(void **state)
{
	(void)state;
	assert_true(inventory_together(CALL, CALL ":log"));
	assert_true(inventory_together(CALL ":log", CALL));
	assert_true(inventory_together(CALL ":log", CALL ":seen"));
	assert_false(inventory_together(CALL, CALL "b"));
	assert_false(inventory_together(CALL, "e:{0}:aaaaaaaaaaaaaaaaaaaaaa"));
	assert_false(inventory_together("accounts:{0}", "accounts:{0}"));
}

/* ---- not as this version writes it ---- */

static void
an_archive_that_ends_early_is_refused(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct told told;

	(void)state;
	small_archive(&b);
	seal(b.data, b.len);
	assert_int_equal(read_it(&told), HL_OK);
	assert_int_equal(told.items, 3);
	assert_int_equal(told.keys, 2);
	assert_int_equal(told.files, 2);
	for (size_t n = 0; n < b.len; n++) {
		seal(b.data, n);
		if (read_it(&told) != HL_BAD_REQUEST)
			fail_msg("of %zu bytes only %zu", b.len, n);
	}
	buf_puts(&b, "x");
	seal(b.data, b.len);
	assert_int_equal(read_it(&told), HL_BAD_REQUEST);
	buf_free(&b);
}

/* Of changed bytes nothing is told that is not ours: see_items(), see_file(). */
static void
an_archive_with_any_bit_changed_tells_only_what_is_ours(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct told told;
	int refused = 0;

	(void)state;
	small_archive(&b);
	for (size_t bit = 0; bit < 8 * b.len; bit++) {
		enum hl_err err;

		b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
		seal(b.data, b.len);
		err = read_it(&told);
		assert_true(err == HL_OK || err == HL_BAD_REQUEST);
		refused += err != HL_OK;
		b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
	}
	assert_true(refused > 1000);	/* all but the texts' own bits */
	buf_free(&b);
}

static void
expect_refused(struct buf *b)
{
	struct told told;

	seal(b->data, b->len);
	assert_int_equal(read_it(&told), HL_BAD_REQUEST);
	assert_int_equal(told.keys + told.files, 0);
	buf_reset(b);
}

static void
keys_that_are_not_ours_are_refused(void **state)
{
	static const struct { uint64_t type; const char *name; uint64_t count; } keys[] = {
		{ STORED_STRING, "not:ours", 1 }, { STORED_STRING, "", 1 }, { STORED_STRING, CALL, 1 }, { STORED_TYPES, CALL, 2 },
		{ UINT32_MAX, CALL, 2 }, { STORED_STRING, "rl:{0}:x", 1 }, { STORED_HASH, "job:{0}:x", 2 },
		{ STORED_STRING, "an:{0}:flushed:x", 1 }, { STORED_HASH, CALL, 0 }, { STORED_HASH, CALL, 1 }, { STORED_HASH, CALL, UINT64_MAX },
		{ STORED_ZSET, "accounts:{0}", 3 }, { STORED_STRING, "first:{0}", 2 }, { STORED_STRING, "first:{0}", 0 },
		{ STORED_LIST, CALL ":log", UINT64_MAX },
	};
	struct buf b = BUF_INIT(4096);
	char longest[INVENTORY_KEY_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		begin(&b);
		add_key(&b, keys[i].type, keys[i].name, keys[i].count);
		text(&b, "item");
		text(&b, "item");
		expect_refused(&b);
	}
	snprintf(longest, sizeof(longest), "email:{0}:%0*d", INVENTORY_KEY_MAX - 10, 0);
	assert_int_equal(strlen(longest), INVENTORY_KEY_MAX);
	begin(&b);
	add_key(&b, STORED_STRING, longest, 1);
	text(&b, "item");
	expect_refused(&b);
	/* A name with a NUL in it. */
	begin(&b);
	buf_puts(&b, "K");
	number(&b, STORED_STRING, 4);
	number(&b, 0, 8);
	number(&b, 11, 4);
	buf_add(&b, "first:{0}\0x", 11);
	number(&b, 1, 8);
	text(&b, "item");
	expect_refused(&b);
	buf_free(&b);
}

static void
hostile_lengths_take_no_memory_and_are_refused(void **state)
{
	static const uint64_t lengths[] = { (64u << 20) + 1, INT32_MAX, UINT32_MAX };
	static const uint64_t sizes[] = { (1u << 30) + 1, UINT32_MAX, INT64_MAX, UINT64_MAX };
	struct buf b = BUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		buf_puts(&b, "M");
		number(&b, lengths[i], 4);
		expect_refused(&b);
		begin(&b);
		buf_puts(&b, "K");
		number(&b, STORED_HASH, 4);
		number(&b, 0, 8);
		number(&b, lengths[i], 4);
		expect_refused(&b);
		begin(&b);
		add_key(&b, STORED_HASH, CALL, 2);
		number(&b, lengths[i], 4);
		expect_refused(&b);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		begin(&b);
		add_file(&b, AREA_AUDIO, "a.wav", sizes[i]);
		expect_refused(&b);
	}
	buf_free(&b);
}

static void
files_elsewhere_and_records_out_of_order_are_refused(void **state)
{
	static const struct { uint64_t area; const char *name; } files[] = { { AREAS, "a" }, { UINT32_MAX, "a" }, { AREA_AUDIO, "../a" },
		{ AREA_AUDIO, "" }, { AREA_UPLOADS, "a" }, { AREA_SECRETS, "shadow" } };
	static const char *const metas[] = { "", "{}", "[]", "{\"format\":2}", "{\"format\":\"1\"}", "{\"format\":1", "1" };
	struct buf b = BUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		begin(&b);
		add_file(&b, files[i].area, files[i].name, 1);
		buf_puts(&b, "x");
		end(&b, 0, 1);
		expect_refused(&b);
	}
	for (size_t i = 0; i < sizeof(metas) / sizeof(metas[0]); i++) {
		buf_puts(&b, "M");
		text(&b, metas[i]);
		end(&b, 0, 0);
		expect_refused(&b);
	}
	end(&b, 0, 0);			/* without a beginning */
	expect_refused(&b);
	begin(&b);
	begin(&b);
	end(&b, 0, 0);
	expect_refused(&b);
	begin(&b);
	end(&b, 1, 0);			/* numbers that are not so */
	expect_refused(&b);
	begin(&b);
	end(&b, 0, 1);
	expect_refused(&b);
	begin(&b);
	buf_puts(&b, "Q");
	expect_refused(&b);
	buf_free(&b);
}

static enum hl_err
no_room(void *arg, enum area a, const char *name, const void *bytes, size_t len)
{
	(void)a, (void)name, (void)bytes, (void)len;
	++*(int *)arg;
	return HL_STORE;
}

static void
what_a_reader_returns_ends_it(void **state)
{
	int asked = 0;
	const struct archive_calls calls = { .file = no_room, .arg = &asked };
	struct buf b = BUF_INIT(4096), meta = BUF_INIT(4096);
	struct archive_totals totals;

	(void)state;
	small_archive(&b);
	seal(b.data, b.len);
	assert_int_equal(read_with(&calls, &meta, &totals), HL_STORE);
	assert_int_equal(asked, 1);
	assert_int_equal(totals.keys, 2);
	assert_string_equal(meta.data, META);
	buf_free(&b);
	buf_free(&meta);
}

static void
a_file_that_has_become_shorter_or_is_huge_is_told(void **state)
{
	struct archive_totals totals = { 0 };
	struct vault *v;
	FILE *f = fopen(sound, "w+");

	(void)state;
	assert_int_equal(vault_create(path, &secret, &v, &problem), HL_OK);
	assert_int_equal(ftruncate(fileno(f), (1 << 30) + 1L), 0);
	assert_int_equal(archive_file(v, AREA_AUDIO, "a", fileno(f), &totals), HL_INTERNAL);
	assert_int_equal(totals.files, 0);
	assert_int_equal(ftruncate(fileno(f), 100), 0);
	assert_int_equal(lseek(fileno(f), 50, SEEK_SET), 50);	/* as if half of it had gone between */
	assert_int_equal(archive_file(v, AREA_AUDIO, "a", fileno(f), &totals), HL_CONFLICT);
	vault_close(v);
	fclose(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_store_comes_back_as_it_was_and_without_what_passes_or_is_not_ours),
		cmocka_unit_test(a_key_that_goes_meanwhile_is_gone_and_many_at_once_are_refused),
		cmocka_unit_test(the_server_writes_its_dump_anew_or_it_is_said_that_it_did_not),
		cmocka_unit_test(a_server_that_is_held_writes_when_that_is_over_or_it_may_go_on),
		cmocka_unit_test(names_of_files_lead_nowhere_else),
		cmocka_unit_test(keys_belong_together_by_their_stem),
		cmocka_unit_test(an_archive_that_ends_early_is_refused),
		cmocka_unit_test(an_archive_with_any_bit_changed_tells_only_what_is_ours),
		cmocka_unit_test(keys_that_are_not_ours_are_refused),
		cmocka_unit_test(hostile_lengths_take_no_memory_and_are_refused),
		cmocka_unit_test(files_elsewhere_and_records_out_of_order_are_refused),
		cmocka_unit_test(what_a_reader_returns_ends_it),
		cmocka_unit_test(a_file_that_has_become_shorter_or_is_huge_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
