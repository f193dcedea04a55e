#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "records/belongings.h"
#include "records/desk.h"
#include "records/escalation.h"
#include "records/inventory.h"
#include "records/keys.h"
#include "records/sessions.h"

#define STEP	100		/* keys looked at in one go */
#define PASSES	5		/* over everything, for what came in between */

_Static_assert(ID_LEN == CRYPTO_NAME_LEN, "ids and keyed names are looked for alike");

/* ---- lists of names ---- */

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, CRYPTO_NAME_LEN);
}

static enum hl_err
add(struct place_list *l, const char *name)
{
	struct place *more;

	if (name == NULL || strlen(name) != CRYPTO_NAME_LEN)
		return HL_OK;
	more = (l->count & (l->count - 1)) == 0 ? realloc(l->list, (l->count ? 2 * l->count : 1) * sizeof(*more)) : l->list;
	if (more == NULL)
		return HL_NO_MEMORY;
	l->list = more;
	memcpy(l->list[l->count++].h, name, CRYPTO_NAME_LEN + 1);
	return HL_OK;
}

static void
sort(struct place_list *l)
{
	if (l->count)
		qsort(l->list, l->count, sizeof(*l->list), compare);
}

static bool
has(const struct place_list *sorted, const char *name)
{
	return sorted->count && bsearch(name, sorted->list, sorted->count, sizeof(*sorted->list), compare);
}

static void
list_free(struct place_list *l)
{
	free(l->list);
	*l = (struct place_list){ 0 };
}

void
belongings_free(struct belongings *b)
{
	list_free(&b->sessions);
	list_free(&b->conversations);
	list_free(&b->escalations);
	list_free(&b->taken);
}

/* ---- finding ---- */

/* Is it kind:{S}:NAME and nothing more? */
static const char *
plain_name(const char *key, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(key, kind, len) == 0 && strlen(key + len) == CRYPTO_NAME_LEN ? key + len : NULL;
}

#define CONVERSATIONS	"c:" SHARD ":"
#define ESCALATIONS	"e:" SHARD ":"

/* Two fields of each key of a kind: take(b, whose, name, first, second). */
struct looking {
	struct belongings *b;
	const char	*kind, *fields[2];
	char		 user[CRYPTO_NAME_LEN + 1], staff[CRYPTO_NAME_LEN + 1];
	enum hl_err	(*take)(struct looking *, const char *name, const char *first, const char *second);
};

static enum hl_err
take_conversation(struct looking *l, const char *name, const char *uh, const char *dk)
{
	if (uh == NULL)
		return HL_OK;
	if (dk && strcmp(uh, l->b->account.h) == 0)
		return add(&l->b->conversations, name);
	return dk == NULL && strcmp(uh, l->user) == 0 ? add(&l->b->sessions, name) : HL_OK;
}

static enum hl_err
take_escalation(struct looking *l, const char *id, const char *c, const char *bh)
{
	if (c && strlen(c) == CRYPTO_NAME_LEN && (has(&l->b->conversations, c) || has(&l->b->sessions, c)))
		return add(&l->b->escalations, id);
	return bh && strcmp(bh, l->staff) == 0 ? add(&l->b->taken, id) : HL_OK;
}

static enum hl_err
look_at(struct store *s, struct looking *l, const char *const *keys, size_t count)
{
	struct redis_arg args[STEP][4];
	struct redis_command commands[STEP] = { { NULL, 0 } };
	const struct redis_reply *reply;
	enum hl_err err;

	for (size_t i = 0; i < count; i++) {
		args[i][0] = RA("HMGET");
		args[i][1] = RA(keys[i]);
		args[i][2] = RA(l->fields[0]);
		args[i][3] = RA(l->fields[1]);
		commands[i] = (struct redis_command){ args[i], 4 };
	}
	err = redis_together(s->redis, commands, count, false, &reply);
	for (size_t i = 0; i < count && err == HL_OK; i++)
		err = l->take(l, keys[i] + strlen(l->kind), redis_str(redis_at(redis_at(reply, i), 0), NULL),
		    redis_str(redis_at(redis_at(reply, i), 1), NULL));
	return err;
}

