/*
 * persona.h - an agent as the model is told of it, and as a customer meets it.  No I/O.
 *
 * What an agent's owner wrote is composed with our own rules, which say what is an instruction and what is not, and that
 * none of it is to be told.  The composed text never leaves the server but to the model.
 */
#ifndef HL_PERSONA_H
#define HL_PERSONA_H

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "records/agent.h"

#define PERSONA_MAX	(256u * 1024)	/* bytes that persona_write() adds at most */
#define WELCOME_MAX	2048

/* The whole system prompt, in place of the built-in text and of SYSTEM_PROMPT.  out must allow PERSONA_MAX. */
void	 persona_write(const struct agent *, struct buf *out);

/* The first message of a conversation with it: one line of plain text.  NULL: nobody in particular. */
void	 persona_welcome(const struct agent *, struct buf *out);

/*
 * The demonstration agent of the call simulator (DEMO_AGENT_NAME, DEMO_AGENT_COMPANY, DEMO_AGENT_PERSONALITY,
 * DEMO_AGENT_INFO).  It has no id and is in no store; it lives as long as the settings and needs no agent_clear().
 */
void	 persona_demo(const struct conf *, struct agent *ret);

/* {"name":…,"company":…,"personality":…}: the member demoAgent, of the demonstration agent or of one found by an alias. */
void	 persona_write_demo(const struct agent *, struct buf *out);

/* The longest answer asked of the model, in tokens: the agent's own, else the setting's. */
int64_t	 persona_max_tokens(const struct conf *, const struct agent *);

#endif
