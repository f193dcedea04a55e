#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "services/file.h"
#include "services/shelf_parts.h"

#define SHORT_MS	10000	/* so long after the disk had no room it is not asked again */
#define ROOM_LEAST	1000000	/* bytes: with less, what is begun would not come to its end */
#define PIECES_MAX	1024u
#define ORDER_MAX	4096u	/* bytes */

static const char *const place_names[PLACES] = { "public", "making", "cache", "parts", "orders" };

/* ---- counting ---- */

void
shelf_count_bytes(struct shelf *s, int64_t bytes, bool cached)
{
	__atomic_add_fetch(&s->usage->total, bytes, __ATOMIC_RELAXED);
	if (cached)
		__atomic_add_fetch(&s->usage->cache, bytes, __ATOMIC_RELAXED);
}

int64_t
shelf_usage(const struct shelf *s)
{
	return __atomic_load_n(&s->usage->total, __ATOMIC_RELAXED);
}

bool
shelf_cache_is_full(const struct shelf *s)
{
	return __atomic_load_n(&s->usage->cache, __ATOMIC_RELAXED) > s->cache_max;
}

bool
shelf_wants_tending(const struct shelf *s)
{
	return shelf_cache_is_full(s);
}

bool
shelf_full(const struct shelf *s)
{
	int64_t room = s->total_max / 8 < ROOM_LEAST ? s->total_max / 8 : ROOM_LEAST;
	int64_t since = __atomic_load_n(&s->short_mono_ms, __ATOMIC_RELAXED);

	return shelf_usage(s) + room >= s->total_max || (since && clock_mono_ms() - since < SHORT_MS);
}

/* Threads of the pool ask. */
static bool
has_room(struct shelf *s, int64_t bytes)
{
	if (shelf_usage(s) + bytes > s->total_max)
		return false;
	if (disk_has_room(s->root, bytes))
		return true;
	__atomic_store_n(&s->short_mono_ms, clock_mono_ms(), __ATOMIC_RELAXED);
	return false;
}

/* Counts what it gave back: nothing, as long as it has another name. */
bool
shelf_drop(struct shelf *s, enum place place, const char *name)
{
	struct stat st;

	if (fstatat(s->places[place], name, &st, AT_SYMLINK_NOFOLLOW) != 0 || unlinkat(s->places[place], name, 0) != 0)
		return false;
	if (st.st_nlink == 1)
		shelf_count_bytes(s, -st.st_size, false);
	if (place == CACHE)
		__atomic_add_fetch(&s->usage->cache, -st.st_size, __ATOMIC_RELAXED);
	return true;
}

/* ---- opening ---- */

/*
 * What root makes here, or has made, is the folder's owner's: the programs are to go on with it.  Never what a link leads to,
 * or has another name elsewhere.
 */
static void
give(int folder, int fd)
{
	struct stat owner, st;

	if (geteuid() == 0 && fstat(folder, &owner) == 0 && fstat(fd, &st) == 0 && st.st_uid == 0 && owner.st_uid != 0 &&
	    (S_ISDIR(st.st_mode) || st.st_nlink == 1))
		(void)!fchown(fd, owner.st_uid, owner.st_gid);
}

static int
open_folder(int at, const char *name)
{
	int how = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (at == AT_FDCWD ? 0 : O_NOFOLLOW), fd = openat(at, name, how);

	if (fd < 0 && errno == ENOENT && (mkdirat(at, name, 0755) == 0 || errno == EEXIST))
		fd = openat(at, name, how);
	return fd;
}

static bool
map_usage(struct shelf *s)
{
	void *p;

	s->usage_fd = openat(s->root, "usage", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->usage_fd < 0 || ftruncate(s->usage_fd, sizeof(struct usage)) != 0)
		return false;
	give(s->root, s->usage_fd);
	p = mmap(NULL, sizeof(struct usage), PROT_READ | PROT_WRITE, MAP_SHARED, s->usage_fd, 0);
	if (p == MAP_FAILED)
		return false;
	s->usage = p;
	return true;
}

enum hl_err
shelf_open(const char *path, int64_t cache_max, int64_t total_max, struct shelf **ret)
{
	struct shelf *s = calloc(1, sizeof(*s));
	bool ok;
	int failure;

	*ret = NULL;
	if (s == NULL)
		return HL_NO_MEMORY;
	*s = (struct shelf){ .usage_fd = -1, .cache_max = cache_max, .total_max = total_max };
	for (size_t i = 0; i < PLACES; i++)
		s->places[i] = -1;
	s->root = open_folder(AT_FDCWD, path);
	ok = s->root >= 0;
	for (size_t i = 0; ok && i < PLACES; i++)
		if ((ok = (s->places[i] = open_folder(s->root, place_names[i])) >= 0))
			give(s->root, s->places[i]);
	if (ok && map_usage(s)) {
		*ret = s;
		return HL_OK;
	}
	failure = errno;
	shelf_close(s);
	errno = failure;
	return HL_INTERNAL;
}

