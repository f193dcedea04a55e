/*
 * search.h - a full-text index of passages (SQLite FTS5, bm25).  Everything here blocks: call it through task_work().
 */
#ifndef HL_SEARCH_H
#define HL_SEARCH_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

struct search;

struct search_hit {
	char	*source;	/* the file's path below the folder, "shipping/returns.md" */
	char	*title;		/* "Document title › Heading", or the file's name */
	char	*text;		/* the passage itself, as written (Markdown) */
	double	 score;		/* 0…1: how much of what the question asks about the passage covers */
};

/*
 * folder: Markdown (*.md) and text (*.txt) files, read recursively.  index_file: NULL or "" keeps the index in memory;
 * several processes may share one file.
 */
enum hl_err search_open(const char *folder, const char *index_file, struct search **ret, struct buf *problem) HL_MUST_CHECK;
void	 search_close(struct search *);

/* Brings the index up to date with the folder (new, changed, deleted files).  Cheap when nothing changed. */
enum hl_err search_refresh(struct search *) HL_MUST_CHECK;

/* The best passages for a question, best first; the caller frees them.  At most max, *count says how many. */
enum hl_err search_query(struct search *, const char *question, size_t len, size_t max, struct search_hit *ret_hits, size_t *count) HL_MUST_CHECK;
void	 search_hits_free(struct search_hit *, size_t count);

size_t	 search_passages(const struct search *);	/* in the index after the last refresh */

#endif
