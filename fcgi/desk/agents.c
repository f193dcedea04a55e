/*
 * The agents of an account (contract: desk API, Agents).
 */
#include "desk/desk.h"

const struct desk_part desk_agents = { NULL, 0 };
