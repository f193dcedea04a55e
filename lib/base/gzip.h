/*
 * gzip.h - a text packed as gzip (RFC 1952), for bodies that are sent more often than they are made.
 */
#ifndef HL_GZIP_H
#define HL_GZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Appends it; HL_TOO_LARGE where it would not be shorter.  A hundred kilobytes of JSON take about a millisecond. */
enum hl_err gzip_pack(const void *bytes, size_t len, struct buf *out) HL_MUST_CHECK;

/* Does a list of codings (Accept-Encoding; RFC 9110, section 12.5.3; NULL: none was sent) take gzip? */
bool	 gzip_taken(const char *codings);

#endif
