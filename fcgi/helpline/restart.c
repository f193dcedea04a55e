/*
 * helpline restart - each program, or one, is replaced by a new process without a failed request.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "restart.h"
#include "state.h"

#define WISH		"run/restart"
#define OUTCOME		"run/restart.outcome"
#define WAIT_STEPS	90000	/* of 10 ms: eight programs whose answers may take their time */

static bool
read_line(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok = f != NULL;

	if (f && fgets(text, (int)size, f) == NULL)
		*text = '\0';
	if (f)
		fclose(f);
	text[ok ? strcspn(text, "\n") : 0] = '\0';
	return ok;
}

static bool
write_line(const char *path, const char *text)
{
	char new[64];
	FILE *f;

	snprintf(new, sizeof(new), "%s.new", path);
	f = fopen(new, "we");
	if (f == NULL)
		return false;
	fprintf(f, "%s\n", text);
	return fclose(f) == 0 && rename(new, path) == 0;
}

bool
restart_asked(char *name, size_t size)
{
	return read_line(WISH, name, size);
}

/* The wish goes last: who waits for that finds the outcome. */
void
restart_answer(const char *result)
{
	(void)!write_line(OUTCOME, result);
	(void)unlink(WISH);
}

static int
wait_for_outcome(const char *command, bool json)
{
	char result[256];

	for (int i = 0; i < WAIT_STEPS && access(WISH, F_OK) == 0; i++) {
		if (state_supervisor(".") <= 0)
			return complain(1, command, "the system has ended meanwhile");
		usleep(10000);
	}
	if (access(WISH, F_OK) == 0 || !read_line(OUTCOME, result, sizeof(result)))
		return complain(1, command, "it takes too long; --status shows what runs");
	if (*result)
		return complain(1, command, "%s", result);
	puts(json ? "{\"restarted\":true}" : "Restarted.");
	return 0;
}

int
cmd_restart(int argc, char **argv)
{
	static const struct option options[] = { { "state-dir", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 } };
	bool json = false;
	const char *state_dir = NULL, *name = "";
	pid_t pid;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 's')
			state_dir = optarg;
		else if (o == 'j')
			json = true;
		else
			return 2;
	}
	if (optind < argc)
		name = argv[optind++];
	if (state_dir == NULL || optind < argc || strlen(name) > 60)
		return complain(2, argv[0], "say which system, and which program if not all: --state-dir DIR [NAME]");
	pid = state_supervisor(state_dir);
	if (pid <= 0) {
		puts(json ? "{\"restarted\":false}" : "Helpline is not running.");
		return 3;
	}
	if (access(WISH, F_OK) == 0)
		return complain(1, argv[0], "a restart is under way already");
	if (!write_line(WISH, name) || kill(pid, SIGUSR2) != 0)
		return complain(1, argv[0], "%s", strerror(errno));
	return wait_for_outcome(argv[0], json);
}
