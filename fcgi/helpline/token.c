/*
 * helpline token - an access token made on the command line, by whoever may read the secret.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "command.h"
#include "keys.h"
#include "services/jwt.h"
#include "settings.h"

#define USAGE "usage: helpline token --user NAME [--role admin|user] [--expires 24h] [--json] [--state-dir DIR] [--env-file FILE]"

struct request {
	const char	*user, *role, *expires, *state_dir, *env_file;
	bool		 json;
};

static bool
parse_options(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' }, { "role", required_argument, NULL, 'r' },
		{ "expires", required_argument, NULL, 'e' }, { "state-dir", required_argument, NULL, 's' },
		{ "env-file", required_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'u': r->user = optarg; break;
		case 'r': r->role = optarg; break;
		case 'e': r->expires = optarg; break;
		case 's': r->state_dir = optarg; break;
		case 'f': r->env_file = optarg; break;
		case 'j': r->json = true; break;
		default: return false;
		}
	return r->user && optind == argc && (strcmp(r->role, "admin") == 0 || strcmp(r->role, "user") == 0);
}

/* JWT_SECRET, or what ./run made in its folder. */
static enum hl_err
find_secret(const struct request *r, struct conf *conf, struct buf *problem)
{
	char folder[4096];
	enum hl_err err;

	settings_choose(r->state_dir, r->env_file);
	err = settings_load(r->env_file, conf, problem);
	if (err || *conf->jwt_secret)
		return err;
	snprintf(folder, sizeof(folder), "%s%s", r->state_dir ? r->state_dir : conf->secrets_dir, r->state_dir ? "/secrets" : "");
	err = keys_use_jwt(folder, problem);
	if (err && r->state_dir == NULL)
		buf_puts(problem, " (JWT_SECRET is not set; --state-dir DIR says where ./run keeps one)");
	conf_free(conf);
	return err ? err : settings_load(NULL, conf, problem);
}

static void
print_json(const struct request *r, const char *token, int64_t life_s)
{
	struct buf out = BUF_INIT(TOKEN_MAX + 4096);

	buf_puts(&out, "{\"token\":");
	buf_json_str(&out, token);
	buf_puts(&out, ",\"user\":");
	buf_json_str(&out, r->user);
	buf_printf(&out, ",\"role\":\"%s\",\"expiresIn\":", r->role);
	buf_int(&out, life_s);
	buf_puts(&out, "}\n");
	if (buf_err(&out) == HL_OK)
		fputs(out.data, stdout);
	buf_free(&out);
}

static enum hl_err
print_token(const struct request *r, struct buf *problem)
{
	struct account a = { .admin = strcmp(r->role, "admin") == 0 };
	struct buf token = BUF_INIT(TOKEN_MAX);
	struct conf conf = { .storage = NULL };
	enum hl_err err = find_secret(r, &conf, problem);
	int64_t life;

	if (err)
		goto out;
	err = HL_BAD_REQUEST;
	if (!conf_duration(r->expires ? r->expires : conf.jwt_expires_in, &life)) {
		buf_puts(problem, "--expires takes a time like 7d, 24h, 30m or 900 (seconds)");
		goto out;
	}
	if (str_blank(r->user, strlen(r->user)) || strlen(r->user) > ACCOUNT_ID_MAX || !utf8_valid(r->user, strlen(r->user))) {
		buf_printf(problem, "--user takes a name of at most %d bytes", ACCOUNT_ID_MAX);
		goto out;
	}
	strcpy(a.id, r->user);
	err = account_token(&conf, &a, life, &token);
	if (err == HL_OK && r->json)
		print_json(r, token.data, life);
	else if (err == HL_OK)
		puts(token.data);
out:
	buf_free(&token);
	conf_free(&conf);
	return err;
}

int
cmd_token(int argc, char **argv)
{
	struct request r = { .role = "admin" };
	struct buf problem = BUF_INIT(4096);
	enum hl_err err;

	if (!parse_options(argc, argv, &r))
		return complain(2, argv[0], "%s", USAGE);
	err = print_token(&r, &problem);
	if (err)
		complain(1, argv[0], "%s", problem.data ? problem.data : err_text(err));
	buf_free(&problem);
	return err ? 1 : 0;
}