static enum hl_err
look_through(struct store *s, struct looking *l, const struct inventory *v)
{
	const char *keys[STEP];
	size_t n = 0;
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < v->count && err == HL_OK; i++) {
		if (!plain_name(v->keys[i], l->kind))
			continue;
		keys[n++] = v->keys[i];
		if (n < STEP)
			continue;
		err = look_at(s, l, keys, n);
		n = 0;
	}
	return err || n == 0 ? err : look_at(s, l, keys, n);
}

static enum hl_err
find_account(struct store *s, struct belongings *b)
{
	char h[CRYPTO_NAME_LEN + 1];
	enum hl_err err;

	account_name(s, b->user_id, h);
	err = account_load(s, h, &b->account);
	if (err == HL_NOT_FOUND) {
		b->account = (struct account){ 0 };
		memcpy(b->account.h, h, sizeof(h));
		err = HL_OK;
	}
	return err;
}

static bool
is_empty(const struct belongings *b)
{
	return !b->account.stored && b->sessions.count + b->conversations.count + b->escalations.count + b->taken.count == 0;
}

enum hl_err
belongings_find(struct store *s, const char *user_id, const struct account *account, struct belongings *ret)
{
	struct looking l = { .b = ret, .kind = CONVERSATIONS, .fields = { "uh", "dk" }, .take = take_conversation };
	struct inventory v = { 0 };
	enum hl_err err = HL_OK;

	*ret = (struct belongings){ .user_id = user_id };
	if (account)
		ret->account = *account;
	else
		err = find_account(s, ret);
	user_name(s, user_id, l.user);
	crypto_name(s->crypto, "staff", user_id, strlen(user_id), l.staff);
	if (err == HL_OK)
		err = inventory_read(s, false, &v);
	if (err == HL_OK)
		err = look_through(s, &l, &v);
	sort(&ret->conversations);
	sort(&ret->sessions);
	l.kind = ESCALATIONS;
	l.fields[0] = "c";
	l.fields[1] = "bh";
	l.take = take_escalation;
	if (err == HL_OK)
		err = look_through(s, &l, &v);
	if (err == HL_OK && is_empty(ret))
		err = HL_NOT_FOUND;
	inventory_free(&v);
	if (err)
		belongings_free(ret);
	return err;
}

/* ---- erasing: what has rules of its own ---- */

/* What he has taken is the assistant's again, and nobody's from now on. */
static enum hl_err
let_go(struct store *s, const struct belongings *b)
{
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < b->taken.count && err == HL_OK; i++) {
		char key[CONVERSATION_KEY_MAX];
		const struct redis_reply *reply;
		struct escalation e;

		err = escalation_read(s, b->taken.list[i].h, &e);
		if (err == HL_OK && str_equal(e.status, "taken"))
			err = escalation_return(s, &e, &(struct staff){ b->user_id, true }, NULL);
		escalation_clear(&e);
		snprintf(key, sizeof(key), ESCALATIONS "%s", b->taken.list[i].h);
		const struct redis_arg args[] = { RA("HDEL"), RA(key), RA("by"), RA("bh") };

		if (err == HL_OK || err == HL_NOT_FOUND || err == HL_CONFLICT)
			err = redis_call(s->redis, args, 4, &reply);
	}
	return err;
}

static enum hl_err
end_conversations(struct store *s, const struct belongings *b)
{
	const struct desk_access own = { .account = b->account.h };
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < b->sessions.count && err == HL_OK; i++)
		err = session_end(s, &b->sessions.list[i]);
	for (size_t i = 0; i < b->conversations.count && err == HL_OK; i++) {
		char id[ID_LEN + 1];

		err = desk_id_at(s, &b->conversations.list[i], id);
		if (err == HL_OK && *id)
			err = desk_delete(s, &own, id, false);
		if (err == HL_NOT_FOUND)
			err = HL_OK;
	}
	return err;
}

