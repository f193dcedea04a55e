/*
 * id.h - identifiers nobody can guess: 132 random bits as 22 characters of base64url (RFC 4648, section 5).
 */
#ifndef HL_ID_H
#define HL_ID_H

#include <stdbool.h>

#define ID_LEN	22

void	 id_new(char out[ID_LEN + 1]);
bool	 id_valid(const char *);		/* the right length and alphabet; NULL is not */

#endif
