/*
 * request.h - what a request must be before a handler sees it: JSON, fields of the right type and size.
 */
#ifndef HL_REQUEST_H
#define HL_REQUEST_H

#include "api/call.h"

/* A text member of the body. */
struct text_field {
	const char	*name;
	bool		 required;
	size_t		 max;		/* bytes */
	enum hl_err	 too_long;	/* what it is beyond that */
	const char	**text;		/* out, borrowed from the body; NULL if absent */
	size_t		*len;		/* out; may be NULL */
};

/*
 * Reads the JSON body into call->body: HL_MEDIA_TYPE, HL_TOO_LARGE, HL_BAD_JSON, HL_BAD_REQUEST (no object).
 */
#define REQUEST_MAX	(256u * 1024)		/* bytes */
#define REQUEST_LONG	(24u * 1024 * 1024)	/* the longest packet of a socket, its attachments in base64 */
enum hl_err request_json(struct call *, size_t max) HL_MUST_CHECK;
/* Nothing of the body is needed any more, nor any text in it: before a wait, of which there may be thousands. */
void	 request_drop_body(struct call *);

/* Checks all fields, types first.  missing is the sentence when a required one is absent, null or blank. */
enum hl_err request_fields(struct call *, const struct json *object, const struct text_field *, size_t count,
	    const char *missing) HL_MUST_CHECK;

/* A parameter of the query string that is a word (letters, digits, "-", "_"), "" if it is absent.  HL_BAD_REQUEST. */
enum hl_err request_query(struct call *, const char *name, char *ret, size_t size) HL_MUST_CHECK;

/* One that is any text of at most max bytes, decoded (its percent signs and plus signs); "" if it is absent. */
enum hl_err request_query_text(struct call *, const char *name, size_t max, struct buf *ret) HL_MUST_CHECK;

/* One that is a whole number; otherwise, if it is absent. */
enum hl_err request_query_number(struct call *, const char *name, int64_t least, int64_t most, int64_t otherwise,
	    int64_t *ret) HL_MUST_CHECK;

/* May the answer be packed as gzip? */
bool	 request_takes_gzip(const struct call *);

/* If-None-Match names the tag (weak comparison, RFC 9110, section 8.8.3.2). */
bool	 request_has_tag(const struct call *, const char *etag);

/* A header (as FastCGI names it, "HTTP_IDEMPOTENCY_KEY") of at most max printable bytes; absent gives NULL. */
enum hl_err request_header(struct call *, const char *param, const char *human, size_t max, const char **ret) HL_MUST_CHECK;

/*
 * What names a request that makes something: its Idempotency-Key, *ret_keyed then; else nginx's id, which is the same when
 * nginx sends it again.  To be used together with whose it is.
 */
#define REQUEST_KEY_MAX		256u	/* bytes of one */
#define REQUEST_ONCE_MAX	(REQUEST_ID_MAX + 8)
enum hl_err request_once(struct call *, char ret[REQUEST_ONCE_MAX], bool *ret_keyed) HL_MUST_CHECK;
#define REQUEST_ONCE_GONE	"What was made with this Idempotency-Key has been deleted since: use another key to make a new one"

#endif
