/*
 * check.h - helpline check: each part looks at one thing and tells what it found.
 */
#ifndef HL_CHECK_H
#define HL_CHECK_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/conf.h"
#include "helpline/client.h"

/* Only FOUND_WRONG makes the command fail.  FOUND_UNKNOWN could not be looked at, or may be meant so. */
enum finding { FOUND_OK, FOUND_NOTE, FOUND_UNKNOWN, FOUND_WRONG };

struct check {
	const char	*state_dir, *nginx_conf;
	bool		 ask_provider, json, running;
	struct conf	 conf;
	unsigned	 wrong;
	struct buf	 out;		/* --json: the findings */
};

/* name is what programs know the finding by ("redis.persistence"); remedy is said unless it is well, NULL: there is none to say. */
void	 found(struct check *, const char *name, enum finding, const char *remedy, const char *format, ...)
	    __attribute__((format(printf, 5, 6)));

/* One or the other sentence. */
void	 found_if(struct check *, const char *name, bool ok, const char *well, const char *wrong, const char *remedy);

void	 check_redis(struct check *, uv_loop_t *);	/* suspends */
void	 check_contradictions(struct check *);
void	 check_secrets(struct check *);
void	 check_sockets(struct check *);
void	 check_folders(struct check *);
void	 check_rights(struct check *);			/* as root: of the programs' user, in their sandbox if they run */
void	 check_clock(struct check *);
void	 check_limits(struct check *);
void	 check_nginx(struct check *);			/* blocks while nginx -T runs */

/* Is a secret's text long and varied enough that nobody guesses it? */
bool	 check_is_strong(const char *text);

#endif
