/*
 * agents.h - what the files of the agents' and avatars' routes share.
 */
#ifndef HL_DESK_AGENTS_H
#define HL_DESK_AGENTS_H

#include "api/auth.h"
#include "desk/desk.h"
#include "records/agent.h"

/* ---- agents.c ---- */

/* Signed in, and the agent call->segment is this account's. */
enum hl_err find_agent(struct call *, struct account *who, struct agent *ret) HL_MUST_CHECK;
enum hl_err reply_agent(struct call *, int status, const struct account *owner, const struct agent *) HL_MUST_CHECK;

/* ---- avatars.c ---- */

#define AVATAR_PLACE	"/public/avatars/"
#define AVATAR_DEFAULT	AVATAR_PLACE "ai-avatar.svg"

bool	 avatar_is_ours(const char *address);		/* of an image that was sent; NULL is none */
bool	 avatar_is_default(const char *address);	/* of the two that are always there */

/* Removes the file of an image that was sent to us; of any other address nothing. */
void	 avatar_remove(const struct conf *, const char *address);

#endif
