/*
 * helpline users - accounts from the command line: how the first administrator is made, and what to do about a
 * forgotten password.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "base/person.h"
#include "base/str.h"
#include "ask.h"
#include "books.h"
#include "command.h"
#include "records/account.h"

#define USAGE "usage: helpline users add --email ADDRESS --name NAME [--admin]\n" \
	"       helpline users list\n" \
	"       helpline users set-role --email ADDRESS --role admin|user\n" \
	"       helpline users password --email ADDRESS\n" \
	"       each with [--json] [--state-dir DIR] [--env-file FILE]; a password is read from the terminal or from standard input,\n" \
	"       and made and printed if that has none"

#define PASSWORD_LINE	256
#define JSON_MAX	16384

struct users {
	const struct action *action;
	const char	*email_text, *name, *role;
	size_t		 name_len;		/* without the spaces around it */
	struct books_place place;
	bool		 admin, json;
	char		 email[ACCOUNT_EMAIL_MAX + 1];
	char		 password[PASSWORD_LINE], hash[PASSWORD_HASH_LEN + 1];
	bool		 made;			/* the password is ours: it is printed */
	struct conf	 conf;
	struct store	*store;
	struct buf	 problem;
};

/* ---- the password ---- */

/* What is wrong with it, or NULL. */
static const char *
read_password(struct users *u)
{
	char id[ID_LEN + 1];

	ask_line("Password (empty: one is made): ", u->password, sizeof(u->password));
	if (*u->password && !utf8_valid(u->password, strlen(u->password)))
		return "The password must be UTF-8 text";
	u->made = *u->password == '\0';
	while (u->made && person_password_problem(u->password, strlen(u->password))) {
		id_new(id);
		snprintf(u->password, sizeof(u->password), "%s", id);
	}
	return person_password_problem(u->password, strlen(u->password));
}

/* ---- what is done, in a task ---- */

static enum hl_err
fail(struct users *u, enum hl_err err, const char *sentence)
{
	buf_reset(&u->problem);
	buf_printf(&u->problem, "%s", sentence);
	return err;
}

static enum hl_err
find(struct users *u, struct account *a)
{
	enum hl_err err = account_find(u->store, u->email, a);

	return err == HL_NOT_FOUND ? fail(u, err, "there is no account with this address") : err;
}

/* Without its end: {"id":…,"role":"admin" */
static void
add_json(struct buf *out, const struct account *a)
{
	char created[CLOCK_ISO_LEN + 1];

	clock_iso(a->created_ms, created);
	buf_puts(out, "{\"id\":");
	buf_json_str(out, a->id);
	buf_puts(out, ",\"email\":");
	buf_json_str(out, a->email);
	buf_puts(out, ",\"name\":");
	buf_json_str(out, a->name);
	buf_printf(out, ",\"role\":\"%s\",\"createdAt\":", a->admin ? "admin" : "user");
	buf_json_str(out, a->created_ms ? created : NULL);
}

static void
print_json(const struct users *u, const struct account *a, const char *end)
{
	struct buf out = BUF_INIT(JSON_MAX);

	add_json(&out, a);
	if (u->made) {
		buf_puts(&out, ",\"password\":");
		buf_json_str(&out, u->password);
	}
	buf_printf(&out, "}%s", end);
	if (buf_err(&out) == HL_OK)
		fputs(out.data, stdout);
	if (out.data)
		explicit_bzero(out.data, out.cap);
	buf_free(&out);
}

static void
tell(const struct users *u, const struct account *a, const char *what)
{
	if (u->json) {
		print_json(u, a, "\n");
		return;
	}
	printf("%s: %s, %s (%s)\n", what, a->email, a->name, a->admin ? "admin" : "user");
	if (u->made)
		printf("password, shown only now:\n%s\n", u->password);
}

static enum hl_err
add(struct users *u)
{
	struct account a = { .admin = u->admin };
	enum hl_err err;

	id_new(a.id);
	snprintf(a.name, sizeof(a.name), "%.*s", (int)u->name_len, u->name);
	snprintf(a.email, sizeof(a.email), "%s", u->email);
	err = account_create(u->store, u->hash, &a);
	if (err == HL_OK)
		tell(u, &a, "added");
	return err == HL_CONFLICT ? fail(u, err, "there is an account with this address already") : err;
}

