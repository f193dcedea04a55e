/*
 * events.h - what the files of the events program share: each dialect's events, and the answers that pushd gets.
 *
 * A socket that spoke in a room hears it: an event is answered with the room to join, and when pushd has subscribed it asks
 * again ("joined") with what stands in "then", so that nothing is missed between the two.
 */
#ifndef HL_EVENTS_H
#define HL_EVENTS_H

#include "api/call.h"
#include "engine/talk.h"

#define CLIENT_ID_MAX	256
#define ANSWER_BYTES	(16u * 1024 * 1024)

/* ---- events.c ---- */

const char *events_room(const struct call *);	/* keyed name of the conversation whose room it is; "": it is none of those */

/* ---- connect.c, replay.c: each answers the call ---- */

enum hl_err events_connect(struct call *) HL_MUST_CHECK;	/* a token is not needed here; one that is sent must be good */
enum hl_err events_replay(struct call *) HL_MUST_CHECK;	/* a room is of one dialect, whoever listens */

/* ---- told.c ---- */

/*
 * An event that could not be done is an answer too: pushd tells the client, and the connection lives on.  The sentence is
 * the call's, or the error's own; client_id may be NULL.
 */
enum hl_err push_refusal(struct call *, enum hl_err why, const char *client_id) HL_MUST_CHECK;
enum hl_err push_text(struct call *, const char *json) HL_MUST_CHECK;

void	 push_begin_room(struct buf *, const struct place *, const char *id);	/* {"room":…,"alias":… - an item of "join" or "back" */
/* "join":[{"room":…,"then":{… - the caller goes on in "then" and closes both. */
void	 push_begin_join(struct buf *, const struct place *, const char *id);
/*
 * The same, with what the turn's message is acknowledged with when it has joined.  event: put off, and acknowledged at once, while
 * such an event of its client has come and is still to be asked, and wait_ms for one that may come; NULL: it is not put off.
 */
void	 push_begin_join_unless(struct buf *, const char *event, int64_t wait_ms, const struct place *, const char *id,
	    const struct turn *, const char *client_id);
/* {"state":…, - what is asked when it has joined begins so, and only then the room is the one it is in. */
void	 push_begin_joined(struct buf *, const struct call *);
/* The last argument of an event that tells all up to seq, before its socket is in the room: what clients name when they return. */
void	 push_write_offset(struct buf *, const struct call *, const struct place *, const char *id, int64_t seq);
bool	 push_has_joined(const struct call *, const struct place *);	/* the socket is in that room already */

/* What an accepted message is acknowledged with; client_id may be NULL. */
void	 push_write_sent(struct buf *, const struct turn *, const char *client_id);

/* Keyed name of the account whose token the socket connected with; NULL: none.  A token is checked then, and only then. */
const char *socket_account(const struct call *);

/* ---- chat.c: each answers the call ---- */

enum hl_err chat_join(struct call *, const struct json *payload) HL_MUST_CHECK;
enum hl_err chat_joined(struct call *, const char *id, const struct json *then) HL_MUST_CHECK;
enum hl_err chat_send(struct call *, const struct json *payload) HL_MUST_CHECK;
enum hl_err chat_joined_by_sending(struct call *, const char *room, const struct json *then, int64_t sent) HL_MUST_CHECK;

/* ---- replay.c ---- */

/*
 * Whose the conversation is, and whether an answer is being written, for who may have missed that this changed: events with
 * commas.  What is told of the log must have been read before, so that no end of an answer is between the two.
 */
void	 events_write_state(struct buf *, const struct ownership *);

/*
 * When a socket has joined by what it said: it was "in" the room already, and is to hear the answer to that once more, for it was
 * "answered" when it came.
 */
bool	 events_again(const struct call *, const struct json *then);

/* Of the messages behind one that a customer sent, the answer to it; NULL: there is none yet. */
const struct entry *events_answer(const struct entries *, int64_t sent);

/* A stored message as what sockets got, or would have got: one event, or several with commas. */
void	 chat_write_event(struct buf *, const struct entry *, bool ends_typing);	/* one, or two with a comma */

/* ---- desk.c: likewise ---- */

enum hl_err desk_start(struct call *, const struct json *payload) HL_MUST_CHECK;
enum hl_err desk_say(struct call *, const struct json *payload) HL_MUST_CHECK;
enum hl_err desk_joined(struct call *, const char *room, const struct json *then) HL_MUST_CHECK;
void	 desk_write_event(struct buf *, const struct entry *, const char *conversation_id, bool ends_typing);	/* likewise */

enum hl_err desk_error(struct call *, enum hl_err) HL_MUST_CHECK;	/* the sentence for what accepting came to */
/* The answer to an event that was accepted as a message; event: what the socket gets besides, as an array, or "". */
void	 desk_write_accepted(struct buf *, struct call *, const struct incoming *, const struct turn *, const char *client_id,
	    const char *event);

/* ---- audio.c: likewise ---- */

enum hl_err audio_say(struct call *, const struct json *payload) HL_MUST_CHECK;

/* ---- voice.c: likewise ---- */

enum hl_err voice_start(struct call *, const struct json *payload) HL_MUST_CHECK;

/* ---- phone.c ---- */

/*
 * Who connects to that path with the key within ten seconds has that call.  Begins to listen, the first time.  HL_BUSY: there
 * are MAX_CALLS.  Everything is copied; the path stays.
 */
enum hl_err phone_expect(struct app *, const struct talk_who *, char ret_key[ID_LEN + 1], const char **ret_path) HL_MUST_CHECK;

#endif
