/*
 * desk.h - conversations of the desk API: an account's, with its agents, kept until they are deleted.
 *
 * They are the records of conversation.h, with its log, leases, commits and hand-over, and without expiry (only what has
 * been seen is forgotten, after SESSION_TIMEOUT and not before a day, and what is nobody's, struct desk_new).  What they have beside (A, G: keyed names of the account and the agent):
 *
 *   c:{S}:H       hash   clear: dk bit set (1 always, 2 begun without a token, 4 simulator, 8 the title is a person's, 16 has
 *                        been handed to a person once; absent: a chat session), uh = A, ag = G (absent: none), ds status
 *                        (absent 0, 1 completed, 2 archived), en when it was ended, sa satisfaction 1-5, se sentiment
 *                        (absent: pending), in intents, ra the seq as of which both were analysed anew, fu time of the first customer message, lm of the last message (ms),
 *                        cv the account's version of its last change, eo its escalations that are over, ks and ke when its calls began and ended (calls.h); sealed: d = the id alone, ui = the account's id, tt and tx =
 *                        title.  Values longer than 64 bytes would double what the hash takes: hence d and ui apart, and
 *                        the title's end in tx
 *   u:{S}:A:conversations  zset  by time of creation
 *   u:{S}:A:recent         zset  the same by lm
 *   u:{S}:A:open           zset  its open and taken escalations by time
 *   st:{S}:A      hash   calls, msgs, dur whole seconds of all, ndur in how many a customer wrote, s0…s3 how many of each
 *                        sentiment, c:G how many with that agent, sealed n:G the agent's company; v version: one more with
 *                        each change of anything that a list shows; av the version at which an agent was last deleted
 *   an:{S}:A:DAY  hash   analytics, "G:metric" ("-" for no agent); analytics.h says which metrics there are
 *   room:staff:A  channel  what staff of the account get, as room:staff
 *
 * Every script that changes a conversation changes st: and an: with it, by the difference of what it adds up to before and
 * after (LUA_TALLY): they equal a recount at any moment.  An escalation of these does not expire while it is open or taken.
 */
#ifndef HL_DESK_H
#define HL_DESK_H

#include "records/conversation.h"

#define DESK_TITLE_MAX	800	/* bytes; who asks a person for one may want less */
#define DESK_LIST_MAX	100	/* conversations in a page */
#define DESK_SCAN_MAX	500	/* that a page with a text to look for opens */

enum desk_status { DESK_ACTIVE, DESK_COMPLETED, DESK_ARCHIVED };

/*
 * Who asks.  HL_NOT_FOUND below: no such id, or not for him; a chat session too.
 * by_id: a conversation that was begun without a token is open to whoever knows its id, until it is ended or nobody has
 * written for SESSION_TIMEOUT.
 */
struct desk_access {
	const char	*account;	/* keyed name: its own; NULL: came without a token */
	bool		 by_id;
	bool		 admin;		/* all; for reading */
};

struct desk_conversation {
	char		 id[ID_LEN + 1];
	struct place	 place;
	char		 account[CRYPTO_NAME_LEN + 1];
	char		 agent[CRYPTO_NAME_LEN + 1];	/* keyed name; "": none */
	char		 user_id[ID_LEN + 1];		/* the account's id; "": begun without one */
	bool		 anonymous, simulator, title_by_person, escalated;	/* the last: was, or is */
	bool		 person;			/* a person has it; the assistant is silent */
	enum desk_status status;
	enum sentiment	 sentiment;
	unsigned	 intents;
	int		 satisfaction;			/* 1-5; 0: none */
	int64_t		 created_ms, updated_ms;
	int64_t		 first_ms, last_ms, ended_ms;	/* 0: no message of the customer; never 0; not ended */
	int64_t		 seq, epoch;			/* seq: how many messages it has */
	int64_t		 version;			/* the account's, as of this reading */
	int64_t		 changed;			/* the account's when this one last changed; 0: not known */
	bool		 same;				/* in a page: as the caller knows it; only place and created_ms are set */
	struct buf	 title;				/* empty: none yet */
	struct entries	 messages;
	bool		 cut;				/* only its last messages are here: it would fill the page alone */
};
void	 desk_clear(struct desk_conversation *);
int64_t	 desk_duration(const struct desk_conversation *);	/* whole seconds from the customer's first message to the last */

/* ---- one conversation ---- */

struct desk_new {
	const char	*account;	/* keyed name of the owner */
	const char	*user_id;	/* his id; NULL: not known */
	const char	*agent, *company;	/* keyed name, and its company's; NULL: none yet */
	bool		 simulator, anonymous;
	const char	*title;		/* a person's; NULL: none */
	const char	*welcome;	/* becomes the first message, the assistant's; NULL: none */
	const char	*welcome_id;	/* its id; NULL: a fresh one */
	const char	*welcome_audio;	/* where it can be heard; NULL: nowhere */
	int64_t		 keep_ms;	/* forgotten then; 0: kept until it is deleted */
	const char	*once;		/* names the request: twice with it is one conversation; NULL or "": it has no name */
	bool		 anew;		/* also when the one that was made with it has been deleted */
	bool		 once_is_clients;	/* he gave the name: for something else it is HL_UNPROCESSABLE */
	struct limits	 limits;
};

