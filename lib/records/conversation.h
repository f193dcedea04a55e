/*
 * conversation.h - what is stored of a conversation, and the scripts that change it.
 *
 * A chat session and a desk conversation are the same record; desk.h tells what only the latter has.  Each function below
 * is one Redis script, atomic, and suspends.  Keys (S is the shard, H the keyed name of the id; the id itself is in no key):
 *
 *   c:{S}:H       hash   clear (absent means 0, or ai): ow owner (ai, human, closed), seq, us last customer seq, dn covered
 *                        seq, fn fencing number, fs where attempts are counted from, ax expiry in active, ep epoch, lb
 *                        bytes of the log, cr created, up updated (ms), ttl (ms), uh keyed name of the user, pr probe,
 *                        esc open escalation, es it has had one (of a chat session; counted once), by who holds the lease (holder.h); sealed: d = {"id","userId","metadata"}, nt what a person noted for the assistant
 *   c:{S}:H:log   list   one entry a message: its id (22 bytes), then sealed JSON; the index is seq - 1
 *   c:{S}:H:seen  hash   keyed name of a client's message id or idempotency key -> "seq bodyhash"; of a desk conversation
 *                        "w" and the keyed name of words -> messages and recordings that say them (lease_scripts.h, LUA_TWIN)
 *   e:{S}:ID      hash   an escalation: c (H), at, reason, st status, bh keyed name of who has it, ur how urgent
 *                        what was found since is (sentiment_urgency()); sealed: d =
 *                        {"sessionId","userId","message","sentiment",…}, by his name, n his note, r the resolution
 *   due:{S}       zset   conversations that owe an answer, by the end of their lease
 *   holders:{S}   zset   names of processes that may hold leases, by when they last said so (within an hour)
 *   active:{S}    zset   sessions by expiry: their number is a ZCOUNT
 *   open:{S}      zset   open and taken escalations by time
 *   rl:{S}:…      string rate limits (GCRA: the theoretical arrival time)
 *   spend:{S}:DAY hash   tokens (t) and money (m, millionths) spent on a day, UTC; spend:{S}:DAY:H of one account
 *   room:H        channel what sockets of the conversation get (lib/push/room.h tells the form)
 *   room:staff    channel what signed-in staff sockets get (lib/records/escalation.h)
 *   handover:{S}  channel "H epoch": the conversation has another owner, turns of a lower epoch are over; "H 0": a stored
 *                        answer was cut
 *
 * An owed answer or an open escalation suspends expiry (the latter for ESCALATION_KEEP at most).
 */
#ifndef HL_CONVERSATION_H
#define HL_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/json_view.h"
#include "base/sentiment.h"
#include "services/crypto.h"
#include "services/redis.h"

#define LEASE_MS		4000	/* a computer that fails costs the customer this much; a killed program less (holder.h) */
#define CONVERSATION_KEY_MAX	64

struct store {
	struct redis		*redis;
	const struct crypto	*crypto;
	const struct conf	*conf;
	struct recall		*recall;	/* recall.h; may be NULL */
	struct tokens		*tokens;	/* tokens.h; made when first needed */
	struct sums		*sums;		/* analytics.h; may be NULL where no turns are run */
	const char		*holder;	/* in whose name leases are taken (holder.h); may be NULL */
};

/* The name of a conversation in keys and channels. */
struct place { char h[CRYPTO_NAME_LEN + 1]; };
struct place	 conversation_place(const struct store *, const char *id);
void		 conversation_room(const struct place *, char out[CONVERSATION_KEY_MAX]);

/* ---- messages ---- */

struct entry {
	int64_t		 seq;
	char		 id[ID_LEN + 1];
	struct buf	 text;		/* the JSON of the message, opened */
	struct json_view json;		/* it; members: role, content, ts and what the role adds */
	const char	*content;	/* in text, or in decoded if it has escapes there */
	size_t		 content_len;
	struct buf	 decoded;
	bool		 user, human;	/* a customer wrote it; a person of the company did */
};

struct entries { struct entry *list; size_t count; };
void	 entries_free(struct entries *);
enum hl_err entry_make(int64_t seq, const char *id, const struct buf *json, struct entry *ret) HL_MUST_CHECK;
void	 entry_clear(struct entry *);
const char *entry_content(const struct entry *, size_t *len);
struct json_view entry_member(const struct entry *, const char *name);

/* Appends ,"name":value for each of the names that the message has. */
#define ENTRY_MEMBERS_MAX	16
void	 entry_members(struct buf *, const struct entry *, const char *const *names, size_t count);
void	 entry_time(const struct entry *, char out[CLOCK_ISO_LEN + 1]);

