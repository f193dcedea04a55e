/*
 * json_view.h - JSON read where it stands, for documents that are looked into once and thrown away.
 *
 * A model's server sends a document of 200 bytes for each token, and a turn opens twenty messages: trees of them were a
 * third of the processor time of a message (see json.h for what keeps a tree).  A view is a piece of a text that has
 * been checked; it lives as long as the text, and every function takes one that is empty.
 */
#ifndef HL_JSON_VIEW_H
#define HL_JSON_VIEW_H

#include "base/json.h"

struct json_view { const char *at, *end; };	/* at is NULL where there is no value */

/* HL_BAD_JSON, also if it is nested too deeply.  Of members that are there twice the first one is found. */
enum hl_err json_view_open(const char *text, size_t len, enum json_strict, struct json_view *ret) HL_MUST_CHECK;

/* Of a text that is known to be JSON, as what we wrote and sealed ourselves; anything else is undefined. */
struct json_view json_view_own(const char *text, size_t len);

enum json_kind	 json_view_kind(struct json_view);

/* Members by their names, in one pass.  A name that is written with escapes is not found. */
void		 json_view_members(struct json_view object, const char *const *names, struct json_view *ret, size_t count);
struct json_view json_view_get(struct json_view object, const char *name);

/* The next item of an array: *item begins empty.  False after the last one. */
bool	 json_view_next(struct json_view array, struct json_view *item);

/* A string's characters are in the text as they are, or the string has escapes in it, or it is none: NULL then. */
const char *json_view_plain(struct json_view, size_t *len);

/* Appends a string's characters; lone surrogates and \u0000 become U+FFFD.  False: it is no string. */
bool	 json_view_string(struct json_view, struct buf *);
bool	 json_view_is(struct json_view, const char *string);
bool	 json_view_integer(struct json_view, int64_t *);	/* false if not a whole number, or written with a fraction or an exponent */
bool	 json_view_number(struct json_view, double *);	/* false if not a finite number.  The text is followed by a NUL or by more JSON */
void	 json_view_write(struct buf *, struct json_view);	/* its text, as it is; null if empty */

#endif
