/*
 * conversations.h - what the files of the conversations' routes share.
 */
#ifndef HL_DESK_CONVERSATIONS_H
#define HL_DESK_CONVERSATIONS_H

#include "desk/desk.h"
#include "records/desk.h"

/* conversation_list.c */
enum hl_err list_get(struct call *);

/* statistics.c */
enum hl_err statistics_get(struct call *);

/* audio.c: suspends; all recordings of a conversation that was deleted. */
void	 audio_remove(struct call *, const char *conversation_id);

/* reanalysis.c */
enum hl_err reanalysis_post(struct call *);
enum hl_err reanalysis_get(struct call *);

/* sounds.c: what has been said aloud of these messages.  Suspends. */
void	 sounds_remove(struct call *, const struct entries *);

/* Appends the conversation without its closing brace.  Suspends. */
enum hl_err conversation_write(struct call *, const struct desk_conversation *, struct buf *body) HL_MUST_CHECK;

#endif
