/*
 * alloc.h - memory that runs out when a test wants it to: malloc, calloc, realloc and strdup of the whole program.
 */
#ifndef TESTS_ALLOC_H
#define TESTS_ALLOC_H

#include <stdbool.h>

/* The n-th call from now on fails, once.  own: only calls that this program itself makes, no library, are counted. */
void	 alloc_fail(unsigned n, bool own);
bool	 alloc_failed(void);	/* has it? Ends it. */

#endif
