#include <sys/stat.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "services/search_folder.h"
#include "services/search_parts.h"

/* --- the query --- */

/* Reads a passage, and remembers it. */
static enum hl_err
fetch(struct search *s, sqlite3_int64 rowid, struct passage **ret)
{
	const char *texts[3];
	enum hl_err err = HL_OK;
	int rc;

	*ret = NULL;
	sqlite3_bind_int64(s->fetch, 1, rowid);
	sqlite3_bind_int64(s->fetch, 2, rowid >> INDEX_FILE_SHIFT);
	rc = sqlite3_step(s->fetch);
	if (rc != SQLITE_ROW)
		err = rc == SQLITE_DONE ? HL_CONFLICT : index_err(rc);	/* the index names a row that is not there */
	for (int i = 0; i < 3 && err == HL_OK; i++) {
		texts[i] = (const char *)sqlite3_column_text(s->fetch, i);
		if (texts[i] == NULL)
			err = HL_NO_MEMORY;
	}
	if (err == HL_OK)
		err = passage_new(texts[0], texts[1], texts[2], ret);
	sqlite3_reset(s->fetch);
	if (err == HL_OK) {
		err = memory_keep_passage(&s->memory, rowid, *ret);
		if (err) {
			passage_release(*ret);
			*ret = NULL;
		}
	}
	return err;
}

static enum hl_err
passage_at(struct search *s, const struct candidate *found, struct search_hit *ret)
{
	struct passage *p = memory_passage(&s->memory, found->rowid);

	*ret = (struct search_hit){ .score = found->score };
	if (p == NULL)
		return s->asked->recall ? HL_BUSY : fetch(s, found->rowid, &ret->passage);
	ret->passage = passage_ref(p);
	return HL_OK;
}

static enum hl_err
step_once(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	sqlite3_reset(stmt);
	return index_err(rc);
}

/* What is in memory is of an index that there is no more. */
static void
forget(struct search *s)
{
	vocab_free(&s->vocab);
	memory_forget(&s->memory);
	s->generation = -1;
}

static enum hl_err
load_vocab(struct search *s)
{
	sqlite3_stmt *stmt = NULL;
	enum hl_err err = index_prepare(s->db, "SELECT term, doc FROM temp.vocab", &stmt);
	int rc = SQLITE_DONE;

	forget(s);
	while (err == HL_OK && !s->vocab.partial && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *term = (const char *)sqlite3_column_text(stmt, 0);

		if (term == NULL)
			err = HL_NO_MEMORY;
		else
			err = vocab_add(&s->vocab, term, (size_t)sqlite3_column_bytes(stmt, 0),
			    (uint32_t)sqlite3_column_int64(stmt, 1));
	}
	if (err == HL_OK)
		err = index_err(rc);
	sqlite3_finalize(stmt);
	return err;
}

/* Inside a transaction: what is kept in memory is of the same moment as the index. */
static enum hl_err
sync_state(struct search *s)
{
	enum hl_err err = index_err(sqlite3_step(s->state));
	sqlite3_int64 generation = sqlite3_column_int64(s->state, 0);
	size_t passages = (size_t)sqlite3_column_int64(s->state, 1);

	sqlite3_reset(s->state);
	if (err || generation == s->generation)
		return err;
	err = load_vocab(s);
	if (err == HL_OK) {
		s->generation = generation;
		atomic_store(&s->passages, passages);
	}
	return err;
}

/* HL_BUSY with recall: the index has to be asked. */
static enum hl_err
answer(struct search *s, const char *text, size_t len, bool recall, size_t max, struct search_hit *ret_hits, size_t *count)
{
	struct candidate found[CANDIDATES];
	struct question *q = s->asked;
	size_t n, rows = 0;
	enum hl_err err;

	if (recall && s->memory.bytes > MEMORY_MAX)
		return HL_BUSY;
	q->recall = recall;
	err = question_read(s, text, len, q);
	if (err)
		return err;
	for (size_t i = 0; i < q->phrase_count; i++)
		rows += q->phrases[i].posting ? q->phrases[i].posting->count : 0;
	if (recall && rows > RECALL_ROWS)
		return HL_BUSY;
	rank_passages(q, found, &n);
	for (; *count < max && *count < n && err == HL_OK; *count += err == HL_OK)
		err = passage_at(s, &found[*count], &ret_hits[*count]);
	return err;
}

