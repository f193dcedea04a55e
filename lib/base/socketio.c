#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/socketio.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* ---- the parts of a packet, in their order ---- */

static enum hl_err
take_count(const char **at, const char *end, unsigned *ret)
{
	const char *p = *at;
	unsigned n = 0;

	while (p < end && is_digit(*p) && n <= SIO_MAX_ATTACHMENTS)
		n = n * 10 + (unsigned)(*p++ - '0');
	if (p == end || *p != '-' || n < 1 || n > SIO_MAX_ATTACHMENTS)
		return HL_BAD_REQUEST;
	*at = p + 1;
	*ret = n;
	return HL_OK;
}

/* Without its comma the rest of the packet is the name, as in the reference. */
static enum hl_err
take_nsp(const char **at, const char *end, struct span *ret)
{
	const char *p = *at, *comma;

	*ret = SPAN("/");
	if (p == end || *p != '/')
		return HL_OK;
	comma = memchr(p, ',', (size_t)(end - p));
	*ret = (struct span){ p, (size_t)((comma ? comma : end) - p) };
	*at = comma ? comma + 1 : end;
	return ret->len <= SIO_MAX_NSP ? HL_OK : HL_BAD_REQUEST;
}

/* The reference's parser takes white space for an id too, and reads nothing but white space as 0. */
static enum hl_err
take_id(const char **at, const char *end, struct span *ret)
{
	const char *p = *at, *digits;

	while (p < end && is_space(*p))
		p++;
	digits = p;
	while (p < end && is_digit(*p))
		p++;
	*ret = (struct span){ digits, (size_t)(p - digits) };
	while (p < end && is_space(*p))
		p++;
	if (ret->len == 0 && p > *at)
		*ret = SPAN("0");
	while (ret->len > 1 && ret->p[0] == '0') {
		ret->p++;
		ret->len--;
	}
	*at = p;
	return ret->len <= SIO_MAX_ID ? HL_OK : HL_BAD_REQUEST;
}

