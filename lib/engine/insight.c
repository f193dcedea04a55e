#include <string.h>

#include "base/str.h"
#include "engine/insight.h"
#include "engine/words.h"

#define READ_MAX	4096	/* bytes looked at: moods and doubts are said early, and a task has a small stack */

/* The words of a text with one space before and after each, so that strstr() finds phrases of whole words. */
static void
plain_text(const char *text, size_t len, char out[READ_MAX + 2])
{
	const char *at = text, *end = text + utf8_cut(text, len, READ_MAX);
	struct word w;
	size_t n = 0;

	out[n++] = ' ';
	while (word_next(&at, end, APOSTROPHE_JOINS, &w) && n + w.len < READ_MAX) {
		memcpy(out + n, w.text, w.len);
		n += w.len;
		out[n++] = ' ';
	}
	out[n] = '\0';
}

static bool
has_phrase(const char *text, const char *const *phrases)
{
	for (; *phrases; phrases++)
		if (strstr(text, *phrases))
			return true;
	return false;
}

/* ---- sentiment ---- */

static const char urgent_words[] =
	"urgent urgently emergency asap immediately dringend notfall sofort urgence urgente urgencia "
	"emergencia emergenza";

static const char *const urgent_phrases[] = {
	" right now ", " right away ", " as soon as possible ", " at once ", " life threatening ", NULL
};

static const char positive_words[] =
	"great good excellent awesome amazing perfect perfectly wonderful fantastic brilliant love loved "
	"loves lovely happy glad pleased satisfied delighted nice best helpful appreciate appreciated superb "
	"enjoyed "
	"impressed super toll parfait genial excelente perfecto ottimo";

/* Positive even in "no thanks". */
static const char thanks[] = "thanks thank thx danke merci gracias grazie obrigado obrigada bedankt";

/* Bad in themselves; "not bad" is good. */
static const char negative_words[] =
	"bad terrible awful horrible worst worse useless angry furious upset annoyed annoying frustrated "
	"frustrating "
	"disappointed disappointing hate hated poor unacceptable ridiculous disgusting disgusted unhappy "
	"dissatisfied "
	"rude stupid dumb pathetic garbage rubbish crap shit sucks fucking goddamn damn schlecht furchtbar "
	"nul mauvais "
	"malo pessimo slecht";

/* What went wrong; "no problem" says nothing. */
static const char trouble_words[] =
	"broken slow late scam fraud stolen cheated lied damaged defective faulty joke shame waste wasted "
	"complain complaint "
	"complaints disaster nightmare failed fails wrong error errors problem problems issue issues trouble "
	"troubles missing "
	"lost unfair unhelpful kaputt";

/* What is only worth a word when it does not happen: "is not working", "never arrived". */
static const char expected_words[] =
	"work works working worked arrive arrived arrives come received receive got help helped helping "
	"respond responded "
	"answer answered reply replied refunded delivered solve solved resolved fixed understand fair "
	"acceptable";

static const char negations[] =
	"not no never dont doesnt didnt isnt arent wasnt werent cant cannot couldnt wont wouldnt hasnt "
	"havent hadnt "
	"nothing neither nor hardly barely nobody nicht kein keine pas jamais nunca niet geen";

/* What may stand between a negation and what it negates: "not at all very good". */
static const char between[] =
	"a an the very really so that too at all any been be is it yet even my to particularly";

#define NEGATION_REACH	4		/* words */

struct mood {
	bool	urgent;
	bool	positive;
	bool	negative;
	int	negated;		/* how many more words the last negation reaches */
};

static void
take_word(struct mood *m, const struct word *w)
{
	bool negated = m->negated > 0;

	if (word_in(w, negations)) {
		m->negated = NEGATION_REACH;
		return;
	}
	m->negated = negated && word_in(w, between) ? m->negated - 1 : 0;
	if (word_in(w, urgent_words))
		m->urgent |= !negated;
	else if (word_in(w, thanks))
		m->positive = true;
	else if (word_in(w, positive_words))
		*(negated ? &m->negative : &m->positive) = true;
	else if (word_in(w, negative_words))
		*(negated ? &m->positive : &m->negative) = true;
	else if (word_in(w, trouble_words))
		m->negative |= !negated;
	else if (word_in(w, expected_words))
		m->negative |= negated;
}

/* "good morning", "best regards": no mood. */
static bool
is_greeting(const struct word *w, const char *at, const char *end)
{
	struct word next;

	return word_in(w, "good best") && word_next(&at, end, APOSTROPHE_JOINS, &next) &&
	    word_in(&next, "morning afternoon evening day night regards wishes");
}

