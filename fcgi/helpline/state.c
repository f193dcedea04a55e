#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state.h"
#include "tree.h"

#define SERVICE_ID		65530
#define STACK_LOCK_WAIT_MS	5000
#define LEFT_ASK_MS		1000	/* what a killed supervisor started ends by itself before that, all but nginx's workers */
#define LEFT_KILL_MS		4000

static const char *const service_dirs[] = { "run", "secrets", "redis", "log", "avatars", "uploads", "audio" };

static enum hl_err
failed(struct buf *problem, const char *what, const char *name)
{
	buf_printf(problem, "%s cannot be %s: %s", name, what, strerror(errno));
	return HL_INTERNAL;
}

static int
make_parents(const char *path)
{
	char part[4096];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *p = part + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST && errno != EISDIR && errno != EROFS)
			return -1;
	}
	return 0;
}

static void
find_service_user(struct state *st)
{
	const struct passwd *pw;

	st->root = geteuid() == 0;
	st->uid = geteuid();
	st->gid = getegid();
	if (!st->root)
		return;
	pw = getpwnam("helpline");
	st->uid = pw && pw->pw_uid ? pw->pw_uid : SERVICE_ID;
	st->gid = pw && pw->pw_uid ? pw->pw_gid : SERVICE_ID;
}

/* Gives a folder's files to the services' user: the system was run by somebody else before. */
static int
give_files(int dir, const struct state *st)
{
	DIR *list = fdopendir(dir);
	struct dirent *e;
	int ret = 0, fd;

	if (list == NULL) {
		close(dir);
		return -1;
	}
	while (ret == 0 && (e = readdir(list)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		ret = fchownat(dirfd(list), e->d_name, st->uid, st->gid, AT_SYMLINK_NOFOLLOW);
		fd = openat(dirfd(list), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (ret == 0 && fd >= 0)
			ret = give_files(fd, st);
	}
	closedir(list);
	return ret;
}

static enum hl_err
make_service_dir(const struct state *st, const char *name, struct buf *problem)
{
	struct stat is;
	int fd;

	if (mkdir(name, 0700) != 0 && errno != EEXIST)
		return failed(problem, "made", name);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &is) != 0)
		goto bad;
	if (is.st_uid != st->uid && (fchown(fd, st->uid, st->gid) != 0 || give_files(dup(fd), st) != 0))
		goto bad;
	if ((is.st_mode & 07777) != 0700 && fchmod(fd, 0700) != 0)
		goto bad;
	close(fd);
	return HL_OK;
bad:
	failed(problem, "used", name);
	if (fd >= 0)
		close(fd);
	return HL_INTERNAL;
}

static enum hl_err
own_folder(const struct state *st, struct buf *problem)
{
	if ((st->root && chown(".", st->uid, st->gid) != 0) || chmod(".", 0700) != 0)
		return failed(problem, "used", "the state directory");
	for (size_t i = 0; i < sizeof(service_dirs) / sizeof(service_dirs[0]); i++)
		if (make_service_dir(st, service_dirs[i], problem) != HL_OK)
			return HL_INTERNAL;
	return HL_OK;
}

static enum hl_err
take_lock(struct state *st, struct buf *problem)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	st->lock = open(STATE_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (st->lock < 0)
		return failed(problem, "opened", STATE_LOCK);
	if (fcntl(st->lock, F_SETLK, &whole) == 0)
		return HL_OK;
	return errno == EAGAIN || errno == EACCES ? HL_CONFLICT : failed(problem, "locked", STATE_LOCK);
}

static bool
has_stack_lock(const char *pid, const struct stat *lock)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.16s/fd/%d", pid, STATE_STACK_FD);
	return stat(path, &st) == 0 && st.st_dev == lock->st_dev && st.st_ino == lock->st_ino;
}

/* Signals whatever was started here earlier: it has this very lock file open. */
static void
signal_left(int lock, int signal_number)
{
	DIR *list = opendir("/proc");
	struct dirent *e;
	struct stat st;
	pid_t pid;

	if (list && fstat(lock, &st) == 0)
		while ((e = readdir(list)) != NULL)
			if ((pid = (pid_t)atoi(e->d_name)) > 1 && pid != getpid() && has_stack_lock(e->d_name, &st))
				(void)kill(pid, signal_number);
	if (list)
		closedir(list);
}

