/*
 * livekit.h - what the files of LiveKit's routes share.
 */
#ifndef HL_DESK_LIVEKIT_H
#define HL_DESK_LIVEKIT_H

#include "api/auth.h"
#include "desk/desk.h"
#include "engine/livekit.h"

/* Who calls, and about which room. */
struct visit {
	struct account	 who;
	char		 prefix[LIVEKIT_PREFIX_LEN + 1];
	char		 room[LIVEKIT_ROOM_MAX + 1];	/* as LiveKit knows it; "" until it is named */
};

/* HL_NOT_SET_UP says what is missing. */
enum hl_err visit_set_up(struct call *) HL_MUST_CHECK;

/* Signed in, and LiveKit is set up. */
enum hl_err visit_begin(struct call *, struct visit *) HL_MUST_CHECK;
enum hl_err visit_name(struct call *, struct visit *, const char *name, size_t len) HL_MUST_CHECK;	/* HL_BAD_REQUEST */

/* Both, of the room in the path.  HL_NOT_FOUND: that is no room's name. */
enum hl_err visit_path(struct call *, struct visit *) HL_MUST_CHECK;

/* The name that the account knows it by; NULL: it is another's. */
const char *visit_own(const struct visit *, const char *room);

/* As livekit_call(), with a sentence for the caller when it fails; what is missing then is what: "room", "participant". */
enum hl_err visit_call(struct call *, const struct visit *, const char *method, const struct livekit_grant *,
	    const struct buf *body, const char *what, struct livekit_answer *ret) HL_MUST_CHECK;

/* HL_NOT_FOUND: LiveKit has no such room. */
enum hl_err visit_room_exists(struct call *, const struct visit *) HL_MUST_CHECK;

/*
 * Makes the room unless it is there, and, with an id, sees to it that it is that conversation's.  ret_id (may be NULL) gets
 * the id of the conversation that it is; "" if it is none's.  HL_NOT_FOUND: the account has no such conversation.
 */
enum hl_err visit_make_room(struct call *, const struct visit *, const char *conversation_id, char ret_id[ID_LEN + 1])
	    HL_MUST_CHECK;

/* Appends a string of LiveKit's as JSON, or null; of a time in ms or s ("…_ms" first) ISO 8601, or null. */
void	 show_text(struct buf *, const char *name, struct json_view object, const char *member);
void	 show_time(struct buf *, const char *name, int64_t ms);

/* Which conversation a room is for, by its metadata.  False: none that it says. */
bool	 room_conversation(struct store *, struct json_view room, struct place *ret);

#endif
