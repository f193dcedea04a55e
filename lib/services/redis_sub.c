#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "services/redis_link.h"

#define BUCKETS		1024u		/* of the table of channels, to start with */

struct channel {
	struct channel	*next;		/* in its bucket */
	struct redis_sub *subs;
	struct redis	*redis;
	bool		 confirmed;
	bool		 asked;		/* SUBSCRIBE sent and not taken back */
	bool		 leaving;	/* UNSUBSCRIBE sent, its reply not seen */
	bool		 pattern;	/* the name is one: PSUBSCRIBE */
	bool		 calling;	/* its subscribers are being called */
	uint32_t	 hash;
	char		 name[];
};

struct redis_sub {
	struct redis_sub *next;
	struct channel	*channel;
	const struct redis_sub_calls *calls;
	void		*arg;
	bool		 dead;
};

/* FNV-1a; the names are keyed hashes already, nobody can choose them to collide. */
static struct channel **
channel_slot(struct redis *r, const char *name, uint32_t hash)
{
	struct channel **slot = &r->table[hash & (r->buckets - 1)];

	while (*slot && ((*slot)->hash != hash || strcmp((*slot)->name, name) != 0))
		slot = &(*slot)->next;
	return slot;
}

static void
grow_table(struct redis *r)
{
	size_t wanted = r->buckets * 4;
	struct channel **table = calloc(wanted, sizeof(*table)), *c, *next;

	if (table == NULL)
		return;			/* it stays slower, not wrong */
	for (size_t i = 0; i < r->buckets; i++)
		for (c = r->table[i]; c; c = next) {
			next = c->next;
			c->next = table[c->hash & (wanted - 1)];
			table[c->hash & (wanted - 1)] = c;
		}
	free(r->table);
	r->table = table;
	r->buckets = wanted;
}

static struct channel *
channel_get(struct redis *r, const char *name)
{
	uint32_t hash = str_hash(name, strlen(name));
	struct channel **slot = channel_slot(r, name, hash), *c = *slot;

	if (c)
		return c;
	c = calloc(1, sizeof(*c) + strlen(name) + 1);
	if (c == NULL)
		return NULL;
	strcpy(c->name, name);
	c->hash = hash;
	c->redis = r;
	*slot = c;
	if (++r->channels > r->buckets)
		grow_table(r);
	return c;
}

static void channel_settle(struct channel *);

/* Calls every subscriber; one of them may end its own or another's subscription meanwhile. */
static void
channel_call(struct channel *c, const char *payload, size_t len)
{
	c->calling = true;
	for (struct redis_sub *s = c->subs; s; s = s->next) {
		if (s->dead)
			continue;
		if (payload)
			s->calls->message(s->arg, payload, len);
		else if (s->calls->ready)
			s->calls->ready(s->arg);
	}
	c->calling = false;
	channel_settle(c);
}

static void
on_published(redisAsyncContext *ac, void *reply, void *arg)
{
	const redisReply *r = reply, *payload;
	struct channel *c = arg;

	(void)ac;
	if (r == NULL) {			/* the connection is gone; subs_resume() asks again */
		c->confirmed = c->asked = c->leaving = false;
		channel_settle(c);
		return;
	}
	if (r->type != REDIS_REPLY_ARRAY || r->elements < 3)
		return;
	/* "message" channel payload, "pmessage" pattern channel payload, "subscribe" channel number, … */
	payload = r->element[r->elements - 1];
	if (payload->type == REDIS_REPLY_STRING) {
		channel_call(c, payload->str, (size_t)payload->len);
	} else if (strcmp(r->element[0]->str + c->pattern, "subscribe") == 0) {
		c->confirmed = true;
		channel_call(c, NULL, 0);
	} else {				/* "unsubscribe" */
		c->confirmed = c->asked = c->leaving = false;
		channel_settle(c);
	}
}

