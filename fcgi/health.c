/*
 * health - is the installation well?  /health for people and old clients, /ready for machines, /metrics for Prometheus.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/program.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/metrics_text.h"
#include "loop/task.h"
#include "services/metrics_file.h"

/*
 * Everybody who asks while a count is under way shares the next one.  One that several had to share is good for FRESH_MS
 * more: at any load there are few of them, and who asks alone is always told what is.  A store that hangs is as bad as
 * none: whoever has waited PATIENCE_MS is told so.
 */
#define FRESH_MS	20
#define PATIENCE_MS	1000
#define LOOK_MS		250

struct member { struct member *next; struct task *task; int64_t count; enum hl_err err; bool done; };

static struct {
	struct member	*waiting;	/* for the next count */
	struct member	*asked;		/* in the one under way */
	int64_t		 since_mono_ms;	/* when that began; 0: none is */
	int64_t		 told_mono_ms, told;	/* the last count, and when */
	bool		 watched;
} shared = { .told_mono_ms = -FRESH_MS };

static void
tell_all(struct member **list, enum hl_err err, int64_t count)
{
	struct member *m;

	while ((m = *list) != NULL) {
		*list = m->next;
		m->count = count;
		m->err = err;
		m->done = true;
		task_wake(m->task);
	}
}

static void
watch_count(void *arg)
{
	(void)arg;
	while (shared.since_mono_ms && task_sleep(LOOK_MS) == HL_OK) {
		if (shared.since_mono_ms && clock_mono_ms() - shared.since_mono_ms >= PATIENCE_MS) {
			tell_all(&shared.asked, HL_STORE, 0);
			tell_all(&shared.waiting, HL_STORE, 0);
		}
	}
	shared.watched = false;
}

static void
count_for_all(void *arg)
{
	struct app *app = arg;
	int64_t count;
	enum hl_err err;
	bool several;

	while (shared.waiting) {
		shared.asked = shared.waiting;
		shared.waiting = NULL;
		shared.since_mono_ms = clock_mono_ms();
		err = conversation_count_active(&app->store, &count);
		several = shared.asked && shared.asked->next;
		shared.told_mono_ms = err || !several ? -FRESH_MS : clock_mono_ms();
		shared.told = count;
		tell_all(&shared.asked, err, count);
	}
	shared.since_mono_ms = 0;
}

static enum hl_err
count_sessions(struct app *app, int64_t *ret)
{
	struct member me = { .task = task_self(), .next = shared.waiting };

	if (clock_mono_ms() - shared.told_mono_ms < FRESH_MS) {
		*ret = shared.told;
		return HL_OK;
	}
	shared.waiting = &me;
	if (shared.since_mono_ms == 0 && task_start(app->loop, count_for_all, app) != HL_OK) {
		shared.waiting = me.next;
		return HL_NO_MEMORY;
	}
	if (!shared.watched && !me.done) {
		shared.watched = true;
		if (task_start(app->loop, watch_count, NULL) != HL_OK)
			shared.watched = false;		/* then the store's own time limit holds */
	}
	while (!me.done)
		task_wait_always();
	*ret = me.count;
	return me.err;
}