/*
 * {"id","seq","role","content","timestamp", and of an answer "confidence","provider","needsEscalation","escalation","sources";
 * of a person's "by":"human"}
 */
void	 entry_write(struct buf *, const struct entry *);
void	 entry_write_desk(struct buf *, const struct entry *);	/* as the desk API names the members: "_id", … */
void	 entry_begin_desk(struct buf *, const struct entry *);	/* of that, what every message has; without the closing brace */

/* ---- sessions ---- */

struct limits { const char *address, *visitor, *session, *api_key; };	/* what to count under; NULL: not counted */

struct conversation {
	char		 id[ID_LEN + 1];
	struct place	 place;
	int64_t		 created_ms, updated_ms, seq, epoch;
	struct json	*data;		/* id, userId, metadata; NULL of one just created */
	bool		 person;	/* a person has it; the assistant is silent */
	bool		 owed;		/* it is on its way with an answer */
	bool		 probe;		/* made by `helpline probe`: answered offline, deleted afterwards */
};
void	 conversation_clear(struct conversation *);

/* metadata may be NULL.  HL_TOO_MANY: *retry_ms says when to try again. */
enum hl_err conversation_create(struct store *, const char *user_id, const struct json *metadata, bool probe,
	    const struct limits *, struct conversation *ret, int64_t *retry_ms) HL_MUST_CHECK;

/*
 * Reads it with the messages after a seq.  HL_NOT_FOUND: unknown, expired, or of the desk.  HL_FORBIDDEN: user_id is given and is not
 * the session's.  touch: counts as activity.
 */
enum hl_err conversation_read(struct store *, const char *id, const char *user_id, int64_t after, bool touch,
	    struct conversation *ret, struct entries *messages) HL_MUST_CHECK;
enum hl_err conversation_delete(struct store *, const char *id) HL_MUST_CHECK;
enum hl_err conversation_count_active(struct store *, int64_t *ret) HL_MUST_CHECK;
/* Conversations that an answer is owed, and escalations that are open or taken. */
enum hl_err conversation_count_owed(struct store *, int64_t *ret_owed, int64_t *ret_escalations) HL_MUST_CHECK;

/* The messages after a seq by the place alone: for a replay to sockets that had joined. */
enum hl_err conversation_replay(struct store *, const struct place *, int64_t after, struct entries *) HL_MUST_CHECK;
enum hl_err conversation_length(struct store *, const struct place *, int64_t *ret) HL_MUST_CHECK;	/* the last message's seq */

/* ---- accept, commit, recover (design: data.md) ---- */

struct incoming {
	const char	*id;			/* the session's, or the desk conversation's */
	const char	*user_id;		/* whose session it is; NULL: it is a desk conversation … */
	const char	*account;		/* … and this the keyed name of the account whose token came, NULL: none came */
	bool		 by_id;			/* of one that was begun without a token, while it is open, the id is enough */
	const char	*text;
	size_t		 text_len;
	const char	*client_id;		/* the client's message id, or nginx's request id */
	bool		 client_named;		/* the first of the two */
	const char	*idempotency_key;	/* or NULL */
	const char	*except;		/* the socket it came by, or NULL */
	const char	*audio;			/* how the answer's sound is wanted, a plain word (engine/aloud.h); or NULL */
	bool		 recorded;		/* the words of a recording: the same words as a message within a minute, before … */
	const char	*audio_url;		/* … or after, are the same message; where the recording is, or NULL */
	struct limits	 limits;
};

enum accepted {
	ACCEPTED_RUN,		/* stored, and the caller holds the lease: it runs the turn */
	ACCEPTED_QUEUED,	/* stored; a turn is under way and will be told */
	ACCEPTED_AGAIN		/* was stored before */
};

/*
 * What the engine is told of a desk conversation.  The account and the agent are keyed names; no agent: "" (a simulator
 * whose company has not been found yet).
 */
struct desk_profile {
	bool		 desk;			/* false: a chat session, and nothing else of this is set but created_ms */
	char		 account[CRYPTO_NAME_LEN + 1];	/* its owner's */
	char		 agent[CRYPTO_NAME_LEN + 1];
	bool		 simulator;
	bool		 anonymous;		/* begun without a token */
	bool		 title_by_person;	/* then the engine's is not stored */
	struct buf	 title;			/* empty: none yet */
	enum sentiment	 sentiment;		/* that the turn before found; SENTIMENT_PENDING: there was none */
	unsigned	 intents;		/* that all turns have found (engine/insight.h) */
	int64_t		 created_ms;		/* of a chat session too */
	int64_t		 first_ms;		/* when the first message of the customer was stored */
	bool		 answered;		/* he has been answered before: what comes now is not the first response */
};

