/*
 * json.h - JSON in (RFC 8259), checked before it is believed.
 *
 * json_check() is a strict scanner over bytes: grammar, UTF-8, depth, number of values.  json_parse() runs it first and
 * only then makes json-c's tree, because json-c alone accepts overlong UTF-8, duplicate members, NaN and bodies
 * whose tree is forty times their size.  Values are borrowed from the document and live as long as it does.
 * Writing JSON is done with buf.h.
 */
#ifndef HL_JSON_H
#define HL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define JSON_MAX_DEPTH	32
#define JSON_MAX_NODES	20000

enum json_kind { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json;		/* a value; NULL where there is none, and every function below takes NULL */

enum json_strict {
	JSON_STRICT,	/* refuses \u0000, lone surrogates and duplicate members: for what we store and interpret */
	JSON_JS		/* what JavaScript's JSON.parse takes, any number of values: for what we only pass on, without a tree */
};

/*
 * HL_BAD_JSON when text is not one JSON value with optional white space around it.  HL_TOO_LARGE, with JSON_JS: it may be one,
 * but is nested deeper than JSON_MAX_DEPTH, and was not read on.
 */
enum hl_err json_check(const char *text, size_t len, enum json_strict) HL_MUST_CHECK;

/*
 * One value that starts at p: returns the first byte after it, or NULL if it is malformed, longer than end or nested
 * deeper than JSON_MAX_DEPTH.  No white space is skipped before it.
 */
const char *json_skip(const char *p, const char *end, enum json_strict) HL_MUST_CHECK;
const char *json_space(const char *p, const char *end);

/*
 * The characters of one escape, whose backslash is at p in a text that has been checked; lone surrogates and \u0000 become
 * U+FFFD.  Returns the first byte after it.
 */
const char *json_escape(struct buf *, const char *p);

/* Parses strictly; the caller frees *ret_doc. */
enum hl_err json_parse(const char *text, size_t len, struct json **ret_doc) HL_MUST_CHECK;
void	 json_free(struct json *);

enum json_kind json_kind(const struct json *);		/* JSON_NONE for NULL */
const struct json *json_get(const struct json *, const char *key);	/* NULL: absent, or not an object.  A member that is null is a value. */
const char *json_string(const struct json *, size_t *len);	/* NULL if not a string; len may be NULL */
bool	 json_number(const struct json *, double *);		/* false if not a finite number */
bool	 json_integer(const struct json *, int64_t *);		/* false if not a whole number that fits */
bool	 json_true(const struct json *);
size_t	 json_length(const struct json *);			/* of an array, else 0 */
const struct json *json_at(const struct json *, size_t);
void	 json_write(struct buf *, const struct json *);		/* compact text of a value */

/* Members of an object in their order; returns false after the last one. */
struct json_iter { const struct json *object; void *entry; };
bool	 json_next(struct json_iter *, const char **key, const struct json **value);

/* Shorthand: the string member, or NULL. */
const char *json_get_string(const struct json *, const char *key);

#endif
