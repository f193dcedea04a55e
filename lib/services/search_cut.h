/*
 * search_cut.h - text into passages, at headings and paragraphs.  No I/O.
 */
#ifndef HL_SEARCH_CUT_H
#define HL_SEARCH_CUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define PASSAGE_GOOD	700u	/* bytes: a passage is closed before the paragraph that would make it longer */
#define PASSAGE_SMALL	200u	/* a rest shorter than this stays with what precedes it */
#define PASSAGE_MAX	1200u	/* only longer paragraphs, lists items and code blocks are cut inside */

/* title is UTF-8 with a NUL, text is not terminated; both are borrowed for the call.  An error stops, and is passed on. */
typedef enum hl_err (*cut_passage)(void *arg, const char *title, const char *text, size_t len);

/*
 * Cuts a normalised text (see cut_normalise).  name is the title where the text gives none.  Headings go into the
 * titles ("Document › Section › Subsection"), not into the passages.  Without markdown only blank lines count.
 */
enum hl_err cut_text(const char *name, bool markdown, const char *text, size_t len, cut_passage, void *arg) HL_MUST_CHECK;

/*
 * Bytes of a file as UTF-8 with \n line ends and without byte order mark and control characters.  Bytes that are not
 * UTF-8 are read as Windows-1252, and *repaired tells.  Returns HL_MEDIA_TYPE for what is no text (NUL bytes, UTF-16).
 */
enum hl_err cut_normalise(struct buf *out, const char *bytes, size_t len, bool *repaired) HL_MUST_CHECK;

/* The largest n <= max where the text can end: after a sentence, else after a line, a word, a character. */
size_t	 cut_sentence(const char *text, size_t len, size_t max);

/* Appends Markdown as plain text in one line: no markers, links as their text, white space as single spaces. */
void	 cut_plain(struct buf *out, const char *text, size_t len);

#endif
