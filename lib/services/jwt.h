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

#define TOKEN_MAX	4096	/* bytes of a token */

struct token_rules {
	const char	*secrets[2];		/* any of them; NULL or "": none */
	const char	*issuer, *audience;	/* that the claims must name; the audience may be one of several */
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

#define ACCOUNT_ID_MAX	256

struct account {
	char	 id[ACCOUNT_ID_MAX + 1];	/* claim userId */
	bool	 admin;				/* claim role is "admin" */
};

/* Ours: signed with JWT_SECRET or JWT_SECRET_PREVIOUS, issuer and audience "helpline".  HL_UNAUTHORIZED. */
enum hl_err account_of_token(const struct conf *, const char *token, struct account *ret) HL_MUST_CHECK;

/* userId, role, iat, exp, iss, aud, jti.  life_s is how long it lives, from now on. */
enum hl_err account_token(const struct conf *, const struct account *, int64_t life_s, struct buf *out) HL_MUST_CHECK;

#endif