static enum hl_err
query_once(struct search *s, const char *text, size_t len, size_t max, struct search_hit *ret_hits, size_t *count)
{
	enum hl_err err = step_once(s->begin), ended;

	if (err)
		return err;
	err = sync_state(s);
	if (err == HL_OK)
		err = answer(s, text, len, false, max, ret_hits, count);
	if (s->memory.bytes > MEMORY_MAX)
		memory_forget(&s->memory);	/* the hits have their own references */
	ended = step_once(s->end);
	if (err) {
		search_hits_free(ret_hits, *count);
		*count = 0;
	}
	return err ? err : ended;
}

/* --- opening, closing, recovering --- */

static void
close_db(struct search *s)
{
	sqlite3_stmt **stmts[] = { &s->begin, &s->end, &s->state, &s->match, &s->fetch, &s->count };

	for (size_t i = 0; i < sizeof(stmts) / sizeof(stmts[0]); i++) {
		sqlite3_finalize(*stmts[i]);
		*stmts[i] = NULL;
	}
	if (s->stemmer != NULL)
		s->tokenizer.xDelete(s->stemmer);
	s->stemmer = NULL;
	forget(s);
	s->synonym_count = 0;
	sqlite3_close(s->db);
	s->db = NULL;
}

static fts5_api *
fts5_of(sqlite3 *db)
{
	fts5_api *api = NULL;
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &stmt, NULL) == SQLITE_OK) {
		sqlite3_bind_pointer(stmt, 1, &api, "fts5_api_ptr", NULL);
		sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	return api;
}

static enum hl_err
prepare_fts5(struct search *s)
{
	const char *arguments[] = { "unicode61", "remove_diacritics", "2" };	/* INDEX_TOKENIZER */
	fts5_api *api = fts5_of(s->db);
	enum hl_err err;
	void *data;
	int rc;

	if (api == NULL)
		return HL_STORE;	/* a SQLite built without FTS5 */
	err = rank_register(s, api);
	if (err)
		return err;
	rc = api->xFindTokenizer(api, "porter", &data, &s->tokenizer);
	if (rc == SQLITE_OK)
		rc = s->tokenizer.xCreate(data, arguments, 3, &s->stemmer);
	if (rc == SQLITE_OK)
		synonyms_load(s);
	return index_err(rc);
}

static enum hl_err
prepare_statements(struct search *s)
{
	static const char *const sql[] = {
		"BEGIN",
		"COMMIT",
		"SELECT generation, passages, signature FROM state",
		"SELECT posted(passages) FROM passages WHERE passages MATCH ?1",
		"SELECT (SELECT path FROM files WHERE id=?2), title, body FROM passages WHERE rowid=?1",
		"SELECT doc FROM temp.vocab WHERE term=?1",
	};
	sqlite3_stmt **stmts[] = { &s->begin, &s->end, &s->state, &s->match, &s->fetch, &s->count };
	enum hl_err err = index_exec(s->db, "CREATE VIRTUAL TABLE temp.vocab USING fts5vocab(main, passages, row)");

	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]) && err == HL_OK; i++)
		err = index_prepare(s->db, sql[i], stmts[i]);
	return err;
}

static enum hl_err
open_db(struct search *s, struct buf *problem)
{
	struct stat st;
	enum hl_err err = index_open(s->file, &s->db, problem);

	if (s->file != NULL && stat(s->file, &st) == 0) {
		s->dev = st.st_dev;
		s->ino = st.st_ino;
	}
	if (err == HL_OK)
		err = prepare_fts5(s);
	if (err == HL_OK)
		err = prepare_statements(s);
	if (err && problem->len == 0)
		buf_printf(problem, "The search index cannot be used: %s", s->db ? sqlite3_errmsg(s->db) : err_text(err));
	if (err)
		close_db(s);
	return err;
}

