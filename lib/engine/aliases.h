/*
 * aliases.h - which company does a text name?  No I/O.
 *
 * Aliases are compared as whole words, folded: any case (ß is ss), any apostrophe, accents of Latin, Greek and Cyrillic
 * letters or none, full-width letters; what stands between words does not matter, but "&", "+" and "#" count.  In scripts
 * that put no spaces between words each letter is one.  A text is read once, whatever the number of aliases
 * (Aho-Corasick over words): time is linear in the text.
 */
#ifndef HL_ALIASES_H
#define HL_ALIASES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "records/agent.h"

struct aliases;

struct alias { const char *text; size_t len, index; };	/* index: what it stands for */

/*
 * Copies what it needs.  One without a letter or digit matches nothing.  Of two that are the same the first one counts.
 */
enum hl_err aliases_new(const struct alias *, size_t count, struct aliases **ret) HL_MUST_CHECK;
void	 aliases_free(struct aliases *);

/*
 * The aliases and the company's name of each agent that takes calls, with a token or without, an alias before a name; the
 * index is the agent's place in the list.
 */
enum hl_err aliases_of_agents(const struct agents *, bool with_token, struct aliases **ret) HL_MUST_CHECK;

/* The longest alias in the text, of equally long ones the first.  False: there is none.  Any bytes will do; NULL aliases are none. */
bool	 aliases_find(const struct aliases *, const char *text, size_t len, size_t *ret_index);

/* Has it anything that could be found? */
bool	 alias_usable(const char *text, size_t len);

#endif
