#include <stdint.h>
#include <string.h>

#include "base/person.h"
#include "base/str.h"
#include "engine/title.h"
#include "engine/words.h"

#define WORDS_LEAST	3u
#define WORDS_MOST	6u
#define LETTERS_MOST	24u	/* of a word */
#define HAN_MOST	12u	/* of a word in a script without spaces */
#define PIECE_BYTES	(4 * LETTERS_MOST)
#define READ_MAX	4096	/* bytes looked at */

static const char about[] = "Conversation about";
static const char nothing[] = "Conversation with a customer";

/* Single words that open a message and say nothing of what it is about. */
static const char greetings[] =
	"hi hello hey hiya dear please good morning afternoon evening there team sir madam everyone "
	"hallo guten tag morgen abend moin servus bitte liebes bonjour bonsoir salut hola buenos buenas dias tardes "
	"ciao buongiorno ola oi hoi goedemorgen "
	"\u4f60\u597d \u60a8\u597d \u3053\u3093\u306b\u3061\u306f "
	"\u0437\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439\u0442\u0435 \u043f\u0440\u0438\u0432\u0435\u0442 "
	"\u0645\u0631\u062d\u0628\u0627";

/* Words that a title does not end with. */
static const char loose_ends[] =
	"a an the my your our their his her its this that these those of to in on at for from with by and or but if so "
	"is are was were be been am i you we they it he she do does did have has had will would can could may me "
	"not as than when because der die das den dem ein eine mein meine und oder von zu mit le la les un une de du des "
	"et ou mon ma mes el los las y o en con mi";

/* A word of the title to be. */
struct piece {
	char	 text[PIECE_BYTES + 1];
	size_t	 len;
	unsigned letters;
	bool	 full;		/* the rest of the word is left out */
	bool	 ends;		/* a sentence ends behind it */
};

static bool
is_han(uint32_t c)
{
	return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
	    (c >= 0x20000 && c <= 0x3ffff);
}

static bool
is_apostrophe(uint32_t c)
{
	return c == '\'' || c == 0x2bc || c == 0x2019;
}

/* What may stand between two letters. */
static bool
joins(uint32_t c)
{
	return (c > 0 && c < 0x80 && strchr("-./&+@", (int)c) != NULL) || is_apostrophe(c) || c == 0x200c || c == 0x200d ||
	    c == 0x2010 || c == 0x2011;
}

static bool
ends_sentence(uint32_t c)
{
	return c == '.' || c == '!' || c == '?' || c == '\n' || c == ';' || c == 0x2026 || c == 0x3002 || c == 0xff01 ||
	    c == 0xff1f || c == 0x61f || c == 0x964;
}

static void
piece_add(struct piece *w, uint32_t c)
{
	struct buf b = BUF_INIT(8);

	w->letters++;
	w->full = w->full || w->letters > (is_han(c) ? HAN_MOST : LETTERS_MOST);
	utf8_put(&b, c);
	if (buf_err(&b) == HL_OK && !w->full && w->len + b.len <= PIECE_BYTES) {
		memcpy(w->text + w->len, b.data, b.len);
		w->len += b.len;
	}
	w->text[w->len] = '\0';
	buf_free(&b);
}

/* The next word of [*at, end); false when there is none. */
static bool
piece_next(const char **at, const char *end, struct piece *w)
{
	uint32_t c, joint = 0;

	*w = (struct piece){ 0 };
	while (*at < end) {
		c = utf8_next(at, end);
		if (c != 0x2bc && uni_is_letter_or_digit(c) && c != 0xfffd && person_char_ok(c)) {
			if (joint)
				piece_add(w, is_apostrophe(joint) ? 0x2bc : joint);
			joint = 0;
			piece_add(w, c);
		} else if (w->len && joint == 0 && joins(c))
			joint = c;
		else if (str_blank(w->text, w->len)) {
			*w = (struct piece){ 0 };
			joint = 0;
		} else {
			w->ends = ends_sentence(joint) || ends_sentence(c);
			return true;
		}
	}
	w->ends = true;
	return !str_blank(w->text, w->len);
}

/* Is it one of the list, which has no other spelling of it? */
static bool
piece_in(const struct piece *p, const char *list)
{
	const char *at = p->text;
	struct word w;

	return word_next(&at, p->text + p->len, APOSTROPHE_JOINS, &w) && at == p->text + p->len && word_in(&w, list);
}

/* ---- putting it together ---- */

struct draft { struct piece pieces[WORDS_MOST]; size_t count; };

static void
append(char out[TITLE_MAX + 1], const char *text)
{
	size_t n = strlen(out), len = strlen(text);

	if (n + 1 + len > TITLE_MAX)
		return;
	if (n)
		out[n++] = ' ';
	memcpy(out + n, text, len + 1);
}

static void
capitalise(char out[TITLE_MAX + 1])
{
	const char *rest = out;
	uint32_t first = utf8_next(&rest, out + strlen(out)), upper = uni_upper(first);
	struct buf b = BUF_INIT(8);

	utf8_put(&b, upper);
	if (buf_err(&b) == HL_OK && b.len == (size_t)(rest - out))
		memcpy(out, b.data, b.len);
	buf_free(&b);
}

static void
write_draft(const struct draft *d, char out[TITLE_MAX + 1])
{
	out[0] = '\0';
	if (d->count < WORDS_LEAST)
		append(out, about);
	for (size_t i = 0; i < d->count; i++)
		append(out, d->pieces[i].text);
	capitalise(out);
}

bool
title_clean(const char *printed, size_t len, char out[TITLE_MAX + 1])
{
	const char *at = printed, *end = printed + utf8_cut(printed, len, READ_MAX);
	struct draft d = { 0 };

	out[0] = '\0';
	while (d.count < WORDS_MOST && piece_next(&at, end, &d.pieces[d.count]))
		d.count++;
	if (d.count)
		write_draft(&d, out);
	return d.count != 0;
}

bool
title_is_vague(const char *title)
{
	return strncmp(title, about, sizeof(about) - 1) == 0 || strcmp(title, nothing) == 0;
}

/* Where the message begins behind its greeting, if something is left of it then. */
static const char *
behind_greeting(const char *message, const char *end)
{
	const char *at = message, *from = message;
	struct piece w;

	while (piece_next(&at, end, &w) && piece_in(&w, greetings))
		from = at;
	return w.len ? from : message;
}

void
title_of(const char *message, size_t len, char out[TITLE_MAX + 1])
{
	const char *end = message + utf8_cut(message, len, READ_MAX), *at = behind_greeting(message, end);
	struct draft d = { 0 };
	bool whole = false;

	while (d.count < WORDS_MOST && !whole && piece_next(&at, end, &d.pieces[d.count]))
		whole = d.pieces[d.count++].ends && d.count >= WORDS_LEAST;
	while (!whole && d.count > WORDS_LEAST && piece_in(&d.pieces[d.count - 1], loose_ends))
		d.count--;
	if (d.count)
		write_draft(&d, out);
	else
		strcpy(out, nothing);
}