/* Opens the index; one that is damaged or of another version is put aside first. */
static enum hl_err
open_or_rebuild(struct search *s, struct buf *problem)
{
	enum hl_err err = open_db(s, problem);

	if (err != HL_CONFLICT || s->file == NULL)
		return err;
	err = index_discard(s->file, s->dev, s->ino);
	if (err)
		return err;
	buf_reset(problem);
	return open_db(s, problem);
}

/* Another process may have put the file aside: then ours has no name any more, and is behind. */
static bool
was_replaced(const struct search *s)
{
	struct stat st;

	return s->file != NULL && (stat(s->file, &st) != 0 || st.st_dev != s->dev || st.st_ino != s->ino);
}

static enum hl_err
reopen(struct search *s)
{
	struct buf problem = BUF_INIT(INDEX_PROBLEM);
	enum hl_err err;

	close_db(s);
	err = open_or_rebuild(s, &problem);
	buf_free(&problem);
	return err;
}

/*
 * Writes with a connection of its own, so that queries go on meanwhile; an index in memory has only one.  One that was just
 * made has nothing to tell yet: questions wait for it.
 */
static enum hl_err
update(struct search *s)
{
	struct buf problem = BUF_INIT(INDEX_PROBLEM);
	bool tells = s->generation > 0;
	sqlite3 *writer = NULL;
	enum hl_err err;

	if (s->file == NULL)
		return index_update(s->db, s->folder);
	if (tells)
		uv_mutex_unlock(&s->lock);
	err = index_open(s->file, &writer, &problem);
	if (err == HL_OK)
		err = index_update(writer, s->folder);
	sqlite3_close(writer);
	buf_free(&problem);
	malloc_trim(0);		/* a megabyte or two that is not needed again until the next change */
	if (tells)
		uv_mutex_lock(&s->lock);
	return err;
}

/* Whether the index is as the folder is. */
static enum hl_err
is_current(struct search *s, bool *ret)
{
	struct folder folder;
	enum hl_err err = folder_scan(s->folder, &folder);

	*ret = false;
	if (err == HL_OK) {
		err = index_err(sqlite3_step(s->state));
		*ret = sqlite3_column_int64(s->state, 2) == folder.signature;
		sqlite3_reset(s->state);
	}
	folder_free(&folder);
	return err;
}

static enum hl_err
refresh_once(struct search *s)
{
	bool current;
	enum hl_err err = HL_OK, ended;

	if (s->db == NULL || was_replaced(s))
		err = reopen(s);
	if (err == HL_OK)
		err = is_current(s, &current);
	if (err == HL_OK && !current)
		err = update(s);
	if (err == HL_OK && s->db != NULL)
		err = step_once(s->begin);
	if (err || s->db == NULL)
		return err;
	err = sync_state(s);
	ended = step_once(s->end);
	return err ? err : ended;
}

/* After HL_CONFLICT: a new file, filled from the folder. */
static enum hl_err
rebuild(struct search *s)
{
	enum hl_err err;

	close_db(s);
	if (s->file != NULL && !was_replaced(s)) {
		err = index_discard(s->file, s->dev, s->ino);
		if (err)
			return err;
	}
	err = refresh_once(s);
	return err == HL_CONFLICT ? HL_STORE : err;
}

enum hl_err
search_refresh(struct search *s)
{
	enum hl_err err;

	uv_mutex_lock(&s->lock);
	err = refresh_once(s);
	if (err == HL_CONFLICT)
		err = rebuild(s);
	uv_mutex_unlock(&s->lock);
	return err;
}

