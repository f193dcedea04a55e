#include <stddef.h>
#include <string.h>

#include "base/id.h"
#include "typed.h"

const char *
typed_id(int *argc, char **argv)
{
	for (int i = 2; i < *argc; i++) {
		const char *id = argv[i];

		if (*id != '-' || *argv[i - 1] == '-' || !id_valid(id))
			continue;
		memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof(*argv));	/* with the NULL at their end */
		--*argc;
		return id;
	}
	return NULL;
}