/* ret has the welcome message.  HL_TOO_MANY: *retry_ms says when to try again.  HL_TOO_LARGE: the welcome or the title. */
enum hl_err desk_create(struct store *, const struct desk_new *, struct desk_conversation *ret, int64_t *retry_ms)
	    HL_MUST_CHECK;

/*
 * What desk_create() made of the same request before, as it is now.  HL_NOT_FOUND: nothing; HL_UNPROCESSABLE: something else.
 * For when it could not be made now: its agent is gone, or takes no more.
 */
enum hl_err desk_made(struct store *, const struct desk_new *, struct desk_conversation *ret) HL_MUST_CHECK;

/* The id of the account's conversation that desk_create() makes of a request called so. */
void	 desk_named(const struct store *, const char *account, const char *once, char ret[ID_LEN + 1]);

/* With the messages after a seq; DESK_NO_MESSAGES for none. */
#define DESK_NO_MESSAGES INT32_MAX
enum hl_err desk_read(struct store *, const struct desk_access *, const char *id, int64_t after,
	    struct desk_conversation *ret) HL_MUST_CHECK;

/* The id of the conversation at that place; "": it is none of the desk's, or gone. */
enum hl_err desk_id_at(struct store *, const struct place *, char ret[ID_LEN + 1]) HL_MUST_CHECK;

/*
 * What is to change; zero the rest.  A completed conversation has ended (again: when it first had); an active one goes on.
 * So does one that its owner writes in.
 */
struct desk_change {
	const char	*title;			/* NULL: as it is */
	bool		 title_by_person;	/* else it does not replace a person's */
	bool		 set_status;
	enum desk_status status;
	int		 satisfaction;		/* 0: as it is */
	bool		 set_insight;
	enum sentiment	 sentiment;
	unsigned	 intents;
	int64_t		 if_seq;		/* it follows from so many messages: HL_CONFLICT if there are others now; 0: from none */
};

/* ret: as it is then, with all its messages.  HL_TOO_LARGE: the title. */
enum hl_err desk_change(struct store *, const struct desk_access *, const char *id, const struct desk_change *,
	    struct desk_conversation *ret) HL_MUST_CHECK;

/*
 * With its log, its escalations, and its part in the statistics.  A turn under way is fenced.  noted: for a day that it was
 * there, so that the request that made it does not make it again.
 */
enum hl_err desk_delete(struct store *, const struct desk_access *, const char *id, bool noted) HL_MUST_CHECK;

/* ---- lists ---- */

/* Where a page ends, for the next one: a time and a keyed name.  It is harmless to show, and good for the account alone. */
#define DESK_CURSOR_MAX	48

struct desk_known {
	char		 h[CRYPTO_NAME_LEN + 1];	/* of its place */
	int64_t		 changed;
};

struct desk_query {
	const char	*account;	/* keyed name */
	const char	*agent;		/* keyed name; NULL: all */
	bool		 by_status, by_sentiment;
	enum desk_status status;
	enum sentiment	 sentiment;	/* SENTIMENT_PENDING too */
	const char	*text;		/* its words, each in the title or a message (fold.h); NULL or "": all */
	const char	*cursor;	/* of the page before; NULL: from the newest */
	size_t		 limit;		/* at most DESK_LIST_MAX */

	/*
	 * What the caller has of these pages' conversations, as they were when the account's version was known_version, is not
	 * read again where it is the same.  Without a text to look for.
	 */
	const struct desk_known *known;
	size_t		 known_count;	/* at most DESK_LIST_MAX */
	int64_t		 known_version;
};

struct desk_page {
	struct desk_conversation *list;		/* newest first, with their messages */
	size_t		 count;
	char		 cursor[DESK_CURSOR_MAX];	/* "": there are no more.  A page may be short, or empty, and have one */
	int64_t		 version;		/* desk_version() of before the page was read */
};
void	 desk_page_free(struct desk_page *);

/* HL_BAD_REQUEST: the cursor is none. */
enum hl_err desk_list(struct store *, const struct desk_query *, struct desk_page *ret) HL_MUST_CHECK;

/* Raised by every change of anything in the account's lists; 0: there has been none yet. */
enum hl_err desk_version(struct store *, const char *account, int64_t *ret) HL_MUST_CHECK;
void	 desk_version_ahead(struct store *, const char *account, struct redis_ahead *);	/* to be taken by redis_take() */

const char *desk_status_name(enum desk_status);		/* "active", … */
bool	 desk_status_parse(const char *, enum desk_status *);

/* ---- statistics ---- */

struct desk_stats {
	int64_t		 calls, messages;
	int64_t		 seconds, timed;		/* of the calls in which the customer wrote, and how many those are */
	int64_t		 last_ms;			/* 0: nothing yet */
	int64_t		 sentiments[SENTIMENTS];
	struct buf	*companies;			/* names, each once; company_count of them */
	size_t		 company_count;
};
void	 desk_stats_free(struct desk_stats *);
enum hl_err desk_stats(struct store *, const char *account, struct desk_stats *ret) HL_MUST_CHECK;

/* ---- keys that other files of records read ---- */

#define DESK_DAY_MS	86400000
void	 analytics_key(const char *account, int64_t day, char out[CONVERSATION_KEY_MAX]);	/* an:; day: ms / DESK_DAY_MS */

#endif
