/*
 * handshake.h - the HTTP request that opens a WebSocket (RFC 6455, section 4.2.1), bounded.  No I/O.
 *
 * Only nginx speaks to this parser, yet what it forwards is the client's: names, values and lengths are not
 * trusted.
 */
#ifndef HL_HANDSHAKE_H
#define HL_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define HANDSHAKE_MAX	32768u		/* bytes; what nginx lets through with its default buffers */

struct handshake {
	const char	*method, *path, *query;		/* never NULL */
	const char	*host, *origin, *key, *version;	/* NULL: absent */
	const char	*real_ip, *forwarded_for, *authorization;
	bool		 upgrade;			/* "Upgrade: websocket" and "Connection: upgrade" */
};

/*
 * Length of the head with its empty line, once it is there; else 0.  The first from bytes have been looked at
 * before.
 */
size_t	 handshake_end(const char *bytes, size_t len, size_t from);

/* Cuts the head up in place; *ret points into it.  HL_BAD_REQUEST: not HTTP/1.1. */
enum hl_err handshake_parse(char *head, size_t len, struct handshake *ret) HL_MUST_CHECK;

/* Whether key and version are those of a WebSocket client. */
bool	 handshake_is_websocket(const struct handshake *);

/* The client's address: X-Real-IP, else the last of X-Forwarded-For, else "". */
void	 handshake_address(const struct handshake *, char *out, size_t size);

/* Appends the answer that makes it a WebSocket. */
void	 handshake_accept(struct buf *, const struct handshake *);

#endif
