/*
 * conf_test - settings: defaults, refusals that name the setting, .env files, and the three places that list them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"

static struct buf problem = { .max = 4096 };

static int
clean(void **state)
{
	size_t n;
	const struct conf_entry *e = conf_entries(&n);

	(void)state;
	for (size_t i = 0; i < n; i++)
		unsetenv(e[i].name);
	unsetenv("NODE_ENV");
	unsetenv("LIVEKIT_WS_URL");
	unsetenv("HELPLINE_CONFIG");
	buf_free(&problem);
	return 0;
}

static void
defaults_are_valid(void **state)
{
	struct conf c;

	(void)state;
	assert_int_equal(conf_load(&c, &problem), HL_OK);
	assert_int_equal(c.port, 3000);
	assert_int_equal(c.session_timeout_ms, 1800000);
	assert_true(c.rate_limits);
	assert_string_equal(c.environment, "development");
	assert_false(conf_has_model(&c));
	conf_free(&c);
}

static void
old_names_and_empty_values_are_understood(void **state)
{
	struct conf c;

	(void)state;
	setenv("NODE_ENV", "production", 1);
	setenv("LIVEKIT_WS_URL", "wss://calls.example.com", 1);
	setenv("MAX_CONVERSATION_HISTORY", "", 1);
	assert_int_equal(conf_load(&c, &problem), HL_OK);
	assert_string_equal(c.environment, "production");
	assert_string_equal(c.livekit_url, "wss://calls.example.com");
	assert_int_equal(c.history, 10);
	conf_free(&c);
}

static void
wrong_values_are_refused_by_name(void **state)
{
	static const char *const wrong[][2] = { { "PORT", "0" }, { "PORT", "70000" }, { "PORT", "3000x" }, { "PORT", "-1" }, { "PORT", "1e3" },
		{ "PORT", " 80" }, { "ESCALATION_CONFIDENCE", "1.5" }, { "ESCALATION_CONFIDENCE", "nan" }, { "RATE_LIMITS", "maybe" },
		{ "OPENAI_BASE_URL", "localhost:8080" }, { "LOG_LEVEL", "verbose" },
		{ "LIVEKIT_URL", "calls.example.com" }, { "LIVEKIT_URL", "wss://" }, { "LIVEKIT_URL", "wss://key:secret@calls.example.com" },
		{ "MAX_FILE_SIZE", "big" }, { "MAX_FILE_SIZE", "0" }, { "MAX_FILE_SIZE", "5GB" }, { "MAX_FILE_SIZE", "65MB" },
		{ "MAX_FILE_SIZE", "MB" }, { "MAX_FILE_SIZE", "-1" }, { "ALLOWED_FILE_TYPES", "png,svg" },
		{ "FRONTEND_URL", "no origin" }, { "FRONTEND_URL", "https://a.example/path" }, { "FRONTEND_URL", "https://a.example,*" }, { "SYSTEM_PROMPT", "\xff" }, { "JWT_SECRET", "too short to sign with" },
		{ "JWT_EXPIRES_IN", "7 days" }, { "JWT_EXPIRES_IN", "0" }, { "JWT_EXPIRES_IN", "d" }, { "JWT_EXPIRES_IN", "999999d" }, { "SESSION_TIMEOUT", "999999999999999999999" } };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct conf c;

		setenv(wrong[i][0], wrong[i][1], 1);
		if (conf_load(&c, &problem) == HL_OK)
			fail_msg("%s=%s was taken", wrong[i][0], wrong[i][1]);
		assert_non_null(strstr(problem.data, wrong[i][0]));
		clean(state);
	}
}

static void
sizes_are_bytes_with_or_without_a_unit(void **state)
{
	static const struct { const char *text; int64_t bytes; } sizes[] = { { "5MB", 5242880 }, { "5mb", 5242880 }, { "5 M", 5242880 },
		{ "512KB", 524288 }, { "10k", 10240 }, { "1", 1 }, { "7B", 7 }, { "64MB", CONF_SIZE_MAX } };
	int64_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(conf_size(sizes[i].text, &bytes));
		assert_int_equal(bytes, sizes[i].bytes);
	}
	assert_true(conf_lists("png, JPG,gif", "jpg", 3));
	assert_false(conf_lists("png,jpeg", "jpg", 3));
	assert_false(conf_lists("", "", 0));
}

static void
secrets_are_not_repeated(void **state)
{
	struct conf c;
	char *long_key = calloc(1, 6000);

	(void)state;
	memset(long_key, 'k', 5999);
	setenv("OPENAI_API_KEY", long_key, 1);
	assert_int_not_equal(conf_load(&c, &problem), HL_OK);
	assert_null(strstr(problem.data, "kkk"));
	free(long_key);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
env_files_are_read_as_people_write_them(void **state)
{
	char path[] = "/tmp/conf_testXXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	setenv("OPENAI_MODEL", "from-environment", 1);
	write_file(path, "# comment\r\n\r\nexport PORT = 4000\r\nOPENAI_API_KEY='a b#c'\nSYSTEM_PROMPT=\"x = y\"\n"
	    "OPENAI_MODEL=from-file\nFRONTEND_URL=https://a.example # ours\nMONGODB_URI=mongodb://x\n");
	assert_int_equal(conf_load_file(path, &problem), HL_OK);
	assert_string_equal(getenv("PORT"), "4000");
	assert_string_equal(getenv("OPENAI_API_KEY"), "a b#c");
	assert_string_equal(getenv("SYSTEM_PROMPT"), "x = y");
	assert_string_equal(getenv("OPENAI_MODEL"), "from-environment");
	assert_string_equal(getenv("FRONTEND_URL"), "https://a.example");
	write_file(path, "GEMINI_API_KEY='sk-abc' # don't show\nGEMINI_MODEL=\"g-4\" # or \"g-5\"\nFALLBACK_MODEL=\"a \"b\" c\"\n"
	    "DEMO_AGENT_NAME= # nobody\nDEMO_AGENT_COMPANY=#1\n");
	assert_int_equal(conf_load_file(path, &problem), HL_OK);
	assert_string_equal(getenv("GEMINI_API_KEY"), "sk-abc");
	assert_string_equal(getenv("GEMINI_MODEL"), "g-4");
	assert_string_equal(getenv("FALLBACK_MODEL"), "a \"b\" c");
	assert_string_equal(getenv("DEMO_AGENT_COMPANY"), "#1");
	assert_true(getenv("DEMO_AGENT_NAME") == NULL || *getenv("DEMO_AGENT_NAME") == '\0');
	write_file(path, "GEMINI_API_KEY='sk-abc' and more\n");
	assert_int_not_equal(conf_load_file(path, &problem), HL_OK);
	assert_non_null(strstr(problem.data, "the quote of GEMINI_API_KEY is not closed"));
	buf_reset(&problem);
	write_file(path, "PORT=7000\n\nPORT=8000\n");
	assert_int_not_equal(conf_load_file(path, &problem), HL_OK);
	assert_non_null(strstr(problem.data, "line 3: PORT is set a second time; line 1 has it already."));
	buf_reset(&problem);
	write_file(path, "PORT=1\nthis is not a line\n");
	assert_int_not_equal(conf_load_file(path, &problem), HL_OK);
	assert_non_null(strstr(problem.data, "line 2"));
	unlink(path);
	buf_reset(&problem);
	assert_int_not_equal(conf_load_file(path, &problem), HL_OK);
}

/* A settings file in use, 0640 unless told otherwise; the caller frees nothing and unlinks nothing: one name for all. */
static const char *
settings_file(const char *text, mode_t mode)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/conf_test.%ld.conf", (long)getpid());
	write_file(path, text);
	assert_int_equal(chmod(path, mode), 0);
	setenv("HELPLINE_CONFIG", path, 1);
	return path;
}

