/*
 * register.c - POST /api/auth/register.
 */
#include <stdio.h>
#include <string.h>

#include "api/reply.h"
#include "auth/auth.h"
#include "records/sign_in.h"

/* Of the request and the address: nginx sends a request again whose program died, and that is no second account. */
static void
new_id(const struct call *call, const char *email, char out[ACCOUNT_ID_MAX + 1])
{
	char both[REQUEST_ID_MAX + ACCOUNT_EMAIL_MAX + 64], id[CRYPTO_NAME_LEN + 1];

	if (*call->request_id == '\0') {
		id_new(id);
	} else {
		snprintf(both, sizeof(both), "%s %s", call->request_id, email);
		crypto_name(call->app->crypto, "account-id", both, strlen(both), id);
	}
	memcpy(out, id, sizeof(id));
}

static enum hl_err
register_person(struct call *call, const struct person *p, struct account *a, char refresh[REFRESH_LEN + 1])
{
	char hash[PASSWORD_HASH_LEN + 1];
	struct passwords *passwords;
	enum hl_err err = auth_passwords(call, &passwords);

	*a = (struct account){ 0 };
	new_id(call, p->email, a->id);
	snprintf(a->name, sizeof(a->name), "%s", p->name);
	snprintf(a->email, sizeof(a->email), "%s", p->email);
	if (err == HL_OK)
		err = passwords_make(passwords, call->address, p->password, hash, &call->retry_ms);
	if (err == HL_OK)
		err = account_create(&call->app->store, hash, a);
	explicit_bzero(hash, sizeof(hash));
	return err ? err : refresh_begin(&call->app->store, a, refresh);
}

/* Whoever looks for addresses that have an account gets no more answers than one who guesses passwords. */
static enum hl_err
refuse_address(struct call *call, const char *email)
{
	struct sign_in in;
	enum hl_err err = sign_in_begin(&call->app->store, email, call->address, &in, &call->retry_ms);

	explicit_bzero(in.hash, sizeof(in.hash));
	return err ? err : call_wrong_field(call, "email", AUTH_SAME_ADDRESS);
}

enum hl_err
auth_post_register(struct call *call)
{
	char refresh[REFRESH_LEN + 1];
	struct person p;
	struct account a;
	enum hl_err err = auth_person(call, true, &p);

	if (err == HL_OK)
		err = sign_in_may_register(&call->app->store, call->address, &call->retry_ms);
	if (err == HL_OK)
		err = register_person(call, &p, &a, refresh);
	if (err == HL_CONFLICT)
		return refuse_address(call, p.email);
	if (err)
		return err;
	sign_in_trust(&call->app->store, &a, call->address);
	return auth_reply_signed_in(call, 201, &a, refresh);
}
