#include <sys/random.h>

#include "engine/breaker.h"

enum breaker_say
breaker_ask(struct breaker *b, int64_t now_ms)
{
	if (b->until_ms == 0)
		return BREAKER_ASK;
	if (b->probing || now_ms < b->until_ms)
		return BREAKER_LEAVE;
	b->probing = true;
	return BREAKER_PROBE;
}

bool
breaker_good(struct breaker *b)
{
	bool was_open = b->until_ms != 0;

	*b = (struct breaker){ 0 };
	return was_open;
}

static int64_t
less_jitter(int64_t ms)
{
	uint16_t random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);	/* failing, it leaves no jitter */
	return ms - ms / 4 * random / UINT16_MAX;
}

static void
open_for(struct breaker *b, int64_t wants_ms, int64_t now_ms)
{
	int64_t pause = b->pause_ms ? b->pause_ms * 2 : BREAKER_PAUSE;

	b->pause_ms = pause < BREAKER_PAUSE_MAX ? pause : BREAKER_PAUSE_MAX;
	pause = less_jitter(b->pause_ms);
	if (wants_ms > BREAKER_ASKED_MAX)
		wants_ms = BREAKER_ASKED_MAX;
	b->until_ms = now_ms + (wants_ms > 0 ? wants_ms : pause);
}

bool
breaker_bad(struct breaker *b, bool probe, int64_t wants_ms, int64_t now_ms)
{
	bool open = b->until_ms != 0;

	probe = probe && open;		/* else it was closed meanwhile by what had been asked before, and this is one failure */
	if (probe)
		b->probing = false;
	else if (open)
		return false;		/* was asked before it opened */
	if (b->failures == 0 || now_ms - b->first_ms > BREAKER_WINDOW) {
		b->failures = 0;
		b->first_ms = now_ms;
	}
	b->failures++;
	if (!probe && wants_ms <= 0 && b->failures < BREAKER_FAILURES)
		return false;
	open_for(b, wants_ms, now_ms);
	return true;
}

void
breaker_unknown(struct breaker *b, bool probe)
{
	if (probe)
		b->probing = false;
}
