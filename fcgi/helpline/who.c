#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "base/person.h"
#include "base/str.h"
#include "command.h"
#include "paths.h"
#include "who.h"

#define AVATAR_PLACE	"/public/avatars/"

bool
who_parse(int argc, char **argv, struct who *w)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' }, { "email", required_argument, NULL, 'e' }, { "to", required_argument, NULL, 't' },
		{ "yes", no_argument, NULL, 'y' }, { "json", no_argument, NULL, 'j' },
		{ "state-dir", required_argument, NULL, 's' }, { "env-file", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'u': w->user = optarg; break;
		case 'e': w->email_text = optarg; break;
		case 't':
			free(w->to);
			w->to = path_absolute(optarg);
			break;
		case 'y': w->yes = true; break;
		case 'j': w->json = true; break;
		case 's': w->place.state_dir = optarg; break;
		case 'f': w->place.env_file = optarg; break;
		default: return false;
		}
	if (optind != argc || (w->user == NULL) == (w->email_text == NULL))
		return false;
	if (w->email_text && (!person_email_fold(w->email_text, strlen(w->email_text), w->email) ||
	    person_email_problem(w->email, strlen(w->email))))
		buf_puts(&w->problem, "the email address is not valid");
	else if (w->user && (str_blank(w->user, strlen(w->user)) || !utf8_valid(w->user, strlen(w->user))))
		buf_puts(&w->problem, "the user's id must be UTF-8 text");
	return w->problem.len == 0;
}

void
who_free(struct who *w)
{
	belongings_free(&w->b);
	free(w->to);
	conf_free(&w->conf);
	buf_free(&w->problem);
}

int
who_run(const char *command, const char *usage, bool asked, struct who *w, enum hl_err (*work)(struct store *, void *), void *arg)
{
	enum hl_err err = asked ? books_settings(&w->place, &w->conf, &w->problem) : HL_BAD_REQUEST;

	if (err == HL_OK)
		err = books_open(&w->conf, work, arg, &w->problem);
	if (!asked && w->problem.len == 0)
		return complain(2, command, "%s", usage);
	return err ? complain(1, command, "%s", w->problem.len ? w->problem.data : err_text(err)) : 0;
}

enum hl_err
who_find(struct store *s, struct who *w)
{
	struct account account;
	enum hl_err err = HL_OK;

	if (w->email_text) {
		err = account_find(s, w->email, &account);
		if (err == HL_OK)
			snprintf(w->user_id, sizeof(w->user_id), "%s", account.id);
	}
	if (err == HL_OK)
		err = belongings_find(s, w->email_text ? w->user_id : w->user, w->email_text ? &account : NULL, &w->b);
	if (err == HL_NOT_FOUND) {
		buf_reset(&w->problem);
		buf_puts(&w->problem, w->email_text ? "there is no account with this address" : "there is nothing of a person with this id");
	}
	return err;
}

const char *
who_avatar(const char *address)
{
	const char *name = address && strncmp(address, AVATAR_PLACE, sizeof(AVATAR_PLACE) - 1) == 0 ? address + sizeof(AVATAR_PLACE) - 1 : NULL;

	return name && area_takes(AREA_AVATARS, name) ? name : NULL;
}
