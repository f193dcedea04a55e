/*
 * asks_for_person() reads a message as a row of words, gives each word its meanings from the lexicon (a word that
 * is not there counts as the nearest that is, a few typing mistakes away) and looks for the patterns below: a verb
 * of speaking before a noun that is a person, a wish for a person, a refusal of the bot, and so on.  Some patterns
 * say yes; others first strike out words that mean something else ("I don't want to talk to anybody").
 *
 * Rules, because they generalise: a linear model over character n-grams did as well on sentences of the kind it was
 * trained with (99 % found), but found a third of those of other kinds.  And one line of a table explains an answer.
 */
#include <string.h>

#include "base/str.h"
#include "engine/escalation.h"
#include "engine/lexicon.h"

#define HALF		2048		/* bytes read at either end of the message */
#define BATCH_MAX	96		/* words looked at together */
#define BATCH_ENOUGH	48		/* after so many, the end of a clause ends the batch */
#define OVERLAP		12		/* ... and what is read again if no clause ended */
#define STEPS_MAX	8

/* ---- what a row of words can mean ---- */

#define NOUN		(ROLE | BODY | PEOPLE | EXPERT)
#define PLAIN_GLUE	(TO | WITH | A | OWN | FILLER | POLITE | REAL | LIVE)
#define GLUE		(PLAIN_GLUE | THE | ELSE | TEAM | HELP)
#define ADJECTIVE	(A | REAL | LIVE | FILLER | POLITE)
#define END		(STOP | POLITE | FOLLOW)

enum verdict { ASKS, STRIKE };

struct step {
	uint64_t	any;		/* the word has one of these meanings */
	unsigned	min, max;	/* words in a row */
};

struct pattern {
	enum verdict	verdict;
	struct step	steps[STEPS_MAX];
};

#define ONE(m)		{ (m), 1, 1 }
#define OPT(m)		{ (m), 0, 1 }
#define UPTO(n, m)	{ (m), 0, (n) }
#define SOME(n, m)	{ (m), 1, (n) }

