/*
 * What the programs may read and write, which is less than root may: they have a user of their own, and a sandbox in which
 * /home and most of what can be written is not there.  The kernel is asked, by a child that is where and who they are.
 */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define USER		"helpline"
#define PATH_ROOM	4400

/* ---- where they are ---- */

static bool
is_program(const char *pid, const char *program, uid_t uid)
{
	char path[64], name[32] = "";
	struct stat st;
	FILE *f;

	if (*pid < '0' || *pid > '9')
		return false;
	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	if (stat(path, &st) != 0 || st.st_uid != uid || (f = fopen(path, "re")) == NULL)
		return false;
	if (fgets(name, sizeof(name), f) == NULL)
		*name = '\0';
	fclose(f);
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, program) == 0;
}

/* The root folder of one that runs, or our own. */
static int
root_of(const char *program, uid_t uid)
{
	DIR *list = opendir("/proc");
	struct dirent *e;
	char path[64];
	int fd = -1;

	while (list && fd < 0 && (e = readdir(list)) != NULL)
		if (is_program(e->d_name, program, uid)) {
			snprintf(path, sizeof(path), "/proc/%.16s/root", e->d_name);
			fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
	if (list)
		closedir(list);
	return fd >= 0 ? fd : open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- what they may ---- */

static void
become(const struct passwd *pw, int root)
{
	if (fchdir(root) != 0 || chroot(".") != 0 || setgroups(0, NULL) != 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
		_exit(0);		/* nobody knows */
}

/* 0, or what access(2) says to it. */
static int
refusal(const struct passwd *pw, const char *program, const char *path, int mode)
{
	int root, status = 0;
	pid_t pid;

	if (pw == NULL || geteuid() != 0)
		return pw && geteuid() != pw->pw_uid ? 0 : access(path, mode) == 0 ? 0 : errno;
	root = root_of(program, pw->pw_uid);
	pid = fork();
	if (pid == 0) {
		become(pw, root);
		_exit(access(path, mode) == 0 ? 0 : errno);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (root >= 0)
		close(root);
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static void
judge(struct check *c, const struct passwd *pw, const char *name, const char *program, const char *path, int mode, const char *remedy)
{
	int why = refusal(pw, program, path, mode);

	if (why)
		found(c, name, FOUND_WRONG, remedy, "The programs (user %s) may not %s %s: %s", pw ? pw->pw_name : "of this command",
		    mode & W_OK ? "write" : "read", path, strerror(why));
}

/* A file that may not be there yet: then its folder. */
static void
judge_file(struct check *c, const struct passwd *pw, const char *name, const char *program, const char *path, const char *remedy)
{
	char folder[PATH_ROOM];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (access(path, F_OK) != 0 && slash) {
		slash[slash == folder] = '\0';
		judge(c, pw, name, program, folder, W_OK | X_OK, remedy);
	} else
		judge(c, pw, name, program, path, R_OK | W_OK, remedy);
}

void
check_rights(struct check *c)
{
	static const char folder[] = "chown helpline it, or take another; under systemd it must also be in ReadWritePaths= of the units "
	    "(systemctl edit helpline-desk@.service, and helpline-chat@, helpline-events@).";
	const struct passwd *pw = getpwnam(USER);
	const struct conf *f = &c->conf;

	if (access(CONF_FILE, F_OK) == 0)
		judge(c, pw, "settings.readable", "", CONF_FILE, R_OK, "chown root:helpline it and chmod 640 it: none of them can start again.");
	if (*f->knowledge_path)
		judge(c, pw, "knowledge", "chat", f->knowledge_path, R_OK | X_OK, "chmod a+rX the folder and those above it; the units' sandbox has no "
		    "/home, /root and /tmp: let it be elsewhere, /srv/helpline perhaps.");
	if (*f->knowledge_index)
		judge_file(c, pw, "knowledge.index", "chat", f->knowledge_index, "KNOWLEDGE_INDEX=/var/lib/helpline/index/knowledge can be written.");
	judge(c, pw, "folder.rights", "desk", f->avatar_path, W_OK | X_OK, folder);
	judge(c, pw, "folder.rights", "desk", f->audio_path, W_OK | X_OK, folder);
	judge(c, pw, "folder.rights", "desk", f->upload_path, W_OK | X_OK, folder);
	judge_file(c, pw, "metrics", "health", f->metrics_file, "Each counts for itself until then, and /metrics shows one of them: METRICS_FILE must "
	    "lie in a folder that they may write, like /run/helpline.");
}
