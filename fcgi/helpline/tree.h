/*
 * tree.h - a folder kept equal to another one.
 */
#ifndef HL_TREE_H
#define HL_TREE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Makes the folder to (made if missing) a copy of from: folders and regular files, links are left out.  A file whose
 * size and time are the same is left alone; one that changed is replaced whole, so that whoever has it open is not
 * disturbed; what from does not have is removed.  Copies can be read by everybody who can enter the folder.
 * want: NULL, or tells by its name whether a file is copied.
 */
enum hl_err tree_sync(const char *from, const char *to, bool (*want)(const char *name), struct buf *problem) HL_MUST_CHECK;

/* May the calling process read everything there that want accepts? */
bool	 tree_readable(const char *folder, bool (*want)(const char *name));

#endif
