/*
 * livekit.h - LiveKit: its access tokens, calls to its server (Twirp over HTTP), and whether what says it comes from it does.
 *
 * Rooms are namespaced: on LiveKit a room is called PREFIX_NAME, where PREFIX is a keyed name of the account and NAME what
 * its caller says, so that no account can name another's.  Only grants and calls carry it.
 *
 * The server's address and the key come from the settings LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET alone.
 */
#ifndef HL_LIVEKIT_H
#define HL_LIVEKIT_H

#include <stdbool.h>

#include "base/conf.h"
#include "base/json_view.h"
#include "services/crypto.h"
#include "services/http.h"

#define LIVEKIT_CALL_LIFE_S	600		/* of a token for a call of our own; never more than 900 */
#define LIVEKIT_ADMIN_LIFE_S	900		/* of one that administrates a room */
#define LIVEKIT_JOIN_LIFE_S	3600		/* in which a participant may enter; whoever is in gets new ones from LiveKit */
#define LIVEKIT_LEEWAY_S	60		/* between its clock and ours */

#define LIVEKIT_PREFIX_LEN	(CRYPTO_NAME_LEN + 1)
#define LIVEKIT_NAME_MAX	128		/* bytes of a room's name, as its caller says it, and of an identity */
#define LIVEKIT_ROOM_MAX	(LIVEKIT_PREFIX_LEN + LIVEKIT_NAME_MAX)

/* Are the settings there?  If not, missing gets their names: "A, B and C". */
bool	 livekit_is_set(const struct conf *, struct buf *missing);

/* Where participants connect to: LIVEKIT_URL with wss: or ws:. */
void	 livekit_ws_url(const struct conf *, struct buf *out);

/* ---- names ---- */

/* What can be a room's name, or a participant's identity, and stand in a path: 1 to LIVEKIT_NAME_MAX bytes of text without
 * control characters and slashes, neither "." nor "..". */
bool	 livekit_name_valid(const char *, size_t len);

/* account: its keyed name. */
void	 livekit_prefix(const struct crypto *, const char *account, char out[LIVEKIT_PREFIX_LEN + 1]);

/* ---- tokens ---- */

/* What a token allows.  Texts may be NULL. */
struct livekit_grant {
	const char	*room;			/* as LiveKit knows it */
	const char	*identity, *name;	/* of a participant */
	bool		 join;			/* to enter, speak and listen */
	bool		 admin;			/* of that room: participants, dispatches */
	bool		 create, list, record;	/* all rooms: never for others than ourselves */
};

/* now_s: the time from which on it is valid. */
enum hl_err livekit_token(const struct conf *, const struct livekit_grant *, int64_t now_s, int64_t life_s, struct buf *out)
	    HL_MUST_CHECK;

/* ---- calls ---- */

#define LIVEKIT_CALL_MS		10000
#define LIVEKIT_ANSWER_MAX	(8u << 20)	/* bytes: some ten thousand rooms */

struct livekit_answer {
	struct buf	 text;
	struct json_view json;		/* an object; in text */
	/* When it was refused: */
	char		 code[32];	/* LiveKit's word: "not_found", …; "" if it said none */
	struct buf	 problem;	/* its sentence, or why there is none; for the log, and without names for the caller */
};
void	 livekit_answer_free(struct livekit_answer *);

/*
 * POST of a JSON body to "Service/Method" with a token that allows just that.  Suspends; a redirect is a failure.
 * HL_NOT_FOUND, HL_BAD_REQUEST, HL_CONFLICT (exists already; not now), HL_TOO_MANY, HL_BUSY, HL_TIMEOUT; HL_UPSTREAM:
 * everything else, that our key is refused too.  livekit_answer_free() in any case.
 */
enum hl_err livekit_call(struct http *, const struct conf *, const char *method, const struct livekit_grant *,
	    const struct buf *body, struct livekit_answer *ret) HL_MUST_CHECK;

/* What a failure of Twirp is here, by its code, or where there is none by the status. */
enum hl_err livekit_error(const char *code, int status) HL_MUST_CHECK;

/* A member by its proto name (snake_case), or, as webhooks write it, in camelCase; 64-bit numbers are strings, or numbers. */
struct json_view livekit_get(struct json_view object, const char *name);
int64_t	 livekit_number(struct json_view object, const char *name);	/* 0 if there is none */

/* ---- webhooks ---- */

/*
 * Authorization is a token of our key, in time, whose claim sha256 is that of the body: HL_UNAUTHORIZED if not, with the
 * body not looked into.
 */
enum hl_err livekit_webhook_check(const struct conf *, const char *authorization, const void *body, size_t len, int64_t now_s)
	    HL_MUST_CHECK;

#endif
