#include <string.h>

#include "base/person.h"
#include "records/chat_owner.h"

enum hl_err
chat_owner(struct store *s, char ret_h[CRYPTO_NAME_LEN + 1])
{
	const char *named = s->conf->chat_owner;
	char email[PERSON_EMAIL_MAX + 1];
	struct account a;
	enum hl_err err;

	if (*named == '\0')
		return account_first(s, ret_h);
	if (!person_email_fold(named, strlen(named), email))
		return HL_NOT_FOUND;
	err = account_find(s, email, &a);
	if (err == HL_OK)
		strcpy(ret_h, a.h);
	return err;
}

enum hl_err
chat_owned_by(struct store *s, const struct account *a, bool *ret)
{
	const char *named = s->conf->chat_owner;
	char email[PERSON_EMAIL_MAX + 1], h[CRYPTO_NAME_LEN + 1];
	enum hl_err err;

	*ret = false;
	if (!a->stored)
		return HL_OK;
	if (*named) {
		*ret = person_email_fold(named, strlen(named), email) && strcmp(email, a->email) == 0;
		return HL_OK;
	}
	err = account_first(s, h);
	*ret = err == HL_OK && strcmp(h, a->h) == 0;
	return err == HL_NOT_FOUND ? HL_OK : err;
}
