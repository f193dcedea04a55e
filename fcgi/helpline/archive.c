#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "base/clock.h"

#define ITEM_MAX	(64u << 20)
#define FILE_MAX_BYTES	(1u << 30)
#define META_MAX	4096u
#define BATCH_BYTES	(1u << 20)
#define LETTERS		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

/* ---- where files lie ---- */

const char *
area_name(enum area a)
{
	static const char *const names[AREAS] = { "audio", "uploads", "avatars", "secrets" };

	return names[a];
}

void
area_folder(const struct conf *c, enum area a, char *out, size_t size)
{
	const char *const paths[AREAS] = { c->audio_path, c->upload_path, c->avatar_path, c->secrets_dir };

	snprintf(out, size, "%s%s", paths[a], a == AREA_AUDIO ? "/public" : "");
}

static bool
plain_name(const char *name, size_t len)
{
	return len > 0 && *name != '.' && strspn(name, LETTERS) >= len;
}

bool
area_takes(enum area a, const char *name)
{
	const char *slash = strchr(name, '/');

	if (strlen(name) >= ARCHIVE_NAME_MAX || (slash != NULL) != (a == AREA_UPLOADS))
		return false;
	if (a == AREA_SECRETS)
		return strcmp(name, "seal.keys") == 0 || strcmp(name, "jwt") == 0 || strcmp(name, "probe") == 0;
	if (slash == NULL)
		return plain_name(name, strlen(name));
	return plain_name(name, (size_t)(slash - name)) && plain_name(slash + 1, strlen(slash + 1));
}

/* ---- numbers and texts ---- */

static enum hl_err
put_number(struct vault *v, uint64_t value, size_t bytes)
{
	unsigned char p[8];

	for (size_t i = 0; i < bytes; i++)
		p[i] = (unsigned char)(value >> (8 * i));
	return vault_write(v, p, bytes);
}

static enum hl_err
put_text(struct vault *v, const void *text, size_t len)
{
	enum hl_err err = put_number(v, len, 4);

	return err ? err : vault_write(v, text, len);
}

static enum hl_err
get_number(struct vault *v, size_t bytes, uint64_t *ret)
{
	unsigned char p[8];
	enum hl_err err = vault_read(v, p, bytes);

	*ret = 0;
	for (size_t i = bytes; err == HL_OK && i > 0; i--)
		*ret = *ret << 8 | p[i - 1];
	return err;
}

/* Appends a text of at most max bytes. */
static enum hl_err
get_text(struct vault *v, size_t max, struct buf *out)
{
	uint64_t len;
	char *room;
	enum hl_err err = get_number(v, 4, &len);

	if (err == HL_OK && len > max)
		err = HL_BAD_REQUEST;
	if (err)
		return err;
	if ((room = buf_reserve(out, len)) == NULL)
		return HL_NO_MEMORY;
	err = vault_read(v, room, len);
	if (err == HL_OK)
		buf_grow(out, len);
	return err;
}

/* ---- writing ---- */

enum hl_err
archive_begin(struct vault *v, bool at_once)
{
	struct buf meta = BUF_INIT(META_MAX);
	char now[CLOCK_ISO_LEN + 1];
	enum hl_err err;

	clock_iso(clock_wall_ms(), now);
	buf_printf(&meta, "{\"format\":%d,\"version\":\"%s\",\"createdAt\":\"%s\",\"atOnce\":%s}", ARCHIVE_FORMAT, PACKAGE_VERSION, now,
	    at_once ? "true" : "false");
	err = vault_write(v, "M", 1);
	if (err == HL_OK)
		err = put_text(v, meta.data, meta.len);
	buf_free(&meta);
	return err;
}