static void
channel_ask(struct channel *c)
{
	struct link *l = &c->redis->subscriptions;

	if (!l->up || c->asked)
		return;
	if (redisAsyncCommand(l->ac, on_published, c, c->pattern ? "PSUBSCRIBE %b" : "SUBSCRIBE %b", c->name,
	    strlen(c->name)) == REDIS_OK)
		c->asked = true;
}

/*
 * Brings the server's view in line with who listens.  hiredis 0.14 forgets a subscription that is asked for again before
 * its UNSUBSCRIBE has been answered, so that is waited for.
 */
static void
channel_settle(struct channel *c)
{
	struct redis_sub **at = &c->subs, *s;
	struct redis *r = c->redis;

	if (c->calling || c->leaving)
		return;
	while ((s = *at) != NULL) {
		if (s->dead) {
			*at = s->next;
			free(s);
		} else
			at = &s->next;
	}
	if (c->subs) {
		channel_ask(c);
		return;
	}
	if (c->asked && r->subscriptions.up) {
		/* If that cannot be sent the channel stays, subscribed: hiredis still points to it. */
		if (redisAsyncCommand(r->subscriptions.ac, NULL, NULL, c->pattern ? "PUNSUBSCRIBE %b" : "UNSUBSCRIBE %b", c->name,
		    strlen(c->name)) == REDIS_OK) {
			c->leaving = true;
			c->confirmed = false;
		}
		return;
	}
	*channel_slot(r, c->name, c->hash) = c->next;
	r->channels--;
	free(c);
}

/* A connection that is subscribed to nothing would change its mode in hiredis; this channel keeps it in one. */
static void
on_nothing(redisAsyncContext *ac, void *reply, void *arg)
{
	(void)ac;
	(void)reply;
	(void)arg;
}

void
subs_resume(struct redis *r)
{
	redisAsyncCommand(r->subscriptions.ac, on_nothing, NULL, "SUBSCRIBE helpline:none");
	for (size_t i = 0; i < r->buckets; i++)
		for (struct channel *c = r->table[i]; c; c = c->next)
			channel_ask(c);
}

enum hl_err
redis_subscribe(struct redis *r, const char *name, const struct redis_sub_calls *calls, void *arg, struct redis_sub **ret)
{
	struct redis_sub *s = calloc(1, sizeof(*s));
	struct channel *c = s ? channel_get(r, name) : NULL;
	struct link *l = &r->subscriptions;

	*ret = NULL;
	if (c == NULL) {
		free(s);
		return HL_NO_MEMORY;
	}
	s->channel = c;
	s->calls = calls;
	s->arg = arg;
	s->next = c->subs;
	c->subs = s;
	*ret = s;
	if (l->ac == NULL && l->asking == NULL && !uv_is_active((uv_handle_t *)&l->retry))
		link_connect(l);			/* only programs that listen have the second connection */
	channel_settle(c);
	return HL_OK;
}

enum hl_err
redis_subscribe_all(struct redis *r, const char *pattern, const struct redis_sub_calls *calls, void *arg,
    struct redis_sub **ret)
{
	struct channel *c = channel_get(r, pattern);

	if (c)
		c->pattern = true;
	return redis_subscribe(r, pattern, calls, arg, ret);
}

bool
redis_sub_ready(const struct redis_sub *s)
{
	return s->channel->confirmed;
}

void
redis_unsubscribe(struct redis_sub *s)
{
	if (s == NULL)
		return;
	s->dead = true;
	channel_settle(s->channel);
}

enum hl_err
subs_open(struct redis *r)
{
	r->table = calloc(BUCKETS, sizeof(struct channel *));
	r->buckets = r->table ? BUCKETS : 0;
	return r->table ? HL_OK : HL_NO_MEMORY;
}

void
subs_free(struct redis *r)
{
	struct channel *c, *next;

	for (size_t i = 0; i < r->buckets; i++)
		for (c = r->table[i]; c; c = next) {
			next = c->next;
			for (struct redis_sub *s = c->subs, *after; s; s = after) {
				after = s->next;
				free(s);
			}
			free(c);
		}
	free(r->table);
}
