/*
 * archive.h - what a backup says inside its seal (services/vault.h): records, one after the other.
 *
 *   'M' length, JSON          first: {"format","version","createdAt","atOnce"}
 *   'K' type, expires (8), name, how many items (8), items     a key of the store (records/inventory.h)
 *   'F' area, name, size (8), bytes                             a file
 *   'Z' keys (8), files (8)   last: how many there were
 *
 * Numbers are little-endian, of 4 bytes unless said otherwise; a name or an item is its length and its bytes.
 */
#ifndef HL_ARCHIVE_H
#define HL_ARCHIVE_H

#include "records/inventory.h"
#include "services/vault.h"

#define ARCHIVE_FORMAT	1

/* Where files lie, by the settings. */
enum area { AREA_AUDIO, AREA_UPLOADS, AREA_AVATARS, AREA_SECRETS, AREAS };
const char *area_name(enum area);
void	 area_folder(const struct conf *, enum area, char *out, size_t size);

/* May a file have that name (FILE, in uploads FOLDER/FILE)?  So none leads elsewhere. */
#define ARCHIVE_NAME_MAX	128
bool	 area_takes(enum area, const char *name);

struct archive_totals { int64_t keys, files, bytes; };

/* ---- writing ---- */

enum hl_err archive_begin(struct vault *, bool at_once) HL_MUST_CHECK;
enum hl_err archive_key(struct vault *, const struct stored *, struct archive_totals *) HL_MUST_CHECK;
/* As large as it was when it was opened.  HL_CONFLICT: it has become shorter. */
enum hl_err archive_file(struct vault *, enum area, const char *name, int fd, struct archive_totals *) HL_MUST_CHECK;
enum hl_err archive_end(struct vault *, const struct archive_totals *) HL_MUST_CHECK;

/* ---- reading ---- */

/* Any may be NULL; what one returns ends it. */
struct archive_calls {
	enum hl_err	(*items)(void *arg, const char *key, enum stored_type, const struct redis_arg *, size_t count);
	enum hl_err	(*key)(void *arg, const char *key, int64_t expires_ms);		/* all its items were told */
	enum hl_err	(*file)(void *arg, enum area, const char *name, const void *, size_t);
	void		*arg;
};

/*
 * All of it.  meta gets the first record.  HL_BAD_REQUEST: cut, changed, or not what this version writes.
 */
enum hl_err archive_read(struct vault *, const struct archive_calls *, struct buf *meta, struct archive_totals *ret)
	    HL_MUST_CHECK;

#endif
