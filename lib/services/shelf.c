#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "services/shelf.h"

#define TEND_EVERY_S	600
#define LEFT_AFTER_S	60	/* what is begun and has no lock yet is left alone for so long */
#define ROOM_LEAST	1000000	/* bytes: with less, what is begun would not come to its end */
#define PIECES_MAX	1024u

enum place { PUBLIC, MAKING, CACHE, PARTS, PLACES };
static const char *const place_names[PLACES] = { "public", "making", "cache", "parts" };

/* Shared by all processes. */
struct usage { int64_t total, cache, tended_s; };

struct shelf {
	int		 root, places[PLACES], usage_fd;
	struct usage	*usage;
	int64_t		 cache_max, total_max;
};

/* ---- counting ---- */

static void
count_bytes(struct shelf *s, int64_t bytes, bool cached)
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

static bool
cache_is_full(const struct shelf *s)
{
	return __atomic_load_n(&s->usage->cache, __ATOMIC_RELAXED) > s->cache_max;
}

bool
shelf_wants_tending(const struct shelf *s)
{
	return cache_is_full(s);
}

bool
shelf_full(const struct shelf *s)
{
	int64_t room = s->total_max / 8 < ROOM_LEAST ? s->total_max / 8 : ROOM_LEAST;

	return shelf_usage(s) + room >= s->total_max;
}

/* Counts what it gave back: nothing, as long as it has another name. */
static bool
drop(struct shelf *s, enum place place, const char *name)
{
	struct stat st;

	if (fstatat(s->places[place], name, &st, AT_SYMLINK_NOFOLLOW) != 0 || unlinkat(s->places[place], name, 0) != 0)
		return false;
	if (st.st_nlink == 1)
		count_bytes(s, -st.st_size, false);
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

static void
hidden_name(const char *file, char out[SHELF_FILE_MAX + 8])
{
	snprintf(out, SHELF_FILE_MAX + 8, ".%s", file);
}

enum hl_err
shelf_begin(struct shelf *s, const char *file, struct growing *ret)
{
	char hidden[SHELF_FILE_MAX + 8];
	int failure;

	*ret = (struct growing){ .fd = -1 };
	if (shelf_full(s))
		return HL_TOO_LARGE;
	snprintf(ret->file, sizeof(ret->file), "%s", file);
	hidden_name(file, hidden);
	ret->fd = openat(s->places[MAKING], hidden, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (ret->fd < 0)
		return HL_INTERNAL;
	/* Its name is what says that it is being made: it has that only once it is locked. */
	if (fchmod(ret->fd, 0644) == 0 && flock(ret->fd, LOCK_EX | LOCK_NB) == 0 &&
	    renameat(s->places[MAKING], hidden, s->places[MAKING], file) == 0)
		return HL_OK;
	failure = errno;
	(void)unlinkat(s->places[MAKING], hidden, 0);
	close(ret->fd);
	ret->fd = -1;
	errno = failure;
	return HL_INTERNAL;
}

enum hl_err
shelf_write(struct shelf *s, struct growing *g, const void *bytes, size_t len)
{
	const char *p = bytes;
	ssize_t n;

	if (shelf_usage(s) + (int64_t)len > s->total_max)
		return HL_TOO_LARGE;
	for (; len > 0; p += n, len -= (size_t)n) {
		n = pwrite(g->fd, p, len, g->size);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return HL_INTERNAL;
		g->size += n;
		count_bytes(s, n, false);
	}
	return HL_OK;
}

void
shelf_restart(struct shelf *s, struct growing *g)
{
	if (ftruncate(g->fd, 0) != 0)
		return;
	count_bytes(s, -g->size, false);
	g->size = 0;
}

void
shelf_abandon(struct shelf *s, struct growing *g)
{
	if (g->fd < 0)
		return;
	(void)drop(s, MAKING, g->file);
	close(g->fd);
	g->fd = -1;
}

/* ---- pieces ---- */

/* Whole under its name, or not at all.  The name before is this thread's own. */
static bool
put_file(struct shelf *s, enum place place, const char *name, const void *bytes, size_t len)
{
	char part[SHELF_FILE_MAX + 48];
	const char *p = bytes;
	size_t left = len;
	bool ok;
	int fd;

	snprintf(part, sizeof(part), ".%s.%d.%p", name, (int)getpid(), (const void *)&part);
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
	ok = left == 0 && fchmod(fd, 0644) == 0 && fdatasync(fd) == 0;
	ok = close(fd) == 0 && ok;
	if (ok)
		(void)drop(s, place, name);
	ok = ok && renameat(s->places[place], part, s->places[place], name) == 0;
	if (ok)
		count_bytes(s, (int64_t)len, place == CACHE);
	else
		(void)unlinkat(s->places[place], part, 0);
	return ok;
}

void
shelf_keep(struct shelf *s, const char *key_file, const void *bytes, size_t len)
{
	if (s->cache_max > 0 && shelf_usage(s) + (int64_t)len <= s->total_max)
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
	for (size_t i = 0; i < count; i++) {
		at += sprintf(at, "%.*s\n", SHELF_FILE_MAX - 1, keys[i]);
		if (count == 1)
			continue;
		part_name(file, i, name);
		(void)!linkat(s->places[CACHE], keys[i], s->places[PARTS], name, 0);	/* else it is made again when it is wanted */
	}
	manifest_name(file, manifest);
	(void)put_file(s, PARTS, manifest, list, (size_t)(at - list));
	free(list);
}

static void
forget_parts(struct shelf *s, const char *file)
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
		(void)drop(s, PARTS, name);
		if (fstatat(s->places[CACHE], line, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 1)
			(void)drop(s, CACHE, line);
	}
	(void)drop(s, PARTS, manifest);
	free(list);
}

/* The cached piece under the message's name, in place of the growing one, which is nothing else. */
static bool
publish_cached(struct shelf *s, const char *key, const char *file)
{
	char hidden[SHELF_FILE_MAX + 8];

	hidden_name(file, hidden);
	(void)unlinkat(s->places[PUBLIC], hidden, 0);
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
		there = drop(s, MAKING, g->file);
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
		close(g->fd);			/* with its lock: from here on it is over */
		g->fd = -1;
	}
	return err;
}

