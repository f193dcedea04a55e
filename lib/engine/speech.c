#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/speech_parts.h"
#include "engine/spoken.h"
#include "loop/task.h"

#define KEYS_MAX	1024u
#define RUN_MAX		32768u		/* bytes that are told at once */

struct speech {
	struct speaker	*k;
	struct task	*task, *waiter;
	char		 file[SHELF_FILE_MAX], voice[SPEECH_VOICE_MAX + 1];
	char		 message_id[ID_LEN + 1];
	struct place	 place;			/* "": not known yet */
	struct buf	 order;			/* sealed */
	struct speech_wish wish;
	struct growing	 growing;
	struct spoken	 spoken;
	struct joint	 joint;
	struct buf	 said;			/* all that was fed */
	struct buf	 run;			/* bytes on their way to the file */
	char		 (*keys)[SHELF_FILE_MAX];
	size_t		 key_count;
	unsigned	 attempt, index;
	int64_t		 begun_ms;
	bool		 ended, restart, dropped, left;
	bool		 has_file, file_known, over;
	bool		 finished;		/* an order that comes now is done already */
	enum hl_err	 err;
};

/* ---- a message's file ---- */

struct file_work {
	struct speech	*s;
	enum hl_err	 err;
	int		 failure;
};

static void
begin_file(void *arg)
{
	struct file_work *w = arg;

	w->err = shelf_begin(w->s->k->shelf, w->s->file, &w->s->growing);
	w->failure = errno;
}

static void
write_file(void *arg)
{
	struct file_work *w = arg;

	w->err = shelf_write(w->s->k->shelf, &w->s->growing, w->s->run.data, w->s->run.len);
	w->failure = errno;
}

static void
empty_file(void *arg)
{
	struct file_work *w = arg;

	w->err = shelf_restart(w->s->k->shelf, &w->s->growing);
	w->failure = errno;
}

static void
order_file(void *arg)
{
	struct file_work *w = arg;

	shelf_order(w->s->k->shelf, w->s->file, w->s->order.data, w->s->order.len);
}

static void
forget_order(void *arg)
{
	struct file_work *w = arg;

	shelf_order_done(w->s->k->shelf, w->s->file);
}

static void
finish_file(void *arg)
{
	struct file_work *w = arg;
	const char (*keys)[SHELF_FILE_MAX] = (const char (*)[SHELF_FILE_MAX])w->s->keys;

	w->err = shelf_finish(w->s->k->shelf, &w->s->growing, keys, w->s->key_count);
	w->failure = errno;
}

static void
abandon_file(void *arg)
{
	struct file_work *w = arg;

	shelf_abandon(w->s->k->shelf, &w->s->growing);
}

static enum hl_err
on_pool(struct speech *s, void (*work)(void *))
{
	struct file_work w = { .s = s };
	enum hl_err err = task_work(work, &w);

	if (err == HL_OK && w.err == HL_INTERNAL)
		log_line(LOG_LEVEL_ERROR, "speech_file", "problem", strerror(w.failure), NULL);
	return err ? err : w.err;
}

/* ---- orders ---- */

#define ORDER_BYTES_MAX	1024u

/* It is bound to its file. */
static void
order_place(const char *file, char out[SHELF_FILE_MAX + 8])
{
	snprintf(out, SHELF_FILE_MAX + 8, "order/%s", file);
}

/* Where the text is, in case that this program does not come to the end of it. */
static void
write_order(struct speech *s)
{
	struct buf plain = BUF_INIT(ORDER_BYTES_MAX);
	char bound[SHELF_FILE_MAX + 8];

	if (*s->place.h == '\0')
		return;
	order_place(s->file, bound);
	buf_printf(&plain, "{\"at\":\"%s\",\"id\":\"%s\",\"voice\":", s->place.h, s->message_id);
	buf_json_str(&plain, s->voice);
	buf_putc(&plain, '}');
	buf_reset(&s->order);
	if (buf_err(&plain) == HL_OK && crypto_seal(s->k->crypto, bound, plain.data, plain.len, &s->order) == HL_OK)
		(void)!on_pool(s, order_file);
	buf_free(&plain);
}

