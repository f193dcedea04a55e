/*
 * helpline keys add, list, remove - the keys by which other programs use an account's agents as a model.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/person.h"
#include "base/str.h"
#include "books.h"
#include "command.h"
#include "keys.h"
#include "records/account.h"
#include "records/api_key.h"

#define USAGE "usage: helpline keys add --name NAME [--owner EMAIL]\n" \
	"       helpline keys list\n" \
	"       helpline keys remove --name NAME [--owner EMAIL]\n" \
	"       each with [--json] [--state-dir DIR] [--env-file FILE]; without an owner, they are the first administrator's\n" \
	"       helpline keys init --dir DIR"

struct keys_asked {
	const char	*name, *owner_text;
	struct books_place place;
	char		 owner[ACCOUNT_EMAIL_MAX + 1];
	bool		 json;
	unsigned	 listed;
	struct buf	 problem;
};

static enum hl_err
fail(struct keys_asked *k, enum hl_err err, const char *sentence)
{
	buf_reset(&k->problem);
	buf_puts(&k->problem, sentence);
	return err;
}

/* {"name":…,"owner":…} and then what is given as members; text: the key itself, or NULL. */
static void
print_json(const char *name, const char *owner, const char *text, const char *more)
{
	struct buf out = BUF_INIT(16384);

	buf_puts(&out, "{\"name\":");
	buf_json_str(&out, name);
	buf_puts(&out, ",\"owner\":");
	buf_json_str(&out, owner);
	if (text) {
		buf_puts(&out, ",\"key\":");
		buf_json_str(&out, text);
	}
	buf_printf(&out, "%s}", more);
	if (buf_err(&out) == HL_OK)
		fputs(out.data, stdout);
	if (out.data)
		explicit_bzero(out.data, out.cap);
	buf_free(&out);
}

static enum hl_err
find_owner(struct store *s, struct keys_asked *k, struct account *ret)
{
	char h[CRYPTO_NAME_LEN + 1];
	enum hl_err err;

	if (k->owner_text) {
		err = account_find(s, k->owner, ret);
		return err == HL_NOT_FOUND ? fail(k, err, "there is no account with this address") : err;
	}
	err = account_first(s, h);
	if (err == HL_OK)
		err = account_load(s, h, ret);
	return err == HL_NOT_FOUND ? fail(k, err, "there is no administrator yet, so say whose it is to be with --owner; helpline users add "
	    "makes accounts") : err;
}

static enum hl_err
add(struct store *s, void *arg)
{
	struct keys_asked *k = arg;
	char text[API_KEY_LEN + 1];
	struct account owner;
	struct api_key key;
	enum hl_err err = find_owner(s, k, &owner);

	if (err)
		return err;
	err = api_key_create(s, owner.h, k->name, text, &key);
	if (err == HL_CONFLICT)
		return fail(k, err, "the account has a key of this name already; remove it first, or choose another name");
	if (err == HL_TOO_LARGE)
		return fail(k, err, "the account has as many keys as it may");
	if (err == HL_OK && k->json) {
		print_json(key.name, owner.email, text, "");
		putchar('\n');
	} else if (err == HL_OK) {
		fprintf(stderr, "added: %s, of %s; the key is shown only now:\n", key.name, owner.email);
		puts(text);
	}
	explicit_bzero(text, sizeof(text));
	return err;
}

static enum hl_err
remove_key(struct store *s, void *arg)
{
	struct keys_asked *k = arg;
	struct account owner;
	enum hl_err err = find_owner(s, k, &owner);

	if (err == HL_OK) {
		err = api_key_remove(s, owner.h, k->name);
		if (err == HL_NOT_FOUND)
			return fail(k, err, "the account has no key of this name");
	}
	if (err == HL_OK && k->json) {
		print_json(k->name, owner.email, NULL, ",\"removed\":true");
		putchar('\n');
	} else if (err == HL_OK)
		printf("removed: %s, of %s\n", k->name, owner.email);
	return err;
}

