#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "command.h"
#include "keys.h"
#include "services/crypto.h"

#define JWT_WORDS 2	/* of 132 bits */

/* A file with that many random words in a row, unless it is there. */
static enum hl_err
make_words(const char *dir, const char *name, size_t count, struct buf *problem)
{
	char path[4096], fresh[4096 + 8], words[JWT_WORDS * ID_LEN + 1];
	size_t len = count * ID_LEN;
	struct stat st;
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (stat(path, &st) == 0 && st.st_size == (off_t)len)
		return HL_OK;
	for (size_t i = 0; i < count; i++)
		id_new(words + i * ID_LEN);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, words, len) == (ssize_t)len && rename(fresh, path) == 0;
	if (!ok)
		buf_printf(problem, "%s cannot be written: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok ? HL_OK : HL_INTERNAL;
}

enum hl_err
keys_init(const char *dir, struct buf *problem)
{
	enum hl_err err;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		buf_printf(problem, "%s cannot be made: %s", dir, strerror(errno));
		return HL_INTERNAL;
	}
	err = crypto_make_keys(dir, problem);
	if (err == HL_OK)
		err = make_words(dir, KEYS_PROBE, 1, problem);
	return err ? err : make_words(dir, KEYS_JWT, JWT_WORDS, problem);
}

enum hl_err
keys_use_jwt(const char *dir, struct buf *problem)
{
	const char *set = getenv("JWT_SECRET");
	char path[4200], secret[JWT_WORDS * ID_LEN + 1] = "";
	FILE *file;
	bool ok;

	if (set && *set)
		return HL_OK;
	snprintf(path, sizeof(path), "%s/" KEYS_JWT, dir);
	file = fopen(path, "re");
	ok = file && fread(secret, 1, sizeof(secret) - 1, file) == sizeof(secret) - 1 && setenv("JWT_SECRET", secret, 1) == 0;
	if (!ok)
		buf_printf(problem, "%s cannot be read: %s", path, file ? "it is not what ./run made" : strerror(errno));
	if (file)
		fclose(file);
	return ok ? HL_OK : HL_INTERNAL;
}

static void
tell_json(const char *dir)
{
	struct buf out = BUF_INIT(32768);

	buf_puts(&out, "{\"dir\":");
	buf_json_str(&out, dir);
	buf_puts(&out, "}\n");
	if (buf_err(&out) == HL_OK)
		fputs(out.data, stdout);
	buf_free(&out);
}

static int
init_command(int argc, char **argv)
{
	static const struct option options[] = { { "dir", required_argument, NULL, 'd' }, { "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 } };
	struct buf problem = BUF_INIT(1024);
	const char *dir = NULL;
	bool json = false;
	int o, ret = 0;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (o == 'd')
			dir = optarg;
		else if (o == 'j')
			json = true;
		else
			return 2;
	if (dir == NULL || optind + 1 != argc || strcmp(argv[optind], "init") != 0)
		return complain(2, argv[0], "usage: helpline keys init --dir DIR [--json]");
	if (keys_init(dir, &problem) != HL_OK)
		ret = complain(1, argv[0], "%s", problem.data ? problem.data : "it did not work");
	else if (json)
		tell_json(dir);
	buf_free(&problem);
	return ret;
}

/* Two kinds of keys: those that seal what is stored (init), and those that programs call with. */
int
cmd_keys(int argc, char **argv)
{
	if (argc > 1 && (strcmp(argv[1], "init") == 0 || strncmp(argv[1], "--dir", 5) == 0))
		return init_command(argc, argv);
	return api_keys_command(argc, argv);
}
