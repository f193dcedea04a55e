#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/aliases.h"
#include "engine/company.h"
#include "engine/persona.h"

/* An owner's aliases, as of that version of his agents: of those that take calls, or also without a token. */
struct owner {
	char		 account[CRYPTO_NAME_LEN + 1];
	bool		 with_token;
	int64_t		 version;
	struct aliases	*aliases;
	char		 (*agents)[CRYPTO_NAME_LEN + 1];	/* by the aliases' index */
};

struct companies { struct owner owners[COMPANIES_KEPT]; };

enum hl_err
companies_new(struct companies **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? HL_OK : HL_NO_MEMORY;
}

static void
owner_clear(struct owner *o)
{
	aliases_free(o->aliases);
	free(o->agents);
	*o = (struct owner){ 0 };
}

void
companies_free(struct companies *c)
{
	for (size_t i = 0; c && i < COMPANIES_KEPT; i++)
		owner_clear(&c->owners[i]);
	free(c);
}

static enum hl_err
owner_read(struct store *s, const char *account, bool with_token, struct owner *ret)
{
	struct agents agents = { 0 };
	enum hl_err err;

	*ret = (struct owner){ .with_token = with_token };
	strcpy(ret->account, account);
	err = agent_list(s, account, &agents, &ret->version);
	if (err)
		return err;
	ret->agents = calloc(agents.count + 1, sizeof(*ret->agents));
	err = ret->agents ? aliases_of_agents(&agents, with_token, &ret->aliases) : HL_NO_MEMORY;
	for (size_t i = 0; err == HL_OK && i < agents.count; i++)
		strcpy(ret->agents[i], agents.list[i].h);
	agents_free(&agents);
	if (err)
		owner_clear(ret);
	return err;
}

/* The slot is one of several that another task may fill meanwhile: what it holds counts after the last suspension. */
static struct owner *
owner_get(struct companies *c, struct store *s, const char *account, bool with_token)
{
	struct owner *slot = &c->owners[(str_hash(account, strlen(account)) + with_token) % COMPANIES_KEPT], fresh;
	int64_t version;

	if (agent_version(s, account, &version) != HL_OK)
		return NULL;
	if (slot->agents && strcmp(slot->account, account) == 0 && slot->with_token == with_token && slot->version == version)
		return slot;
	if (owner_read(s, account, with_token, &fresh) != HL_OK)
		return NULL;
	owner_clear(slot);
	*slot = fresh;
	return slot;
}

/* The agent whose company the text names; false: none. */
static bool
find_in_text(struct companies *c, struct store *s, const struct desk_profile *d, const char *text, size_t len,
    char ret[CRYPTO_NAME_LEN + 1])
{
	const struct owner *o = owner_get(c, s, d->account, !d->anonymous);
	size_t index;

	if (o == NULL || !aliases_find(o->aliases, text, len, &index))
		return false;
	strcpy(ret, o->agents[index]);
	return true;
}

enum company
companies_find(struct companies *c, struct store *s, const struct desk_profile *d, const char *text, size_t len,
    struct agent *ret)
{
	char found[CRYPTO_NAME_LEN + 1];

	*ret = (struct agent){ 0 };
	if (*d->agent)
		return agent_load(s, d->agent, ret) == HL_OK ? COMPANY_KNOWN : COMPANY_NONE;
	if (!d->simulator)
		return COMPANY_NONE;
	if (find_in_text(c, s, d, text, len, found) && agent_load(s, found, ret) == HL_OK)
		return COMPANY_FOUND;
	persona_demo(s->conf, ret);
	return COMPANY_DEMO;
}
