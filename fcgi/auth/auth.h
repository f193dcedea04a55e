/*
 * auth.h - what the files of the auth program share.
 */
#ifndef HL_AUTH_PARTS_H
#define HL_AUTH_PARTS_H

#include "api/call.h"
#include "records/account.h"
#include "services/password.h"

#define AUTH_ANSWER_MAX		16384u
#define AUTH_SAME_ADDRESS	"User already exists with this email"

/* ---- sent.c ---- */

/* A string member; absent, null or blank gives "".  False, with the sentence, if it is of another type. */
bool	 auth_member(struct call *, const char *name, const char **ret, size_t *ret_len);

/* An account's three members as somebody sent them; a member that is absent is "". */
struct person {
	char	 name[ACCOUNT_NAME_MAX + 1], email[ACCOUNT_EMAIL_MAX + 1];
	const char *password;
};

/* All members, so that every field that is wrong is named.  required: each must be there. */
enum hl_err auth_person(struct call *, bool required, struct person *ret) HL_MUST_CHECK;

/* ---- answers.c ---- */

void	 auth_write_user(struct buf *, const struct account *);	/* without the closing brace */
enum hl_err auth_write_token(struct call *, const struct account *, struct buf *out) HL_MUST_CHECK;	/* the member token */
enum hl_err auth_reply_signed_in(struct call *, int status, const struct account *, const char *refresh) HL_MUST_CHECK;

/* ---- proof.c ---- */

/* One for the program, made with its first request: who waits for a hash. */
enum hl_err auth_passwords(struct call *, struct passwords **ret) HL_MUST_CHECK;
void	 auth_passwords_free(void);
/* Suspends.  HL_UNAUTHORIZED: the account, if there is one, has another password. */
enum hl_err auth_prove(struct call *, const char *email, const char *password, struct account *ret) HL_MUST_CHECK;

/* ---- register.c, sign_in.c, profile.c ---- */

enum hl_err auth_post_register(struct call *) HL_MUST_CHECK;
enum hl_err auth_post_login(struct call *) HL_MUST_CHECK;
enum hl_err auth_post_refresh(struct call *) HL_MUST_CHECK;
enum hl_err auth_post_logout(struct call *) HL_MUST_CHECK;
enum hl_err auth_get_me(struct call *) HL_MUST_CHECK;
enum hl_err auth_put_profile(struct call *) HL_MUST_CHECK;

#endif