/* Tried in this order: what a pattern strikes out is gone for those after it. */
static const struct pattern patterns[] = {
	/* "are you a real person?", "am I talking to a bot?", "you are not human", "I am not a robot" */
	{ STRIKE, { ONE(BE), ONE(YOU | IT | I), UPTO(4, ADJECTIVE | TALK | TO | WITH | THE | NOT),
	    ONE(NOUN | BOT) } },
	{ STRIKE, { ONE(YOU | IT), ONE(BE), UPTO(3, ADJECTIVE | NOT), ONE(NOUN | BOT) } },
	{ STRIKE, { ONE(AM), OPT(NOT), OPT(A), OPT(REAL | LIVE | OTHER | FILLER), ONE(NOUN | BOT) } },

	/* "I don't want to talk to a machine", "nicht mit einem Bot", "tired of this bot" */
	{ ASKS, { ONE(NOT), SOME(4, WANT | NEED | LIKE | TO | ME | POLITE), ONE(TALK | REACH),
	    UPTO(4, GLUE | BAD), ONE(BOT) } },
	{ ASKS, { ONE(WANT), OPT(FILLER), ONE(NOT), ONE(TALK), UPTO(4, GLUE | BAD), ONE(BOT) } },
	{ ASKS, { ONE(NOT), OPT(TALK), ONE(TO | WITH | BY), UPTO(3, GLUE | BAD), ONE(BOT) } },
	{ ASKS, { ONE(NOT), OPT(WANT | NEED | LIKE), UPTO(4, GLUE | BAD | BY), ONE(CHATBOT), ONE(END) } },
	{ ASKS, { ONE(NOT), ONE(WANT | NEED | LIKE), UPTO(3, GLUE), ONE(BOT), ONE(DEED) } },
	{ ASKS, { ONE(FED_UP), UPTO(3, GLUE | OTHER | ME), ONE(TALK | REACH), UPTO(4, GLUE | BAD),
	    ONE(BOT) } },
	{ ASKS, { ONE(FED_UP), UPTO(3, GLUE | IT | BAD), ONE(CHATBOT) } },
	{ ASKS, { ONE(CHATBOT), UPTO(4, BE | GLUE | IT | OTHER | CANNOT | DO), ONE(BAD) } },
	{ ASKS, { ONE(CHATBOT), UPTO(2, BE | GLUE | CAN | DO), ONE(CANNOT), UPTO(2, GLUE | OTHER | CAN),
	    ONE(HELP | DEED) } },
	{ ASKS, { ONE(BAD), OPT(FILLER | OTHER), ONE(CHATBOT) } },

	/* "after talking to an agent", "I don't need a person", "do I have to speak to someone?" */
	{ STRIKE, { ONE(WHILE), ONE(TALK | REACH | LINK) } },
	{ STRIKE, { ONE(NOT), ONE(WANT | NEED | LIKE), UPTO(4, TO | A | NEED | REAL | LIVE | BE),
	    ONE(TALK | REACH | LINK | NOUN), UPTO(4, GLUE), OPT(NOUN) } },
	{ STRIKE, { ONE(WANT), OPT(FILLER), ONE(NOT), UPTO(4, GLUE), ONE(TALK | REACH | LINK | NOUN),
	    UPTO(4, GLUE), OPT(NOUN) } },
	{ STRIKE, { ONE(AVOID), UPTO(3, GLUE | NEED), ONE(TALK | REACH | LINK), UPTO(4, GLUE), OPT(NOUN) } },
	{ STRIKE, { ONE(AVOID), UPTO(4, GLUE), ONE(NOUN) } },
	{ STRIKE, { ONE(STOP), ONE(DO), ONE(I | YOU), ONE(NEED), ONE(TO), ONE(TALK | REACH), UPTO(4, GLUE),
	    OPT(NOUN) } },

	/* "pay in person", "the contact person", "the delivery agent", "agent fee" */
	{ STRIKE, { ONE(IN), ONE(BODY) } },
	{ STRIKE, { ONE(THE | A | OWN), ONE(REACH), ONE(BODY | PEOPLE) } },
	{ STRIKE, { ONE(BLOCK), OPT(TEAM), ONE(NOUN) } },
	{ STRIKE, { ONE(THE | OWN), ONE(TALK), ONE(ROLE) } },
	{ STRIKE, { ONE(NOUN), ONE(THING) } },

	/* "speak to a bloody person", "discuss my bill with an agent", "talk to your team" */
	{ ASKS, { ONE(TALK), UPTO(5, GLUE), OPT(OTHER), UPTO(3, GLUE), ONE(NOUN) } },
	{ ASKS, { ONE(TALK), UPTO(6, GLUE | OTHER | THING | I | IT), ONE(WITH), UPTO(4, GLUE), ONE(NOUN) } },
	{ ASKS, { ONE(TALK), ONE(TO | WITH), UPTO(4, GLUE), OPT(OTHER), ONE(TEAM) } },
	{ ASKS, { ONE(TALK), ONE(TO | WITH), ONE(A), ONE(STOP) } },
	{ ASKS, { ONE(EXPLAIN), UPTO(4, IT | OWN | OTHER | A | THE), ONE(TO | WITH), UPTO(3, ADJECTIVE),
	    ONE(NOUN) } },
	{ ASKS, { ONE(WANT), UPTO(2, TO | ME | I), ONE(TALK), ONE(TO | WITH), ONE(THEM) } },
	{ ASKS, { ONE(TALK_LAST), OPT(I | YOU), UPTO(2, GLUE | ME), ONE(WITH), UPTO(3, GLUE),
	    ONE(NOUN | TEAM) } },
	{ ASKS, { ONE(NOUN | TEAM), UPTO(3, GLUE | I | ME | YOU | OTHER), ONE(TALK_LAST) } },
	/* "who can I talk to?", "someone I could call", "an agent to chat with" */
	{ ASKS, { ONE(WHO), SOME(3, CAN | DO | I | NEED | TO), ONE(TALK), ONE(TO | WITH | END) } },
	{ ASKS, { ONE(NOUN | TEAM), SOME(4, I | CAN | NEED | TO | WHO | POLITE), ONE(TALK) } },
	{ ASKS, { ONE(NOUN), OPT(WHO), ONE(I), UPTO(2, CAN | FILLER), ONE(REACH) } },
	{ ASKS, { ONE(NOUN), UPTO(2, OTHER | HERE | WHO), ONE(I), SOME(2, CAN | FILLER), ONE(TALK) } },
	/* "contact a live agent", "get in touch with somebody", "call an operator" */
	{ ASKS, { ONE(REACH), UPTO(4, GLUE), ONE(ROLE | EXPERT) } },
	{ ASKS, { ONE(REACH), UPTO(4, PLAIN_GLUE | TEAM), ONE(BODY) } },
	{ ASKS, { ONE(REACH), ONE(WITH), UPTO(3, GLUE), ONE(TEAM) } },
	{ ASKS, { ONE(REACH), UPTO(2, TO | WITH | FILLER), ONE(A | THE), OPT(OTHER),
	    UPTO(2, REAL | LIVE | FILLER), ONE(ROLE) } },
	{ ASKS, { ONE(REACH), UPTO(2, TO | WITH | FILLER), ONE(A), OPT(OTHER), UPTO(2, REAL | LIVE | FILLER),
	    ONE(BODY) } },

	/* "put me through", "connect me with a person", "please escalate this" */
	{ ASKS, { ONE(PUT), OPT(POLITE | YOU), ONE(ME), UPTO(6, GLUE | NOUN | OTHER), ONE(THROUGH) } },
	{ ASKS, { ONE(PUT), OPT(POLITE | YOU), ONE(ME), UPTO(2, FILLER), ONE(TO | WITH), UPTO(3, GLUE),
	    ONE(NOUN | TEAM) } },
	{ ASKS, { ONE(THROUGH), ONE(TO), UPTO(4, GLUE), ONE(NOUN) } },
	{ ASKS, { ONE(LINK), UPTO(2, POLITE | YOU | FILLER), ONE(ME), UPTO(4, GLUE | THROUGH | IN),
	    OPT(OTHER), UPTO(2, GLUE), ONE(NOUN | TEAM) } },
	{ ASKS, { ONE(LINK), UPTO(2, POLITE | YOU | FILLER), ONE(ME), UPTO(2, THROUGH | FILLER),
	    ONE(STOP | POLITE) } },
	{ ASKS, { ONE(LINK), UPTO(4, PLAIN_GLUE | THE | TEAM | IT | TALK), ONE(ROLE) } },
	{ ASKS, { ONE(LINK), UPTO(4, GLUE | IT | TALK | OTHER), ONE(TO), UPTO(3, GLUE), ONE(HUMAN) } },
	{ ASKS, { ONE(LINK), OPT(POLITE), ONE(TO | WITH), UPTO(2, ADJECTIVE), ONE(BODY),
	    ONE(STOP | POLITE | WHO) } },
	{ ASKS, { ONE(ESCALATE) } },
	{ STRIKE, { ONE(BODY), ONE(ELSE) } },

	/* "I want an agent", "get me someone", "looking for a human", "do you have anyone?" */
	{ ASKS, { ONE(WANT), UPTO(4, ADJECTIVE | ME | LIKE | HAVE | OWN | FOR | TEAM), ONE(ROLE),
	    ONE(END | HERE) } },
	{ ASKS, { ONE(WANT), UPTO(2, ME | LIKE | HAVE), SOME(2, ADJECTIVE), ONE(EXPERT), ONE(END) } },
	{ ASKS, { ONE(WANT), UPTO(4, ADJECTIVE | ME | LIKE | HAVE | TEAM), ONE(BODY), OPT(FILLER),
	    ONE(STOP | POLITE | HERE) } },
	{ ASKS, { ONE(WANT), UPTO(4, ADJECTIVE | ME | LIKE | HAVE | FOR), ONE(NOUN), ONE(TO | WHO),
	    UPTO(3, CAN | FILLER), ONE(DEED) } },
	{ ASKS, { ONE(ASKING), UPTO(2, YOU | FILLER), ONE(FOR), UPTO(3, ADJECTIVE), ONE(ROLE | BODY),
	    ONE(END) } },
	{ ASKS, { ONE(CAN | DO), ONE(I | YOU), UPTO(2, FILLER | POLITE), ONE(HAVE), UPTO(3, ADJECTIVE),
	    ONE(ROLE | BODY), ONE(STOP | POLITE | HERE | WHO | HELP) } },
	{ ASKS, { ONE(A | REAL | LIVE | ME | WANT), ONE(HUMAN), ONE(STOP | POLITE) } },
	{ ASKS, { ONE(HELP), UPTO(2, ME | FILLER | OTHER), ONE(BY), UPTO(3, ADJECTIVE), ONE(NOUN),
	    ONE(END) } },
	{ ASKS, { ONE(ROLE | BODY), UPTO(2, TO | FILLER), ONE(STEP_IN), OPT(FILLER), ONE(END) } },
	{ ASKS, { ONE(A | REAL | LIVE), ONE(HUMAN), OPT(CAN | TO), ONE(DEED) } },
	/* "real person", "live support" */
	{ ASKS, { ONE(REAL | LIVE), UPTO(2, REAL | LIVE | FILLER), ONE(NOUN),
	    ONE(END | HERE | TALK | REACH | CAN | NOT | WANT | ME) } },
	{ ASKS, { ONE(BODY), ONE(REAL), ONE(END | HELP | DEED) } },
	{ ASKS, { ONE(LIVE), OPT(FILLER), ONE(TEAM | HELP | TALK) } },
	{ ASKS, { ONE(CAN), UPTO(3, ADJECTIVE), ONE(ROLE), UPTO(2, FILLER | POLITE), ONE(HELP | DEED),
	    OPT(TO | WITH), ONE(ME) } },

	/* "is there anyone?", "anybody there?", "any agents available" */
	{ ASKS, { ONE(BE), ONE(HERE), UPTO(3, ADJECTIVE), ONE(ROLE | BODY), ONE(STOP | POLITE | HERE) } },
	{ ASKS, { ONE(BE | CANNOT), ONE(HERE), UPTO(3, ADJECTIVE), ONE(ROLE | BODY), ONE(TO | WHO),
	    UPTO(2, CAN | FILLER), ONE(DEED) } },
	{ ASKS, { ONE(A | REAL | LIVE | BE | DO), ONE(NOUN), OPT(FILLER), ONE(WORK), OPT(FILLER),
	    ONE(HERE) } },
	{ ASKS, { ONE(STOP | BE), ONE(BODY), ONE(WORK), ONE(STOP) } },
	{ ASKS, { ONE(BODY), OPT(REAL | FILLER), ONE(HERE), UPTO(3, TO | WHO | CAN),
	    ONE(STOP | POLITE | DEED) } },
	{ ASKS, { ONE(ROLE), OPT(FILLER), ONE(HERE), ONE(END) } },
	/* "can someone from sales call me?", "please have an agent contact me", "call me back" */
	{ ASKS, { ONE(CAN | POLITE | WANT | FOR | ASKING),
	    UPTO(3, YOU | I | TO | LIKE | HAVE | ADJECTIVE | OWN), ONE(NOUN),
	    UPTO(5, GLUE | NOUN | BY | OTHER | WANT | IN), ONE(REACH | TALK), UPTO(2, TO | WITH | FILLER),
	    ONE(ME) } },
	{ ASKS, { ONE(STOP), OPT(HAVE), UPTO(2, A | OWN), ONE(BODY | ROLE),
	    UPTO(3, ADJECTIVE | NEED | TO | CAN), ONE(REACH | TALK), OPT(TO | WITH), ONE(ME) } },
	{ ASKS, { ONE(REACH), UPTO(2, YOU | POLITE), ONE(ME), OPT(POLITE), ONE(BACK) } },
	{ ASKS, { ONE(CAN | POLITE | WANT), UPTO(4, ME | I | HAVE | A | WANT), ONE(REACH), ONE(BACK) } },
	{ ASKS, { ONE(WANT), ONE(ME), ONE(A), ONE(REACH), ONE(END | BACK) } },
	{ ASKS, { ONE(ME), ONE(CAN), ONE(REACH), ONE(STOP | POLITE) } },
	{ ASKS, { ONE(CAN | POLITE | STOP), OPT(YOU), OPT(POLITE), ONE(REACH), ONE(ME),
	    ONE(STOP | POLITE) } },
	{ ASKS, { ONE(CAN | POLITE | WANT | ASKING), UPTO(4, ME | I | HAVE | ADJECTIVE | FOR),
	    ONE(CALLBACK) } },

	/* nothing but "agent!!", "human please", "hello, anyone?" */
	{ ASKS, { ONE(STOP), UPTO(5, ADJECTIVE | WANT | ME | HELP | TEAM | HERE), ONE(ROLE | BODY),
	    UPTO(5, ROLE | ADJECTIVE | HERE | WANT | HELP), ONE(STOP) } },
};

