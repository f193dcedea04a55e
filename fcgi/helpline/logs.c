#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "logs.h"

#define SHOWN_BYTES	1000

static int
copy_away(int dir, const char *name, int fd, off_t size)
{
	char old[300];
	off_t at = 0;
	int out, ret = -1;

	snprintf(old, sizeof(old), "%s.1", name);
	out = openat(dir, old, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return -1;
	while (at < size && copy_file_range(fd, &at, out, NULL, (size_t)(size - at), 0) > 0)
		;
	if (at >= size)
		ret = 0;
	close(out);
	return ret;
}

static void
bound_file(int dir, const char *name)
{
	size_t len = strlen(name);
	struct stat st;
	int fd;

	if (len < 4 || strcmp(name + len - 4, ".log") != 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode) || st.st_size <= LOG_MAX_BYTES)
		return;
	fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)copy_away(dir, name, fd, st.st_size);
	(void)!ftruncate(fd, 0);	/* whether or not it could be kept: a full disk would stop Redis */
	close(fd);
}

void
logs_bound(void)
{
	DIR *list = opendir("log");
	struct dirent *e;

	if (list == NULL)
		return;
	while ((e = readdir(list)) != NULL)
		bound_file(dirfd(list), e->d_name);
	closedir(list);
}

void
logs_show(const char *name, long start)
{
	char path[64], text[SHOWN_BYTES + 1], *line, *next;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "log/%s.log", name);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fseek(f, 0, SEEK_END) == 0 && ftell(f) - SHOWN_BYTES > start)
		start = ftell(f) - SHOWN_BYTES;
	n = fseek(f, start, SEEK_SET) == 0 ? fread(text, 1, SHOWN_BYTES, f) : 0;
	text[n] = '\0';
	fclose(f);
	for (line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		fprintf(stderr, "  %s: %s\n", name, line);
	}
}
