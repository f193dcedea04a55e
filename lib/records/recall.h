/*
 * recall.h - the last messages of the conversations that this process has just answered, opened already.
 *
 * A turn needs the ten messages before it: reading and opening them is a seventh of what it costs.  The log is appended
 * to, so what is remembered is at most too old, and the store adds what came after it; when an answer in it is cut
 * (conversation_cut()), every process is told and forgets.  Bounded:
 * SLOTS conversations, none of more than BYTES, none for longer than a minute, none from before the store's connection
 * was last made (a store that comes back may have lost its end).
 */
#ifndef HL_RECALL_H
#define HL_RECALL_H

#include "records/conversation.h"

struct recall;

enum hl_err recall_new(struct recall **ret) HL_MUST_CHECK;
void	 recall_free(struct recall *);

/* Takes them out: the caller frees them.  Returns the seq of the last one, or 0. */
int64_t	 recall_take(struct recall *, const struct place *, unsigned life, struct entries *ret);

/* Takes the entries, also when it does not keep them. */
void	 recall_put(struct recall *, const struct place *, unsigned life, struct entries *take);

/* Forgets what is older than a minute; once a second is often enough. */
void	 recall_age(struct recall *);

/* Forgets everything: it may not have been told what was cut. */
void	 recall_clear(struct recall *);

#endif