/* Somebody else must be able to let people in. */
enum hl_err
belongings_check(struct store *s, const struct belongings *b)
{
	static char h[ACCOUNTS_PAGE][CRYPTO_NAME_LEN + 1];
	size_t from = 0, count;
	enum hl_err err;

	if (!b->account.stored || !b->account.admin)
		return HL_OK;
	do {
		err = account_list(s, from, h, &count);
		for (size_t i = 0; i < count && err == HL_OK; i++) {
			struct account a;

			err = account_load(s, h[i], &a);
			if (err == HL_OK && a.admin && strcmp(h[i], b->account.h) != 0)
				return HL_OK;
			if (err == HL_NOT_FOUND)
				err = HL_OK;
		}
		from += count;
	} while (err == HL_OK && count == ACCOUNTS_PAGE);
	return err ? err : from <= 1 ? HL_OK : HL_CONFLICT;
}

/* ---- erasing: names, wherever they are ---- */

static enum hl_err
add_members(struct store *s, const char *h, const char *more, struct place_list *names)
{
	char key[ACCOUNT_KEY_MAX];
	const char *keys[1] = { key };
	struct stored held;
	enum hl_err err;

	account_key(h, more, key);
	err = inventory_get(s, keys, 1, &held);
	for (size_t i = 0; err == HL_OK && i < stored_count(&held); i++)
		err = add(names, stored_item(&held, i, NULL));
	return err;
}

static enum hl_err
add_all(struct place_list *names, const struct place_list *more)
{
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < more->count && err == HL_OK; i++)
		err = add(names, more->list[i].h);
	return err;
}

/* Every keyed name and id by which something of this person is called. */
static enum hl_err
collect_names(struct store *s, const struct belongings *b, struct place_list *names)
{
	static const char *const members[] = { ":agents", ":keys", ":families", ":conversations", ":recent", ":open" };
	static const char *const purposes[] = { "email", "sign-in-account" };
	char name[CRYPTO_NAME_LEN + 1];
	enum hl_err err = add(names, b->account.h);

	user_name(s, b->user_id, name);
	if (err == HL_OK)
		err = add(names, name);
	crypto_name(s->crypto, "staff", b->user_id, strlen(b->user_id), name);
	if (err == HL_OK)
		err = add(names, name);
	for (size_t i = 0; b->account.stored && i < sizeof(purposes) / sizeof(purposes[0]) && err == HL_OK; i++) {
		crypto_name(s->crypto, purposes[i], b->account.email, strlen(b->account.email), name);
		err = add(names, name);
	}
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && err == HL_OK; i++)
		err = add_members(s, b->account.h, members[i], names);
	if (err == HL_OK)
		err = add_all(names, &b->sessions);
	if (err == HL_OK)
		err = add_all(names, &b->conversations);
	if (err == HL_OK)
		err = add_all(names, &b->escalations);
	sort(names);
	return err;
}

static bool
in_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Is one of the names anywhere in these bytes? */
static bool
names_it(const struct place_list *names, const char *bytes, size_t len)
{
	size_t run = 0;

	for (size_t i = 0; i < len; i++) {
		run = in_name(bytes[i]) ? run + 1 : 0;
		if (run >= CRYPTO_NAME_LEN && has(names, bytes + i + 1 - CRYPTO_NAME_LEN))
			return true;
	}
	return false;
}

/* What is to be taken out of one key: its items are borrowed, so it is noted first. */
struct removal { char *key, *item; enum stored_type type; };
struct removals { struct removal *list; size_t count; };

static enum hl_err
note(struct removals *r, const struct stored *x, const char *item, size_t len)
{
	struct removal *more = realloc(r->list, (r->count + 1) * sizeof(*more));

	if (more == NULL)
		return HL_NO_MEMORY;
	r->list = more;
	more[r->count] = (struct removal){ strdup(x->key), item ? strndup(item, len) : NULL, x->type };
	if (more[r->count].key == NULL || (item && more[r->count].item == NULL)) {
		free(more[r->count].key);
		return HL_NO_MEMORY;
	}
	r->count++;
	return HL_OK;
}

