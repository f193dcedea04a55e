/*
 * peel.h - the visible text of an answer that is still being written.  No I/O.
 *
 * With structured output the model writes {"response":"Hello …","confidence":…}: the text is taken out of
 * the growing JSON, so that the customer can read along.  A model that writes plain text instead is taken
 * at its word, and a ```json fence around the JSON is tolerated.
 */
#ifndef HL_PEEL_H
#define HL_PEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum peel_state {
	PEEL_START,	/* undecided what it will be */
	PEEL_PLAIN,
	PEEL_MEMBER,	/* in the object: before a member's name or the end */
	PEEL_NAME,
	PEEL_COLON,
	PEEL_VALUE,
	PEEL_SKIP,	/* in a value that is not shown */
	PEEL_TEXT,	/* in the value of "response" */
	PEEL_OVER	/* behind the object */
};

struct peel {
	enum peel_state	 state;
	size_t		 at;		/* bytes of the content dealt with */
	size_t		 object;	/* where the object starts */
	size_t		 depth;		/* of nesting in a skipped value */
	bool		 json_expected, in_string, escaped, complete;
	char		 name[12];
	size_t		 name_len;
};

/* json_expected false: the content is the text, whatever it looks like.  Leading white space is dropped. */
void	 peel_init(struct peel *, bool json_expected);

/*
 * content is all there is so far, out gets what became visible since the last call: whole code points, as
 * long as the content grows by whole ones.  Escapes that are cut wait for their rest; lone surrogates and
 * \u0000 become U+FFFD.
 */
void	 peel_more(struct peel *, const struct buf *content, struct buf *out);
void	 peel_end(struct peel *, const struct buf *content, struct buf *out);	/* no more comes */

bool	 peel_is_json(const struct peel *);	/* it has been an object so far */
bool	 peel_complete(const struct peel *);	/* the string "response" has ended */

/*
 * The code point of the \uXXXX, or of the pair of them, at s, of which left bytes are there; *used says how
 * long it is, 0 that more is needed.  What is none gives U+FFFD.
 */
uint32_t peel_escape(const char *s, size_t left, size_t *used);

#endif
