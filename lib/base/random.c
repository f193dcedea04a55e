#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/random.h"

#define POOL_BYTES 2048u

/* There is no going on without random bytes. */
static void
fetch(unsigned char *out, size_t len)
{
	for (size_t have = 0; have < len; ) {
		ssize_t n = getrandom(out + have, len - have, 0);	/* a signal may cut it short beyond 256 bytes */

		if (n > 0)
			have += (size_t)n;
		else if (n < 0 && errno != EINTR)
			abort();
	}
}

void
random_bytes(void *out, size_t len)
{
	static _Thread_local unsigned char pool[POOL_BYTES];
	static _Thread_local size_t left;

	if (len > POOL_BYTES) {
		fetch(out, len);
		return;
	}
	if (left < len) {
		fetch(pool, POOL_BYTES);
		left = POOL_BYTES;
	}
	left -= len;
	memcpy(out, pool + left, len);
	explicit_bzero(pool + left, len);
}
