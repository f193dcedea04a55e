#include <string.h>
#include <strings.h>

#include "api/auth.h"

/* version may be NULL. */
static enum hl_err
verify(struct call *call, struct account *ret, int64_t *version)
{
	const char *header = fcgi_param(call->fcgi, "HTTP_AUTHORIZATION");
	enum hl_err err;

	*ret = (struct account){ 0 };
	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
		return call_fail(call, HL_UNAUTHORIZED, "Sign in first: send the header Authorization: Bearer TOKEN, with the token "
		    "of POST /api/auth/login or of helpline token");
	header += 7 + strspn(header + 7, " ");
	err = version ? account_verify_lists(&call->app->store, header, ret, version) :
	    account_verify(&call->app->store, header, ret);
	if (err == HL_UNAUTHORIZED)
		return call_fail(call, err, "This token is not valid here, or its time is over: sign in again, or make "
		    "a new one with helpline token");
	return err;
}

static enum hl_err
verify_owner(struct call *call, struct account *ret, int64_t *version)
{
	enum hl_err err = verify(call, ret, version);

	if (err == HL_OK && !ret->stored)
		return call_fail(call, HL_FORBIDDEN, "This token belongs to no account, so it owns nothing: sign in with an account");
	return err;
}

enum hl_err
call_account(struct call *call, struct account *ret)
{
	return verify(call, ret, NULL);
}

enum hl_err
call_owner(struct call *call, struct account *ret)
{
	return verify_owner(call, ret, NULL);
}

enum hl_err
call_owner_lists(struct call *call, struct account *ret, int64_t *ret_version)
{
	return verify_owner(call, ret, ret_version);
}
