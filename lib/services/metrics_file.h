/*
 * metrics_file.h - where all processes of a computer count together: one file, METRICS_FILE, mapped by each of them.
 *
 * The file has room for METRICS_PLACES boards.  A process locks one (F_OFD_SETLK, a byte of the file each) as long as it
 * lives, so the kernel gives it back when it is killed.  Who comes takes the place that a dead process of the same program
 * with the same routes left, and goes on counting there: what it counted is not lost, and nothing is counted twice.  While
 * two of a program run, they have two places.  Else a place is taken that nobody ever had, or, when there is none, one that a
 * dead process of another program or version left; what was counted there is lost then, and Prometheus takes it for what it is,
 * a counter that began anew.  So it does when an upgrade counts other things and begins another file.
 *
 * Pages are taken from the disk before they are written to, so that a full one cannot kill who counts.
 */
#ifndef HL_METRICS_FILE_H
#define HL_METRICS_FILE_H

#include <uv.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/metrics.h"

#define METRICS_PLACES	64u

struct metrics_file;

/*
 * Counts there from now on (metrics_own), and once a second what the system says of this process.  Without a file (*problem has
 * the sentence) it counts for itself: metrics_file_close() takes NULL.  routes: "METHOD path", count of them.
 */
struct metrics_file *metrics_file_open(uv_loop_t *, const char *path, const char *program, const char *const *routes, size_t count,
	    struct buf *problem);
/* Says goodbye.  The loop must run once more. */
void	 metrics_file_close(struct metrics_file *);

/*
 * All places that were ever used, in any order: how many; *alive[i]: its process lives.  The caller frees both.  0: there is no
 * file, or no memory; then what this process has counted is all (metrics_own).
 */
size_t	 metrics_file_read(const struct metrics_file *, struct metrics **ret_boards, bool **ret_alive) HL_MUST_CHECK;

#endif
