#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/background.h"
#include "api/kept.h"
#include "api/program.h"
#include "base/log.h"
#include "base/str.h"
#include "services/listen.h"
#include "services/metrics_file.h"
#include "services/notify.h"
#include "services/renew.h"

#define DRAIN_MS	20000	/* to end, beyond what an answer may take */
#define DESCRIPTORS	16384u	/* that the table has room for from the start: 128 KB in the kernel */

struct running {
	const struct program *program;
	struct app	 app;
	struct fcgi_server *server;
	int		 listener;
	uv_signal_t	 on_term, on_int;
};

static void
handle(struct fcgi_request *request, void *arg)
{
	struct running *r = arg;

	route_call(&r->app, r->program->routes, r->program->count, request);
}

/* ---- the end ---- */

static void
engine_drained(void *arg)
{
	struct running *r = arg;

	uv_stop(r->app.loop);
}

static void
background_ended(void *arg)
{
	struct running *r = arg;

	if (r->app.engine)
		engine_drain(r->app.engine, engine_drained, r);
	else
		engine_drained(r);
}

static void
requests_drained(void *arg)
{
	struct running *r = arg;

	background_end(&r->app, background_ended, r);
}

/* Another process takes in what comes from now on. */
static void
drain(void *arg)
{
	struct running *r = arg;

	uv_signal_stop(&r->on_term);
	uv_signal_stop(&r->on_int);
	fcgi_drain(r->server, requests_drained, r);
}

static void
on_signal(uv_signal_t *signal, int number)
{
	struct running *r = signal->data;

	(void)number;
	notify_stopping(r->app.conf.turn_timeout_ms + DRAIN_MS);
	drain(r);
}

static void
close_all(struct running *r)
{
	uv_close((uv_handle_t *)&r->on_term, NULL);
	uv_close((uv_handle_t *)&r->on_int, NULL);
	notify_end();
	renew_end();
	metrics_file_close(r->app.metrics);
	fcgi_free(r->server);
	engine_free(r->app.engine);
	redis_close(r->app.redis);
	uv_run(r->app.loop, UV_RUN_DEFAULT);	/* until every handle is closed */
	uv_loop_close(r->app.loop);
	kept_free(r->app.kept);
	free(r->app.store.tokens);
	crypto_free(r->app.crypto);
	conf_free(&r->app.conf);
}

/* ---- the start ---- */

/*
 * The kernel doubles a full table of descriptors.  As soon as there are threads, whoever opens one too many waits some 20 ms
 * for that, and everybody with him (synchronize_rcu() in expand_fdtable(), fs/file.c of Linux).  There are none yet.
 */
static void
widen_descriptors(int any)
{
	struct rlimit limit;
	rlim_t most = DESCRIPTORS;
	int last;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < most)
		most = limit.rlim_cur;
	last = fcntl(any, F_DUPFD_CLOEXEC, (int)most - 1);
	if (last >= 0)
		close(last);
}

