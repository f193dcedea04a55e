#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <zlib.h>

#include "base/gzip.h"

#define WINDOW_GZIP	(15 + 16)	/* zlib.h: sixteen more is gzip's header and trailer */
#define LEVEL		Z_BEST_SPEED

enum hl_err
gzip_pack(const void *bytes, size_t len, struct buf *out)
{
	z_stream z = { 0 };
	char *room;
	int said;

	if (len == 0 || len > INT32_MAX)
		return HL_TOO_LARGE;
	room = buf_reserve(out, len - 1);
	if (room == NULL)
		return buf_err(out);
	if (deflateInit2(&z, LEVEL, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return HL_NO_MEMORY;
	z.next_in = (Bytef *)(uintptr_t)bytes;
	z.avail_in = (uInt)len;
	z.next_out = (Bytef *)room;
	z.avail_out = (uInt)len - 1;
	said = deflate(&z, Z_FINISH);
	if (said == Z_STREAM_END)
		buf_grow(out, z.total_out);
	deflateEnd(&z);
	return said == Z_STREAM_END ? HL_OK : HL_TOO_LARGE;
}

/* Is a weight of nothing said of the coding whose name ends at p? */
static bool
refused(const char *p, const char *end)
{
	p += strspn(p, " \t");
	if (p >= end || *p != ';')
		return false;
	p += 1 + strspn(p + 1, " \t");
	if (strncasecmp(p, "q=0", 3) != 0)
		return false;
	for (p += 3; p < end && (*p == '.' || *p == '0'); p++)
		;
	return p == end || *p < '1' || *p > '9';
}

bool
gzip_taken(const char *codings)
{
	static const char *const names[] = { "gzip", "x-gzip", "*" };
	bool any = false;

	for (const char *p = codings; p && *p; ) {
		const char *end = p + strcspn(p, ","), *name = p + strspn(p, " \t");
		size_t len = strcspn(name, " \t;,");

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strlen(names[i]) == len && strncasecmp(name, names[i], len) == 0) {
				if (i < 2)
					return !refused(name + len, end);
				any = !refused(name + len, end);
			}
		p = *end ? end + 1 : end;
	}
	return any;
}
