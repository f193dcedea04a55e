#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "services/listen.h"
#include "services/notify.h"
#include "services/renew.h"

#define READY	"HELPLINE_READY_FD"	/* where the new process writes its number */
#define READY_IS READY "="

static char **arguments, **environment;

static struct {
	const int	*fds;
	size_t		 count;
	void		(*replaced)(void *);
	void		*arg;
	uv_signal_t	 on_hangup;
	uv_poll_t	 answer;
	int		 pipe;		/* that the answer comes by; -1: nobody is being started */
	bool		 open;
} renewal = { .pipe = -1 };

void
renew_remember(char **argv)
{
	size_t n = 0;

	while (environ[n])
		n++;
	arguments = argv;
	environment = malloc((n + 1) * sizeof(*environment));
	if (environment)
		memcpy(environment, environ, (n + 1) * sizeof(*environment));
}

/* ---- the new process ---- */

static bool
is_ours(const char *entry)
{
	static const char *const names[] = { "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID=", (READY_IS) };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

struct start {
	char	**env;
	char	 listen_pid[16 + STR_INT_MAX], watchdog_pid[16 + STR_INT_MAX], listen_fds[16 + STR_INT_MAX], ready[24 + STR_INT_MAX];
};

/* All that needs memory; the numbers of the process come when it is there. */
static enum hl_err
prepare(struct start *s, int ready)
{
	size_t n = 0;

	while (environment[n])
		n++;
	s->env = malloc((n + 5) * sizeof(*s->env));
	if (s->env == NULL)
		return HL_NO_MEMORY;
	n = 0;
	for (char **e = environment; *e; e++)
		if (!is_ours(*e))
			s->env[n++] = *e;
	snprintf(s->listen_fds, sizeof(s->listen_fds), "LISTEN_FDS=%zu", renewal.count);
	snprintf(s->ready, sizeof(s->ready), READY_IS "%d", ready);
	s->env[n++] = s->listen_fds;
	s->env[n++] = s->ready;
	s->env[n++] = s->listen_pid;
	s->env[n++] = s->watchdog_pid;
	s->env[n] = NULL;
	return HL_OK;
}

/* Between fork(2) and execve(2): nothing that takes a lock. */
static void
become(struct start *s, int ready)
{
	/* A package that was upgraded has put another file in this one's place. */
	const char *program = arguments[0][0] == '/' ? arguments[0] : "/proc/self/exe";
	sigset_t none;

	(void)str_int(stpcpy(s->listen_pid, "LISTEN_PID="), getpid());
	(void)str_int(stpcpy(s->watchdog_pid, "WATCHDOG_PID="), getpid());
	for (size_t i = 0; i < renewal.count; i++)
		fcntl(renewal.fds[i], F_SETFD, 0);
	fcntl(ready, F_SETFD, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(program, arguments, s->env);
	_exit(127);
}

/* Its parent is gone at once, so that systemd is told of its end whoever else lives. */
static bool
fork_twice(struct start *s, int ready)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			become(s, ready);
		_exit(pid < 0);
	}
	if (pid < 0)
		return false;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

/* ---- the one that goes ---- */

static void
on_pipe_closed(uv_handle_t *handle)
{
	(void)handle;
	close(renewal.pipe);
	renewal.pipe = -1;
}

static void
on_answer(uv_poll_t *poll, int status, int events)
{
	char number[STR_INT_MAX] = "";
	ssize_t n = read(renewal.pipe, number, sizeof(number) - 1);
	pid_t pid = n > 0 ? (pid_t)strtol(number, NULL, 10) : 0;

	(void)status;
	(void)events;
	uv_close((uv_handle_t *)poll, on_pipe_closed);
	if (pid <= 0) {
		log_line(LOG_LEVEL_ERROR, "reload", "problem", "the new process could not start, this one goes on", NULL);
		notify_reloaded(0);
		return;
	}
	log_line(LOG_LEVEL_INFO, "replaced", NULL);
	uv_signal_stop(&renewal.on_hangup);
	notify_reloaded(pid);
	renewal.replaced(renewal.arg);
}

static void
on_hangup(uv_signal_t *signal, int number)
{
	struct start start = { 0 };
	int ends[2];

	(void)number;
	if (renewal.pipe >= 0)
		return;			/* one is on its way */
	notify_reloading();
	if (pipe2(ends, O_CLOEXEC) != 0)
		goto failed;
	if (prepare(&start, ends[1]) != HL_OK || !fork_twice(&start, ends[1]) ||
	    uv_poll_init(signal->loop, &renewal.answer, ends[0]) != 0) {
		close(ends[0]);
		close(ends[1]);
		goto failed;
	}
	close(ends[1]);
	free(start.env);
	renewal.pipe = ends[0];
	uv_poll_start(&renewal.answer, UV_READABLE | UV_DISCONNECT, on_answer);
	return;
failed:
	log_line(LOG_LEVEL_ERROR, "reload", "problem", strerror(errno), NULL);
	free(start.env);
	notify_reloaded(0);
}

void
renew_on_hangup(uv_loop_t *loop, const int *fds, size_t count, void (*replaced)(void *), void *arg)
{
	if (getenv("NOTIFY_SOCKET") == NULL || environment == NULL || fds[0] != LISTEN_FIRST ||
	    uv_signal_init(loop, &renewal.on_hangup) != 0)
		return;
	renewal.fds = fds;
	renewal.count = count;
	renewal.replaced = replaced;
	renewal.arg = arg;
	renewal.open = true;
	uv_signal_start(&renewal.on_hangup, on_hangup, SIGHUP);
	uv_unref((uv_handle_t *)&renewal.on_hangup);
}

bool
renew_ready(void)
{
	const char *fd = getenv(READY);
	char number[STR_INT_MAX];
	size_t len = str_int(number, getpid());
	int pipe = fd ? (int)strtol(fd, NULL, 10) : -1;
	bool told;

	if (pipe <= LISTEN_FIRST)
		return false;
	told = write(pipe, number, len) == (ssize_t)len;
	close(pipe);
	unsetenv(READY);
	return told;
}

void
renew_end(void)
{
	if (renewal.open)
		uv_close((uv_handle_t *)&renewal.on_hangup, NULL);
	if (renewal.pipe >= 0 && !uv_is_closing((uv_handle_t *)&renewal.answer))
		uv_close((uv_handle_t *)&renewal.answer, on_pipe_closed);
	renewal.open = false;
	free(environment);
	environment = NULL;
}
