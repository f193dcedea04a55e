#include <string.h>

#include "base/person.h"
#include "records/chat_owner.h"

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
