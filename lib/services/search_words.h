/*
 * search_words.h - which words of a question carry its meaning, and which words mean the same.  No I/O.
 */
#ifndef HL_SEARCH_WORDS_H
#define HL_SEARCH_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define WORD_BYTES	64u	/* a longer run of letters is no word */
#define WORDS_MAX	48u	/* looked at in one question; what follows is ignored */
#define WORDS_QUESTION	4096u	/* bytes of a question that are read */

struct lexicon;		/* the lists of words, ready for looking up */

enum hl_err lexicon_new(struct lexicon **ret) HL_MUST_CHECK;
void	 lexicon_free(struct lexicon *);

struct word {
	char	text[WORD_BYTES];	/* case folded; "配 送" for two characters of a script without spaces */
	bool	weak;			/* common in every question ("time", "day"): says little by itself */
	bool	follows;		/* directly follows the word before it in the list ("gift", "card") */
};

/*
 * The distinct words of a question that are no stop words of its language, at most max.  Scripts that put no spaces
 * between words give pairs of neighbouring characters instead.  text may hold any bytes.
 */
size_t	 words_of(const struct lexicon *, const char *text, size_t len, struct word *ret_words, size_t max);

/* Appends the characters of scripts without spaces, each as a word of its own; nothing if there are none. */
void	 words_spaced(struct buf *out, const char *text, size_t len);

/* Whether a message is nothing but a greeting ("hello there", "guten Tag") or thanks ("thank you very much!"). */
enum small_talk { TALK_NONE, TALK_GREETING, TALK_THANKS };
enum small_talk words_small_talk(const struct lexicon *, const char *text, size_t len);

/* Whether a word that nobody knows is a stop word with one typing mistake ("waht"). */
bool	 words_stop_misspelt(const char *word);

/* Whether one typing mistake (a letter more, less, other, or two swapped) turns one into the other. */
bool	 words_near(const char *, size_t, const char *, size_t);

/* Neither is empty.  False: words of three characters or more are not near, for one mistake leaves the first byte or the last one. */
static inline bool
words_share_an_end(const char *a, size_t na, const char *b, size_t nb)
{
	return a[0] == b[0] || a[na - 1] == b[nb - 1];
}

/* Groups of words with one meaning, each "word word_word word": an underscore joins the words of a phrase. */
extern const char *const words_synonyms[];
extern const size_t words_synonym_groups;

#endif