static void
removals_free(struct removals *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->list[i].key);
		free(r->list[i].item);
	}
	free(r->list);
}

/* A message of somebody else may hold such a name by chance of 1 in 2^132: lists are looked at for their key alone. */
static enum hl_err
look_into(const struct place_list *names, const struct stored *x, struct removals *r)
{
	enum hl_err err = HL_OK;

	if (x->gone)
		return HL_OK;
	if (names_it(names, x->key, strlen(x->key)))
		return note(r, x, NULL, 0);
	for (size_t i = 0; i < stored_count(x) && x->type != STORED_LIST && err == HL_OK; i++) {
		bool pairs = x->type != STORED_STRING;
		size_t len, at = pairs ? i - i % 2 : i;
		const char *item = stored_item(x, i, &len);

		if (item == NULL || !names_it(names, item, len))
			continue;
		item = pairs ? stored_item(x, at, &len) : NULL;
		err = note(r, x, item, len);
	}
	return err;
}

static enum hl_err
look_everywhere(struct store *s, const struct place_list *names, struct removals *r)
{
	struct inventory v;
	enum hl_err err = inventory_read(s, true, &v);

	for (size_t i = 0, n; i < v.count && err == HL_OK; i += n) {
		struct stored group[INVENTORY_STEP];

		n = v.count - i < INVENTORY_STEP ? v.count - i : INVENTORY_STEP;
		err = inventory_get(s, (const char *const *)v.keys + i, n, group);
		for (size_t g = 0; g < n && err == HL_OK; g++)
			err = look_into(names, &group[g], r);
	}
	inventory_free(&v);
	return err;
}

static enum hl_err
take_out(struct store *s, const struct removal *x)
{
	const struct redis_reply *reply;
	const struct redis_arg args[] = { RA(x->type == STORED_ZSET ? "ZREM" : "HDEL"), RA(x->key), RA(x->item ? x->item : "") };

	return x->item ? redis_call(s->redis, args, 3, &reply) : inventory_remove(s, x->key);
}

static enum hl_err
take_out_all(struct store *s, const struct place_list *names, size_t *removed)
{
	enum hl_err err = HL_OK;

	for (int pass = 0; pass < PASSES && err == HL_OK; pass++) {
		struct removals r = { 0 };
		size_t found;

		err = look_everywhere(s, names, &r);
		for (size_t i = 0; i < r.count && err == HL_OK; i++)
			err = take_out(s, &r.list[i]);
		found = r.count;
		*removed += found;
		removals_free(&r);
		if (err == HL_OK && found == 0)
			return HL_OK;
	}
	return err ? err : HL_BUSY;
}

/* What came between the finding and now, when nobody can be that person any more. */
static enum hl_err
end_late_ones(struct store *s, const struct belongings *b, struct place_list *names)
{
	struct belongings late;
	enum hl_err err = belongings_find(s, b->user_id, &b->account, &late);

	if (err)
		return err == HL_NOT_FOUND ? HL_OK : err;
	err = let_go(s, &late);
	if (err == HL_OK)
		err = end_conversations(s, &late);
	if (err == HL_OK)
		err = add_all(names, &late.sessions);
	if (err == HL_OK)
		err = add_all(names, &late.conversations);
	if (err == HL_OK)
		err = add_all(names, &late.escalations);
	sort(names);
	belongings_free(&late);
	return err;
}

enum hl_err
belongings_erase(struct store *s, const struct belongings *b, size_t *ret_removed)
{
	struct place_list names = { 0 };
	enum hl_err err = belongings_check(s, b);

	*ret_removed = 0;
	if (err == HL_OK)
		err = collect_names(s, b, &names);
	if (err == HL_OK)
		err = let_go(s, b);
	if (err == HL_OK)
		err = end_conversations(s, b);
	if (err == HL_OK && b->account.stored)
		err = account_remove(s, &b->account);
	if (err == HL_OK)
		err = end_late_ones(s, b, &names);
	if (err == HL_OK)
		err = take_out_all(s, &names, ret_removed);
	list_free(&names);
	return err;
}
