#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/queue.h"

void
queue_init(struct queue *q, size_t most)
{
	memset(q, 0, sizeof(*q));
	q->most = most;
	(void)!getrandom(&q->seed, sizeof(q->seed), GRND_NONBLOCK);	/* failing, places can be guessed, no more */
}

/* ---- the tree ---- */

static uint64_t
key_of(uint64_t seed, const char *name)
{
	uint64_t h = seed ^ 14695981039346656037u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return h ^ h >> 29;
}

static struct queue_node **
bucket(struct queue *q, uint64_t key)
{
	return &q->table[key % QUEUE_BUCKETS];
}

/* Behind all others of its parent. */
static void
append(struct queue_node *parent, struct queue_node *n)
{
	n->parent = parent;
	n->first = NULL;
	if (parent->first == NULL) {
		parent->first = n->next = n->before = n;
		return;
	}
	n->next = parent->first;
	n->before = parent->first->before;
	n->before->next = n->next->before = n;
}

static void
detach(struct queue_node *n)
{
	struct queue_node *parent = n->parent;

	if (parent->first == n)
		parent->first = n->next == n ? NULL : n->next;
	n->before->next = n->next;
	n->next->before = n->before;
}

static void
group_free(struct queue *q, struct queue_node *g)
{
	struct queue_node **at = bucket(q, g->key);

	while (*at != g)
		at = &(*at)->in_bucket;
	*at = g->in_bucket;
	detach(g);
	free(g);
}

/* A visitor's key is of both names, so that all lie in one table. */
static struct queue_node *
group(struct queue *q, struct queue_node *parent, const char *name)
{
	uint64_t key = key_of(q->seed ^ parent->key, name);
	struct queue_node *g;

	for (g = *bucket(q, key); g; g = g->in_bucket)
		if (g->key == key && g->parent == parent)
			return g;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	g->key = key;
	g->in_bucket = *bucket(q, key);
	*bucket(q, key) = g;
	append(parent, g);
	return g;
}

/* Takes the turn out, and its visitor and company if nothing of theirs is left. */
static void
take_out(struct queue *q, struct queue_turn *t)
{
	struct queue_node *visitor = t->node.parent, *company = visitor->parent;

	detach(&t->node);
	q->waiting--;
	if (visitor->first == NULL)
		group_free(q, visitor);
	if (company->first == NULL)
		group_free(q, company);
}

/* ---- the queue ---- */

enum hl_err
queue_enter(struct queue *q, struct queue_turn *t, const char *company, const char *visitor)
{
	struct queue_node *c, *v;

	t->begun = q->most == 0 || q->under_way < q->most;
	if (t->begun) {
		q->under_way++;
		return HL_OK;
	}
	c = group(q, &q->root, company);
	if (c == NULL)
		return HL_NO_MEMORY;
	v = group(q, c, visitor);
	if (v == NULL) {
		if (c->first == NULL)
			group_free(q, c);
		return HL_NO_MEMORY;
	}
	append(v, &t->node);
	q->waiting++;
	return HL_OK;
}

void
queue_withdraw(struct queue *q, struct queue_turn *t)
{
	take_out(q, t);
}

struct queue_turn *
queue_end(struct queue *q)
{
	struct queue_node *company = q->root.first, *visitor;
	struct queue_turn *t;

	q->under_way--;
	if (company == NULL)
		return NULL;
	visitor = company->first;
	t = (struct queue_turn *)visitor->first;	/* its node is its first member */
	q->root.first = company->next;			/* the next ones' turn comes first */
	company->first = visitor->next;
	take_out(q, t);
	t->begun = true;
	q->under_way++;
	return t;
}
