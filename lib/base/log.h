/*
 * log.h - one line an event to standard error: time, level, program, event, then key=value pairs, and the ids of the request
 * and of the trace (trace.h) that it is about, if there are any.
 *
 * If standard error is the journal's (JOURNAL_STREAM), a line begins with its priority as sd-daemon(3) has it, <3> to <7>,
 * and has no time: the journal knows both.
 *
 * Never log a secret, a token, a session id or a customer's words.  Values are escaped, so input cannot forge a line.
 * The library itself does not log (a caller would report the same failure again); programs and the turn engine's
 * outcome line do.
 */
#ifndef HL_LOG_H
#define HL_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void	 log_init(const char *program, enum log_level most);
enum log_level log_level_named(const char *);	/* LOG_LEVEL's value; info for what is none */

/*
 * log_line(LOG_LEVEL_INFO, "turn", "outcome", "answered", "provider", name, NULL): pairs of strings, ended by NULL.
 * A value may be NULL and is printed as "-".
 */
void	 log_line(enum log_level, const char *event, ...) __attribute__((sentinel));

#endif