enum hl_err
search_query(struct search *s, const char *question, size_t len, size_t max, struct search_hit *ret_hits, size_t *count)
{
	enum hl_err err = HL_OK;

	*count = 0;
	if (!utf8_valid(question, len))
		return HL_OK;
	uv_mutex_lock(&s->lock);
	if (s->db == NULL)
		err = refresh_once(s);
	if (err == HL_OK)
		err = query_once(s, question, len, max, ret_hits, count);
	if (err == HL_CONFLICT) {
		err = rebuild(s);
		if (err == HL_OK)
			err = query_once(s, question, len, max, ret_hits, count);
	}
	uv_mutex_unlock(&s->lock);
	return err;
}

bool
search_recall(struct search *s, const char *question, size_t len, size_t max, struct search_hit *ret_hits, size_t *count)
{
	bool known;

	*count = 0;
	if (!utf8_valid(question, len))
		return true;
	if (uv_mutex_trylock(&s->lock) != 0)
		return false;
	known = s->generation >= 0 && answer(s, question, len, true, max, ret_hits, count) == HL_OK;
	uv_mutex_unlock(&s->lock);
	if (!known) {
		search_hits_free(ret_hits, *count);
		*count = 0;
	}
	return known;
}

static enum hl_err
allocate(const char *folder, const char *file, struct search **ret)
{
	struct search *s = calloc(1, sizeof(*s));

	*ret = NULL;
	if (s == NULL)
		return HL_NO_MEMORY;
	if (uv_mutex_init(&s->lock) != 0) {
		free(s);
		return HL_NO_MEMORY;
	}
	s->vocab = VOCAB_INIT;
	s->generation = -1;
	s->folder = strdup(folder);
	s->file = file && *file ? strdup(file) : NULL;
	s->asked = calloc(1, sizeof(*s->asked));
	*ret = s;
	if (s->folder == NULL || s->asked == NULL || (file && *file && s->file == NULL))
		return HL_NO_MEMORY;
	return lexicon_new(&s->lexicon);
}

enum hl_err
search_open(const char *folder, const char *index_file, struct search **ret, struct buf *problem)
{
	struct search *s;
	enum hl_err err = allocate(folder, index_file, &s);

	*ret = NULL;
	if (err == HL_OK)
		err = open_or_rebuild(s, problem);
	if (err == HL_OK) {
		err = search_refresh(s);
		if (err == HL_NOT_FOUND)
			buf_printf(problem, "The knowledge folder \"%s\" (KNOWLEDGE_PATH) does not exist or cannot be read",
			    folder);
	}
	if (err && problem->len == 0)
		buf_printf(problem, "The knowledge in \"%s\" cannot be indexed: %s", folder, err_text(err));
	if (err) {
		search_close(s);
		return err;
	}
	*ret = s;
	return HL_OK;
}

void
search_close(struct search *s)
{
	if (s == NULL)
		return;
	close_db(s);
	uv_mutex_destroy(&s->lock);
	lexicon_free(s->lexicon);
	free(s->asked);
	free(s->folder);
	free(s->file);
	free(s);
}

void
search_hits_free(struct search_hit *hits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		passage_release(hits[i].passage);
		hits[i] = (struct search_hit){ 0 };
	}
}

size_t
search_passages(const struct search *s)
{
	return atomic_load(&s->passages);
}

static size_t
count_files(struct search *s, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	size_t n = 0;

	if (s->db != NULL && index_prepare(s->db, sql, &stmt) == HL_OK && sqlite3_step(stmt) == SQLITE_ROW)
		n = (size_t)sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

void
search_counts(struct search *s, struct search_counts *ret)
{
	uv_mutex_lock(&s->lock);
	ret->files = count_files(s, "SELECT count(*) FROM files WHERE state < 2");
	ret->repaired = count_files(s, "SELECT count(*) FROM files WHERE state = 1");
	ret->skipped = count_files(s, "SELECT count(*) FROM files WHERE state = 2");
	uv_mutex_unlock(&s->lock);
}

enum small_talk
search_small_talk(const struct search *s, const char *text, size_t len)
{
	return utf8_valid(text, len) ? words_small_talk(s->lexicon, text, len) : TALK_NONE;
}
