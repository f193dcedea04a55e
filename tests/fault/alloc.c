/*
 * The definitions in the program come before the C library's, also for the libraries it uses.  With a sanitizer its own
 * are behind them, so that it sees every byte.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REAL(name)	__interceptor_##name
#else
#define REAL(name)	__libc_##name
#endif

void	*REAL(malloc)(size_t);
void	*REAL(calloc)(size_t, size_t);
void	*REAL(realloc)(void *, size_t);

extern const char __executable_start[], etext[];	/* the linker's */

static __thread unsigned left;		/* until the one that fails; 0: none will */
static __thread bool own_only, failed;

void
alloc_fail(unsigned n, bool own)
{
	own_only = own;
	failed = false;
	left = n;
}

bool
alloc_failed(void)
{
	left = 0;
	return failed;
}

static bool
fails(const char *caller)
{
	if (left == 0 || (own_only && (caller < __executable_start || caller >= etext)) || --left > 0)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

#define FAILS()	fails(__builtin_return_address(0))

void *
malloc(size_t n)
{
	return FAILS() ? NULL : REAL(malloc)(n);
}

void *
calloc(size_t n, size_t size)
{
	return FAILS() ? NULL : REAL(calloc)(n, size);
}

void *
realloc(void *p, size_t n)
{
	return FAILS() ? NULL : REAL(realloc)(p, n);
}

char *
strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = FAILS() ? NULL : REAL(malloc)(n);

	return copy ? memcpy(copy, s, n) : NULL;
}
