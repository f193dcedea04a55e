/*
 * fill DIR COUNT - fills the Redis at DIR/redis.sock with desk conversations as the programs store them: six messages of
 * 200 bytes each, by ten accounts with four agents each.  Prints a line when all are there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/task.h"
#include "records/desk.h"

#define ACCOUNTS	10
#define AGENTS		4
#define AT_ONCE		64
#define TURNS		3
#define SAID		200

static struct store store;
static long left;
static char accounts[ACCOUNTS][ID_LEN + 1], ids[ACCOUNTS][ID_LEN + 1], agents[ACCOUNTS * AGENTS][ID_LEN + 1];
static char said[SAID + 1];

static void
check(enum hl_err err, const char *what)
{
	if (err == HL_OK)
		return;
	fprintf(stderr, "fill: %s: %s\n", what, err_code(err));
	exit(1);
}

/* As the engine writes an answer. */
static void
answer(struct lease *l)
{
	struct outgoing o = { .entry = BUF_INIT(4096), .event_head = BUF_INIT(256), .event_tail = BUF_INIT(256),
		.found = { .sentiment = SENTIMENT_POSITIVE, .intents = 1, .title = "Where is my order now" } };
	enum committed how;
	int64_t seq;

	id_new(o.id);
	id_new(o.escalation_id);
	buf_printf(&o.entry, "{\"role\":\"assistant\",\"content\":\"%s\",\"ts\":%lld,\"for\":%lld,\"needsEscalation\":false,"
	    "\"confidence\":0.92,\"provider\":\"openai\",\"escalation\":null,\"sources\":[],\"sentiment\":\"positive\","
	    "\"intents\":[\"question\"]}", said, (long long)clock_wall_ms(), (long long)l->covered);
	counts_add(&o.counts, l->desk.agent, "answers", 1);
	check(conversation_commit(&store, l, &o, &how, &seq), "commit");
	buf_free(&o.entry);
}

static void
converse(long i)
{
	struct desk_new n = { .account = accounts[i % ACCOUNTS], .user_id = ids[i % ACCOUNTS],
		.agent = agents[i % (ACCOUNTS * AGENTS)], .company = "A company" };
	struct incoming in = { .account = n.account, .text = said, .text_len = SAID, .client_named = true };
	struct desk_conversation c;
	struct acceptance a;
	char client_id[ID_LEN + 1];
	int64_t retry;

	check(desk_create(&store, &n, &c, &retry), "create");
	in.id = c.id;
	in.client_id = client_id;
	for (int turn = 0; turn < TURNS; turn++) {
		id_new(client_id);
		check(conversation_accept(&store, &in, &a), "accept");
		answer(&a.lease);
		lease_clear(&a.lease);
	}
	desk_clear(&c);
}

static void
fill(void *arg)
{
	(void)arg;
	while (left-- > 0)
		converse(left);
}

static void
wait_connected(void *arg)
{
	(void)arg;
	while (!redis_connected(store.redis))
		check(task_sleep(5), "connect");
}

static void
run(uv_loop_t *loop, void (*body)(void *), int tasks)
{
	for (int i = 0; i < tasks; i++)
		check(task_start(loop, body, NULL), "start");
	while (task_count())
		uv_run(loop, UV_RUN_ONCE);
}

int
main(int argc, char **argv)
{
	struct buf problem = BUF_INIT(1000);
	struct crypto *crypto;
	uv_loop_t *loop = uv_default_loop();
	struct conf conf;
	char path[256];

	if (argc != 3)
		return 2;
	snprintf(path, sizeof(path), "%s/redis.sock", argv[1]);
	setenv("REDIS_SOCKET", path, 1);
	left = strtol(argv[2], NULL, 10);
	memset(said, 'a', SAID);
	for (int i = 0; i < ACCOUNTS; i++) {
		id_new(accounts[i]);
		id_new(ids[i]);
	}
	for (int i = 0; i < ACCOUNTS * AGENTS; i++)
		id_new(agents[i]);
	check(conf_load(&conf, &problem), "settings");
	check(crypto_make_keys(argv[1], &problem), "keys");
	check(crypto_open(argv[1], &crypto, &problem), "keys");
	check(redis_open(loop, &conf, &store.redis), "redis");
	store.crypto = crypto;
	store.conf = &conf;
	run(loop, wait_connected, 1);
	run(loop, fill, AT_ONCE);
	puts("{\"event\":\"filled\"}");
	redis_close(store.redis);
	uv_run(loop, UV_RUN_DEFAULT);
	crypto_free(crypto);
	conf_free(&conf);
	buf_free(&problem);
	return 0;
}