static void
read_probe_token(struct app *app)
{
	char path[4200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/probe", app->conf.secrets_dir);
	file = fopen(path, "re");
	if (file == NULL)
		return;			/* an installation without it cannot be probed, that is all */
	if (fgets(app->probe_token, sizeof(app->probe_token), file))
		app->probe_token[strcspn(app->probe_token, "\r\n")] = '\0';
	fclose(file);
}

static enum hl_err
open_services(struct running *r, struct buf *problem)
{
	const struct program *p = r->program;
	struct app *app = &r->app;
	enum hl_err err = HL_OK;

	if (p->needs_store || p->needs_engine) {
		err = crypto_open(app->conf.secrets_dir, &app->crypto, problem);
		if (err)
			return err;
		err = redis_open(app->loop, &app->conf, &app->redis);
		if (err) {
			buf_puts(problem, err == HL_NO_MEMORY ? "Out of memory for the connection to Redis." :
			    "REDIS_URL must be redis://[user:password@]host[:port][/db] or unix:///path.");
			return err;
		}
		app->store = (struct store){ .redis = app->redis, .crypto = app->crypto, .conf = &app->conf };
		read_probe_token(app);
	}
	if (p->needs_engine)
		err = engine_open(app->loop, &app->conf, app->redis, app->crypto, &app->engine, problem);
	return err;
}

/* Who cannot count with the others counts for itself. */
static void
open_metrics(struct running *r)
{
	const struct program *p = r->program;
	struct buf names = BUF_INIT(METRICS_ROUTES * SEGMENT_MAX), problem = BUF_INIT(4400);
	const char *routes[METRICS_ROUTES];
	size_t at[METRICS_ROUTES], count = p->count < METRICS_ROUTES ? p->count : METRICS_ROUTES - 1;

	for (size_t i = 0; i < count; i++) {
		at[i] = names.len;
		buf_printf(&names, "%s %s", p->routes[i].method, p->routes[i].path);
		buf_add(&names, "", 1);
	}
	for (size_t i = 0; i < count; i++)
		routes[i] = buf_err(&names) ? "" : names.data + at[i];
	r->app.metrics = metrics_file_open(r->app.loop, r->app.conf.metrics_file, p->name, routes, count, &problem);
	if (r->app.metrics == NULL)
		log_line(LOG_LEVEL_WARN, "metrics", "problem", problem.len ? problem.data : NULL, NULL);
	buf_free(&names);
	buf_free(&problem);
}

static enum hl_err
start(struct running *r, struct buf *problem)
{
	enum hl_err err = conf_load(&r->app.conf, problem);

	if (err)
		return err;
	if (r->program->needs_accounts && *r->app.conf.jwt_secret == '\0') {
		buf_printf(problem, "JWT_SECRET is not set: it signs access tokens and must have %d bytes or more, the same for "
		    "every program (./run makes one in its state directory).", JWT_SECRET_MIN);
		return HL_BAD_REQUEST;
	}
	log_init(r->program->name, log_level_named(r->app.conf.log_level));
	err = listen_take(1, &r->listener, problem);
	if (err == HL_OK && r->program->needs_engine)
		widen_descriptors(r->listener);
	if (err == HL_OK)
		err = open_services(r, problem);
	if (err == HL_OK)
		err = fcgi_serve(r->app.loop, r->listener, handle, r, &r->server);
	if (err)
		return err;
	open_metrics(r);
	uv_signal_init(r->app.loop, &r->on_term);
	uv_signal_init(r->app.loop, &r->on_int);
	r->on_term.data = r->on_int.data = r;
	uv_signal_start(&r->on_term, on_signal, SIGTERM);
	uv_signal_start(&r->on_int, on_signal, SIGINT);
	renew_on_hangup(r->app.loop, &r->listener, 1, drain, r);
	return HL_OK;
}

static bool
is_option(const char *arg)
{
	return strcmp(arg, "--version") == 0 || strcmp(arg, "--help") == 0 || strcmp(arg, "--routes") == 0;
}

/* A line for each, method and path: the tests compare them with the published description of the API. */
static void
print_routes(const struct program *p)
{
	for (size_t i = 0; i < p->count; i++)
		printf("%s %s\n", p->routes[i].method, p->routes[i].path);
}

static bool
answer_option(const struct program *p, int argc, char **argv)
{
	if (argc < 2)
		return false;
	if (strcmp(argv[1], "--version") == 0)
		printf("helpline-%s %s\n", p->name, PACKAGE_VERSION);
	else if (strcmp(argv[1], "--routes") == 0)
		print_routes(p);
	else
		printf("usage: %s [--version | --help | --routes]\n%s\n"
		    "A FastCGI program: it takes its listening socket from systemd, helpline supervise or spawn-fcgi, and its\n"
		    "settings from the environment (helpline config explain lists them).\n", p->name, p->purpose);
	return true;
}

int
program_main(const struct program *p, int argc, char **argv)
{
	struct running r = { .program = p, .app = { .name = p->name, .loop = uv_default_loop() } };
	struct buf problem = BUF_INIT(4096);

	renew_remember(argv);
	if (answer_option(p, argc, argv))
		return argc == 2 && is_option(argv[1]) ? 0 : 2;
	if (start(&r, &problem) != HL_OK) {
		fprintf(stderr, "%s: %s\n", p->name, problem.len ? problem.data : "cannot start");
		buf_free(&problem);
		conf_free(&r.app.conf);
		return 2;
	}
	log_line(LOG_LEVEL_INFO, "ready", "version", PACKAGE_VERSION, NULL);
	notify_ready(r.app.loop);
	uv_run(r.app.loop, UV_RUN_DEFAULT);
	log_line(LOG_LEVEL_INFO, "stopped", NULL);
	buf_free(&problem);
	close_all(&r);
	return 0;
}