/* The growing one first: it is in one of the two places at any moment, and never goes back. */
void
shelf_remove(struct shelf *s, const char *file)
{
	(void)drop(s, MAKING, file);
	(void)drop(s, PUBLIC, file);
	forget_parts(s, file);
}

/* ---- listening ---- */

enum hl_err
shelf_read(struct shelf *s, const char *file, size_t max, struct buf *out)
{
	int fd = openat(s->places[PUBLIC], file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
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
shelf_listen(struct shelf *s, const char *file, int *ret_fd, bool *ret_whole)
{
	*ret_whole = false;
	*ret_fd = openat(s->places[MAKING], file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_fd >= 0)
		return HL_OK;
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

/* ---- tending ---- */

struct cached { int64_t used_s; int64_t size; char name[SHELF_FILE_MAX]; };

static int
older_first(const void *a, const void *b)
{
	const struct cached *x = a, *y = b;

	return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

typedef void (*visit)(struct shelf *, const char *name, const struct stat *, void *arg);

static void
each_file(struct shelf *s, enum place place, visit each, void *arg)
{
	int fd = openat(s->places[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	struct stat st;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (fstatat(s->places[place], e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			each(s, e->d_name, &st, arg);
	closedir(dir);
}

static bool
is_left(const struct stat *st)
{
	return st->st_mtime < time(NULL) - LEFT_AFTER_S;
}

/* Without its maker's lock there is no maker. */
static void
clean_making(struct shelf *s, const char *name, const struct stat *st, void *arg)
{
	int fd;

	(void)arg;
	if (name[0] == '.') {
		if (is_left(st))
			(void)unlinkat(s->places[MAKING], name, 0);
		return;
	}
	fd = openat(s->places[MAKING], name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)drop(s, MAKING, name);
	close(fd);
}

/* A finish that was broken off left parts of what there is no sound of. */
static void
clean_parts(struct shelf *s, const char *name, const struct stat *st, void *arg)
{
	char file[SHELF_FILE_MAX];

	(void)arg;
	if (!is_left(st))
		return;
	if (name[0] == '.')
		(void)unlinkat(s->places[PARTS], name, 0);
	else if (strlen(name) == SHELF_NAME_LEN) {
		for (int wav = 0; wav < 2; wav++) {
			snprintf(file, sizeof(file), "%s.%s", name, wav ? "wav" : "mp3");
			if (faccessat(s->places[PUBLIC], file, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
			    faccessat(s->places[MAKING], file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
				return;
		}
		forget_parts(s, name);
	}
}

static void
clean_hidden(struct shelf *s, const char *name, const struct stat *st, void *arg)
{
	const enum place *place = arg;

	if (name[0] == '.' && is_left(st))
		(void)unlinkat(s->places[*place], name, 0);
}

struct sums { double total; int64_t cache; };

static void
sum_up(struct shelf *s, const char *name, const struct stat *st, void *arg)
{
	struct sums *sums = arg;

	(void)s;
	(void)name;
	sums->total += (double)st->st_size / (double)st->st_nlink;	/* each of its names has a share */
}

static void
sum_cache(struct shelf *s, const char *name, const struct stat *st, void *arg)
{
	struct sums *sums = arg;

	sum_up(s, name, st, arg);
	sums->cache += st->st_size;
}

static void
recount(struct shelf *s)
{
	struct sums sums = { 0 };

	each_file(s, PUBLIC, sum_up, &sums);
	each_file(s, MAKING, sum_up, &sums);
	each_file(s, PARTS, sum_up, &sums);
	each_file(s, CACHE, sum_cache, &sums);
	__atomic_store_n(&s->usage->total, (int64_t)sums.total, __ATOMIC_RELAXED);
	__atomic_store_n(&s->usage->cache, sums.cache, __ATOMIC_RELAXED);
}

struct collection { struct cached *list; size_t count, room; };

static void
collect(struct shelf *s, const char *name, const struct stat *st, void *arg)
{
	struct collection *c = arg;

	(void)s;
	if (name[0] == '.' || strlen(name) >= SHELF_FILE_MAX)
		return;
	if (c->count == c->room) {
		size_t room = c->room ? c->room * 2 : 256;
		struct cached *more = realloc(c->list, room * sizeof(*more));

		if (more == NULL)
			return;
		c->list = more;
		c->room = room;
	}
	c->list[c->count] = (struct cached){ .used_s = st->st_mtime, .size = st->st_size };
	strcpy(c->list[c->count++].name, name);
}

/* The least recently used go until a tenth is free again. */
static void
evict(struct shelf *s)
{
	struct collection c = { 0 };

	each_file(s, CACHE, collect, &c);
	if (c.count)
		qsort(c.list, c.count, sizeof(*c.list), older_first);
	for (size_t i = 0; i < c.count && __atomic_load_n(&s->usage->cache, __ATOMIC_RELAXED) > s->cache_max / 10 * 9; i++)
		(void)drop(s, CACHE, c.list[i].name);
	free(c.list);
}

void
shelf_tend(struct shelf *s)
{
	enum place hidden[] = { PUBLIC, CACHE };
	int64_t now = time(NULL), last = __atomic_load_n(&s->usage->tended_s, __ATOMIC_RELAXED);
	bool due = now - last >= TEND_EVERY_S || last > now;

	if (flock(s->usage_fd, LOCK_EX | LOCK_NB) != 0)
		return;
	each_file(s, MAKING, clean_making, NULL);
	if (due) {
		each_file(s, PARTS, clean_parts, NULL);
		each_file(s, PUBLIC, clean_hidden, &hidden[0]);
		each_file(s, CACHE, clean_hidden, &hidden[1]);
		recount(s);
		__atomic_store_n(&s->usage->tended_s, now, __ATOMIC_RELAXED);
	}
	if (cache_is_full(s))
		evict(s);
	(void)flock(s->usage_fd, LOCK_UN);
}
