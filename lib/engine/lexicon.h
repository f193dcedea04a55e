/*
 * lexicon.h - what the words with which people ask for a person can mean.  No I/O.
 */
#ifndef HL_LEXICON_H
#define HL_LEXICON_H

#include <stddef.h>
#include <stdint.h>

#include "engine/words.h"

#define BIT(n)		(UINT64_C(1) << (n))

#define STOP		BIT(0)		/* no word: a clause begins or ends */
#define OTHER		BIT(1)		/* a word without a meaning here */
#define TALK		BIT(2)
#define TALK_LAST	BIT(3)		/* ... that German and Dutch put behind the person */
#define REACH		BIT(4)		/* contact, call: things can be their object, too */
#define LINK		BIT(5)		/* connect, transfer */
#define PUT		BIT(6)
#define THROUGH		BIT(7)
#define BACK		BIT(8)
#define CALLBACK	BIT(9)
#define ESCALATE	BIT(10)
#define ROLE		BIT(11)		/* who works here: agent, operator */
#define HUMAN		BIT(12)		/* ... and cannot mean much else */
#define BODY		BIT(13)		/* somebody, a person: anybody at all */
#define PEOPLE		BIT(14)
#define EXPERT		BIT(15)		/* asked for only by talking to them */
#define TEAM		BIT(16)
#define REAL		BIT(17)
#define LIVE		BIT(18)		/* makes persons of support and chat: "live support" */
#define BOT		BIT(19)
#define CHATBOT		BIT(20)
#define NOT		BIT(21)
#define CANNOT		BIT(22)
#define WANT		BIT(23)
#define NEED		BIT(24)
#define LIKE		BIT(25)
#define HAVE		BIT(26)
#define ASKING		BIT(27)
#define CAN		BIT(28)
#define DO		BIT(29)
#define BE		BIT(30)
#define ME		BIT(31)
#define I		BIT(32)
#define YOU		BIT(33)
#define IT		BIT(34)		/* it, this, that */
#define WHO		BIT(35)
#define TO		BIT(36)
#define WITH		BIT(37)
#define BY		BIT(38)
#define FOR		BIT(39)
#define IN		BIT(40)
#define A		BIT(41)
#define THE		BIT(42)
#define OWN		BIT(43)		/* my, your, this */
#define ELSE		BIT(44)		/* another, else */
#define FILLER		BIT(45)		/* adverbs, swear words */
#define POLITE		BIT(46)		/* what may stand around a request: please, hello, now */
#define HERE		BIT(47)
#define HELP		BIT(48)
#define DEED		BIT(49)		/* what one wants a person for: to help, to explain */
#define BAD		BIT(50)
#define FED_UP		BIT(51)
#define AVOID		BIT(52)
#define WHILE		BIT(53)		/* what follows is told, not asked for */
#define FOLLOW		BIT(54)		/* can follow a wish: "a person because ..." */
#define BLOCK		BIT(55)		/* makes something else of what follows: "delivery person" */
#define AM		BIT(57)
#define EXPLAIN		BIT(58)
#define THEM		BIT(59)
#define WORK		BIT(60)
#define STEP_IN		BIT(61)
#define THING		BIT(56)		/* ... of what stands before: "agent fee" */

/* The meanings of the word, mistyped or not; 0 if nothing is known of it. */
uint64_t lexicon_find(const struct word *);

/* The meanings of exactly these letters, or 0. */
uint64_t lexicon_exact(const char *, size_t);

#endif
