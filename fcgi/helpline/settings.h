/*
 * settings.h - the settings of a ./run system: from the environment and .env to what the programs see.
 */
#ifndef HL_SETTINGS_H
#define HL_SETTINGS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"

/*
 * Says by HELPLINE_CONFIG which file the next settings_load() reads, by its whole path: none if there is an env_file; what
 * it named; else CONF_FILE if that is there, unless a system below a state_dir is meant.
 */
void	 settings_choose(const char *state_dir, const char *env_file);

/*
 * Reads env_file (NULL: none), the file of HELPLINE_CONFIG (once: its name is taken out of the environment) and the
 * environment.  settings_check() tells each thing that is wrong.
 */
enum hl_err settings_check(const char *env_file, struct conf *ret, conf_tell *tell, void *arg) HL_MUST_CHECK;
enum hl_err settings_load(const char *env_file, struct conf *ret, struct buf *problem) HL_MUST_CHECK;

/* Calls tell for each name in the environment (and so in .env, once that is read) that looks like a misspelt setting. */
void	 settings_misspelt(void (*tell)(const char *sentence, void *), void *arg);

/* Was a port asked for by PORT?  *port gets it; 0, which ./run allows beyond the table, is any free one. */
bool	 settings_port(int *port);

/* No Redis of somebody else was named (localhost:6379 is what everybody's .env says, and counts as none). */
bool	 settings_own_redis(const struct conf *);

/* Some model server was named. */
bool	 settings_model(const struct conf *);

/*
 * The environment for the programs: the settings and a few names that libraries read.  What else the person's shell
 * had is nobody's business there.  The second one is for Redis and nginx, which get no settings at all.
 * Both live until the process ends.
 */
char	**settings_environment(void);
char	**settings_bare_environment(void);

#endif
