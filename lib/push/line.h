/*
 * line.h - a socket's live call: a connection of its own to the process that has the call (loop/wire_pipe.h).
 *
 * The answer to an event may say "line": {"socket": path, "key": …}.  From then on voice_audio, voice_played, voice_rate and
 * voice_stop go there instead of being asked about, and what comes from there goes to the client.  When that process dies,
 * the client gets voice_ended with the reason begin_again.
 */
#ifndef HL_LINE_H
#define HL_LINE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/socketio.h"

struct socket;

#define LINE_WAITING_MAX	(1u << 20)	/* bytes that the process has not taken; it is as good as dead then */

/* Replaces the socket's line.  where is the member of the answer. */
enum hl_err line_open(struct socket *, struct span where) HL_MUST_CHECK;
void	 line_close(struct socket *);		/* the process is told by the connection's end; or it has none */

/* Is it an event of a live call?  Then it has been seen to: sent on, or answered. */
bool	 line_takes(struct socket *, const struct sio_packet *);

#endif
