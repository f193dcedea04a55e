#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/knowledge.h"
#include "loop/task.h"
#include "services/search_cut.h"

#define REFRESH_MS	1000
#define QUOTE_MAX	600u	/* bytes of a passage that the offline responder quotes */

/*
 * Measured on tests/unit/knowledge_questions.h: a passage below the floor seldom answers, and one that covers half as
 * much as the best one is about something else.
 */
#define RELEVANCE_FLOOR	0.35
#define RELEVANCE_SHARE	0.5

struct knowledge {
	struct search	*search;
	int64_t		 looked_ms;	/* when the folder was last looked at */
	bool		 looking;
};

/* One knowledge_find() on its way through the thread pool. */
struct find {
	struct search	*search;
	const char	*question;
	size_t		 len;
	bool		 refresh;
	struct passages	*ret;
	enum hl_err	 err;
};

/* ---- looking for it ---- */

enum hl_err
knowledge_open(const struct conf *conf, struct knowledge **ret, struct buf *problem)
{
	const char *folder = *conf->knowledge_path ? conf->knowledge_path : HELPLINE_DATADIR "/knowledge";
	struct knowledge *k = calloc(1, sizeof(*k));
	enum hl_err err = HL_NO_MEMORY;

	*ret = NULL;
	if (k == NULL)
		return err;
	err = search_open(folder, conf->knowledge_index, &k->search, problem);
	if (err) {
		free(k);
		return err;
	}
	k->looked_ms = clock_mono_ms();
	*ret = k;
	return HL_OK;
}

void
knowledge_free(struct knowledge *k)
{
	if (k == NULL)
		return;
	search_close(k->search);
	free(k);
}

static void
drop_irrelevant(struct passages *p)
{
	size_t keep = 0;

	while (keep < p->count && p->hits[keep].score >= RELEVANCE_FLOOR &&
	    p->hits[keep].score >= RELEVANCE_SHARE * p->hits[0].score)
		keep++;
	search_hits_free(p->hits + keep, p->count - keep);
	p->count = keep;
}

/* On a thread of the pool. */
static void
find_work(void *arg)
{
	struct find *f = arg;
	enum hl_err refreshed;

	if (f->refresh) {
		refreshed = search_refresh(f->search);
		(void)refreshed;	/* what is known so far still answers */
	}
	f->err = search_query(f->search, f->question, f->len, KNOWLEDGE_MAX_HITS, f->ret->hits, &f->ret->count);
}

/* A second has passed since the last look, and nobody is looking. */
static bool
begin_look(struct knowledge *k)
{
	int64_t now = clock_mono_ms();

	if (k->looking || now - k->looked_ms < REFRESH_MS)
		return false;
	k->looking = true;
	k->looked_ms = now;
	return true;
}

/* While somebody looks, what is in memory may be of yesterday's folder. */
static enum hl_err
ask(struct knowledge *k, struct find *f)
{
	enum hl_err err;

	f->refresh = begin_look(k);
	if (!k->looking && search_recall(k->search, f->question, f->len, KNOWLEDGE_MAX_HITS, f->ret->hits, &f->ret->count))
		return HL_OK;
	err = task_work(find_work, f);
	if (f->refresh)
		k->looking = false;
	return err ? err : f->err;
}

enum hl_err
knowledge_find(struct knowledge *k, const char *question, size_t len, struct passages *ret)
{
	struct find f = { .search = k->search, .question = question, .len = len, .ret = ret };
	enum hl_err err;

	*ret = (struct passages){ .talk = search_small_talk(k->search, question, len) };
	if (ret->talk != TALK_NONE)
		return HL_OK;
	err = ask(k, &f);
	if (err)
		passages_free(ret);
	else
		drop_irrelevant(ret);
	return err;
}

void
passages_free(struct passages *p)
{
	search_hits_free(p->hits, p->count);
	*p = (struct passages){ 0 };
}

void
passages_prompt(struct buf *out, const struct passages *p)
{
	buf_puts(out, p->count ? "\n\nWhat the company has written down:" : "");
	for (size_t i = 0; i < p->count; i++) {
		const struct passage *one = p->hits[i].passage;

		buf_printf(out, "\n\n[%zu] ", i + 1);
		buf_puts(out, one->title);
		buf_puts(out, " (");
		buf_puts(out, one->source);
		buf_puts(out, ")\n");
		buf_add(out, one->text, one->text_len);
	}
}

/* Thousandths, without what printing a fraction costs. */
static void
write_score(struct buf *out, double score)
{
	unsigned n = (unsigned)(score * 1000 + 0.5);
	char text[] = { (char)('0' + n / 1000), '.', (char)('0' + n / 100 % 10), (char)('0' + n / 10 % 10),
		(char)('0' + n % 10) };

	buf_add(out, text, sizeof(text));
}

void
passages_json(struct buf *out, const struct passages *p)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < p->count; i++) {
		buf_puts(out, i ? ",{" : "{");
		buf_add(out, p->hits[i].passage->cited, p->hits[i].passage->cited_len);
		buf_puts(out, ",\"score\":");
		write_score(out, p->hits[i].score);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

/* Every line after "> ", so that a list, a table or an open code block of the passage ends with the quotation. */
static void
write_quotation(struct buf *out, const char *text)
{
	size_t len = strlen(text), n = cut_sentence(text, len, QUOTE_MAX);
	const char *p = text, *end;

	for (end = text + n; end > text && (end[-1] == ' ' || end[-1] == '\n'); )
		end--;
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;

		buf_puts(out, "> ");
		buf_add(out, p, (size_t)(stop - p));
		if (nl)
			buf_putc(out, '\n');
		p = nl ? nl + 1 : end;
	}
	if (n < len)
		buf_puts(out, " …");
}

void
offline_answer(const struct passages *p, struct buf *text, double *ret_confidence)
{
	const struct search_hit *best = p->count ? &p->hits[0] : NULL;

	*ret_confidence = OFFLINE_TALK;
	if (p->talk == TALK_GREETING) {
		buf_puts(text, "Hello! I am the offline responder; no AI model is connected. Ask a question, and I quote what the "
		    "company has written down about it. If you would like to talk to a person, just say so.");
	} else if (p->talk == TALK_THANKS) {
		buf_puts(text, "You're welcome. If there is anything else, just ask.");
	} else if (best && best->score >= OFFLINE_THRESHOLD) {
		buf_printf(text, "From \"%s\" (%s):\n\n", best->passage->title, best->passage->source);
		write_quotation(text, best->passage->text);
		*ret_confidence = best->score;
	} else {
		buf_puts(text, "I don't know: I could not find that in what the company has written down. I am the offline "
		    "responder; no AI model is connected.");
		*ret_confidence = 0;
	}
}
