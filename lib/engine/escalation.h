/*
 * escalation.h - when a person should take over, as far as the customer's words say so.  No I/O.
 */
#ifndef HL_ESCALATION_H
#define HL_ESCALATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

/* ---- keywords (contract: whole words, without regard to case, in any script) ---- */

struct keywords;

/* spec as in ESCALATION_KEYWORDS: "" is the default list, "none" is no keywords, else comma-separated words and phrases. */
enum hl_err keywords_new(const char *spec, struct keywords **ret) HL_MUST_CHECK;
void	 keywords_free(struct keywords *);

/* The first keyword that the message contains, or NULL; lives as long as the list. */
const char *keywords_match(const struct keywords *, const char *message, size_t len);

/* ---- does the customer ask for a person? ---- */

/* In whatever words and with typing mistakes; our own small classifier, no model, microseconds. */
bool	 asks_for_person(const char *message, size_t len);

#endif
