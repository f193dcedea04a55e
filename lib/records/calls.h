/*
 * calls.h - calls in LiveKit's rooms that belong to a desk conversation: what LiveKit tells of them, and how long they are.
 *
 *   c:{S}:H:calls  hash    NAME (keyed name of an event's id) → sealed event; f:ROOM (keyed name of a room's sid) 1: it is over;
 *                          a< a> j< j> time of the first and the last event of all, and of those by which people came and left, ms
 *   c:{S}:H        hash    (desk.h) ks, ke: when its calls began and ended, ms: by people, or, of a room that tells of none, by
 *                          all events.  They count in the duration like messages do
 *   lr:{S}:ROOM    string  H, of a room that is a conversation's; gone CALLS_LINK_MS after the last word of it
 *   lx:{S}:ROOM    string  by whom its recording is being started; ROOM is the keyed name of the room's name
 *
 * Events may come twice, late, and in any order: what they come to is the same.
 */
#ifndef HL_CALLS_H
#define HL_CALLS_H

#include "records/desk.h"

#define CALLS_EVENTS_MAX	512	/* kept of a conversation; the times of those past it count */
#define CALLS_EVENT_BYTES	4096
#define CALLS_LINK_MS		604800000
#define CALLS_AHEAD_MS		86400000

enum call_kind { CALL_OTHER, CALL_ROOM_STARTED, CALL_ROOM_FINISHED, CALL_PERSON_JOINED, CALL_PERSON_LEFT };

struct call_event {
	enum call_kind	 kind;
	const char	*id;		/* LiveKit's */
	const char	*room;		/* its sid */
	int64_t		 at_ms;		/* by LiveKit's clock; further ahead than CALLS_AHEAD_MS: now */
	const char	*json;		/* what is kept: an object */
};

/* Whose it is: keyed name of the account.  HL_NOT_FOUND: there is no such conversation, or it is none of the desk's. */
enum hl_err calls_owner(struct store *, const struct place *, char ret_account[CRYPTO_NAME_LEN + 1]) HL_MUST_CHECK;

/* The room with this sid is the conversation's; and whose is it?  HL_NOT_FOUND: nobody's. */
enum hl_err calls_link(struct store *, const char *room, const struct place *) HL_MUST_CHECK;
enum hl_err calls_linked(struct store *, const char *room, struct place *ret) HL_MUST_CHECK;

/*
 * Keeps an event.  When a room is over its conversation is completed; one that is going on again by a room that is not over
 * is active again.  ret_ended: it was this event, for the first time, that completed it.
 */
enum hl_err calls_add(struct store *, const struct place *, const struct call_event *, bool *ret_ended) HL_MUST_CHECK;

/*
 * Only one at a time begins to record a room.  HL_CONFLICT: somebody does at this moment.  Whoever may ends with the second, however
 * it came out; who dies in between is forgotten after CALLS_RECORD_MS.
 */
#define CALLS_RECORD_MS		30000
enum hl_err calls_record_begin(struct store *, const char *room, char ret_mine[ID_LEN + 1]) HL_MUST_CHECK;
void	 calls_record_begun(struct store *, const char *room, const char *mine);

/* The events, oldest first: JSON objects. */
struct call_events { struct buf *list; size_t count; };
void	 call_events_free(struct call_events *);
enum hl_err calls_read(struct store *, const struct place *, struct call_events *ret) HL_MUST_CHECK;

#endif
