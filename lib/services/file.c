#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "services/file.h"

#define NAME_MAX_BYTES 128
#define TRIES		4	/* to keep a file where somebody removes its folder */

enum hl_err
file_open(const char *path, size_t max, struct file_view *ret)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum hl_err err = HL_INTERNAL;
	struct stat st;
	void *p;

	*ret = (struct file_view){ .data = "" };
	if (fd < 0)
		return errno == ENOENT ? HL_NOT_FOUND : HL_INTERNAL;
	if (fstat(fd, &st) != 0)
		goto out;
	errno = EINVAL;
	if (!S_ISREG(st.st_mode))
		goto out;
	err = (size_t)st.st_size > max ? HL_TOO_LARGE : HL_OK;
	if (err || st.st_size == 0)
		goto out;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		err = HL_INTERNAL;
	else
		*ret = (struct file_view){ p, (size_t)st.st_size };
out:
	close(fd);
	return err;
}

void
file_close(struct file_view *v)
{
	if (v->len)
		munmap((void *)(uintptr_t)v->data, v->len);
	*v = (struct file_view){ .data = "" };
}

static int
open_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && (mkdir(dir, 0755) == 0 || errno == EEXIST))
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

bool
disk_has_room(int folder, int64_t bytes)
{
	struct statvfs disk;

	return fstatvfs(folder, &disk) != 0 || (int64_t)disk.f_bavail * (int64_t)disk.f_frsize >= bytes + DISK_ROOM;
}

static int
write_all(int fd, const char *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return -1;
	}
	return fchmod(fd, 0644) == 0 ? fsync(fd) : -1;
}

/* 0, or what is wrong. */
static int
keep_once(const char *dir, const char *name, const void *bytes, size_t len)
{
	char part[NAME_MAX_BYTES + 8];
	int folder = open_folder(dir), fd, failure;

	if (folder < 0)
		return errno;
	if (!disk_has_room(folder, (int64_t)len)) {
		close(folder);
		return ENOSPC;
	}
	snprintf(part, sizeof(part), ".%.*s.part", NAME_MAX_BYTES, name);
	fd = openat(folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	failure = fd < 0 || write_all(fd, bytes, len) != 0 ? errno : 0;
	if (fd >= 0 && close(fd) != 0 && failure == 0)
		failure = errno;
	if (failure == 0 && (renameat(folder, part, folder, name) != 0 || fsync(folder) != 0))
		failure = errno;
	if (failure && fd >= 0)
		unlinkat(folder, part, 0);
	close(folder);
	return failure;
}

/* ENOENT: somebody has removed the folder meanwhile, with what was in it; it is made again. */
enum hl_err
file_keep(const char *dir, const char *name, const void *bytes, size_t len)
{
	int failure = ENOENT;

	for (int i = 0; i < TRIES && failure == ENOENT; i++)
		failure = keep_once(dir, name, bytes, len);
	errno = failure;
	return failure ? HL_INTERNAL : HL_OK;
}

void
file_remove(const char *dir, const char *name)
{
	int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0)
		return;
	(void)unlinkat(folder, name, 0);
	close(folder);
}
