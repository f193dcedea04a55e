#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/budget.h"
#include "records/analytics.h"

int64_t
budget_money(const struct conf *c, int64_t prompt, int64_t completion)
{
	return llround((double)prompt * c->price_input + (double)completion * c->price_output);
}

/* HL_TOO_MANY: the limit is reached.  HL_STORE: nobody knows.  Where there is no limit nothing is set aside. */
static enum hl_err
reserve(struct store *s, const char *limit, const char *account, int64_t tokens, int64_t money, struct spend *ret)
{
	struct spend_limit most;
	bool within;
	enum hl_err err;

	*ret = (struct spend){ .tokens = tokens, .micro_money = money };
	if (!conf_spend(limit, &most.money, &most.most))
		return HL_OK;		/* there is none: what is none else is refused at the start */
	strcpy(ret->account, account);
	err = spend_reserve(s, &most, ret, &within);
	if (err)
		*ret->day = '\0';
	return err ? err : within ? HL_OK : HL_TOO_MANY;
}

static void
settle(struct store *s, const struct spend *reserved, int64_t tokens, int64_t money)
{
	enum hl_err err = HL_OK;

	if (*reserved->day)
		err = spend_settle(s, reserved, tokens, money);
	(void)err;		/* the answer is worth more than its bookkeeping */
}

static enum hl_err
reserve_both(struct store *s, const char *public_of, int64_t tokens, int64_t money, struct budget *ret)
{
	enum hl_err err = HL_OK;

	*ret = (struct budget){ 0 };
	if (public_of)
		err = reserve(s, s->conf->public_spend_limit, public_of, tokens, money, &ret->owner);
	if (err)
		return err;
	err = reserve(s, s->conf->daily_spend_limit, "", tokens, money, &ret->all);
	if (err)
		settle(s, &ret->owner, 0, 0);
	return err;
}

enum hl_err
budget_reserve(struct store *s, const struct desk_profile *d, int64_t prompt, int64_t completion, struct budget *ret)
{
	return reserve_both(s, d->desk && d->anonymous ? d->account : NULL, prompt + completion, budget_money(s->conf, prompt, completion), ret);
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

	return reserve(s, s->conf->public_spend_limit, account, 0, 0, &looked) == HL_OK;
}

/* ---- sound ---- */

struct bill
bill_of(const char *account, const char *agent, bool anonymous)
{
	struct bill b = { .anonymous = anonymous };

	snprintf(b.account, sizeof(b.account), "%s", account ? account : "");
	snprintf(b.agent, sizeof(b.agent), "%s", agent ? agent : "");
	return b;
}

bool
budget_allows_sound(struct store *s, const struct bill *b)
{
	struct budget looked;

	return reserve_both(s, b->anonymous ? b->account : NULL, 0, 0, &looked) == HL_OK;
}

bool
budget_buy_sound(struct store *s, const struct bill *b, int64_t money, struct budget *ret)
{
	return reserve_both(s, b->anonymous ? b->account : NULL, 0, money, ret) == HL_OK;
}

void
budget_settle_sound(struct store *s, const struct bill *b, const struct budget *reserved, int64_t money, bool done)
{
	struct counts c = { 0 };
	enum hl_err err = HL_OK;

	settle(s, &reserved->all, 0, done ? money : 0);
	settle(s, &reserved->owner, 0, done ? money : 0);
	if (!done)
		return;
	counts_add(&c, b->agent, "m", money);
	if (*b->account)
		err = analytics_count(s, b->account, &c);
	(void)err;		/* as above */
}

int64_t
budget_speech_money(const struct conf *c, const char *words, size_t len)
{
	size_t characters = 0;

	for (size_t i = 0; i < len; i++)
		characters += ((unsigned char)words[i] & 0xc0) != 0x80;
	return (int64_t)ceil((double)characters * c->price_speech);
}

int64_t
budget_hearing_money(const struct conf *c, int64_t ms)
{
	return (int64_t)ceil((double)ms / 60000 * c->price_hearing * 1e6);
}
