#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "records/holder.h"

#define BOOT_LEN	36	/* of a UUID */

/* "boot.namespace": equal for two processes if each can see the other's number.  False: it cannot be known. */
static bool
place_of_this_process(char ret[HOLDER_MAX])
{
	char boot[BOOT_LEN + 1] = "";
	struct stat ns;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	bool known = fd >= 0 && read(fd, boot, BOOT_LEN) == BOOT_LEN && boot[strspn(boot, "0123456789abcdef-")] == '\0' &&
	    stat("/proc/self/ns/pid", &ns) == 0;

	if (fd >= 0)
		close(fd);
	if (known)
		snprintf(ret, HOLDER_MAX, "%s.%llu", boot, (unsigned long long)ns.st_ino);
	return known;
}

void
holder_name(char ret[HOLDER_MAX])
{
	char place[HOLDER_MAX];
	uint32_t salt = 0;

	if (!place_of_this_process(place))
		strcpy(place, "?");
	(void)!getrandom(&salt, sizeof(salt), GRND_NONBLOCK);	/* failing, a successor of the same number is not told from it */
	snprintf(ret, HOLDER_MAX, "%.60s.%d.%08x", place, (int)getpid(), (unsigned)salt);
}

/* The length of the place in a name, and the number behind it; 0: this is no such name. */
static size_t
split(const char *name, pid_t *ret_pid)
{
	const char *salt = strrchr(name, '.'), *pid = salt ? memrchr(name, '.', (size_t)(salt - name)) : NULL;
	long n = pid ? strtol(pid + 1, NULL, 10) : 0;

	*ret_pid = (pid_t)n;
	return n > 0 && *name != '?' ? (size_t)(pid - name) : 0;
}

bool
holder_is_dead(const char *name, const char *self)
{
	pid_t pid, own;
	size_t len = split(name, &pid);

	if (len == 0 || split(self, &own) != len || memcmp(name, self, len) != 0 || strcmp(name, self) == 0)
		return false;
	return pid == own || (kill(pid, 0) != 0 && errno == ESRCH);
}
