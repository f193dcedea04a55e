/*
 * What happens in a room of LiveKit's: it is recorded, a voice worker is sent into it (contract: desk API, LiveKit).
 */
#include <string.h>

#include "api/reply.h"
#include "api/request.h"
#include "base/clock.h"
#include "base/log.h"
#include "desk/livekit.h"
#include "loop/task.h"
#include "records/calls.h"
#include "records/agent.h"

#define CALL_BODY_MAX	16384
#define RECORDINGS_MAX	16	/* of a room at once */
#define EGRESS_ID_MAX	1024u
#define ARRIVAL_MS	5000	/* that an answer waits for a worker to take the room */
#define LOOK_MS		200
#define TRIES		2	/* of a dispatch that LiveKit does not know of afterwards */

/* ---- recordings ---- */

static bool
is_running(struct json_view egress)
{
	struct json_view status = livekit_get(egress, "status");

	return status.at == NULL || json_view_is(status, "EGRESS_STARTING") || json_view_is(status, "EGRESS_ACTIVE");
}

static enum hl_err
list_recordings(struct call *call, const struct visit *v, struct livekit_answer *a)
{
	const struct livekit_grant record = { .record = true };
	struct buf ask = BUF_INIT(CALL_BODY_MAX);
	enum hl_err err;

	buf_puts(&ask, "{\"roomName\":");
	buf_json_str(&ask, v->room);
	buf_puts(&ask, ",\"active\":true}");
	err = visit_call(call, v, "Egress/ListEgress", &record, &ask, "recording", a);
	buf_free(&ask);
	return err;
}

/* The next one of this room that is under way. */
static bool
next_recording(const struct visit *v, const struct livekit_answer *a, struct json_view *egress)
{
	while (json_view_next(livekit_get(a->json, "items"), egress))
		if (is_running(*egress) && json_view_is(livekit_get(*egress, "room_name"), v->room))
			return true;
	return false;
}

/* One without a name, or with one that is longer than any, is none: that is not the caller's fault. */
static enum hl_err
unlikely(struct call *call)
{
	return call_fail(call, HL_UPSTREAM, "What LiveKit says of this recording cannot be true");
}

static bool
has_name(struct json_view egress, struct buf *id)
{
	return json_view_string(livekit_get(egress, "egress_id"), id) && buf_err(id) == HL_OK && id->len > 0;
}

