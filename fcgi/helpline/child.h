/*
 * child.h - one process that the supervisor keeps running.
 */
#ifndef HL_CHILD_H
#define HL_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_MAX_FDS	4

struct child {
	const char	*name;
	const char	*file;			/* the program; argv[0] may differ */
	const char	*const *argv;
	char		**env;			/* all that it sees of the environment */
	int		 fds[CHILD_MAX_FDS];	/* given as descriptors 3, 4, … */
	size_t		 nfds;
	const char	*fdnames;		/* for LISTEN_FDNAMES; NULL: nginx, which has its own way */
	int		 instance;		/* PUSHD_INSTANCE; -1: none */
	bool		 plain;			/* not a part of the system: no log file of its own */
	unsigned	 phase;			/* the order of ending: 0 first */
	int		 stop_signal;
	int		 death_signal;		/* sent by the kernel if the supervisor is killed */

	pid_t		 pid;			/* 0: not running */
	unsigned	 restarts;
	unsigned	 deaths;		/* quick ones in a row */
	int64_t		 started_ms;		/* clock_mono_ms() */
	int		 status;		/* of the last end, as waitpid() gave it */
	long		 log_start;		/* where this run's lines begin in the log file */
};

/* Starts it; -1 when there is no process to be had. */
int	 child_start(struct child *);

/* Takes note of its end.  How long to wait before it is started again, in milliseconds: 0 the first time. */
int64_t	 child_ended(struct child *, int status);

/* Sends a signal to it and to whatever it started. */
void	 child_signal(const struct child *, int signal);

/* "ended with status 1", "was killed by signal 9" */
void	 child_outcome(const struct child *, char *text, size_t size);

#endif
