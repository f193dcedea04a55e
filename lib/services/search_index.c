#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "services/search_cut.h"
#include "services/search_folder.h"
#include "services/search_index.h"
#include "services/search_words.h"

#define APPLICATION_ID	0x484c4958	/* "HLIX" */
#define SCHEMA_VERSION	1
#define BUSY_MS		5000
#define STR(x)		STR_(x)
#define STR_(x)		#x

static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE files(id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL,"
	" state INTEGER NOT NULL, passages INTEGER NOT NULL);"
	"CREATE VIRTUAL TABLE passages USING fts5(title, body, spaced, columnsize=0, tokenize='" INDEX_TOKENIZER "');"
	"CREATE TABLE state(signature INTEGER NOT NULL, generation INTEGER NOT NULL, passages INTEGER NOT NULL);"
	"INSERT INTO state VALUES(0, 0, 0);"
	"PRAGMA application_id=" STR(APPLICATION_ID) ";"
	"PRAGMA user_version=" STR(SCHEMA_VERSION) ";"
	"COMMIT;";

/* A page cache of 256 KiB: the index is small, and the kernel has its pages anyway. */
static const char settings[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-256; PRAGMA temp_store=MEMORY;"
	"PRAGMA journal_size_limit=1048576;";

enum hl_err
index_err(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return HL_OK;
	case SQLITE_NOMEM:
		return HL_NO_MEMORY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return HL_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return HL_CONFLICT;
	default:
		return HL_STORE;
	}
}

enum hl_err
index_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
	return index_err(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL));
}

