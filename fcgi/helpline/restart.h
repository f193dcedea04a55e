/*
 * restart.h - how `helpline restart` and the supervisor understand each other: a file with the wish (a program's name, or
 * nothing for all), SIGUSR2, and a file with the outcome.  In the current directory, which is the state directory.
 */
#ifndef HL_RESTART_H
#define HL_RESTART_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the wish; false if there is none.  name is "" for all programs. */
bool	 restart_asked(char *name, size_t size);
/* "" is success, anything else a sentence's end that says why not. */
void	 restart_answer(const char *result);

#endif
