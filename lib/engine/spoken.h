/*
 * spoken.h - what is said of an answer: Markdown as plain words, in pieces that a speech server takes.  No I/O.
 *
 * Marks, addresses, tags and pictures are not said, a link's words are.  A piece ends where a sentence does, as early as
 * that is sure; the first one is short, so that speech can begin while the rest is still being written.  The pieces of a
 * text are the same however it was cut when it was fed, so what has been made of one is found again.
 */
#ifndef HL_SPOKEN_H
#define HL_SPOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define SPOKEN_PIECE_MAX	4000	/* characters: speech servers take 4096 */
#define SPOKEN_TEXT_MAX		(1u << 20)	/* bytes of Markdown that are looked at */

struct spoken {
	struct buf	 raw;		/* fed, and not in a piece yet */
	struct buf	 piece;		/* sentences that are to become one */
	size_t		 letters;	/* characters in it */
	unsigned	 given;		/* pieces */
	bool		 inside_line, fenced, ended;
};

void	 spoken_init(struct spoken *);
void	 spoken_free(struct spoken *);		/* is as after spoken_init() */
void	 spoken_feed(struct spoken *, const char *, size_t);	/* UTF-8; may be cut within a character */
void	 spoken_end(struct spoken *);		/* that was all */

/* The next piece replaces what is in out.  False: none is whole yet; after the end: there are no more. */
bool	 spoken_next(struct spoken *, struct buf *out);

#endif
