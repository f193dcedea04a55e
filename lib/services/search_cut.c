#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "services/search_cut.h"

#define TITLE_MAX	300u	/* bytes */
#define HEADING_LEVELS	6

/* Windows-1252, 0x80 to 0x9f; the rest of its upper half is Latin-1. */
static const uint16_t cp1252[32] = {
	0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd,
	0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
	0x0153, 0xfffd, 0x017e, 0x0178,
};

/* The text of one passage that is being collected, and the headings above it. */
struct cutter {
	const char	*name, *end;
	bool		 markdown;
	cut_passage	 passage;
	void		*arg;
	struct buf	 heading[HEADING_LEVELS];
	struct buf	 front_title;		/* from the front matter */
	struct buf	 title;
	const char	*start, *stop;		/* what is collected; start is NULL while nothing is */
	const char	*held, *held_stop;	/* complete, waiting for a short rest to join it */
};

enum line_kind { LINE_TEXT, LINE_BLANK, LINE_HEADING, LINE_RULE, LINE_FENCE, LINE_ITEM, LINE_COMMENT };

enum hl_err
cut_normalise(struct buf *out, const char *bytes, size_t len, bool *repaired)
{
	const char *p = bytes, *end = bytes + len;

	*repaired = false;
	if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	if (memchr(p, '\0', (size_t)(end - p)) != NULL ||
	    (len >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0)))
		return HL_MEDIA_TYPE;
	while (p < end) {
		const char *before = p;
		uint32_t c = utf8_next(&p, end);

		if (c == 0xfffd && p - before == 1) {
			unsigned char byte = (unsigned char)*before;

			c = byte < 0xa0 ? cp1252[byte - 0x80] : byte;
			*repaired = true;
		}
		if (c == '\r') {
			if (p < end && *p == '\n')
				continue;
			c = '\n';
		}
		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			c = ' ';
		if (c < 0x80)
			buf_putc(out, (char)c);
		else
			utf8_put(out, c);
	}
	return buf_err(out);
}

static size_t
after_space(const char *text, size_t max)
{
	for (size_t i = max; i > max / 2; i--)
		if (text[i - 1] == ' ' || text[i - 1] == '\n' || text[i - 1] == '\t')
			return i;
	return 0;
}

/* Whether a sentence ends right before p: ". ", "!\n", or the full stop of a script that puts no space after it. */
static bool
sentence_ends(const char *text, const char *p, const char *end)
{
	if (p - text >= 3 && (memcmp(p - 3, "。", 3) == 0 || memcmp(p - 3, "！", 3) == 0 || memcmp(p - 3, "？", 3) == 0))
		return true;
	if (p == text || (p < end && *p != ' ' && *p != '\n'))
		return false;
	return strchr(".!?", p[-1]) != NULL && p[-1] != '\0';
}

size_t
cut_sentence(const char *text, size_t len, size_t max)
{
	size_t n;

	if (len <= max)
		return len;
	for (size_t i = max; i > max / 3; i--)
		if (sentence_ends(text, text + i, text + len))
			return i;
	for (size_t i = max; i > max / 3; i--)
		if (text[i - 1] == '\n')
			return i;
	n = after_space(text, max);
	return n ? n : utf8_cut(text, len, max);
}

/* [text](address) and ![text](address): returns the address's end and the text's bounds, or NULL. */
static const char *
link_parts(const char *p, const char *end, const char **ret_text, const char **ret_stop)
{
	const char *close, *stop;

	if (*p == '!' && p + 1 < end)
		p++;
	if (*p != '[')
		return NULL;
	close = memchr(p, ']', (size_t)(end - p));
	if (close == NULL || close + 1 >= end || close[1] != '(')
		return NULL;
	stop = memchr(close, ')', (size_t)(end - close));
	if (stop == NULL || memchr(p, '\n', (size_t)(stop - p)) != NULL)
		return NULL;
	*ret_text = p + 1;
	*ret_stop = close;
	return stop + 1;
}

static bool
is_word(char c)
{
	return isalnum((unsigned char)c) || (c & 0x80) != 0;
}

/*
 * Whether the byte at p only marks emphasis or code.  Asterisks between spaces and underscores inside a word do not.
 */
static bool
is_marker(const char *text, const char *p, const char *end)
{
	const char *first = p, *last = p;

	if (*p == '`')
		return true;
	if (*p != '*' && *p != '_')
		return false;
	while (first > text && first[-1] == *p)
		first--;
	while (last + 1 < end && last[1] == *p)
		last++;
	if (*p == '_')
		return !(first > text && is_word(first[-1]) && last + 1 < end && is_word(last[1]));
	return first == text || last + 1 == end || !isspace((unsigned char)first[-1]) || !isspace((unsigned char)last[1]);
}

