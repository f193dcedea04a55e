/*
 * recorded.h - a recording that a customer sent: looked at, kept, and written down.  What is done with the words is the
 * caller's (turn.h).
 */
#ifndef HL_RECORDED_H
#define HL_RECORDED_H

#include <stddef.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "engine/hearing.h"
#include "records/conversation.h"
#include "engine/turn.h"
#include "services/uploads.h"

struct recorded_in {
	struct place	 place;		/* of the conversation */
	const void	*bytes;		/* of the file */
	size_t		 len;
	const char	*transcript;	/* what the sender says was said; NULL: it is to be written down */
	size_t		 transcript_len;
	const char	*request_id;	/* for the log */
	struct bill	 bill;
};

struct recorded {
	char		 url[UPLOAD_URL_MAX];
	struct buf	 words;
	const char	*problem;	/* a sentence for who sent it, static; NULL: the error's own */
};

/*
 * Suspends.  HL_BAD_REQUEST: there is nothing, or it is cut off; HL_TOO_LARGE: MAX_FILE_SIZE, MAX_RECORDING_SECONDS,
 * MAX_MESSAGE_BYTES or the quota; HL_MEDIA_TYPE; HL_UNPROCESSABLE: no words in it; HL_BUSY; HL_NOT_SET_UP; HL_UPSTREAM, HL_TIMEOUT: of the
 * speech server; HL_TOO_MANY: a limit of a day's spend is reached.  Whatever it returns, recorded_free() takes *ret; on failure nothing is kept.
 */
enum hl_err recorded_take(const struct conf *, struct ear *, const struct recorded_in *, struct recorded *ret) HL_MUST_CHECK;
/*
 * Its words were accepted as a message.  If that was there before – the same words, written, or the same request – it gets the
 * recording, unless it has one: then this one is dropped, and url is that.  Suspends.
 */
void	 recorded_accepted(struct store *, const struct conf *, struct recorded *, const struct place *, const struct turn *);
void	 recorded_drop(const struct conf *, struct recorded *);	/* suspends: the file is not needed after all */
void	 recorded_free(struct recorded *);

#endif
