#include <string.h>

#include "base/id.h"
#include "base/random.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
id_new(char out[ID_LEN + 1])
{
	unsigned char r[ID_LEN];

	random_bytes(r, sizeof(r));	/* 22 times 6 of the bits: 132 */
	for (size_t i = 0; i < ID_LEN; i++)
		out[i] = alphabet[r[i] & 63];
	out[ID_LEN] = '\0';
}

bool
id_valid(const char *id)
{
	return id && strlen(id) == ID_LEN && strspn(id, alphabet) == ID_LEN;
}
