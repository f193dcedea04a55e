/*
 * auth - accounts: register, sign in, stay signed in, profile (contract: desk API, Accounts).
 *
 * A process of its own, because hashing a password keeps a core busy for a quarter of a second.
 */
#include <stdio.h>
#include <string.h>

#include "api/auth.h"
#include "api/program.h"
#include "api/reply.h"
#include "base/person.h"
#include "base/str.h"
#include "loop/lane.h"
#include "records/sign_in.h"

#define ANSWER_MAX	16384u
#define CHANGE_TRIES	4	/* of a profile that somebody else changes at the same time */

#define TOGETHER	4u	/* attempts, see prove() */
#define SAME_ADDRESS	"User already exists with this email"

/* One for the program, made with its first request: who waits for a hash. */
static struct passwords *waiting_room;

static enum hl_err
passwords_of(struct call *call, struct passwords **ret)
{
	enum hl_err err = HL_OK;

	if (waiting_room == NULL)
		err = passwords_new((int)call->app->conf.bcrypt_cost, &waiting_room);
	*ret = waiting_room;
	return err;
}

/* ---- what was sent ---- */

/* A string member; absent, null or blank gives "".  False, with the sentence, if it is of another type. */
static bool
read_member(struct call *call, const char *name, const char **ret, size_t *len)
{
	const struct json *value = json_get(call->body, name);
	char sentence[64];

	*ret = json_string(value, len);
	if (*ret == NULL) {
		*ret = "";
		*len = 0;
	}
	if (json_kind(value) == JSON_NONE || json_kind(value) == JSON_NULL || json_kind(value) == JSON_STRING)
		return true;
	snprintf(sentence, sizeof(sentence), "%s must be a string", name);
	return call_wrong_field(call, name, sentence) == HL_OK;
}

/* An account's three members as somebody sent them; a member that is absent is "". */
struct person {
	char	 name[ACCOUNT_NAME_MAX + 1], email[ACCOUNT_EMAIL_MAX + 1];
	const char *password;
};

static enum hl_err
check_name(struct call *call, bool required, struct person *p)
{
	const char *text, *problem;
	size_t len;

	p->name[0] = '\0';
	if (!read_member(call, "name", &text, &len))
		return HL_BAD_REQUEST;
	if (!required && json_kind(json_get(call->body, "name")) <= JSON_NULL)
		return HL_OK;
	person_trim(&text, &len);
	problem = person_name_problem(text, len);
	if (problem)
		return call_wrong_field(call, "name", problem);
	memcpy(p->name, text, len);	/* fifty characters of four bytes at most */
	p->name[len] = '\0';
	return HL_OK;
}

static enum hl_err
check_email(struct call *call, bool required, struct person *p)
{
	const char *text, *problem = NULL;
	size_t len;

	p->email[0] = '\0';
	if (!read_member(call, "email", &text, &len))
		return HL_BAD_REQUEST;
	if (!required && json_kind(json_get(call->body, "email")) <= JSON_NULL)
		return HL_OK;
	if (!person_email_fold(text, len, p->email))
		problem = "The email address is longer than 254 bytes";
	else
		problem = person_email_problem(p->email, strlen(p->email));
	return problem ? call_wrong_field(call, "email", problem) : HL_OK;
}

static enum hl_err
check_password(struct call *call, bool required, struct person *p)
{
	const char *problem;
	size_t len;

	if (!read_member(call, "password", &p->password, &len))
		return HL_BAD_REQUEST;
	if (!required && json_kind(json_get(call->body, "password")) <= JSON_NULL)
		return HL_OK;
	problem = person_password_problem(p->password, len);
	return problem ? call_wrong_field(call, "password", problem) : HL_OK;
}

/* All of them, so that every field that is wrong is named. */
static enum hl_err
check_person(struct call *call, bool required, struct person *p)
{
	enum hl_err name = check_name(call, required, p), email = check_email(call, required, p),
	    password = check_password(call, required, p);

	return name ? name : email ? email : password;
}

/* ---- what is answered ---- */

