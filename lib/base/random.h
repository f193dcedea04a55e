/*
 * random.h - random bytes of the kernel, fetched a page at a time: a call each is a twentieth of what a new session costs.
 *
 * Bytes are wiped as they are handed out, so that what has been drawn cannot be read back from memory.  Not for a process
 * that forks and draws in both halves without exec.
 */
#ifndef HL_RANDOM_H
#define HL_RANDOM_H

#include <stddef.h>

void	 random_bytes(void *out, size_t len);

#endif
