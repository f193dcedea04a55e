#include <string.h>
#include <strings.h>

#include "api/auth.h"

enum hl_err
call_account(struct call *call, struct account *ret)
{
	const char *header = fcgi_param(call->fcgi, "HTTP_AUTHORIZATION");
	enum hl_err err;

	*ret = (struct account){ 0 };
	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
		return call_fail(call, HL_UNAUTHORIZED, "Sign in first: send the header Authorization: Bearer TOKEN, with the token "
		    "of POST /api/auth/login or of helpline token");
	err = account_verify(&call->app->store, header + 7 + strspn(header + 7, " "), ret);
	if (err == HL_UNAUTHORIZED)
		return call_fail(call, err, "This token is not valid here, or its time is over: sign in again, or make "
		    "a new one with helpline token");
	return err;
}

enum hl_err
call_owner(struct call *call, struct account *ret)
{
	enum hl_err err = call_account(call, ret);

	if (err == HL_OK && !ret->stored)
		return call_fail(call, HL_FORBIDDEN, "This token belongs to no account, so it owns nothing: sign in with an account");
	return err;
}
