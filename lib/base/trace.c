#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/trace.h"

#define SPAN_BYTES	8u
#define ID_BYTES	16u

#define STATE_NAME	"tracestate: "

/* Tasks of one thread share it. */
struct trace_state { unsigned owners; char line[]; };

static __thread struct trace *now;

/* Lower case alone is allowed, and not all zero. */
static bool
is_id(const char *at, size_t len)
{
	return strspn(at, "0123456789abcdef") >= len && strspn(at, "0") < len;
}

static bool
is_hex2(const char *at)
{
	return strspn(at, "0123456789abcdef") >= 2;
}

/*
 * version-id-parent-flags.  A version that we do not know may have more behind another dash; version 00 has nothing, and ff is
 * none.
 */
static bool
is_parent(const char *h)
{
	size_t len = strlen(h);

	if (len < TRACE_PARENT_LEN || !is_hex2(h) || strncmp(h, "ff", 2) == 0)
		return false;
	if (h[2] != '-' || !is_id(h + 3, TRACE_ID_LEN) || h[35] != '-' || !is_id(h + 36, 2 * SPAN_BYTES) || h[52] != '-' ||
	    !is_hex2(h + 53))
		return false;
	return len == TRACE_PARENT_LEN || (strncmp(h, "00", 2) != 0 && h[TRACE_PARENT_LEN] == '-');
}

/* Of the flags of a version that is not ours, only that of sampling is understood. */
bool
trace_begin(struct trace *t, const char *header, const char *request_id)
{
	size_t len = strlen(request_id);

	t->id[0] = '\0';
	t->state = NULL;
	memcpy(t->flags, "00", sizeof(t->flags));
	if (len > TRACE_REQUEST_MAX)
		len = TRACE_REQUEST_MAX;
	memcpy(t->request, request_id, len);
	t->request[len] = '\0';
	if (header == NULL || !is_parent(header))
		return false;
	memcpy(t->id, header + 3, TRACE_ID_LEN);
	t->id[TRACE_ID_LEN] = '\0';
	if (strchr("13579bdf", header[54]))
		t->flags[1] = '1';
	return true;
}

/* How much of it goes on: whole members, and nothing if there is what no header may have. */
static size_t
state_length(const char *header)
{
	size_t len = 0, n, members = 0;

	for (const char *at = header; members < TRACE_STATE_MEMBERS; at += n + 1, members++) {
		n = strcspn(at, ",");
		if ((size_t)(at - header) + n > TRACE_STATE_MAX)
			break;
		len = (size_t)(at - header) + n;
		if (at[n] == '\0')
			break;
	}
	for (size_t i = 0; i < len; i++)
		if ((header[i] < 0x20 && header[i] != '\t') || header[i] > 0x7e)
			return 0;
	return memchr(header, '=', len) ? len : 0;
}

void
trace_take_state(struct trace *t, const char *header)
{
	size_t len = header ? state_length(header) : 0;

	if (len == 0 || t->id[0] == '\0' || t->state)
		return;
	t->state = malloc(sizeof(*t->state) + sizeof(STATE_NAME) + len);
	if (t->state == NULL)
		return;
	t->state->owners = 1;
	memcpy(t->state->line, STATE_NAME, sizeof(STATE_NAME) - 1);
	memcpy(t->state->line + sizeof(STATE_NAME) - 1, header, len);
	t->state->line[sizeof(STATE_NAME) - 1 + len] = '\0';
}

void
trace_share(struct trace *to, const struct trace *from)
{
	*to = *from;
	if (to->state)
		to->state->owners++;
}

void
trace_end(struct trace *t)
{
	if (t->state && --t->state->owners == 0)
		free(t->state);
	t->state = NULL;
}

const char *
trace_state_header(void)
{
	return now && now->state ? now->state->line : NULL;
}

/* All zero is no id; that it comes by chance is not to be expected, but costs nothing to rule out. */
static void
draw(char *out, size_t bytes)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char r[ID_BYTES];

	random_bytes(r, bytes);
	r[0] |= r[0] == 0;
	for (size_t i = 0; i < bytes; i++) {
		out[2 * i] = digits[r[i] >> 4];
		out[2 * i + 1] = digits[r[i] & 15];
	}
	out[2 * bytes] = '\0';
}

const char *
trace_id(struct trace *t)
{
	if (t->id[0] == '\0')
		draw(t->id, ID_BYTES);
	return t->id;
}

void
trace_child(struct trace *t, char out[TRACE_PARENT_LEN + 1])
{
	char span[2 * SPAN_BYTES + 1];

	draw(span, SPAN_BYTES);
	snprintf(out, TRACE_PARENT_LEN + 1, "00-%s-%s-%s", trace_id(t), span, t->flags);
}

bool
trace_header(char out[TRACE_HEADER_MAX])
{
	char child[TRACE_PARENT_LEN + 1];

	if (now == NULL)
		return false;
	trace_child(now, child);
	snprintf(out, TRACE_HEADER_MAX, "traceparent: %s", child);
	return true;
}

struct trace *
trace_switch(struct trace *t)
{
	struct trace *before = now;

	now = t;
	return before;
}

struct trace *
trace_now(void)
{
	return now;
}
