/*
 * health - is the installation well?  /health for people and old clients, /ready for machines.
 */
#include <stdlib.h>

#include "api/program.h"
#include "api/reply.h"
#include "base/clock.h"
#include "loop/task.h"

/*
 * Everybody who asks while a count is under way shares the next one: always fresh, and at any load one count at a time.
 */
struct member { struct member *next; struct task *task; int64_t count; enum hl_err err; bool done; };

static struct {
	struct member	*waiting;	/* for the next count */
	struct task	*leader;	/* who will make it, while another one is under way */
	bool		 counting, led;
} shared;

static void
lead_count(struct app *app, struct member *me)
{
	struct member *members, *next;

	shared.led = true;
	while (shared.counting) {
		shared.leader = task_self();
		task_wait_always();
	}
	shared.counting = true;
	shared.led = false;
	members = shared.waiting;
	shared.waiting = NULL;
	me->err = conversation_count_active(&app->store, &me->count);
	shared.counting = false;
	if (shared.leader) {
		struct task *leader = shared.leader;

		shared.leader = NULL;
		task_wake(leader);
	}
	for (; members; members = next) {
		next = members->next;
		members->count = me->count;
		members->err = me->err;
		members->done = true;
		task_wake(members->task);
	}
}

static enum hl_err
count_sessions(struct app *app, int64_t *ret)
{
	struct member me = { .task = task_self() };

	if (!shared.led)
		lead_count(app, &me);
	else {
		me.next = shared.waiting;
		shared.waiting = &me;
		while (!me.done)
			task_wait_always();
	}
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
	bool well = count_sessions(call->app, &sessions) == HL_OK;
	enum hl_err err;

	clock_iso(clock_wall_ms(), now);
	buf_printf(&body, "{\"status\":\"%s\",\"timestamp\":\"%s\",\"services\":{\"redis\":\"%s\",\"openai\":\"%s\","
	    "\"activeSessions\":%lld},\"version\":\"%s\",\"environment\":", well ? "healthy" : "unhealthy", now,
	    well ? "connected" : "disconnected", conf_has_model(conf) ? "configured" : "not configured",
	    (long long)sessions, PACKAGE_VERSION);
	buf_json_str(&body, conf->environment);
	if (!well)
		buf_puts(&body, ",\"error\":\"Redis cannot be reached\",\"message\":\"Redis cannot be reached\"");
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
		return call_fail(call, HL_STORE, "Redis cannot be reached");
	buf_puts(&body, "{\"ready\":true}");
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

static const struct route routes[] = {
	{ "GET", "/health", BODY_NONE, get_health },
	{ "GET", "/api/v1/health", BODY_NONE, get_health },
	{ "GET", "/ready", BODY_NONE, get_ready },
};

int
main(int argc, char **argv)
{
	static const struct program health = {
		.name = "health", .purpose = "Serves /health, /api/v1/health and /ready.",
		.routes = routes, .count = sizeof(routes) / sizeof(routes[0]), .needs_store = true,
	};

	return program_main(&health, argc, argv);
}
