#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "push/transport.h"
#include "push/websocket.h"

#define DRAIN_MS	3000
#define SPREAD_MS	2000	/* over which WebSockets are closed, so that not all come back at once */
#define SPREAD_STEP_MS	100
#define HANDOVER_MS	700	/* in which polls are still taken: what clients sent before they heard that they are to come again */
#define TURN_STEP_MS	20
#define TURN_MAX_MS	5000
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

/* ---- whose polls they are ---- */

/*
 * Two processes may have one listening socket, when one follows the other, and each knows its own sessions only.  So only one takes
 * polls: it has a socket that is called after the listening one, in the abstract namespace, where a name ends with its process.
 */
static int
take_name(int listener)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n;

	if (fd < 0 || fstat(listener, &st) != 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "helpline-polls-%llu", (unsigned long long)st.st_ino);
	if (bind(fd, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
end_turn(struct transport *t)
{
	uv_timer_stop(&t->turn);
	if (t->turn_fd >= 0)
		close(t->turn_fd);
	t->turn_fd = -1;
}

static void
on_turn(uv_timer_t *timer)
{
	struct transport *t = timer->data;

	t->turn_fd = take_name(t->polls_listener);
	if (t->turn_fd < 0 && clock_mono_ms() < t->turn_by_ms)
		return;			/* others may squat on the name: not for ever */
	uv_timer_stop(timer);
	fcgi_hold(t->polls, false);
}

static void
begin_turn(struct transport *t)
{
	t->turn_by_ms = clock_mono_ms() + TURN_MAX_MS;
	t->turn_fd = take_name(t->polls_listener);
	if (t->turn_fd >= 0)
		return;
	fcgi_hold(t->polls, true);
	uv_timer_start(&t->turn, on_turn, TURN_STEP_MS, TURN_STEP_MS);
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
	uv_timer_init(loop, &t->turn);
	t->prepare.data = t->timer.data = t->limit.data = t->turn.data = t;
	t->polls_listener = take_polls;
	t->turn_fd = -1;
	err = sessions_init(&t->sessions, &t->rules, &io, app, app_arg, &t->deadlines);
	if (err == HL_OK)
		err = fcgi_serve(loop, take_polls, polling_handler, t, &t->polls);
	if (err == HL_OK)
		err = websockets_start(t, take_websockets, &t->websockets);
	if (err == HL_OK)
		uv_prepare_start(&t->prepare, on_prepare);
	if (err == HL_OK)
		begin_turn(t);
	return err;
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
	bool left = sessions_part_some(&t->sessions, t->portion), takes_polls = t->spread_ms < HANDOVER_MS && t->sessions.count > 0;

	t->spread_ms += SPREAD_STEP_MS;
	if (!takes_polls && !t->refuses_polls) {
		t->refuses_polls = true;
		fcgi_drain(t->polls, on_polls_drained, t);
		end_turn(t);
	}
	if (takes_polls || (left && t->spread_ms < SPREAD_MS))
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