static enum hl_err
list(struct users *u)
{
	static char h[ACCOUNTS_PAGE][CRYPTO_NAME_LEN + 1];
	char created[CLOCK_ISO_LEN + 1];
	struct account a;
	size_t from = 0, count;
	enum hl_err err;

	if (u->json)
		putchar('[');
	do {
		err = account_list(u->store, from, h, &count);
		for (size_t i = 0; err == HL_OK && i < count; i++) {
			err = account_load(u->store, h[i], &a);
			if (err)
				break;
			if (u->json) {
				fputs(from + i ? ",\n " : "", stdout);
				print_json(u, &a, "");
				continue;
			}
			clock_iso(a.created_ms, created);
			printf("%.10s  %-5s  %-32s  %s\n", created, a.admin ? "admin" : "user", a.email, a.name);
		}
		from += count;
	} while (err == HL_OK && count == ACCOUNTS_PAGE);
	if (u->json)
		puts("]");
	return err;
}

static enum hl_err
set_role(struct users *u)
{
	struct account a;
	enum hl_err err = find(u, &a);

	if (err == HL_OK)
		err = account_set_role(u->store, strcmp(u->role, "admin") == 0, &a);
	if (err == HL_OK)
		tell(u, &a, "changed");
	return err;
}

static enum hl_err
set_password(struct users *u)
{
	struct account a;
	enum hl_err err = find(u, &a);

	if (err == HL_OK)
		err = account_change(u->store, u->hash, &a);
	if (err == HL_OK)
		tell(u, &a, "changed; who was signed in must sign in again");
	return err;
}

/* name, how it is done, what it needs */
static const struct action {
	const char	*name;
	enum hl_err	(*run)(struct users *);
	bool		 email, person, role, password;
} actions[] = {
	{ "add", add, true, true, false, true },
	{ "list", list, false, false, false, false },
	{ "set-role", set_role, true, false, true, false },
	{ "password", set_password, true, false, false, true },
};

static const struct action *
find_action(const char *name)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

static enum hl_err
run_action(struct store *store, void *arg)
{
	struct users *u = arg;

	u->store = store;
	return u->action->run(u);
}

/* ---- what was asked ---- */

static bool
parse_options(int argc, char **argv, struct users *u)
{
	static const struct option options[] = {
		{ "email", required_argument, NULL, 'e' }, { "name", required_argument, NULL, 'n' },
		{ "role", required_argument, NULL, 'r' }, { "admin", no_argument, NULL, 'a' },
		{ "state-dir", required_argument, NULL, 's' }, { "env-file", required_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'e': u->email_text = optarg; break;
		case 'n': u->name = optarg; break;
		case 'r':
			u->role = optarg;
			if (strcmp(optarg, "admin") != 0 && strcmp(optarg, "user") != 0) {
				complain(2, "users", "--role takes admin or user, not \"%s\"", optarg);
				return false;
			}
			break;
		case 'a': u->admin = true; break;
		case 's': u->place.state_dir = optarg; break;
		case 'f': u->place.env_file = optarg; break;
		case 'j': u->json = true; break;
		default: return false;
		}
	if (optind + 1 != argc || (u->action = find_action(argv[optind])) == NULL)
		return false;
	return (u->email_text != NULL) == u->action->email && (u->name != NULL) == u->action->person &&
	    (u->role != NULL) == u->action->role && (u->action->person || !u->admin);
}

/* What is wrong with the values, or NULL. */
static const char *
check_values(struct users *u)
{
	const char *problem = NULL;

	if (u->email_text && (!person_email_fold(u->email_text, strlen(u->email_text), u->email) ||
	    person_email_problem(u->email, strlen(u->email))))
		return "The email address is not valid";
	if (u->name) {
		size_t len = strlen(u->name);

		problem = "The name must be UTF-8 text";
		if (utf8_valid(u->name, len)) {
			person_trim(&u->name, &len);
			problem = person_name_problem(u->name, len);
			u->name_len = len;
		}
	}
	if (problem == NULL && u->action->password)
		problem = read_password(u);
	return problem;
}

static enum hl_err
prepare(struct users *u)
{
	const char *problem = check_values(u);
	enum hl_err err;

	if (problem)
		return fail(u, HL_BAD_REQUEST, problem);
	err = books_settings(&u->place, &u->conf, &u->problem);
	if (err == HL_OK && *u->password)
		err = password_hash((int)u->conf.bcrypt_cost, u->password, u->hash);
	return err;
}

int
cmd_users(int argc, char **argv)
{
	struct users u = { .problem = BUF_INIT(4096) };
	enum hl_err err;

	if (!parse_options(argc, argv, &u))
		return complain(2, argv[0], "%s", USAGE);
	err = prepare(&u);
	if (err == HL_OK)
		err = books_open(&u.conf, run_action, &u, &u.problem);
	if (err)
		complain(1, argv[0], "%s", u.problem.data ? u.problem.data : err_text(err));
	explicit_bzero(u.password, sizeof(u.password));
	explicit_bzero(u.hash, sizeof(u.hash));
	conf_free(&u.conf);
	buf_free(&u.problem);
	return err ? 1 : 0;
}
