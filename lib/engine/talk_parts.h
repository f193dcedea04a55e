/*
 * talk_parts.h - what the files that make up a live call share: talk.c, its beginning and its end, talk_ear.c, what comes in,
 * talk_voice.c, what is said back, talk_person.c, what a person writes who has the conversation, and talk_brain.c, from words to an
 * answer.  Not for others.
 */
#ifndef HL_TALK_PARTS_H
#define HL_TALK_PARTS_H

#include "base/id.h"
#include "base/pcm.h"
#include "engine/mouth.h"
#include "engine/spoken.h"
#include "engine/talk.h"
#include "engine/vad.h"

#define BYTES_A_MS	(VAD_RATE / 1000 * 2)
#define EVENT_MAX	(256u * 1024)

struct utterance {
	struct utterance *next;
	struct buf	 sound;
	char		 id[ID_LEN + 1];
};

/* An answer, and that it was interrupted. */
struct spoken_answer {
	char		 sound_id[ID_LEN + 1];	/* what mouth_id() was */
	char		 id[ID_LEN + 1];	/* the message's; "": not stored yet, or not at all */
	int64_t		 seq;
	bool		 cut;			/* interrupted, and the message is still whole */
	int64_t		 cut_mono_ms, heard_ms;	/* when, and what time allows to have been heard */
	bool		 reported;		/* heard_ms is what the other side says */
};

struct talk {
	struct talks	*all;
	struct talk	*next, **link;
	struct talk_io	 io;
	void		*io_arg;
	bool		 open;			/* the connection is there */
	bool		 over;			/* nothing is done any more */
	unsigned	 tasks;
	struct task	*brain;
	bool		 stirred;		/* there is something for it */
	bool		 murmurs;		/* a partial transcript is asked for */

	char		 conversation[ID_LEN + 1], socket[ID_LEN + 1];
	char		 account[CRYPTO_NAME_LEN + 1], payer[CRYPTO_NAME_LEN + 1];
	char		 address[64], voice[64];
	struct bill	 bill;
	bool		 told_silent;		/* that nothing is said any more: BUDGET_SILENT */
	struct place	 place;

	struct resampler resampler;
	struct vad	 vad;
	struct buf	 scratch, before, said;
	char		 said_id[ID_LEN + 1];
	size_t		 transcribed;		/* bytes of `said` that a partial transcript has seen */
	struct utterance *first;
	unsigned	 waiting;
	int64_t		 begun_mono_ms, stirred_mono_ms;
	double		 sound_ms;		/* that has come */

	struct mouth	*mouth;
	struct spoken	 spoken;		/* what is to be said of the answer that is being written */
	int64_t		 attempt;
	const struct turn_deltas *deltas;	/* while it is written */
	bool		 muted;			/* of that answer nothing more is said */
	struct buf	 heard;			/* of an answer that was cut when the call ended */
	struct spoken_answer answer;

	struct redis_sub *room;
	struct buf	 written;		/* by a person of the company, and not said yet */
	bool		 person, told_person;	/* he has the conversation, and who speaks has been told so */
	bool		 closing;		/* MAX_CALL_SECONDS are over: nothing more is heard … */
	bool		 farewell;		/* … and this has been said */
};

struct talks {
	uv_loop_t	*loop;
	const struct conf *conf;
	struct engine	*engine;
	struct store	*store;
	struct talk	*first;
	size_t		 count;
	bool		 ending;
	void		(*ended)(void *);
	void		*ended_arg;
};

/* ---- talk.c ---- */

void	 talk_tell_transcript(struct talk *, const char *id, const struct buf *words, bool final);
void	 talk_tell_speech_started(struct talk *, bool interrupts);
void	 talk_stir(struct talk *);		/* there is something for the brain */
void	 talk_say_goodbye(struct talk *, const char *reason, const char *sentence);	/* once; it is over then */
void	 talk_maybe_free(struct talk *);	/* a task of it has ended */

/* ---- talk_voice.c ---- */

void	 talk_on_chunk(void *talk, const struct mouth_chunk *);
void	 talk_on_unpaid(void *talk);
void	 talk_on_mouth_gone(void *talk);
void	 talk_begin_answer(struct talk *);
void	 talk_say_pieces(struct talk *);	/* those that are whole */
void	 talk_say_rest(struct talk *);		/* there will be no more */
bool	 talk_answers(const struct talk *);	/* is there anything that he would not hear to its end? */
void	 talk_interrupt(struct talk *);
bool	 talk_cut_is_due(const struct talk *);
void	 talk_settle_cut(struct talk *);	/* suspends: the stored answer becomes what was heard of it */
void	 talk_note_heard(struct talk *);	/* before the mouth goes: for the cut that is still to come … */
void	 talk_settle_last(struct talk *);	/* … when the call is over.  Suspends */

/* ---- talk_person.c ---- */

void	 talk_listen_to_person(struct talk *);	/* until it is over */
bool	 talk_person_is_due(const struct talk *);
void	 talk_say_person(struct talk *);	/* what he wrote */

/* ---- talk_ear.c ---- */

bool	 talk_partial_is_due(const struct talk *);
void	 talk_end_utterance(struct talk *);	/* what was said so far is all of it */

/* ---- talk_brain.c ---- */

void	 talk_think(void *talk);		/* a task, until it is over */

#endif
