#include <string.h>
#include <strings.h>

#include "base/sha1.h"
#include "push/handshake.h"

#define KEY_LEN	24u

size_t
handshake_end(const char *bytes, size_t len, size_t from)
{
	const char *end;

	from = from > 3 ? from - 3 : 0;
	end = len > from ? memmem(bytes + from, len - from, "\r\n\r\n", 4) : NULL;
	return end ? (size_t)(end - bytes) + 4 : 0;
}

/* Ends the line at p with a NUL and returns the next one; NULL if the line holds a NUL or a bare CR or LF. */
static char *
cut_line(char *p)
{
	char *end = p + strcspn(p, "\r\n");

	if (end[0] != '\r' || end[1] != '\n')
		return NULL;
	*end = '\0';
	return end + 2;
}

static enum hl_err
parse_request_line(char *line, struct handshake *h)
{
	char *target = strchr(line, ' '), *protocol = target ? strchr(target + 1, ' ') : NULL, *query;

	if (protocol == NULL || strcmp(protocol, " HTTP/1.1") != 0 || target[1] != '/')
		return HL_BAD_REQUEST;
	*target++ = '\0';
	*protocol = '\0';
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	h->method = line;
	h->path = target;
	h->query = query ? query : "";
	return HL_OK;
}

/* Whether a comma-separated list has the token. */
static bool
has_token(const char *list, const char *token)
{
	size_t n = strlen(token);

	while (*list) {
		list += strspn(list, ", \t");
		if (strncasecmp(list, token, n) == 0 && strchr(", \t", list[n]))
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

struct upgrade_seen { bool upgrade, connection; };

static void
take_field(struct handshake *h, struct upgrade_seen *seen, const char *name, const char *value)
{
	const struct { const char *name; const char **at; } fields[] = {
		{ "Host", &h->host }, { "Origin", &h->origin }, { "Sec-WebSocket-Key", &h->key },
		{ "Sec-WebSocket-Version", &h->version }, { "X-Real-IP", &h->real_ip },
		{ "X-Forwarded-For", &h->forwarded_for }, { "Authorization", &h->authorization },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcasecmp(name, fields[i].name) == 0)
			*fields[i].at = value;
	if (strcasecmp(name, "Upgrade") == 0 && has_token(value, "websocket"))
		seen->upgrade = true;
	if (strcasecmp(name, "Connection") == 0 && has_token(value, "upgrade"))
		seen->connection = true;
}

static enum hl_err
parse_field(struct handshake *h, struct upgrade_seen *seen, char *line)
{
	char *colon = strchr(line, ':'), *value, *end;

	if (colon == NULL || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
		return HL_BAD_REQUEST;
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	for (end = value + strlen(value); end > value && strchr(" \t", end[-1]); end--)
		end[-1] = '\0';
	take_field(h, seen, line, value);
	return HL_OK;
}

enum hl_err
handshake_parse(char *head, size_t len, struct handshake *ret)
{
	struct upgrade_seen seen = { false, false };
	char *line = head, *next;
	enum hl_err err = HL_OK;

	*ret = (struct handshake){ .method = "", .path = "", .query = "" };
	if (memchr(head, '\0', len))
		return HL_BAD_REQUEST;
	head[len - 1] = '\0';		/* of the empty line's LF, so that string functions end here */
	next = cut_line(line);
	if (next == NULL)
		return HL_BAD_REQUEST;
	err = parse_request_line(line, ret);
	for (line = next; err == HL_OK && strcmp(line, "\r") != 0; line = next) {
		next = cut_line(line);
		err = next ? parse_field(ret, &seen, line) : HL_BAD_REQUEST;
	}
	ret->upgrade = seen.upgrade && seen.connection;
	return err;
}

bool
handshake_is_websocket(const struct handshake *h)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	return h->version && strcmp(h->version, "13") == 0 && h->key && strlen(h->key) == KEY_LEN &&
	    strspn(h->key, base64) == KEY_LEN - 2 && strcmp(h->key + KEY_LEN - 2, "==") == 0;
}

void
handshake_address(const struct handshake *h, char *out, size_t size)
{
	const char *address = h->real_ip, *comma = h->forwarded_for ? strrchr(h->forwarded_for, ',') : NULL;
	size_t n;

	if (address == NULL)
		address = comma ? comma + 1 + strspn(comma + 1, " \t") : h->forwarded_for;
	if (address == NULL)
		address = "";
	/* It goes into a header line of ours. */
	n = strspn(address, "0123456789abcdefABCDEF.:");
	if (n >= size)
		n = 0;
	memcpy(out, address, n);
	out[n] = '\0';
}

void
handshake_accept(struct buf *b, const struct handshake *h)
{
	unsigned char digest[SHA1_LEN];
	char text[KEY_LEN + 36 + 1];

	memcpy(text, h->key, KEY_LEN);
	memcpy(text + KEY_LEN, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 37);
	sha1(text, KEY_LEN + 36, digest);
	buf_puts(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: ");
	buf_base64(b, digest, sizeof(digest));
	buf_puts(b, "\r\n\r\n");
}