void
speech_belongs(struct speech *s, const struct place *place)
{
	if (s == NULL || !s->has_file || s->finished)
		return;
	s->place = *place;
	write_order(s);
	if (s->finished)		/* meanwhile */
		(void)!on_pool(s, forget_order);
}

struct ordered { struct shelf *shelf; const char *file; struct buf *out; enum hl_err err; };

static void
read_order(void *arg)
{
	struct ordered *o = arg;

	o->err = shelf_ordered(o->shelf, o->file, o->out);
}

static bool
parse_order(const struct buf *plain, struct speech_order *ret)
{
	const char *at, *id, *voice;
	struct json *j;
	bool ok = false;

	if (json_parse(plain->data, plain->len, &j) != HL_OK)
		return false;
	at = json_get_string(j, "at");
	id = json_get_string(j, "id");
	voice = json_get_string(j, "voice");
	if (at && id && voice && strlen(at) == CRYPTO_NAME_LEN && id_valid(id) && strlen(voice) < sizeof(ret->voice)) {
		strcpy(ret->place.h, at);
		strcpy(ret->message_id, id);
		strcpy(ret->voice, voice);
		ok = true;
	}
	json_free(j);
	return ok;
}

enum hl_err
speech_ordered(struct speaker *k, const char *file, struct speech_order *ret)
{
	struct buf sealed = BUF_INIT(2 * ORDER_BYTES_MAX), plain = BUF_INIT(ORDER_BYTES_MAX);
	struct ordered o = { .shelf = speaker_shelf(k), .file = file, .out = &sealed };
	char bound[SHELF_FILE_MAX + 8];
	enum hl_err err = o.shelf ? task_work(read_order, &o) : HL_NOT_FOUND;

	if (err == HL_OK)
		err = o.err;
	order_place(file, bound);
	if (err == HL_OK && (crypto_unseal(k->crypto, bound, sealed.data, sealed.len, &plain) != HL_OK || !parse_order(&plain, ret)))
		err = HL_NOT_FOUND;	/* not ours */
	buf_free(&sealed);
	buf_free(&plain);
	return err;
}

/* ---- the task ---- */

static void
wake_waiter(struct speech *s)
{
	struct task *t = s->waiter;

	s->waiter = NULL;
	if (t)
		task_wake(t);
}

/* Sound of a piece, into the file and to whoever is told. */
static enum hl_err
on_sound(void *arg, const void *bytes, size_t len)
{
	struct speech *s = arg;
	enum hl_err err;

	if (s->dropped || s->restart)
		return HL_CANCELLED;
	buf_reset(&s->run);
	if (s->k->format == SOUND_WAV)
		err = joint_feed(&s->joint, bytes, len, &s->run);
	else {
		buf_add(&s->run, bytes, len);
		err = buf_err(&s->run);
	}
	if (err || s->run.len == 0)
		return err;
	for (size_t at = 0, n; s->wish.sound && at < s->run.len; at += n) {
		n = s->run.len - at < RUN_MAX ? s->run.len - at : RUN_MAX;
		s->wish.sound(s->wish.arg, s->attempt, s->index++, s->run.data + at, n, false);
	}
	return s->has_file ? on_pool(s, write_file) : HL_OK;
}

static enum hl_err
say_piece(struct speech *s, const struct buf *words)
{
	char (*more)[SHELF_FILE_MAX] = realloc(s->keys, (s->key_count + 1) * sizeof(*more));
	enum hl_err err;

	if (more == NULL)
		return HL_NO_MEMORY;
	if (s->key_count == 0 && s->has_file && *s->voice)
		write_order(s);		/* with the voice, which was not known before */
	s->keys = more;
	if (s->key_count == KEYS_MAX)
		return HL_TOO_LARGE;
	joint_free(&s->joint);
	joint_init(&s->joint, s->k->format, s->key_count > 0);
	err = speaker_say(s->k, &s->wish.bill, s->k->format, s->voice, 0, words, on_sound, s, s->keys[s->key_count]);
	if (err == HL_OK)
		s->key_count++;
	return err;
}

