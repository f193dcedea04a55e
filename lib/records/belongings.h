/*
 * belongings.h - what of a store is one person's: an account with all that is its, and the sessions of the chat API that
 * came with a userId.  For export and erasure from the command line: it looks at every key there is.
 *
 * Sealed words say whose they are in no other way than by where they lie: what somebody else wrote about a person, in a
 * conversation of his own, is not found.  Processes that run forget within two minutes what they remember (recall.h,
 * api/kept.h, the sockets that may come back).
 */
#ifndef HL_BELONGINGS_H
#define HL_BELONGINGS_H

#include "records/account.h"

struct place_list { struct place *list; size_t count; };

struct belongings {
	const char	*user_id;		/* borrowed */
	struct account	 account;		/* .h: of whoever has that id; .stored false: there is no account */
	struct place_list sessions;		/* of the chat API */
	struct place_list conversations;	/* of the desk */
	struct place_list escalations;		/* ids, of both */
	struct place_list taken;		/* ids of those of others that this person has or had */
};
void	 belongings_free(struct belongings *);

/* account NULL: the one with that id, if there is one.  HL_NOT_FOUND: there is nothing of such a person. */
enum hl_err belongings_find(struct store *, const char *user_id, const struct account *, struct belongings *ret) HL_MUST_CHECK;

/* HL_CONFLICT: it is the only administrator, whom the other accounts need. */
enum hl_err belongings_check(struct store *, const struct belongings *) HL_MUST_CHECK;

/*
 * Removes all of it from the store, and then looks at every key and value whether a name of it is left; what is, goes too.
 * Sums of the whole installation stay, they name nobody.  ret_removed: keys and entries in others.  Files are the caller's:
 * b still says what there was.  HL_CONFLICT as above.  HL_BUSY: something came again and again.
 */
enum hl_err belongings_erase(struct store *, const struct belongings *b, size_t *ret_removed) HL_MUST_CHECK;

#endif
