/*
 * helpline config - the settings: as they are and where each was read, as they are documented, whether they are right.
 */
#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "settings.h"

#define USAGE "usage: helpline config dump [--json]\n" \
	"       helpline config explain [NAME…] [--json | --mdoc]\n" \
	"       helpline config test [--json]\n" \
	"       helpline config env [-0]\n" \
	"       each with [--state-dir DIR] [--env-file FILE]"

#define OUT_MAX		(1u << 20)
#define MDOC_COLUMNS	72

struct asked {
	const char	*env_file, *state_dir;
	char		**names;		/* explain: these only; ended by NULL */
	bool		 json, mdoc;
	char		 end;			/* env: after each line */
};

/* Members of a JSON object: the first has no comma. */
static void
member(struct buf *out, const char *name, const char *value)
{
	if (out->data[out->len - 1] != '{')
		buf_putc(out, ',');
	buf_json_str(out, name);
	buf_putc(out, ':');
	buf_json_str(out, value);
}

static void
open_object(struct buf *out)
{
	buf_puts(out, out->len > 1 ? ",\n {" : "{");
}

static int
print_out(struct buf *out)
{
	bool ok = buf_err(out) == HL_OK;

	if (ok && out->len)
		fwrite(out->data, 1, out->len, stdout);
	buf_free(out);
	return ok ? 0 : complain(1, "config", "out of memory");
}

/* ---- explain ---- */

static const char *
type_name(enum conf_type type)
{
	static const char *const names[] = {
		[CONF_TEXT] = "text", [CONF_SECRET] = "secret", [CONF_INT] = "whole number", [CONF_REAL] = "number",
		[CONF_SWITCH] = "on or off", [CONF_URL] = "address"
	};

	return names[type];
}

static bool
is_number(const struct conf_entry *e)
{
	return e->type == CONF_INT || e->type == CONF_REAL;
}

static void
explain(struct buf *out, const struct conf_entry *e)
{
	buf_printf(out, "%s=%s\n    %s.\n    %s", e->name, e->value, e->meaning, type_name(e->type));
	if (is_number(e))
		buf_printf(out, ", %.16g to %.16g", e->low, e->high);
	buf_puts(out, "\n\n");
}

static void
explain_json(struct buf *out, const struct conf_entry *e)
{
	open_object(out);
	member(out, "name", e->name);
	member(out, "type", type_name(e->type));
	member(out, "default", e->value);
	if (is_number(e))
		buf_printf(out, ",\"min\":%.16g,\"max\":%.16g", e->low, e->high);
	else if (e->type != CONF_SWITCH)
		buf_printf(out, ",\"maxBytes\":%.16g", e->high);
	buf_printf(out, ",\"secret\":%s", e->type == CONF_SECRET ? "true" : "false");
	member(out, "meaning", e->meaning);
	buf_putc(out, '}');
}

/*
 * Text that mdoc(7) reads as itself, in lines that are not too long: no word of it is a macro, no backslash begins anything.
 */
static void
mdoc_text(struct buf *out, const char *text)
{
	size_t column = 0;

	for (const char *p = text; *p; p++, column++)
		if (*p == ' ' && column + strcspn(p + 1, " ") > MDOC_COLUMNS) {
			buf_puts(out, p[1] == '.' || p[1] == '\'' ? "\n\\&" : "\n");
			column = 0;
		} else if (*p == '\\')
			buf_puts(out, "\\e");
		else if (*p == '\'' || *p == '"')
			buf_puts(out, *p == '"' ? "\\(dq" : "\\(aq");
		else
			buf_putc(out, *p);
}

