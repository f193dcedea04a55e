#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/knowledge.h"
#include "loop/task.h"
#include "services/search_cut.h"

#define REFRESH_MS	1000
#define QUOTE_MAX	600u	/* bytes of a passage that the offline responder quotes */
#define EXCERPT_MAX	300u

/*
 * Measured on tests/unit/knowledge_questions.h: a passage below the floor seldom answers, and one that covers half as
 * much as the best one is about something else.
 */
#define RELEVANCE_FLOOR	0.35
#define RELEVANCE_SHARE	0.5

#define RECENT		64u
#define RECENT_LEN	512u		/* bytes of the longest question that is remembered */
#define SOURCES_MAX	(64u * 1024)
#define PROMPT_MAX	(256u * 1024)

struct found {
	unsigned	  refs;
	size_t		  count;
	struct search_hit hits[KNOWLEDGE_MAX_HITS];
	struct buf	  json, prompt;	/* once they were asked for */
};

/* A question since the last look, and what was found.  Only the loop's thread uses it. */
struct recent {
	char		*question;
	size_t		 len;
	struct found	*found;
};

struct knowledge {
	struct search	*search;
	int64_t		 looked_ms;	/* when the folder was last looked at */
	unsigned	 looks;
	bool		 looking;
	struct recent	 recent[RECENT];
};

/* One knowledge_find() on its way through the thread pool. */
struct find {
	struct search	*search;
	const char	*question;
	size_t		 len;
	bool		 refresh;
	struct search_hit hits[KNOWLEDGE_MAX_HITS];
	size_t		 count;
	enum hl_err	 err;
};

/* ---- what was found ---- */

static void
found_release(struct found *f)
{
	if (f == NULL || --f->refs > 0)
		return;
	search_hits_free(f->hits, f->count);
	buf_free(&f->json);
	buf_free(&f->prompt);
	free(f);
}

enum hl_err
passages_of(const struct search_hit *take_hits, size_t count, struct passages *ret)
{
	struct found *f = calloc(1, sizeof(*f));

	*ret = (struct passages){ 0 };
	if (f == NULL) {
		for (size_t i = 0; i < count; i++) {
			struct search_hit hit = take_hits[i];

			search_hits_free(&hit, 1);
		}
		return HL_NO_MEMORY;
	}
	f->refs = 1;
	f->count = count;
	memcpy(f->hits, take_hits, count * sizeof(*take_hits));
	f->json = BUF_INIT(SOURCES_MAX);
	f->prompt = BUF_INIT(PROMPT_MAX);
	*ret = (struct passages){ .found = f, .hits = f->hits, .count = count };
	return HL_OK;
}

void
passages_free(struct passages *p)
{
	found_release(p->found);
	*p = (struct passages){ 0 };
}

/* ---- questions of the last moment ---- */

static struct recent *
recent_slot(struct knowledge *k, const char *question, size_t len)
{
	return &k->recent[str_hash(question, len) % RECENT];
}

static void
recent_forget(struct recent *r)
{
	free(r->question);
	found_release(r->found);
	*r = (struct recent){ 0 };
}

static void
recent_remember(struct knowledge *k, const char *question, size_t len, const struct passages *p)
{
	struct recent *r = recent_slot(k, question, len);

	if (len > RECENT_LEN)
		return;
	recent_forget(r);
	r->question = malloc(len + 1);
	if (r->question == NULL)
		return;
	memcpy(r->question, question, len);
	r->len = len;
	r->found = p->found;
	r->found->refs++;
}

static bool
recent_find(struct knowledge *k, const char *question, size_t len, struct passages *ret)
{
	struct recent *r = recent_slot(k, question, len);

	if (r->found == NULL || r->len != len || memcmp(r->question, question, len) != 0)
		return false;
	r->found->refs++;
	*ret = (struct passages){ .found = r->found, .hits = r->found->hits, .count = r->found->count };
	return true;
}

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
	for (size_t i = 0; i < RECENT; i++)
		recent_forget(&k->recent[i]);
	search_close(k->search);
	free(k);
}

static void
drop_irrelevant(struct find *f)
{
	size_t keep = 0;

	while (keep < f->count && f->hits[keep].score >= RELEVANCE_FLOOR &&
	    f->hits[keep].score >= RELEVANCE_SHARE * f->hits[0].score)
		keep++;
	search_hits_free(f->hits + keep, f->count - keep);
	f->count = keep;
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
	f->err = search_query(f->search, f->question, f->len, KNOWLEDGE_MAX_HITS, f->hits, &f->count);
}

