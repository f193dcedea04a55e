/*
 * jwt_test - access tokens: what another library signs is taken, what it refuses is refused, and what it lets pass and must
 * not be (no exp, a claim twice, crit) is refused too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "services/jwt.h"
#include "vectors.h"

#define SECRET	"0123456789abcdef0123456789abcdef"
#define OTHER	"fedcba9876543210fedcba9876543210"

/* What jsonwebtoken takes, and we do not. */
static bool
stricter(const char *name)
{
	static const char *const names[] = { "no exp (accepted by the library)", "duplicate keys in payload", "crit header",
		"valid with kid and typ header" };	/* at+jwt is another type of token (RFC 8725, section 3.11) */

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void
check_vector(struct json_object *v)
{
	struct json_object *options = member(v, "verifyOptions");
	const struct token_rules rules = {
		.secrets = { NULL, json_object_get_string(member(v, "secret")) },
		.issuer = json_object_get_string(member(options, "issuer")),
		.audience = json_object_get_string(member(options, "audience")),
		.now_s = json_object_get_int64(member(options, "clockTimestamp")),
		.leeway_s = json_object_get_int64(member(options, "clockTolerance")),
	};
	bool ok = json_object_get_boolean(member(member(v, "expect"), "ok")) && !stricter(name_of(v));
	struct json *claims;
	enum hl_err err = token_check(&rules, json_object_get_string(member(v, "token")), &claims);

	if (err != (ok ? HL_OK : HL_UNAUTHORIZED))
		fail_msg("%s: %d", name_of(v), err);
	if (ok)
		assert_string_equal(json_get_string(claims, "sub"),
		    json_object_get_string(member(member(member(v, "expect"), "payload"), "sub")));
	json_free(claims);
}

static void
golden_vectors_are_taken_and_refused(void **state)
{
	struct json_object *file = json_object_from_file(SRCDIR "/tests/vectors/jwt-hs256.json"), *v;

	(void)state;
	assert_non_null(file);
	assert_true(json_object_array_length(member(file, "vectors")) >= 30);
	FOR_EACH(v, member(file, "vectors"))
		check_vector(v);
	json_object_put(file);
}

static enum hl_err
check_claims(const char *secret, const char *claims)
{
	const struct conf conf = { .jwt_secret = SECRET, .jwt_secret_previous = "" };
	struct buf token = BUF_INIT(TOKEN_MAX);
	struct account a;
	enum hl_err err;

	assert_int_equal(token_sign(secret, claims, &token), HL_OK);
	err = account_of_token(&conf, token.data, &a);
	buf_free(&token);
	return err;
}

static void
our_tokens_say_who_calls(void **state)
{
	struct conf conf = { .jwt_secret = SECRET, .jwt_secret_previous = "" };
	struct account ada = { .id = "ada@example.test", .admin = true }, read;
	struct buf token = BUF_INIT(TOKEN_MAX);

	(void)state;
	assert_int_equal(account_token(&conf, &ada, 60, &token), HL_OK);
	assert_int_equal(account_of_token(&conf, token.data, &read), HL_OK);
	assert_string_equal(read.id, "ada@example.test");
	assert_true(read.admin);
	conf.jwt_secret = OTHER;
	assert_int_equal(account_of_token(&conf, token.data, &read), HL_UNAUTHORIZED);
	conf.jwt_secret_previous = SECRET;	/* the secret was changed */
	assert_int_equal(account_of_token(&conf, token.data, &read), HL_OK);
	conf.jwt_secret = conf.jwt_secret_previous = "";
	assert_int_equal(account_of_token(&conf, token.data, &read), HL_UNAUTHORIZED);
	buf_reset(&token);
	conf.jwt_secret = SECRET;
	ada.admin = false;
	assert_int_equal(account_token(&conf, &ada, 0, &token), HL_OK);
	assert_int_equal(account_of_token(&conf, token.data, &read), HL_UNAUTHORIZED);	/* over at once */
	buf_free(&token);
}

static void
a_stored_accounts_token_names_its_sign_in_and_no_role(void **state)
{
	const struct conf conf = { .jwt_secret = SECRET, .jwt_secret_previous = "" };
	const struct token_rules rules = { .secrets = { SECRET }, .issuer = "helpline", .audience = "helpline",
		.now_s = clock_wall_ms() / 1000 };
	struct account ada = { .id = "an id", .family = "a-family-0123456789_AZ", .admin = true, .stored = true }, read;
	struct buf token = BUF_INIT(TOKEN_MAX);
	struct json *claims;

	(void)state;
	ada.not_before_s = clock_wall_ms() / 1000 + 1;	/* its password was changed in this second */
	assert_int_equal(account_token(&conf, &ada, 60, &token), HL_OK);
	assert_int_equal(account_of_token(&conf, token.data, &read), HL_OK);
	assert_false(read.admin);
	assert_false(read.names_role);
	assert_string_equal(read.family, "a-family-0123456789_AZ");
	assert_true(read.issued_s >= ada.not_before_s);
	assert_int_equal(token_check(&rules, token.data, &claims), HL_OK);
	assert_null(json_get(claims, "role"));
	assert_non_null(json_get_string(claims, "jti"));
	json_free(claims);
	buf_free(&token);
}

static void
claims_that_others_put_in_are_taken_as_far_as_they_can_be(void **state)
{
	static const struct { const char *claims; int64_t expires_s; const char *family; } some[] = {
		{ "\"exp\":9999999999.75", 9999999999, "" },
		{ "\"exp\":1e300,\"sid\":\"a-family-0123456789_AZ\"", 1000000000000, "a-family-0123456789_AZ" },
		{ "\"exp\":9999999999,\"sid\":\"\\\"}]{\\\"family-0123456\"", 9999999999, "" },
		{ "\"exp\":9999999999,\"sid\":7", 9999999999, "" },
		{ "\"exp\":9999999999,\"sid\":\"a-family-0123456789_AZ.\"", 9999999999, "" },
	};
	const struct conf conf = { .jwt_secret = SECRET, .jwt_secret_previous = "" };

	(void)state;
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		struct buf claims = BUF_INIT(1024), token = BUF_INIT(TOKEN_MAX);
		struct account read;

		buf_printf(&claims, "{\"userId\":\"ada\",\"iss\":\"helpline\",\"aud\":\"helpline\",%s}", some[i].claims);
		assert_int_equal(token_sign(SECRET, claims.data, &token), HL_OK);
		assert_int_equal(account_of_token(&conf, token.data, &read), HL_OK);
		assert_int_equal(read.expires_s, some[i].expires_s);
		assert_string_equal(read.family, some[i].family);
		buf_free(&claims);
		buf_free(&token);
	}
}

