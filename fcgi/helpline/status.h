/*
 * status.h - run/status.json: a JSON array with one object a process, {"name","pid","restarts"}; pid is null while it
 * is being started again.  Redis' has "socket", nginx's has "address".  Written whole at every change.
 */
#ifndef HL_STATUS_H
#define HL_STATUS_H

#include <stddef.h>

#include "base/error.h"
#include "child.h"

struct status {
	const char		*address;	/* "http://127.0.0.1:3000" */
	const char		*redis_socket;	/* absolute; NULL: somebody else's Redis */
	const struct child	*children;
	size_t			 count;
};

enum hl_err status_write(const struct status *) HL_MUST_CHECK;

/* Prints "Helpline is running at ADDRESS" for the current state directory, as far as it is known. */
void	 status_tell_running(const char *state_path, int pid);

#endif
