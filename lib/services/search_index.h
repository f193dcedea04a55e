/*
 * search_index.h - the database file of a search index: its tables, and bringing them up to date with a folder.
 *
 *   files(id, path, stamp, state, passages)	what was read, and when
 *   passages(title, body, spaced)		FTS5; rowid = file id << INDEX_FILE_SHIFT | number
 *   state(signature, generation, passages)	one row; generation grows with every change
 */
#ifndef HL_SEARCH_INDEX_H
#define HL_SEARCH_INDEX_H

#include <stdbool.h>
#include <sqlite3.h>

#include "base/buf.h"
#include "base/error.h"

#define INDEX_FILE_SHIFT	20	/* a file of FOLDER_MAX_FILE bytes has fewer passages than 1 << 20 */
#define INDEX_TOKENIZER		"porter unicode61 remove_diacritics 2"
#define INDEX_PROBLEM		512u	/* a cap that every sentence about an index fits */

enum index_file_state { INDEX_FILE_GOOD, INDEX_FILE_REPAIRED, INDEX_FILE_SKIPPED };

/*
 * Every function returns HL_CONFLICT for a file that is damaged or of another version: the caller closes it and calls
 * index_discard(), then opens it anew.  HL_BUSY: another process has been writing for seconds.
 */

/* file NULL: in memory.  On failure *problem holds a sentence. */
enum hl_err index_open(const char *file, sqlite3 **ret, struct buf *problem) HL_MUST_CHECK;

/* Puts the file aside as FILE.broken, unless it is no longer the file that this device and inode name. */
enum hl_err index_discard(const char *file, dev_t dev, ino_t ino) HL_MUST_CHECK;

/* One transaction: new and changed files are read and cut, deleted ones vanish. */
enum hl_err index_update(sqlite3 *, const char *folder) HL_MUST_CHECK;

enum hl_err index_prepare(sqlite3 *, const char *sql, sqlite3_stmt **ret) HL_MUST_CHECK;
enum hl_err index_exec(sqlite3 *, const char *sql) HL_MUST_CHECK;

/* What SQLite's result code means for the caller. */
enum hl_err index_err(int rc) HL_MUST_CHECK;

#endif
