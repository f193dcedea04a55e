#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "command.h"
#include "keys.h"
#include "services/crypto.h"

static enum hl_err
make_probe(const char *dir, struct buf *problem)
{
	char path[4096], fresh[4096 + 8], word[ID_LEN + 1];
	struct stat st;
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "%s/" KEYS_PROBE, dir);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	if (stat(path, &st) == 0 && st.st_size == ID_LEN)
		return HL_OK;
	id_new(word);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, word, ID_LEN) == ID_LEN && rename(fresh, path) == 0;
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
	return err ? err : make_probe(dir, problem);
}

int
cmd_keys(int argc, char **argv)
{
	static const struct option options[] = { { "dir", required_argument, NULL, 'd' }, { NULL, 0, NULL, 0 } };
	struct buf problem = BUF_INIT(1024);
	const char *dir = NULL;
	int o, ret = 0;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (o == 'd')
			dir = optarg;
		else
			return 2;
	if (dir == NULL || optind + 1 != argc || strcmp(argv[optind], "init") != 0)
		return complain(2, argv[0], "usage: helpline keys init --dir DIR");
	if (keys_init(dir, &problem) != HL_OK)
		ret = complain(1, argv[0], "%s", problem.data ? problem.data : "it did not work");
	buf_free(&problem);
	return ret;
}