/* For scripts without spaces between words, and Korean: what one usually calls the person asked for. */
static const char *const phrases[] = {
	"人工客服", "人工服务", "转人工", "轉人工", "真人", "活人", "和人说话", "跟人说话", "人工坐席",
	"オペレーター", "担当者", "人と話", "有人チャット", "人間と", "상담원", "상담사", "사람과", "직원과",
};

/* ---- reading words ---- */

struct token {
	struct word	 word;
	const char	*at;		/* where it was read */
	uint64_t	 is;
};

struct batch {
	struct token	 token[BATCH_MAX];
	size_t		 count;
	uint64_t	 all;		/* every meaning that one of them has */
};

static void
add_stop(struct batch *b)
{
	if (b->count == 0 || b->token[b->count - 1].is != STOP)
		b->token[b->count++] = (struct token){ .is = STOP };
}

static void
add_token(struct batch *b, const char *at, const char *text, size_t len, uint64_t is)
{
	struct token *t = &b->token[b->count++];

	*t = (struct token){ .at = at, .is = is, .word.len = len };
	memcpy(t->word.text, text, len);
}

/* "some one", "op erator": true if this word only completes the one before. */
static bool
completes(struct token *last, const struct word *w, uint64_t is)
{
	struct word both = last->word;

	if (last->is == STOP || both.len + w->len > WORD_MAX)
		return false;
	memcpy(both.text + both.len, w->text, w->len + 1);
	both.len += w->len;
	if (!(word_in(w, "one body 1") && word_in(&last->word, "some any no")) &&
	    (last->is != 0 || is != 0 || lexicon_exact(both.text, both.len) == 0))
		return false;
	last->word = both;
	last->is = lexicon_find(&both);
	return true;
}