static void
print_listed(struct keys_asked *k, const struct api_key *key, const char *owner, const char *created, const char *used)
{
	char more[2 * CLOCK_ISO_LEN + 64];

	snprintf(more, sizeof(more), ",\"createdAt\":\"%s\",\"lastUsedAt\":%s%s%s", created, key->used_ms ? "\"" : "",
	    key->used_ms ? used : "null", key->used_ms ? "\"" : "");
	fputs(k->listed++ ? ",\n " : "", stdout);
	print_json(key->name, owner, NULL, more);
}

static enum hl_err
print_key(struct store *s, struct keys_asked *k, const struct api_key *key)
{
	char created[CLOCK_ISO_LEN + 1], used[CLOCK_ISO_LEN + 1];
	struct account owner;
	enum hl_err err = account_load(s, key->owner, &owner);

	if (err && err != HL_NOT_FOUND)
		return err;
	clock_iso(key->created_ms, created);
	clock_iso(key->used_ms, used);
	if (k->json)
		print_listed(k, key, err ? NULL : owner.email, created, used);
	else
		printf("%.10s  last used %-16.16s  %-32s  %s\n", created, key->used_ms ? used : "never", err ? "-" : owner.email, key->name);
	return HL_OK;
}

static enum hl_err
list(struct store *s, void *arg)
{
	static struct api_key keys[API_KEYS_PAGE];
	size_t from = 0, count;
	struct keys_asked *k = arg;
	enum hl_err err;

	if (k->json)
		putchar('[');
	do {
		err = api_key_list(s, from, keys, &count);
		for (size_t i = 0; err == HL_OK && i < count; i++)
			err = print_key(s, k, &keys[i]);
		from += count;
	} while (err == HL_OK && count == API_KEYS_PAGE);
	if (k->json)
		puts("]");
	return err;
}

static const struct action {
	const char	*name;
	enum hl_err	(*run)(struct store *, void *);
	bool		 named;
} actions[] = { { "add", add, true }, { "list", list, false }, { "remove", remove_key, true } };

static const struct action *
parse(int argc, char **argv, struct keys_asked *k)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' }, { "owner", required_argument, NULL, 'o' },
		{ "state-dir", required_argument, NULL, 's' }, { "env-file", required_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'n': k->name = optarg; break;
		case 'o': k->owner_text = optarg; break;
		case 's': k->place.state_dir = optarg; break;
		case 'f': k->place.env_file = optarg; break;
		case 'j': k->json = true; break;
		default: return NULL;
		}
	for (size_t i = 0; optind + 1 == argc && i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, argv[optind]) == 0)
			return actions[i].named == (k->name != NULL) && (actions[i].named || !k->owner_text) ? &actions[i] : NULL;
	return NULL;
}

/* What is wrong with the values, or NULL. */
static const char *
check_values(struct keys_asked *k)
{
	if (k->owner_text && (!person_email_fold(k->owner_text, strlen(k->owner_text), k->owner) ||
	    person_email_problem(k->owner, strlen(k->owner))))
		return "The owner's email address is not valid";
	if (k->name == NULL)
		return NULL;
	if (!utf8_valid(k->name, strlen(k->name)) || str_blank(k->name, strlen(k->name)))
		return "The name must be UTF-8 text";
	if (strlen(k->name) > API_KEY_NAME_MAX)
		return "The name is too long";
	for (const char *c = k->name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return "The name must be one line";
	return NULL;
}

int
api_keys_command(int argc, char **argv)
{
	struct keys_asked k = { .problem = BUF_INIT(4096) };
	const struct action *action = parse(argc, argv, &k);
	const char *wrong = action ? check_values(&k) : NULL;
	struct conf conf = { 0 };
	enum hl_err err;

	if (action == NULL)
		return complain(2, argv[0], "%s", USAGE);
	if (wrong)
		return complain(1, argv[0], "%s", wrong);
	err = books_settings(&k.place, &conf, &k.problem);
	if (err == HL_OK)
		err = books_open(&conf, action->run, &k, &k.problem);
	if (err)
		complain(1, argv[0], "%s", k.problem.len ? k.problem.data : err_text(err));
	conf_free(&conf);
	buf_free(&k.problem);
	return err ? 1 : 0;
}