static void
explain_mdoc(struct buf *out, const struct conf_entry *e)
{
	buf_printf(out, ".It Ev %s\n", e->name);
	mdoc_text(out, e->meaning);
	buf_puts(out, ".\n.br\n");
	if (is_number(e))
		buf_printf(out, "A %s from %.16g to %.16g", type_name(e->type), e->low, e->high);
	else
		buf_printf(out, "%c%s", toupper((unsigned char)*type_name(e->type)), type_name(e->type) + 1);
	if (*e->value) {
		buf_puts(out, "; the default is\n.Ql \"");
		mdoc_text(out, e->value);
		buf_puts(out, "\" .\n");
	} else
		buf_puts(out, "; not set by default.\n");
}

static bool
is_asked(const struct asked *a, const struct conf_entry *e)
{
	if (a->names[0] == NULL)
		return true;
	for (char **n = a->names; *n; n++)
		if (conf_find_any(*n) == e)
			return true;
	return false;
}

static int
config_explain(struct asked *a)
{
	struct buf out = BUF_INIT(OUT_MAX);
	size_t count;
	const struct conf_entry *e = conf_entries(&count);
	void (*one)(struct buf *, const struct conf_entry *) = a->json ? explain_json : a->mdoc ? explain_mdoc : explain;

	for (char **n = a->names; *n; n++)
		if (conf_find_any(*n) == NULL) {
			const char *meant = conf_misspelt(*n, strlen(*n));

			return complain(1, "config", "%s is no setting%s%s%s", *n, meant ? "; is " : "", meant ? meant : "",
			    meant ? " meant?" : "");
		}
	if (a->json)
		buf_putc(&out, '[');
	for (size_t i = 0; i < count; i++)
		if (is_asked(a, &e[i]))
			one(&out, &e[i]);
	if (a->json)
		buf_puts(&out, "]\n");
	return print_out(&out);
}

/* ---- dump, env ---- */

static void
dump(const struct conf_entry *e)
{
	struct conf_origin origin;
	const char *value = conf_value(e, &origin);
	char where[CONF_WHERE_MAX];

	conf_origin_text(&origin, where, sizeof(where));
	printf("%s=%s\t# %s\n", e->name, conf_is_secret(e, value) ? "(hidden)" : value, where);
}

static void
dump_json(struct buf *out, const struct conf_entry *e)
{
	static const char *const places[] = { [CONF_DEFAULT] = "default", [CONF_ENVIRONMENT] = "environment",
		[CONF_FILE_LINE] = "file", [CONF_CREDENTIAL] = "credential" };
	struct conf_origin origin;
	const char *value = conf_value(e, &origin);
	bool hidden = conf_is_secret(e, value);

	open_object(out);
	member(out, "name", e->name);
	member(out, "value", hidden ? NULL : value);
	buf_printf(out, ",\"hidden\":%s", hidden ? "true" : "false");
	member(out, "from", places[origin.place]);
	if (origin.file)
		member(out, "file", origin.file);
	if (origin.line)
		buf_printf(out, ",\"line\":%u", origin.line);
	buf_putc(out, '}');
}

/* For another program: what is set, as it is, ended by a newline or (-0) a NUL, which no value can hold. */
static void
print_env(const struct conf_entry *e, char end)
{
	const char *value = getenv(e->name);

	if (value && *value)
		printf("%s=%s%c", e->name, value, end);
}

static int
config_dump(struct asked *a)
{
	struct buf out = BUF_INIT(OUT_MAX), problem = BUF_INIT(OUT_MAX);
	struct conf conf = { .storage = NULL };
	size_t count;
	const struct conf_entry *e = conf_entries(&count);
	int ret = 0;

	if (settings_load(a->env_file, &conf, &problem) != HL_OK)
		ret = complain(1, "config", "%s", problem.data ? problem.data : "out of memory");
	buf_putc(&out, '[');
	for (size_t i = 0; ret == 0 && i < count; i++)
		if (a->json)
			dump_json(&out, &e[i]);
		else
			dump(&e[i]);
	buf_puts(&out, "]\n");
	if (ret || !a->json)
		buf_free(&out);
	conf_free(&conf);
	buf_free(&problem);
	return ret ? ret : print_out(&out);
}

