/*
 * entry.h - the messages of a conversation's log: sealed, opened, shown.
 */
#ifndef HL_ENTRY_H
#define HL_ENTRY_H

#include "records/keys.h"

enum hl_err entry_seal(const struct store *, const struct keys *, const char *id, const struct buf *json, struct buf *out) HL_MUST_CHECK;
enum hl_err entry_open(const struct store *, const struct keys *, const struct redis_reply *, int64_t seq, struct entry *) HL_MUST_CHECK;

/* A list whose last message has that seq. */
enum hl_err entries_open(const struct store *, const struct keys *, const struct redis_reply *list, int64_t last_seq,
	    struct entries *ret) HL_MUST_CHECK;

#endif