static void
write_user(struct buf *out, const struct account *a)
{
	char created[CLOCK_ISO_LEN + 1], updated[CLOCK_ISO_LEN + 1];

	clock_iso(a->created_ms, created);
	clock_iso(a->updated_ms, updated);
	buf_puts(out, "{\"_id\":");
	buf_json_str(out, a->id);
	buf_puts(out, ",\"name\":");
	buf_json_str(out, *a->name ? a->name : a->id);
	buf_puts(out, ",\"email\":");
	buf_json_str(out, a->email);
	buf_printf(out, ",\"role\":\"%s\"", a->admin ? "admin" : "user");
	if (*a->avatar) {
		buf_puts(out, ",\"avatar\":");
		buf_json_str(out, a->avatar);
	}
	if (a->stored)
		buf_printf(out, ",\"createdAt\":\"%s\",\"updatedAt\":\"%s\"", created, updated);
}

static enum hl_err
write_token(struct call *call, const struct account *a, struct buf *out)
{
	struct buf token = BUF_INIT(TOKEN_MAX);
	int64_t life_s;
	enum hl_err err = conf_duration(call->app->conf.jwt_expires_in, &life_s) ? HL_OK : HL_INTERNAL;

	if (err == HL_OK)
		err = account_token(&call->app->conf, a, life_s, &token);
	if (err == HL_OK)
		buf_printf(out, "\"token\":\"%s\"", token.data);
	buf_free(&token);
	return err;
}

/* refresh NULL: none. */
static enum hl_err
reply_signed_in(struct call *call, int status, const struct account *a, const char *refresh)
{
	struct buf body = BUF_INIT(ANSWER_MAX);
	enum hl_err err;

	buf_putc(&body, '{');
	err = write_token(call, a, &body);
	buf_printf(&body, ",\"refreshToken\":\"%s\",\"user\":", refresh);
	write_user(&body, a);
	buf_puts(&body, "}}");
	if (err == HL_OK)
		err = reply_json(call, status, &body);
	buf_free(&body);
	return err;
}

/* ---- POST /api/auth/register ---- */

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
	enum hl_err err = passwords_of(call, &passwords);

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
	return err ? err : call_wrong_field(call, "email", SAME_ADDRESS);
}

static enum hl_err
post_register(struct call *call)
{
	char refresh[REFRESH_LEN + 1];
	struct person p;
	struct account a;
	enum hl_err err = check_person(call, true, &p);

	if (err == HL_OK)
		err = sign_in_may_register(&call->app->store, call->address, &call->retry_ms);
	if (err == HL_OK)
		err = register_person(call, &p, &a, refresh);
	if (err == HL_CONFLICT)
		return refuse_address(call, p.email);
	if (err)
		return err;
	sign_in_trust(&call->app->store, &a, call->address);
	return reply_signed_in(call, 201, &a, refresh);
}

/* ---- POST /api/auth/login ---- */

/* HL_UNAUTHORIZED: the account, if there is one, has another password.  Both take the same time. */
static enum hl_err
compare(struct call *call, const char *email, const char *password, struct account *ret)
{
	struct passwords *passwords;
	struct sign_in in;
	bool right = false;
	enum hl_err err = passwords_of(call, &passwords);

	if (err == HL_OK)
		err = sign_in_begin(&call->app->store, email, call->address, &in, &call->retry_ms);
	if (err == HL_TOO_MANY)
		return call_fail(call, err, "Too many wrong passwords; wait a moment and try again");
	if (err)
		return err;
	err = passwords_check(passwords, call->address, in.hash, password, &right, &call->retry_ms);
	if (err || right)
		sign_in_forgive(&call->app->store, &in, right);
	explicit_bzero(in.hash, sizeof(in.hash));
	*ret = in.account;
	return err ? err : right ? HL_OK : HL_UNAUTHORIZED;
}

/*
 * Of one account and address only a few are looked at together: an attempt counts until it has proved right, and
 * somebody whose twenty programs sign in at once is not to be in his own way.
 */
static enum hl_err
prove(struct call *call, const char *email, const char *password, struct account *ret)
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

static enum hl_err
post_login(struct call *call)
{
	char refresh[REFRESH_LEN + 1], folded[ACCOUNT_EMAIL_MAX + 1];
	const char *email, *password;
	size_t email_len, password_len;
	struct account a;
	bool strings = read_member(call, "email", &email, &email_len);
	enum hl_err err = HL_OK;

	strings = read_member(call, "password", &password, &password_len) && strings;
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
	err = prove(call, folded, password, &a);
	if (err == HL_OK)
		err = refresh_begin(&call->app->store, &a, refresh);
	if (err == HL_UNAUTHORIZED || err == HL_NOT_FOUND)
		return call_fail(call, HL_UNAUTHORIZED, "Invalid credentials");
	return err ? err : reply_signed_in(call, 200, &a, refresh);
}