static void
refused(const char *text, mode_t mode, const char *word, const char *where)
{
	struct conf c;
	const char *path = settings_file(text, mode);

	if (conf_load(&c, &problem) == HL_OK)
		fail_msg("taken: %s", text);
	if (strstr(problem.data, word) == NULL || strstr(problem.data, where) == NULL || strstr(problem.data, path) == NULL)
		fail_msg("%s\nshould say: %s, %s, %s", problem.data, word, where, path);
	assert_null(strstr(problem.data, "hunter2"));
	unlink(path);
	clean(NULL);
}

static void
the_settings_file_is_read_and_the_environment_wins(void **state)
{
	size_t n;
	const struct conf_entry *e = conf_entries(&n);
	struct conf_origin origin;
	char where[CONF_WHERE_MAX];
	const char *path;
	struct conf c;

	(void)state;
	setenv("OPENAI_MODEL", "from-environment", 1);
	path = settings_file("# ours\nPORT=4001\nOPENAI_MODEL=from-file\nOPENAI_API_KEY=hunter2\nTZ=UTC\n", 0640);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(conf_load(&c, &problem), HL_OK);
		assert_int_equal(c.port, 4001);
		assert_string_equal(c.openai_model, "from-environment");
		conf_free(&c);
	}
	assert_string_equal(conf_value(&e[0], &origin), "4001");
	conf_origin_text(&origin, where, sizeof(where));
	assert_int_equal(origin.place, CONF_FILE_LINE);
	assert_non_null(strstr(where, path));
	assert_non_null(strstr(where, "line 2"));
	(void)conf_value(conf_find("OPENAI_MODEL", 12), &origin);
	assert_int_equal(origin.place, CONF_ENVIRONMENT);
	(void)conf_value(conf_find("TURN_TIMEOUT", 12), &origin);
	assert_int_equal(origin.place, CONF_DEFAULT);
	setenv("PORT", "4002", 1);
	(void)conf_value(&e[0], &origin);
	assert_int_equal(origin.place, CONF_ENVIRONMENT);
	unlink(path);
}

