#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
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

void
settings_choose(const char *state_dir, const char *env_file)
{
	const char *named = getenv("HELPLINE_CONFIG");
	char *whole;

	if (env_file)
		unsetenv("HELPLINE_CONFIG");
	else if (named && *named && (whole = realpath(named, NULL)) != NULL) {
		setenv("HELPLINE_CONFIG", whole, 1);
		free(whole);
	} else if ((named == NULL || *named == '\0') && state_dir == NULL && access(CONF_FILE, F_OK) == 0) {
		setenv("HELPLINE_CONFIG", CONF_FILE, 1);
		conf_use_credstore();
	}
}

enum hl_err
settings_check(const char *env_file, struct conf *ret, conf_tell *tell, void *arg)
{
	enum hl_err file_err = env_file ? conf_read_file(env_file, false, tell, arg) : HL_OK, err;
	const char *port = getenv("PORT");
	bool any_port = port && strcmp(port, "0") == 0 && unsetenv("PORT") == 0;

	err = conf_check(ret, tell, arg);
	if (err == HL_OK && file_err)
		conf_free(ret);
	unsetenv("HELPLINE_CONFIG");	/* read it is; who is started from here has it all from the environment */
	if (any_port)
		setenv("PORT", "0", 1);
	return err ? err : file_err;
}

enum hl_err
settings_load(const char *env_file, struct conf *ret, struct buf *problem)
{
	return settings_check(env_file, ret, conf_tell_text, problem);
}

void
settings_misspelt(void (*tell)(const char *, void *), void *arg)
{
	char sentence[256];

	for (char **e = environ; *e; e++) {
		size_t len = strcspn(*e, "=");
		const char *meant = conf_misspelt(*e, len);

		if (meant == NULL)
			continue;
		snprintf(sentence, sizeof(sentence), "%.*s is no setting; is %s meant?", (int)len, *e, meant);
		tell(sentence, arg);
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