static const char *
skip_line_marker(const char *p, const char *end)
{
	const char *start;

	while (p < end && (*p == ' ' || *p == '\t' || *p == '>'))
		p++;
	start = p;
	while (p < end && *p == '#')
		p++;
	if (p > start)
		return p < end && *p == ' ' ? p : start;
	if (p + 1 < end && (*p == '-' || *p == '*' || *p == '+') && p[1] == ' ')
		return p + 2;
	return p;
}

/* A line that only draws: under a table's head, or across the page.  Returns its end, or p if it is none. */
static const char *
skip_ruling(const char *p, const char *end)
{
	const char *at = p;
	size_t dashes = 0;

	for (; at < end && strchr("-|: \t", *at) && *at; at++)
		dashes += *at == '-';
	return dashes >= 3 && (at == end || *at == '\n') ? at : p;
}

void
cut_plain(struct buf *out, const char *text, size_t len)
{
	const char *p = text, *end = text + len;
	bool line_start = true, space = false;
	size_t first = out->len;

	while (p < end) {
		const char *inner, *inner_stop, *after;

		if (line_start)
			p = skip_ruling(skip_line_marker(p, end), end);
		line_start = false;
		if (p >= end)
			break;
		if (isspace((unsigned char)*p)) {
			line_start = *p++ == '\n';
			space = true;
			continue;
		}
		if ((*p == '|' && (space || out->len == first)) || is_marker(text, p, end)) {
			p++;
			continue;
		}
		if (space && out->len > first)
			buf_putc(out, ' ');
		space = false;
		after = link_parts(p, end, &inner, &inner_stop);
		if (after != NULL) {
			buf_add(out, inner, (size_t)(inner_stop - inner));
			p = after;
			continue;
		}
		buf_putc(out, *p++);
	}
}

static const char *
line_end(const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));

	return nl ? nl + 1 : end;
}

static size_t
indent_of(const char *p, const char *end)
{
	size_t n = 0;

	for (; p < end && (*p == ' ' || *p == '\t'); p++)
		n += *p == '\t' ? 4 : 1;
	return n;
}

static bool
only(const char *p, const char *end, char c, size_t least)
{
	size_t n = 0;

	for (; p < end; p++) {
		if (*p == c)
			n++;
		else if (!isspace((unsigned char)*p))
			return false;
	}
	return n >= least;
}

static bool
is_item(const char *p, const char *end)
{
	const char *digits = p;

	if (p + 1 < end && strchr("-*+", *p) != NULL && isspace((unsigned char)p[1]))
		return true;
	while (p < end && isdigit((unsigned char)*p) && p - digits < 9)
		p++;
	return p > digits && p + 1 < end && (*p == '.' || *p == ')') && isspace((unsigned char)p[1]);
}

static enum line_kind
kind_of(const struct cutter *c, const char *p, const char *stop)
{
	size_t indent = indent_of(p, stop), hashes = 0;

	while (p < stop && isspace((unsigned char)*p))
		p++;
	if (p == stop)
		return LINE_BLANK;
	if (!c->markdown || indent > 3)
		return LINE_TEXT;
	while (p + hashes < stop && p[hashes] == '#')
		hashes++;
	if (hashes >= 1 && hashes <= HEADING_LEVELS && (p + hashes == stop || isspace((unsigned char)p[hashes])))
		return LINE_HEADING;
	if (stop - p >= 3 && (memcmp(p, "```", 3) == 0 || memcmp(p, "~~~", 3) == 0))
		return LINE_FENCE;
	if (stop - p >= 4 && memcmp(p, "<!--", 4) == 0)
		return LINE_COMMENT;
	if (only(p, stop, '-', 3) || only(p, stop, '*', 3) || only(p, stop, '_', 3))
		return LINE_RULE;
	return is_item(p, stop) ? LINE_ITEM : LINE_TEXT;
}

/* "Document › Section › Subsection"; a heading that repeats the one above it is said once. */
static enum hl_err
compose_title(struct cutter *c)
{
	const struct buf *last = NULL;

	buf_reset(&c->title);
	if (c->heading[0].len == 0)
		buf_puts(&c->title, c->front_title.len ? c->front_title.data : c->name);
	for (size_t i = 0; i < HEADING_LEVELS; i++) {
		const struct buf *h = &c->heading[i];

		if (h->len == 0 || (last != NULL && strcmp(last->data, h->data) == 0))
			continue;
		if (c->title.len)
			buf_puts(&c->title, " › ");
		buf_add(&c->title, h->data, utf8_cut(h->data, h->len, TITLE_MAX));
		last = h;
	}
	return buf_err(&c->title);
}