static int
config_env(struct asked *a)
{
	struct buf problem = BUF_INIT(OUT_MAX);
	struct conf conf = { .storage = NULL };
	size_t count;
	const struct conf_entry *e = conf_entries(&count);
	int ret = 0;

	if (settings_load(a->env_file, &conf, &problem) != HL_OK)
		ret = complain(1, "config", "%s", problem.data ? problem.data : "out of memory");
	for (size_t i = 0; ret == 0 && i < count; i++)
		print_env(&e[i], a->end);
	conf_free(&conf);
	buf_free(&problem);
	return ret;
}

/* ---- test ---- */

struct test { const struct asked *asked; struct buf out; unsigned wrong; };

static void
tell(const struct conf_wrong *w, void *arg)
{
	struct test *t = arg;

	t->wrong++;
	if (!t->asked->json) {
		printf("WRONG  %s\n", w->sentence);
		return;
	}
	open_object(&t->out);
	member(&t->out, "setting", w->name);
	member(&t->out, "where", w->where);
	member(&t->out, "allowed", w->allowed);
	member(&t->out, "problem", w->sentence);
	buf_putc(&t->out, '}');
}

static void
tell_misspelt(const char *sentence, void *arg)
{
	const struct conf_wrong w = { NULL, "from the environment", NULL, sentence };

	tell(&w, arg);
}

static int
config_test(struct asked *a)
{
	struct test t = { .asked = a, .out = BUF_INIT(OUT_MAX) };
	struct conf conf = { .storage = NULL };
	enum hl_err err;
	int ret;

	buf_putc(&t.out, '[');
	err = settings_check(a->env_file, &conf, tell, &t);
	settings_misspelt(tell_misspelt, &t);
	conf_free(&conf);
	buf_puts(&t.out, "]\n");
	if (!a->json && err == HL_OK && t.wrong == 0)
		puts("ok     All settings are as they may be; helpline check tells whether they work.");
	if (a->json)
		ret = print_out(&t.out);
	else {
		ret = 0;
		buf_free(&t.out);
	}
	return err || t.wrong ? 1 : ret;
}

/* ---- */

static const struct action {
	const char	*name;
	int		(*run)(struct asked *);
	bool		 json, mdoc, names, env;
} actions[] = {
	{ "dump", config_dump, true, false, false, false },
	{ "explain", config_explain, true, true, true, false },
	{ "test", config_test, true, false, false, false },
	{ "env", config_env, false, false, false, true },
};

static const struct action *
parse(int argc, char **argv, struct asked *a)
{
	static const struct option options[] = {
		{ "env-file", required_argument, NULL, 'f' }, { "state-dir", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' }, { "mdoc", no_argument, NULL, 'm' }, { NULL, 0, NULL, 0 }
	};
	const struct action *found = NULL;
	int o;

	while ((o = getopt_long(argc, argv, "0", options, NULL)) != -1)
		switch (o) {
		case 'f': a->env_file = optarg; break;
		case 's': a->state_dir = optarg; break;
		case 'j': a->json = true; break;
		case 'm': a->mdoc = true; break;
		case '0': a->end = '\0'; break;
		default: return NULL;
		}
	for (size_t i = 0; optind < argc && i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(argv[optind], actions[i].name) == 0)
			found = &actions[i];
	if (found == NULL || (a->json && !found->json) || (a->mdoc && (!found->mdoc || a->json)) ||
	    (optind + 1 < argc && !found->names) || (a->end == '\0' && !found->env))
		return NULL;
	a->names = argv + optind + 1;
	return found;
}

int
cmd_config(int argc, char **argv)
{
	struct asked a = { .end = '\n' };
	const struct action *action = parse(argc, argv, &a);

	if (action == NULL)
		return complain(2, argv[0], "%s", USAGE);
	settings_choose(a.state_dir, a.env_file);
	return action->run(&a);
}