static void
a_wrong_settings_file_is_refused_with_its_line(void **state)
{
	(void)state;
	refused("PORT=0\n", 0640, "PORT is \"0\"", "line 1): it must be a whole number from 1 to 65535.");
	refused("\n# x\nLOG_LEVEL=loud\n", 0640, "LOG_LEVEL", "line 3): it must be error, warn, info or debug.");
	refused("NODE_ENV=x\nLIVEKIT_WS_URL=nowhere\n", 0640, "LIVEKIT_URL", "line 2)");
	refused("OPENAI_API_KAY=hunter2\n", 0640, "is OPENAI_API_KEY meant?", "line 1");
	refused("PORT=1\nTZ=UTC\nPORT=2\n", 0640, "PORT is set a second time; line 1", "line 3");
	refused("this is no line\n", 0640, "NAME=VALUE", "line 1");
	refused("SYSTEM_PROMPT=\"hello\n", 0640, "the quote of SYSTEM_PROMPT is not closed", "line 1");
	refused("OPENAI_API_KEY=hunter2\n", 0644, "OPENAI_API_KEY in it is a secret", "chmod 640");
	refused("REDIS_URL=redis://x:hunter2@h\n", 0604, "REDIS_URL in it is a secret", "chmod 640");
	refused("PORT=80\n", 0642, "can be written by anybody", "chmod 640");
	refused("SPEECH_API_KEY=hunter2\n", 0640, "SPEECH_API_KEY", "contradicts SPEECH_BASE_URL (default)");
	refused("GEMINI_API_KEY=hunter2\nFALLBACK_API_KEY=hunter2\n", 0640, "GEMINI_API_KEY", "line 2)");
	refused("DAILY_SPEND_LIMIT=lots\n", 0640, "DAILY_SPEND_LIMIT is \"lots\"", "line 1): it must be tokens like 200000tokens, or money like 5.00.");
	refused("PUBLIC_SPEND_LIMIT=200ktokens\n", 0640, "PUBLIC_SPEND_LIMIT is", "line 1)");
	refused("REDIS_URL=localhost:6379\n", 0640, "REDIS_URL is no such address", "line 1): it must be redis://");
	refused("REDIS_URL=rediss://:hunter2@h\n", 0640, "TLS", "line 1)");
	refused("REDIS_URL=redis://:hunter2@h:99999\n", 0640, "REDIS_URL", "line 1)");
	refused("REDIS_URL=redis://:hunter2@:1\n", 0640, "REDIS_URL", "line 1)");
	refused("OPENAI_BASE_URL=http://\n", 0640, "OPENAI_BASE_URL is \"http://\"", "and has a host");
	refused("AUDIO_CACHE_SIZE=2\nMAX_AUDIO_BYTES=1\n", 0640, "AUDIO_CACHE_SIZE", "contradicts MAX_AUDIO_BYTES");
}

