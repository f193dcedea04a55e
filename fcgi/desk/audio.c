/*
 * What customers say (contract: desk API, POST /api/conversations/:id/audio).
 *
 * nginx has written the body into a file of its own and tells its name (helpline-upload.conf); it serves the recordings,
 * too.  The words become the customer's message; the same words by `user_message` are the same message (lease_scripts.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/background.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/multipart.h"
#include "base/person.h"
#include "desk/conversations.h"
#include "engine/recorded.h"
#include "engine/turn.h"
#include "loop/task.h"
#include "services/sent.h"

#define FORM_SLACK	65536	/* bytes of a form beside its file */
#define SWEEP_MS	3600000	/* between two looks for recordings of conversations that are gone … */
#define SWEEP_AGE_S	86400	/* … which are so old at least */
#define SWEEP_MOST	256	/* folders in one look */

/* ---- the form ---- */

/* Done by a thread: everything that it needs is here, and what it came to. */
struct form {
	const char	*front, *path;	/* nginx's socket, and its file */
	const char	*content_type;
	size_t		 max;
	struct file_view body;
	struct part	 audio, transcript;	/* in the body; transcript.data NULL: there is none */
	enum hl_err	 err;
	const char	*problem;
};

static void
refuse(struct form *f, enum hl_err err, const char *sentence)
{
	f->err = err;
	f->problem = sentence;
}

static void
read_form(void *arg)
{
	struct form *f = arg;
	enum hl_err err;

	f->err = sent_open(f->front, f->path, f->max, &f->body);
	if (f->err)
		return;
	if (!multipart_is(f->content_type)) {
		refuse(f, HL_MEDIA_TYPE, "Send multipart/form-data with the recording in its field audio");
		return;
	}
	err = multipart_find(f->content_type, f->body.data, f->body.len, "audio", &f->audio);
	if (err == HL_NOT_FOUND)
		refuse(f, HL_BAD_REQUEST, "The form must have the recording in its field audio");
	if (err == HL_OK)
		err = multipart_find(f->content_type, f->body.data, f->body.len, "transcript", &f->transcript);
	if (err == HL_BAD_REQUEST)
		refuse(f, HL_BAD_REQUEST, "The form cannot be read, or its end is missing");
	if (err)
		f->transcript.data = NULL;
	else
		person_trim(&f->transcript.data, &f->transcript.len);
}

static enum hl_err
receive(struct call *call, struct form *f)
{
	int64_t max = 0;
	enum hl_err err;

	*f = (struct form){ .front = call->app->conf.front_socket, .path = fcgi_param(call->fcgi, "UPLOAD_FILE"),
	    .content_type = fcgi_param(call->fcgi, "CONTENT_TYPE") };
	if (f->path == NULL || *f->path == '\0')
		return call_fail(call, HL_BAD_REQUEST, "There is no recording in the request");
	(void)conf_size(call->app->conf.max_file_size, &max);
	f->max = (size_t)max + FORM_SLACK;
	err = task_work(read_form, f);
	if (err)
		return err;
	if (f->err == HL_TOO_LARGE)
		return call_fail(call, f->err, "The recording is larger than %s", call->app->conf.max_file_size);
	return f->problem ? call_fail(call, f->err, "%s", f->problem) : f->err;
}

/* ---- recordings of conversations that are gone ---- */

struct gone { char folders[SWEEP_MOST][UPLOAD_FOLDER_LEN + 1]; size_t count; struct app *app; };

static bool
note_folder(void *arg, const char *folder)
{
	struct gone *g = arg;

	if (g->count < SWEEP_MOST)
		snprintf(g->folders[g->count++], sizeof(g->folders[0]), "%s", folder);
	return true;
}

static void
list_folders(void *arg)
{
	struct gone *g = arg;

	uploads_sweep(g->app->conf.upload_path, SWEEP_AGE_S, note_folder, g);
}

static void
remove_folder(void *arg)
{
	struct gone *g = arg;

	uploads_remove(g->app->conf.upload_path, g->folders[g->count]);
}

/* What expired, or was deleted by a program that was killed in the middle of it. */
static void
sweep(void *arg)
{
	struct gone *g = arg;
	enum hl_err err = task_work(list_folders, g);

	while (err == HL_OK && g->count > 0 && !task_cancelled()) {
		char id[ID_LEN + 1] = "";
		struct place place;

		g->count--;
		memcpy(place.h, g->folders[g->count], sizeof(place.h));
		err = desk_id_at(&g->app->store, &place, id);
		if (err == HL_OK && *id == '\0')
			err = task_work(remove_folder, g);
	}
	free(g);
}