/* A second has passed: what is remembered may be of yesterday's folder. */
static void
begin_look(struct knowledge *k, struct find *f)
{
	int64_t now = clock_mono_ms();

	if (k->looking || now - k->looked_ms < REFRESH_MS)
		return;
	f->refresh = k->looking = true;
	k->looked_ms = now;
	k->looks++;
	for (size_t i = 0; i < RECENT; i++)
		recent_forget(&k->recent[i]);
}

enum hl_err
knowledge_find(struct knowledge *k, const char *question, size_t len, struct passages *ret)
{
	struct find f = { .search = k->search, .question = question, .len = len };
	unsigned looks;
	enum hl_err err;

	*ret = (struct passages){ .talk = search_small_talk(k->search, question, len) };
	if (ret->talk != TALK_NONE)
		return HL_OK;
	begin_look(k, &f);
	if (recent_find(k, question, len, ret))
		return HL_OK;
	looks = k->looks;
	err = task_work(find_work, &f);
	if (f.refresh)
		k->looking = false;
	if (err == HL_OK)
		err = f.err;
	if (err) {
		search_hits_free(f.hits, f.count);
		return err;
	}
	drop_irrelevant(&f);
	err = passages_of(f.hits, f.count, ret);
	if (err == HL_OK && looks == k->looks && !k->looking)
		recent_remember(k, question, len, ret);
	return err;
}

enum hl_err
passages_prompt(const struct passages *p, const char **ret_text, size_t *ret_len)
{
	struct buf *out = p->count ? &p->found->prompt : NULL;

	*ret_text = "";
	*ret_len = 0;
	if (out == NULL)
		return HL_OK;
	if (out->len == 0) {
		buf_puts(out, "\n\nWhat the company has written down:");
		for (size_t i = 0; i < p->count; i++)
			buf_printf(out, "\n\n[%zu] %s (%s)\n%s", i + 1, p->hits[i].title, p->hits[i].source, p->hits[i].text);
		buf_trim(out);
	}
	*ret_text = out->data;
	*ret_len = out->len;
	return buf_err(out);
}

static void
write_excerpt(struct buf *out, const char *text)
{
	struct buf plain = BUF_INIT(65536);
	size_t len = strlen(text);

	cut_plain(&plain, text, len < 4 * EXCERPT_MAX ? len : cut_sentence(text, len, 4 * EXCERPT_MAX));
	len = plain.err || plain.data == NULL ? 0 : cut_sentence(plain.data, plain.len, EXCERPT_MAX);
	buf_json(out, plain.data ? plain.data : "", len);
	buf_free(&plain);
}

static void
write_sources(struct buf *out, const struct passages *p)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < p->count; i++) {
		buf_puts(out, i ? ",{\"title\":" : "{\"title\":");
		buf_json_str(out, p->hits[i].title);
		buf_puts(out, ",\"source\":");
		buf_json_str(out, p->hits[i].source);
		buf_puts(out, ",\"excerpt\":");
		write_excerpt(out, p->hits[i].text);
		buf_printf(out, ",\"score\":%.3f}", p->hits[i].score);
	}
	buf_putc(out, ']');
}

void
passages_json(struct buf *out, const struct passages *p)
{
	if (p->count == 0) {
		buf_puts(out, "[]");
		return;
	}
	if (p->found->json.len == 0)
		write_sources(&p->found->json, p);
	if (buf_err(&p->found->json))
		out->err = buf_err(&p->found->json);
	else
		buf_add(out, p->found->json.data, p->found->json.len);
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
	const struct search_hit *best = &p->hits[0];

	*ret_confidence = OFFLINE_TALK;
	if (p->talk == TALK_GREETING) {
		buf_puts(text, "Hello! I am the offline responder; no AI model is connected. Ask a question, and I quote what the "
		    "company has written down about it. If you would like to talk to a person, just say so.");
	} else if (p->talk == TALK_THANKS) {
		buf_puts(text, "You're welcome. If there is anything else, just ask.");
	} else if (p->count > 0 && best->score >= OFFLINE_THRESHOLD) {
		buf_printf(text, "From \"%s\" (%s):\n\n", best->title, best->source);
		write_quotation(text, best->text);
		*ret_confidence = best->score;
	} else {
		buf_puts(text, "I don't know: I could not find that in what the company has written down. I am the offline "
		    "responder; no AI model is connected.");
		*ret_confidence = 0;
	}
}
