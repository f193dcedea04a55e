/*
 * program.h - what the FastCGI programs have in common: a program is its routes and what it needs.
 */
#ifndef HL_PROGRAM_H
#define HL_PROGRAM_H

#include "api/route.h"

struct program {
	const char		*name, *purpose;
	const struct route	*routes;
	size_t			 count;
	bool			 needs_store;	/* Redis and the sealing keys */
	bool			 needs_engine;	/* … and to answer messages */
	bool			 needs_accounts;	/* JWT_SECRET must be set */
};

/* Settings, log, store, sockets, loop; returns the exit status after SIGTERM, when what was under way has ended. */
int	 program_main(const struct program *, int argc, char **argv);

#endif
