/*
 * search_memory.h - what the index has told already: where a phrase is, what stands for a word, and passages that were
 * shown.  All of it is of one generation of the index; what is full is forgotten as a whole.  No I/O.
 *
 * A customer's word for which nothing in the index stands is not kept.
 */
#ifndef HL_SEARCH_MEMORY_H
#define HL_SEARCH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "services/search.h"
#include "services/search_words.h"

#define MEMORY_MAX	(2u << 20)	/* bytes: more is forgotten when the question is answered */
#define MEMORY_SLOTS	512u		/* a power of two */

/* Where in a passage: the column, then the number of the word in it. */
#define SPOT(column, offset)	((uint32_t)(column) << 30 | (uint32_t)(offset))
#define SPOT_COLUMN(spot)	((spot) >> 30)

/* The passages that have a phrase, in order of rowid, and where in each, in order of SPOT. */
struct posting {
	struct posting	*next;
	struct posted {
		int64_t	 rowid;
		uint32_t first, count;	/* in spots */
	} *rows;
	uint32_t	*spots;
	size_t		 count, cap, spot_count, spot_cap;
	char		 phrase[];
};

/* A phrase that stands for a word of a question. */
struct reading {
	char		 text[WORD_BYTES];
	double		 credit;
	int64_t		 passages;	/* that have it; -1: as many as the posting says */
	const struct posting *posting;	/* NULL until it was asked for */
};

struct known {
	struct known	*next;
	struct reading	*readings;
	size_t		 count;		/* at least 1 */
	int64_t		 passages;	/* that have the word itself */
	bool		 guessed;	/* the readings are what was probably meant */
	char		 word[];
};

struct search_memory {
	struct posting	*postings[MEMORY_SLOTS];
	struct known	*words[MEMORY_SLOTS];
	struct memory_passage {
		struct memory_passage	*next;
		int64_t			 rowid;
		struct passage		*passage;
	} *passages[MEMORY_SLOTS];
	size_t		 bytes;
};

void	 memory_forget(struct search_memory *);

/* NULL if it is not known. */
struct posting *memory_posting(const struct search_memory *, const char *phrase);
struct known *memory_word(const struct search_memory *, const char *word);
struct passage *memory_passage(const struct search_memory *, int64_t rowid);

/* Not known to the memory until it is filled and kept. */
enum hl_err posting_new(const char *phrase, struct posting **ret) HL_MUST_CHECK;
/* Rows and spots come in order. */
enum hl_err posting_add(struct posting *, int64_t rowid, uint32_t spot) HL_MUST_CHECK;
void	 posting_free(struct posting *);
void	 memory_keep_posting(struct search_memory *, struct posting *take);

/* Copies the readings, at least one. */
enum hl_err memory_keep_word(struct search_memory *, const char *word, const struct reading *, size_t count,
    int64_t passages, bool guessed, struct known **ret) HL_MUST_CHECK;

/* Takes a reference of its own. */
enum hl_err memory_keep_passage(struct search_memory *, int64_t rowid, struct passage *) HL_MUST_CHECK;

#endif
