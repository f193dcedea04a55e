/*
 * sign_in.c - POST /api/auth/login, refresh, logout.
 */
#include <string.h>

#include "api/reply.h"
#include "auth/auth.h"
#include "base/person.h"
#include "base/str.h"
#include "records/sign_in.h"

enum hl_err
auth_post_login(struct call *call)
{
	char refresh[REFRESH_LEN + 1], folded[ACCOUNT_EMAIL_MAX + 1];
	const char *email, *password;
	size_t email_len, password_len;
	struct account a;
	bool strings = auth_member(call, "email", &email, &email_len);
	enum hl_err err = HL_OK;

	strings = auth_member(call, "password", &password, &password_len) && strings;
	if (!strings)
		return HL_BAD_REQUEST;
	if (str_blank(email, email_len))
		err = call_wrong_field(call, "email", "The email address is required");
	else if (!person_email_fold(email, email_len, folded))
		err = call_wrong_field(call, "email", "The email address is longer than 254 bytes");
	if (password_len == 0)
		err = call_wrong_field(call, "password", "The password is required");
	if (err)
		return err;
	err = auth_prove(call, folded, password, &a);
	if (err == HL_OK)
		err = refresh_begin(&call->app->store, &a, refresh);
	if (err == HL_UNAUTHORIZED || err == HL_NOT_FOUND)
		return call_fail(call, HL_UNAUTHORIZED, "Invalid credentials");
	return err ? err : auth_reply_signed_in(call, 200, &a, refresh);
}

static enum hl_err
read_refresh(struct call *call, const char **ret)
{
	size_t len;

	if (!auth_member(call, "refreshToken", ret, &len))
		return HL_BAD_REQUEST;
	return len ? HL_OK : call_wrong_field(call, "refreshToken", "refreshToken is required");
}

enum hl_err
auth_post_refresh(struct call *call)
{
	char next[REFRESH_LEN + 1];
	const char *token;
	struct account a;
	enum hl_err err = read_refresh(call, &token);

	if (err)
		return err;
	err = refresh_exchange(&call->app->store, token, call->request_id, &a, next);
	if (err == HL_UNAUTHORIZED)
		return call_fail(call, err, "This refresh token is not valid, was used before, or its time is over: "
		    "sign in again");
	return err ? err : auth_reply_signed_in(call, 200, &a, next);
}

enum hl_err
auth_post_logout(struct call *call)
{
	const char *token;
	enum hl_err err = read_refresh(call, &token);

	if (err == HL_OK)
		err = refresh_end(&call->app->store, token);
	return err ? err : reply_empty(call, 204);
}
