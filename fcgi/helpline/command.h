/*
 * command.h - the subcommands of helpline(8).  Each takes its own argc and argv (argv[0] is its name) and returns the
 * exit status: 0 done, 1 it did not work, 2 it was asked wrongly, 3 (status) nothing is running.
 */
#ifndef HL_COMMAND_H
#define HL_COMMAND_H

#include <stdbool.h>

int	 cmd_supervise(int argc, char **argv);
int	 cmd_status(int argc, char **argv);
int	 cmd_stop(int argc, char **argv);
int	 cmd_restart(int argc, char **argv);
int	 cmd_probe(int argc, char **argv);
int	 cmd_detect(int argc, char **argv);
int	 cmd_check(int argc, char **argv);
int	 cmd_config(int argc, char **argv);
int	 cmd_keys(int argc, char **argv);
int	 cmd_token(int argc, char **argv);
int	 cmd_users(int argc, char **argv);
int	 cmd_backup(int argc, char **argv);
int	 cmd_restore(int argc, char **argv);
int	 cmd_sessions(int argc, char **argv);
int	 cmd_escalations(int argc, char **argv);
int	 cmd_export(int argc, char **argv);
int	 cmd_erase(int argc, char **argv);
int	 cmd_sweep(int argc, char **argv);

/* Prints "helpline NAME: SENTENCE" to standard error and returns status. */
int	 complain(int status, const char *command, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
