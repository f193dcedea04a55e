#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/id.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
id_new(char out[ID_LEN + 1])
{
	unsigned char r[ID_LEN];

	/* 22 times 6 random bits: 132.  The kernel gives up to 256 bytes whole once it is seeded. */
	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		abort();
	for (size_t i = 0; i < ID_LEN; i++)
		out[i] = alphabet[r[i] & 63];
	out[ID_LEN] = '\0';
}

bool
id_valid(const char *id)
{
	return id && strlen(id) == ID_LEN && strspn(id, alphabet) == ID_LEN;
}
