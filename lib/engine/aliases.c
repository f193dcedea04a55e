/*
 * Aliases are paths of words in a trie, and the trie is an automaton (Aho and Corasick, 1975): a text takes one step a word,
 * and falls, of which there are never more than steps.  A word is 64 bits of a keyed hash of its folded letters.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fold.h"
#include "base/id.h"
#include "base/str.h"
#include "engine/aliases.h"
#include "engine/words.h"

#define ROOT		0u
#define NODES_MAX	(16u * 1024 * 1024)

struct node {
	uint64_t word;			/* leads here from the parent */
	uint32_t parent, depth;
	uint32_t fall;			/* the longest other path that ends with the same words */
	uint32_t hit;			/* the longest alias that ends here: this path, or one down the falls; ROOT: none */
	uint32_t letters;		/* on the path */
	bool	 alias;
	size_t	 index;			/* what it stands for */
};

struct aliases {
	struct node	*nodes;		/* the root first, a child after its parent */
	uint32_t	 count;
	uint32_t	*table;		/* of numbers of nodes by parent and word, open addressing; ROOT: free */
	uint32_t	 mask;
	uint64_t	 seed;
};

/* ---- words ---- */

struct token { uint64_t hash; uint32_t letters; };

/* The finalizer of MurmurHash3: every bit of x counts in every bit of what comes out. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
	return x ^ x >> 33;
}

static void
put(struct token *t, uint32_t c)
{
	t->hash = mix(t->hash ^ c);
	t->letters++;
}

static void
put_folded(struct token *t, uint32_t c)
{
	uint32_t letters[FOLD_MAX];
	size_t n = fold_letter(c, letters);

	for (size_t i = 0; i < n; i++)
		put(t, letters[i]);
}

static bool
is_unseen(uint32_t c)
{
	uint32_t letters[FOLD_MAX];

	return fold_letter(c, letters) == 0;
}

static bool
is_sign(uint32_t c)
{
	return c == '&' || c == '+' || c == '#';
}

/* The next word of [*at, end), or false. */
static bool
next_token(uint64_t seed, const char **at, const char *end, struct token *ret)
{
	*ret = (struct token){ .hash = seed };
	while (*at < end) {
		const char *here = *at;
		uint32_t c = fold_next(at, end);

		if (c >= 0xff01 && c <= 0xff5e)
			c -= 0xfee0;		/* full width */
		if (is_unseen(c))
			continue;
		if (c != 0xfffd && uni_is_letter_or_digit(c) && !word_unspaced(c)) {
			put_folded(ret, c);
			continue;
		}
		if (ret->letters) {
			*at = here;
			break;
		}
		if (is_sign(c) || (c != 0xfffd && uni_is_letter_or_digit(c))) {
			put_folded(ret, c);
			break;
		}
	}
	return ret->letters > 0;
}

bool
alias_usable(const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end) {
		uint32_t c = utf8_next(&text, end);

		if (c != 0xfffd && !is_unseen(c) && uni_is_letter_or_digit(c))
			return true;
	}
	return false;
}

/* ---- the trie ---- */

static uint32_t *
slot(const struct aliases *a, uint32_t parent, uint64_t word)
{
	uint32_t i = (uint32_t)mix(word ^ parent) & a->mask, n;

	while ((n = a->table[i]) != ROOT && (a->nodes[n].parent != parent || a->nodes[n].word != word))
		i = (i + 1) & a->mask;
	return &a->table[i];
}

static uint32_t
child(const struct aliases *a, uint32_t parent, uint64_t word)
{
	return *slot(a, parent, word);
}

static uint32_t
step(const struct aliases *a, uint32_t node, uint64_t word)
{
	uint32_t next;

	while ((next = child(a, node, word)) == ROOT && node != ROOT)
		node = a->nodes[node].fall;
	return next;
}

static void
insert(struct aliases *a, const struct alias *alias)
{
	const char *at = alias->text, *end = at + alias->len;
	uint32_t node = ROOT, *place;
	struct token t;

	if (!alias_usable(at, alias->len))
		return;
	while (next_token(a->seed, &at, end, &t)) {
		place = slot(a, node, t.hash);
		if (*place == ROOT) {
			a->nodes[a->count] = (struct node){ .word = t.hash, .parent = node, .depth = a->nodes[node].depth + 1,
				.letters = a->nodes[node].letters + t.letters };
			*place = a->count++;
		}
		node = *place;
	}
	if (a->nodes[node].alias)
		return;
	a->nodes[node].alias = true;
	a->nodes[node].index = alias->index;
}

