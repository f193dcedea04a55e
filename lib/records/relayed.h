/*
 * relayed.h - desk conversations that a program keeps (POST /v1/chat/completions), as far as they are stored here: it calls them
 * by a name of its own.  Keys are those of desk.h; the id is made of the account and the name, so that nothing else is needed
 * to find it.
 */
#ifndef HL_RELAYED_H
#define HL_RELAYED_H

#include "records/desk.h"

/* The newest messages that are kept of what was said before the conversation was stored. */
#define RELAYED_BEFORE_MAX	500

struct talk_message { bool user; const char *text; size_t len; };
void	 talk_message_write(struct buf *, const struct talk_message *, int64_t said_ms);	/* as it is stored */

/* kind: what the name is of, a plain word. */
void	 relayed_id(const struct store *, const char *account, const char *kind, const char *name, char ret[ID_LEN + 1]);

/*
 * Makes it, an agent's (keyed name, and its company's name), with what was said before, which is all answered.  One that is there
 * stays as it is, and *ret_made is false.  HL_TOO_LARGE.  Suspends.
 */
enum hl_err relayed_create(struct store *, const char *account, const char *agent, const char *company, const char *kind,
	    const char *name, const struct talk_message *, size_t count, struct desk_conversation *ret, bool *ret_made)
	    HL_MUST_CHECK;

#endif
