#include "base/clock.h"
#include "push/push.h"

#define GOODBYES_MS	5000
#define GLANCE_MS	10

enum hl_err
push_start(struct push *p, uv_loop_t *loop, const struct conf *conf, int take_polls, int take_websockets)
{
	enum hl_err err;

	*p = (struct push){ .redis = NULL };
	uv_timer_init(loop, &p->ending);
	p->ending.data = p;
	err = redis_open(loop, conf, &p->redis);
	if (err == HL_OK)
		err = fcgi_client_new(loop, conf->events_socket, &p->events);
	if (err == HL_OK)
		err = hub_init(&p->hub, loop, conf, p->redis, p->events, &p->transport.deadlines);
	if (err == HL_OK)
		err = transport_start(&p->transport, loop, conf, take_polls, take_websockets, &socket_app,
		    &p->hub);
	return err;
}

static void
look_whether_idle(uv_timer_t *timer)
{
	struct push *p = timer->data;

	if (hub_is_idle(&p->hub) || clock_mono_ms() >= p->end_by_ms)
		uv_stop(timer->loop);
}

static void
transport_drained(void *arg)
{
	struct push *p = arg;

	p->end_by_ms = clock_mono_ms() + GOODBYES_MS;
	uv_timer_start(&p->ending, look_whether_idle, 0, GLANCE_MS);
}

void
push_drain(struct push *p)
{
	p->hub.relay.closing = true;
	transport_drain(&p->transport, transport_drained, p);
}

void
push_free(struct push *p)
{
	redis_close(p->redis);
	fcgi_client_free(p->events);
	hub_free(&p->hub);
	deadlines_free(&p->transport.deadlines);
}
