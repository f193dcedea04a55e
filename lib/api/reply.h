/*
 * reply.h - answers: JSON, problem documents (RFC 9457), server-sent events.
 */
#ifndef HL_REPLY_H
#define HL_REPLY_H

#include "api/call.h"

enum hl_err reply_json(struct call *, int status, const struct buf *body) HL_MUST_CHECK;
enum hl_err reply_empty(struct call *, int status) HL_MUST_CHECK;

enum hl_err reply_text(struct call *, const char *type, const struct buf *body) HL_MUST_CHECK;	/* never kept */

/* A table (base/csv.h), to be saved under a name, which is a word. */
enum hl_err reply_csv(struct call *, const char *name, const struct buf *body) HL_MUST_CHECK;

/*
 * What the client may keep, and asks about again before it uses it (RFC 9110, section 8.8.3; RFC 9111): etag with its
 * quotes, link the value of Link (RFC 8288) or NULL.  body NULL: it has it (request_has_tag()), 304.
 */
enum hl_err reply_tagged(struct call *, const char *etag, const char *link, const struct buf *body) HL_MUST_CHECK;

/* The same with a body that is gzip, for a client that takes it (request_takes_gzip()). */
enum hl_err reply_tagged_gzip(struct call *, const char *etag, const char *link, const struct buf *body) HL_MUST_CHECK;

/*
 * The one place where an error becomes an answer: application/problem+json with type, title, status, detail and code, and
 * the same sentence as "error" and "message" for the two old dialects; "fields" says it of each member that is wrong.  Where
 * OpenAI's clients ask, it has their shape (openai.h).
 */
void	 reply_problem(struct call *, enum hl_err);
void	 reply_write_problem(const struct call *, enum hl_err, struct buf *);	/* the document: for the end of a stream */

/* A sound whose length is not known yet; the caller writes and flushes it. */
enum hl_err reply_sound(struct call *, const char *type) HL_MUST_CHECK;

/* A stream of events; each is flushed.  HL_CANCELLED: the client has gone. */
enum hl_err reply_stream(struct call *) HL_MUST_CHECK;
/* Does not suspend.  HL_BUSY: it will be sent, but he reads too slowly for more. */
enum hl_err reply_event(struct call *, const char *id, const char *name, const struct buf *data) HL_MUST_CHECK;
enum hl_err reply_data(struct call *, const char *line, size_t len) HL_MUST_CHECK;	/* one without a name; no line ends in it */

#endif
