#include <stdlib.h>
#include <string.h>

#include "base/engineio.h"
#include "base/json_view.h"
#include "push/answer.h"

#define PACKET_MAX	(16u << 20)

/* ---- slices ---- */

static struct json_view
view_of(struct span s)
{
	return s.len ? (struct json_view){ s.p, s.p + s.len } : (struct json_view){ NULL, NULL };
}

static struct span
span_of(struct json_view v)
{
	enum json_kind kind = json_view_kind(v);

	return kind == JSON_NONE || kind == JSON_NULL ? (struct span){ NULL, 0 } : (struct span){ v.at, (size_t)(v.end - v.at) };
}

struct span
span_member(struct span object, const char *name)
{
	return span_of(json_view_get(view_of(object), name));
}

bool
span_next(struct span array, const char **at, struct span *ret_item)
{
	struct json_view item = { *at, *at };

	if (!json_view_next(view_of(array), &item))
		return false;
	*ret_item = (struct span){ item.at, (size_t)(item.end - item.at) };
	*at = item.end;
	return true;
}

int64_t
span_integer(struct span s, int64_t otherwise)
{
	int64_t n = 0;

	if (s.len == 0 || s.len > 18)
		return otherwise;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return otherwise;
		n = n * 10 + (s.p[i] - '0');
	}
	return n;
}

bool
span_text(struct span s, struct buf *out)
{
	struct json *doc = NULL;
	const char *text;
	size_t len;

	if (s.len == 0 || json_parse(s.p, s.len, &doc) != HL_OK)
		return false;
	text = json_string(doc, &len);
	if (text)
		buf_add(out, text, len);
	json_free(doc);
	return text && buf_err(out) == HL_OK;
}

/* ---- the answer ---- */

static bool
begins_with(struct span s, char c)
{
	return s.len == 0 || s.p[0] == c;
}

enum hl_err
answer_parse(const char *text, size_t len, struct answer *ret)
{
	enum { REFUSE, LINE, STATE, ACK, JOIN, BACK, LEAVE, EMIT, MESSAGES, SEQ, FROM, OWN, EPOCH, LIVES, MEMBERS };
	static const char *const names[MEMBERS] = { "refuse", "line", "state", "ack", "join", "back", "leave", "emit", "messages",
	    "seq", "from", "own", "epoch", "lives" };
	struct json_view doc, member[MEMBERS];

	*ret = (struct answer){ .seq = -1 };
	if (json_view_open(text, len, JSON_JS, &doc) != HL_OK || json_view_kind(doc) != JSON_OBJECT)
		return HL_UPSTREAM;
	json_view_members(doc, names, member, MEMBERS);
	ret->refuse = span_of(member[REFUSE]);
	ret->line = span_of(member[LINE]);
	ret->state = span_of(member[STATE]);
	ret->ack = span_of(member[ACK]);
	ret->join = span_of(member[JOIN]);
	ret->back = span_of(member[BACK]);
	ret->leave = span_of(member[LEAVE]);
	ret->emit = span_of(member[EMIT]);
	ret->messages = span_of(member[MESSAGES]);
	ret->seq = span_integer(span_of(member[SEQ]), -1);
	ret->from = span_integer(span_of(member[FROM]), -1);
	ret->own = span_integer(span_of(member[OWN]), -1);
	ret->epoch = span_integer(span_of(member[EPOCH]), 0);
	ret->lives_ms = span_integer(span_of(member[LIVES]), -1);
	return begins_with(ret->refuse, '{') && begins_with(ret->line, '{') && begins_with(ret->join, '[') &&
	    begins_with(ret->back, '[') && begins_with(ret->leave, '[') && begins_with(ret->emit, '[') &&
	    begins_with(ret->messages, '[') ? HL_OK : HL_UPSTREAM;
}

/* ---- packets ---- */

static enum hl_err
attachment(struct span base64, struct message **ret)
{
	struct buf bytes = BUF_INIT(PACKET_MAX);
	enum hl_err err = HL_UPSTREAM;

	if (base64.len >= 2 && base64.p[0] == '"')
		err = eio_base64(base64.p + 1, base64.len - 2, &bytes);
	if (err == HL_OK && (*ret = message_new(MESSAGE_BINARY, bytes.data, bytes.len)) == NULL)
		err = HL_NO_MEMORY;
	buf_free(&bytes);
	return err;
}

static enum hl_err
head(const struct sio_packet *packet, struct message **ret)
{
	struct buf text = BUF_INIT(PACKET_MAX);
	enum hl_err err;

	buf_putc(&text, '4');
	sio_encode(&text, packet);
	err = buf_err(&text);
	if (err == HL_OK && (*ret = message_new(MESSAGE_TEXT, text.data, text.len)) == NULL)
		err = HL_NO_MEMORY;
	buf_free(&text);
	return err;
}

void
args_with_offset(struct buf *b, struct span args, const char *offset)
{
	size_t end = args.len;

	while (end > 0 && args.p[end - 1] != ']')
		end--;
	if (args.len == 0 || args.p[0] != '[' || end < 3 || json_space(args.p + 1, args.p + end) == args.p + end - 1) {
		buf_add(b, args.p, args.len);
		return;
	}
	buf_add(b, args.p, end - 1);
	buf_printf(b, ",\"%s\"]", offset);
}

enum hl_err
packet_messages(enum sio_type type, struct span nsp, struct span id, struct span args,
    struct message **ret_messages, unsigned *ret_count)
{
	struct sio_packet packet = { .type = type, .nsp = nsp, .id = id, .data = args };
	struct span item, binary = { NULL, 0 };
	const char *at = NULL;
	unsigned n = 1;
	enum hl_err err = HL_OK;

	*ret_count = 0;
	if (args.len && args.p[0] == '{') {
		packet.data = span_member(args, "args");
		binary = span_member(args, "binary");
	}
	if (packet.data.len == 0 || packet.data.p[0] != '[')
		return HL_UPSTREAM;
	while (err == HL_OK && span_next(binary, &at, &item)) {
		err = n > SIO_MAX_ATTACHMENTS ? HL_UPSTREAM : attachment(item, &ret_messages[n]);
		n += err == HL_OK;
	}
	if (n > 1) {
		packet.type = type == SIO_EVENT ? SIO_BINARY_EVENT : SIO_BINARY_ACK;
		packet.attachments = n - 1;
	}
	if (err == HL_OK)
		err = head(&packet, &ret_messages[0]);
	if (err) {
		while (--n > 0)
			message_unref(ret_messages[n]);
		return err;
	}
	*ret_count = n;
	return HL_OK;
}
