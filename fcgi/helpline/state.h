/*
 * state.h - the folder of a ./run system: who owns what in it, and that only one system runs there.
 *
 *	app/		what make install made, copied here
 *	knowledge/	copy of a KNOWLEDGE_PATH that the services cannot read
 *	lock, stack	locks: the supervisor's; the one that everything it started holds
 *	run/ secrets/ redis/ log/
 *
 * All of it is for the services' user alone (0700).  Started by root, that is somebody who owns nothing else: "helpline"
 * if there is such a user, else number 65530, which Debian reserves (policy 9.2.2) and neither adduser nor systemd's
 * dynamic users (61184 to 65519) hand out.  As that user could put links here, root never executes anything from this
 * folder and opens nothing in it through a link.  Everything runs with the folder as working directory and names files
 * by relative paths: it does not matter whether the services could walk to it (/root), or how long its name is.
 */
#ifndef HL_STATE_H
#define HL_STATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

#define STATE_LOCK	"lock"
#define STATE_STACK	"stack"
#define STATE_STATUS	"run/status.json"
#define STATE_REDIS	"run/redis.sock"
#define STATE_STACK_FD	200	/* where the second lock is open in everything that is started */

struct state {
	char	path[4096];	/* absolute, for people */
	bool	root;		/* started by root: the services get uid and gid */
	uid_t	uid;
	gid_t	gid;
	int	lock;		/* open as long as the supervisor lives */
};

/* Makes the folder and enters it.  The locks are taken: HL_CONFLICT if a supervisor runs there already. */
enum hl_err state_open(struct state *, const char *path, struct buf *problem) HL_MUST_CHECK;

/* Becomes the services' user for good.  Does nothing but forbid new privileges when not started by root. */
enum hl_err state_drop_root(const struct state *, struct buf *problem) HL_MUST_CHECK;

/* Could the services read that folder's knowledge? */
bool	 state_can_read(const struct state *, const char *folder, bool (*want)(const char *));

/* The supervisor that runs in the folder path, 0 if there is none, -1 if it is no such folder.  Enters the folder. */
pid_t	 state_supervisor(const char *path);

/*
 * Enters the folder path and puts into the environment what its supervisor gave the programs: where the keys and the
 * files are, and its Redis.  False: it cannot be entered.
 */
bool	 state_use(const char *path);

/* In the current directory, where no supervisor runs: ends what a killed one may have left.  False if it does not go. */
bool	 state_end_left(void);

#endif
