#include <stdlib.h>
#include <string.h>

#include "base/engineio.h"
#include "base/json.h"
#include "push/answer.h"

#define PACKET_MAX	(16u << 20)

/* ---- slices ---- */

static struct span
value_at(const char *p, const char *end)
{
	const char *after = json_skip(p, end, JSON_JS);

	return (struct span){ p, after ? (size_t)(after - p) : 0 };
}

struct span
span_member(struct span object, const char *name)
{
	const char *end = object.p + object.len, *p;
	size_t n = strlen(name);

	if (object.len == 0 || object.p[0] != '{')
		return (struct span){ NULL, 0 };
	for (p = json_space(object.p + 1, end); p < end && *p == '"'; p = json_space(p, end)) {
		struct span key = value_at(p, end), value;

		p = json_space(p + key.len, end) + 1;			/* behind the colon */
		value = value_at(json_space(p, end), end);
		if (key.len == n + 2 && memcmp(key.p + 1, name, n) == 0)
			return value.len && value.p[0] == 'n' ? (struct span){ NULL, 0 } : value;
		p = json_space(value.p + value.len, end);
		if (value.len == 0 || *p != ',')
			break;
		p++;
	}
	return (struct span){ NULL, 0 };
}

bool
span_next(struct span array, const char **at, struct span *ret_item)
{
	const char *end = array.p + array.len, *p;

	if (array.len == 0 || array.p[0] != '[')
		return false;
	p = json_space(*at ? *at : array.p + 1, end);
	if (*at && p < end && *p == ',')
		p = json_space(p + 1, end);
	if (p >= end || *p == ']')
		return false;
	*ret_item = value_at(p, end);
	*at = p + ret_item->len;
	return ret_item->len > 0;
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
	const char *start = json_space(text, text + len);
	struct span all = { start, (size_t)(text + len - start) };

	*ret = (struct answer){ .seq = -1 };
	if (json_check(text, len, JSON_JS) != HL_OK || *start != '{')
		return HL_UPSTREAM;
	ret->refuse = span_member(all, "refuse");
	ret->line = span_member(all, "line");
	ret->state = span_member(all, "state");
	ret->ack = span_member(all, "ack");
	ret->join = span_member(all, "join");
	ret->back = span_member(all, "back");
	ret->leave = span_member(all, "leave");
	ret->emit = span_member(all, "emit");
	ret->messages = span_member(all, "messages");
	ret->seq = span_integer(span_member(all, "seq"), -1);
	ret->from = span_integer(span_member(all, "from"), -1);
	ret->own = span_integer(span_member(all, "own"), -1);
	ret->epoch = span_integer(span_member(all, "epoch"), 0);
	ret->lives_ms = span_integer(span_member(all, "lives"), -1);
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