/* What a turn is run with: the lease and what the model is told. */
struct lease {
	struct place	 place;
	int64_t		 fence, epoch, covered, before;	/* covers (before, covered] */
	int64_t		 attempt;		/* 1, and one more each time somebody else had begun */
	bool		 owner_ai, probe;
	char		 escalation_id[ID_LEN + 1];	/* of the one that is open; "" if none is */
	int64_t		 listeners;		/* sockets that heard of it: 0 makes deltas pointless */
	struct desk_profile desk;
	struct buf	 data_text;	/* JSON: id, userId (null of a desk conversation without one), metadata */
	struct json_view data;		/* it */
	struct buf	 note;		/* what a person who had the conversation noted; may be empty */
	bool		 relayed;	/* asked by a program in a customer's name (trial_talk()): nobody is told of an escalation */
	struct buf	 instructions;	/* what that program tells besides; mostly empty */
	struct entries	 context;		/* the last messages, oldest first */
};
void	 lease_clear(struct lease *);

struct acceptance {
	enum accepted	 how;
	int64_t		 seq;
	char		 message_id[ID_LEN + 1];
	int64_t		 at_ms;
	bool		 answered;		/* AGAIN: its answer is stored */
	bool		 owner_ai;		/* false: a person answers, no turn will */
	int64_t		 retry_ms;		/* with HL_TOO_MANY */
	struct lease	 lease;			/* RUN only */
};

/*
 * HL_NOT_FOUND, HL_FORBIDDEN, HL_TOO_MANY, HL_UNPROCESSABLE (same key, other message), HL_TOO_LARGE (the conversation is
 * full), HL_STORE.
 */
enum hl_err conversation_accept(struct store *, const struct incoming *, struct acceptance *ret) HL_MUST_CHECK;

/* What the engine found in a turn of a desk conversation: stored by the commit.  Ignored for a chat session. */
struct found {
	enum sentiment	 sentiment;
	unsigned	 intents;	/* are added to those found before */
	const char	*title;		/* at most DESK_TITLE_MAX bytes; NULL: as it is.  Never replaces a person's */
	const char	*agent;		/* keyed name of the agent that it turned out to be with; NULL: as it is */
	const char	*company;	/* and its company's name */
};

/*
 * Something to be counted with the commit, in the account's analytics of the day of the commit (analytics.h).  Once each
 * commit, never for one that is fenced.
 */
#define COUNTS_MAX	10	/* a script takes no more arguments */
struct count { char field[48]; int64_t by; };
struct counts { struct count list[COUNTS_MAX]; size_t count; };
void	 counts_add(struct counts *, const char *agent, const char *metric, int64_t by);	/* "AGENT:metric"; agent "": "-" */

struct outgoing {
	char		 id[ID_LEN + 1];
	int64_t		 at_ms;			/* when it was said */
	struct buf	 entry;			/* JSON of the message */
	struct buf	 event_head, event_tail;	/* what sockets get: head, seq, tail */
	const char	*reason;		/* opens or joins an escalation; NULL: none */
	struct buf	 escalation;		/* its sealed part, JSON */
	char		 escalation_id[ID_LEN + 1];	/* the lease's, or a fresh one */
	struct found	 found;			/* set .sentiment, for 0 is neutral */
	struct counts	 counts;
};

enum committed { COMMITTED, COMMITTED_MORE, COMMIT_FENCED };

/*
 * Appends the answer unless somebody else holds the turn by now.  COMMITTED_MORE: messages came meanwhile and the lease
 * goes on for them (conversation_peek() reads them).  The same commit sent twice is done once.
 */
enum hl_err conversation_commit(struct store *, struct lease *, struct outgoing *, enum committed *ret, int64_t *ret_seq)
	    HL_MUST_CHECK;

/* After a commit that ended the lease: takes its context, so that the next turn here need not read it again. */
void	 conversation_remember(struct store *, struct lease *, const struct outgoing *, int64_t seq);

/* Has anything changed since the lease began?  Reads the context again if there are new messages.  HL_CONFLICT: fenced. */
enum hl_err conversation_peek(struct store *, struct lease *, bool *ret_changed) HL_MUST_CHECK;

