#include <string.h>
#include <sys/random.h>

#include "engine/share.h"

void
shares_init(struct shares *s, size_t most)
{
	*s = (struct shares){ .most = most };
	(void)!getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK);	/* failing, buckets can be guessed, no more */
}

static uint64_t
mix(uint64_t h, const char *text)
{
	for (; text && *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return (h ^ 0xff) * 1099511628211u;
}

unsigned
share_of(const struct shares *s, const char *address, const char *user_id)
{
	uint64_t h = mix(mix(s->seed ^ 14695981039346656037u, address), user_id);

	return (unsigned)((h ^ h >> 29) % SHARE_BUCKETS);
}

bool
share_take(struct shares *s, unsigned bucket)
{
	size_t one = s->most / 16 > SHARE_LEAST ? s->most / 16 : SHARE_LEAST;

	if (s->total >= s->most || (s->total * 2 >= s->most && s->held[bucket] >= one))
		return false;
	s->total++;
	s->held[bucket]++;
	return true;
}

void
share_give(struct shares *s, unsigned bucket)
{
	s->total--;
	s->held[bucket]--;
}
