/*
 * logs.h - the files in log/: kept from growing without end, and shown to a person when a start fails.
 */
#ifndef HL_LOGS_H
#define HL_LOGS_H

#define LOG_MAX_BYTES	(16l * 1024 * 1024)

/*
 * A file that has grown past LOG_MAX_BYTES is copied to NAME.1, whatever was there, and emptied: those who write
 * append, so they need not be told.
 */
void	 logs_bound(void);

/* The last lines of log/NAME.log that were written after byte start, on standard error. */
void	 logs_show(const char *name, long start);

#endif
