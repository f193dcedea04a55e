/*
 * analytics.h - figures of a company by day and agent: how they are counted and what a range of days comes to.
 *
 *   an:{S}:A:DAY    hash    "G:metric" -> sum.  A is the keyed name of an account; "chat": the sessions of the chat API (they
 *                           belong to whoever is CHAT_OWNER when somebody asks: chat_owner.h); "all": the whole
 *                           installation, with G "-".  G is the keyed name of an agent, "-" for none.  DAY is whole days
 *                           since 1970, UTC
 *   an:{S}:flushed:P string number of the last flush of process P, for an hour: one that is sent twice is counted once
 *
 * Days expire ANALYTICS_KEEP_DAYS after they began.  The metrics, and which script counts them:
 *
 *   by the day a conversation was created: volume, completed, escalated (at least once), resolved (completed, never
 *   escalated), r1 … r5 (satisfaction), s0 … s3 (sentiment, as enum sentiment).  By the day something happened: asked
 *   (customers' messages), replies (people's), and with each answer f<bucket> and fms (first response: from the customer's
 *   first message on), t<bucket> and tms (from the oldest message that it answers on; buckets of base/histogram.h over
 *   milliseconds, and their sum), ti and to (tokens read and written), m (money, millionths; of
 *   sound when it is made or written down, by analytics_count())
 *
 * Those of desk conversations change in the same script as the conversation (desk.h, tally.h), so they equal a recount at
 * any moment.  A session of the chat API has its turns summed up in memory and flushed once a second: a process that is
 * killed loses a second of them.  It has no end that anybody declares: it is counted from its first answer on, as completed,
 * and as resolved unless it is escalated.
 *
 * A conversation that a program keeps (POST /v1/chat/completions) and does not name is counted by analytics_count(): volume with
 * the answer to the customer's first message, and what is counted when it happens.  Whether it ended well nobody tells.
 */
#ifndef HL_ANALYTICS_H
#define HL_ANALYTICS_H

#include "base/histogram.h"
#include "records/conversation.h"

#define ANALYTICS_KEEP_DAYS	400
#define ANALYTICS_RANGE_MAX	366	/* days in one report */
#define ANALYTICS_CHAT		"chat"
#define ANALYTICS_ALL		"all"

/* ---- counting what sessions of the chat API do ---- */

#define SUMS_MAX	4096	/* that wait at once: a hundred or two for each day touched; more are lost, and said so */

struct sums;
enum hl_err sums_new(struct sums **ret) HL_MUST_CHECK;
void	 sums_free(struct sums *);

/* day: of clock_day(); metric: at most SUMS_METRIC_MAX bytes.  Neither suspends nor fails. */
#define SUMS_METRIC_MAX	15
void	 sums_add(struct sums *, int64_t day, const char *metric, int64_t by);

/* Stores what waits, once.  HL_STORE: it goes on waiting.  ret_lost: sums that found no room since last time.  Suspends. */
enum hl_err sums_flush(struct store *, struct sums *, int64_t *ret_lost) HL_MUST_CHECK;

/* ---- counting what is no conversation of ours ---- */

/* Of an account, today; the fields' agents are keyed names.  Suspends. */
enum hl_err analytics_count(struct store *, const char *account, const struct counts *) HL_MUST_CHECK;

/* ---- reading ---- */

enum metric {
	METRIC_VOLUME, METRIC_COMPLETED, METRIC_ESCALATED, METRIC_RESOLVED,
	METRIC_R1, METRIC_R2, METRIC_R3, METRIC_R4, METRIC_R5,
	METRIC_S0, METRIC_S1, METRIC_S2, METRIC_S3,
	METRIC_ASKED, METRIC_REPLIES, METRIC_FIRST_MS, METRIC_ANSWER_MS,
	METRIC_TOKENS_IN, METRIC_TOKENS_OUT, METRIC_MONEY,
	METRICS
};

struct figures {
	int64_t		 sums[METRICS];
	struct histogram first, answer;		/* milliseconds */
};
void	 figures_add(struct figures *, const struct figures *more);

struct analytics_query {
	const char	*account;	/* keyed name, or ANALYTICS_ALL; NULL: chat alone */
	bool		 chat;		/* and the sessions of the chat API */
	const char	*agent;		/* keyed name; NULL: all */
	int64_t		 from, to;	/* days, both inside; at most ANALYTICS_RANGE_MAX */
};

/* By agent: "" is without one.  More than ANALYTICS_AGENTS_MAX of them come together in the last row, whose h is "?". */
#define ANALYTICS_AGENTS_MAX	1000
struct agent_figures { char h[CRYPTO_NAME_LEN + 1]; struct figures figures; };

struct report {
	size_t		 day_count, agent_count;
	struct figures	*days;			/* each of the range, also those without anything */
	struct agent_figures *agents;		/* those with anything */
	struct figures	 total;
};
void	 report_free(struct report *);

/* Suspends, every few days of the range. */
enum hl_err analytics_read(struct store *, const struct analytics_query *, struct report **ret) HL_MUST_CHECK;

#endif
