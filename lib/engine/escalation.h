/*
 * escalation.h - when a person should take over, as far as the customer's words say so.  No I/O.
 */
#ifndef HL_ESCALATION_H
#define HL_ESCALATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* ---- keywords (contract: whole words, without regard to case, in any script) ---- */

struct keywords;

/* What an empty ESCALATION_KEYWORDS stands for; a keyword matches whole words only, so other forms are named here. */
#define KEYWORDS_DEFAULT							\
	"urgent, urgently, emergency, emergencies, complaint, complaints, "	\
	"supervisor, supervisors, manager, managers"

/*
 * spec as in ESCALATION_KEYWORDS: "" is the default list, "none" is no keywords, else comma-separated words and phrases;
 * blank ones are skipped.  In a phrase, a space stands for any white space.
 */
enum hl_err keywords_new(const char *spec, struct keywords **ret) HL_MUST_CHECK;
void	 keywords_free(struct keywords *);

/*
 * The first keyword of the list that the message contains, as it was configured, or NULL; lives as long as the list.
 * In scripts without spaces between words (Chinese, Japanese, Thai, ...) and in Korean, a part of the text is enough.
 */
const char *keywords_match(const struct keywords *, const char *message, size_t len);

/* ---- does the customer ask for a person? ---- */

/*
 * In whatever words and with typing mistakes; our own small classifier, no model, microseconds.  Of a long message it
 * reads the first and the last 2 KiB.
 */
bool	 asks_for_person(const char *message, size_t len);

#endif
