/*
 * What is said aloud (contract: desk API, Files): nginx serves whole files; what it does not find is here, a sound that is
 * still being made, maybe by another program: its bytes go out as they come.
 *
 * The file's growth is told by the kernel; that its maker has died, by the lock that he held.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/reply.h"
#include "base/clock.h"
#include "desk/conversations.h"
#include "engine/speech.h"
#include "loop/task.h"

#define LOOK_MS		500	/* whether the maker is still alive, without a sign of him */
#define SETTLE_MS	10	/* after a sign that was no sound: its end, mostly */
#define FIRST_MS	60000	/* until the first byte */
#define RUN_MAX		32768u

struct listener {
	struct call	*call;
	struct shelf	*shelf;
	const char	*file;
	struct task	*task;
	uv_fs_event_t	 growth;
	bool		 grown, closed, whole, begun;
	int		 fd;
	off_t		 at;
};

static void
wake(struct listener *l)
{
	task_wake(l->task);
}

static void
on_growth(uv_fs_event_t *handle, const char *name, int events, int status)
{
	struct listener *l = handle->data;

	(void)name;
	(void)events;
	(void)status;
	l->grown = true;
	wake(l);
}

static void
on_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	l->closed = true;
	wake(l);
}

/* Without it the file is looked at now and then. */
static void
watch(struct listener *l)
{
	char path[4200];

	l->task = task_self();
	l->growth.data = l;
	snprintf(path, sizeof(path), "%s/making/%s", l->call->app->conf.audio_path, l->file);
	(void)uv_fs_event_init(task_loop(), &l->growth);
	(void)uv_fs_event_start(&l->growth, on_growth, path, 0);
}

static void
unwatch(struct listener *l)
{
	uv_close((uv_handle_t *)&l->growth, on_closed);
	while (!l->closed)
		task_wait_always();
}

/* What has been written is in memory: reading it takes no longer than asking somebody else to. */
static enum hl_err
send_some(struct listener *l, bool *ret_more)
{
	char *bytes = malloc(RUN_MAX);
	enum hl_err err = HL_OK;
	ssize_t n = bytes ? pread(l->fd, bytes, RUN_MAX, l->at) : -1;

	*ret_more = n > 0;
	if (n < 0)
		err = bytes ? HL_INTERNAL : HL_NO_MEMORY;
	if (n > 0 && !l->begun) {
		l->begun = true;
		err = reply_sound(l->call, strstr(l->file, ".wav") ? "audio/wav" : "audio/mpeg");
	}
	if (n > 0 && err == HL_OK && strcmp(l->call->method, "HEAD") != 0)
		err = fcgi_write(l->call->fcgi, bytes, (size_t)n);
	if (n > 0 && err == HL_OK)
		err = fcgi_flush(l->call->fcgi);
	l->at += n > 0 ? n : 0;
	free(bytes);
	return err;
}

/* Until it has grown, or somebody let go of it.  HL_OK: there may be more. */
static enum hl_err
await(struct listener *l, int64_t until, bool *ret_over)
{
	bool whole = false;
	enum hl_err err;

	*ret_over = l->whole;
	if (l->whole)
		return HL_OK;
	l->grown = false;
	if (shelf_is_over(l->shelf, l->file, &l->fd, &whole)) {
		l->whole = whole;
		if (!whole)
			return l->begun ? HL_UPSTREAM : call_fail(l->call, HL_UPSTREAM, "This could not be said aloud");
		return HL_OK;			/* what came between the last look and the end is still to be read */
	}
	if (clock_mono_ms() > until && !l->begun)
		return HL_TIMEOUT;
	err = task_wait_flag(&l->grown, LOOK_MS);
	return err == HL_TIMEOUT ? HL_OK : err;
}

static enum hl_err
listen_to(struct listener *l)
{
	int64_t until = clock_mono_ms() + FIRST_MS;
	bool more, over = false;
	enum hl_err err = HL_OK;

	while (err == HL_OK && !over) {
		bool woken = l->grown;

		err = send_some(l, &more);
		if (err || more)
			continue;
		if (l->begun && strcmp(l->call->method, "HEAD") == 0)
			break;
		if (woken && !l->whole)		/* it was moved to its place: its lock is given back in a moment */
			err = task_sleep(SETTLE_MS);
		if (err == HL_OK)
			err = await(l, until, &over);
	}
	return err;
}

struct opening { struct shelf *shelf; const char *file; int fd; bool whole; enum hl_err err; };

static void
open_sound(void *arg)
{
	struct opening *o = arg;

	o->err = shelf_listen(o->shelf, o->file, &o->fd, &o->whole);
}

static enum hl_err
get_sound(struct call *call)
{
	struct listener l = { .call = call, .shelf = speaker_shelf(engine_speaker(call->app->engine)) };
	char url[SEGMENT_MAX + 8];
	struct opening o;
	enum hl_err err;

	snprintf(url, sizeof(url), "/audio/%s", call->segment);
	l.file = speech_file(url);
	if (l.file == NULL || l.shelf == NULL)
		return call_fail(call, HL_NOT_FOUND, "There is no such sound");
	o = (struct opening){ .shelf = l.shelf, .file = l.file, .fd = -1 };
	err = task_work(open_sound, &o);
	if (err || o.err)
		return err ? err : call_fail(call, o.err, "There is no such sound");
	l.fd = o.fd;
	l.whole = o.whole;
	watch(&l);
	err = listen_to(&l);
	unwatch(&l);
	close(l.fd);
	return err;
}

/* ---- with a conversation ---- */

struct removal { struct shelf *shelf; char (*files)[SHELF_FILE_MAX]; size_t count; };

static void
remove_files(void *arg)
{
	struct removal *r = arg;

	for (size_t i = 0; i < r->count; i++)
		shelf_remove(r->shelf, r->files[i]);
}

static void
add_sound(struct removal *r, const struct entry *e)
{
	struct buf url = BUF_INIT(SPEECH_URL_MAX);
	const char *file = NULL;

	if (json_view_string(entry_member(e, "audioUrl"), &url) && url.len)
		file = speech_file(url.data);
	if (file)
		snprintf(r->files[r->count++], SHELF_FILE_MAX, "%s", file);
	buf_free(&url);
}

void
sounds_remove(struct call *call, const struct entries *messages)
{
	struct removal r = { .files = calloc(messages->count + 1, SHELF_FILE_MAX) };

	for (size_t i = 0; r.files && i < messages->count; i++)
		add_sound(&r, &messages->list[i]);
	if (r.count && (r.shelf = speaker_shelf(engine_speaker(call->app->engine))) != NULL)
		(void)!task_work(remove_files, &r);
	free(r.files);
}

static const struct route routes[] = {
	{ "GET", "/audio/:file", BODY_NONE, get_sound },
	{ "GET", "/public/audio/:file", BODY_NONE, get_sound },
};
const struct desk_part desk_sounds = { routes, sizeof(routes) / sizeof(routes[0]) };