static enum hl_err
emit(struct cutter *c, const char *start, const char *stop)
{
	while (start < stop && (*start == '\n' || str_blank(start, (size_t)(line_end(start, stop) - start))))
		start = line_end(start, stop);
	while (stop > start && isspace((unsigned char)stop[-1]))
		stop--;
	if (start == stop)
		return HL_OK;
	return c->passage(c->arg, c->title.data, start, (size_t)(stop - start));
}

static enum hl_err
emit_held(struct cutter *c)
{
	const char *start = c->held;

	c->held = NULL;
	return start ? emit(c, start, c->held_stop) : HL_OK;
}

/* Closes the passage; a short one joins the passage before it, which waits for that. */
static enum hl_err
close_passage(struct cutter *c)
{
	enum hl_err err = HL_OK;

	if (c->start == NULL)
		return HL_OK;
	if (c->held != NULL && c->stop - c->start < (ptrdiff_t)PASSAGE_SMALL &&
	    c->stop - c->held <= (ptrdiff_t)PASSAGE_MAX) {
		c->held_stop = c->stop;
	} else {
		err = emit_held(c);
		c->held = c->start;
		c->held_stop = c->stop;
	}
	c->start = NULL;
	return err;
}

static enum hl_err
close_section(struct cutter *c)
{
	enum hl_err err = close_passage(c);

	return err ? err : emit_held(c);
}

/* A block that is too long for one passage, cut at sentences, or at lines where line ends matter. */
static enum hl_err
split_block(struct cutter *c, const char *start, const char *stop, bool lines)
{
	enum hl_err err = close_passage(c);

	while (err == HL_OK && stop - start > (ptrdiff_t)PASSAGE_MAX) {
		const char *nl = lines ? memrchr(start, '\n', PASSAGE_MAX) : NULL;
		size_t n = nl ? (size_t)(nl + 1 - start) : cut_sentence(start, (size_t)(stop - start), PASSAGE_MAX);

		c->start = start;
		c->stop = start += n;
		err = close_passage(c);
	}
	c->start = start;
	c->stop = stop;
	return err;
}

/* One paragraph, list item, table or code block. */
static enum hl_err
add_block(struct cutter *c, const char *start, const char *stop, enum line_kind kind)
{
	ptrdiff_t limit = kind == LINE_TEXT ? (ptrdiff_t)PASSAGE_GOOD : (ptrdiff_t)PASSAGE_MAX;
	enum hl_err err = HL_OK;

	if (stop - start > (ptrdiff_t)PASSAGE_MAX)
		return split_block(c, start, stop, kind == LINE_FENCE || *start == '|');
	if (c->start != NULL && stop - c->start > limit)
		err = close_passage(c);
	if (c->start == NULL)
		c->start = start;
	c->stop = stop;
	return err;
}

static enum hl_err
set_heading(struct cutter *c, size_t level, const char *text, size_t len)
{
	enum hl_err err = close_section(c);

	if (err)
		return err;
	for (size_t i = level - 1; i < HEADING_LEVELS; i++)
		buf_reset(&c->heading[i]);
	cut_plain(&c->heading[level - 1], text, len < 4 * TITLE_MAX ? len : utf8_cut(text, len, 4 * TITLE_MAX));
	err = buf_err(&c->heading[level - 1]);
	return err ? err : compose_title(c);
}

static enum hl_err
hash_heading(struct cutter *c, const char *p, const char *stop)
{
	size_t level = 0;

	while (*p != '#')
		p++;
	while (p < stop && *p == '#')
		p++, level++;
	while (stop > p && isspace((unsigned char)stop[-1]))
		stop--;
	while (stop > p && stop[-1] == '#')	/* "## Heading ##" */
		stop--;
	return set_heading(c, level, p, (size_t)(stop - p));
}

static const char *
fence_end(const char *p, const char *end)
{
	char mark = p[indent_of(p, end)];

	for (p = line_end(p, end); p < end; p = line_end(p, end)) {
		const char *stop = line_end(p, end);

		if (only(p, stop, mark, 3))
			return stop;
	}
	return end;
}

static const char *
comment_end(const char *p, const char *end)
{
	const char *close = memmem(p, (size_t)(end - p), "-->", 3);

	return close ? line_end(close, end) : end;
}