/* "tal kto": the space came a letter too early. */
static bool
took_letter(struct token *last, const struct word *w)
{
	struct word more = last->word;

	if (last->is == STOP || w->len < 2 || more.len == WORD_MAX)
		return false;
	more.text[more.len++] = w->text[0];
	if (lexicon_exact(more.text, more.len) == 0 || lexicon_exact(w->text + 1, w->len - 1) == 0)
		return false;
	last->word = more;
	last->is = lexicon_exact(more.text, more.len);
	return true;
}

/* Where a space was forgotten, "speakto", or 0.  Not everywhere that it could be: "recall", "order". */
static size_t
forgotten_space(const struct word *w)
{
	const uint64_t one_of = TALK | REACH | NOUN | CHATBOT | POLITE;

	for (size_t i = 1; i < w->len; i++) {
		uint64_t left = lexicon_exact(w->text, i);
		uint64_t right = left ? lexicon_exact(w->text + i, w->len - i) : 0;

		if (right && ((i >= 4 && (left & one_of)) || (w->len - i >= 4 && (right & one_of))))
			return i;
	}
	return 0;
}

static void
add_word(struct batch *b, const char *at, const struct word *w)
{
	struct token *last = &b->token[b->count - 1];
	uint64_t is = lexicon_find(w);
	size_t n = 0;

	if (!w->pause && completes(last, w, is))
		return;
	if (is == 0 && !w->pause && took_letter(last, w)) {
		n = 1;
	} else if (is == 0 && (n = forgotten_space(w)) > 0) {
		add_token(b, at, w->text, n, lexicon_exact(w->text, n));
	}
	if (n > 0)
		is = lexicon_exact(w->text + n, w->len - n);
	add_token(b, at, w->text + n, w->len - n, is);
}

