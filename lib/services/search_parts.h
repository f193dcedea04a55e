/*
 * search_parts.h - what the files that make up a search share: search.c, which opens, refreshes and asks the index,
 * search_question.c, which finds what stands for a question's words in it, search_rank.c, which judges the passages that
 * have some of them.  Not for others; all of it under the search's lock.
 */
#ifndef HL_SEARCH_PARTS_H
#define HL_SEARCH_PARTS_H

#include <sys/types.h>

#include <stdatomic.h>

#include <uv.h>

#include "services/search.h"
#include "services/search_index.h"
#include "services/search_vocab.h"
#include "services/search_words.h"

#define PHRASES_MAX	32u	/* in one question, synonyms included; a bit of a mask for each */
#define CANDIDATES	16u	/* best passages that are kept while the matching ones are gone through */
#define SYNONYMS_MAX	256u

struct synonym {
	const char	*text;		/* points into words_synonyms */
	uint32_t	 len;
	uint32_t	 group;
	char		 stem[24];	/* empty for a phrase */
};

/* What stands for a word of the question in the FTS5 expression. */
struct phrase {
	char		text[WORD_BYTES];
	size_t		term;
	double		credit;
	int64_t		passages;	/* that have it, -1 until counted */
};

#define NO_TERM	WORDS_MAX	/* two neighbouring words: counts for the order only */

struct question {
	struct phrase	phrases[PHRASES_MAX];
	size_t		phrase_count;
	double		weight[WORDS_MAX];	/* of each term */
	bool		weak[WORDS_MAX];
	size_t		pairs;			/* phrases with the term NO_TERM */
	size_t		term_count;
	double		best[WORDS_MAX];	/* for coverage() */
	int		corrections;		/* left */
	bool		counted;
	struct covered {
		uint32_t phrases, titles;	/* a bit for each phrase that the row, and its title, has */
		double	 bm25;
	} row;					/* what the SQL function covered() found */
};

struct candidate {
	sqlite3_int64	rowid;
	double		score, order;
};

struct search {
	char		*folder, *file;		/* file is NULL for an index in memory */
	uv_mutex_t	 lock;			/* over everything below */
	sqlite3		*db;
	dev_t		 dev;			/* of the file that db has open */
	ino_t		 ino;
	sqlite3_stmt	*begin, *end, *state, *match, *fetch, *count;
	fts5_tokenizer	 tokenizer;
	Fts5Tokenizer	*stemmer;
	struct lexicon	*lexicon;
	struct synonym	 synonyms[SYNONYMS_MAX];
	size_t		 synonym_count;
	struct vocab	 vocab;
	sqlite3_int64	 generation;		/* that vocab was read at */
	struct question	*asked;			/* by the query that runs */
	atomic_size_t	 passages;
};

/* ---- search_question.c ---- */

void	 synonyms_load(struct search *);	/* once the tokenizer is there */
/* Fills q; without phrases when there is nothing to look for.  Weights come with question_weigh(). */
void	 question_read(struct search *, const char *text, size_t len, struct question *);
/* Weighs the words, when every phrase's passages are counted. */
void	 question_weigh(const struct search *, struct question *);
/* As an FTS5 expression. */
enum hl_err question_expression(const struct question *, struct buf *out) HL_MUST_CHECK;

/* ---- search_rank.c ---- */

enum hl_err rank_register(struct search *, fts5_api *) HL_MUST_CHECK;	/* the SQL function covered() */
/* The best CANDIDATES of the passages that match, best first; s->asked is the question. */
enum hl_err rank_passages(struct search *, const char *expression, struct candidate *ret, size_t *ret_count) HL_MUST_CHECK;

#endif
