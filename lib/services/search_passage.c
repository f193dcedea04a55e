#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "services/search_cut.h"
#include "services/search_passage.h"

#define CITED_MAX	(64u * 1024)

static void
write_excerpt(struct buf *out, const char *text, size_t len)
{
	struct buf plain = BUF_INIT(65536);

	cut_plain(&plain, text, len < 4 * EXCERPT_MAX ? len : cut_sentence(text, len, 4 * EXCERPT_MAX));
	if (plain.err)
		out->err = plain.err;		/* rather no passage than one that stays without its excerpt */
	len = plain.data ? cut_sentence(plain.data, plain.len, EXCERPT_MAX) : 0;
	buf_json(out, plain.data ? plain.data : "", len);
	buf_free(&plain);
}

static void
write_cited(struct buf *out, const char *source, const char *title, const char *text)
{
	buf_puts(out, "\"title\":");
	buf_json_str(out, title);
	buf_puts(out, ",\"source\":");
	buf_json_str(out, source);
	buf_puts(out, ",\"excerpt\":");
	write_excerpt(out, text, strlen(text));
}

static const char *
put(char **at, const char *text, size_t len)
{
	char *copy = *at;

	memcpy(copy, text, len);
	copy[len] = '\0';
	*at += len + 1;
	return copy;
}

enum hl_err
passage_new(const char *source, const char *title, const char *text, struct passage **ret)
{
	struct buf cited = BUF_INIT(CITED_MAX);
	size_t lens[] = { strlen(source), strlen(title), strlen(text) }, bytes;
	struct passage *p = NULL;
	enum hl_err err;
	char *at;

	*ret = NULL;
	write_cited(&cited, source, title, text);
	err = buf_err(&cited);
	if (err)
		goto out;
	bytes = sizeof(*p) + lens[0] + lens[1] + lens[2] + cited.len + 4;
	p = malloc(bytes);
	if (p == NULL) {
		err = HL_NO_MEMORY;
		goto out;
	}
	*p = (struct passage){ .text_len = lens[2], .cited_len = cited.len, .bytes = bytes };
	atomic_init(&p->refs, 1);
	at = p->texts;
	p->source = put(&at, source, lens[0]);
	p->title = put(&at, title, lens[1]);
	p->text = put(&at, text, lens[2]);
	p->cited = put(&at, cited.data, cited.len);
	*ret = p;
out:
	buf_free(&cited);
	return err;
}

struct passage *
passage_ref(struct passage *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void
passage_release(struct passage *p)
{
	if (p != NULL && atomic_fetch_sub(&p->refs, 1) == 1)
		free(p);
}
