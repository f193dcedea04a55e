#include <string.h>

#include "base/str.h"
#include "records/desk_head.h"
#include "records/entry.h"

void
desk_clear(struct desk_conversation *c)
{
	buf_free(&c->title);
	entries_free(&c->messages);
}

int64_t
desk_duration(const struct desk_conversation *c)
{
	return c->first_ms ? (c->last_ms - c->first_ms) / 1000 : 0;
}

static void
take_numbers(const struct redis_reply *reply, struct desk_conversation *c)
{
	int64_t kind = redis_int(redis_at(reply, HEAD_DK));

	c->anonymous = kind & DK_ANONYMOUS;
	c->simulator = kind & DK_SIMULATOR;
	c->title_by_person = kind & DK_TITLED;
	c->escalated = kind & DK_ESCALATED;
	c->status = (enum desk_status)redis_int(redis_at(reply, HEAD_DS));
	c->satisfaction = (int)redis_int(redis_at(reply, HEAD_SA));
	c->sentiment = SENTIMENT_PENDING;
	if (redis_type(redis_at(reply, HEAD_SE)) != REDIS_NIL)
		c->sentiment = (enum sentiment)redis_int(redis_at(reply, HEAD_SE));
	c->intents = (unsigned)redis_int(redis_at(reply, HEAD_IN));
	c->created_ms = redis_int(redis_at(reply, HEAD_CR));
	c->updated_ms = redis_int(redis_at(reply, HEAD_UP));
	c->first_ms = redis_int(redis_at(reply, HEAD_FU));
	c->last_ms = redis_int(redis_at(reply, HEAD_LM));
	c->ended_ms = redis_int(redis_at(reply, HEAD_EN));
	c->seq = redis_int(redis_at(reply, HEAD_SEQ));
	c->epoch = redis_int(redis_at(reply, HEAD_EP));
	c->person = str_equal(redis_str(redis_at(reply, HEAD_OW), NULL), "human");
	c->cut = redis_int(redis_at(reply, HEAD_IS_CUT)) == 1;
	c->changed = redis_int(redis_at(reply, HEAD_CV));
}

enum hl_err
head_take(const struct store *s, const struct place *p, const struct redis_reply *reply, size_t max,
    struct desk_conversation *c)
{
	struct keys k;
	enum hl_err err;

	*c = (struct desk_conversation){ .place = *p, .title = BUF_INIT(ENTRY_MAX) };
	keys_of(p, &k);
	take_numbers(reply, c);
	name_take(redis_at(reply, HEAD_UH), c->account);
	name_take(redis_at(reply, HEAD_AG), c->agent);
	err = id_open(s, &k, redis_at(reply, HEAD_D), c->id);
	if (err == HL_OK)
		err = user_open(s, &k, redis_at(reply, HEAD_UI), c->user_id);
	if (err == HL_OK)
		err = title_open(s, &k, redis_at(reply, HEAD_TT), redis_at(reply, HEAD_TX), &c->title);
	if (err == HL_OK)
		err = entries_open(s, &k, redis_at(reply, HEAD_ENTRIES), c->seq, max, &c->messages);
	if (err)
		desk_clear(c);
	return err;
}
