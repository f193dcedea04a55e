/*
 * paths.h - names of files that were typed, for a command that goes to another folder (state_use()).
 */
#ifndef HL_PATHS_H
#define HL_PATHS_H

/* The caller frees it with free(3).  NULL for NULL, and without memory. */
char	*path_absolute(const char *path);

#endif