/* Where a node falls to depends on shorter paths alone: those first.  order has room for three numbers a node. */
static void
sort_by_depth(const struct aliases *a, uint32_t *order)
{
	uint32_t *first = order + a->count, *sibling = first + a->count, n = 0, to, node;

	/* Lists of children: the first one of a node, and the next one of the same parent. */
	for (node = a->count; node-- > 1; ) {
		sibling[node] = first[a->nodes[node].parent];
		first[a->nodes[node].parent] = node;
	}
	order[n++] = ROOT;
	for (uint32_t from = 0; from < n; from++)
		for (to = first[order[from]]; to != ROOT; to = sibling[to])
			order[n++] = to;
}

static enum hl_err
set_falls(struct aliases *a)
{
	uint32_t *order = calloc((size_t)a->count * 3, sizeof(*order));

	if (order == NULL)
		return HL_NO_MEMORY;
	sort_by_depth(a, order);
	for (uint32_t i = 1; i < a->count; i++) {
		struct node *n = &a->nodes[order[i]];

		n->fall = n->depth == 1 ? ROOT : step(a, a->nodes[n->parent].fall, n->word);
		n->hit = n->alias ? order[i] : a->nodes[n->fall].hit;
	}
	free(order);
	return HL_OK;
}

/* Room for a node for each word that there is. */
static enum hl_err
reserve(struct aliases *a, const struct alias *list, size_t count)
{
	size_t words = 1, size = 16;
	struct token t;

	for (size_t i = 0; i < count; i++) {
		const char *at = list[i].text;

		while (next_token(a->seed, &at, list[i].text + list[i].len, &t))
			words++;
	}
	if (words > NODES_MAX)
		return HL_TOO_LARGE;
	while (size < words * 2)
		size *= 2;
	a->mask = (uint32_t)size - 1;
	a->nodes = calloc(words, sizeof(*a->nodes));
	a->table = calloc(size, sizeof(*a->table));
	a->count = 1;
	return a->nodes && a->table ? HL_OK : HL_NO_MEMORY;
}

enum hl_err
aliases_new(const struct alias *list, size_t count, struct aliases **ret)
{
	struct aliases *a = calloc(1, sizeof(*a));
	char random[ID_LEN + 1];
	enum hl_err err;

	*ret = NULL;
	if (a == NULL)
		return HL_NO_MEMORY;
	id_new(random);
	for (size_t i = 0; i < ID_LEN; i++)
		a->seed = mix(a->seed ^ (unsigned char)random[i]);
	err = reserve(a, list, count);
	for (size_t i = 0; i < count && err == HL_OK; i++)
		insert(a, &list[i]);
	if (err == HL_OK)
		err = set_falls(a);
	if (err) {
		aliases_free(a);
		return err;
	}
	*ret = a;
	return HL_OK;
}

void
aliases_free(struct aliases *a)
{
	if (a == NULL)
		return;
	free(a->nodes);
	free(a->table);
	free(a);
}

bool
aliases_find(const struct aliases *a, const char *text, size_t len, size_t *ret_index)
{
	const char *end = text + len;
	uint32_t node = ROOT, hit, best = ROOT;
	struct token t;

	if (a == NULL)
		return false;
	while (next_token(a->seed, &text, end, &t)) {
		node = step(a, node, t.hash);
		hit = a->nodes[node].hit;
		if (a->nodes[hit].letters > a->nodes[best].letters)
			best = hit;
	}
	if (best != ROOT)
		*ret_index = a->nodes[best].index;
	return best != ROOT;
}

/* ---- of agents ---- */

enum hl_err
aliases_of_agents(const struct agents *agents, bool with_token, struct aliases **ret)
{
	size_t most = agents->count, n = 0, len;
	struct alias *list;
	enum hl_err err;

	*ret = NULL;
	for (size_t i = 0; i < agents->count; i++)
		most += json_length(agents->list[i].aliases);
	list = calloc(most ? most : 1, sizeof(*list));
	if (list == NULL)
		return HL_NO_MEMORY;
	for (size_t i = 0; i < agents->count; i++) {
		const struct agent *a = &agents->list[i];

		for (size_t j = 0; j < json_length(a->aliases) && agent_takes_calls(a, with_token); j++) {
			const char *text = json_string(json_at(a->aliases, j), &len);

			if (text)
				list[n++] = (struct alias){ text, len, i };
		}
	}
	for (size_t i = 0; i < agents->count; i++)
		if (agents->list[i].company && agent_takes_calls(&agents->list[i], with_token))
			list[n++] = (struct alias){ agents->list[i].company, strlen(agents->list[i].company), i };
	err = aliases_new(list, n, ret);
	free(list);
	return err;
}
