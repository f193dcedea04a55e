/*
 * sign_in.h - signing in with a password, and staying signed in with refresh tokens.
 *
 * An attempt is counted before the password is looked at and given back when it was right, so that a thousand at once
 * are no way around the count; what is counted are the wrong ones, whether there is such an account or not:
 *
 *   by address of an account and network   10 at once, then one a minute
 *   by network                             500 at once, then one in three seconds
 *   by address of an account               100 at once, then one in thirty seconds, and not at all for networks
 *                                          from which the account's password has come before
 *
 * So nobody can lock another out from afar: where he has signed in before, only wrong passwords from that very network
 * are in his way.  These counts are no part of RATE_LIMITS and have no off.
 *
 * A refresh token is FAMILY.SECRET, 22 characters each, and works once: it is exchanged for the next one.  Who comes
 * with one that was exchanged before has it from somebody, or somebody from him: the family ends, for both.  A family
 * also ends when it was not used for REFRESH_LIFE_MS.  With a family that was ended (and not just forgotten: an account
 * has FAMILIES_KEPT) end the access tokens that came from it, and the sockets that came with them.
 */
#ifndef HL_SIGN_IN_H
#define HL_SIGN_IN_H

#include "records/account.h"

#define REFRESH_LEN	(2 * ID_LEN + 1)
#define FAMILIES_KEPT	64	/* of an account */
#define FAMILIES_OVER	512	/* that are known to have been ended */
#define REFRESH_LIFE_MS	(INT64_C(30) * 86400 * 1000)

/* One attempt; made by sign_in_begin(). */
struct sign_in {
	struct account	 account;			/* stored is false: there is none with this address */
	char		 hash[PASSWORD_HASH_LEN + 1];	/* "" then */
	char		 keys[3][ACCOUNT_KEY_MAX];	/* under which it is counted */
	char		 network[CRYPTO_NAME_LEN + 1];
};

/* email is folded, address is the client's.  HL_TOO_MANY: *retry_ms.  Each function suspends. */
enum hl_err sign_in_begin(struct store *, const char *email, const char *address, struct sign_in *ret,
	    int64_t *retry_ms) HL_MUST_CHECK;

/* The password was right, or nobody has looked at it: the attempt does not count.  An error is nobody's. */
void	 sign_in_forgive(struct store *, const struct sign_in *, bool right);

/* The account has just been made from there. */
void	 sign_in_trust(struct store *, const struct account *, const char *address);

/*
 * May somebody register from there?  Sixty at once, then one in ten seconds, unless RATE_LIMITS is off.  HL_TOO_MANY:
 * *retry_ms.
 */
enum hl_err sign_in_may_register(struct store *, const char *address, int64_t *retry_ms) HL_MUST_CHECK;

/* Begins a refresh family, whose name account->family gets.  HL_NOT_FOUND: the password was changed meanwhile. */
enum hl_err refresh_begin(struct store *, struct account *, char ret[REFRESH_LEN + 1]) HL_MUST_CHECK;

/*
 * Exchanges a token; request_id makes the same request, sent twice, one exchange.  HL_UNAUTHORIZED: unknown, over, or
 * used before.
 */
enum hl_err refresh_exchange(struct store *, const char *token, const char *request_id, struct account *ret,
	    char ret_next[REFRESH_LEN + 1]) HL_MUST_CHECK;

/* Ends the token's family, if there is one, its access tokens and its sockets. */
enum hl_err refresh_end(struct store *, const char *token) HL_MUST_CHECK;

#endif
