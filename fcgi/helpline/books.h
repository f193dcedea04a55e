/*
 * books.h - what a running system has stored, for a subcommand that looks into it or changes it, and ends.
 */
#ifndef HL_BOOKS_H
#define HL_BOOKS_H

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "records/conversation.h"

/* Where to look: --state-dir and --env-file, NULL if they were not given. */
struct books_place { const char *state_dir, *env_file; };

/* Enters the state directory, reads the settings.  The caller frees them with conf_free(). */
enum hl_err books_settings(const struct books_place *, struct conf *ret, struct buf *problem) HL_MUST_CHECK;

/* Runs work(store, arg) as a task.  A store that does not answer, or what work returns; *problem may say more. */
enum hl_err books_open(const struct conf *, enum hl_err (*work)(struct store *, void *), void *arg, struct buf *problem) HL_MUST_CHECK;

#endif