static void
a_settings_file_without_secrets_may_be_read_by_all(void **state)
{
	struct conf c;
	const char *path = settings_file("REDIS_URL=redis://localhost:6379\nOPENAI_API_KEY=\n", 0644);

	(void)state;
	assert_int_equal(conf_load(&c, &problem), HL_OK);
	conf_free(&c);
	unlink(path);
	assert_int_not_equal(conf_load(&c, &problem), HL_OK);
	assert_non_null(strstr(problem.data, "cannot be read: No such file or directory (HELPLINE_CONFIG names it)"));
	setenv("HELPLINE_CONFIG", "/dev/null", 1);
	assert_int_not_equal(conf_load(&c, &problem), HL_OK);
	assert_non_null(strstr(problem.data, "is not a file"));
}

static void
taken(const char *text)
{
	struct conf c;
	const char *path = settings_file(text, 0640);

	if (conf_load(&c, &problem) != HL_OK)
		fail_msg("%s: %s", text, problem.data);
	conf_free(&c);
	unlink(path);
	clean(NULL);
}

static void
addresses_of_redis_are_taken(void **state)
{
	static const char *const addresses[] = { "redis://h", "redis://h/", "redis://h:1/3", "redis://[::1]", "redis://[::1]:6379/0",
		"redis://:a@b@h", "redis://u:p@h:65535", "unix:///run/redis.sock" };
	char line[128];

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		snprintf(line, sizeof(line), "REDIS_URL=%s\n", addresses[i]);
		taken(line);
	}
}

static void
a_byte_order_mark_is_no_setting(void **state)
{
	(void)state;
	taken("\xef\xbb\xbfPORT=80\r\n");
	refused("\xef\xbb\xbfPORT=0\n", 0640, "PORT is \"0\"", "line 1)");
	refused("PORT=80\n\xef\xbb\xbfPORT=0\n", 0640, "NAME=VALUE", "line 2");
}

static void
root_goes_by_no_file_of_others(void **state)
{
	struct conf c;
	const char *path = settings_file("PORT=80\n", 0640);

	(void)state;
	if (geteuid() != 0 || chown(path, 65534, (gid_t)-1) != 0) {
		unlink(path);
		skip();
	}
	assert_int_not_equal(conf_load(&c, &problem), HL_OK);
	assert_non_null(strstr(problem.data, "belongs to user 65534, and root would go by it: chown root it."));
	unlink(path);
}

static void
spending_is_tokens_or_money(void **state)
{
	static const struct { const char *text; bool ok, money; int64_t most; } cases[] = {
		{ "200000tokens", true, false, 200000 }, { "1 token", true, false, 1 }, { "5", true, true, 5000000 },
		{ "5.00", true, true, 5000000 }, { "0.01", true, true, 10000 }, { "0", true, true, 0 }, { "0tokens", true, false, 0 },
		{ "", false, false, 0 }, { "lots", false, false, 0 }, { "200ktokens", false, false, 0 }, { "5,00", false, false, 0 },
		{ "$5", false, false, 0 }, { "-5", false, false, 0 }, { "1e6", false, false, 0 }, { "1.5tokens", false, false, 0 },
		{ "5 EUR", false, false, 0 }, { "9999999999999", false, false, 0 }, { "nan", false, false, 0 }
	};
	int64_t most;
	bool money;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (conf_spend(cases[i].text, &money, &most) != cases[i].ok)
			fail_msg("%s", cases[i].text);
		if (cases[i].ok)
			assert_true(money == cases[i].money && most == cases[i].most);
	}
}

