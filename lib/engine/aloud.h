/*
 * aloud.h - which way the sound of a desk conversation's messages goes to its sockets.
 *
 *   url      audioUrl, out with the text: it can be listened to while it grows
 *   base64   audioData and audioType within the event, which waits for them; if that takes too long, audioUrl
 *   chunks   audioUrl, and for each run of bytes, in order, ["ai_audio", {"id", "attempt", "index", "type", "last", "audio"}]
 *            with id the message's and audio binary; the last one is empty, and has "failed":true if there is no more
 *   none     no sound
 *
 * A client says it in the member "audio" of its event; SPEECH_DELIVERY is for those that do not.
 */
#ifndef HL_ALOUD_H
#define HL_ALOUD_H

#include "base/json_view.h"
#include "engine/speech.h"
#include "records/conversation.h"

enum aloud { ALOUD_URL, ALOUD_DATA, ALOUD_CHUNKS, ALOUD_NOT };

/* The word for it; NULL or "": by SPEECH_DELIVERY.  False: it is none of the four. */
bool	 aloud_parse(const struct conf *, const char *word, enum aloud *ret);
/* Of a stored message of the customer's; NULL: by SPEECH_DELIVERY. */
enum aloud aloud_of(const struct conf *, const struct entry *);

/* As speech_begin(); the sockets of the room get what is theirs.  NULL for ALOUD_NOT. */
struct speech *aloud_begin(struct speaker *, struct store *, const struct place *, int64_t epoch, const char *message_id,
	    enum aloud, const struct bill *);
/* Only the chunks, of a message whose file is being made already, or is whole. */
struct speech *aloud_again(struct speaker *, struct store *, const struct place *, const char *message_id, const struct bill *);

/*
 * A welcome, before it is stored: begins its speech and sets where it can be heard, or leaves url "".  Suspends.  The caller
 * says speech_belongs() when it is stored and ends it with speech_leave(), or speech_drop() if it is not.
 */
struct welcome_sound { struct speech *speech; char id[ID_LEN + 1], url[SPEECH_URL_MAX]; };
void	 aloud_welcome(struct speaker *, struct store *, const struct bill *, const char *voice, const struct buf *text,
	    struct welcome_sound *ret);

/*
 * A sound that is not whole, and that nobody makes: it is made again from the stored words.  Suspends.  HL_OK: it is under way,
 * look again; HL_NOT_FOUND: no stored message has it; HL_BUSY: not now, speaker_pause_ms() may say when; HL_STORE.
 */
enum hl_err aloud_owed(struct speaker *, struct store *, const char *file) HL_MUST_CHECK;

/* ,"audioUrl":… or, where there are bytes, ,"audioData":…,"audioType":…; nothing if url is "". */
void	 aloud_write(struct buf *, const char *url, const struct buf *bytes);

#endif
