#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "services/file.h"
#include "services/uploads.h"

#define PLACE		"/uploads/"
#define PATH_MAX_BYTES	4352
#define COUNT_AGE_S	60	/* how old a count of what is there may be */
#define FULL_AGE_S	5	/* … when it says that there is no room */
#define EXTENSION_MAX	5

/* ---- how much there is ---- */

/* What the file `usage` holds. */
struct usage { int64_t bytes, at_s; };

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

/* What is being written meanwhile may be missed until the next time. */
static void
count_anew(const char *path, struct usage *u)
{
	*u = (struct usage){ .at_s = clock_wall_ms() / 1000 };
	each_entry(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), add_folder, &u->bytes);
}

/* Is there room for len more?  They count from now on. */
static bool
count_in(const char *path, struct usage *u, int64_t most, int64_t len)
{
	int64_t age_s = clock_wall_ms() / 1000 - u->at_s;
	bool room = u->bytes + len <= most;

	if (age_s < 0 || age_s >= (room ? COUNT_AGE_S : FULL_AGE_S)) {
		count_anew(path, u);
		room = u->bytes + len <= most;
	}
	if (room)
		u->bytes += len;
	return room;
}

/* Of all processes one asks at a time.  0, or an errno. */
static int
take_room(const char *path, int64_t most, int64_t len)
{
	struct usage u = { 0 };
	char file[PATH_MAX_BYTES];
	int fd, failure = 0;

	snprintf(file, sizeof(file), "%s/usage", path);
	fd = open(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	if (flock(fd, LOCK_EX) != 0)
		failure = errno;
	else if (pread(fd, &u, sizeof(u), 0) != sizeof(u))
		u = (struct usage){ 0 };
	if (failure == 0 && !count_in(path, &u, most, len))
		failure = EDQUOT;
	if (pwrite(fd, &u, sizeof(u), 0) != sizeof(u) && failure == 0)
		failure = ENOSPC;
	close(fd);
	return failure;
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
	id_new(id);
	snprintf(name, sizeof(name), "%s.%.*s", id, EXTENSION_MAX, extension);
	errno = take_room(path, most, (int64_t)len);
	err = errno ? HL_INTERNAL : file_keep(dir, name, bytes, len);
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
	    clock_wall_ms() / 1000 - st.st_mtime >= s->age_s && !s->each(s->arg, name))
		remove_folder(dir, name);
}

void
uploads_sweep(const char *path, int64_t age_s, bool (*each)(void *, const char *), void *arg)
{
	struct sweep s = { age_s, each, arg };

	each_entry(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), sweep_folder, &s);
}