static enum hl_err
reply_recording(struct call *call, int status, struct json_view egress)
{
	int64_t started = livekit_number(egress, "started_at");		/* nanoseconds */
	struct buf body = BUF_INIT(CALL_BODY_MAX), id = BUF_INIT(EGRESS_ID_MAX);
	bool named = has_name(egress, &id);
	enum hl_err err;

	buf_free(&id);
	if (!named)
		return unlikely(call);
	buf_puts(&body, "{\"roomName\":");
	buf_json_str(&body, call->segment);
	show_text(&body, "egressId", egress, "egress_id");
	show_text(&body, "status", egress, "status");
	show_time(&body, "startedAt", started / 1000000);
	buf_putc(&body, '}');
	err = buf_err(&body) == HL_TOO_LARGE ? unlikely(call) : reply_json(call, status, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
read_switch(struct call *call, const char *name, bool otherwise, bool *ret)
{
	const struct json *v = json_get(call->body, name);

	*ret = otherwise;
	if (json_kind(v) == JSON_BOOL)
		*ret = json_true(v);
	else if (json_kind(v) != JSON_NONE && json_kind(v) != JSON_NULL)
		return call_fail(call, HL_BAD_REQUEST, "%s must be true or false", name);
	return HL_OK;
}

/* LiveKit fills in the room and the time; where to, beyond that, its recorder is set up for. */
static void
write_output(struct buf *ask, bool audio)
{
	static const char *const members[] = { "\"file\":", ",\"fileOutputs\":[" };

	for (size_t i = 0; i < 2; i++)
		buf_printf(ask, "%s{\"fileType\":\"%s\",\"filepath\":\"recordings/{room_name}-{time}.%s\"}", members[i],
		    audio ? "OGG" : "MP4", audio ? "ogg" : "mp4");
	buf_puts(ask, "]");
}

static enum hl_err
start_recording(struct call *call, const struct visit *v, bool audio)
{
	const struct livekit_grant record = { .record = true };
	struct buf ask = BUF_INIT(CALL_BODY_MAX);
	struct livekit_answer a;
	enum hl_err err;

	buf_puts(&ask, "{\"roomName\":");
	buf_json_str(&ask, v->room);
	buf_puts(&ask, audio ? ",\"audioOnly\":true," : ",\"layout\":\"speaker\",");
	write_output(&ask, audio);
	buf_putc(&ask, '}');
	err = visit_call(call, v, "Egress/StartRoomCompositeEgress", &record, &ask, "room", &a);
	if (err == HL_OK)
		err = reply_recording(call, 201, a.json);
	livekit_answer_free(&a);
	buf_free(&ask);
	return err;
}

/* A room that is being recorded is not recorded twice. */
static enum hl_err
post_recording(struct call *call)
{
	struct json_view egress = { 0 };
	struct livekit_answer a = { 0 };
	char mine[ID_LEN + 1];
	bool audio = true;
	struct visit v;
	enum hl_err err = visit_path(call, &v);

	if (err == HL_OK)
		err = read_switch(call, "audioOnly", true, &audio);
	if (err == HL_OK)
		err = visit_room_exists(call, &v);
	if (err == HL_OK)
		err = calls_record_begin(&call->app->store, v.room, mine);
	if (err == HL_CONFLICT)
		return call_fail(call, err, "A recording of this room is being started at this moment");
	if (err)
		return err;
	err = list_recordings(call, &v, &a);
	if (err == HL_OK)
		err = next_recording(&v, &a, &egress) ? reply_recording(call, 200, egress) : start_recording(call, &v, audio);
	calls_record_begun(&call->app->store, v.room, mine);
	livekit_answer_free(&a);
	return err;
}

static enum hl_err
stop_recording(struct call *call, const struct visit *v, struct json_view egress, struct buf *out)
{
	const struct livekit_grant record = { .record = true };
	struct buf ask = BUF_INIT(CALL_BODY_MAX), id = BUF_INIT(EGRESS_ID_MAX);
	struct livekit_answer a = { 0 };
	enum hl_err err;

	if (has_name(egress, &id)) {
		buf_puts(&ask, "{\"egressId\":");
		buf_json_str(&ask, id.data);
		buf_putc(&ask, '}');
		err = visit_call(call, v, "Egress/StopEgress", &record, &ask, "recording", &a);
		if (out->data[out->len - 1] != '[')
			buf_putc(out, ',');
		buf_json_str(out, id.data);
	} else
		err = unlikely(call);
	livekit_answer_free(&a);
	buf_free(&id);
	buf_free(&ask);
	return err;
}

static enum hl_err
delete_recording(struct call *call)
{
	struct buf body = BUF_INIT(CALL_BODY_MAX);
	struct json_view egress = { 0 };
	struct livekit_answer a = { 0 };
	struct visit v;
	size_t n = 0;
	enum hl_err err = visit_path(call, &v);

	if (err == HL_OK)
		err = list_recordings(call, &v, &a);
	buf_puts(&body, "{\"message\":\"The recording has been stopped\",\"egressIds\":[");
	for (; err == HL_OK && n < RECORDINGS_MAX && next_recording(&v, &a, &egress); n++)
		err = stop_recording(call, &v, egress, &body);
	buf_puts(&body, "]}");
	if (err == HL_OK && n == 0)
		err = call_fail(call, HL_NOT_FOUND, "This room is not being recorded");
	if (err == HL_OK)
		err = buf_err(&body) == HL_TOO_LARGE ? unlikely(call) : reply_json(call, 200, &body);
	livekit_answer_free(&a);
	buf_free(&body);
	return err;
}

/* ---- a voice worker ---- */

enum arrival { LOST, WAITING, ARRIVED, FAILED };

/* What the worker is told: who speaks, and in which conversation. */
static void
write_dispatch(struct call *call, const struct visit *v, const struct agent *agent, const char *conversation, struct buf *ask)
{
	struct buf told = BUF_INIT(CALL_BODY_MAX);

	buf_puts(&told, "{\"agentId\":");
	buf_json_str(&told, agent->id);
	buf_puts(&told, ",\"agent\":");
	buf_json_str(&told, agent->name);
	buf_puts(&told, ",\"company\":");
	buf_json_str(&told, agent->company);
	buf_puts(&told, ",\"conversationId\":");
	buf_json_str(&told, *conversation ? conversation : NULL);
	buf_puts(&told, ",\"roomName\":");
	buf_json_str(&told, call->segment);
	buf_putc(&told, '}');
	buf_puts(ask, "{\"agentName\":");
	buf_json_str(ask, call->app->conf.livekit_worker);
	buf_puts(ask, ",\"room\":");
	buf_json_str(ask, v->room);
	buf_puts(ask, ",\"metadata\":");
	buf_json_str(ask, told.data);
	buf_putc(ask, '}');
	buf_free(&told);
}

/* By its jobs: one is there when a worker has been asked, and runs when it has said yes. */
static enum arrival
arrival_of(struct json_view dispatch)
{
	struct json_view jobs = livekit_get(livekit_get(dispatch, "state"), "jobs"), job = { 0 }, status;
	enum arrival is = WAITING;

	while (json_view_next(jobs, &job)) {
		status = livekit_get(livekit_get(job, "state"), "status");
		if (json_view_is(status, "JS_RUNNING") || json_view_is(status, "JS_SUCCESS"))
			return ARRIVED;
		if (json_view_is(status, "JS_FAILED"))
			is = FAILED;
	}
	return is;
}

static enum hl_err
look(struct call *call, const struct visit *v, const char *id, enum arrival *ret)
{
	const struct livekit_grant admin = { .room = v->room, .admin = true };
	struct buf ask = BUF_INIT(CALL_BODY_MAX);
	struct json_view dispatch = { 0 };
	struct livekit_answer a;
	enum hl_err err;

	buf_puts(&ask, "{\"room\":");
	buf_json_str(&ask, v->room);
	buf_puts(&ask, ",\"dispatchId\":");
	buf_json_str(&ask, id);
	buf_putc(&ask, '}');
	*ret = LOST;
	err = visit_call(call, v, "AgentDispatchService/ListDispatch", &admin, &ask, "room", &a);
	while (err == HL_OK && json_view_next(livekit_get(a.json, "agent_dispatches"), &dispatch))
		if (json_view_is(livekit_get(dispatch, "id"), id))
			*ret = arrival_of(dispatch);
	livekit_answer_free(&a);
	buf_free(&ask);
	return err;
}

/* The dispatch's id. */
static enum hl_err
send_worker(struct call *call, const struct visit *v, const struct buf *ask, struct buf *id)
{
	const struct livekit_grant admin = { .room = v->room, .admin = true };
	struct livekit_answer a;
	enum hl_err err;

	buf_reset(id);
	err = visit_call(call, v, "AgentDispatchService/CreateDispatch", &admin, ask, "room", &a);
	if (err == HL_OK && (!json_view_string(livekit_get(a.json, "id"), id) || id->len == 0))
		err = call_fail(call, HL_UPSTREAM, "LiveKit did not say which dispatch it made");
	livekit_answer_free(&a);
	return err;
}

/* Until LiveKit has it, a worker has taken it, or it has been long enough. */
static enum hl_err
see_arrival(struct call *call, const struct visit *v, const struct buf *ask, struct buf *id, enum arrival *ret)
{
	int64_t until = clock_mono_ms() + ARRIVAL_MS;
	unsigned tries = 1;
	enum hl_err err;

	for (;;) {
		err = look(call, v, id->data, ret);
		if (err == HL_OK && *ret == LOST && tries++ < TRIES)
			err = send_worker(call, v, ask, id);
		else if (err || *ret != WAITING || clock_mono_ms() > until)
			return err;
		if (err == HL_OK)
			err = task_sleep(LOOK_MS);
		if (err)
			return err;
	}
}

static enum hl_err
reply_dispatch(struct call *call, const struct buf *id, const char *agent, const char *conversation, bool arrived)
{
	struct buf body = BUF_INIT(CALL_BODY_MAX);
	enum hl_err err;

	buf_puts(&body, "{\"dispatchId\":");
	buf_json_str(&body, id->data);
	buf_puts(&body, ",\"roomName\":");
	buf_json_str(&body, call->segment);
	buf_puts(&body, ",\"agentId\":");
	buf_json_str(&body, agent);
	buf_puts(&body, ",\"conversationId\":");
	buf_json_str(&body, *conversation ? conversation : NULL);
	buf_printf(&body, ",\"arrived\":%s}", arrived ? "true" : "false");
	err = reply_json(call, arrived ? 201 : 202, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
dispatch(struct call *call, const struct visit *v, const struct agent *agent, const char *conversation)
{
	struct buf ask = BUF_INIT(2 * CALL_BODY_MAX), id = BUF_INIT(EGRESS_ID_MAX);
	enum arrival is = LOST;
	enum hl_err err;

	write_dispatch(call, v, agent, conversation, &ask);
	err = send_worker(call, v, &ask, &id);
	if (err == HL_OK)
		err = see_arrival(call, v, &ask, &id, &is);
	if (err == HL_OK && is == FAILED)
		err = call_fail(call, HL_UPSTREAM, "The voice worker could not take the call");
	if (err == HL_OK && is == LOST)
		err = call_fail(call, HL_UPSTREAM, "LiveKit does not know of the dispatch that it made");
	if (err == HL_OK)
		err = reply_dispatch(call, &id, agent->id, conversation, is == ARRIVED);
	buf_free(&ask);
	buf_free(&id);
	return err;
}

static enum hl_err
post_dispatch(struct call *call)
{
	const char *agent_id = NULL, *wanted = NULL;
	const struct text_field fields[] = {
		{ "agentId", true, SEGMENT_MAX, HL_BAD_REQUEST, &agent_id, NULL },
		{ "conversationId", false, SEGMENT_MAX, HL_BAD_REQUEST, &wanted, NULL },
	};
	char conversation[ID_LEN + 1] = "";
	struct agent agent = { 0 };
	struct visit v;
	enum hl_err err = visit_path(call, &v);

	if (err == HL_OK)
		err = request_fields(call, call->body, fields, 2, "agentId is required");
	if (err == HL_OK)
		err = agent_read(&call->app->store, v.who.h, agent_id, &agent);
	if (err == HL_NOT_FOUND && call->problem.len == 0)
		err = call_fail(call, err, "There is no such agent");
	if (err == HL_OK && !agent_takes_calls(&agent, true))
		err = call_fail(call, HL_CONFLICT, "This agent takes no calls: it is inactive");
	if (err == HL_OK)	/* LiveKit sends nobody into a room that is not there */
		err = visit_make_room(call, &v, wanted, conversation);
	if (err == HL_OK)
		err = dispatch(call, &v, &agent, conversation);
	agent_clear(&agent);
	return err;
}

static const struct route routes[] = {
	{ "POST", "/api/livekit/room/:id/recording", BODY_OPTIONAL, post_recording },
	{ "DELETE", "/api/livekit/room/:id/recording", BODY_NONE, delete_recording },
	{ "POST", "/api/livekit/room/:id/dispatch", BODY_JSON, post_dispatch },
};
const struct desk_part desk_livekit_calls = { routes, sizeof(routes) / sizeof(routes[0]) };
