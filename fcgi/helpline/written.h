/*
 * written.h - how the command shows sessions, conversations and messages: as JSON, and as lines on a terminal.
 */
#ifndef HL_WRITTEN_H
#define HL_WRITTEN_H

#include "records/desk.h"
#include "records/escalation.h"
#include "records/sessions.h"

#define WRITTEN_MAX	(256u << 20)	/* bytes of JSON in one answer */

/* What somebody typed may hold control characters, which a terminal would obey: shown as dots.  Lines are indented. */
void	 written_words(const char *, size_t);

/* Objects without their closing brace. */
void	 written_session(struct buf *, const struct session *);
void	 written_conversation(struct buf *, const struct desk_conversation *);
/* ,"messages":[…] */
void	 written_messages(struct buf *, const struct entries *);
/* ,"name":"2026-01-31T12:00:00.000Z", or null for 0 */
void	 written_time(struct buf *, const char *name, int64_t ms);

/* For people. */
void	 written_show_messages(const struct entries *);

/* Prints it with a newline; HL_TOO_LARGE, HL_NO_MEMORY. */
enum hl_err written_print(const struct buf *) HL_MUST_CHECK;

#endif
