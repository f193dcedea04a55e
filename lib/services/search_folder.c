#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "services/search_folder.h"

/*
 * A file can change twice within one tick of the file system's clock, and then the second change leaves no trace in its
 * times.  So a file that changed this recently gets a stamp that will not match the next time.
 */
#define RACY_NS	50000000

static int64_t
nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static void
set_stamp(struct folder_file *file, const struct stat *st)
{
	int64_t modified = nanoseconds(&st->st_mtim), changed = nanoseconds(&st->st_ctim);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (nanoseconds(&now) - changed < RACY_NS)
		changed = 0;
	snprintf(file->stamp, sizeof(file->stamp), "%lld %lld %lld %llu", (long long)modified, (long long)changed,
	    (long long)st->st_size, (unsigned long long)st->st_ino);
}

static bool
wanted(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL && dot != name &&
	    (strcasecmp(dot, ".md") == 0 || strcasecmp(dot, ".markdown") == 0 || strcasecmp(dot, ".txt") == 0);
}

static enum hl_err
add_file(struct folder *f, const char *path, const struct stat *st)
{
	struct folder_file *file;

	if (f->count == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 32;
		struct folder_file *more = realloc(f->files, cap * sizeof(*more));

		if (more == NULL)
			return HL_NO_MEMORY;
		f->files = more;
		f->cap = cap;
	}
	file = &f->files[f->count];
	file->path = strdup(path);
	if (file->path == NULL)
		return HL_NO_MEMORY;
	set_stamp(file, st);
	file->size = st->st_size <= (off_t)FOLDER_MAX_FILE && f->bytes + st->st_size <= (int64_t)FOLDER_MAX_BYTES ?
	    (int64_t)st->st_size : -1;
	if (file->size > 0)
		f->bytes += file->size;
	f->count++;
	return HL_OK;
}

/* A link counts as the file it leads to, if that is below the folder (as in mounted volumes). */
static bool
link_stays_inside(const char *root, int dir, const char *name, struct stat *st)
{
	char proc[64], real_root[PATH_MAX], real[PATH_MAX];
	ssize_t n;
	size_t root_len;
	int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, real, sizeof(real) - 1);
	if (n <= 0 || fstat(fd, st) != 0 || realpath(root, real_root) == NULL)
		n = 0;
	close(fd);
	if (n <= 0)
		return false;
	real[n] = '\0';
	root_len = strlen(real_root);
	return strncmp(real, real_root, root_len) == 0 && (real[root_len] == '/' || root_len == 1);
}

static enum hl_err scan_dir(struct folder *, const char *root, int dir, struct buf *path, size_t depth);

static enum hl_err
scan_entry(struct folder *f, const char *root, int dir, const char *name, struct buf *path, size_t depth)
{
	struct stat st;
	int sub = -1;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return HL_OK;	/* gone already */
	if (S_ISDIR(st.st_mode)) {
		if (depth < FOLDER_MAX_DEPTH)
			sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		buf_putc(path, '/');
		return sub < 0 ? HL_OK : scan_dir(f, root, sub, path, depth + 1);
	}
	if (!wanted(name) || f->count == FOLDER_MAX_FILES)
		return HL_OK;
	if (S_ISLNK(st.st_mode) && !link_stays_inside(root, dir, name, &st))
		return HL_OK;
	return S_ISREG(st.st_mode) ? add_file(f, path->data, &st) : HL_OK;
}

/* Takes dir over.  path is the folder's own path below the root, with a slash, and is left as it was. */
static enum hl_err
scan_dir(struct folder *f, const char *root, int dir, struct buf *path, size_t depth)
{
	DIR *stream = fdopendir(dir);
	const struct dirent *entry;
	size_t len = path->len;
	enum hl_err err = HL_OK;

	if (stream == NULL) {
		close(dir);
		return HL_NO_MEMORY;
	}
	while (err == HL_OK && (entry = readdir(stream)) != NULL) {
		if (entry->d_name[0] == '.' || !utf8_valid(entry->d_name, strlen(entry->d_name)))
			continue;
		buf_puts(path, entry->d_name);
		err = buf_err(path);
		if (err == HL_OK)
			err = scan_entry(f, root, dirfd(stream), entry->d_name, path, depth);
		else if (err == HL_TOO_LARGE)
			err = HL_OK;	/* a path that long is left out */
		path->err = HL_OK;
		path->len = len;
	}
	closedir(stream);
	return err;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct folder_file *)a)->path, ((const struct folder_file *)b)->path);
}

static void
sign(uint64_t *h, const char *text)
{
	do
		*h = (*h ^ (unsigned char)*text) * 1099511628211u;	/* FNV-1a, the NUL included */
	while (*text++ != '\0');
}

enum hl_err
folder_scan(const char *root, struct folder *ret)
{
	struct buf path = BUF_INIT(PATH_MAX);
	uint64_t h = 14695981039346656037u;
	enum hl_err err;
	int dir;

	*ret = (struct folder){ 0 };
	dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return HL_NOT_FOUND;
	err = scan_dir(ret, root, dir, &path, 0);
	buf_free(&path);
	if (ret->count > 1)
		qsort(ret->files, ret->count, sizeof(*ret->files), by_path);
	for (size_t i = 0; i < ret->count; i++) {
		sign(&h, ret->files[i].path);
		sign(&h, ret->files[i].stamp);
	}
	memcpy(&ret->signature, &h, sizeof(h));
	return err;
}

void
folder_free(struct folder *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->files[i].path);
	free(f->files);
	*f = (struct folder){ 0 };
}

static enum hl_err
read_all(int fd, struct buf *out)
{
	for (;;) {
		char *room = buf_reserve(out, 65536);
		ssize_t n = room ? read(fd, room, 65536) : -1;

		if (room == NULL)
			return buf_err(out);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return HL_NOT_FOUND;
		buf_grow(out, (size_t)n);
		if (n == 0)
			return out->len > FOLDER_MAX_FILE ? HL_TOO_LARGE : HL_OK;
	}
}

enum hl_err
folder_read(const char *root, const char *path, struct buf *ret_bytes)
{
	char full[PATH_MAX];
	struct stat st;
	enum hl_err err = HL_NOT_FOUND;
	int fd;

	if (snprintf(full, sizeof(full), "%s/%s", root, path) >= (int)sizeof(full))
		return HL_NOT_FOUND;
	fd = open(full, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return HL_NOT_FOUND;
	*ret_bytes = BUF_INIT(FOLDER_MAX_FILE + 2 * 65536);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		err = read_all(fd, ret_bytes);
	close(fd);
	return err;
}
