/*
 * auth - accounts: register, sign in, stay signed in, profile (contract: desk API, Accounts).
 *
 * A process of its own, because hashing a password keeps a core busy for a quarter of a second.
 */
#include "api/auth.h"
#include "api/program.h"
#include "api/reply.h"

static enum hl_err
reply_user(struct call *call, const struct account *a)
{
	struct buf body = BUF_INIT(4096);
	enum hl_err err;

	buf_puts(&body, "{\"_id\":");
	buf_json_str(&body, a->id);
	buf_puts(&body, ",\"name\":");
	buf_json_str(&body, a->name);
	buf_puts(&body, ",\"email\":");
	buf_json_str(&body, a->email);
	buf_printf(&body, ",\"role\":\"%s\"}", a->admin ? "admin" : "user");
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
get_me(struct call *call)
{
	struct account who;
	enum hl_err err = call_account(call, &who);

	return err ? err : reply_user(call, &who);
}

static const struct route routes[] = {
	{ "GET", "/api/auth/me", BODY_NONE, get_me },
	{ "GET", "/api/auth/profile", BODY_NONE, get_me },
};

int
main(int argc, char **argv)
{
	static const struct program auth = {
		.name = "auth", .purpose = "Serves accounts: register, sign in, stay signed in, profile.",
		.routes = routes, .count = sizeof(routes) / sizeof(routes[0]), .needs_store = true, .needs_accounts = true,
	};

	return program_main(&auth, argc, argv);
}
