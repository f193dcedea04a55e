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
		return call_fail(call, HL_UNAUTHORIZED, "Sign in first: send the header Authorization: Bearer TOKEN; "
		    "helpline token --user NAME makes one");
	err = account_of_token(&call->app->conf, header + 7 + strspn(header + 7, " "), ret);
	if (err == HL_UNAUTHORIZED)
		return call_fail(call, err, "This token is not valid here, or its time is over; helpline token --user NAME makes "
		    "a new one");
	return err;
}
