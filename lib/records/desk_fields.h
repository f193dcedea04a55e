/*
 * desk_fields.h - the fields of a desk conversation as Redis has them, and how they are sealed (desk.h).  Not for others.
 */
#ifndef HL_DESK_FIELDS_H
#define HL_DESK_FIELDS_H

#include "records/desk.h"
#include "records/keys.h"

/* Bits of dk; tally.h has them as texts. */
enum { DK_DESK = 1, DK_ANONYMOUS = 2, DK_SIMULATOR = 4, DK_TITLED = 8, DK_ESCALATED = 16 };

#define FIELD_MAX	64	/* a hash with a longer value takes twice the memory */

/* A keyed name; none is "". */
void	 name_take(const struct redis_reply *, char ret[CRYPTO_NAME_LEN + 1]);

/* The id of the conversation, and that of the account ("": none). */
enum hl_err id_seal(const struct store *, const struct keys *, const char *id, struct buf *out) HL_MUST_CHECK;
enum hl_err id_open(const struct store *, const struct keys *, const struct redis_reply *, char ret[ID_LEN + 1]) HL_MUST_CHECK;
enum hl_err user_seal(const struct store *, const struct keys *, const char *id, struct buf *out) HL_MUST_CHECK;
enum hl_err user_open(const struct store *, const struct keys *, const struct redis_reply *, char ret[ID_LEN + 1]) HL_MUST_CHECK;

/* The title, in two fields if that keeps them short.  HL_TOO_LARGE.  Two arguments are written; both are "" for no title. */
enum hl_err title_seal(const struct store *, const struct keys *, const char *title, struct buf *out) HL_MUST_CHECK;
size_t	 title_args(const struct buf *sealed, struct redis_arg *out);
enum hl_err title_open(const struct store *, const struct keys *, const struct redis_reply *tt, const struct redis_reply *tx,
	    struct buf *out) HL_MUST_CHECK;

/* The name of an agent's company, in the statistics of an account. */
enum hl_err company_seal(const struct store *, const char *account, const char *agent, const char *name, struct buf *out)
	    HL_MUST_CHECK;
enum hl_err company_open(const struct store *, const char *account, const char *agent, const struct redis_reply *,
	    struct buf *out) HL_MUST_CHECK;

#endif
