/*
 * shelf_tend.c - what dead makers left, what is not needed any more, and the count of it all.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "services/shelf_parts.h"

#define TEND_EVERY_S	600
#define LEFT_AFTER_S	60	/* what is begun and has no lock yet is left alone for so long */
#define ORDERED_S	(7 * 86400)	/* for so long a sound that came to nothing can be asked for again */

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

static void
clean_making(struct shelf *s, const char *name, const struct stat *st, void *arg)
{
	(void)arg;
	if (name[0] != '.')
		shelf_drop_dead(s, name);
	else if (is_left(st))
		(void)unlinkat(s->places[MAKING], name, 0);
}

static void
clean_orders(struct shelf *s, const char *name, const struct stat *st, void *arg)
{
	(void)arg;
	if (st->st_mtime < time(NULL) - ORDERED_S)
		(void)shelf_drop(s, ORDERS, name);
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
		shelf_forget_parts(s, name);
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
	each_file(s, ORDERS, sum_up, &sums);
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
		(void)shelf_drop(s, CACHE, c.list[i].name);
	free(c.list);
}

void
shelf_tend(struct shelf *s)
{
	enum place hidden[] = { PUBLIC, CACHE, ORDERS };
	int64_t now = time(NULL), last = __atomic_load_n(&s->usage->tended_s, __ATOMIC_RELAXED);
	bool due = now - last >= TEND_EVERY_S || last > now;

	if (flock(s->usage_fd, LOCK_EX | LOCK_NB) != 0)
		return;
	each_file(s, MAKING, clean_making, NULL);
	if (due) {
		each_file(s, PARTS, clean_parts, NULL);
		each_file(s, PUBLIC, clean_hidden, &hidden[0]);
		each_file(s, CACHE, clean_hidden, &hidden[1]);
		each_file(s, ORDERS, clean_hidden, &hidden[2]);
		each_file(s, ORDERS, clean_orders, NULL);
		recount(s);
		__atomic_store_n(&s->usage->tended_s, now, __ATOMIC_RELAXED);
	}
	if (shelf_cache_is_full(s))
		evict(s);
	(void)flock(s->usage_fd, LOCK_UN);
}
