#include <string.h>

#include "base/sse.h"

#define MAX_LINE	(SSE_MAX_EVENT + 64)	/* a field's name and its value */
#define MAX_NAME	1024

void
sse_init(struct sse *s)
{
	*s = (struct sse){
		.line = BUF_INIT(MAX_LINE), .data = BUF_INIT(SSE_MAX_EVENT), .event = BUF_INIT(MAX_NAME)
	};
}

void
sse_free(struct sse *s)
{
	buf_free(&s->line);
	buf_free(&s->data);
	buf_free(&s->event);
	sse_init(s);
}

/* An event with a name and no data counts too, as it does for openai-node. */
static enum hl_err
dispatch(struct sse *s, sse_event event, void *arg)
{
	enum hl_err err = HL_OK;

	if (s->have_data || s->event.len)
		err = event(arg, s->event.len ? s->event.data : NULL, s->data.len ? s->data.data : "", s->data.len);
	buf_reset(&s->data);
	buf_reset(&s->event);
	s->have_data = 0;
	return err;
}

static enum hl_err
field(struct sse *s, const char *name, size_t name_len, const char *value, size_t len)
{
	if (name_len == 4 && memcmp(name, "data", 4) == 0) {
		if (s->have_data)
			buf_putc(&s->data, '\n');
		buf_add(&s->data, value, len);
		s->have_data = 1;
	} else if (name_len == 5 && memcmp(name, "event", 5) == 0) {
		buf_reset(&s->event);
		buf_add(&s->event, value, len);
	}
	return buf_err(&s->data) ? buf_err(&s->data) : buf_err(&s->event);
}

static enum hl_err
line(struct sse *s, const char *p, size_t len, sse_event event, void *arg)
{
	const char *colon, *value;

	if (!s->started && len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		p += 3;
		len -= 3;
	}
	s->started = 1;
	if (len == 0)
		return dispatch(s, event, arg);
	colon = memchr(p, ':', len);
	if (colon == NULL)
		return field(s, p, len, "", 0);
	value = colon + 1;
	if (value < p + len && *value == ' ')
		value++;
	return field(s, p, (size_t)(colon - p), value, (size_t)(p + len - value));
}

/* The first line ending in the bytes, or end. */
static const char *
line_end(const char *p, const char *end)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));
	const char *cr = memchr(p, '\r', (size_t)((lf ? lf : end) - p));

	return cr ? cr : lf ? lf : end;
}

/* A line that lies in the bytes whole is read where it is; only the rest of a cut one is kept. */
static enum hl_err
whole_line(struct sse *s, const char *p, size_t len, sse_event event, void *arg)
{
	enum hl_err err;

	if (s->line.len == 0)
		return line(s, p, len, event, arg);
	buf_add(&s->line, p, len);
	err = buf_err(&s->line);
	if (err == HL_OK)
		err = line(s, s->line.data, s->line.len, event, arg);
	buf_reset(&s->line);
	return err;
}

enum hl_err
sse_feed(struct sse *s, const char *bytes, size_t len, sse_event event, void *arg)
{
	const char *p = bytes, *end = bytes + len, *stop;
	enum hl_err err;

	while (p < end) {
		if (s->after_cr && *p == '\n')
			p++;
		s->after_cr = 0;
		stop = line_end(p, end);
		if (stop == end) {
			buf_add(&s->line, p, (size_t)(end - p));
			return buf_err(&s->line);
		}
		s->after_cr = *stop == '\r';
		err = whole_line(s, p, (size_t)(stop - p), event, arg);
		if (err)
			return err;
		p = stop + 1;
	}
	return HL_OK;
}
