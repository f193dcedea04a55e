/*
 * metrics_text.h - boards as Prometheus reads them (text format 0.0.4).  No I/O.
 *
 * Numbers of several processes of one program are added; gauges count only those that live.  A histogram of a route or a
 * server is shown once it has counted something, all else from the beginning.
 */
#ifndef HL_METRICS_TEXT_H
#define HL_METRICS_TEXT_H

#include "base/buf.h"
#include "base/metrics.h"

#define METRICS_TEXT_TYPE	"text/plain; version=0.0.4; charset=utf-8"
#define METRICS_TEXT_MAX	(8u * 1024 * 1024)

/* alive[i] is said of boards[i]. */
void	 metrics_write(struct buf *, const struct metrics *boards, const bool *alive, size_t count, int64_t now_wall_ms);

/* One more gauge that has no labels. */
void	 metrics_write_gauge(struct buf *, const char *family, const char *help, int64_t value);

#endif