static void
maybe_sweep(struct app *app)
{
	static int64_t next_ms;
	struct gone *g = clock_mono_ms() >= next_ms ? calloc(1, sizeof(*g)) : NULL;

	if (g == NULL)
		return;
	next_ms = clock_mono_ms() + SWEEP_MS;
	g->app = app;
	if (background_start(app, sweep, g) != HL_OK)
		free(g);
}

struct removal { const char *path; const struct place *place; };

static void
remove_all(void *arg)
{
	const struct removal *r = arg;

	uploads_remove(r->path, r->place->h);
}

void
audio_remove(struct call *call, const char *conversation_id)
{
	struct place place = conversation_place(&call->app->store, conversation_id);
	struct removal r = { call->app->conf.upload_path, &place };

	if (task_work(remove_all, &r) != HL_OK)
		log_line(LOG_LEVEL_WARN, "recordings_left", "request_id", call->shown_id, NULL);
}

/* ---- POST /api/conversations/:id/audio ---- */

static enum hl_err
reply_recorded(struct call *call, const struct recorded *r, const struct turn *turn)
{
	struct buf body = BUF_INIT(256 * 1024);
	enum hl_err err;

	buf_puts(&body, "{\"success\":true,\"audioUrl\":");
	buf_json_str(&body, r->url);
	buf_puts(&body, ",\"transcript\":");
	buf_json(&body, r->words.data, r->words.len);
	buf_printf(&body, ",\"messageId\":\"%s\",\"seq\":%lld}", turn_message_id(turn), (long long)turn_seq(turn));
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

/* Stored is answered, whoever waits. */
static enum hl_err
say(struct call *call, const struct account *who, const struct place *place, struct recorded *r)
{
	struct incoming in = { .id = call->segment, .account = who->h, .client_id = call->request_id, .text = r->words.data,
		.text_len = r->words.len, .recorded = true, .audio_url = r->url };
	struct turn *turn;
	enum hl_err err;

	in.limits = (struct limits){ .address = call->address, .visitor = who->id, .session = in.id };
	fcgi_on_gone(call->fcgi, NULL, NULL);
	err = call_conversation_error(call, turn_accept(call->app->engine, &in, &turn, &call->retry_ms));
	if (err) {
		if (err != HL_STORE)	/* which may have stored it after all */
			recorded_drop(&call->app->conf, r);
		return err;
	}
	recorded_accepted(&call->app->store, &call->app->conf, r, place, turn);
	err = reply_recorded(call, r, turn);
	turn_leave(turn);
	return err;
}

static enum hl_err
take_recording(struct call *call, const struct account *who, const struct form *f, const struct desk_conversation *c)
{
	struct recorded_in in = { .place = c->place, .bill = bill_of(c->account, c->agent, false), .bytes = f->audio.data, .len = f->audio.len, .request_id = call->shown_id };
	struct recorded r;
	enum hl_err err;

	if (f->transcript.data && f->transcript.len) {
		in.transcript = f->transcript.data;
		in.transcript_len = f->transcript.len;
	}
	err = recorded_take(&call->app->conf, engine_ear(call->app->engine), &in, &r);
	if (err == HL_TOO_MANY)
		call->retry_ms = CLOCK_DAY_MS - clock_wall_ms() % CLOCK_DAY_MS;
	if (err && r.problem)
		err = call_fail(call, err, "%s", r.problem);
	if (err == HL_OK)
		err = say(call, who, &c->place, &r);
	recorded_free(&r);
	return err;
}

static enum hl_err
post_audio(struct call *call)
{
	struct desk_conversation c = { 0 };
	struct desk_access access = { 0 };
	struct form form = { 0 };
	struct account who;
	enum hl_err err = call_owner(call, &who);

	access.account = who.h;
	if (err == HL_OK)
		err = call_conversation_error(call, desk_read(&call->app->store, &access, call->segment, DESK_NO_MESSAGES, &c));
	if (err == HL_OK)
		err = receive(call, &form);
	if (err == HL_OK)
		err = take_recording(call, &who, &form, &c);
	file_close(&form.body);
	desk_clear(&c);
	maybe_sweep(call->app);
	return err;
}

static const struct route routes[] = {
	{ "POST", "/api/conversations/:id/audio", BODY_NONE, post_audio },
};
const struct desk_part desk_audio = { routes, sizeof(routes) / sizeof(routes[0]) };
