#include "books.h"
#include "client.h"
#include "loop/task.h"
#include "settings.h"
#include "state.h"

#define CONNECT_MS	2000

struct books {
	const struct conf *conf;
	enum hl_err	(*work)(struct store *, void *);
	void		*arg;
	struct buf	*problem;
	enum hl_err	 err;
};

enum hl_err
books_settings(const struct books_place *place, struct conf *ret, struct buf *problem)
{
	enum hl_err err = place->env_file ? conf_load_file(place->env_file, problem) : HL_OK;

	settings_choose(place->state_dir, place->env_file);
	if (err)
		return err;
	if (place->state_dir && !state_use(place->state_dir)) {
		buf_puts(problem, "the state directory cannot be entered; has ./run been started there?");
		return HL_BAD_REQUEST;
	}
	return settings_load(NULL, ret, problem);
}

static void
run(struct client *client, void *arg)
{
	struct books *b = arg;
	struct store store = { .conf = b->conf };
	struct crypto *crypto = NULL;

	b->err = crypto_open(b->conf->secrets_dir, &crypto, b->problem);
	if (b->err)
		return;
	b->err = redis_open(client->loop, b->conf, &store.redis);
	for (int ms = 0; b->err == HL_OK && ms < CONNECT_MS && !redis_connected(store.redis); ms += 10)
		b->err = task_sleep(10);
	store.crypto = crypto;
	if (b->err == HL_OK)
		b->err = b->work(&store, b->arg);
	if (b->err == HL_STORE) {
		buf_reset(b->problem);
		buf_puts(b->problem, "Redis cannot be reached; is Helpline running?");
	}
	redis_close(store.redis);
	crypto_free(crypto);
}

enum hl_err
books_open(const struct conf *conf, enum hl_err (*work)(struct store *, void *), void *arg, struct buf *problem)
{
	struct books b = { .conf = conf, .work = work, .arg = arg, .problem = problem };
	enum hl_err err = client_run(run, &b);

	return err ? err : b.err;
}
