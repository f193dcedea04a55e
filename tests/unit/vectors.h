/*
 * vectors.h - golden vectors for unit tests: json-c directly, because they hold what lib/base/json.h refuses.
 */
#ifndef HL_TEST_VECTORS_H
#define HL_TEST_VECTORS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define FOR_EACH(item, array)								\
	for (size_t item##_i = 0; item##_i < json_object_array_length(array) &&		\
	    ((item) = json_object_array_get_idx(array, item##_i), true); item##_i++)

static inline struct json_object *
member(struct json_object *o, const char *name)
{
	return json_object_object_get(o, name);
}

static inline const char *
name_of(struct json_object *vector)
{
	return json_object_get_string(member(vector, "name"));
}

static inline bool
is_binary(struct json_object *o)
{
	return json_object_is_type(o, json_type_object) && member(o, "$bin") != NULL;
}

/* The bytes of a string, of {"$bin":hex}, or of nothing. */
static inline void
bytes_of(struct json_object *o, struct buf *out)
{
	const char *hex;
	unsigned byte;

	buf_reset(out);
	buf_puts(out, "");
	if (o == NULL)
		return;
	if (!is_binary(o)) {
		buf_add(out, json_object_get_string(o), (size_t)json_object_get_string_len(o));
		return;
	}
	hex = json_object_get_string(member(o, "$bin"));
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		buf_putc(out, (char)byte);
}

#endif
