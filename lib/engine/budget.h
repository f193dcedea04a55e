/*
 * budget.h - may the model be asked, and what was spent on it: DAILY_SPEND_LIMIT for all together, PUBLIC_SPEND_LIMIT for what
 * customers without a token spend of one account.  Functions suspend if there is a limit; those that settle sound always.
 */
#ifndef HL_BUDGET_H
#define HL_BUDGET_H

#include "records/conversation.h"

/* What is set aside for one request. */
struct budget { struct spend all, owner; };

/*
 * HL_TOO_MANY: a limit has been reached.  HL_STORE: whether it has is not known, which for those below that return bool is
 * as if it had.  tokens: of the prompt, and of the longest answer.
 */
enum hl_err budget_reserve(struct store *, const struct desk_profile *, int64_t prompt, int64_t completion, struct budget *ret) HL_MUST_CHECK;

/* What it came to. */
void	 budget_settle(struct store *, const struct budget *, int64_t prompt, int64_t completion);

/* May a conversation without a token begin at that account's cost? */
bool	 budget_allows_public(struct store *, const char *account) HL_MUST_CHECK;

/* ---- sound: what is said aloud, and what is written down ---- */

/* Who pays for it: keyed names, of the account and of the agent ("": none). */
struct bill {
	char	 account[CRYPTO_NAME_LEN + 1], agent[CRYPTO_NAME_LEN + 1];
	bool	 anonymous;	/* PUBLIC_SPEND_LIMIT is for it, too */
};
struct bill bill_of(const char *account, const char *agent, bool anonymous);

#define BUDGET_SILENT "The day's spend limit has been reached: answers are written, not spoken"
#define BUDGET_DEAF "The day's spend limit has been reached: what is said is not written down before midnight UTC. Please write instead"

/* Is a limit reached? */
bool	 budget_allows_sound(struct store *, const struct bill *);

/* As budget_reserve().  Settling counts it in the account's analytics, too; not done: it costs nothing. */
bool	 budget_buy_sound(struct store *, const struct bill *, int64_t money, struct budget *ret) HL_MUST_CHECK;
void	 budget_settle_sound(struct store *, const struct bill *, const struct budget *, int64_t money, bool done);

int64_t	 budget_speech_money(const struct conf *, const char *words, size_t len);	/* UTF-8, by character */
int64_t	 budget_hearing_money(const struct conf *, int64_t ms);

/* Money in millionths. */
int64_t	 budget_money(const struct conf *, int64_t prompt, int64_t completion);

#endif
