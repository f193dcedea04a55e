/*
 * shown.h - a conversation and its messages as the desk API shows them.
 */
#ifndef HL_DESK_SHOWN_H
#define HL_DESK_SHOWN_H

#include "records/desk.h"

#define SHOWN_MAX	(64u * 1024 * 1024)	/* bytes of an answer: a conversation has 4 MB of messages */

/* What a conversation is called that has no title yet. */
extern const char shown_untitled[];

/*
 * The ids of agents by their keyed names, each looked for once: a page of conversations has few.  An agent that has been
 * deleted has none.
 */
struct agent_ids { struct agent_id *list; size_t count; };
void	 agent_ids_free(struct agent_ids *);

/* Suspends.  Of all conversations of a list. */
enum hl_err agent_ids_find(struct store *, const struct desk_conversation *, size_t count, struct agent_ids *) HL_MUST_CHECK;

/*
 * Without the closing brace.  In a list messages have no sources, which are most of what an answer weighs and which nobody
 * reads there.
 */
enum shown_as { SHOWN_WHOLE, SHOWN_IN_LIST };
void	 shown_conversation(struct buf *, const struct desk_conversation *, const struct agent_ids *, enum shown_as);
void	 shown_analytics(struct buf *, const struct desk_conversation *);	/* ,"analytics":{…} */
void	 shown_messages(struct buf *, const struct entries *, enum shown_as);	/* [ … ] */

/* One message of a list, without the closing brace. */
void	 shown_message(struct buf *, const struct entries *, size_t index, enum shown_as);

#endif
