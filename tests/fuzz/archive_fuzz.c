/*
 * archive_fuzz - a backup as somebody hands it over: a file that was never sealed is refused without a sentence missing; one
 * that was sealed with our own key tells of no key and no file that is not ours, the same when it is read again.
 *
 * The first byte says which: an even one, and the rest is the file; an odd one, and the rest is what was sealed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helpline/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char folder[] = "/dev/shm/archive_fuzzXXXXXX", key[64], path[64];
static const struct vault_secret secret = { .key_file = key };

static void
tidy(void)
{
	(void)unlink(key);
	(void)unlink(path);
	(void)rmdir(folder);
}

static void
prepare(void)
{
	struct buf problem = BUF_INIT(1000);

	if (*key)
		return;
	if (mkdtemp(folder) == NULL)
		abort();
	snprintf(key, sizeof(key), "%s/key", folder);
	snprintf(path, sizeof(path), "%s/backup", folder);
	if (vault_make_key(key, &problem) != HL_OK)
		abort();
	atexit(tidy);
}

/* ---- what is told ---- */

/* A sum of all of it, to compare. */
static void
add(uint64_t *sum, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < len; i++)
		*sum = (*sum ^ p[i]) * UINT64_C(1099511628211);
}

static enum hl_err
see_items(void *arg, const char *name, enum stored_type type, const struct redis_arg *items, size_t count)
{
	enum stored_type known;
	bool passing;

	if (!inventory_type(name, &known, &passing) || passing || known != type || count == 0 || count > INVENTORY_ITEMS)
		abort();
	if ((type == STORED_HASH || type == STORED_ZSET) && count % 2)
		abort();
	for (size_t i = 0; i < count; i++)
		add(arg, items[i].bytes, items[i].len);
	return HL_OK;
}

static enum hl_err
see_key(void *arg, const char *name, int64_t expires_ms)
{
	add(arg, name, strlen(name));
	add(arg, &expires_ms, sizeof(expires_ms));
	return HL_OK;
}

static enum hl_err
see_file(void *arg, enum area a, const char *name, const void *bytes, size_t len)
{
	if (a >= AREAS || !area_takes(a, name) || strstr(name, "..") == name)
		abort();
	add(arg, bytes, len);
	return HL_OK;
}

static enum hl_err
read_once(struct vault *v, uint64_t *ret)
{
	struct archive_calls calls = { see_items, see_key, see_file, ret };
	struct archive_totals totals;
	struct buf meta = BUF_INIT(8192);
	enum hl_err err;

	*ret = 0;
	err = archive_read(v, &calls, &meta, &totals);
	if (err == HL_OK && !vault_is_over(v))
		abort();
	buf_free(&meta);
	return err;
}

/* ---- files ---- */

static void
put_file(const uint8_t *data, size_t size)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
}

static void
put_sealed(const uint8_t *data, size_t size)
{
	struct buf problem = BUF_INIT(1000);
	struct vault *v;

	if (vault_create(path, &secret, &v, &problem) || vault_write(v, data, size) || vault_finish(v, &problem))
		abort();
	vault_close(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf problem = BUF_INIT(1000);
	struct vault *v = NULL;
	bool sealed = size > 0 && *data % 2;
	uint64_t one, two;
	enum hl_err err;

	prepare();
	if (size == 0)
		return 0;
	(sealed ? put_sealed : put_file)(data + 1, size - 1);
	err = vault_open(path, &secret, &v, &problem);
	if ((err == HL_OK) != sealed || (err != HL_OK && problem.len == 0))
		abort();
	if (err == HL_OK) {
		err = read_once(v, &one);
		if (vault_rewind(v) != HL_OK || read_once(v, &two) != err || one != two)
			abort();
	}
	vault_close(v);
	buf_free(&problem);
	return 0;
}
