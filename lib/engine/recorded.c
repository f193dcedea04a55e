#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "engine/recorded.h"
#include "loop/task.h"

#define AT_ONCE_MOST	64u	/* recordings that one program works on: each is in memory while it is sent on */

static unsigned at_once;	/* of this program: all its tasks are on one thread */

/* Done by a thread: everything that it needs is here, and what it came to. */
struct keeping {
	const struct conf *conf;
	const struct recorded_in *in;
	struct recorded	*to;
	struct sound	 sound;
	enum hl_err	 err;
	int		 failure;	/* errno, with HL_INTERNAL */
};

static void
refuse(struct keeping *k, enum hl_err err, const char *sentence)
{
	k->err = err;
	k->to->problem = sentence;
}

/* Sound that was cut off while it was sent is not half an order.  MPEG audio has no end that it could miss. */
static void
look(struct keeping *k)
{
	int64_t max = 0;

	(void)conf_size(k->conf->max_file_size, &max);
	k->sound = sound_read(k->in->bytes, k->in->len);
	if (k->in->len == 0)
		refuse(k, HL_BAD_REQUEST, "The recording is empty");
	else if ((int64_t)k->in->len > max)
		refuse(k, HL_TOO_LARGE, "The recording is larger than MAX_FILE_SIZE");
	else if (k->sound.container == CONTAINER_NONE)
		refuse(k, HL_MEDIA_TYPE, "This is no recording that can be heard: send webm, wav, mp3, ogg or m4a, whole");
	else if (k->sound.cut && k->sound.container != CONTAINER_MP3)
		refuse(k, HL_BAD_REQUEST, "The recording is cut off: its end is missing");
	else if (k->sound.duration_ms > k->conf->max_recording_s * 1000)
		refuse(k, HL_TOO_LARGE, "The recording is longer than MAX_RECORDING_SECONDS");
}

static void
look_and_keep(void *arg)
{
	struct keeping *k = arg;

	look(k);
	if (k->err)
		return;
	k->err = upload_keep(k->conf->upload_path, k->conf->max_uploads, k->in->place.h, container_extension(k->sound.container),
	    k->in->bytes, k->in->len, k->to->url);
	k->failure = errno;
	if (k->err == HL_TOO_LARGE)
		refuse(k, HL_TOO_LARGE, "There is no room for more recordings; please write instead");
}

static enum hl_err
keep(const struct conf *conf, const struct recorded_in *in, struct recorded *to, struct sound *ret)
{
	struct keeping k = { .conf = conf, .in = in, .to = to };
	enum hl_err err = task_work(look_and_keep, &k);

	if (err == HL_OK)
		err = k.err;
	if (err == HL_INTERNAL)
		log_line(LOG_LEVEL_ERROR, "recording_not_kept", "request_id", in->request_id, "problem", strerror(k.failure), NULL);
	*ret = k.sound;
	return err;
}

/* ---- its words ---- */

static enum hl_err
take_transcript(const struct recorded_in *in, struct recorded *to)
{
	if (!utf8_valid(in->transcript, in->transcript_len) || memchr(in->transcript, '\0', in->transcript_len)) {
		to->problem = "transcript must be text in UTF-8";
		return HL_BAD_REQUEST;
	}
	buf_add(&to->words, in->transcript, in->transcript_len);
	return buf_err(&to->words);
}

static const char *
sentence(enum hl_err err)
{
	switch (err) {
	case HL_UPSTREAM:
		return "What was said could not be written down: the speech server failed. Please write instead, or send it again";
	case HL_TIMEOUT:
		return "What was said could not be written down in time. Please write instead, or send it again";
	case HL_UNPROCESSABLE:
		return "The speech server cannot read this recording";
	case HL_BUSY:
		return "The speech server is failing at the moment. Please write instead, or try again in a minute";
	case HL_TOO_MANY:
		return BUDGET_DEAF;
	default:
		return NULL;
	}
}

