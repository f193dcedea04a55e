/*
 * search.h - a full-text index of passages (SQLite FTS5, bm25).  All but search_recall() and search_small_talk() block: call
 * them through task_work().
 *
 * One struct search may be used from several threads; its calls queue.  Several processes may share one index file: a
 * query sees the folder as it was before or after a refresh, never in between.
 */
#ifndef HL_SEARCH_H
#define HL_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "services/search_passage.h"
#include "services/search_words.h"

struct search;

struct search_hit {
	struct passage	*passage;	/* a reference */
	double		 score;		/* 0…1: how much of what the question asks about the passage covers */
};

/*
 * folder: Markdown (*.md, *.markdown) and text (*.txt) files, read recursively; hidden files, links that lead out of
 * the folder and files above 2 MiB are left out.  index_file: NULL or "" keeps the index in memory; several processes
 * may share one file, and one that is damaged or of another version is put aside (".broken") and built anew.  Fills
 * the index.  On failure *problem holds a sentence for the administrator.
 */
enum hl_err search_open(const char *folder, const char *index_file, struct search **ret,
    struct buf *problem) HL_MUST_CHECK;
void	 search_close(struct search *);

/*
 * Brings the index up to date with the folder (new, changed, deleted files).  Cheap when nothing changed.  When it
 * fails (the folder is gone: HL_NOT_FOUND) the index stays as it was.
 */
enum hl_err search_refresh(struct search *) HL_MUST_CHECK;

/*
 * The best passages for a question, best first; the caller frees them.  At most max, *count says how many.  Any bytes
 * are a valid question; what is not UTF-8 finds nothing.
 */
enum hl_err search_query(struct search *, const char *question, size_t len, size_t max, struct search_hit *ret_hits,
    size_t *count) HL_MUST_CHECK;
void	 search_hits_free(struct search_hit *, size_t count);

/*
 * The same from memory, in the loop's own thread: what was found of the question's words since the index was last looked
 * at, by search_refresh() or search_query().  False: ask search_query(), which then remembers.
 */
bool	 search_recall(struct search *, const char *question, size_t len, size_t max, struct search_hit *ret_hits,
	    size_t *count);

size_t	 search_passages(const struct search *);	/* in the index after the last refresh */

struct search_counts {
	size_t	files;		/* in the index */
	size_t	repaired;	/* of those: had bytes that are not UTF-8, read as Windows-1252 */
	size_t	skipped;	/* left out: too large, not text, unreadable, or beyond the folder's limits */
};
void	 search_counts(struct search *, struct search_counts *ret);

/* See search_words.h; quick, does not block. */
enum small_talk search_small_talk(const struct search *, const char *, size_t len);

#endif
