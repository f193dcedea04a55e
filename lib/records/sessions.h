/*
 * sessions.h - sessions of the chat API as an administrator sees them: which there are, and the end of one.
 */
#ifndef HL_SESSIONS_H
#define HL_SESSIONS_H

#include "records/conversation.h"

#define SESSIONS_PAGE	100

struct session {
	char		 id[ID_LEN + 1];
	struct place	 place;
	struct json	*data;			/* id, userId, metadata */
	int64_t		 created_ms, updated_ms;
	int64_t		 expires_ms;		/* 0: it is kept for a while, for an answer or a person is owed */
	int64_t		 seq;			/* how many messages it has */
	bool		 person;		/* a person has it */
	char		 escalation_id[ID_LEN + 1];	/* of the open one; "" if none is */
};
void	 session_clear(struct session *);

/* HL_NOT_FOUND: gone, or none of the chat API's. */
enum hl_err session_at(struct store *, const struct place *, struct session *ret) HL_MUST_CHECK;

/*
 * Those that have not expired, the most recently used first, from an index on, at most SESSIONS_PAGE; those that go in this
 * moment are left out.  ret_more: there may be others behind them.  The caller clears each.
 */
enum hl_err sessions_list(struct store *, size_t from, struct session *ret, size_t *ret_count, bool *ret_more) HL_MUST_CHECK;

/*
 * Removes it with its messages and its open escalation.  A turn under way is fenced, and who waits for it is told.  Gone
 * already is no error.
 */
enum hl_err session_end(struct store *, const struct place *) HL_MUST_CHECK;

#endif
