/*
 * sound_fuzz - recordings: nothing is read beyond their end, and what is found is possible.  A copy of exactly that size makes
 * the address sanitizer see a byte too many.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/sound.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
read_one(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct sound s;

	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	s = sound_read(copy, size);
	if (s.duration_ms < -1 || s.duration_ms > INT32_MAX)
		abort();
	if (s.container == CONTAINER_NONE ? s.duration_ms != -1 || s.cut : *container_extension(s.container) == '\0')
		abort();
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_one(data, size);
	if (size < 4096)		/* and cut off anywhere, of a small one */
		for (size_t n = 0; n < size; n += size / 16 + 1)
			read_one(data, n);
	return 0;
}
