/*
 * What is said aloud (contract: desk API, Files): nginx serves whole files; what it does not find is here, a sound that is
 * still being made, maybe by another program: its bytes go out as they come, without ranges, which a server may ignore
 * (RFC 9110, section 14.2; Accept-Ranges: none says so).
 *
 * The file's growth is told by the kernel; that its maker has died, by the lock that he held.  Who has heard a part of it then
 * is cut off, and whoever asks next has it made again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/reply.h"
#include "base/clock.h"
#include "desk/conversations.h"
#include "engine/aloud.h"
#include "loop/task.h"

#define LOOK_MS		500	/* whether the maker is still alive, without a sign of him */
#define SETTLE_MS	10	/* after a sign that was no sound: its end, mostly */
#define FIRST_MS	60000	/* until the first byte */
#define RUN_MAX		32768u
#define TRIES_MAX	3	/* of finding what is made at this moment */

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

/* Until it has grown, or somebody let go of it.  HL_OK: there may be more.  HL_UPSTREAM: there will not be, and it is not whole. */
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
		return whole ? HL_OK : HL_UPSTREAM;	/* what came between the last look and the end is still to be read */
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
find_sound(struct listener *l)
{
	struct opening o = { .shelf = l->shelf, .file = l->file, .fd = -1 };
	enum hl_err err = task_work(open_sound, &o);

	l->fd = o.fd;
	l->whole = o.whole;
	return err ? err : o.err;
}

/* Where there is none any more, or not yet, and one is owed, it is made: by this program, or another one that is faster. */
static enum hl_err
find_or_make(struct listener *l)
{
	struct app *app = l->call->app;
	enum hl_err err = find_sound(l);

	for (int i = 0; i < TRIES_MAX && err == HL_NOT_FOUND; i++) {
		err = aloud_owed(engine_speaker(app->engine), &app->store, l->file);
		if (err == HL_OK)
			err = find_sound(l);
		else
			break;
	}
	return err;
}

static enum hl_err
hear_one(struct call *call, const char *file, struct shelf *shelf)
{
	struct listener l = { .call = call, .shelf = shelf, .file = file };
	enum hl_err err = find_or_make(&l);

	if (err)
		return err;
	watch(&l);
	err = listen_to(&l);
	unwatch(&l);
	close(l.fd);
	if (err && l.begun)
		fcgi_break_off(call->fcgi);	/* half of it is not to be taken for the whole */
	return err;
}

static enum hl_err
get_sound(struct call *call)
{
	struct speaker *speaker = engine_speaker(call->app->engine);
	struct shelf *shelf = speaker_shelf(speaker);
	char url[SEGMENT_MAX + 8];
	const char *file;
	enum hl_err err;

	snprintf(url, sizeof(url), "/audio/%s", call->segment);
	file = speech_file(url);
	err = file && shelf ? hear_one(call, file, shelf) : HL_NOT_FOUND;
	switch (err) {
	case HL_NOT_FOUND:
		return call_fail(call, err, "There is no such sound");
	case HL_UPSTREAM:
	case HL_TIMEOUT:
		return call_fail(call, err, "This could not be said aloud; it is made again when it is asked for again");
	case HL_BUSY:
		call->retry_ms = speaker_pause_ms(speaker);
		return call_fail(call, err, "Nothing can be said aloud at the moment; ask again later");
	default:
		return err;
	}
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