/* Where a list item stops: at the next item of its level, or after a blank line that no indented line follows. */
static const char *
item_end(struct cutter *c, const char *p, const char *end)
{
	size_t indent = indent_of(p, end);

	p = line_end(p, end);
	while (p < end) {
		const char *stop = line_end(p, end);
		enum line_kind kind = kind_of(c, p, stop);

		if (kind == LINE_BLANK) {
			if (stop >= end || indent_of(stop, end) <= indent + 1)
				return stop;
		} else if (kind == LINE_HEADING || (indent_of(p, end) <= indent && kind != LINE_TEXT)) {
			return p;
		}
		p = kind == LINE_FENCE ? fence_end(p, end) : stop;
	}
	return p;
}

static const char *
paragraph_end(struct cutter *c, const char *p, const char *end, size_t *setext)
{
	const char *first = p;

	*setext = 0;
	while (p < end) {
		const char *stop = line_end(p, end);

		if (p > first) {
			enum line_kind kind = kind_of(c, p, stop);

			if (c->markdown && line_end(first, end) == p && (only(p, stop, '=', 2) || only(p, stop, '-', 2))) {
				*setext = *p == '=' ? 1 : 2;
				return stop;
			}
			if (kind != LINE_TEXT)
				return p;
		}
		p = stop;
	}
	return p;
}

static enum hl_err
paragraph(struct cutter *c, const char **at)
{
	const char *start = *at;
	size_t setext;

	*at = paragraph_end(c, start, c->end, &setext);
	if (setext)
		return set_heading(c, setext, start, (size_t)(line_end(start, c->end) - start));
	return add_block(c, start, *at, LINE_TEXT);
}

/* The block that starts at *at, which moves behind it. */
static enum hl_err
next_block(struct cutter *c, const char **at)
{
	const char *start = *at, *stop = line_end(start, c->end);
	enum line_kind kind = kind_of(c, start, stop);

	switch (kind) {
	case LINE_BLANK:
	case LINE_RULE:
		*at = stop;
		return HL_OK;
	case LINE_HEADING:
		*at = stop;
		return hash_heading(c, start, stop);
	case LINE_COMMENT:
		*at = comment_end(start, c->end);
		return close_section(c);	/* a passage is one piece of the text: it ends before the gap */
	case LINE_FENCE:
		*at = fence_end(start, c->end);
		return add_block(c, start, *at, kind);
	case LINE_ITEM:
		*at = item_end(c, start, c->end);
		return add_block(c, start, *at, kind);
	case LINE_TEXT:
		break;
	}
	return paragraph(c, at);
}

/* The front matter of many site generators: between two lines of three dashes; only its title is of use. */
static const char *
front_matter(struct cutter *c, const char *p)
{
	const char *start = p;

	if (!c->markdown || c->end - p < 4 || memcmp(p, "---\n", 4) != 0)
		return p;
	for (p += 4; p < c->end; p = line_end(p, c->end)) {
		const char *stop = line_end(p, c->end);

		if (stop - p <= 4 && memcmp(p, "---", 3) == 0)
			return stop;
		if (stop - p > 6 && memcmp(p, "title:", 6) == 0) {
			const char *a = p + 6, *b = stop;

			while (a < b && (isspace((unsigned char)*a) || *a == '"' || *a == '\''))
				a++;
			while (b > a && (isspace((unsigned char)b[-1]) || b[-1] == '"' || b[-1] == '\''))
				b--;
			buf_reset(&c->front_title);
			buf_add(&c->front_title, a, utf8_cut(a, (size_t)(b - a), TITLE_MAX));
		}
	}
	buf_reset(&c->front_title);
	return start;		/* never closed: it was none */
}

enum hl_err
cut_text(const char *name, bool markdown, const char *text, size_t len, cut_passage passage, void *arg)
{
	struct cutter c = { .name = name, .end = text + len, .markdown = markdown, .passage = passage, .arg = arg,
	    .front_title = BUF_INIT(TITLE_MAX), .title = BUF_INIT(HEADING_LEVELS * (TITLE_MAX + 8) + 4096) };
	const char *p;
	enum hl_err err;

	for (size_t i = 0; i < HEADING_LEVELS; i++)
		c.heading[i] = BUF_INIT(8 * TITLE_MAX);
	p = front_matter(&c, text);
	err = compose_title(&c);
	while (err == HL_OK && p < c.end)
		err = next_block(&c, &p);
	if (err == HL_OK)
		err = close_section(&c);
	for (size_t i = 0; i < HEADING_LEVELS; i++)
		buf_free(&c.heading[i]);
	buf_free(&c.front_title);
	buf_free(&c.title);
	return err;
}
