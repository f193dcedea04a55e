/*
 * entry.h - the messages of a conversation's log: sealed, opened, shown.
 */
#ifndef HL_ENTRY_H
#define HL_ENTRY_H

#include "records/keys.h"

enum hl_err entry_seal(const struct store *, const struct keys *, const char *id, const struct buf *json, struct buf *out) HL_MUST_CHECK;
enum hl_err entry_open(const struct store *, const struct keys *, const struct redis_reply *, int64_t seq, struct entry *) HL_MUST_CHECK;

#define CONTEXT_MAX	(1u << 20)	/* bytes of JSON that a turn is told */
#define HISTORY_MAX	(6u << 20)	/* and a reader: what a program can answer with, in one piece */

/* A list whose last message has that seq.  Of more than max bytes only the newest messages are opened. */
enum hl_err entries_open(const struct store *, const struct keys *, const struct redis_reply *list, int64_t last_seq,
	    size_t max, struct entries *ret) HL_MUST_CHECK;

/* Takes the entry, unless it fails. */
enum hl_err entries_add(struct entries *, const struct entry *take) HL_MUST_CHECK;

/*
 * Puts those before into the list's front that end where it begins, so that it has at most so many, or as it had; the
 * others are freed.
 */
enum hl_err entries_join(struct entries *take_before, struct entries *list, int64_t most) HL_MUST_CHECK;

#endif