/* A lease that is kept from running out; lost: somebody else has it, or the conversation is gone. */
struct kept_lease { struct place place; int64_t fence; bool lost; };
enum hl_err conversation_renew(struct store *, struct kept_lease *, size_t count) HL_MUST_CHECK;

/* How often each has been handed over, for who may not have heard of it (HANDOVER_CHANNEL); INT64_MAX: it is gone. */
enum hl_err conversation_epochs(struct store *, const struct place *, size_t count, int64_t *ret) HL_MUST_CHECK;

/* More is owed, and somebody else is to go on with it: the lease is overdue at once, if it is still ours. */
enum hl_err conversation_leave(struct store *, const struct lease *) HL_MUST_CHECK;

/*
 * Conversations whose lease has run out, at most max.  Leases of holders that are seen to be dead end first; the store's
 * own holder is noted, for others to see.
 */
enum hl_err conversation_overdue(struct store *, struct place *ret, size_t max, size_t *count) HL_MUST_CHECK;

/* Takes an overdue one over.  HL_CONFLICT: somebody was faster, or it is settled. */
enum hl_err conversation_claim(struct store *, const struct place *, struct lease *ret) HL_MUST_CHECK;

/* The stored answer to the message with that seq.  HL_NOT_FOUND: none yet. */
enum hl_err conversation_answer(struct store *, const struct place *, int64_t seq, struct entry *ret) HL_MUST_CHECK;

/*
 * Replaces the words of a stored answer of the assistant by those that were heard of it before somebody spoke; sockets get
 * ai_cut {id, seq, message}.  HL_NOT_FOUND: there is no such answer; HL_CONFLICT: it was changed at the same moment.
 */
enum hl_err conversation_cut(struct store *, const struct place *, const char *id, int64_t seq, const char *text, size_t len)
	    HL_MUST_CHECK;
/*
 * A customer's message whose recording came after it: that is where it can be heard.  ret_url, appended: the one that it has now,
 * which is another one if it had one.  HL_NOT_FOUND: there is no such message; HL_CONFLICT: it was changed at the same moment.
 */
enum hl_err conversation_recorded(struct store *, const struct place *, const char *id, int64_t seq, const char *url,
	    struct buf *ret_url) HL_MUST_CHECK;
/* What this process remembers of it is void (recall.h). */
void	 conversation_forget(struct store *, const struct place *);

/* ---- hand-over (escalation.h has the scripts) ---- */

#define HANDOVER_CHANNEL	"handover:{0}"
/* Epoch 0: it was not handed over, but something in its log is another now, see conversation_cut(). */
bool	 handover_parse(const char *payload, size_t len, struct place *ret_place, int64_t *ret_epoch);

/* Who has it now.  HL_NOT_FOUND: it is gone. */
struct ownership {
	bool	 person;
	bool	 owed;				/* the assistant is on its way with an answer */
	int64_t	 epoch;				/* 0: nobody else has had it */
	char	 escalation_id[ID_LEN + 1];	/* of the one that is open or taken; "" if none is */
	char	 reason[32];
};
enum hl_err conversation_owner(struct store *, const struct place *, struct ownership *ret) HL_MUST_CHECK;
/* What a person who gave it back noted for the assistant, appended; there may be nothing. */
enum hl_err conversation_note(struct store *, const struct place *, struct buf *ret) HL_MUST_CHECK;

/* ---- spend ---- */

/*
 *   spend:{S}:DAY[:H]       hash  t tokens, m micro_money that the installation, or the account H, has spent on a day
 *   spend:{S}:DAY[:H]:held  zset  "tokens:micro_money:id" of a request under way, by the time at which it must be over (ms)
 */

/* What one request may cost, and on which day (UTC) it was begun. */
struct spend {
	char		 day[11], id[ID_LEN + 1];	/* both set by spend_reserve() */
	char		 account[CRYPTO_NAME_LEN + 1];	/* whose: keyed name; "": the installation's */
	int64_t		 tokens, micro_money;
};
struct spend_limit { bool money; int64_t most; };	/* a day, in tokens or in millionths */

/*
 * Counts the request as if it cost as much, unless the day's limit has been reached.  So however many begin at once, in
 * however many processes, the limit is passed by one of them at most.  What it did cost is told by the second call; what
 * a process that dies between the two had reserved counts no longer than a turn can take.
 */
enum hl_err spend_reserve(struct store *, const struct spend_limit *, struct spend *, bool *ret_within) HL_MUST_CHECK;
enum hl_err spend_settle(struct store *, const struct spend *reserved, int64_t tokens, int64_t micro_money) HL_MUST_CHECK;

#endif