static void
everything_that_is_wrong_is_told(void **state)
{
	struct conf c;

	(void)state;
	setenv("PORT", "x", 1);
	setenv("RATE_LIMITS", "maybe", 1);
	setenv("JWT_EXPIRES_IN", "soon", 1);
	assert_int_not_equal(conf_load(&c, &problem), HL_OK);
	assert_non_null(strstr(problem.data, "PORT is \"x\" (from the environment): it must be"));
	assert_non_null(strstr(problem.data, "\nRATE_LIMITS is"));
	assert_non_null(strstr(problem.data, "\nJWT_EXPIRES_IN is"));
	assert_null(c.storage);
}

/* What the table says stands word for word in a file, in that file's form. */
static void
check_file(const char *path, void (*form)(struct buf *, const struct conf_entry *))
{
	char *text = calloc(1, 1 << 18);
	FILE *file = fopen(path, "r");
	size_t n, len;
	const struct conf_entry *e = conf_entries(&n);

	if (file == NULL || text == NULL)
		fail_msg("%s cannot be read", path);
	len = fread(text, 1, (1 << 18) - 1, file);
	fclose(file);
	assert_true(len > 0);
	for (size_t i = 0; i < n; i++) {
		struct buf row = BUF_INIT(4096);

		form(&row, &e[i]);
		if (strstr(text, row.data) == NULL)
			fail_msg("%s lacks: %s", path, row.data);
		buf_free(&row);
	}
	free(text);
}

static void
readme_row(struct buf *row, const struct conf_entry *e)
{
	const char *quote = *e->value ? "`" : "";

	buf_printf(row, "| `%s` | %s%s%s | %s |\n", e->name, quote, *e->value ? e->value : "–", quote, e->meaning);
}

static void
env_lines(struct buf *row, const struct conf_entry *e)
{
	buf_printf(row, "# %s.\n#%s=%s\n", e->meaning, e->name, e->value);
}

static void
every_setting_is_documented(void **state)
{
	(void)state;
	check_file(SRCDIR "/README.md", readme_row);
	check_file(SRCDIR "/.env.example", env_lines);
}

static const char *
meant(const char *name)
{
	return conf_misspelt(name, strlen(name));
}

static void
misspelt_names_are_recognised(void **state)
{
	(void)state;
	assert_string_equal(meant("OPENAI_API_KAY"), "OPENAI_API_KEY");
	assert_string_equal(meant("REDIS_SENTINEL"), "REDIS_SENTINELS");
	assert_string_equal(meant("KNOWLEGE_PATH"), "KNOWLEDGE_PATH");
	assert_null(meant("OPENAI_API_KEY"));
	assert_null(meant("PORTS"));
	assert_null(meant("XDG_RUNTIME_DIR"));
	assert_null(meant("A_NAME_THAT_IS_MUCH_LONGER_THAN_ANY_SETTING_IS"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(defaults_are_valid, clean, clean),
		cmocka_unit_test(misspelt_names_are_recognised),
		cmocka_unit_test_setup_teardown(old_names_and_empty_values_are_understood, clean, clean),
		cmocka_unit_test_setup_teardown(wrong_values_are_refused_by_name, clean, clean),
		cmocka_unit_test(sizes_are_bytes_with_or_without_a_unit),
		cmocka_unit_test_setup_teardown(secrets_are_not_repeated, clean, clean),
		cmocka_unit_test_setup_teardown(env_files_are_read_as_people_write_them, clean, clean),
		cmocka_unit_test_setup_teardown(the_settings_file_is_read_and_the_environment_wins, clean, clean),
		cmocka_unit_test_setup_teardown(a_wrong_settings_file_is_refused_with_its_line, clean, clean),
		cmocka_unit_test_setup_teardown(a_settings_file_without_secrets_may_be_read_by_all, clean, clean),
		cmocka_unit_test_setup_teardown(addresses_of_redis_are_taken, clean, clean),
		cmocka_unit_test_setup_teardown(a_byte_order_mark_is_no_setting, clean, clean),
		cmocka_unit_test_setup_teardown(root_goes_by_no_file_of_others, clean, clean),
		cmocka_unit_test(spending_is_tokens_or_money),
		cmocka_unit_test_setup_teardown(everything_that_is_wrong_is_told, clean, clean),
		cmocka_unit_test_setup_teardown(every_setting_is_documented, clean, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
