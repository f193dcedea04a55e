/*
 * desk.h - the parts of the desk program: each file exports its rows of the route table.
 */
#ifndef HL_DESK_PARTS_H
#define HL_DESK_PARTS_H

#include "api/route.h"

struct desk_part { const struct route *routes; size_t count; };

extern const struct desk_part desk_agents, desk_analytics, desk_audio, desk_avatars, desk_completions, desk_conversations, desk_escalations, desk_sounds, desk_livekit,
	desk_livekit_calls, desk_livekit_events, desk_livekit_people;

#endif