/* What was said is void. */
static enum hl_err
begin_anew(struct speech *s)
{
	task_uncancel();
	s->restart = false;
	spoken_free(&s->spoken);
	spoken_feed(&s->spoken, s->said.data, s->said.len);
	if (s->ended)
		spoken_end(&s->spoken);
	s->key_count = 0;
	if (s->index) {
		s->attempt++;
		s->index = 0;
	}
	return s->growing.size ? on_pool(s, empty_file) : HL_OK;
}

static enum hl_err
say_all(struct speech *s)
{
	struct buf words = BUF_INIT(SPEECH_WORDS_MAX);
	enum hl_err err = HL_OK;

	while (err == HL_OK && !s->dropped) {
		if (s->restart)
			err = begin_anew(s);
		else if (spoken_next(&s->spoken, &words))
			err = say_piece(s, &words);
		else if (s->ended)
			break;
		else
			err = task_wait();
		if (err && s->restart && !s->dropped)
			err = HL_OK;
	}
	buf_free(&words);
	return s->dropped ? HL_CANCELLED : err;
}

static void
log_speech(const struct speech *s)
{
	char ms[24], pieces[24], bytes[24];

	snprintf(ms, sizeof(ms), "%lld", (long long)(clock_mono_ms() - s->begun_ms));
	snprintf(pieces, sizeof(pieces), "%zu", s->key_count);
	snprintf(bytes, sizeof(bytes), "%lld", (long long)s->growing.size);
	log_line(s->err && s->err != HL_CANCELLED ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "speech",
	    "outcome", s->err ? err_code(s->err) : "said", "pieces", pieces, "bytes", bytes, "ms", ms, NULL);
}

static void
speech_free(struct speech *s)
{
	spoken_free(&s->spoken);
	joint_free(&s->joint);
	buf_free(&s->said);
	buf_free(&s->run);
	buf_free(&s->order);
	free(s->keys);
	free(s);
}

static void
speech_over(struct speech *s)
{
	struct speaker *k = s->k;

	s->task = NULL;
	if (s->wish.over)
		s->wish.over(s->wish.arg);
	s->over = s->file_known = true;
	if (s->left)
		speech_free(s);
	else
		wake_waiter(s);
	speaker_task_ends(k);
}

/* What nobody wants any more, and what has nothing to say, is not made again; all else is, when it is asked for. */
static void
leave_file(struct speech *s)
{
	if (s->err && s->has_file)
		(void)!on_pool(s, abandon_file);
	if (s->has_file && (s->dropped || s->err == HL_NOT_FOUND))
		(void)!on_pool(s, forget_order);
}

static enum hl_err
begin_to_say(struct speech *s)
{
	enum hl_err err = HL_OK;

	if (speaker_shelf(s->k) == NULL)
		err = HL_BUSY;
	else if (!s->wish.heard_only)
		err = on_pool(s, begin_file);
	s->has_file = err == HL_OK && !s->wish.heard_only;
	if (s->has_file)
		write_order(s);
	return err;
}

static void
run(void *arg)
{
	struct speech *s = arg;

	s->task = task_self();
	s->err = begin_to_say(s);
	s->file_known = true;
	wake_waiter(s);
	if (s->err == HL_OK)
		s->err = say_all(s);
	if (s->err == HL_OK && s->key_count == 0)
		s->err = HL_NOT_FOUND;			/* there was nothing to say */
	s->finished = s->err == HL_OK;
	if (s->finished && s->has_file)
		s->err = on_pool(s, finish_file);
	log_speech(s);
	if (s->err == HL_OK && s->wish.sound)
		s->wish.sound(s->wish.arg, s->attempt, s->index, "", 0, true);
	leave_file(s);
	speech_over(s);
}

/* ---- whoever has one ---- */

