#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "command.h"
#include "settings.h"

extern char **environ;

static const char *const library_names[] = {
	"PATH", "LANG", "TZ", "NODE_ENV", "LIVEKIT_WS_URL", "http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", NULL
};
static const char *const library_prefixes[] = { "HELPLINE_", "LC_", "ASAN_", "UBSAN_", "LSAN_", "MALLOC_", NULL };

/* PORT=0 is a wish that only ./run knows. */
bool
settings_port(int *port)
{
	const char *text = getenv("PORT");

	if (text == NULL || *text == '\0')
		return false;
	*port = atoi(text);
	return true;
}

enum hl_err
settings_load(const char *env_file, struct conf *ret, struct buf *problem)
{
	enum hl_err err = env_file ? conf_load_file(env_file, problem) : HL_OK;
	const char *port;
	bool any_port = false;

	if (err)
		return err;
	port = getenv("PORT");
	if (port && strcmp(port, "0") == 0)
		any_port = unsetenv("PORT") == 0;
	err = conf_load(ret, problem);
	if (any_port)
		setenv("PORT", "0", 1);
	return err;
}

void
settings_misspelt(void (*tell)(const char *))
{
	char sentence[256];

	for (char **e = environ; *e; e++) {
		size_t len = strcspn(*e, "=");
		const char *meant = conf_misspelt(*e, len);

		if (meant == NULL)
			continue;
		snprintf(sentence, sizeof(sentence), "%.*s is no setting; is %s meant?", (int)len, *e, meant);
		tell(sentence);
	}
}

bool
settings_own_redis(const struct conf *conf)
{
	return *conf->redis_url == '\0' && *conf->redis_socket == '\0' && *conf->redis_sentinels == '\0' &&
	    (str_equal(conf->redis_host, "localhost") || str_equal(conf->redis_host, "127.0.0.1")) &&
	    conf->redis_port == 6379;
}

bool
settings_model(const struct conf *conf)
{
	return *conf->openai_key || *conf->openai_url || *conf->fallback_key || *conf->fallback_url || *conf->gemini_key;
}

static bool
has_name(const char *entry, const char *name)
{
	size_t len = strlen(name);

	return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

static bool
is_setting(const char *entry)
{
	size_t count;
	const struct conf_entry *e = conf_entries(&count);

	for (size_t i = 0; i < count; i++)
		if (has_name(entry, e[i].name))
			return true;
	return false;
}

static bool
passed_on(const char *entry)
{
	for (size_t i = 0; library_names[i]; i++)
		if (has_name(entry, library_names[i]))
			return true;
	for (size_t i = 0; library_prefixes[i]; i++)
		if (strncmp(entry, library_prefixes[i], strlen(library_prefixes[i])) == 0)
			return true;
	return is_setting(entry);
}

static bool
bare(const char *entry)
{
	return has_name(entry, "PATH") || has_name(entry, "LANG") || has_name(entry, "TZ");
}

static char **
filtered(bool (*keep)(const char *))
{
	size_t count = 0, n = 0;
	char **ret;

	while (environ[count])
		count++;
	ret = calloc(count + 1, sizeof(*ret));
	for (size_t i = 0; ret && i < count; i++)
		if (keep(environ[i]) && (ret[n] = strdup(environ[i])) != NULL)
			n++;
	return ret;
}

char **
settings_environment(void)
{
	return filtered(passed_on);
}

char **
settings_bare_environment(void)
{
	return filtered(bare);
}

/* ---- helpline config ---- */

static const char *
type_name(enum conf_type type)
{
	static const char *const names[] = {
		[CONF_TEXT] = "text", [CONF_SECRET] = "secret", [CONF_INT] = "whole number", [CONF_REAL] = "number",
		[CONF_SWITCH] = "on or off", [CONF_URL] = "address"
	};

	return names[type];
}

static void
explain(const struct conf_entry *e)
{
	printf("%s=%s\n    %s.\n    %s", e->name, e->value, e->meaning, type_name(e->type));
	if (e->type == CONF_INT || e->type == CONF_REAL)
		printf(", %.15g to %.15g", e->low, e->high);
	printf("\n\n");
}

static void
dump(const struct conf_entry *e)
{
	const char *value = getenv(e->name);
	bool set = value && *value;

	if (e->type == CONF_SECRET && set)
		value = "(hidden)";
	printf("%s=%s%s\n", e->name, set ? value : e->value, set ? "" : "\t# default");
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
config_run(const char *what, const char *env_file, char end)
{
	struct buf problem = BUF_INIT(4096);
	struct conf conf = { .storage = NULL };
	size_t count;
	const struct conf_entry *e = conf_entries(&count);
	int ret = 0;

	if (strcmp(what, "explain") != 0 && settings_load(env_file, &conf, &problem) != HL_OK)
		ret = complain(1, "config", "%s", problem.data ? problem.data : "out of memory");
	for (size_t i = 0; ret == 0 && i < count; i++)
		if (strcmp(what, "explain") == 0)
			explain(&e[i]);
		else if (strcmp(what, "dump") == 0)
			dump(&e[i]);
		else
			print_env(&e[i], end);
	conf_free(&conf);
	buf_free(&problem);
	return ret;
}

int
cmd_config(int argc, char **argv)
{
	static const struct option options[] = {
		{ "env-file", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 }
	};
	const char *env_file = NULL, *what;
	char end = '\n';
	int o;

	while ((o = getopt_long(argc, argv, "0", options, NULL)) != -1)
		if (o == 'f')
			env_file = optarg;
		else if (o == '0')
			end = '\0';
		else
			return 2;
	what = optind + 1 == argc ? argv[optind] : "";
	if (strcmp(what, "dump") != 0 && strcmp(what, "explain") != 0 && strcmp(what, "env") != 0)
		return complain(2, argv[0], "usage: helpline config dump|explain|env [--env-file FILE] [-0]");
	return config_run(what, env_file, end);
}
