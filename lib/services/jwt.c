#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jwt.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/str.h"
#include "services/jwt.h"

#define NAME		"helpline"	/* issuer and audience of our own tokens */
#define EXPIRES_MAX	1e12		/* what is later is as good as never */

/* ---- the parts ---- */

static int
digit(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

/* base64url without padding (RFC 4648, section 5); false if it is anything else. */
static bool
decode(const char *text, size_t len, struct buf *out)
{
	unsigned bits = 0;
	int value, have = 0;

	for (size_t i = 0; i < len; i++) {
		if ((value = digit(text[i])) < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_putc(out, (char)(bits >> have & 0xff));
		}
	}
	return len > 0 && len % 4 != 1 && buf_err(out) == HL_OK;
}

static enum hl_err
read_part(const char *text, size_t len, struct json **ret)
{
	struct buf plain = BUF_INIT(TOKEN_MAX);
	enum hl_err err = HL_UNAUTHORIZED;

	*ret = NULL;
	if (decode(text, len, &plain))
		err = json_parse(plain.data, plain.len, ret);
	buf_free(&plain);
	if (err == HL_BAD_JSON || (err == HL_OK && json_kind(*ret) != JSON_OBJECT))
		err = HL_UNAUTHORIZED;
	if (err) {
		json_free(*ret);
		*ret = NULL;
	}
	return err;
}

/* Header, claims and a signature that is base64url: three parts, no more. */
static enum hl_err
read_parts(const char *token, struct json **header, struct json **claims)
{
	const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;
	struct buf signature = BUF_INIT(TOKEN_MAX);
	enum hl_err err = HL_UNAUTHORIZED;

	if (second && strlen(token) <= TOKEN_MAX && decode(second + 1, strlen(second + 1), &signature))
		err = read_part(token, (size_t)(first - token), header);
	if (err == HL_OK)
		err = read_part(first + 1, (size_t)(second - first - 1), claims);
	buf_free(&signature);
	return err;
}

/* ---- what they must say ---- */

/* Another typ is another kind of token (RFC 8725, section 3.11); libjwt says so too, but not all its versions do. */
static bool
is_hs256(const struct json *header)
{
	const struct json *type = json_get(header, "typ");

	return str_equal(json_get_string(header, "alg"), "HS256") && json_get(header, "crit") == NULL &&
	    (type == NULL || (json_kind(type) == JSON_STRING && strcasecmp(json_string(type, NULL), "JWT") == 0));
}

static bool
in_time(const struct token_rules *r, const struct json *claims)
{
	const struct json *not_before = json_get(claims, "nbf");
	double exp, nbf = 0;

	if (!json_number(json_get(claims, "exp"), &exp) || (not_before && !json_number(not_before, &nbf)))
		return false;
	return (double)(r->now_s - r->leeway_s) < exp && nbf <= (double)(r->now_s + r->leeway_s);
}

static bool
names(const struct json *claim, const char *name)
{
	if (json_kind(claim) == JSON_STRING)
		return str_equal(json_string(claim, NULL), name);
	for (size_t i = 0; i < json_length(claim); i++)
		if (str_equal(json_string(json_at(claim, i), NULL), name))
			return true;
	return false;
}

static bool
is_signed(const char *secret, const char *token)
{
	jwt_t *jwt = NULL;
	bool good;

	if (secret == NULL || *secret == '\0')	/* libjwt takes any signature without a key */
		return false;
	good = jwt_decode(&jwt, token, (const unsigned char *)secret, (int)strlen(secret)) == 0 &&
	    jwt_get_alg(jwt) == JWT_ALG_HS256;
	jwt_free(jwt);
	return good;
}

enum hl_err
token_check(const struct token_rules *r, const char *token, struct json **ret)
{
	struct json *header = NULL, *claims = NULL;
	enum hl_err err = read_parts(token, &header, &claims);

	if (err == HL_OK && !(is_hs256(header) && (is_signed(r->secrets[0], token) || is_signed(r->secrets[1], token)) &&
	    in_time(r, claims) && str_equal(json_get_string(claims, "iss"), r->issuer) &&
	    (r->audience == NULL || names(json_get(claims, "aud"), r->audience))))
		err = HL_UNAUTHORIZED;
	json_free(header);
	if (err) {
		json_free(claims);
		claims = NULL;
	}
	*ret = claims;
	return err;
}

enum hl_err
token_sign(const char *secret, const char *claims, struct buf *out)
{
	enum hl_err err = HL_NO_MEMORY;
	char *text = NULL;
	jwt_t *jwt;

	if (jwt_new(&jwt) != 0)
		return err;
	if (jwt_add_grants_json(jwt, claims) == 0 &&
	    jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret, (int)strlen(secret)) == 0)
		text = jwt_encode_str(jwt);
	if (text) {
		buf_puts(out, text);
		err = buf_err(out);
	}
	free(text);
	jwt_free(jwt);
	return err;
}

/* ---- who calls ---- */

enum hl_err
account_of_token(const struct conf *conf, const char *token, struct account *ret)
{
	const struct token_rules rules = { .secrets = { conf->jwt_secret, conf->jwt_secret_previous }, .issuer = NAME,
		.audience = NAME, .now_s = clock_wall_ms() / 1000 };
	struct json *claims;
	const char *id, *family;
	size_t len = 0;
	double expires;
	enum hl_err err = token_check(&rules, token, &claims);

	*ret = (struct account){ 0 };
	if (err)
		return err;
	id = json_string(json_get(claims, "userId"), &len);
	family = json_get_string(claims, "sid");
	if (id && len > 0 && len <= ACCOUNT_ID_MAX)
		memcpy(ret->id, id, len);
	else
		err = HL_UNAUTHORIZED;
	ret->admin = str_equal(json_get_string(claims, "role"), "admin");
	ret->names_role = json_get_string(claims, "role") != NULL;
	snprintf(ret->family, sizeof(ret->family), "%s", id_valid(family) ? family : "");
	if (!json_integer(json_get(claims, "iat"), &ret->issued_s))
		ret->issued_s = 0;
	if (json_number(json_get(claims, "exp"), &expires))	/* it may have a fraction (RFC 7519, section 2) */
		ret->expires_s = (int64_t)(expires < EXPIRES_MAX ? expires : EXPIRES_MAX);
	json_free(claims);
	return err;
}

enum hl_err
account_token(const struct conf *conf, const struct account *a, int64_t life_s, struct buf *out)
{
	struct buf claims = BUF_INIT(TOKEN_MAX);
	int64_t now = clock_wall_ms() / 1000, issued = now > a->not_before_s ? now : a->not_before_s;
	char jti[ID_LEN + 1];
	enum hl_err err;

	id_new(jti);
	buf_puts(&claims, "{\"userId\":");
	buf_json_str(&claims, a->id);
	if (!a->stored)
		buf_printf(&claims, ",\"role\":\"%s\"", a->admin ? "admin" : "user");
	if (*a->family)
		buf_printf(&claims, ",\"sid\":\"%s\"", a->family);
	buf_printf(&claims, ",\"iat\":%lld,\"exp\":%lld,\"iss\":\"" NAME "\",\"aud\":\"" NAME "\",\"jti\":\"%s\"}",
	    (long long)issued, (long long)(now + life_s), jti);
	err = buf_err(&claims);
	if (err == HL_OK)
		err = token_sign(conf->jwt_secret, claims.data, out);
	buf_free(&claims);
	return err;
}
