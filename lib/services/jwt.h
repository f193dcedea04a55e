/*
 * jwt.h - access tokens: JSON Web Tokens (RFC 7519), HS256 and nothing else (RFC 7515, RFC 7518).  libjwt stays behind this
 * header.
 *
 * libjwt 1.10 alone accepts HS512 for HS256, never looks at exp and takes the last of two equal claims; so the three parts
 * are checked here before it sees the signature, and what it says is checked afterwards.
 */
#ifndef HL_JWT_H
#define HL_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/json.h"
#include "services/crypto.h"

#define TOKEN_MAX	4096	/* bytes of a token */

struct token_rules {
	const char	*secrets[2];		/* any of them; NULL or "": none */
	const char	*issuer, *audience;	/* that the claims must name; the audience may be one of several, or NULL: any, none */
	int64_t		 now_s, leeway_s;
};

/*
 * HL_UNAUTHORIZED: malformed, not HS256, a claim twice, crit (RFC 7515, section 4.1.11), a typ
 * other than JWT, a wrong signature, exp missing, no
 * number or over, nbf to come, another issuer or audience.  The caller frees *ret_claims.
 */
enum hl_err token_check(const struct token_rules *, const char *token, struct json **ret_claims) HL_MUST_CHECK;

/* Appends the token of claims, the JSON text of an object. */
enum hl_err token_sign(const char *secret, const char *claims, struct buf *out) HL_MUST_CHECK;

/* ---- who calls ---- */

#define ACCOUNT_ID_MAX		256
#define ACCOUNT_NAME_MAX	200	/* bytes: fifty characters */
#define ACCOUNT_EMAIL_MAX	254
#define ACCOUNT_AVATAR_MAX	255

/* What a token says, and of an account that is stored what records/account.h has loaded. */
struct account {
	char	 id[ACCOUNT_ID_MAX + 1];	/* claim userId */
	char	 family[CRYPTO_NAME_LEN + 1];	/* claim sid: keyed name of the sign-in that it came from; "" if there is none */
	int64_t	 issued_s, expires_s;		/* claims iat (0 if there is none) and exp */
	bool	 admin;				/* the store's role, or, if it has none, claim role, is "admin" */
	bool	 names_role;			/* claim role is there: made by helpline token */
	/* ---- loaded ---- */
	bool	 stored;			/* false: the rest is empty, but for h */
	char	 h[CRYPTO_NAME_LEN + 1];	/* keyed name of the id: what it is called in keys */
	char	 name[ACCOUNT_NAME_MAX + 1], email[ACCOUNT_EMAIL_MAX + 1], avatar[ACCOUNT_AVATAR_MAX + 1];
	int64_t	 created_ms, updated_ms, version;
	int64_t	 not_before_s;			/* tokens issued before it are void */
};

/* Ours: signed with JWT_SECRET or JWT_SECRET_PREVIOUS, issuer and audience "helpline".  HL_UNAUTHORIZED. */
enum hl_err account_of_token(const struct conf *, const char *token, struct account *ret) HL_MUST_CHECK;

/*
 * userId, iat, exp, iss, aud, jti; sid of one with a family; role of one that is not stored.  life_s is how long it lives, from
 * now on.
 */
enum hl_err account_token(const struct conf *, const struct account *, int64_t life_s, struct buf *out) HL_MUST_CHECK;

#endif
