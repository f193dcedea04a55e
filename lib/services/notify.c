#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "services/notify.h"
#include "services/renew.h"

static struct { uv_timer_t timer; bool alive; } watchdog;

/* A path, or "@name" of an abstract socket; -1: neither, or too long. */
static int
address_of(const char *text, struct sockaddr_un *ret, socklen_t *ret_len)
{
	size_t len = strlen(text);

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((*text != '/' && *text != '@') || len < 2 || len >= sizeof(ret->sun_path))
		return -1;
	memcpy(ret->sun_path, text, len);
	if (*text == '@')
		ret->sun_path[0] = '\0';
	/* An abstract name has its length; a path its NUL. */
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*text == '/'));
	return 0;
}

static void
tell(const char *state)
{
	const char *where = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t len;
	int fd;

	if (where == NULL || *where == '\0' || address_of(where, &address, &len) != 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, len) < 0)
		log_line(LOG_LEVEL_WARN, "notify", "state", state, "problem", strerror(errno), NULL);
	if (fd >= 0)
		close(fd);
}

static void
say_alive(uv_timer_t *timer)
{
	(void)timer;
	tell("WATCHDOG=1");
}

/* Half of what the unit allows, in ms; 0: there is no watchdog, or it is another process'. */
static uint64_t
interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t ms;

	if (usec == NULL || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	ms = strtoull(usec, NULL, 10) / 2000;
	return ms || strtoull(usec, NULL, 10) == 0 ? ms : 1;
}

void
notify_ready(uv_loop_t *loop)
{
	uint64_t ms = interval();

	if (!renew_ready())
		tell("READY=1");
	if (ms == 0 || getenv("NOTIFY_SOCKET") == NULL || uv_timer_init(loop, &watchdog.timer) != 0)
		return;
	watchdog.alive = true;
	uv_timer_start(&watchdog.timer, say_alive, ms, ms);
	uv_unref((uv_handle_t *)&watchdog.timer);
}

void
notify_reloading(void)
{
	char text[96];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_us());
	tell(text);
}

void
notify_reloaded(pid_t other)
{
	char text[96];

	if (other == 0) {
		tell("READY=1");
		return;
	}
	snprintf(text, sizeof(text), "MAINPID=%ld\nREADY=1", (long)other);
	tell(text);
	unsetenv("NOTIFY_SOCKET");	/* it does not listen to this one any more */
	notify_end();
}

void
notify_stopping(int64_t ms)
{
	char text[96];

	snprintf(text, sizeof(text), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64, ms * 1000);
	tell(text);
}

void
notify_end(void)
{
	if (watchdog.alive)
		uv_close((uv_handle_t *)&watchdog.timer, NULL);
	watchdog.alive = false;
}
