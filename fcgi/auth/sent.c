/*
 * sent.c - what was sent: the members of a body, and what is wrong with them.
 */
#include <stdio.h>
#include <string.h>

#include "api/reply.h"
#include "auth/auth.h"
#include "base/person.h"

/* A string member; absent, null or blank gives "".  False, with the sentence, if it is of another type. */
bool
auth_member(struct call *call, const char *name, const char **ret, size_t *len)
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

static enum hl_err
check_name(struct call *call, bool required, struct person *p)
{
	const char *text, *problem;
	size_t len;

	p->name[0] = '\0';
	if (!auth_member(call, "name", &text, &len))
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
	if (!auth_member(call, "email", &text, &len))
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

	if (!auth_member(call, "password", &p->password, &len))
		return HL_BAD_REQUEST;
	if (!required && json_kind(json_get(call->body, "password")) <= JSON_NULL)
		return HL_OK;
	problem = person_password_problem(p->password, len);
	return problem ? call_wrong_field(call, "password", problem) : HL_OK;
}

/* All of them, so that every field that is wrong is named. */
enum hl_err
auth_person(struct call *call, bool required, struct person *p)
{
	enum hl_err name = check_name(call, required, p), email = check_email(call, required, p),
	    password = check_password(call, required, p);

	return name ? name : email ? email : password;
}