enum hl_err
archive_key(struct vault *v, const struct stored *x, struct archive_totals *totals)
{
	size_t count = stored_count(x), len;
	enum hl_err err = vault_write(v, "K", 1);

	if (err == HL_OK)
		err = put_number(v, x->type, 4);
	if (err == HL_OK)
		err = put_number(v, (uint64_t)x->expires_ms, 8);
	if (err == HL_OK)
		err = put_text(v, x->key, strlen(x->key));
	if (err == HL_OK)
		err = put_number(v, count, 8);
	for (size_t i = 0; i < count && err == HL_OK; i++) {
		const char *item = stored_item(x, i, &len);

		err = item ? put_text(v, item, len) : HL_INTERNAL;
	}
	totals->keys++;
	return err;
}

static enum hl_err
put_bytes(struct vault *v, int fd, off_t size)
{
	char block[16384];
	enum hl_err err = HL_OK;

	while (size > 0 && err == HL_OK) {
		ssize_t n = read(fd, block, size < (off_t)sizeof(block) ? (size_t)size : sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return HL_CONFLICT;
		err = vault_write(v, block, (size_t)n);
		size -= n;
	}
	return err;
}

enum hl_err
archive_file(struct vault *v, enum area a, const char *name, int fd, struct archive_totals *totals)
{
	struct stat st;
	enum hl_err err;

	if (fstat(fd, &st) != 0 || st.st_size > (off_t)FILE_MAX_BYTES)
		return HL_INTERNAL;
	err = vault_write(v, "F", 1);
	if (err == HL_OK)
		err = put_number(v, a, 4);
	if (err == HL_OK)
		err = put_text(v, name, strlen(name));
	if (err == HL_OK)
		err = put_number(v, (uint64_t)st.st_size, 8);
	totals->files++;
	totals->bytes += st.st_size;
	return err ? err : put_bytes(v, fd, st.st_size);
}

enum hl_err
archive_end(struct vault *v, const struct archive_totals *totals)
{
	enum hl_err err = vault_write(v, "Z", 1);

	if (err == HL_OK)
		err = put_number(v, (uint64_t)totals->keys, 8);
	return err ? err : put_number(v, (uint64_t)totals->files, 8);
}

/* ---- reading ---- */

struct reader {
	struct vault	*v;
	const struct archive_calls *calls;
	struct archive_totals totals;
	struct buf	 name, bytes;
	size_t		 ends[INVENTORY_ITEMS], count;	/* of the items in bytes */
};

static enum hl_err
tell_items(struct reader *r, enum stored_type type)
{
	struct redis_arg items[INVENTORY_ITEMS];
	size_t from = 0;
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < r->count; from = r->ends[i++])
		items[i] = RAN(r->bytes.data ? r->bytes.data + from : "", r->ends[i] - from);
	if (r->count && r->calls->items)
		err = r->calls->items(r->calls->arg, r->name.data, type, items, r->count);
	buf_reset(&r->bytes);
	r->count = 0;
	return err;
}

static enum hl_err
get_items(struct reader *r, enum stored_type type, uint64_t count)
{
	bool pairs = type == STORED_HASH || type == STORED_ZSET;
	enum hl_err err = count == 0 || (pairs && count % 2) || (type == STORED_STRING && count != 1) ? HL_BAD_REQUEST : HL_OK;

	for (uint64_t i = 0; i < count && err == HL_OK; i++) {
		err = get_text(r->v, ITEM_MAX, &r->bytes);
		r->ends[r->count++] = r->bytes.len;
		if (err == HL_OK && (r->count == INVENTORY_ITEMS || (r->bytes.len > BATCH_BYTES && (!pairs || r->count % 2 == 0))))
			err = tell_items(r, type);
	}
	return err ? err : tell_items(r, type);
}

static enum hl_err
get_name(struct reader *r, size_t max)
{
	enum hl_err err;

	buf_reset(&r->name);
	err = get_text(r->v, max - 1, &r->name);
	if (err == HL_OK && (r->name.len == 0 || strlen(r->name.data) != r->name.len))
		err = HL_BAD_REQUEST;
	return err;
}

