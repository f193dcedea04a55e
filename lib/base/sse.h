/*
 * sse.h - server-sent events in (WHATWG HTML, section 9.2.6), as bytes arrive.  No I/O.
 */
#ifndef HL_SSE_H
#define HL_SSE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define SSE_MAX_EVENT	(1u << 20)	/* bytes of one event's data */

struct sse {
	struct buf	 line, data, event;
	int		 after_cr, have_data, started;
};

void	 sse_init(struct sse *);
void	 sse_free(struct sse *);

/*
 * Feeds bytes; calls event(arg, name, data, len) for every complete event.  name is NULL when the event had none.  An
 * event whose blank line never comes is dropped.  The callback returns an error to stop; it is passed on.
 */
typedef enum hl_err (*sse_event)(void *arg, const char *name, const char *data, size_t len);
enum hl_err sse_feed(struct sse *, const char *bytes, size_t len, sse_event, void *arg) HL_MUST_CHECK;

#endif