void
shelf_close(struct shelf *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < PLACES; i++)
		if (s->places[i] >= 0)
			close(s->places[i]);
	if (s->usage)
		munmap(s->usage, sizeof(*s->usage));
	if (s->usage_fd >= 0)
		close(s->usage_fd);
	if (s->root >= 0)
		close(s->root);
	free(s);
}

/* ---- one that grows ---- */

#define HIDDEN_MAX	(SHELF_FILE_MAX + 48)

/* What a file is called before it is whole: this thread's own name. */
static void
own_name(const char *file, char out[HIDDEN_MAX])
{
	static _Thread_local char own;		/* each thread's lies elsewhere */

	snprintf(out, HIDDEN_MAX, ".%s.%d.%p", file, (int)getpid(), (const void *)&own);
}

/* An empty file that is ours alone, under a name that nobody looks for yet.  -1: errno says why. */
static int
open_locked(struct shelf *s, const char *hidden)
{
	int fd = openat(s->places[MAKING], hidden, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644), failure;

	if (fd < 0 || (fchmod(fd, 0644) == 0 && flock(fd, LOCK_EX | LOCK_NB) == 0))
		return fd;
	failure = errno;
	(void)unlinkat(s->places[MAKING], hidden, 0);
	close(fd);
	errno = failure;
	return -1;
}

/* Is what stands under the name the file that is open? */
static bool
stands_at(struct shelf *s, enum place place, const char *name, int fd)
{
	struct stat is, at;

	return fstat(fd, &is) == 0 && fstatat(s->places[place], name, &at, AT_SYMLINK_NOFOLLOW) == 0 && is.st_ino == at.st_ino;
}

/* Without its maker's lock there is no maker, and it is removed.  Only who has the lock may take the name away. */
void
shelf_drop_dead(struct shelf *s, const char *name)
{
	int fd = openat(s->places[MAKING], name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && stands_at(s, MAKING, name, fd))
		(void)shelf_drop(s, MAKING, name);
	close(fd);
}