/* What nothing is known of: numbers say nothing, one or two letters may be meant for any small word. */
static void
finish(struct batch *b)
{
	b->all = 0;
	for (struct token *t = b->token; t < b->token + b->count; t++) {
		if (t->is == 0 && (t->word.text[0] < '0' || t->word.text[0] > '9'))
			t->is = t->word.len <= 2 ? OTHER | FILLER : OTHER;
		b->all |= t->is;
	}
}

/* The next words up to the end of a clause, between two STOPs; false when there are none. */
static bool
read_batch(const char **at, const char *end, struct batch *b)
{
	const struct token *again = NULL;
	struct word w;

	b->count = 0;
	add_stop(b);
	while (b->count < BATCH_MAX - 3) {
		const char *before = *at;

		if (!word_next(at, end, APOSTROPHE_JOINS, &w))
			break;
		if (w.pause && b->count > BATCH_ENOUGH) {
			*at = before;
			break;
		}
		if (w.pause)
			add_stop(b);
		add_word(b, before, &w);
	}
	if (b->count >= BATCH_MAX - 3)
		again = &b->token[b->count - OVERLAP];
	if (again && again->is != STOP)
		*at = again->at;
	add_stop(b);
	finish(b);
	return b->count > 2;
}

/* ---- finding patterns ---- */

