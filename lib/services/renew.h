/*
 * renew.h - a program makes room for a new process of itself (SIGHUP, `systemctl reload`): with the same listening sockets,
 * the program as it is on disk now and the settings as they are written now.
 *
 * Nobody waits meanwhile: until the new process says that it is ready (notify_ready()) this one goes on; then it takes in
 * nothing more, and ends when what it has begun is answered.  If the new one cannot start, it says why, and nothing has
 * changed.  Only under systemd (NOTIFY_SOCKET and LISTEN_FDS), which is told whom to watch then; elsewhere SIGHUP is left
 * as it is, and `helpline restart` is there.  Credentials are systemd's: a changed one needs a restart.
 */
#ifndef HL_RENEW_H
#define HL_RENEW_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

/* First thing in main(): what the new process will be started with, before settings are read into the environment. */
void	 renew_remember(char **argv);

/* fds: what listen_take() gave.  replaced is called at most once, when the new process is ready.  Does not keep the loop going. */
void	 renew_on_hangup(uv_loop_t *, const int *fds, size_t count, void (*replaced)(void *), void *arg);

/* In the new process: whoever started it goes; false if nobody did. */
bool	 renew_ready(void);

/* Closes the handles, for a loop that is run until none is left. */
void	 renew_end(void);

#endif
