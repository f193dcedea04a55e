#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

#define TREE_MAX_DEPTH	16
#define OPEN_DIR	(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct sync {
	bool		(*want)(const char *);
	struct buf	*problem;
};

static int	 sync_dir(const struct sync *, int from, int to, unsigned depth);
static int	 remove_entry(int dir, const char *name, unsigned depth);

static bool
skipped(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int
failed(const struct sync *s, const char *name)
{
	buf_printf(s->problem, "%s cannot be copied: %s", name, strerror(errno));
	return -1;
}

static bool
wanted(const struct sync *s, const char *name, const struct stat *st)
{
	return S_ISDIR(st->st_mode) || (S_ISREG(st->st_mode) && (s->want == NULL || s->want(name)));
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return S_ISREG(b->st_mode) && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int
copy_bytes(int in, int out)
{
	char buf[65536];
	ssize_t n, put;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0; done < n; done += put)
			if ((put = write(out, buf + done, (size_t)(n - done))) < 0)
				return -1;
	return n < 0 ? -1 : 0;
}

/* Under a name of its own first, so that a reader sees the old file or the new one. */
static int
copy_file(int from, int to, const char *name, const struct stat *st)
{
	const struct timespec times[2] = { st->st_mtim, st->st_mtim };
	char fresh[NAME_MAX + 8];
	int in, out = -1, ret = -1;

	snprintf(fresh, sizeof(fresh), ".%.240s.new", name);
	in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (in < 0)
		return -1;
	out = openat(to, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out >= 0 && copy_bytes(in, out) == 0 && fchmod(out, st->st_mode & 0100 ? 0755 : 0644) == 0 &&
	    futimens(out, times) == 0)
		ret = renameat(to, fresh, to, name);
	if (out >= 0)
		close(out);
	close(in);
	return ret;
}

static int
sync_subdir(const struct sync *s, int from, int to, const char *name, unsigned depth)
{
	int a, b = -1, ret = -1;

	if (mkdirat(to, name, 0755) != 0 && errno != EEXIST)
		return failed(s, name);
	a = openat(from, name, OPEN_DIR);
	b = openat(to, name, OPEN_DIR);
	if (a < 0 || b < 0 || fchmod(b, 0755) != 0)
		failed(s, name);
	else
		ret = sync_dir(s, a, b, depth + 1);
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return ret;
}

static int
sync_entry(const struct sync *s, int from, int to, const char *name, unsigned depth)
{
	struct stat is, was;
	bool there = fstatat(to, name, &was, AT_SYMLINK_NOFOLLOW) == 0;

	if (fstatat(from, name, &is, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : failed(s, name);	/* gone while we looked */
	if (!wanted(s, name, &is) || (there && same_file(&is, &was)))
		return 0;
	if (there && S_ISDIR(is.st_mode) != S_ISDIR(was.st_mode) && remove_entry(to, name, depth) != 0)
		return failed(s, name);
	if (S_ISDIR(is.st_mode))
		return sync_subdir(s, from, to, name, depth);
	return copy_file(from, to, name, &is) == 0 || errno == ENOENT ? 0 : failed(s, name);
}

static DIR *
open_list(int dir)
{
	int fd = openat(dir, ".", OPEN_DIR);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (list == NULL && fd >= 0)
		close(fd);
	return list;
}

static int
remove_all(int dir, unsigned depth)
{
	DIR *list = depth > TREE_MAX_DEPTH ? NULL : open_list(dir);
	struct dirent *e;
	int ret = 0;

	if (list == NULL)
		return -1;
	while (ret == 0 && (e = readdir(list)) != NULL)
		if (!skipped(e->d_name))
			ret = remove_entry(dir, e->d_name, depth + 1);
	closedir(list);
	return ret;
}

static int
remove_entry(int dir, const char *name, unsigned depth)
{
	int fd, ret;

	if (unlinkat(dir, name, 0) == 0)
		return 0;
	if ((fd = openat(dir, name, OPEN_DIR)) < 0)
		return -1;
	ret = remove_all(fd, depth);
	close(fd);
	return ret == 0 ? unlinkat(dir, name, AT_REMOVEDIR) : -1;
}

/* Removes from to what from does not have. */
static int
sync_removed(const struct sync *s, int from, int to, unsigned depth)
{
	DIR *list = open_list(to);
	struct dirent *e;
	struct stat st;
	int ret = 0;

	if (list == NULL)
		return failed(s, "folder");
	while (ret == 0 && (e = readdir(list)) != NULL) {
		if (skipped(e->d_name) ||
		    (fstatat(from, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && wanted(s, e->d_name, &st)))
			continue;
		if (remove_entry(to, e->d_name, depth) != 0)
			ret = failed(s, e->d_name);
	}
	closedir(list);
	return ret;
}

static int
sync_dir(const struct sync *s, int from, int to, unsigned depth)
{
	DIR *list = depth > TREE_MAX_DEPTH ? NULL : open_list(from);
	struct dirent *e;
	int ret = 0;

	if (list == NULL)
		return failed(s, "folder");
	while (ret == 0 && (e = readdir(list)) != NULL)
		if (!skipped(e->d_name))
			ret = sync_entry(s, from, to, e->d_name, depth);
	closedir(list);
	return ret == 0 ? sync_removed(s, from, to, depth) : ret;
}

enum hl_err
tree_sync(const char *from, const char *to, bool (*want)(const char *), struct buf *problem)
{
	const struct sync s = { want, problem };
	int a, b, ret = -1;

	if (mkdir(to, 0755) != 0 && errno != EEXIST) {
		failed(&s, to);
		return HL_INTERNAL;
	}
	a = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b = open(to, OPEN_DIR);
	if (a < 0 || b < 0 || fchmod(b, 0755) != 0)
		failed(&s, from);
	else
		ret = sync_dir(&s, a, b, 0);
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return ret == 0 ? HL_OK : HL_INTERNAL;
}

static bool
readable(int dir, bool (*want)(const char *), unsigned depth)
{
	DIR *list = depth > TREE_MAX_DEPTH ? NULL : open_list(dir);
	struct dirent *e;
	struct stat st;
	bool ok = list != NULL;
	int fd;

	while (ok && (e = readdir(list)) != NULL) {
		if (skipped(e->d_name) || fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !wanted(&(struct sync){ want, NULL }, e->d_name, &st))
			continue;
		fd = openat(dir, e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		ok = fd >= 0 && (!S_ISDIR(st.st_mode) || readable(fd, want, depth + 1));
		if (fd >= 0)
			close(fd);
	}
	if (list)
		closedir(list);
	return ok;
}

bool
tree_readable(const char *folder, bool (*want)(const char *))
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && readable(fd, want, 0);

	if (fd >= 0)
		close(fd);
	return ok;
}
