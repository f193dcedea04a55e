/*
 * speech.h - answers said aloud: POST {OPENAI_BASE_URL}/audio/speech, sentence after sentence, while the model still writes.
 *
 * A speech is a task of its own: text never waits for it, whatever the server does.  What has been said in the same voice
 * before is taken from the cache (shelf.h), and what is being made at this moment is not asked for twice.  A speech that
 * fails, or whose program is killed, leaves no file but an order: by it the sound can be made again from the stored text
 * (aloud_owed()).  A server that has no speech (404, 405, 501) is left alone for ten minutes.
 */
#ifndef HL_SPEECH_H
#define HL_SPEECH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/joint.h"
#include "engine/budget.h"
#include "records/conversation.h"
#include "services/crypto.h"
#include "services/http.h"
#include "services/shelf.h"

#define SPEECH_VOICE_MAX	64
#define SPEECH_URL_MAX		48	/* "/audio/NAME.mp3" with its NUL */
#define SPEECH_WAIT_MS		15000	/* that an answer whose sound goes within the event waits for it */
#define SPEECH_BYTES_MAX	(32u << 20)	/* of one message's sound */
#define SPEECH_INLINE_MAX	(3u << 20)	/* of one that goes within an event */

struct speaker;		/* of a program */
struct speech;		/* one message's sound, while it is made */

/* All are borrowed.  idle(arg) is called when the last speech has ended. */
enum hl_err speaker_new(uv_loop_t *, struct store *, struct http *, void (*idle)(void *), void *arg,
	    struct speaker **ret) HL_MUST_CHECK;
void	 speaker_free(struct speaker *);		/* with no speech under way, or NULL */
bool	 speaker_ready(const struct speaker *);		/* that, and neither is the quota used up nor has the server refused */
int64_t	 speaker_pause_ms(const struct speaker *);	/* for so long the server is left alone; 0: it is not */
size_t	 speaker_busy(const struct speaker *);		/* tasks under way */
struct shelf *speaker_shelf(struct speaker *);	/* suspends the first time; NULL: AUDIO_PATH cannot be used */
void	 speaker_tend(struct speaker *);		/* begins shelf_tend() in a task of its own, if it is time */
const char *speaker_type(const struct speaker *);	/* of messages' sounds: "audio/mpeg" */

/* The address of a message's sound: a keyed name, to be guessed by nobody who only knows the id. */
void	 speech_url(const struct speaker *, const char *message_id, char out[SPEECH_URL_MAX]);
/* The file behind an address that speech_url() gave; NULL: it is none. */
const char *speech_file(const char *url);

/*
 * One piece of words (spoken.h), for whoever says them himself.  Suspends; sound gets the bytes in order as they are there,
 * a sound of its own: joint.h puts several behind each other.  What it returns ends it and is passed on.  HL_UPSTREAM: the
 * server failed, or sent something else; HL_BUSY: speaker_ready() is false; HL_TOO_MANY: a limit of a day's spend is reached;
 * HL_TIMEOUT; HL_CANCELLED.  patience_ms: the longest silence of the server's, who is not asked again after it; 0: the usual one,
 * for files that nobody waits for.  key_file, if it is not NULL, gets the name in the cache.
 */
enum hl_err speaker_say(struct speaker *, const struct bill *, enum sound_format, const char *voice, int64_t patience_ms,
	    const struct buf *words,
	    enum hl_err (*sound)(void *arg, const void *, size_t), void *arg, char key_file[SHELF_FILE_MAX]) HL_MUST_CHECK;

/*
 * How the sound of a message is wanted: in a file, and told to `sound`, unless that is NULL, run of bytes by run of bytes as
 * they are there, in order, from index 0 on; with last and no bytes when that was all.  attempt is one more, and index 0
 * again, when what was told before is void.  over is called once, at the very end, however that is.  None may suspend.
 */
struct speech_wish {
	const char	*message_id;
	const struct place *place;	/* of its conversation; NULL: not known yet, speech_belongs() will say it */
	struct bill	 bill;
	bool		 heard_only;	/* in no file */
	void		(*sound)(void *arg, unsigned attempt, unsigned index, const void *, size_t, bool last);
	void		(*over)(void *arg);
	void		*arg;
};

/* NULL: there will be no sound, and over is not called.  Begins a task; whoever has it ends with speech_leave() or speech_drop(). */
struct speech *speech_begin(struct speaker *, const struct speech_wish *);

/* Suspends.  Whose message it is, as soon as that is stored: from then on the sound is owed. */
void	 speech_belongs(struct speech *, const struct place *);

/* What a sound that is not whole is of.  Suspends.  HL_NOT_FOUND: nobody has ordered it, or it came to its end. */
struct speech_order {
	struct place	 place;
	char		 message_id[ID_LEN + 1], voice[SPEECH_VOICE_MAX + 1];
};
enum hl_err speech_ordered(struct speaker *, const char *file, struct speech_order *ret) HL_MUST_CHECK;

/* More of the text, Markdown, in that voice (NULL or "": OPENAI_TTS_VOICE); the first one counts. */
void	 speech_feed(struct speech *, const char *voice, const char *text, size_t len);
/* The whole text: if it does not begin with what was fed, everything begins anew. */
void	 speech_end(struct speech *, const char *voice, const char *text, size_t len);
void	 speech_restart(struct speech *);	/* what was fed is void */

/* Suspends until the file is there, empty or not.  False: there will be none. */
bool	 speech_has_file(struct speech *);

/* After speech_end(): suspends until the sound is whole, ms at most, and appends it.  HL_TIMEOUT; HL_UPSTREAM; HL_TOO_LARGE. */
enum hl_err speech_whole(struct speech *, int64_t ms, struct buf *out) HL_MUST_CHECK;

void	 speech_leave(struct speech *);		/* it goes on, the sound callback too; or NULL */
void	 speech_drop(struct speech *);		/* it ends at once, and leaves nothing, not even an order; or NULL */

#endif
