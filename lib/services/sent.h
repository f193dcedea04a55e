/*
 * sent.h - a body that nginx has kept in a file of its own (nginx/helpline-upload.conf).  Blocking: for the thread pool
 * (task_work()).
 *
 * nginx alone may read that file.  A program that runs as another user asks nginx for it, on the private socket on which
 * pushd reaches the events program (nginx/helpline-front.conf).
 */
#ifndef HL_SENT_H
#define HL_SENT_H

#include "services/file.h"

/* As file_open(), and file_close() closes it; front is HELPLINE_FRONT. */
enum hl_err sent_open(const char *front, const char *path, size_t max, struct file_view *ret) HL_MUST_CHECK;

#endif