/* The end of what the steps match from t on, or NULL. */
static struct token *
match(const struct step *step, const struct step *last, struct token *t, const struct token *end)
{
	unsigned n = 0;

	if (step == last || step->max == 0)
		return t;
	while (n < step->max && t + n < end && (t[n].is & step->any))
		n++;
	for (; n >= step->min; n--) {
		struct token *found = match(step + 1, last, t + n, end);

		if (found || n == 0)
			return found;
	}
	return NULL;
}

/* Most patterns need a meaning that no word has. */
static bool
can_match(const struct pattern *p, uint64_t all)
{
	for (const struct step *step = p->steps; step < p->steps + STEPS_MAX && step->max; step++)
		if (step->min && !(step->any & all))
			return false;
	return true;
}

/* True if the batch has the pattern and it says yes. */
static bool
try_pattern(const struct pattern *p, struct batch *b)
{
	struct token *end = b->token + b->count, *found;

	if (!can_match(p, b->all))
		return false;
	for (struct token *t = b->token; t < end; t++) {
		if (!(t->is & p->steps[0].any))
			continue;
		found = match(p->steps, p->steps + STEPS_MAX, t, end);
		if (found && p->verdict == ASKS)
			return true;
		for (; t + 1 < found; t++)
			t->is &= STOP;
		t->is &= found ? STOP : t->is;
	}
	return false;
}

static bool
part_asks(const char *p, const char *end)
{
	static _Thread_local struct batch b;	/* not on the stack of each task that waits */

	for (size_t i = 0; i < sizeof(phrases) / sizeof(*phrases); i++)
		if (memmem(p, (size_t)(end - p), phrases[i], strlen(phrases[i])))
			return true;
	while (read_batch(&p, end, &b)) {
		for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
			if (try_pattern(&patterns[i], &b))
				return true;
	}
	return false;
}

bool
asks_for_person(const char *message, size_t len)
{
	const char *end = message + len, *tail;

	if (len <= 2 * HALF)
		return part_asks(message, end);
	for (tail = end - HALF; tail < end && ((unsigned char)*tail & 0xc0) == 0x80; tail++)
		;
	return part_asks(message, message + utf8_cut(message, len, HALF)) || part_asks(tail, end);
}