enum sentiment
sentiment_of(const char *message, size_t len)
{
	const char *at = message, *end = message + utf8_cut(message, len, READ_MAX);
	char text[READ_MAX + 2];
	struct mood m = { 0 };
	struct word w;

	while (word_next(&at, end, APOSTROPHE_JOINS, &w)) {
		if (w.pause)
			m.negated = 0;
		if (!is_greeting(&w, at, end))
			take_word(&m, &w);
	}
	plain_text(message, len, text);
	if (m.urgent || has_phrase(text, urgent_phrases))
		return SENTIMENT_URGENT;
	return m.negative ? SENTIMENT_NEGATIVE : m.positive ? SENTIMENT_POSITIVE : SENTIMENT_NEUTRAL;
}

/* The position of the word in the names, or -1. */
static int
name_index(const struct word *w, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(w->text, names[i]) == 0)
			return i;
	return -1;
}

bool
sentiment_parse(const char *text, enum sentiment *ret)
{
	const char *at = text, *end = text + strlen(text);
	struct word w;

	while (word_next(&at, end, APOSTROPHE_SPLITS, &w))
		if (sentiment_named(w.text, ret))
			return true;
	return false;
}

/* ---- intents ---- */

static const char *const intents[] = { "question", "support", "purchase", "cancellation", "general" };

static const char *const intent_words[] = {
	"how what where when why who",
	"help assist support",
	"buy purchase order book",
	"cancel refund return",
};

unsigned
intents_of(const char *message, size_t len)
{
	const char *at = message, *end = message + len;
	unsigned set = 0;
	struct word w;

	while (word_next(&at, end, APOSTROPHE_SPLITS, &w))
		for (unsigned i = 0; i < 4; i++)
			if (word_in(&w, intent_words[i]))
				set |= 1u << i;
	return set;
}

size_t
intent_names(unsigned set, const char *names[4])
{
	size_t n = 0;

	for (unsigned i = 0; i < 4; i++)
		if (set & 1u << i)
			names[n++] = intents[i];
	if (n == 0)
		names[n++] = intents[4];
	return n;
}

bool
intent_parse(const char *text, unsigned *set)
{
	const char *at = text, *end = text + strlen(text);
	bool known = false;
	struct word w;

	while (word_next(&at, end, APOSTROPHE_SPLITS, &w)) {
		int i = name_index(&w, intents, 5);

		known |= i >= 0;
		if (i >= 0 && i < 4)
			*set |= 1u << i;
	}
	return known;
}

/* ---- confidence ---- */

static const char *const doubts[] = {
	" i dont know ", " i do not know ", " im not sure ", " i am not sure ", " not entirely sure ",
	" im not certain ",
	" i am not certain ", " im unsure ", " i am unsure ", " i have no information ",
	" no information about ",
	" i dont have information ", " i do not have information ", " i dont have any ",
	" i do not have any ",
	" i dont have enough ", " i do not have enough ", " i dont have access ", " i do not have access ",
	" i dont have that ", " i do not have that ", " i dont have specific ", " i do not have specific ",
	" i dont have details ", " i do not have details ", " dont have the information ",
	" do not have the information ",
	" im unable ", " i am unable ", " im not able ", " i am not able ", " i was unable ",
	" im afraid i cant ",
	" i cannot help ", " i cant help ", " i cannot assist ", " i cant assist ", " i cannot answer ",
	" i cant answer ",
	" i couldnt find ", " i could not find ", " i cannot find ", " i cant find ", " i dont understand ",
	" i do not understand ", " im sorry but i cant ", " im sorry but i cannot ",
	" ich weiss nicht ", " ich weis nicht ", " ich bin nicht sicher ", " ich bin mir nicht sicher ",
	" ich kann ihnen nicht ", " je ne sais pas ", " je ne suis pas sur ", " no lo se ",
	" no estoy seguro ",
	" non lo so ", " non sono sicuro ", " nao sei ", " nao tenho certeza ", " ik weet het niet ",
	" ik weet niet ", NULL
};

#define CONFIDENT	0.8
#define DOUBTFUL	0.3

double
confidence_of(const char *answer, size_t len)
{
	char text[READ_MAX + 2];

	if (str_blank(answer, len))
		return 0;
	plain_text(answer, len, text);
	return has_phrase(text, doubts) ? DOUBTFUL : CONFIDENT;
}
