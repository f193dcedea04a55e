/*
 * breaker.h - a server that fails is left alone for a while, so that nobody waits for it in vain.  No I/O, no clock.
 *
 * BREAKER_FAILURES questions in a row that the server failed, retries included, the first at most BREAKER_WINDOW before
 * the last, open it: the server is not asked for BREAKER_PAUSE, doubling up to BREAKER_PAUSE_MAX each time it fails again,
 * less up to a quarter at random.  Then one question is let through; its success closes the breaker.  A server that says
 * how long it wants to be left alone (429 with Retry-After) opens it at once, for that long.
 */
#ifndef HL_BREAKER_H
#define HL_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES	5u
#define BREAKER_WINDOW		60000	/* ms, as all of these */
#define BREAKER_PAUSE		2000
#define BREAKER_PAUSE_MAX	30000
#define BREAKER_ASKED_MAX	600000	/* of what a server may ask for */

/* All zero at first. */
struct breaker {
	unsigned	 failures;	/* in a row */
	int64_t		 first_ms;	/* when the first of them was */
	int64_t		 until_ms;	/* open until then; 0: closed */
	int64_t		 pause_ms;	/* the last one */
	bool		 probing;	/* one question is under way */
};

enum breaker_say { BREAKER_ASK, BREAKER_PROBE, BREAKER_LEAVE };

/* May it be asked?  Whoever gets BREAKER_PROBE must end with one of the three below, probe true. */
enum breaker_say breaker_ask(struct breaker *, int64_t now_ms);

/* It lives: it answered, or refused what was asked.  True: that closed the breaker. */
bool	 breaker_good(struct breaker *);

/* It failed; wants_ms is what it asks for, or -1.  True: that opened the breaker, anew or again. */
bool	 breaker_bad(struct breaker *, bool probe, int64_t wants_ms, int64_t now_ms);

/* Given up for a reason of our own: nothing is known. */
void	 breaker_unknown(struct breaker *, bool probe);

#endif