enum hl_err
index_exec(sqlite3 *db, const char *sql)
{
	return index_err(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static enum hl_err
number(sqlite3 *db, const char *sql, int *ret)
{
	sqlite3_stmt *stmt = NULL;
	enum hl_err err = index_prepare(db, sql, &stmt);

	if (err == HL_OK) {
		err = index_err(sqlite3_step(stmt));
		*ret = sqlite3_column_int(stmt, 0);
	}
	sqlite3_finalize(stmt);
	return err;
}

/* Whether the file is ours and current; an empty one gets its tables. */
static enum hl_err
ensure_schema(sqlite3 *db, const char *file, struct buf *problem)
{
	int version = 0, application = 0, tables = 0;
	enum hl_err err;

	err = number(db, "PRAGMA user_version", &version);
	if (err == HL_OK)
		err = number(db, "PRAGMA application_id", &application);
	if (err == HL_OK)
		err = number(db, "SELECT count(*) FROM sqlite_master", &tables);
	if (err)
		return err;
	if (tables == 0)
		return index_exec(db, schema);
	if (application != APPLICATION_ID) {
		buf_printf(problem, "The file \"%s\" is a database of another program: choose another KNOWLEDGE_INDEX", file);
		return HL_STORE;
	}
	return version == SCHEMA_VERSION ? HL_OK : HL_CONFLICT;
}

/* Held while the file is opened or put aside, so that nobody opens what another process is renaming. */
static int
lock_file(const char *file)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s.lock", file) >= (int)sizeof(path))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		while (flock(fd, LOCK_EX) != 0 && errno == EINTR)
			;
	return fd;
}

static void
unlock_file(int fd)
{
	if (fd >= 0)
		close(fd);
}

/*
 * SQLite's own file layer makes every path absolute, which fails below a folder that this user may not enter, though the
 * working directory itself is ours: a relative path stays one.
 */
static int
keep_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
	(void)vfs;
	return sqlite3_snprintf(size, out, "%s", name) && (int)strlen(name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static const char *
relative_vfs(void)
{
	static sqlite3_vfs relative;

	if (relative.zName == NULL) {
		relative = *sqlite3_vfs_find(NULL);
		relative.zName = "relative";
		relative.xFullPathname = keep_path;
		sqlite3_vfs_register(&relative, 0);
	}
	return relative.zName;
}

enum hl_err
index_open(const char *file, sqlite3 **ret, struct buf *problem)
{
	sqlite3 *db = NULL;
	int lock = file ? lock_file(file) : -1;
	enum hl_err err;

	*ret = NULL;
	err = index_err(sqlite3_open_v2(file ? file : ":memory:", &db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, relative_vfs()));
	if (err)
		goto out;
	sqlite3_busy_timeout(db, BUSY_MS);
	err = index_exec(db, settings);
	if (err == HL_OK)
		err = ensure_schema(db, file, problem);
out:
	unlock_file(lock);
	if (err == HL_OK) {
		*ret = db;
		return HL_OK;
	}
	if (problem->len == 0)
		buf_printf(problem, "The search index \"%s\" cannot be used: %s", file ? file : "in memory",
		    db ? sqlite3_errmsg(db) : "out of memory");
	sqlite3_close(db);
	return err;
}

enum hl_err
index_discard(const char *file, dev_t dev, ino_t ino)
{
	char path[PATH_MAX];
	struct stat st;
	int lock = lock_file(file);
	enum hl_err err = HL_OK;

	if (lock < 0)
		return HL_STORE;
	if (stat(file, &st) == 0 && st.st_dev == dev && st.st_ino == ino) {
		if (snprintf(path, sizeof(path), "%s.broken", file) >= (int)sizeof(path) || rename(file, path) != 0)
			err = HL_STORE;
		if (err == HL_OK && snprintf(path, sizeof(path), "%s-wal", file) < (int)sizeof(path))
			unlink(path);
		if (err == HL_OK && snprintf(path, sizeof(path), "%s-shm", file) < (int)sizeof(path))
			unlink(path);
	}
	unlock_file(lock);
	return err;
}

/* What index_update() works with. */
struct update {
	sqlite3		*db;
	const char	*folder;
	sqlite3_stmt	*add_file, *add_passage, *set_file, *drop_file, *drop_passages;
	struct buf	 bytes, text, spaced;
	sqlite3_int64	 file;		/* the one that is being read */
	sqlite3_int64	 passages;	/* found in it so far */
};

struct known_file {
	sqlite3_int64	 id;
	char		*path, *stamp;
};

static enum hl_err
run(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	sqlite3_reset(stmt);
	return index_err(rc);
}

static void
bind_text(sqlite3_stmt *stmt, int at, const char *text, size_t len)
{
	sqlite3_bind_text64(stmt, at, text ? text : "", len, SQLITE_STATIC, SQLITE_UTF8);
}

static enum hl_err
add_passage(void *arg, const char *title, const char *text, size_t len)
{
	struct update *u = arg;

	buf_reset(&u->spaced);
	words_spaced(&u->spaced, title, strlen(title));
	words_spaced(&u->spaced, text, len);
	if (u->spaced.err)
		return u->spaced.err;
	sqlite3_bind_int64(u->add_passage, 1, u->file << INDEX_FILE_SHIFT | u->passages++);
	bind_text(u->add_passage, 2, title, strlen(title));
	bind_text(u->add_passage, 3, text, len);
	bind_text(u->add_passage, 4, u->spaced.data, u->spaced.len);
	return run(u->add_passage);
}

/* The file's name without folders and ending: the title of a text that has none. */
static void
name_of(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	char *dot;

	snprintf(name, size, "%s", slash ? slash + 1 : path);
	dot = strrchr(name, '.');
	if (dot != NULL && dot != name)
		*dot = '\0';
}

static bool
is_markdown(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL && strcasecmp(dot, ".txt") != 0;
}

/* Reads and cuts one file.  What cannot be read as text is no error: it is left out, and counted. */
static enum hl_err
index_file(struct update *u, const struct folder_file *file, enum index_file_state *ret_state)
{
	char name[NAME_MAX + 1];
	bool repaired;
	enum hl_err err;

	*ret_state = INDEX_FILE_SKIPPED;
	if (file->size < 0)
		return HL_OK;
	buf_reset(&u->text);
	err = folder_read(u->folder, file->path, &u->bytes);
	if (err == HL_OK)
		err = cut_normalise(&u->text, u->bytes.data, u->bytes.len, &repaired);
	buf_free(&u->bytes);
	if (err)
		return err == HL_NO_MEMORY ? err : HL_OK;
	name_of(file->path, name, sizeof(name));
	*ret_state = repaired ? INDEX_FILE_REPAIRED : INDEX_FILE_GOOD;
	return u->text.len ? cut_text(name, is_markdown(file->path), u->text.data, u->text.len, add_passage, u) : HL_OK;
}

static enum hl_err
add_file(struct update *u, const struct folder_file *file)
{
	enum index_file_state state;
	enum hl_err err;

	bind_text(u->add_file, 1, file->path, strlen(file->path));
	bind_text(u->add_file, 2, file->stamp, strlen(file->stamp));
	err = run(u->add_file);
	if (err)
		return err;
	u->file = sqlite3_last_insert_rowid(u->db);
	u->passages = 0;
	err = index_file(u, file, &state);
	if (err)
		return err;
	if (state == INDEX_FILE_SKIPPED)
		log_line(LOG_LEVEL_WARN, "knowledge_left_out", "file", file->path, "problem", file->size < 0 ?
		    "it is larger than 2 MB, or all of them than 64 MB" : "it cannot be read, or is no text", NULL);
	sqlite3_bind_int(u->set_file, 1, (int)state);
	sqlite3_bind_int64(u->set_file, 2, u->passages);
	sqlite3_bind_int64(u->set_file, 3, u->file);
	return run(u->set_file);
}

static enum hl_err
drop_file(struct update *u, const struct known_file *known)
{
	enum hl_err err;

	sqlite3_bind_int64(u->drop_passages, 1, known->id << INDEX_FILE_SHIFT);
	sqlite3_bind_int64(u->drop_passages, 2, (known->id + 1) << INDEX_FILE_SHIFT);
	err = run(u->drop_passages);
	if (err)
		return err;
	sqlite3_bind_int64(u->drop_file, 1, known->id);
	return run(u->drop_file);
}

static void
known_free(struct known_file *known, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(known[i].path);
		free(known[i].stamp);
	}
	free(known);
}

static char *
column_copy(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return text ? strdup((const char *)text) : NULL;
}

/* The files in the index, in the order of folder_scan(). */
static enum hl_err
known_load(sqlite3 *db, struct known_file **ret, size_t *ret_count)
{
	sqlite3_stmt *stmt = NULL;
	struct known_file *known = NULL;
	size_t count = 0, cap = 0;
	enum hl_err err = index_prepare(db, "SELECT id, path, stamp FROM files ORDER BY path", &stmt);
	int rc = SQLITE_DONE;

	while (err == HL_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (count == cap) {
			struct known_file *more = realloc(known, (cap + 64) * sizeof(*more));

			if (more == NULL) {
				err = HL_NO_MEMORY;
				break;
			}
			known = more;
			cap += 64;
		}
		known[count].id = sqlite3_column_int64(stmt, 0);
		known[count].path = column_copy(stmt, 1);
		known[count].stamp = column_copy(stmt, 2);
		if (known[count].path == NULL || known[count].stamp == NULL)
			err = HL_NO_MEMORY;
		count++;
	}
	if (err == HL_OK)
		err = index_err(rc);
	sqlite3_finalize(stmt);
	*ret = known;
	*ret_count = count;
	return err;
}

/* Walks both lists, which are in the same order, side by side. */
static enum hl_err
apply_differences(struct update *u, const struct folder *folder, const struct known_file *known, size_t known_count)
{
	size_t i = 0, k = 0;
	enum hl_err err = HL_OK;

	while (err == HL_OK && (i < folder->count || k < known_count)) {
		int order = i == folder->count ? 1 : k == known_count ? -1 : strcmp(folder->files[i].path, known[k].path);

		if (order == 0 && strcmp(folder->files[i].stamp, known[k].stamp) == 0) {
			i++;
			k++;
			continue;
		}
		if (order >= 0)
			err = drop_file(u, &known[k++]);
		if (err == HL_OK && order <= 0)
			err = add_file(u, &folder->files[i++]);
	}
	return err;
}

static enum hl_err
write_state(sqlite3 *db, int64_t signature)
{
	sqlite3_stmt *stmt = NULL;
	enum hl_err err;

	/* One segment: a query then looks up each word once. */
	err = index_exec(db, "INSERT INTO passages(passages) VALUES('optimize')");
	if (err == HL_OK)
		err = index_prepare(db, "UPDATE state SET signature=?1, generation=generation+1,"
		    " passages=(SELECT coalesce(sum(passages), 0) FROM files)", &stmt);
	if (err == HL_OK) {
		sqlite3_bind_int64(stmt, 1, signature);
		err = run(stmt);
	}
	sqlite3_finalize(stmt);
	return err;
}

static enum hl_err
prepare_update(struct update *u)
{
	static const char *const sql[] = {
		"INSERT INTO files(path, stamp, state, passages) VALUES(?1, ?2, 0, 0)",
		"INSERT INTO passages(rowid, title, body, spaced) VALUES(?1, ?2, ?3, ?4)",
		"UPDATE files SET state=?1, passages=?2 WHERE id=?3",
		"DELETE FROM files WHERE id=?1",
		"DELETE FROM passages WHERE rowid >= ?1 AND rowid < ?2",
	};
	sqlite3_stmt **stmts[] = { &u->add_file, &u->add_passage, &u->set_file, &u->drop_file, &u->drop_passages };
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]) && err == HL_OK; i++)
		err = index_prepare(u->db, sql[i], stmts[i]);
	return err;
}