static enum hl_err
hear(struct ear *ear, const struct recorded_in *in, const struct sound *sound, struct recorded *to)
{
	const struct recording r = { .container = sound->container, .bytes = in->bytes, .len = in->len,
		.duration_ms = sound->duration_ms, .bill = in->bill };
	struct buf problem = BUF_INIT(256);
	enum hl_err err = ear_hear(ear, &r, &to->words, &problem);

	if (err && err != HL_CANCELLED)
		log_line(LOG_LEVEL_WARN, "recording_not_heard", "request_id", in->request_id, "why", err_code(err),
		    "problem", problem.len ? problem.data : "", NULL);
	to->problem = sentence(err);
	buf_free(&problem);
	return err;
}

static enum hl_err
find_words(const struct conf *conf, struct ear *ear, const struct recorded_in *in, const struct sound *sound, struct recorded *to)
{
	enum hl_err err = in->transcript ? take_transcript(in, to) : hear(ear, in, sound, to);

	if (err)
		return err;
	if (str_blank(to->words.len ? to->words.data : "", to->words.len)) {
		to->problem = "There are no words in this recording";
		return HL_UNPROCESSABLE;
	}
	if ((int64_t)to->words.len > conf->max_message) {
		to->problem = "More is said in this recording than one message may have";
		return HL_TOO_LARGE;
	}
	return HL_OK;
}

static enum hl_err
take(const struct conf *conf, struct ear *ear, const struct recorded_in *in, struct recorded *to)
{
	struct sound sound;
	enum hl_err err = keep(conf, in, to, &sound);

	if (err == HL_OK)
		err = find_words(conf, ear, in, &sound, to);
	if (err)
		recorded_drop(conf, to);
	return err;
}

enum hl_err
recorded_take(const struct conf *conf, struct ear *ear, const struct recorded_in *in, struct recorded *ret)
{
	enum hl_err err;

	*ret = (struct recorded){ .words = BUF_INIT(HEARING_WORDS_MAX) };
	if (in->transcript == NULL && !conf_hears(conf)) {
		ret->problem = "Speech is not written down here, for no server is set that could (OPENAI_BASE_URL or SPEECH_BASE_URL, "
		    "OPENAI_STT_MODEL): send the transcript, too";
		return HL_NOT_SET_UP;
	}
	if (at_once >= AT_ONCE_MOST)
		return HL_BUSY;
	at_once++;
	err = take(conf, ear, in, ret);
	at_once--;
	return err;
}

/* ---- */

struct dropping { const char *path, *url; };

static void
drop(void *arg)
{
	const struct dropping *d = arg;

	upload_drop(d->path, d->url);
}

void
recorded_drop(const struct conf *conf, struct recorded *r)
{
	struct dropping d = { conf->upload_path, r->url };

	if (*r->url && task_work(drop, &d) == HL_OK)
		*r->url = '\0';
}

#define JOIN_TRIES	3	/* of two that change the message at the same moment */

void
recorded_accepted(struct store *s, const struct conf *conf, struct recorded *r, const struct place *place, const struct turn *turn)
{
	struct buf url = BUF_INIT(UPLOAD_URL_MAX);
	enum hl_err err = HL_CONFLICT;

	if (!turn_repeated(turn))
		return;
	for (int i = 0; i < JOIN_TRIES && err == HL_CONFLICT; i++)
		err = conversation_recorded(s, place, turn_message_id(turn), turn_seq(turn), r->url, &url);
	if (err)
		log_line(LOG_LEVEL_WARN, "recording_not_joined", "problem", err_code(err), NULL);
	else if (url.len && strcmp(url.data, r->url) != 0) {
		recorded_drop(conf, r);
		snprintf(r->url, sizeof(r->url), "%s", url.data);
	}
	buf_free(&url);
}

void
recorded_free(struct recorded *r)
{
	buf_free(&r->words);
}
