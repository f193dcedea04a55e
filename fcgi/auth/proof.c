/*
 * proof.c - whether a password is the right one, and who waits for that.
 */
#include <stdio.h>
#include <string.h>

#include "api/reply.h"
#include "auth/auth.h"
#include "base/log.h"
#include "loop/lane.h"
#include "records/sign_in.h"

#define TOGETHER	4u	/* attempts, see auth_prove() */

/* One for the program, made with its first request: who waits for a hash. */
static struct passwords *waiting_room;

enum hl_err
auth_passwords(struct call *call, struct passwords **ret)
{
	enum hl_err err = HL_OK;

	if (waiting_room == NULL)
		err = passwords_new((int)call->app->conf.bcrypt_cost, &waiting_room);
	*ret = waiting_room;
	return err;
}

void
auth_passwords_free(void)
{
	passwords_free(waiting_room);
}

/* BCRYPT_COST was another one, or the hash comes from elsewhere.  If that fails now, it is for the next time. */
static void
renew(struct call *call, struct passwords *passwords, const struct account *a, const char *password)
{
	char hash[PASSWORD_HASH_LEN + 1];
	int64_t retry_ms;
	enum hl_err err = passwords_make(passwords, call->address, password, hash, &retry_ms);

	if (err == HL_OK)
		err = account_rehash(&call->app->store, a, hash);
	if (err)
		log_line(LOG_LEVEL_INFO, "password_not_rehashed", "request_id", call->shown_id, "problem", err_text(err), NULL);
	explicit_bzero(hash, sizeof(hash));
}

/* HL_UNAUTHORIZED: the account, if there is one, has another password.  Both take the same time. */
static enum hl_err
compare(struct call *call, const char *email, const char *password, struct account *ret)
{
	struct passwords *passwords;
	struct sign_in in;
	bool right = false;
	enum hl_err err = auth_passwords(call, &passwords);

	if (err == HL_OK)
		err = sign_in_begin(&call->app->store, email, call->address, &in, &call->retry_ms);
	if (err == HL_TOO_MANY)
		return call_fail(call, err, "Too many wrong passwords; wait a moment and try again");
	if (err)
		return err;
	err = passwords_check(passwords, call->address, in.hash, password, &right, &call->retry_ms);
	if (err || right)
		sign_in_forgive(&call->app->store, &in, right);
	if (right && !passwords_current(passwords, in.hash))
		renew(call, passwords, &in.account, password);
	explicit_bzero(in.hash, sizeof(in.hash));
	*ret = in.account;
	return err ? err : right ? HL_OK : HL_UNAUTHORIZED;
}

/*
 * Of one account and address only a few are looked at together: an attempt counts until it has proved right, and
 * somebody whose twenty programs sign in at once is not to be in his own way.
 */
enum hl_err
auth_prove(struct call *call, const char *email, const char *password, struct account *ret)
{
	static struct lanes lanes;
	char name[ACCOUNT_EMAIL_MAX + 64];
	struct lane_user mine;
	enum hl_err err;

	snprintf(name, sizeof(name), "%.60s %s", call->address, email);
	err = lane_enter(&lanes, name, TOGETHER, &mine);
	if (err)
		return err;
	err = compare(call, email, password, ret);
	lane_leave(&lanes, &mine);
	return err;
}
