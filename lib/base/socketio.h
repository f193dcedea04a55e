/*
 * socketio.h - Socket.IO v5 packets: text in, one checked packet out, and back.  No I/O.
 *
 * Arguments are never rewritten: a packet's data is the JSON text as the client wrote it, checked (json.h's
 * depth and size limits, JavaScript's grammar) but not parsed into a tree.
 */
#ifndef HL_SOCKETIO_H
#define HL_SOCKETIO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define SIO_MAX_ATTACHMENTS	10u		/* what socket.io-parser takes; with more, clients reconnect */
#define SIO_MAX_ID		32u		/* digits of an acknowledgement's id */
#define SIO_MAX_NSP		256u		/* bytes of a namespace's name */
#define SIO_MAX_BYTES		(4u << 20)	/* a packet with its attachments */

enum sio_type {
	SIO_CONNECT, SIO_DISCONNECT, SIO_EVENT, SIO_ACK, SIO_CONNECT_ERROR, SIO_BINARY_EVENT, SIO_BINARY_ACK
};

struct span { const char *p; size_t len; };	/* borrowed text; len 0: none */
#define SPAN(s)		((struct span){ (s), sizeof(s) - 1 })

struct sio_packet {
	enum sio_type	 type;
	unsigned	 attachments;	/* of the two binary types, else 0 */
	struct span	 nsp;		/* "/" if the packet named none */
	struct span	 id;		/* decimal, no leading zeros */
	struct span	 data;		/* JSON */
	struct span	 name;		/* of an event: its first argument, as written */
	bool		 too_deep;	/* an event that is nested too deeply: there is no name then, and data was not read on */
};

/* The text of a packet.  HL_BAD_REQUEST: the protocol has the connection closed. */
enum hl_err sio_parse(const char *text, size_t len, struct sio_packet *ret) HL_MUST_CHECK;

/* Appends the text of a packet (name is not looked at). */
void	 sio_encode(struct buf *, const struct sio_packet *);

/*
 * Puts packets and their attachments together.  All zero is a fresh one; it takes memory only while one is
 * incomplete.
 */
struct sio_decoder { struct sio_partial *partial; };

/*
 * Feed every message of the connection to one of these.  *ret_whole tells whether *ret is a whole packet now;
 * it and its attachments are borrowed until the next call.  HL_BAD_REQUEST: as above, also for what comes out
 * of order and for placeholders that point nowhere.
 */
enum hl_err sio_feed_text(struct sio_decoder *, const char *, size_t, struct sio_packet *ret,
    bool *ret_whole) HL_MUST_CHECK;
enum hl_err sio_feed_binary(struct sio_decoder *, const void *, size_t, struct sio_packet *ret,
    bool *ret_whole) HL_MUST_CHECK;
struct span sio_attachment(const struct sio_decoder *, unsigned);
void	 sio_decoder_free(struct sio_decoder *);

#endif
