/*
 * escalation.h - the hand-over to a person: who asks for one, who has taken it, what he wrote, and how it ended.
 *
 * An escalation is open, then taken (its conversation belongs to a person), then returned or closed (it is the assistant's
 * again).  Each change is one Redis script, atomic, and suspends.  A take, a return and a close raise the conversation's
 * epoch and fencing number and publish them, in its room (sockets) and on HANDOVER_CHANNEL (engines): what a turn of the
 * assistant says with a lower epoch is dropped, there and at its commit, however late it comes.
 *
 * Closed: the customer may go on writing, and the assistant answers again - a conversation that were dead for good would
 * look broken to somebody who comes back with another question; a new escalation is opened when that needs one.  What the
 * customer wrote while a person owned the conversation stays answered by that person, by silence too.
 */
#ifndef HL_ESCALATION_RECORD_H
#define HL_ESCALATION_RECORD_H

#include "records/conversation.h"

#define ESCALATIONS_MAX	500	/* in a list */

/* Who acts.  An admin may end what another has taken, and close what nobody has. */
struct staff { const char *name; bool admin; };

struct escalation {
	char		 id[ID_LEN + 1];
	struct place	 place;			/* of its conversation */
	char		 account[CRYPTO_NAME_LEN + 1];	/* keyed name of the owner of a desk conversation; "": a chat session's */
	int64_t		 opened_ms;
	int64_t		 asked;			/* seq of the customer's newest message */
	char		 reason[32];
	char		 status[12];		/* open, taken, returned, closed */
	enum sentiment	 sentiment;		/* the most urgent since it was opened */
	struct json	*data;			/* sessionId, userId, message, originalMessage, sentiment, keyword */
	struct buf	 taken_by, note, resolution;	/* empty: none */
};
void	 escalation_clear(struct escalation *);

/*
 * Appends {"_id","conversationId","userId","reason","keyword","sentiment","originalMessage","openedAt","status","takenBy",
 * "note","resolution": what there is of them, takenBy always.  Without the closing brace.
 */
void	 escalation_write(struct buf *, const struct escalation *);

struct escalations { struct escalation *list; size_t count; };
void	 escalations_free(struct escalations *);

/*
 * Those that are open or taken (status, "": both), the most urgent first, then the oldest, at most ESCALATIONS_MAX.  Forgets those
 * whose record or conversation has expired.
 */
enum hl_err escalation_list(struct store *, const char *status, struct escalations *ret) HL_MUST_CHECK;
/* An account's; of sessions of the chat API. */
enum hl_err escalation_list_of(struct store *, const char *account, const char *status, struct escalations *ret) HL_MUST_CHECK;
enum hl_err escalation_list_chat(struct store *, const char *status, struct escalations *ret) HL_MUST_CHECK;

/* HL_NOT_FOUND: no such id, or it has expired. */
enum hl_err escalation_read(struct store *, const char *id, struct escalation *ret) HL_MUST_CHECK;

/*
 * The first one wins.  HL_CONFLICT here and below: e->status and e->taken_by are read again and say what is in the way.
 * To take what one has taken, and to end in the same way what one has ended, is no conflict: a request may come twice.
 */
enum hl_err escalation_take(struct store *, struct escalation *e, const struct staff *) HL_MUST_CHECK;

struct reply {
	const char	*text;
	size_t		 len;
	const char	*client_id;	/* the same twice is stored once … */
	bool		 client_named;	/* … named by the client, or nginx's request id */
	const char	*key;		/* another name of it; NULL: none */
};

/*
 * Appends to the log as the assistant's, by "human", and publishes it.  ret_entry is what is stored, entry_clear() it.
 * HL_CONFLICT: not taken by this person.  HL_UNPROCESSABLE: that id was another reply's.  HL_TOO_LARGE: the conversation is
 * full.
 */
enum hl_err escalation_reply(struct store *, struct escalation *e, const struct staff *, const struct reply *,
	    struct entry *ret_entry) HL_MUST_CHECK;

/* note: what the assistant is told of it; NULL for nothing.  HL_CONFLICT: not taken by this person. */
enum hl_err escalation_return(struct store *, struct escalation *e, const struct staff *, const char *note) HL_MUST_CHECK;

/* resolution: kept with the record; NULL for none.  HL_CONFLICT as above, or it is over already. */
enum hl_err escalation_close(struct store *, struct escalation *e, const struct staff *, const char *resolution) HL_MUST_CHECK;

/* ---- who hears of it ---- */

/*
 * What signed-in staff sockets get; not counted: who misses one reads the list.  The message of a conversation that has no
 * open escalation is nobody's business.
 */
#define STAFF_ROOM "room:staff"
void	 staff_room(const char *account, char out[CONVERSATION_KEY_MAX]);	/* of an account's own staff */
#define STAFF_CHAT "chat"	/* as the account: of those who own the sessions of the chat API (chat_owner.h) */

/* account: keyed name of the owner of a desk conversation, whose staff hears of it too; "": a chat session's. */
void	 staff_needed(struct store *, const char *account, const struct buf *record);	/* escalation-needed */
void	 staff_updated(struct store *, const char *account, const char *conversation_id, const struct entry *);
						/* conversation-updated */

#endif
