/*
 * buf.h - a growing byte buffer with a cap.
 *
 * A buffer that hits its cap or runs out of memory remembers that and ignores what is added afterwards, so that a
 * writer checks once, at the end, with buf_err().  data is NUL-terminated after every successful addition (the NUL is
 * not counted in len); it is NULL while nothing was added.
 */
#ifndef HL_BUF_H
#define HL_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

struct buf {
	char		*data;
	size_t		 len;
	size_t		 cap;	/* never more than max and the NUL */
	size_t		 max;	/* bytes; adding beyond it fails with HL_TOO_LARGE */
	enum hl_err	 err;
};

#define BUF_INIT(limit)	((struct buf){ .max = (limit) })

void	 buf_free(struct buf *);		/* also resets; the cap stays */
void	 buf_reset(struct buf *);		/* empties, keeps the memory, forgets the error */
void	 buf_printf(struct buf *, const char *, ...) __attribute__((format(printf, 2, 3)));
void	 buf_int(struct buf *, int64_t);
char	*buf_reserve(struct buf *, size_t);	/* room for n bytes at the end, or NULL; then buf_grow() */
void	 buf_grow(struct buf *, size_t);	/* n of the reserved bytes were written */
void	 buf_consume(struct buf *, size_t);	/* drops n bytes from the front */
void	 buf_trim(struct buf *);		/* gives back room that is not used: for what is kept for long */
char	*buf_steal(struct buf *);		/* the caller frees it with free(3); the buffer is empty then */
enum hl_err buf_err(const struct buf *) HL_MUST_CHECK;

/* Most of what is written is a few bytes for which there is room: hundreds of times a message, so without a call. */
static inline void
buf_add(struct buf *b, const void *bytes, size_t n)
{
	char *p = n < b->cap - b->len && b->err == HL_OK ? b->data + b->len : buf_reserve(b, n);

	if (p == NULL)
		return;
	if (n)
		memcpy(p, bytes, n);
	p[n] = '\0';
	b->len += n;
}

static inline void
buf_putc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

/* Here, so that the compiler counts the letters of a literal. */
static inline void
buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

/* "text" as a JSON string with its quotes.  Bytes must be UTF-8 (as everything that came in has been checked to be). */
void	 buf_json(struct buf *, const char *, size_t);
void	 buf_json_part(struct buf *, const char *, size_t);	/* without the quotes: a string in several parts */
void	 buf_json_str(struct buf *, const char *);	/* NULL gives null */
/* Standard base64 with padding (RFC 4648, section 4). */
void	 buf_base64(struct buf *, const void *, size_t);

#endif
