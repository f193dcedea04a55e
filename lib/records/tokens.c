#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "records/account.h"
#include "records/tokens.h"

#define KEPT_ID_MAX	64	/* longer ids, which are not of our making, are checked each time */

struct kept_token {
	char	 name[CRYPTO_NAME_LEN + 1];	/* "": free */
	char	 id[KEPT_ID_MAX + 1], h[CRYPTO_NAME_LEN + 1], family[CRYPTO_NAME_LEN + 1];
	bool	 admin, names_role;
	int64_t	 issued_s, expires_s;
};

struct tokens { struct kept_token slots[TOKENS]; };

static void
keep(struct kept_token *k, const char *name, const struct account *a)
{
	if (strlen(a->id) > KEPT_ID_MAX)
		return;
	*k = (struct kept_token){ .admin = a->admin, .names_role = a->names_role, .issued_s = a->issued_s,
		.expires_s = a->expires_s };
	memcpy(k->name, name, CRYPTO_NAME_LEN);
	strcpy(k->id, a->id);
	memcpy(k->h, a->h, sizeof(k->h));
	memcpy(k->family, a->family, sizeof(k->family));
}

static void
recall(const struct kept_token *k, struct account *ret)
{
	*ret = (struct account){ .admin = k->admin, .names_role = k->names_role, .issued_s = k->issued_s,
		.expires_s = k->expires_s };
	strcpy(ret->id, k->id);
	memcpy(ret->h, k->h, sizeof(ret->h));
	memcpy(ret->family, k->family, sizeof(ret->family));
}

static enum hl_err
check(const struct store *s, const char *token, struct account *ret)
{
	enum hl_err err = account_of_token(s->conf, token, ret);

	if (err == HL_OK)
		account_name(s, ret->id, ret->h);
	return err;
}

enum hl_err
tokens_account(struct store *s, const char *token, struct account *ret)
{
	char name[CRYPTO_NAME_LEN + 1];
	struct kept_token *k;
	enum hl_err err;

	if (s->tokens == NULL)
		s->tokens = calloc(1, sizeof(*s->tokens));
	if (s->tokens == NULL || strlen(token) > TOKEN_MAX)
		return check(s, token, ret);
	crypto_name(s->crypto, "token", token, strlen(token), name);
	k = &s->tokens->slots[str_hash(name, CRYPTO_NAME_LEN) % TOKENS];
	if (strcmp(k->name, name) == 0 && clock_wall_ms() / 1000 < k->expires_s) {
		recall(k, ret);
		return HL_OK;
	}
	err = check(s, token, ret);
	if (err == HL_OK)
		keep(k, name, ret);
	return err;
}