enum hl_err
shelf_begin(struct shelf *s, const char *file, struct growing *ret)
{
	char hidden[HIDDEN_MAX];
	int failure;

	*ret = (struct growing){ .fd = -1 };
	if (shelf_full(s) || !has_room(s, 0))
		return HL_TOO_LARGE;
	if (faccessat(s->places[PUBLIC], file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return HL_CONFLICT;
	snprintf(ret->file, sizeof(ret->file), "%s", file);
	own_name(file, hidden);
	ret->fd = open_locked(s, hidden);
	if (ret->fd < 0)
		return HL_INTERNAL;
	shelf_drop_dead(s, file);
	/* Its name is what says that it is being made: it has that only once it is locked, and takes it from nobody. */
	failure = linkat(s->places[MAKING], hidden, s->places[MAKING], file, 0) == 0 ? 0 : errno;
	(void)unlinkat(s->places[MAKING], hidden, 0);
	if (failure == 0)
		return HL_OK;
	close(ret->fd);
	ret->fd = -1;
	errno = failure;
	return failure == EEXIST ? HL_CONFLICT : HL_INTERNAL;
}

enum hl_err
shelf_write(struct shelf *s, struct growing *g, const void *bytes, size_t len)
{
	const char *p = bytes;
	ssize_t n;

	if (!has_room(s, (int64_t)len))
		return HL_TOO_LARGE;
	for (; len > 0; p += n, len -= (size_t)n) {
		n = pwrite(g->fd, p, len, g->size);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return HL_INTERNAL;
		g->size += n;
		shelf_count_bytes(s, n, false);
	}
	return HL_OK;
}

enum hl_err
shelf_restart(struct shelf *s, struct growing *g)
{
	char hidden[HIDDEN_MAX];
	int fd;

	if (g->size == 0)
		return HL_OK;
	if (!stands_at(s, MAKING, g->file, g->fd))
		return HL_NOT_FOUND;
	own_name(g->file, hidden);
	fd = open_locked(s, hidden);
	if (fd < 0)
		return HL_INTERNAL;
	if (renameat(s->places[MAKING], hidden, s->places[MAKING], g->file) != 0) {
		close(fd);
		return HL_INTERNAL;
	}
	shelf_count_bytes(s, -g->size, false);
	close(g->fd);			/* with its lock: who listens to it learns that it came to nothing */
	g->fd = fd;
	g->size = 0;
	return HL_OK;
}

void
shelf_abandon(struct shelf *s, struct growing *g)
{
	if (g->fd < 0)
		return;
	if (stands_at(s, MAKING, g->file, g->fd))	/* else another one makes it by now */
		(void)shelf_drop(s, MAKING, g->file);
	close(g->fd);
	g->fd = -1;
}

/* ---- pieces ---- */

/* Whole under its name, or not at all.  An order need not outlive a power failure. */
static bool
put_file(struct shelf *s, enum place place, const char *name, const void *bytes, size_t len)
{
	char part[HIDDEN_MAX];
	const char *p = bytes;
	size_t left = len;
	bool ok;
	int fd;

	own_name(name, part);
	fd = openat(s->places[place], part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return false;
	while (left > 0) {
		ssize_t n = write(fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		p += n;
		left -= (size_t)n;
	}
	ok = left == 0 && fchmod(fd, place == ORDERS ? 0600 : 0644) == 0 && (place == ORDERS || fdatasync(fd) == 0);
	ok = close(fd) == 0 && ok;
	if (ok)
		(void)shelf_drop(s, place, name);
	ok = ok && renameat(s->places[place], part, s->places[place], name) == 0;
	if (ok)
		shelf_count_bytes(s, (int64_t)len, place == CACHE);
	else
		(void)unlinkat(s->places[place], part, 0);
	return ok;
}

void
shelf_keep(struct shelf *s, const char *key_file, const void *bytes, size_t len)
{
	if (s->cache_max > 0 && has_room(s, (int64_t)len))
		(void)put_file(s, CACHE, key_file, bytes, len);
}

static char *
read_all(int fd, int64_t from, size_t len)
{
	char *bytes = malloc(len + 1);
	size_t have = 0;

	while (bytes && have < len) {
		ssize_t n = pread(fd, bytes + have, len - have, from + (int64_t)have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(bytes);
			return NULL;
		}
		have += (size_t)n;
	}
	return bytes;
}

static enum hl_err
read_file(struct shelf *s, enum place place, const char *file, size_t max, struct buf *out)
{
	int fd = openat(s->places[place], file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	enum hl_err err = HL_NOT_FOUND;
	char *bytes = NULL;
	struct stat st;

	if (fd < 0)
		return HL_NOT_FOUND;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		err = (uint64_t)st.st_size > max ? HL_TOO_LARGE : HL_OK;
	if (err == HL_OK && (bytes = read_all(fd, 0, (size_t)st.st_size)) == NULL)
		err = HL_NO_MEMORY;
	close(fd);
	if (err == HL_OK) {
		buf_add(out, bytes, (size_t)st.st_size);
		err = buf_err(out);
	}
	free(bytes);
	return err;
}

enum hl_err
shelf_piece(struct shelf *s, const char *key_file, char **ret, size_t *ret_len)
{
	static const struct timespec now[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	int fd = openat(s->places[CACHE], key_file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	*ret = NULL;
	*ret_len = 0;
	if (fd < 0)
		return HL_NOT_FOUND;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		*ret = read_all(fd, 0, (size_t)st.st_size);
	if (*ret) {
		*ret_len = (size_t)st.st_size;
		(void)futimens(fd, now);
	}
	close(fd);
	return *ret ? HL_OK : HL_NOT_FOUND;
}

/* ---- orders ---- */

void
shelf_order(struct shelf *s, const char *file, const void *bytes, size_t len)
{
	(void)put_file(s, ORDERS, file, bytes, len);
}

enum hl_err
shelf_ordered(struct shelf *s, const char *file, struct buf *out)
{
	return read_file(s, ORDERS, file, ORDER_MAX, out);
}

void
shelf_order_done(struct shelf *s, const char *file)
{
	(void)shelf_drop(s, ORDERS, file);
}

/* ---- whole ---- */

static void
part_name(const char *file, size_t i, char out[SHELF_FILE_MAX + 16])
{
	snprintf(out, SHELF_FILE_MAX + 16, "%.*s.%zu", SHELF_NAME_LEN, file, i);
}

static void
manifest_name(const char *file, char out[SHELF_NAME_LEN + 1])
{
	snprintf(out, SHELF_NAME_LEN + 1, "%.*s", SHELF_NAME_LEN, file);
}

/* What its pieces are, and that it has a part in them. */
static void
note_parts(struct shelf *s, const char *file, const char (*keys)[SHELF_FILE_MAX], size_t count)
{
	char name[SHELF_FILE_MAX + 16], manifest[SHELF_NAME_LEN + 1], *list = calloc(count + 1, SHELF_FILE_MAX + 1), *at = list;

	if (list == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%.*s\n", SHELF_FILE_MAX - 1, keys[i]);
	manifest_name(file, manifest);		/* first: parts without one would not be found again */
	(void)put_file(s, PARTS, manifest, list, (size_t)(at - list));
	for (size_t i = 0; count > 1 && i < count; i++) {
		part_name(file, i, name);
		(void)!linkat(s->places[CACHE], keys[i], s->places[PARTS], name, 0);	/* else it is made again when it is wanted */
	}
	free(list);
}

void
shelf_forget_parts(struct shelf *s, const char *file)
{
	char name[SHELF_FILE_MAX + 16], manifest[SHELF_NAME_LEN + 1], *list = NULL, *line, *rest;
	struct stat st;
	size_t i = 0;
	int fd;

	manifest_name(file, manifest);
	fd = openat(s->places[PARTS], manifest, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size < (off_t)(PIECES_MAX * SHELF_FILE_MAX))
		list = read_all(fd, 0, (size_t)st.st_size);
	close(fd);
	if (list)
		list[st.st_size] = '\0';
	for (line = list ? strtok_r(list, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
		part_name(file, i++, name);
		(void)shelf_drop(s, PARTS, name);
		if (fstatat(s->places[CACHE], line, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 1)
			(void)shelf_drop(s, CACHE, line);
	}
	(void)shelf_drop(s, PARTS, manifest);
	free(list);
}

/* The cached piece under the message's name, in place of the growing one, which is nothing else. */
static bool
publish_cached(struct shelf *s, const char *key, const char *file)
{
	char hidden[HIDDEN_MAX];

	own_name(file, hidden);
	if (linkat(s->places[CACHE], key, s->places[PUBLIC], hidden, 0) != 0)
		return false;
	if (renameat(s->places[PUBLIC], hidden, s->places[PUBLIC], file) == 0)
		return true;
	(void)unlinkat(s->places[PUBLIC], hidden, 0);
	return false;
}

/* One that is whole and not cached yet becomes the cached one, too. */
static void
cache_published(struct shelf *s, const char *key, const struct growing *g)
{
	if (s->cache_max > 0 && linkat(s->places[PUBLIC], g->file, s->places[CACHE], key, 0) == 0)
		__atomic_add_fetch(&s->usage->cache, g->size, __ATOMIC_RELAXED);
}

enum hl_err
shelf_finish(struct shelf *s, struct growing *g, const char (*keys)[SHELF_FILE_MAX], size_t count)
{
	bool there = true;
	enum hl_err err = HL_OK;

	note_parts(s, g->file, keys, count);
	if (count == 1 && publish_cached(s, keys[0], g->file))
		there = shelf_drop(s, MAKING, g->file);
	else if (fdatasync(g->fd) != 0)
		err = HL_INTERNAL;
	else {
		there = renameat(s->places[MAKING], g->file, s->places[PUBLIC], g->file) == 0;
		if (there && count == 1)
			cache_published(s, keys[0], g);
	}
	if (err == HL_OK && !there) {		/* its conversation has been deleted */
		shelf_remove(s, g->file);
		err = HL_NOT_FOUND;
	}
	if (err == HL_OK) {
		shelf_order_done(s, g->file);
		close(g->fd);			/* with its lock: from here on it is over */
		g->fd = -1;
	}
	return err;
}

/* The growing one first: it is in one of the two places at any moment, and never goes back. */
void
shelf_remove(struct shelf *s, const char *file)
{
	(void)shelf_drop(s, MAKING, file);
	(void)shelf_drop(s, PUBLIC, file);
	shelf_order_done(s, file);
	shelf_forget_parts(s, file);
}

/* ---- listening ---- */

enum hl_err
shelf_read(struct shelf *s, const char *file, size_t max, struct buf *out)
{
	return read_file(s, PUBLIC, file, max, out);
}

enum hl_err
shelf_listen(struct shelf *s, const char *file, int *ret_fd, bool *ret_whole)
{
	*ret_whole = false;
	*ret_fd = openat(s->places[MAKING], file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_fd >= 0 && (!shelf_is_over(s, file, ret_fd, ret_whole) || *ret_whole))
		return HL_OK;
	if (*ret_fd >= 0)
		close(*ret_fd);		/* its maker is dead */
	*ret_fd = openat(s->places[PUBLIC], file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	*ret_whole = *ret_fd >= 0;
	return *ret_fd >= 0 ? HL_OK : HL_NOT_FOUND;
}

bool
shelf_is_over(struct shelf *s, const char *file, int *fd, bool *ret_whole)
{
	int published;

	*ret_whole = false;
	if (flock(*fd, LOCK_SH | LOCK_NB) != 0)
		return false;
	published = openat(s->places[PUBLIC], file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (published < 0)
		return true;
	close(*fd);			/* maybe another file: a cached piece takes the place of the same bytes */
	*fd = published;
	*ret_whole = true;
	return true;
}
