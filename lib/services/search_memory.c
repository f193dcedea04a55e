#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "services/search_memory.h"

static size_t
slot_of(const char *text)
{
	return str_hash(text, strlen(text)) % MEMORY_SLOTS;
}

static size_t
slot_of_row(int64_t rowid)
{
	return str_hash((const char *)&rowid, sizeof(rowid)) % MEMORY_SLOTS;
}

/* ---- postings ---- */

enum hl_err
posting_new(const char *phrase, struct posting **ret)
{
	size_t size = strlen(phrase) + 1;
	struct posting *p = calloc(1, sizeof(*p) + size);

	*ret = p;
	if (p == NULL)
		return HL_NO_MEMORY;
	memcpy(p->phrase, phrase, size);
	return HL_OK;
}

void
posting_free(struct posting *p)
{
	if (p == NULL)
		return;
	free(p->rows);
	free(p->spots);
	free(p);
}

/* Makes room for one more. */
static enum hl_err
grow(void **list, size_t count, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap + *cap / 2 : 4;
	void *p;

	if (count < *cap)
		return HL_OK;
	p = realloc(*list, more * size);
	if (p == NULL)
		return HL_NO_MEMORY;
	*list = p;
	*cap = more;
	return HL_OK;
}

enum hl_err
posting_add(struct posting *p, int64_t rowid, uint32_t spot)
{
	enum hl_err err = grow((void **)&p->spots, p->spot_count, &p->spot_cap, sizeof(p->spots[0]));

	if (err == HL_OK && (p->count == 0 || p->rows[p->count - 1].rowid != rowid)) {
		err = grow((void **)&p->rows, p->count, &p->cap, sizeof(p->rows[0]));
		if (err == HL_OK)
			p->rows[p->count++] = (struct posted){ .rowid = rowid, .first = (uint32_t)p->spot_count };
	}
	if (err)
		return err;
	p->spots[p->spot_count++] = spot;
	p->rows[p->count - 1].count++;
	return HL_OK;
}

struct posting *
memory_posting(const struct search_memory *m, const char *phrase)
{
	struct posting *p = m->postings[slot_of(phrase)];

	while (p != NULL && strcmp(p->phrase, phrase) != 0)
		p = p->next;
	return p;
}

void
memory_keep_posting(struct search_memory *m, struct posting *take)
{
	size_t slot = slot_of(take->phrase);

	take->next = m->postings[slot];
	m->postings[slot] = take;
	m->bytes += sizeof(*take) + strlen(take->phrase) + take->cap * sizeof(take->rows[0]) +
	    take->spot_cap * sizeof(take->spots[0]);
}

/* ---- words ---- */

struct known *
memory_word(const struct search_memory *m, const char *word)
{
	struct known *k = m->words[slot_of(word)];

	while (k != NULL && strcmp(k->word, word) != 0)
		k = k->next;
	return k;
}

enum hl_err
memory_keep_word(struct search_memory *m, const char *word, const struct reading *readings, size_t count, int64_t passages,
    bool guessed, struct known **ret)
{
	size_t slot = slot_of(word), size = strlen(word) + 1;
	struct known *k = calloc(1, sizeof(*k) + size);

	*ret = NULL;
	if (k != NULL)
		k->readings = malloc(count * sizeof(*readings));
	if (k == NULL || k->readings == NULL) {
		free(k);
		return HL_NO_MEMORY;
	}
	memcpy(k->word, word, size);
	memcpy(k->readings, readings, count * sizeof(*readings));
	k->count = count;
	k->passages = passages;
	k->guessed = guessed;
	k->next = m->words[slot];
	m->words[slot] = k;
	m->bytes += sizeof(*k) + size + count * sizeof(*readings);
	*ret = k;
	return HL_OK;
}

/* ---- passages ---- */

struct passage *
memory_passage(const struct search_memory *m, int64_t rowid)
{
	const struct memory_passage *p = m->passages[slot_of_row(rowid)];

	while (p != NULL && p->rowid != rowid)
		p = p->next;
	return p ? p->passage : NULL;
}

enum hl_err
memory_keep_passage(struct search_memory *m, int64_t rowid, struct passage *passage)
{
	size_t slot = slot_of_row(rowid);
	struct memory_passage *p = malloc(sizeof(*p));

	if (p == NULL)
		return HL_NO_MEMORY;
	*p = (struct memory_passage){ .next = m->passages[slot], .rowid = rowid, .passage = passage_ref(passage) };
	m->passages[slot] = p;
	m->bytes += sizeof(*p) + passage->bytes;
	return HL_OK;
}

/* ---- all of it ---- */

void
memory_forget(struct search_memory *m)
{
	if (m->bytes == 0)
		return;
	for (size_t i = 0; i < MEMORY_SLOTS; i++) {
		struct posting *posting;
		struct known *word;
		struct memory_passage *passage;

		while ((posting = m->postings[i]) != NULL) {
			m->postings[i] = posting->next;
			posting_free(posting);
		}
		while ((word = m->words[i]) != NULL) {
			m->words[i] = word->next;
			free(word->readings);
			free(word);
		}
		while ((passage = m->passages[i]) != NULL) {
			m->passages[i] = passage->next;
			passage_release(passage->passage);
			free(passage);
		}
	}
	m->bytes = 0;
}
