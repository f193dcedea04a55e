/*
 * wire.h - frames on the private connection by which pushd and the events program carry a live call.  No I/O.
 *
 * A frame is its length (4 bytes, little-endian, of what follows), one byte of type, and its payload.  Sound goes as it is:
 * passing it through nginx as JSON would cost fifty times as much and lose which process has the call.
 */
#ifndef HL_WIRE_H
#define HL_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

enum wire_type {
	WIRE_HELLO = 'H',	/* to events, first: the key that its answer gave */
	WIRE_SOUND = 'S',	/* to events: samples */
	WIRE_EVENT = 'E',	/* either way: an event's arguments, a JSON array */
	WIRE_BINARY = 'B',	/* from events: an event with one attachment: length of the JSON (4 bytes), JSON, bytes */
	WIRE_BYE = 'Z'		/* from events, last: an event, as above */
};

#define WIRE_HEADER	5u
#define WIRE_MAX	(1u << 20)	/* bytes of a frame */

struct wire_frame {
	enum wire_type	 type;
	const char	*data;
	size_t		 len;
	const char	*bytes;		/* of WIRE_BINARY, the attachment … */
	size_t		 bytes_len;
};

void	 wire_add(struct buf *, enum wire_type, const void *, size_t);
void	 wire_add_binary(struct buf *, const char *json, size_t json_len, const void *bytes, size_t len);

/*
 * The frame at *at, which is moved behind it; it points into the text.  False: it is not whole yet.  HL_BAD_REQUEST: this
 * is not such a connection.
 */
enum hl_err wire_next(const char *text, size_t len, size_t *at, struct wire_frame *ret, bool *ret_whole) HL_MUST_CHECK;

#endif
