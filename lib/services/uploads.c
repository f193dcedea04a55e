#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "services/file.h"
#include "services/uploads.h"

#define PLACE		"/uploads/"
#define PATH_MAX_BYTES	4352
#define COUNT_AGE_S	60	/* how old a count of what is there may be */
#define FULL_AGE_S	5	/* … when it says that there is no room */
#define EXTENSION_MAX	5

/* ---- how much there is ---- */

/* Of the folder that this process keeps them in; threads of the pool share it. */
static struct { pthread_mutex_t lock; int64_t bytes, at_s; } usage = { .lock = PTHREAD_MUTEX_INITIALIZER, .at_s = -COUNT_AGE_S };

static int64_t
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Calls found(arg, dir, name) for each entry but . and .. */
static void
each_entry(int fd, void (*found)(void *, int, const char *), void *arg)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			found(arg, dirfd(dir), e->d_name);
	closedir(dir);
}

static int
open_in(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void
add_file(void *arg, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		*(int64_t *)arg += st.st_size;
}

static void
add_folder(void *arg, int dir, const char *name)
{
	each_entry(open_in(dir, name), add_file, arg);
}

/* Is there room for len more?  They count from now on. */
static bool
take_room(const char *path, int64_t most, int64_t len)
{
	struct statvfs disk;
	bool room;

	if (statvfs(path, &disk) == 0 && (int64_t)disk.f_bavail * (int64_t)disk.f_frsize < len + UPLOAD_ROOM)
		return false;
	pthread_mutex_lock(&usage.lock);
	room = usage.bytes + len <= most;
	if (seconds() - usage.at_s >= (room ? COUNT_AGE_S : FULL_AGE_S)) {
		usage.bytes = 0;
		usage.at_s = seconds();
		each_entry(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), add_folder, &usage.bytes);
		room = usage.bytes + len <= most;
	}
	if (room)
		usage.bytes += len;
	pthread_mutex_unlock(&usage.lock);
	return room;
}

/* ---- keeping ---- */

enum hl_err
upload_keep(const char *path, int64_t most, const char *folder, const char *extension, const void *bytes, size_t len,
    char url[UPLOAD_URL_MAX])
{
	char dir[PATH_MAX_BYTES], name[ID_LEN + EXTENSION_MAX + 2], id[ID_LEN + 1];
	enum hl_err err;

	*url = '\0';
	errno = ENAMETOOLONG;
	if (snprintf(dir, sizeof(dir), "%s/%s", path, folder) >= (int)sizeof(dir))
		return HL_INTERNAL;
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return HL_INTERNAL;
	if (!take_room(path, most, (int64_t)len))
		return HL_TOO_LARGE;
	id_new(id);
	snprintf(name, sizeof(name), "%s.%.*s", id, EXTENSION_MAX, extension);
	err = file_keep(dir, name, bytes, len);
	if (err && (errno == ENOSPC || errno == EDQUOT))
		err = HL_TOO_LARGE;
	if (err == HL_OK)
		snprintf(url, UPLOAD_URL_MAX, PLACE "%s-%s", folder, name);
	return err;
}

void
upload_drop(const char *path, const char *url)
{
	char dir[PATH_MAX_BYTES];
	const char *folder = url + sizeof(PLACE) - 1, *name = folder + UPLOAD_FOLDER_LEN + 1;

	if (strncmp(url, PLACE, sizeof(PLACE) - 1) != 0 || strlen(folder) <= UPLOAD_FOLDER_LEN + 1 || strchr(folder, '/') ||
	    snprintf(dir, sizeof(dir), "%s/%.*s", path, UPLOAD_FOLDER_LEN, folder) >= (int)sizeof(dir))
		return;
	file_remove(dir, name);
	(void)rmdir(dir);		/* if that was the last one */
}

static void
remove_file(void *arg, int dir, const char *name)
{
	(void)arg;
	(void)unlinkat(dir, name, 0);
}

static void
remove_folder(int dir, const char *name)
{
	each_entry(open_in(dir, name), remove_file, NULL);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
}

static bool
is_folder(const char *name)
{
	return strlen(name) == UPLOAD_FOLDER_LEN && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == UPLOAD_FOLDER_LEN;
}

void
uploads_remove(const char *path, const char *folder)
{
	int dir = is_folder(folder) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (dir < 0)
		return;
	remove_folder(dir, folder);
	close(dir);
}

/* ---- what nobody has any more ---- */

struct sweep { int64_t age_s; bool (*each)(void *, const char *); void *arg; };

static void
sweep_folder(void *arg, int dir, const char *name)
{
	const struct sweep *s = arg;
	struct stat st;

	if (is_folder(name) && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	    time(NULL) - st.st_mtime >= s->age_s && !s->each(s->arg, name))
		remove_folder(dir, name);
}

void
uploads_sweep(const char *path, int64_t age_s, bool (*each)(void *, const char *), void *arg)
{
	struct sweep s = { age_s, each, arg };

	each_entry(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), sweep_folder, &s);
}
