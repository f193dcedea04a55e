/*
 * speech_parts.h - what speaker.c, which asks the server, and speech.c, which makes messages' sounds of it, share.  Not for others.
 */
#ifndef HL_SPEECH_PARTS_H
#define HL_SPEECH_PARTS_H

#include "engine/speech.h"
#include "loop/lane.h"

#define SPEECH_URL_PLACE	"/audio/"
#define SPEECH_WORDS_MAX	(64u * 1024)	/* bytes of one piece, as it is asked for */

struct speaker {
	uv_loop_t		*loop;
	struct store		*store;
	const struct conf	*conf;
	const struct crypto	*crypto;
	struct http		*http;
	enum sound_format	 format;
	char			*url, *authorization;
	struct shelf		*shelf;
	bool			 shelf_tried, tending;
	struct lanes		 lanes;		/* by what is said: the same is made once at a time */
	int64_t			 off_until_ms, tended_ms;
	unsigned		 failures;	/* in a row */
	size_t			 busy;
	void			(*idle)(void *);
	void			*idle_arg;
};

/* A task of its own, counted in busy, has ended. */
void	 speaker_task_ends(struct speaker *);

#endif
