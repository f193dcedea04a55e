/*
 * joint.h - sounds of one format behind each other as one.  No I/O, no memory.
 *
 * MP3 is frames that may follow each other: what says how long one sound is (an ID3v2 tag, a frame "Xing", "Info" or "VBRI")
 * is left out.  Of WAV (PCM) the first header stays, with a length that is open; later ones are left out.  Other formats
 * pass as they are.  Bytes come in whatever pieces; what is no sound of the format (a page, JSON) is HL_UPSTREAM.
 */
#ifndef HL_JOINT_H
#define HL_JOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

enum sound_format { SOUND_MP3, SOUND_WAV, SOUND_PCM };

bool	 sound_format_parse(const char *name, enum sound_format *ret);	/* "mp3", "wav", "pcm" */
const char *sound_format_name(enum sound_format);	/* also the end of a file's name */
const char *sound_format_type(enum sound_format);	/* "audio/mpeg", … */

#define JOINT_HEAD_MAX	65536u		/* a header that is longer is none */

struct joint {
	enum sound_format format;
	bool		 follows;	/* another sound stands before it */
	bool		 open;		/* the header is over: the rest passes */
	size_t		 skip;		/* bytes of a tag that are still to come */
	struct buf	 head;		/* until then */
};

void	 joint_init(struct joint *, enum sound_format, bool follows);
void	 joint_free(struct joint *);

/* Appends to out what of the bytes is to be kept. */
enum hl_err joint_feed(struct joint *, const void *, size_t, struct buf *out) HL_MUST_CHECK;

/* That was all.  HL_UPSTREAM: there was no sound in it. */
enum hl_err joint_end(struct joint *, struct buf *out) HL_MUST_CHECK;

#endif