/* ---- POST /api/auth/refresh, logout ---- */

static enum hl_err
read_refresh(struct call *call, const char **ret)
{
	size_t len;

	if (!read_member(call, "refreshToken", ret, &len))
		return HL_BAD_REQUEST;
	return len ? HL_OK : call_wrong_field(call, "refreshToken", "refreshToken is required");
}

static enum hl_err
post_refresh(struct call *call)
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
	return err ? err : reply_signed_in(call, 200, &a, next);
}

static enum hl_err
post_logout(struct call *call)
{
	const char *token;
	enum hl_err err = read_refresh(call, &token);

	if (err == HL_OK)
		err = refresh_end(&call->app->store, token);
	return err ? err : reply_empty(call, 204);
}

/* ---- GET and PUT /api/auth/profile ---- */

static enum hl_err
get_me(struct call *call)
{
	struct buf body = BUF_INIT(ANSWER_MAX);
	struct account who;
	enum hl_err err = call_account(call, &who);

	if (err == HL_OK) {
		write_user(&body, &who);
		buf_putc(&body, '}');
		err = reply_json(call, 200, &body);
	}
	buf_free(&body);
	return err;
}

/* Whoever changes the password knows the one there is: a stolen access token is not enough. */
static enum hl_err
prove_current(struct call *call, const struct account *who)
{
	const char *current;
	size_t len;
	struct account found;
	enum hl_err err;

	if (!read_member(call, "currentPassword", &current, &len))
		return HL_BAD_REQUEST;
	if (len == 0)
		return call_wrong_field(call, "currentPassword", "currentPassword is required to change the password");
	err = prove(call, who->email, current, &found);
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
		return call_wrong_field(call, "email", SAME_ADDRESS);
	return err == HL_UNPROCESSABLE ? HL_CONFLICT : err;
}

/* With a new password also a new token: the one that this came with is void. */
static enum hl_err
reply_profile(struct call *call, const struct account *who, bool token)
{
	struct buf body = BUF_INIT(ANSWER_MAX);
	enum hl_err err = HL_OK;

	write_user(&body, who);
	if (token) {
		buf_putc(&body, ',');
		err = write_token(call, who, &body);
	}
	buf_putc(&body, '}');
	if (err == HL_OK)
		err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
put_profile(struct call *call)
{
	char hash[PASSWORD_HASH_LEN + 1] = "";
	struct passwords *passwords;
	struct person p;
	struct account who;
	enum hl_err err = call_owner(call, &who);

	if (err == HL_OK)
		err = check_person(call, false, &p);
	if (err)
		return err;
	if (*p.password) {
		err = prove_current(call, &who);
		if (err == HL_OK)
			err = passwords_of(call, &passwords);
		if (err == HL_OK)
			err = passwords_make(passwords, call->address, p.password, hash, &call->retry_ms);
	}
	if (err == HL_OK)
		err = store_change(call, &p, *hash ? hash : NULL, &who);
	explicit_bzero(hash, sizeof(hash));
	return err ? err : reply_profile(call, &who, *p.password != '\0');
}

static const struct route routes[] = {
	{ "POST", "/api/auth/register", BODY_JSON, post_register },
	{ "POST", "/api/auth/login", BODY_JSON, post_login },
	{ "POST", "/api/auth/refresh", BODY_JSON, post_refresh },
	{ "POST", "/api/auth/logout", BODY_JSON, post_logout },
	{ "GET", "/api/auth/me", BODY_NONE, get_me },
	{ "GET", "/api/auth/profile", BODY_NONE, get_me },
	{ "PUT", "/api/auth/profile", BODY_JSON, put_profile },
};

int
main(int argc, char **argv)
{
	static const struct program auth = {
		.name = "auth", .purpose = "Serves accounts: register, sign in, stay signed in, profile.",
		.routes = routes, .count = sizeof(routes) / sizeof(routes[0]), .needs_store = true, .needs_accounts = true,
	};
	int status = program_main(&auth, argc, argv);

	passwords_free(waiting_room);
	return status;
}
