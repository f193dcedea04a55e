/*
 * profile.c - GET and PUT /api/auth/profile, GET /api/auth/me.
 */
#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/reply.h"
#include "auth/auth.h"
#include "records/sign_in.h"

#define CHANGE_TRIES	40	/* of a profile that somebody else changes at the same time: each time one is through */

enum hl_err
auth_get_me(struct call *call)
{
	struct buf body = BUF_INIT(AUTH_ANSWER_MAX);
	struct account who;
	enum hl_err err = call_account(call, &who);

	if (err == HL_OK) {
		auth_write_user(&body, &who);
		buf_putc(&body, '}');
		err = reply_json(call, 200, &body);
	}
	buf_free(&body);
	return err;
}

/* Whoever changes the password knows the one there is: a stolen access token is not enough. */
static enum hl_err
prove_current(struct call *call, const struct account *who, const char *current)
{
	struct account found;
	enum hl_err err;

	if (*current == '\0')
		return call_wrong_field(call, "currentPassword", "currentPassword is required to change the password");
	err = auth_prove(call, who->email, current, &found);
	if (err == HL_UNAUTHORIZED)
		return call_wrong_field(call, "currentPassword", "The current password is wrong");
	return err;
}

static enum hl_err
store_change(struct call *call, const struct person *p, const char *hash, struct account *who)
{
	struct account a;
	enum hl_err err = HL_UNPROCESSABLE;

	for (int i = 0; i < CHANGE_TRIES && err == HL_UNPROCESSABLE; i++) {
		err = account_load(&call->app->store, who->h, &a);
		if (err == HL_OK && hash && a.not_before_s != who->not_before_s)	/* what was proved is the current one no more */
			return call_wrong_field(call, "currentPassword", "The password has just been changed: sign in with the new one");
		if (err)
			break;
		memcpy(a.family, who->family, sizeof(a.family));
		if (*p->name)
			snprintf(a.name, sizeof(a.name), "%s", p->name);
		if (*p->email)
			snprintf(a.email, sizeof(a.email), "%s", p->email);
		err = account_change(&call->app->store, hash, &a);
	}
	*who = a;
	if (err == HL_CONFLICT)
		return call_wrong_field(call, "email", AUTH_SAME_ADDRESS);
	return err == HL_UNPROCESSABLE ? HL_CONFLICT : err;
}

/* With a new password also a new token: the one that this came with is void. */
static enum hl_err
reply_profile(struct call *call, const struct account *who, bool token)
{
	struct buf body = BUF_INIT(AUTH_ANSWER_MAX);
	enum hl_err err = HL_OK;

	auth_write_user(&body, who);
	if (token) {
		buf_putc(&body, ',');
		err = auth_write_token(call, who, &body);
	}
	buf_putc(&body, '}');
	if (err == HL_OK)
		err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

enum hl_err
auth_put_profile(struct call *call)
{
	char hash[PASSWORD_HASH_LEN + 1] = "";
	struct passwords *passwords;
	const char *current = NULL;
	size_t len;
	struct person p;
	struct account who;
	enum hl_err err = call_owner(call, &who);

	if (err == HL_OK)
		err = auth_person(call, false, &p);
	if (err == HL_OK && !auth_member(call, "currentPassword", &current, &len))
		err = HL_BAD_REQUEST;
	if (err)
		return err;
	if (*p.password || *current)
		err = prove_current(call, &who, current);
	if (err == HL_OK && *p.password) {
		err = auth_passwords(call, &passwords);
		if (err == HL_OK)
			err = passwords_make(passwords, call->address, p.password, hash, &call->retry_ms);
	}
	if (err == HL_OK)
		err = store_change(call, &p, *hash ? hash : NULL, &who);
	explicit_bzero(hash, sizeof(hash));
	return err ? err : reply_profile(call, &who, *p.password != '\0');
}
