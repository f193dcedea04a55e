/*
 * engineio.h - Engine.IO v4 packets and polling payloads (protocol revision 4).  No I/O, no state.
 *
 * A packet in WebSocket form is a text frame (a type digit and text) or a binary frame (a message's bytes
 * alone).  In a polling payload packets are joined by EIO_SEPARATOR, and a binary one is "b" and base64.
 */
#ifndef HL_ENGINEIO_H
#define HL_ENGINEIO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define EIO_SEPARATOR	'\x1e'

enum eio_type { EIO_OPEN, EIO_CLOSE, EIO_PING, EIO_PONG, EIO_MESSAGE, EIO_UPGRADE, EIO_NOOP };

struct eio_packet {
	enum eio_type	 type;
	bool		 binary;	/* EIO_MESSAGE only */
	const char	*data;		/* borrowed */
	size_t		 len;
};

/*
 * One packet from a text frame or from one part of a payload.  data points into text, or into *scratch if it
 * was base64.  HL_BAD_REQUEST: not a packet.
 */
enum hl_err eio_decode(const char *text, size_t len, struct buf *scratch,
    struct eio_packet *ret) HL_MUST_CHECK;

/*
 * The next packet of a payload that ends at end.  *at is where to start and is moved behind the packet; it is
 * NULL after the last one.  Decoding stops at the first bad packet.
 */
enum hl_err eio_payload_next(const char **at, const char *end, struct buf *scratch,
    struct eio_packet *ret) HL_MUST_CHECK;

/*
 * Base64 in either alphabet, with or without padding, into *out (emptied before).  HL_BAD_REQUEST: not
 * base64.
 */
enum hl_err eio_base64(const char *text, size_t len, struct buf *out) HL_MUST_CHECK;

/* Appends a packet in WebSocket form; the frame is binary if the packet is. */
void	 eio_encode(struct buf *, const struct eio_packet *);

/* Appends a packet that is in WebSocket form to a polling payload. */
void	 eio_payload_add(struct buf *, const char *frame, size_t len, bool binary);

#endif
