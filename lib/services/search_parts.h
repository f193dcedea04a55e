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
#include "services/search_memory.h"
#include "services/search_vocab.h"
#include "services/search_words.h"

#define PHRASES_MAX	32u	/* in one question, synonyms included; a bit of a mask for each */
#define RECALL_ROWS	4096u	/* of all postings together: to go through more is work for the pool */
#define RECALL_WORDS	8192u	/* of the index, to compare a mistyped one with */
#define CANDIDATES	16u	/* best passages that are kept while the matching ones are gone through */
#define SYNONYMS_MAX	256u

struct synonym {
	const char	*text;		/* points into words_synonyms */
	uint32_t	 len;
	uint32_t	 group;
	char		 stem[24];	/* empty for a phrase */
};

#define NO_TERM	WORDS_MAX	/* two neighbouring words: counts for the order only */

/* What stands for a word of the question, or two phrases side by side. */
struct phrase {
	const struct posting *posting;	/* NULL for a pair */
	size_t		term;
	size_t		first, second;	/* of a pair: which phrases */
	double		credit;
	int64_t		passages;	/* that have it */
};

struct question {
	struct phrase	phrases[PHRASES_MAX];
	size_t		phrase_count;
	double		weight[WORDS_MAX];	/* of each term */
	double		all;			/* what the terms together weigh */
	bool		weak[WORDS_MAX];
	size_t		pairs;			/* phrases with the term NO_TERM */
	size_t		term_count;
	double		best[WORDS_MAX];	/* for coverage() */
	int		corrections;		/* left */
	enum hl_err	err;			/* of a look into the index for a word */
	bool		recall;			/* only from memory, and quickly: what is not known is HL_BUSY */
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
	struct posting	*filling;		/* by the statement match */
	fts5_tokenizer	 tokenizer;
	Fts5Tokenizer	*stemmer;
	struct lexicon	*lexicon;
	struct synonym	 synonyms[SYNONYMS_MAX];
	size_t		 synonym_count;
	struct vocab	 vocab;
	struct search_memory memory;
	sqlite3_int64	 generation;		/* that vocab and memory are of, -1: none */
	struct question	*asked;			/* by the query that runs */
	atomic_size_t	 passages;
};

/* ---- search_question.c ---- */

void	 synonyms_load(struct search *);	/* once the tokenizer is there */
/* Fills q; without phrases when there is nothing to look for. */
enum hl_err question_read(struct search *, const char *text, size_t len, struct question *) HL_MUST_CHECK;

/* ---- search_rank.c ---- */

enum hl_err rank_register(struct search *, fts5_api *) HL_MUST_CHECK;	/* the SQL function posted() */
/* Asks the index where a phrase is, and remembers what there is; that there is nothing only if it is told so.  NULL on failure. */
const struct posting *rank_posting(struct search *, const char *phrase, bool keep_nothing, enum hl_err *ret_err);
/* The best CANDIDATES of the passages that have a phrase of the question, best first. */
void	 rank_passages(struct question *, struct candidate *ret, size_t *ret_count);

#endif
