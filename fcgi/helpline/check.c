/*
 * helpline check - what would go wrong later, said now, each with its remedy.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client.h"
#include "command.h"
#include "engine/provider.h"
#include "loop/task.h"
#include "services/crypto.h"
#include "services/redis.h"
#include "settings.h"
#include "sockets.h"
#include "state.h"

#define CONNECT_MS	2000
#define PROVIDER_MS	30000

struct check {
	const char	*state_dir;
	bool		 ask_provider, running;
	struct conf	 conf;
	unsigned	 wrong;
};

static void
found(struct check *c, bool ok, const char *what, const char *remedy)
{
	printf("%s  %s\n", ok ? "ok   " : "WRONG", what);
	if (!ok && remedy)
		printf("       %s\n", remedy);
	c->wrong += !ok;
}

/* ---- Redis ---- */

static bool
redis_setting(struct redis *redis, const char *name, char *out, size_t size)
{
	const struct redis_arg args[] = { RA("CONFIG"), RA("GET"), RA(name) };
	const struct redis_reply *reply;
	const char *text = NULL;

	if (redis_call(redis, args, 3, &reply) == HL_OK)
		text = redis_str(redis_at(reply, 1), NULL);
	snprintf(out, size, "%s", text ? text : "");
	return text != NULL;
}

static void
check_redis_settings(struct check *c, struct redis *redis)
{
	char aof[16], fsync[16], policy[32], limit[32];

	if (!redis_setting(redis, "appendonly", aof, sizeof(aof)) ||
	    !redis_setting(redis, "appendfsync", fsync, sizeof(fsync)) ||
	    !redis_setting(redis, "maxmemory-policy", policy, sizeof(policy)) ||
	    !redis_setting(redis, "maxmemory", limit, sizeof(limit))) {
		printf("?      Redis does not show its settings (CONFIG is forbidden): persistence is not checked\n");
		return;
	}
	found(c, strcmp(aof, "yes") == 0, "Redis writes an append-only file",
	    "Without one, acknowledged messages are lost when it ends: set \"appendonly yes\".");
	found(c, strcmp(fsync, "always") == 0, "Redis writes to disk before it acknowledges",
	    "A power failure loses up to a second of acknowledged messages: set \"appendfsync always\".");
	found(c, strcmp(policy, "noeviction") == 0, "Redis keeps everything",
	    "It may throw conversations away when its memory is full: set \"maxmemory-policy noeviction\".");
	found(c, strcmp(limit, "0") != 0, "Redis has a memory limit",
	    "Without one the system may kill it when memory is full: set \"maxmemory\".");
}

static void
check_redis(struct check *c, uv_loop_t *loop)
{
	struct redis *redis;
	char text[512];

	if (redis_open(loop, &c->conf, &redis) != HL_OK)
		return;
	for (int ms = 0; ms < CONNECT_MS && !redis_connected(redis); ms += 10)
		if (task_sleep(10) != HL_OK)
			break;
	snprintf(text, sizeof(text), "Redis can be reached");
	if (!redis_connected(redis))
		snprintf(text, sizeof(text), "Redis cannot be reached: %s", redis_problem(redis));
	found(c, redis_connected(redis), text, "See REDIS_URL, REDIS_SOCKET, REDIS_HOST and REDIS_PORT.");
	if (redis_connected(redis))
		check_redis_settings(c, redis);
	redis_close(redis);
}

/* ---- files ---- */

static void
check_secrets(struct check *c)
{
	struct buf problem = BUF_INIT(1024);
	struct crypto *crypto = NULL;
	bool ok = crypto_open(c->conf.secrets_dir, &crypto, &problem) == HL_OK;

	found(c, ok, ok ? "The sealing keys can be read by their owner alone" : problem.data,
	    "helpline keys init --dir DIR makes them; HELPLINE_SECRETS names the folder.");
	crypto_free(crypto);
	buf_free(&problem);
}

static void
check_sockets(struct check *c)
{
	static const char *const names[] = { "auth", "chat", "desk", "events", "health", "polls", "ws", "front" };
	char path[64], text[128];
	bool ok;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s.sock", c->state_dir ? "run" : "/run/helpline", names[i]);
		ok = socket_unix_answers(path);
		snprintf(text, sizeof(text), "The socket %s takes %sconnections", path, ok ? "" : "no ");
		found(c, ok, text, "Is Helpline running? ./run --status");
	}
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
	char text[512];
	enum hl_err err;

	model_answer_init(&answer);
	err = provider_ask(providers, &question, &answer, &problem);
	if (err == HL_OK)
		snprintf(text, sizeof(text), "The model answers (%s)", answer.provider);
	else
		snprintf(text, sizeof(text), "The model does not answer: %s", problem.data ? problem.data : err_text(err));
	found(c, err == HL_OK, text, "See OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL.");
	model_answer_free(&answer);
	buf_free(&problem);
}

static void
check_provider(struct check *c, struct http *http)
{
	struct providers *providers;

	if (providers_new(&c->conf, http, &providers) != HL_OK) {
		found(c, false, "The model servers cannot be set up", NULL);
		return;
	}
	if (!providers_configured(providers))
		printf("-      No AI model is connected: the offline responder answers from the knowledge\n");
	else if (c->ask_provider)
		ask_model(c, providers);
	else
		printf("-      An AI model is configured; --provider asks it one small question\n");
	providers_free(providers);
}

/* ---- */

static void
print_name(const char *sentence)
{
	printf("?      %s\n", sentence);
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

	settings_misspelt(print_name);
	c->running = c->state_dir == NULL || state_supervisor(".") != 0;
	check_secrets(c);
	if (!c->running)	/* and then neither do its Redis and its sockets answer */
		found(c, false, "Helpline is not running", "./run --detach starts it.");
	if (c->running || !own_redis(&c->conf))
		check_redis(c, client->loop);
	if (c->running)
		check_sockets(c);
	check_provider(c, client->http);
}

static int
parse_check(int argc, char **argv, struct check *c, const char **ret_env_file)
{
	static const struct option options[] = {
		{ "state-dir", required_argument, NULL, 's' }, { "env-file", required_argument, NULL, 'e' },
		{ "provider", no_argument, NULL, 'p' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 's': c->state_dir = optarg; break;
		case 'e': *ret_env_file = optarg; break;
		case 'p': c->ask_provider = true; break;
		default: return 2;
		}
	return optind < argc ? complain(2, argv[0], "it takes options only") : 0;
}

int
cmd_check(int argc, char **argv)
{
	struct buf problem = BUF_INIT(4096);
	struct check c = { .state_dir = NULL };
	const char *env_file = NULL;
	int ret = parse_check(argc, argv, &c, &env_file);

	if (ret)
		return ret;
	if (env_file && conf_load_file(env_file, &problem) != HL_OK)
		ret = complain(1, argv[0], "%s", problem.data);
	else if (c.state_dir && !state_use(c.state_dir))
		ret = complain(1, argv[0], "%s cannot be entered; has ./run been started there?", c.state_dir);
	else if (settings_load(NULL, &c.conf, &problem) != HL_OK)
		ret = complain(1, argv[0], "%s", problem.data ? problem.data : "out of memory");
	else if (client_run(run_checks, &c) != HL_OK)
		ret = complain(1, argv[0], "out of memory");
	else
		ret = c.wrong > 0;
	conf_free(&c.conf);
	buf_free(&problem);
	return ret;
}