static enum hl_err
get_health(struct call *call)
{
	const struct conf *conf = &call->app->conf;
	struct buf body = BUF_INIT(4096);
	char now[CLOCK_ISO_LEN + 1];
	int64_t sessions;
	bool well = count_sessions(call->app, &sessions) == HL_OK, up = redis_connected(call->app->redis);
	const char *why = redis_reason(call->app->redis);
	enum hl_err err;

	clock_iso(clock_wall_ms(), now);
	buf_puts(&body, well ? "{\"status\":\"healthy\",\"timestamp\":\"" : "{\"status\":\"unhealthy\",\"timestamp\":\"");
	buf_puts(&body, now);
	buf_puts(&body, "\",\"services\":{\"redis\":\"");
	buf_puts(&body, well ? "connected" : up ? "refusing" : "disconnected");
	buf_puts(&body, conf_has_model(conf) ? "\",\"openai\":\"configured\"" : "\",\"openai\":\"not configured\"");
	buf_puts(&body, conf_speaks(conf) && conf_hears(conf) ? ",\"speech\":\"configured\"" : ",\"speech\":\"not configured\"");
	buf_puts(&body, ",\"activeSessions\":");
	buf_int(&body, sessions);
	buf_puts(&body, "},\"version\":\"" PACKAGE_VERSION "\",\"environment\":");
	buf_json_str(&body, conf->environment);
	if (!well)
		buf_printf(&body, ",\"error\":\"Redis: %s\",\"message\":\"Redis: %s\"", why, why);
	buf_putc(&body, '}');
	err = reply_json(call, well ? 200 : 503, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
get_ready(struct call *call)
{
	struct buf body = BUF_INIT(64);
	int64_t sessions;
	enum hl_err err = count_sessions(call->app, &sessions);

	if (err)
		return call_fail(call, HL_STORE, "Redis: %s", redis_reason(call->app->redis));
	buf_puts(&body, "{\"ready\":true}");
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

/* ---- metrics ---- */

static bool
has_param(const struct call *call, const char *name)
{
	const char *value = fcgi_param(call->fcgi, name);

	return value && *value;
}

static bool
is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 || strncmp(address, "::ffff:127.", 11) == 0 ||
	    strncmp(address, "unix:", 5) == 0;
}

/* Somebody on this computer, unless he says that he asks for another one: a proxy does. */
static bool
is_local(const struct call *call)
{
	return is_loopback(call->address) && !has_param(call, "HTTP_X_FORWARDED_FOR") && !has_param(call, "HTTP_FORWARDED") &&
	    !has_param(call, "HTTP_X_REAL_IP") && !has_param(call, "HTTP_VIA");
}

static bool
has_token(const struct call *call)
{
	const char *wanted = call->app->conf.metrics_token, *given = fcgi_param(call->fcgi, "HTTP_AUTHORIZATION");

	if (*wanted == '\0' || given == NULL || strncasecmp(given, "Bearer ", 7) != 0)
		return false;
	given += 7;
	return strlen(given) == strlen(wanted) && crypto_equal(given, wanted, strlen(wanted));
}

/* What the store says.  While it is away, that is all there is to say of it. */
static void
write_store(struct app *app, struct buf *out)
{
	int64_t sessions, owed = 0, called = 0;
	bool well = count_sessions(app, &sessions) == HL_OK && conversation_count_owed(&app->store, &owed, &called) == HL_OK;

	metrics_write_gauge(out, "helpline_store_up", "Whether Redis answers", well);
	if (!well)
		return;
	metrics_write_gauge(out, "helpline_sessions_active", "Sessions of the chat API that are not forgotten, of all computers", sessions);
	metrics_write_gauge(out, "helpline_turns_owed", "Conversations that an answer is owed, of all computers", owed);
	metrics_write_gauge(out, "helpline_escalations_open", "Escalations that no person has closed, of all computers", called);
}

static enum hl_err
get_metrics(struct call *call)
{
	struct app *app = call->app;
	struct buf body = BUF_INIT(METRICS_TEXT_MAX);
	struct metrics *boards;
	const bool alone = true;
	bool *alive;
	size_t count;
	enum hl_err err;

	if (!is_local(call) && !has_token(call))
		return *app->conf.metrics_token ? call_fail(call, HL_UNAUTHORIZED, "Send METRICS_TOKEN as bearer token") :
		    call_fail(call, HL_FORBIDDEN, "Only this computer is told, as METRICS_TOKEN is not set");
	count = metrics_file_read(app->metrics, &boards, &alive);
	if (count)
		metrics_write(&body, boards, alive, count, clock_wall_ms());
	else
		metrics_write(&body, metrics_own, &alone, 1, clock_wall_ms());
	free(boards);
	free(alive);
	write_store(app, &body);
	err = reply_text(call, METRICS_TEXT_TYPE, &body);
	buf_free(&body);
	return err;
}

static const struct route routes[] = {
	{ "GET", "/health", BODY_NONE, get_health },
	{ "GET", "/api/v1/health", BODY_NONE, get_health },
	{ "GET", "/ready", BODY_NONE, get_ready },
	{ "GET", "/metrics", BODY_NONE, get_metrics },
};

int
main(int argc, char **argv)
{
	static const struct program health = {
		.name = "health", .purpose = "Serves /health, /api/v1/health, /ready and /metrics.",
		.routes = routes, .count = sizeof(routes) / sizeof(routes[0]), .needs_store = true,
	};

	return program_main(&health, argc, argv);
}