static void
claims_of_the_wrong_type_are_refused(void **state)
{
#define GOOD "\"iss\":\"helpline\",\"aud\":\"helpline\",\"exp\":9999999999"
	(void)state;
	assert_int_equal(check_claims(SECRET, "{\"userId\":\"ada\"," GOOD "}"), HL_OK);
	assert_int_equal(check_claims(OTHER, "{\"userId\":\"ada\"," GOOD "}"), HL_UNAUTHORIZED);
	assert_int_equal(check_claims(SECRET, "{\"userId\":7," GOOD "}"), HL_UNAUTHORIZED);
	assert_int_equal(check_claims(SECRET, "{\"userId\":\"\"," GOOD "}"), HL_UNAUTHORIZED);
	assert_int_equal(check_claims(SECRET, "{" GOOD "}"), HL_UNAUTHORIZED);
	assert_int_equal(check_claims(SECRET, "{\"userId\":\"ada\",\"iat\":1,\"exp\":9999999999}"), HL_UNAUTHORIZED);
	assert_int_equal(check_claims(SECRET, "{\"userId\":\"ada\",\"iss\":\"x\",\"aud\":\"helpline\",\"exp\":9999999999}"),
	    HL_UNAUTHORIZED);
	assert_int_equal(check_claims(SECRET, "{\"userId\":\"ada\",\"nbf\":\"1\"," GOOD "}"), HL_UNAUTHORIZED);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_vectors_are_taken_and_refused),
		cmocka_unit_test(our_tokens_say_who_calls),
		cmocka_unit_test(a_stored_accounts_token_names_its_sign_in_and_no_role),
		cmocka_unit_test(claims_that_others_put_in_are_taken_as_far_as_they_can_be),
		cmocka_unit_test(claims_of_the_wrong_type_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