/* Waits until this process holds the lock, that is, until whoever was started here earlier has gone; helps with that. */
static bool
outlive(int lock)
{
	for (int ms = 0; ms < STACK_LOCK_WAIT_MS; ms += 10) {
		if (flock(lock, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (ms == LEFT_ASK_MS || ms == LEFT_KILL_MS)
			signal_left(lock, ms == LEFT_ASK_MS ? SIGTERM : SIGKILL);
		usleep(10000);
	}
	return false;
}

/*
 * The second lock is inherited by everything that is started, so that after a supervisor was killed the next one waits
 * until the last of its children is gone, before it lets another Redis loose on the same files.  A worker of nginx whose
 * master was killed with the supervisor does not go by itself.
 */
static enum hl_err
take_stack_lock(struct buf *problem)
{
	int fd = open(STATE_STACK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), high;

	if (fd < 0)
		return failed(problem, "opened", STATE_STACK);
	high = dup2(fd, STATE_STACK_FD);
	close(fd);
	if (high < 0 && errno == EBADF) {
		buf_puts(problem, "too few files may be open at once: allow at least 1024 (ulimit -n 1024)");
		return HL_BAD_REQUEST;
	}
	if (high < 0)
		return failed(problem, "opened", STATE_STACK);
	if (outlive(high))
		return HL_OK;
	buf_puts(problem, "programs of an earlier run are still there; end them first");
	return HL_INTERNAL;
}

bool
state_end_left(void)
{
	int fd = open(STATE_STACK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	bool ended = fd < 0 || outlive(fd);

	if (fd >= 0)
		close(fd);
	return ended;
}

enum hl_err
state_open(struct state *st, const char *path, struct buf *problem)
{
	enum hl_err err;

	memset(st, 0, sizeof(*st));
	st->lock = -1;
	find_service_user(st);
	if (make_parents(path) != 0 || (mkdir(path, 0700) != 0 && errno != EEXIST) || chdir(path) != 0)
		return failed(problem, "used as the state directory", path);
	if (getcwd(st->path, sizeof(st->path)) == NULL)
		snprintf(st->path, sizeof(st->path), "%s", path);
	err = take_lock(st, problem);
	if (err == HL_OK)
		err = own_folder(st, problem);
	return err ? err : take_stack_lock(problem);
}

enum hl_err
state_drop_root(const struct state *st, struct buf *problem)
{
	if (st->root && (setgroups(0, NULL) != 0 || setresgid(st->gid, st->gid, st->gid) != 0 ||
	    setresuid(st->uid, st->uid, st->uid) != 0))
		return failed(problem, "given up", "the rights of root");
	if (st->root && (setuid(0) == 0 || geteuid() == 0)) {
		buf_puts(problem, "the rights of root could not be given up");
		return HL_INTERNAL;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return failed(problem, "forbidden", "new privileges");
	/* Changing user forbade to look at this process; the leak check of a sanitized build looks at itself. */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return HL_OK;
}

bool
state_can_read(const struct state *st, const char *folder, bool (*want)(const char *))
{
	struct buf ignored = BUF_INIT(1024);
	int status = 1;
	pid_t pid;

	if (!st->root)
		return tree_readable(folder, want);
	pid = fork();	/* tried as that user, groups and all */
	if (pid == 0)
		_exit(state_drop_root(st, &ignored) == HL_OK && tree_readable(folder, want) ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

pid_t
state_supervisor(const char *path)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	pid_t pid = 0;
	int fd;

	if (chdir(path) != 0 || (fd = open(STATE_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return -1;
	if (fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK)
		pid = whole.l_pid;
	close(fd);
	return pid;
}

bool
state_use(const char *path)
{
	static const char *const folders[][2] = { { "AVATAR_PATH", "avatars" }, { "UPLOAD_PATH", "uploads" }, { "AUDIO_PATH", "audio" } };

	if (chdir(path) != 0)
		return false;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		const char *set = getenv(folders[i][0]);

		if (set == NULL || *set == '\0')
			setenv(folders[i][0], folders[i][1], 1);
	}
	setenv("HELPLINE_SECRETS", "secrets", 1);
	if (access(STATE_REDIS, F_OK) == 0)
		setenv("REDIS_SOCKET", STATE_REDIS, 1);
	return true;
}
