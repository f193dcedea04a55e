#include "base/clock.h"
#include "push/transport.h"
#include "push/websocket.h"

#define DRAIN_MS	3000
#define SPREAD_MS	2000	/* over which WebSockets are closed, so that not all come back at once */
#define SPREAD_STEP_MS	100
#define SPREAD_AT_ONCE	50u	/* that few are never spread */

static const struct session_io io = {
	.now_ms = clock_mono_ms, .answer = polling_answer, .send = websocket_send, .ready = websocket_ready,
	.end = websocket_end, .part = websocket_part,
};

static void
on_timer(uv_timer_t *timer)
{
	struct transport *t = timer->data;

	t->armed_ms = 0;
	deadlines_run(&t->deadlines, clock_mono_ms());
}

static void
arm(struct transport *t)
{
	int64_t next = deadlines_next(&t->deadlines), wait;

	if (next == t->armed_ms || next < 0)
		return;
	wait = next - clock_mono_ms();
	uv_update_time(t->loop);
	uv_timer_start(&t->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0);
	t->armed_ms = next;
}

static void
maybe_drained(struct transport *t)
{
	void (*drained)(void *) = t->drained;

	if (drained == NULL || !t->polls_drained || websockets_count(t->websockets) > 0)
		return;
	t->drained = NULL;
	drained(t->drained_arg);
}

/* Before the loop waits: everything that this turn has produced goes out. */
static void
on_prepare(uv_prepare_t *prepare)
{
	struct transport *t = prepare->data;

	while (!sessions_idle(&t->sessions) || !websockets_idle(t->websockets)) {
		sessions_flush(&t->sessions);
		websockets_flush(t->websockets);
	}
	arm(t);
	maybe_drained(t);
}

enum hl_err
transport_start(struct transport *t, uv_loop_t *loop, const struct conf *conf, int take_polls,
    int take_websockets, const struct session_app *app, void *app_arg)
{
	enum hl_err err;

	*t = (struct transport){ .loop = loop, .conf = conf, .deadlines = t->deadlines };
	t->rules = (struct session_rules){
		.ping_interval_ms = conf->ping_interval_ms, .ping_timeout_ms = conf->ping_timeout_ms,
		.join_timeout_ms = conf->connect_timeout_ms, .max_payload = (size_t)conf->socket_max_payload,
		.max_sessions = (size_t)conf->max_sockets, .instance = (int)conf->pushd_instance,
	};
	uv_prepare_init(loop, &t->prepare);
	uv_timer_init(loop, &t->timer);
	uv_timer_init(loop, &t->limit);
	t->prepare.data = t->timer.data = t->limit.data = t;
	err = sessions_init(&t->sessions, &t->rules, &io, app, app_arg, &t->deadlines);
	if (err == HL_OK)
		err = fcgi_serve(loop, take_polls, polling_handler, t, &t->polls);
	if (err == HL_OK)
		err = websockets_start(t, take_websockets, &t->websockets);
	if (err == HL_OK)
		uv_prepare_start(&t->prepare, on_prepare);
	return err;
}

void
transport_follow(struct transport *t)
{
	fcgi_hold(t->polls, TRANSPORT_HANDOVER_MS);
}

static void
on_polls_drained(void *arg)
{
	struct transport *t = arg;

	t->polls_drained = true;
}

static void
on_drain_timeout(uv_timer_t *timer)
{
	struct transport *t = timer->data;
	void (*drained)(void *) = t->drained;

	t->drained = NULL;
	if (drained)
		drained(t->drained_arg);
}

/* The next portion; in the end all that are left, whatever is being asked. */
static void
on_spread(uv_timer_t *timer)
{
	struct transport *t = timer->data;
	bool left = sessions_part_some(&t->sessions, t->portion);

	t->spread_ms += SPREAD_STEP_MS;
	if (t->spread_ms == TRANSPORT_HANDOVER_MS)
		fcgi_drain(t->polls, on_polls_drained, t);
	if (t->spread_ms <= TRANSPORT_HANDOVER_MS || (left && t->spread_ms < SPREAD_MS))
		return;
	sessions_part_all(&t->sessions);
	uv_timer_start(&t->limit, on_drain_timeout, DRAIN_MS, 0);
}

void
transport_drain(struct transport *t, void (*drained)(void *), void *arg)
{
	if (t->sessions.closing)
		return;
	t->drained = drained;
	t->drained_arg = arg;
	t->portion = t->sessions.count * SPREAD_STEP_MS / SPREAD_MS + SPREAD_AT_ONCE;
	websockets_drain(t->websockets);
	uv_timer_start(&t->limit, on_spread, SPREAD_STEP_MS, SPREAD_STEP_MS);
	on_spread(&t->limit);
}
