/*
 * file.h - files that were sent to us, and files that we keep.  Blocking: for the thread pool (task_work()).
 */
#ifndef HL_FILE_H
#define HL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define DISK_ROOM	67108864	/* bytes that are left free, whatever may be kept: Redis may write to the same disk */

/* A file in memory, as long as it is open. */
struct file_view { const char *data; size_t len; };

/* Only a regular file.  HL_TOO_LARGE: more than max bytes.  HL_NOT_FOUND.  HL_INTERNAL: errno says why. */
enum hl_err file_open(const char *path, size_t max, struct file_view *ret) HL_MUST_CHECK;
void	 file_close(struct file_view *);

/* Has the disk of this open folder room for so many bytes more?  One that does not say has. */
bool	 disk_has_room(int folder, int64_t bytes);

/*
 * Writes dir/name, which everybody may read: whole and on the disk, or not at all, at whatever moment we are killed.  The
 * folder is made if it is missing.  HL_INTERNAL: errno says why, ENOSPC also where only DISK_ROOM is left.
 */
enum hl_err file_keep(const char *dir, const char *name, const void *bytes, size_t len) HL_MUST_CHECK;

void	 file_remove(const char *dir, const char *name);	/* one that is not there is no error */

#endif
