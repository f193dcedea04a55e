/*
 * company.h - which agent answers in a desk conversation: the one that it was begun with; in a simulator's, the one whose
 * company the customer has named, out of the owner's agents, and until then the demonstration agent.
 */
#ifndef HL_COMPANY_H
#define HL_COMPANY_H

#include "base/conf.h"
#include "base/error.h"
#include "records/agent.h"
#include "records/conversation.h"

#define COMPANIES_KEPT	64	/* owners whose aliases are remembered, as long as their agents do not change */

struct companies;

enum hl_err companies_new(struct companies **ret) HL_MUST_CHECK;
void	 companies_free(struct companies *);

enum company {
	COMPANY_NONE,		/* the agent has been deleted, or cannot be read: the built-in text stands in; ret is empty */
	COMPANY_KNOWN,		/* the conversation's own */
	COMPANY_FOUND,		/* by the text, just now: it is to be stored with the answer */
	COMPANY_DEMO		/* nobody's: the demonstration agent */
};

/*
 * text is what the customer has just written.  Suspends; a store that does not answer gives COMPANY_NONE or COMPANY_DEMO, not
 * an error.  The caller clears *ret.
 */
enum company companies_find(struct companies *, struct store *, const struct desk_profile *, const char *text, size_t len,
	    struct agent *ret);

#endif
