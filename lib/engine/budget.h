/*
 * budget.h - may the model be asked, and what was spent on it: DAILY_SPEND_LIMIT for all together, PUBLIC_SPEND_LIMIT for what
 * customers without a token spend of one account.  Functions suspend if there is a limit.
 */
#ifndef HL_BUDGET_H
#define HL_BUDGET_H

#include "records/conversation.h"

/* What is set aside for one request. */
struct budget { struct spend all, owner; };

/*
 * False: a limit has been reached.  A store that does not answer must not stop the answers.  tokens: of the prompt, and of
 * the longest answer.
 */
bool	 budget_reserve(struct store *, const struct desk_profile *, int64_t prompt, int64_t completion, struct budget *ret) HL_MUST_CHECK;

/* What it came to. */
void	 budget_settle(struct store *, const struct budget *, int64_t prompt, int64_t completion);

/* May a conversation without a token begin at that account's cost? */
bool	 budget_allows_public(struct store *, const char *account) HL_MUST_CHECK;

/* Money in millionths. */
int64_t	 budget_money(const struct conf *, int64_t prompt, int64_t completion);

#endif
