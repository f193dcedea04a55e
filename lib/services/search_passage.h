/*
 * search_passage.h - a passage as it is shown.  It never changes, and is shared by all who found it, in any thread.
 */
#ifndef HL_SEARCH_PASSAGE_H
#define HL_SEARCH_PASSAGE_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/error.h"

#define EXCERPT_MAX	300u	/* bytes */

struct passage {
	const char	*source;	/* the file's path below the folder, "shipping/returns.md" */
	const char	*title;		/* "Document title › Heading", or the file's name */
	const char	*text;		/* the passage itself, as written (Markdown) */
	size_t		 text_len;
	/* "title":…,"source":…,"excerpt":… as members of JSON; the excerpt is at most EXCERPT_MAX bytes of plain text. */
	const char	*cited;
	size_t		 cited_len;

	atomic_uint	 refs;		/* not for users, like what follows */
	size_t		 bytes;
	char		 texts[];
};

/* With one reference. */
enum hl_err passage_new(const char *source, const char *title, const char *text, struct passage **ret) HL_MUST_CHECK;
struct passage *passage_ref(struct passage *);		/* returns it */
void	 passage_release(struct passage *);		/* NULL is allowed */

#endif
