#include <stdlib.h>
#include <string.h>

#include "engine/budget.h"

int64_t
budget_money(const struct conf *c, int64_t prompt, int64_t completion)
{
	return (int64_t)((double)prompt * c->price_input + (double)completion * c->price_output);
}

/* "200000tokens", or money. */
static struct spend_limit
parse_limit(const char *text)
{
	char *unit;
	double most = strtod(text, &unit);

	unit += strspn(unit, " ");
	if (strncmp(unit, "token", 5) == 0)
		return (struct spend_limit){ .most = (int64_t)most };
	return (struct spend_limit){ .money = true, .most = (int64_t)(most * 1e6) };
}

/* No limit, or no store: nothing is set aside, and nothing is in the way. */
static bool
reserve(struct store *s, const char *limit, const char *account, int64_t tokens, int64_t money, struct spend *ret)
{
	struct spend_limit most;
	bool within = true;

	*ret = (struct spend){ .tokens = tokens, .micro_money = money };
	if (*limit == '\0')
		return true;
	strcpy(ret->account, account);
	most = parse_limit(limit);
	if (spend_reserve(s, &most, ret, &within) == HL_OK)
		return within;
	*ret->day = '\0';
	return true;
}

static void
settle(struct store *s, const struct spend *reserved, int64_t tokens, int64_t money)
{
	enum hl_err err = HL_OK;

	if (*reserved->day)
		err = spend_settle(s, reserved, tokens, money);
	(void)err;		/* the answer is worth more than its bookkeeping */
}

bool
budget_reserve(struct store *s, const struct desk_profile *d, int64_t prompt, int64_t completion, struct budget *ret)
{
	const char *public_limit = d->desk && d->anonymous ? s->conf->public_spend_limit : "";
	int64_t tokens = prompt + completion, money = budget_money(s->conf, prompt, completion);

	*ret = (struct budget){ 0 };
	if (!reserve(s, public_limit, d->account, tokens, money, &ret->owner))
		return false;
	if (reserve(s, s->conf->daily_spend_limit, "", tokens, money, &ret->all))
		return true;
	settle(s, &ret->owner, 0, 0);
	return false;
}

void
budget_settle(struct store *s, const struct budget *b, int64_t prompt, int64_t completion)
{
	int64_t money = budget_money(s->conf, prompt, completion);

	settle(s, &b->all, prompt + completion, money);
	settle(s, &b->owner, prompt + completion, money);
}

bool
budget_allows_public(struct store *s, const char *account)
{
	struct spend looked;

	return reserve(s, s->conf->public_spend_limit, account, 0, 0, &looked);
}
