#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/image.h"

static uint32_t
big32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
little32(const unsigned char *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Chunks from IHDR to IEND, and nothing behind that (PNG specification, section 5). */
static bool
is_png(const unsigned char *p, size_t len)
{
	size_t at = 8;

	if (len < 57 || memcmp(p, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16) != 0 || big32(p + 16) == 0 || big32(p + 20) == 0)
		return false;
	while (len - at >= 12) {
		size_t n = big32(p + at);

		if (n > len - at - 12)
			return false;
		if (memcmp(p + at + 4, "IEND", 4) == 0)
			return at + n + 12 == len;
		at += n + 12;
	}
	return false;
}

/* From SOI to EOI, with another marker after the first (ITU T.81, annex B). */
static bool
is_jpeg(const unsigned char *p, size_t len)
{
	return len > 20 && memcmp(p, "\xff\xd8\xff", 3) == 0 && p[3] >= 0xc0 && p[3] != 0xff &&
	    memcmp(p + len - 2, "\xff\xd9", 2) == 0;
}

static bool
is_gif(const unsigned char *p, size_t len)
{
	return len > 14 && (memcmp(p, "GIF87a", 6) == 0 || memcmp(p, "GIF89a", 6) == 0) && (p[6] | p[7]) && (p[8] | p[9]) &&
	    p[len - 1] == 0x3b;
}

static bool
is_webp(const unsigned char *p, size_t len)
{
	return len > 20 && memcmp(p, "RIFF", 4) == 0 && memcmp(p + 8, "WEBPVP8", 7) == 0 && little32(p + 4) == len - 8;
}

const char *
image_type(const void *bytes, size_t len)
{
	if (is_png(bytes, len))
		return "png";
	if (is_jpeg(bytes, len))
		return "jpg";
	if (is_gif(bytes, len))
		return "gif";
	return is_webp(bytes, len) ? "webp" : NULL;
}
