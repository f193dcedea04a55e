/*
 * holder.h - who holds a lease, and whether that process still lives.
 *
 * A holder's name says where it runs (boot, namespace of process numbers) and its number there, so that any other
 * process of the same place can see for certain that it is dead, whatever started either.  One elsewhere is never called
 * dead: its leases run out.
 */
#ifndef HL_HOLDER_H
#define HL_HOLDER_H

#include <stdbool.h>

#define HOLDER_MAX	80	/* bytes of a name, with the NUL */

/* This process' name: another one with each call. */
void	 holder_name(char ret[HOLDER_MAX]);

/* False also when it cannot be known.  self is this process' name. */
bool	 holder_is_dead(const char *name, const char *self);

#endif
