/*
 * fcgi_answer_fuzz - what a FastCGI program answers: the same answer, or the same error, however it was cut; what the head
 * leaves is the answer's end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "services/fcgi_answer.h"

#define MOST	5000u	/* bytes of answer: some inputs reach it */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct result { enum hl_err err; bool ended; struct buf out; };

/* In pieces of that many bytes, each of its own size in memory so that a byte too many is seen. */
static struct result
feed(const uint8_t *data, size_t size, size_t piece)
{
	struct result r = { .out = BUF_INIT(MOST) };
	struct fcgi_answer a = { .ended = false };
	size_t n;

	for (size_t at = 0; at < size && r.err == HL_OK; at += n) {
		char *copy;

		n = size - at < piece ? size - at : piece;
		copy = malloc(n);
		if (copy == NULL)
			abort();
		memcpy(copy, data + at, n);
		r.err = fcgi_answer_feed(&a, copy, n, &r.out);
		free(copy);
	}
	r.ended = a.ended;
	return r;
}

/* Of one that is too large, less than its most may be there. */
static void
compare(const struct result *a, const struct result *b)
{
	if (a->err != b->err || a->ended != b->ended)
		abort();
	if (a->err != HL_TOO_LARGE && a->out.len != b->out.len)
		abort();
	if (a->err != HL_TOO_LARGE && a->out.len && memcmp(a->out.data, b->out.data, a->out.len) != 0)
		abort();
}

static void
read_head(struct result *r)
{
	struct buf whole = BUF_INIT(MOST);
	enum hl_err err;
	int status;

	buf_add(&whole, r->out.data, r->out.len);
	err = fcgi_answer_head(&r->out, &status);
	if (err == HL_OK ? status < 100 || status > 999 || r->out.len >= whole.len : status != 0 || r->out.len != whole.len)
		abort();
	if (r->out.len && memcmp(r->out.data, whole.data + whole.len - r->out.len, r->out.len) != 0)
		abort();
	buf_free(&whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 8, 9, 64, 1000 };
	struct result whole = feed(data, size, size);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		struct result cut = feed(data, size, pieces[i]);

		compare(&whole, &cut);
		buf_free(&cut.out);
	}
	if (whole.err == HL_OK)
		read_head(&whole);
	buf_free(&whole.out);
	return 0;
}
