/*
 * ask.h - a line that must not be seen: from the terminal without echo, or from standard input.
 */
#ifndef HL_ASK_H
#define HL_ASK_H

#include <stdbool.h>
#include <stddef.h>

/* Without its newline; "" at the end of the input.  The prompt goes to standard error, to a terminal's user alone. */
void	 ask_line(const char *prompt, char *line, size_t size);
bool	 ask_is_terminal(void);

#endif