static bool
reserved(struct span name)
{
	static const char *const names[] = { "\"connect\"", "\"connect_error\"", "\"disconnect\"",
	    "\"disconnecting\"",
		"\"newListener\"", "\"removeListener\"" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (name.len == strlen(names[i]) && memcmp(name.p, names[i], name.len) == 0)
			return true;
	return false;
}

/* The first argument names the event: a string or a number. */
static enum hl_err
event_name(struct span data, struct span *ret)
{
	const char *end = data.p + data.len, *p = json_space(data.p + 1, end);
	const char *after = json_skip(p, end, JSON_JS);

	if (after == NULL || (*p != '"' && *p != '-' && !is_digit(*p)))
		return HL_BAD_REQUEST;
	*ret = (struct span){ p, (size_t)(after - p) };
	return reserved(*ret) ? HL_BAD_REQUEST : HL_OK;
}

static enum hl_err
check_data(struct sio_packet *k)
{
	char c = k->data.len ? k->data.p[0] : '\0';
	bool fits = false;
	enum hl_err err;

	if (c == '\0')
		return HL_OK;		/* every type is accepted without */
	err = json_check(k->data.p, k->data.len, JSON_JS);
	k->too_deep = err == HL_TOO_LARGE && k->type == SIO_EVENT && c == '[';
	if (err)
		return k->too_deep ? HL_OK : HL_BAD_REQUEST;	/* the protocol knows no depth: that is no reason to close */
	switch (k->type) {
	case SIO_CONNECT:
		fits = c == '{';
		break;
	case SIO_DISCONNECT:
		break;
	case SIO_EVENT:
	case SIO_BINARY_EVENT:
		return c == '[' ? event_name(k->data, &k->name) : HL_BAD_REQUEST;
	case SIO_ACK:
	case SIO_BINARY_ACK:
		fits = c == '[';
		break;
	case SIO_CONNECT_ERROR:
		fits = c == '{' || c == '"';
		break;
	}
	return fits ? HL_OK : HL_BAD_REQUEST;
}

enum hl_err
sio_parse(const char *text, size_t len, struct sio_packet *ret)
{
	const char *p = text, *end = text + len;
	enum hl_err err = HL_OK;

	*ret = (struct sio_packet){ .type = SIO_CONNECT, .nsp = SPAN("/") };
	if (len == 0)
		return HL_OK;		/* the reference reads an empty text as CONNECT */
	if (*p < '0' || *p > '6')
		return HL_BAD_REQUEST;
	ret->type = (enum sio_type)(*p++ - '0');
	if (ret->type >= SIO_BINARY_EVENT)
		err = take_count(&p, end, &ret->attachments);
	if (err == HL_OK)
		err = take_nsp(&p, end, &ret->nsp);
	if (err == HL_OK)
		err = take_id(&p, end, &ret->id);
	if (err)
		return err;
	while (end > p && is_space(end[-1]))
		end--;
	ret->data = (struct span){ p, (size_t)(end - p) };
	return check_data(ret);
}

void
sio_encode(struct buf *b, const struct sio_packet *k)
{
	buf_putc(b, (char)('0' + (int)k->type));
	if (k->type >= SIO_BINARY_EVENT) {
		buf_int(b, k->attachments);
		buf_putc(b, '-');
	}
	if (k->nsp.len > 1) {
		buf_add(b, k->nsp.p, k->nsp.len);
		buf_putc(b, ',');
	}
	buf_add(b, k->id.p, k->id.len);
	buf_add(b, k->data.p, k->data.len);
}

/* ---- placeholders ---- */

/* What an object says about being one. */
struct placeholder {
	bool	 marked;	/* "_placeholder": true */
	bool	 good;		/* "num" is one of the attachments */
};

static const char *check_value(const char *p, const char *end, unsigned attachments);

static bool
member_is(const char *name, const char *after, const char *wanted)
{
	return (size_t)(after - name) == strlen(wanted) && memcmp(name, wanted, strlen(wanted)) == 0;
}

static bool
good_index(const char *p, const char *after, unsigned attachments)
{
	unsigned n = 0;

	if (after - p > 2)
		return false;
	for (; p < after; p++) {
		if (!is_digit(*p))
			return false;
		n = n * 10 + (unsigned)(*p - '0');
	}
	return n < attachments;
}

/* One member; returns the first byte after it. */
static const char *
check_member(const char *p, const char *end, unsigned attachments, struct placeholder *found)
{
	const char *name = p, *name_end = json_skip(p, end, JSON_JS), *value, *after;

	if (name_end == NULL)
		return NULL;
	value = json_space(json_space(name_end, end) + 1, end);		/* behind the colon */
	after = check_value(value, end, attachments);
	if (after == NULL)
		return NULL;
	if (member_is(name, name_end, "\"_placeholder\""))
		found->marked = *value == 't';
	else if (member_is(name, name_end, "\"num\""))
		found->good = good_index(value, after, attachments);
	return after;
}

static const char *
check_list(const char *p, const char *end, unsigned attachments)
{
	struct placeholder found = { false, false };
	bool object = *p == '{';

	p = json_space(p + 1, end);
	while (*p != ']' && *p != '}') {
		p = object ? check_member(p, end, attachments, &found) : check_value(p, end, attachments);
		if (p == NULL)
			return NULL;
		p = json_space(p, end);
		if (*p == ',')
			p = json_space(p + 1, end);
	}
	return found.marked && !found.good ? NULL : p + 1;
}

/* NULL if a placeholder in it points at no attachment.  The text has been checked, so it cannot run out. */
static const char *
check_value(const char *p, const char *end, unsigned attachments)
{
	return *p == '[' || *p == '{' ? check_list(p, end, attachments) : json_skip(p, end, JSON_JS);
}

/* ---- packets with attachments ---- */

struct sio_partial {
	struct buf	 head;
	struct buf	 parts[SIO_MAX_ATTACHMENTS];
	unsigned	 want, have;
	size_t		 bytes;
};

void
sio_decoder_free(struct sio_decoder *d)
{
	struct sio_partial *partial = d->partial;

	if (partial == NULL)
		return;
	buf_free(&partial->head);
	for (unsigned i = 0; i < SIO_MAX_ATTACHMENTS; i++)
		buf_free(&partial->parts[i]);
	free(partial);
	d->partial = NULL;
}

static enum hl_err
start_partial(struct sio_decoder *d, const char *text, size_t len, unsigned attachments)
{
	struct sio_partial *partial = calloc(1, sizeof(*partial));

	if (partial == NULL)
		return HL_NO_MEMORY;
	partial->head.max = SIO_MAX_BYTES;
	for (unsigned i = 0; i < SIO_MAX_ATTACHMENTS; i++)
		partial->parts[i].max = SIO_MAX_BYTES;
	partial->want = attachments;
	partial->bytes = len;
	buf_add(&partial->head, text, len);
	d->partial = partial;
	return buf_err(&partial->head);
}

enum hl_err
sio_feed_text(struct sio_decoder *d, const char *text, size_t len, struct sio_packet *ret, bool *ret_whole)
{
	enum hl_err err;

	*ret_whole = false;
	if (d->partial && d->partial->have < d->partial->want)
		return HL_BAD_REQUEST;
	sio_decoder_free(d);
	err = sio_parse(text, len, ret);
	if (err)
		return err;
	*ret_whole = ret->attachments == 0;
	return *ret_whole ? HL_OK : start_partial(d, text, len, ret->attachments);
}

enum hl_err
sio_feed_binary(struct sio_decoder *d, const void *bytes, size_t len, struct sio_packet *ret, bool *ret_whole)
{
	struct sio_partial *partial = d->partial;
	struct buf *part;
	enum hl_err err;

	*ret_whole = false;
	if (partial == NULL || partial->have == partial->want)
		return HL_BAD_REQUEST;
	partial->bytes += len;
	if (partial->bytes > SIO_MAX_BYTES)
		return HL_BAD_REQUEST;
	part = &partial->parts[partial->have++];
	buf_add(part, bytes, len);
	if (buf_err(part) || partial->have < partial->want)
		return buf_err(part);
	err = sio_parse(partial->head.data, partial->head.len, ret);
	if (err == HL_OK && ret->data.len &&
	    check_value(ret->data.p, ret->data.p + ret->data.len, partial->want) == NULL)
		err = HL_BAD_REQUEST;
	*ret_whole = err == HL_OK;
	return err;
}

struct span
sio_attachment(const struct sio_decoder *d, unsigned i)
{
	const struct buf *part = &d->partial->parts[i];

	return (struct span){ part->len ? part->data : "", part->len };
}
