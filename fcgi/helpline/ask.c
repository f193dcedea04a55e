#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "ask.h"

bool
ask_is_terminal(void)
{
	return isatty(STDIN_FILENO) == 1;
}

void
ask_line(const char *prompt, char *line, size_t size)
{
	struct termios before, silent;
	bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;

	if (terminal) {
		fputs(prompt, stderr);
		silent = before;
		silent.c_lflag &= (tcflag_t)~ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	}
	if (fgets(line, (int)size, stdin) == NULL)
		*line = '\0';
	if (terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	line[strcspn(line, "\r\n")] = '\0';
}
