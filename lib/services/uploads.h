/*
 * uploads.h - the recordings of conversations, on disk.  Blocking: for the thread pool (task_work()).  Not sealed: who may
 * read the folder can listen.
 *
 *   UPLOAD_PATH/FOLDER/NAME.webm   FOLDER is a conversation's place (its keyed name), NAME is random
 *   UPLOAD_PATH/usage              bytes in all of them, counted by all processes: who counts has its lock (flock)
 *
 * nginx serves it as /uploads/FOLDER-NAME.webm.  A file is there whole or not at all.
 */
#ifndef HL_UPLOADS_H
#define HL_UPLOADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/id.h"

#define UPLOAD_FOLDER_LEN	22
#define UPLOAD_URL_MAX		64	/* with its NUL */

/*
 * Keeps the bytes; url gets where they can be had.  most: what all recordings together may take; what is removed counts for up to
 * a minute longer.  HL_TOO_LARGE: that, or the disk (DISK_ROOM, file.h), is full; HL_INTERNAL: errno says why.
 */
enum hl_err upload_keep(const char *path, int64_t most, const char *folder, const char *extension, const void *bytes,
	    size_t len, char url[UPLOAD_URL_MAX]) HL_MUST_CHECK;

void	 upload_drop(const char *path, const char *url);	/* one of them; what is no such address, or gone, is no error */
void	 uploads_remove(const char *path, const char *folder);	/* all of a conversation */

/* Calls each(arg, folder) for every folder that has not changed for age_s; its answer false: it is removed. */
void	 uploads_sweep(const char *path, int64_t age_s, bool (*each)(void *arg, const char *folder), void *arg);

#endif
