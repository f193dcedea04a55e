/*
 * auth - accounts: register, sign in, stay signed in, profile (contract: desk API, Accounts).
 *
 * A process of its own, because hashing a password keeps a core busy for a quarter of a second.
 */
#include "api/program.h"
#include "auth/auth.h"

static const struct route routes[] = {
	{ "POST", "/api/auth/register", BODY_JSON, auth_post_register },
	{ "POST", "/api/auth/login", BODY_JSON, auth_post_login },
	{ "POST", "/api/auth/refresh", BODY_JSON, auth_post_refresh },
	{ "POST", "/api/auth/logout", BODY_JSON, auth_post_logout },
	{ "GET", "/api/auth/me", BODY_NONE, auth_get_me },
	{ "GET", "/api/auth/profile", BODY_NONE, auth_get_me },
	{ "PUT", "/api/auth/profile", BODY_JSON, auth_put_profile },
};

int
main(int argc, char **argv)
{
	static const struct program auth = {
		.name = "auth", .purpose = "Serves accounts: register, sign in, stay signed in, profile.",
		.routes = routes, .count = sizeof(routes) / sizeof(routes[0]), .needs_store = true, .needs_accounts = true,
	};
	int status = program_main(&auth, argc, argv);

	auth_passwords_free();
	return status;
}
