/*
 * msgpack.h - MessagePack read from the front: what is needed to take another program's values as JSON.  No I/O, no tree.
 *
 * The library that Debian has builds a tree of what the sender claims to send, sized before it has come; here the bytes
 * that are there bound everything.  Depth is bounded by MSGPACK_MAX_DEPTH.
 */
#ifndef HL_MSGPACK_H
#define HL_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/socketio.h"

#define MSGPACK_MAX_DEPTH	32

/* Where to go on reading; begins with all the bytes. */
struct msgpack { const unsigned char *at, *end; };

/*
 * Each takes one value of its kind from the front.  HL_BAD_REQUEST: it is not that, or the bytes end in it.  Containers
 * are taken without what they hold: that many values, or twice as many, follow.
 */
enum hl_err msgpack_array(struct msgpack *, uint32_t *ret_count) HL_MUST_CHECK;
enum hl_err msgpack_map(struct msgpack *, uint32_t *ret_count) HL_MUST_CHECK;
enum hl_err msgpack_text(struct msgpack *, struct span *ret) HL_MUST_CHECK;	/* bytes of the payload */
enum hl_err msgpack_bool(struct msgpack *, bool *ret) HL_MUST_CHECK;
enum hl_err msgpack_integer(struct msgpack *, int64_t *ret) HL_MUST_CHECK;
enum hl_err msgpack_skip(struct msgpack *) HL_MUST_CHECK;
bool	 msgpack_is_text(const struct msgpack *);

/*
 * Takes one value and appends it as JSON.  Binary becomes Socket.IO's placeholder, its bytes a further item of *binary
 * ("base64",…; *binaries counts them); a timestamp becomes its text, what JSON has no word for becomes null, and bytes
 * in a text that are no UTF-8 become U+FFFD.
 */
enum hl_err msgpack_json(struct msgpack *, struct buf *json, struct buf *binary, unsigned *binaries) HL_MUST_CHECK;

#endif
