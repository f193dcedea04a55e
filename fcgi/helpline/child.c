#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "child.h"
#include "state.h"

#define SAFE_FD		64	/* above every descriptor that a child is given */
#define QUICK_MS	300	/* an end this soon after the start is a sign that the next will be no better */
#define PAUSE_MS	50
#define PAUSE_MAX_MS	3000

extern char **environ;

static int
open_log(struct child *c)
{
	char path[64];
	int fd;
	struct stat st;

	if (c->plain)
		return STDERR_FILENO;
	snprintf(path, sizeof(path), "log/%s.log", c->name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0 && c->deaths == 0)
		c->log_start = fstat(fd, &st) == 0 ? (long)st.st_size : 0;
	return fd;
}

/* Sources may lie where others are to go, so all move out of the way first. */
static int
place_fds(const struct child *c)
{
	int high[CHILD_MAX_FDS];

	for (size_t i = 0; i < c->nfds; i++)
		if ((high[i] = fcntl(c->fds[i], F_DUPFD_CLOEXEC, SAFE_FD)) < 0)
			return -1;
	for (size_t i = 0; i < c->nfds; i++)
		if (dup2(high[i], 3 + (int)i) < 0)
			return -1;
	/* Nothing else of what the person's shell had open, only the lock. */
	if (close_range(3 + (unsigned)c->nfds, STATE_STACK_FD - 1, 0) != 0 || close_range(STATE_STACK_FD + 1, ~0u, 0) != 0)
		return -1;
	return 0;
}

/* As sd_listen_fds(3) has it; nginx takes its sockets in the variable by which it hands them to its own successor. */
static void
name_fds(const struct child *c)
{
	char text[64] = "";

	if (c->nfds == 0)
		return;
	if (c->fdnames == NULL) {
		for (size_t i = 0, n = 0; i < c->nfds; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%zu;", 3 + i);
		setenv("NGINX", text, 1);
		return;
	}
	snprintf(text, sizeof(text), "%zu", c->nfds);
	setenv("LISTEN_FDS", text, 1);
	setenv("LISTEN_FDNAMES", c->fdnames, 1);
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
}

static void
name_instance(const struct child *c)
{
	char text[16];

	if (c->instance < 0)
		return;
	snprintf(text, sizeof(text), "%d", c->instance);
	setenv("PUSHD_INSTANCE", text, 1);
}

static void
run(const struct child *c, int log, pid_t parent)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);		/* Ctrl-C is for the supervisor, which ends the others in order */
	prctl(PR_SET_PDEATHSIG, c->death_signal);
	if (getppid() != parent)
		_exit(1);
	if (null < 0 || dup2(null, 0) < 0 || (!c->plain && dup2(log, 1) < 0) || dup2(log, 2) < 0 || place_fds(c) != 0)
		_exit(1);
	environ = c->env;
	name_fds(c);
	name_instance(c);
	execv(c->file, (char *const *)c->argv);
	dprintf(2, "%s cannot be started: %s\n", c->file, strerror(errno));
	_exit(127);
}

int
child_start(struct child *c)
{
	pid_t parent = getpid(), pid;
	int log = open_log(c);

	if (log < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		run(c, log, parent);
	if (!c->plain)
		close(log);
	if (pid < 0)
		return -1;
	setpgid(pid, pid);	/* here too: it may not have come to it yet when we signal the group */
	c->pid = pid;
	c->started_ms = clock_mono_ms();
	return 0;
}

int64_t
child_ended(struct child *c, int status)
{
	int64_t pause = PAUSE_MS;

	/* What it started itself (nginx's workers) would live on and keep the sockets busy. */
	kill(-c->pid, SIGKILL);
	c->pid = 0;
	c->status = status;
	c->deaths = clock_mono_ms() - c->started_ms < QUICK_MS ? c->deaths + 1 : 0;
	if (c->deaths < 2)
		return 0;
	for (unsigned i = 2; i < c->deaths && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

void
child_signal(const struct child *c, int signal)
{
	if (c->pid > 0)
		kill(signal == SIGKILL ? -c->pid : c->pid, signal);
}

void
child_outcome(const struct child *c, char *text, size_t size)
{
	if (WIFSIGNALED(c->status))
		snprintf(text, size, "was killed by signal %d", WTERMSIG(c->status));
	else
		snprintf(text, size, "ended with status %d", WEXITSTATUS(c->status));
}