static enum hl_err
get_key(struct reader *r)
{
	enum stored_type known;
	uint64_t type, expires, count;
	bool passing;
	enum hl_err err = get_number(r->v, 4, &type);

	if (err == HL_OK)
		err = get_number(r->v, 8, &expires);
	if (err == HL_OK)
		err = get_name(r, INVENTORY_KEY_MAX);
	if (err == HL_OK && (!inventory_type(r->name.data, &known, &passing) || passing || known != type))
		err = HL_BAD_REQUEST;
	if (err == HL_OK)
		err = get_number(r->v, 8, &count);
	if (err == HL_OK)
		err = get_items(r, known, count);
	r->totals.keys++;
	if (err == HL_OK && r->calls->key)
		err = r->calls->key(r->calls->arg, r->name.data, (int64_t)expires);
	return err;
}

static enum hl_err
get_bytes(struct reader *r, enum area a, size_t size)
{
	char *bytes = malloc(size + 1);
	enum hl_err err = bytes ? vault_read(r->v, bytes, size) : HL_NO_MEMORY;

	if (err == HL_OK && r->calls->file)
		err = r->calls->file(r->calls->arg, a, r->name.data, bytes, size);
	free(bytes);
	return err;
}

static enum hl_err
get_file(struct reader *r)
{
	uint64_t area, size;
	enum hl_err err = get_number(r->v, 4, &area);

	if (err == HL_OK)
		err = get_name(r, ARCHIVE_NAME_MAX);
	if (err == HL_OK)
		err = get_number(r->v, 8, &size);
	if (err == HL_OK && (area >= AREAS || size > FILE_MAX_BYTES || !area_takes((enum area)area, r->name.data)))
		err = HL_BAD_REQUEST;
	if (err)
		return err;
	r->totals.files++;
	r->totals.bytes += (int64_t)size;
	return get_bytes(r, (enum area)area, size);
}

static enum hl_err
get_end(struct reader *r)
{
	uint64_t keys, files;
	enum hl_err err = get_number(r->v, 8, &keys);

	if (err == HL_OK)
		err = get_number(r->v, 8, &files);
	if (err == HL_OK && (keys != (uint64_t)r->totals.keys || files != (uint64_t)r->totals.files || !vault_is_over(r->v)))
		err = HL_BAD_REQUEST;
	return err;
}

static enum hl_err
get_meta(struct reader *r, struct buf *meta)
{
	struct json *doc = NULL;
	int64_t format;
	char mark;
	enum hl_err err = vault_read(r->v, &mark, 1);

	buf_reset(meta);
	if (err == HL_OK)
		err = mark == 'M' ? get_text(r->v, META_MAX, meta) : HL_BAD_REQUEST;
	if (err == HL_OK && json_parse(meta->data ? meta->data : "", meta->len, &doc) == HL_NO_MEMORY)
		err = HL_NO_MEMORY;
	if (err == HL_OK && (!json_integer(json_get(doc, "format"), &format) || format != ARCHIVE_FORMAT))
		err = HL_BAD_REQUEST;
	json_free(doc);
	return err;
}

enum hl_err
archive_read(struct vault *v, const struct archive_calls *calls, struct buf *meta, struct archive_totals *ret)
{
	struct reader *r = calloc(1, sizeof(*r));
	enum hl_err err;
	char mark = 0;

	if (r == NULL)
		return HL_NO_MEMORY;
	*r = (struct reader){ .v = v, .calls = calls, .name = BUF_INIT(4096), .bytes = BUF_INIT(2 * ITEM_MAX + BATCH_BYTES) };
	err = get_meta(r, meta);
	while (err == HL_OK && mark != 'Z') {
		err = vault_read(v, &mark, 1);
		if (err == HL_OK)
			err = mark == 'K' ? get_key(r) : mark == 'F' ? get_file(r) : mark == 'Z' ? get_end(r) : HL_BAD_REQUEST;
	}
	*ret = r->totals;
	buf_free(&r->name);
	buf_free(&r->bytes);
	free(r);
	return err;
}
