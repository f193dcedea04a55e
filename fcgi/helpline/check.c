/*
 * helpline check - what would go wrong later, said now, each with its remedy.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "command.h"
#include "engine/provider.h"
#include "settings.h"
#include "state.h"

#define PROVIDER_MS	30000
#define OUT_MAX		(1u << 20)

static void
add_json(struct check *c, const char *name, enum finding what, const char *text, const char *remedy)
{
	static const char *const levels[] = { "ok", "note", "unknown", "wrong" };

	buf_puts(&c->out, c->out.len ? ",\n  {\"check\":" : "{\"check\":");
	buf_json_str(&c->out, name);
	buf_printf(&c->out, ",\"level\":\"%s\",\"text\":", levels[what]);
	buf_json_str(&c->out, text);
	buf_puts(&c->out, ",\"remedy\":");
	buf_json_str(&c->out, remedy);
	buf_putc(&c->out, '}');
}

void
found(struct check *c, const char *name, enum finding what, const char *remedy, const char *format, ...)
{
	static const char *const marks[] = { "ok   ", "-    ", "?    ", "WRONG" };
	char text[8192];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (what == FOUND_OK)
		remedy = NULL;
	c->wrong += what == FOUND_WRONG;
	if (c->json) {
		add_json(c, name, what, text, remedy);
		return;
	}
	printf("%s  %s\n", marks[what], text);
	if (remedy)
		printf("       %s\n", remedy);
}

void
found_if(struct check *c, const char *name, bool ok, const char *well, const char *wrong, const char *remedy)
{
	found(c, name, ok ? FOUND_OK : FOUND_WRONG, remedy, "%s", ok ? well : wrong);
}

/* ---- the model ---- */

static void
ask_model(struct check *c, struct providers *providers)
{
	static const struct prompt_message messages[] = {
		{ ROLE_SYSTEM, "You answer in one word.", 23 }, { ROLE_USER, "Are you there?", 14 }
	};
	const struct question question = {
		.messages = messages, .count = 2, .deadline_mono_ms = clock_mono_ms() + PROVIDER_MS
	};
	struct buf problem = BUF_INIT(1024);
	struct model_answer answer;
	enum hl_err err;

	model_answer_init(&answer);
	err = provider_ask(providers, &question, &answer, &problem);
	if (err == HL_OK)
		found(c, "model.answers", FOUND_OK, NULL, "The model answers (%s)", answer.provider);
	else
		found(c, "model.answers", FOUND_WRONG, "See OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL.",
		    "The model does not answer: %s", problem.data ? problem.data : err_text(err));
	model_answer_free(&answer);
	buf_free(&problem);
}

static void
check_provider(struct check *c, struct http *http)
{
	struct providers *providers;

	if (providers_new(&c->conf, http, &providers) != HL_OK) {
		found(c, "model.configured", FOUND_WRONG, NULL, "The model servers cannot be set up");
		return;
	}
	if (!providers_configured(providers))
		found(c, "model.configured", FOUND_NOTE, NULL,
		    "No AI model is connected: the offline responder answers from the knowledge");
	else if (c->ask_provider)
		ask_model(c, providers);
	else
		found(c, "model.configured", FOUND_NOTE, NULL, "An AI model is configured; --provider asks it one small question");
	providers_free(providers);
}

/* ---- */

static void
tell_name(const char *sentence, void *arg)
{
	found(arg, "settings.name", FOUND_UNKNOWN, NULL, "%s", sentence);
}

static void
tell_wrong(const struct conf_wrong *wrong, void *arg)
{
	found(arg, "settings.value", FOUND_WRONG, NULL, "%s", wrong->sentence);
}

static bool
own_redis(const struct conf *conf)
{
	return settings_own_redis(conf) || (*conf->redis_url == '\0' && strcmp(conf->redis_socket, STATE_REDIS) == 0);
}

static void
run_checks(struct client *client, void *arg)
{
	struct check *c = arg;

	settings_misspelt(tell_name, c);
	check_contradictions(c);
	c->running = c->state_dir == NULL || state_supervisor(".") != 0;
	check_secrets(c);
	if (!c->running)	/* and then neither do its Redis and its sockets answer */
		found(c, "running", FOUND_WRONG, "./run --detach starts it.", "Helpline is not running");
	if (c->running || !own_redis(&c->conf))
		check_redis(c, client->loop);
	check_clock(c);
	if (c->running) {
		check_sockets(c);
		check_limits(c);
	}
	check_folders(c);
	if (c->state_dir == NULL) {	/* ./run keeps its folders, and its nginx is of its own making */
		check_rights(c);
		check_nginx(c);
	}
	check_provider(c, client->http);
}

static int
parse_check(int argc, char **argv, struct check *c, const char **ret_env_file)
{
	static const struct option options[] = {
		{ "state-dir", required_argument, NULL, 's' }, { "env-file", required_argument, NULL, 'e' },
		{ "nginx-conf", required_argument, NULL, 'n' }, { "provider", no_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 's': c->state_dir = optarg; break;
		case 'e': *ret_env_file = optarg; break;
		case 'n': c->nginx_conf = optarg; break;
		case 'p': c->ask_provider = true; break;
		case 'j': c->json = true; break;
		default: return 2;
		}
	return optind < argc ? complain(2, argv[0], "it takes options only") : 0;
}

static int
look(struct check *c, const char *env_file)
{
	enum hl_err err = env_file ? conf_read_file(env_file, false, tell_wrong, c) : HL_OK;

	if (c->state_dir && !state_use(c->state_dir))
		return complain(1, "check", "%s cannot be entered; has ./run been started there?", c->state_dir);
	if (settings_check(NULL, &c->conf, tell_wrong, c) != HL_OK)
		err = HL_BAD_REQUEST;		/* told; and nothing can be looked at without settings */
	else if (err == HL_OK && client_run(run_checks, c) != HL_OK)
		return complain(1, "check", "out of memory");
	if (c->json && buf_err(&c->out) == HL_OK)
		printf("{\"ok\":%s,\"wrong\":%u,\"findings\":[\n  %s\n]}\n", c->wrong ? "false" : "true", c->wrong,
		    c->out.data ? c->out.data : "");
	return err || c->wrong ? 1 : 0;
}

int
cmd_check(int argc, char **argv)
{
	struct check c = { .out = BUF_INIT(OUT_MAX) };
	const char *env_file = NULL;
	int ret = parse_check(argc, argv, &c, &env_file);

	if (ret)
		return ret;
	settings_choose(c.state_dir, env_file);
	ret = look(&c, env_file);
	conf_free(&c.conf);
	buf_free(&c.out);
	return ret;
}
