/*
 * desk - what signed-in people use (contract: desk API).
 */
#include <string.h>

#include "api/program.h"
#include "desk/desk.h"

#define ROUTES_MAX 128

static const struct desk_part *const parts[] = { &desk_agents, &desk_analytics, &desk_audio, &desk_avatars, &desk_completions, &desk_conversations,
	&desk_escalations, &desk_livekit, &desk_livekit_calls, &desk_livekit_events, &desk_livekit_people, &desk_sounds };

/* The rows of all parts, one behind the other. */
static size_t
join(struct route all[ROUTES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && n + parts[i]->count <= ROUTES_MAX; i++) {
		memcpy(all + n, parts[i]->routes, parts[i]->count * sizeof(*all));
		n += parts[i]->count;
	}
	return n;
}

int
main(int argc, char **argv)
{
	static struct route all[ROUTES_MAX];
	const struct program desk = {
		.name = "desk", .purpose = "Serves signed-in people: agents, conversations, and escalations; and agents as models.",
		.routes = all, .count = join(all), .needs_store = true, .needs_engine = true, .needs_accounts = true,
	};

	return program_main(&desk, argc, argv);
}
