/*
 * knowledge.h - what the company has written down, for the model's prompt and for the offline responder.
 */
#ifndef HL_KNOWLEDGE_H
#define HL_KNOWLEDGE_H

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "services/search.h"

#define KNOWLEDGE_MAX_HITS	4

struct knowledge;

/*
 * KNOWLEDGE_PATH "" is the installed sample.  Reads the whole folder before it returns, so that the first question finds
 * something.  On failure *problem holds a sentence.
 */
enum hl_err knowledge_open(const struct conf *, struct knowledge **ret, struct buf *problem) HL_MUST_CHECK;
void	 knowledge_free(struct knowledge *);

/* What was found, shared by all who asked the same within a moment. */
struct passages {
	struct found		*found;
	const struct search_hit	*hits;
	size_t			 count;
	enum small_talk		 talk;	/* the question only greets or thanks: nothing was looked for */
};

/* Takes the texts of the hits, also on failure. */
enum hl_err passages_of(const struct search_hit *take_hits, size_t count, struct passages *ret) HL_MUST_CHECK;

/*
 * The passages that help with a question, best first, none that has nothing to do with it.  Suspends (thread pool).
 * Looks for changed files first, at most once a second; when that fails (the folder is gone for a moment), the passages
 * known so far go on answering.  Until the next look the same question gets the same passages without a search.  *ret is
 * always set, and empty on failure.
 */
enum hl_err knowledge_find(struct knowledge *, const char *question, size_t len, struct passages *ret) HL_MUST_CHECK;
void	 passages_free(struct passages *);

/* What a prompt says of them; lives as long as they.  "" if there are none. */
enum hl_err passages_prompt(const struct passages *, const char **ret_text, size_t *ret_len) HL_MUST_CHECK;

/* [{"title":…,"source":…,"excerpt":…,"score":…},…]: the member "sources" of an answer; excerpt is at most 300 bytes of plain text. */
void	 passages_json(struct buf *, const struct passages *);

/*
 * The offline responder: quotes the best passage and names its source, or says that it does not know (the caller then
 * says what happens next); a greeting or thanks is returned.  Never imitates a model.  *ret_confidence is the passage's
 * score (at least OFFLINE_THRESHOLD) when it quotes, OFFLINE_TALK for small talk, or 0 when it does not know.
 */
#define OFFLINE_THRESHOLD	0.5
#define OFFLINE_TALK		0.6
void	 offline_answer(const struct passages *, struct buf *text, double *ret_confidence);

#endif
