/*
 * holder - binds the push daemon's two sockets once and keeps them while the daemon comes and goes, as helpline
 * supervise does.  Commands come line by line on standard input, answers go to standard output:
 *
 *	holder PUSHD POLLS_SOCKET WEBSOCKET_SOCKET
 *	start		answers "pid N"
 *	stop SIGNAL	answers "exit STATUS", or "exit -SIGNAL" if it died of one
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "listen.h"

static pid_t child;

static void
start(const char *program, const int *sockets)
{
	char pid[16];

	child = fork();
	if (child == 0) {
		/* Not one after the other onto 3 and 4: one of them may be the other's number. */
		int polls = fcntl(sockets[0], F_DUPFD, 10), ws = fcntl(sockets[1], F_DUPFD, 10);

		dup2(polls, 3);
		dup2(ws, 4);
		close(polls);
		close(ws);
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "2", 1);
		setenv("LISTEN_FDNAMES", "polls:websocket", 1);
		execl(program, program, (char *)NULL);
		perror(program);
		_exit(127);
	}
	printf("pid %d\n", (int)child);
}

static void
stop(int number)
{
	int status = 0;

	if (child > 0) {
		kill(child, number);
		waitpid(child, &status, 0);
	}
	child = 0;
	printf("exit %d\n", WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
}

int
main(int argc, char **argv)
{
	int sockets[2];
	char line[64];

	if (argc != 4) {
		fprintf(stderr, "usage: holder PUSHD POLLS_SOCKET WEBSOCKET_SOCKET\n");
		return 2;
	}
	sockets[0] = listen_on(argv[2]);
	sockets[1] = listen_on(argv[3]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		if (strncmp(line, "start", 5) == 0)
			start(argv[1], sockets);
		else if (strncmp(line, "stop ", 5) == 0)
			stop(atoi(line + 5));
	}
	if (child > 0)
		kill(child, SIGKILL);
	return 0;
}
