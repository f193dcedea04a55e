/*
 * sha1.h - SHA-1 (RFC 3174), for one use: the answer to a WebSocket handshake (RFC 6455, section 4.2.2),
 * where it proves that the server speaks the protocol and protects nothing.  libsodium rightly does not have
 * it.
 */
#ifndef HL_SHA1_H
#define HL_SHA1_H

#include <stddef.h>

#define SHA1_LEN	20
#define SHA1_MAX_INPUT	183	/* bytes: as many as three blocks hold, far more than a handshake needs */

void	 sha1(const void *, size_t, unsigned char digest[SHA1_LEN]);

#endif