struct speech *
speech_begin(struct speaker *k, const struct speech_wish *wish)
{
	char url[SPEECH_URL_MAX];
	struct speech *s;

	if (!speaker_ready(k) || (s = calloc(1, sizeof(*s))) == NULL)
		return NULL;
	s->k = k;
	s->wish = *wish;
	snprintf(s->message_id, sizeof(s->message_id), "%s", wish->message_id);
	if (wish->place)
		s->place = *wish->place;
	s->wish.message_id = NULL;
	s->wish.place = NULL;
	speech_url(k, wish->message_id, url);
	memcpy(s->file, url + sizeof(SPEECH_URL_PLACE) - 1, strlen(url) + 2 - sizeof(SPEECH_URL_PLACE));
	s->growing.fd = -1;
	s->said = BUF_INIT(SPOKEN_TEXT_MAX);
	s->run = BUF_INIT(SPEECH_BYTES_MAX);
	s->order = BUF_INIT(2 * ORDER_BYTES_MAX);
	s->attempt = 1;
	s->begun_ms = clock_mono_ms();
	spoken_init(&s->spoken);
	joint_init(&s->joint, k->format, false);
	k->busy++;
	if (task_start(k->loop, run, s) != HL_OK) {
		k->busy--;
		speech_free(s);
		return NULL;
	}
	return s;
}

static void
feed(struct speech *s, const char *voice, const char *text, size_t len)
{
	if (s->said.len == 0)
		snprintf(s->voice, sizeof(s->voice), "%s", voice ? voice : "");
	buf_add(&s->said, text, len);
	if (!s->restart)
		spoken_feed(&s->spoken, text, len);
}

static void
go_on(struct speech *s)
{
	if (s->task)
		task_wake(s->task);
}

void
speech_feed(struct speech *s, const char *voice, const char *text, size_t len)
{
	feed(s, voice, text, len);
	go_on(s);
}

/* The task finds out by itself, unless it waits for the sound of what is void. */
static void
make_void(struct speech *s)
{
	buf_reset(&s->said);
	s->restart = true;
}

void
speech_restart(struct speech *s)
{
	if (s->said.len == 0)
		return;
	make_void(s);
	if (s->task)
		task_cancel(s->task);
}

void
speech_end(struct speech *s, const char *voice, const char *text, size_t len)
{
	size_t told = s->said.len;

	if (told > len || (told && memcmp(s->said.data, text, told) != 0)) {
		make_void(s);
		told = 0;
	}
	feed(s, voice, text + told, len - told);
	s->ended = true;
	if (!s->restart)
		spoken_end(&s->spoken);
	if (s->restart && s->task)
		task_cancel(s->task);
	else
		go_on(s);
}

bool
speech_has_file(struct speech *s)
{
	while (!s->file_known) {
		s->waiter = task_self();
		task_wait_always();
	}
	return s->has_file;
}

struct reading { struct shelf *shelf; const char *file; struct buf *out; enum hl_err err; };

static void
read_file(void *arg)
{
	struct reading *r = arg;

	r->err = shelf_read(r->shelf, r->file, SPEECH_INLINE_MAX, r->out);
}

enum hl_err
speech_whole(struct speech *s, int64_t ms, struct buf *out)
{
	struct reading r = { .shelf = s->k->shelf, .file = s->file, .out = out };
	enum hl_err err = HL_OK;

	s->waiter = task_self();
	if (!s->over)
		err = task_wait_flag(&s->over, ms);
	s->waiter = NULL;
	if (err || s->err)
		return err ? err : HL_UPSTREAM;
	err = task_work(read_file, &r);
	return err ? err : r.err == HL_NOT_FOUND ? HL_UPSTREAM : r.err;
}

void
speech_leave(struct speech *s)
{
	if (s == NULL)
		return;
	s->left = true;
	if (s->over)
		speech_free(s);
}

void
speech_drop(struct speech *s)
{
	if (s == NULL)
		return;
	s->dropped = true;
	s->left = true;
	if (s->over)
		speech_free(s);
	else if (s->task)
		task_cancel(s->task);
}
