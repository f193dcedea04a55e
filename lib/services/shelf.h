/*
 * shelf.h - sounds on disk.  Blocking: for the thread pool (task_work()).  Not sealed: who may read the folder can listen.
 *
 *   AUDIO_PATH/public/NAME.mp3   a message's sound, whole: nginx serves it.  A hard link to the cached one, if there is one
 *   AUDIO_PATH/making/NAME.mp3   one that grows; its maker holds a lock on it (flock), so that a dead one can be told, and
 *                                nobody else makes it meanwhile
 *   AUDIO_PATH/cache/KEY.mp3     a piece that has been made, by what was said how; the least recently used go first
 *   AUDIO_PATH/parts/NAME        the KEYs of a message's pieces, one a line; parts/NAME.N: a link to each
 *   AUDIO_PATH/orders/NAME.mp3   of a sound that is not whole: what it is of, sealed, so that it can be made again when its
 *                                maker died or failed; for a week
 *   AUDIO_PATH/usage             bytes in all of them, shared by all processes (a mapped counter)
 *
 * A file is in public/ or cache/ whole or not at all.  A cached piece that no message's sound has a part in any more goes
 * with the last one: the number of links says so.  Names are keyed names: nothing can be guessed or told from them.
 */
#ifndef HL_SHELF_H
#define HL_SHELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define SHELF_NAME_LEN	22
#define SHELF_FILE_MAX	32	/* NAME.mp3 with its NUL */

struct shelf;

/* Makes the folders.  path is borrowed.  HL_INTERNAL: errno says why. */
enum hl_err shelf_open(const char *path, int64_t cache_max, int64_t total_max, struct shelf **ret) HL_MUST_CHECK;
void	 shelf_close(struct shelf *);

/*
 * Removes what dead makers left, and evicts from the cache until it is below its bound; every ten minutes counts anew, too.
 * One process at a time does it.
 */
void	 shelf_tend(struct shelf *);
bool	 shelf_wants_tending(const struct shelf *);	/* at once, for the cache is too large.  Does not block */
/* The quota is as good as used up, or the disk was found to be within the last seconds: nothing more is made.  Does not block. */
bool	 shelf_full(const struct shelf *);
int64_t	 shelf_usage(const struct shelf *);	/* bytes.  Does not block */

/* A sound that grows. */
struct growing { int fd; char file[SHELF_FILE_MAX]; int64_t size; };
/* In place of what a dead maker left.  HL_CONFLICT: somebody else makes it, or it is there. */
enum hl_err shelf_begin(struct shelf *, const char *file, struct growing *ret) HL_MUST_CHECK;
/* HL_TOO_LARGE: the quota, or DISK_ROOM (file.h); HL_INTERNAL: the disk. */
enum hl_err shelf_write(struct shelf *, struct growing *, const void *, size_t) HL_MUST_CHECK;
/* Empty again, and another file: of the one before, shelf_is_over() says that it came to nothing.  HL_NOT_FOUND: it was removed. */
enum hl_err shelf_restart(struct shelf *, struct growing *) HL_MUST_CHECK;
void	 shelf_abandon(struct shelf *, struct growing *);	/* and it is gone; one that has been finished is no error */

/* What a sound is of, in words of the caller's, until it is whole or removed.  HL_NOT_FOUND: nobody has ordered it. */
void	 shelf_order(struct shelf *, const char *file, const void *, size_t);
enum hl_err shelf_ordered(struct shelf *, const char *file, struct buf *out) HL_MUST_CHECK;
void	 shelf_order_done(struct shelf *, const char *file);	/* it will not be made again */

/* Keeps a piece, whole or not at all. */
void	 shelf_keep(struct shelf *, const char *key_file, const void *, size_t);
/* A piece, if it is there: it counts as used now.  The caller frees *ret with free(3). */
enum hl_err shelf_piece(struct shelf *, const char *key_file, char **ret, size_t *ret_len) HL_MUST_CHECK;

/*
 * Whole: on the disk and in public/, in place of the growing one.  keys: the files of its pieces.  HL_NOT_FOUND: it has been
 * removed meanwhile.
 */
enum hl_err shelf_finish(struct shelf *, struct growing *, const char (*keys)[SHELF_FILE_MAX], size_t count) HL_MUST_CHECK;

/* Whatever there is of that message's sound, also one that grows. */
void	 shelf_remove(struct shelf *, const char *file);

/* A message's whole sound, appended.  HL_NOT_FOUND; HL_TOO_LARGE: more than max bytes. */
enum hl_err shelf_read(struct shelf *, const char *file, size_t max, struct buf *out) HL_MUST_CHECK;

/*
 * To read a message's sound while it may grow: whole says that it does not grow.  The caller closes *ret_fd.  HL_NOT_FOUND, also
 * of one whose maker is dead.
 */
enum hl_err shelf_listen(struct shelf *, const char *file, int *ret_fd, bool *ret_whole) HL_MUST_CHECK;
/* Of one that was growing: has its maker let go of it, and is it whole then?  fd is the whole one's then; its bytes are the same. */
bool	 shelf_is_over(struct shelf *, const char *file, int *fd, bool *ret_whole);

#endif