static void
finish_update(struct update *u)
{
	sqlite3_finalize(u->add_file);
	sqlite3_finalize(u->add_passage);
	sqlite3_finalize(u->set_file);
	sqlite3_finalize(u->drop_file);
	sqlite3_finalize(u->drop_passages);
	buf_free(&u->bytes);
	buf_free(&u->text);
	buf_free(&u->spaced);
}

static enum hl_err
stored_signature(sqlite3 *db, int64_t *ret)
{
	sqlite3_stmt *stmt = NULL;
	enum hl_err err = index_prepare(db, "SELECT signature FROM state", &stmt);

	if (err == HL_OK) {
		err = index_err(sqlite3_step(stmt));
		*ret = sqlite3_column_int64(stmt, 0);
	}
	sqlite3_finalize(stmt);
	return err;
}

static enum hl_err
update_inside(struct update *u)
{
	struct folder folder;
	struct known_file *known = NULL;
	size_t known_count = 0;
	int64_t signature = 0;
	enum hl_err err;

	/* Scanned with the lock held: nobody with an older view of the folder writes after us. */
	err = folder_scan(u->folder, &folder);
	if (err == HL_OK)
		err = stored_signature(u->db, &signature);
	if (err || signature == folder.signature)
		goto out;
	err = prepare_update(u);
	if (err == HL_OK)
		err = known_load(u->db, &known, &known_count);
	if (err == HL_OK)
		err = apply_differences(u, &folder, known, known_count);
	if (err == HL_OK)
		err = write_state(u->db, folder.signature);
out:
	known_free(known, known_count);
	folder_free(&folder);
	return err;
}

enum hl_err
index_update(sqlite3 *db, const char *folder)
{
	struct update u = { .db = db, .folder = folder, .bytes = BUF_INIT(FOLDER_MAX_FILE + 1),
	    .text = BUF_INIT(4 * FOLDER_MAX_FILE), .spaced = BUF_INIT(8 * FOLDER_MAX_FILE) };
	enum hl_err err = index_exec(db, "BEGIN IMMEDIATE"), undone;

	if (err)
		return err;
	err = update_inside(&u);
	finish_update(&u);
	if (err == HL_OK)
		err = index_exec(db, "COMMIT");
	if (err) {
		undone = index_exec(db, "ROLLBACK");
		(void)undone;	/* what went wrong first is what matters */
	}
	return err;
}
