/*
 * talk.h - a live call: what a customer says into a microphone, and what is said back.
 *
 * A talk belongs to one process and one connection and ends with either.  Its ear hears samples as they come (vad.h) and
 * tells at once when somebody begins to speak; what was said is written down (hearing.h), becomes the customer's message
 * (turn.h), and the answer is spoken (speech.h) piece by piece while the model still writes.
 *
 * Who speaks while he is answered interrupts: what has not been sent is thrown away, nothing of that answer is sent any more,
 * the model is not asked on, and when its turn is over the stored answer is cut to what he heard (conversation_cut()), before
 * his next message is stored.  So it is when he hangs up while the model writes.  What he heard is what the other side reports
 * to have played, or, if it does not say so within TALK_REPORT_MS, what time allows.
 *
 * A server that keeps silent holds no call: after CALL_PATIENCE the rest of an answer is only to be read, and after that time and
 * half of what it took to say it, what was said is not followed; both are told as error.
 *
 * When a person of the company has the conversation his replies are spoken, as answers are.  After MAX_CALL_SECONDS nothing new is
 * heard; what was said is answered, then a last sentence is said and the call ends ("time").
 *
 * Events, as arguments: voice_ready {conversationId, id, rate}, speech_started {id of the answer that is interrupted or null},
 * transcript {id, text, final} (final and empty: there were no words in it), ai_audio {id, index, type, rate, ms, last, failed, audio} (samples, 16 bit, little-endian, mono;
 * ms: where in the answer they begin; id is the sound's own; the last one has no audio, and failed if something was left out),
 * voice_ended {reason, message}, error {message, code}.
 */
#ifndef HL_TALK_H
#define HL_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"
#include "engine/budget.h"
#include "engine/turn.h"

#define TALK_REPORT_MS	300
#define TALK_CHUNK_MAX	96000u		/* bytes of one voice_audio: a second at the highest rate */
#define TALK_SILENCE_MS	300000		/* without a word from either side: it ends */
#define TALK_SAID_MS	30000		/* of what is said in one go; then it is a message, and the rest another */
#define TALK_PARTIAL_MS	1200		/* of new sound between two partial transcripts */

struct talks;		/* of a program */
struct talk;

/* All strings are copied. */
struct talk_who {
	const char	*conversation_id;
	const char	*account;	/* keyed name whose token came; NULL: none */
	const char	*payer;		/* keyed name of who pays for a customer without a token (budget.h); NULL: he has one */
	struct bill	 bill;		/* who pays for what is written down and said */
	const char	*address, *socket;
	const char	*voice;		/* "": OPENAI_TTS_VOICE */
	const char	*greeting;	/* what is said first, or NULL */
	unsigned	 rate;		/* of what will come: PCM_RATE_MIN to PCM_RATE_MAX */
};

/* Where it is told.  None of these may suspend, or close the talk. */
struct talk_io {
	void	(*event)(void *arg, const char *json, size_t len);
	void	(*audio)(void *arg, const char *json, size_t len, const void *, size_t n);
	void	(*bye)(void *arg, const char *json, size_t len);	/* the last one: the talk has ended by itself */
};

enum hl_err talks_new(uv_loop_t *, const struct conf *, struct engine *, struct talks **ret) HL_MUST_CHECK;
bool	 talks_possible(const struct talks *);	/* is there a server that hears? */
size_t	 talks_count(const struct talks *);
/* All end, and are told to begin again elsewhere; done(arg) when their tasks have ended. */
void	 talks_end(struct talks *, void (*done)(void *), void *arg);
void	 talks_free(struct talks *);		/* after that, or NULL */

/* Tells voice_ready.  Another one in the same conversation ends.  HL_BUSY: there are MAX_CALLS; HL_UPSTREAM: no server hears here.  The caller ends it with talk_close(). */
enum hl_err talk_new(struct talks *, const struct talk_who *, const struct talk_io *, void *arg, struct talk **ret) HL_MUST_CHECK;
/* It has ended on the other side: nothing is told any more.  Frees it when its tasks have ended. */
void	 talk_close(struct talk *);

/* What comes.  A talk that has ended by itself takes all of it and does nothing. */
void	 talk_sound(struct talk *, const void *samples, size_t bytes);
void	 talk_rate(struct talk *, unsigned rate);
void	 talk_played(struct talk *, const char *answer_id, int64_t ms);
void	 talk_refuse(struct talk *, enum hl_err, const char *sentence);	/* tells error */

#endif
