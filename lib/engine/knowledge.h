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

struct passages {
	struct search_hit	hits[KNOWLEDGE_MAX_HITS];
	size_t			count;
	enum small_talk		talk;	/* the question only greets or thanks: nothing was looked for */
};

/*
 * The passages that help with a question, best first, none that has nothing to do with it.  Suspends (thread pool) when the
 * index has to be asked.  Looks for changed files first, at most once a second; when that fails (the folder is gone for a
 * moment), the passages known so far go on answering.  *ret is always set, and empty on failure.
 */
enum hl_err knowledge_find(struct knowledge *, const char *question, size_t len, struct passages *ret) HL_MUST_CHECK;
void	 passages_free(struct passages *);

/* What a prompt says of them; nothing if there are none. */
void	 passages_prompt(struct buf *, const struct passages *);

/* [{"title":…,"source":…,"excerpt":…,"score":…},…]: the member "sources" of an answer. */
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
