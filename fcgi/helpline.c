/*
 * helpline - the administrator's command, and what ./run starts: a table of subcommands.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "helpline/command.h"

static const struct command {
	const char	*name;
	int		(*run)(int, char **);
	const char	*usage;
	const char	*meaning;
} commands[] = {
	{ "supervise", cmd_supervise, "--state-dir DIR [--app DIR] [--env-file FILE] [--port N] [--pushd N] [--detach]",
	    "run the whole system below one folder: Redis, the programs, nginx" },
	{ "status", cmd_status, "--state-dir DIR [--json]", "what runs there" },
	{ "stop", cmd_stop, "--state-dir DIR [--json]", "end what runs there" },
	{ "restart", cmd_restart, "--state-dir DIR [NAME] [--json]",
	    "replace each program there, or one, by a new process without a failed request" },
	{ "check", cmd_check, "[--state-dir DIR] [--env-file FILE] [--nginx-conf FILE] [--provider] [--json]",
	    "look for what is wrong; --provider asks the model one small question" },
	{ "config", cmd_config, "dump|explain|test|env [--env-file FILE] [--state-dir DIR] [--json] [--mdoc] [-0]",
	    "the settings: as they are and where each was read, as they are documented, whether they are right, for another program" },
	{ "keys", cmd_keys, "init --dir DIR | add --name NAME [--owner EMAIL] | list | remove --name NAME [--owner EMAIL] "
	    "[--json] [--state-dir DIR] [--env-file FILE]", "make the secrets that are missing; keys by which programs use agents as a model" },
	{ "token", cmd_token, "--user NAME [--role admin|user] [--expires 24h] [--json] [--state-dir DIR] [--env-file FILE]",
	    "print an access token for the people's side of the API" },
	{ "users", cmd_users, "add|list|set-role|password [--email ADDRESS] [--name NAME] [--admin] [--role admin|user] "
	    "[--json] [--state-dir DIR] [--env-file FILE]", "accounts: make the first administrator, list, change" },
	{ "backup", cmd_backup, "--to FILE [--key FILE] [--json] | --make-key FILE [--state-dir DIR] [--env-file FILE]",
	    "save all that the installation has in one sealed file" },
	{ "restore", cmd_restore, "--from FILE [--key FILE] [--check] [--replace] [--json] [--state-dir DIR] [--env-file FILE]",
	    "put a backup back into an empty store; --check only reads it" },
	{ "sessions", cmd_sessions, "list|show|end [ID] [--user ID] [--limit N] [--json] [--state-dir DIR] [--env-file FILE]",
	    "sessions of the chat API, and conversations by their id" },
	{ "escalations", cmd_escalations, "list|show|take|reply|return|close [ID] [--status open|taken] [--text TEXT] [--as EMAIL] [--json] "
	    "[--state-dir DIR] [--env-file FILE]", "who waits for a person, and what to do about it" },
	{ "export", cmd_export, "--user ID | --email ADDRESS --to DIR [--json] [--state-dir DIR] [--env-file FILE]",
	    "write all about one person into a new folder" },
	{ "erase", cmd_erase, "--user ID | --email ADDRESS [--yes] [--json] [--state-dir DIR] [--env-file FILE]",
	    "remove all about one person, and look whether anything is left" },
	{ "sweep", cmd_sweep, "[--age SECONDS] [--json] [--state-dir DIR] [--env-file FILE]",
	    "remove what nobody has any more: recordings, sounds, images" },
	{ "probe", cmd_probe, "--address URL --secrets DIR [--timeout MS] [--json]",
	    "wait until the front door answers a question" },
	{ "detect", cmd_detect, "[--json]", "look for an OpenAI-compatible server on this computer" },
};

int
complain(int status, const char *command, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "helpline %s: ", command);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

static void
print_command(FILE *out, const struct command *c)
{
	fprintf(out, "  helpline %s %s\n      %s\n", c->name, c->usage, c->meaning);
}

static void
print_usage(FILE *out)
{
	fprintf(out, "usage: helpline COMMAND …\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		print_command(out, &commands[i]);
	fprintf(out, "  helpline --version | --help\n");
}

static int
run_command(const struct command *c, int argc, char **argv)
{
	for (int i = 1; i < argc && i < 3; i++)		/* further on it is some option's value */
		if (strcmp(argv[i], "--help") == 0) {
			print_command(stdout, c);
			return 0;
		}
	return c->run(argc, argv);
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(name, commands[i].name) == 0)
			return run_command(&commands[i], argc - 1, argv + 1);
	if (strcmp(name, "--version") == 0) {
		puts("helpline " PACKAGE_VERSION);
		return 0;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		print_usage(stdout);
		return 0;
	}
	if (*name == '\0') {
		print_usage(stderr);
		return 2;
	}
	fprintf(stderr, "helpline: there is no command %s; helpline --help lists them all\n", name);
	return 2;
}
