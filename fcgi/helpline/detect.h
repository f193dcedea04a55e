/*
 * detect.h - an OpenAI-compatible server on this computer, where Ollama and llama.cpp put theirs.
 */
#ifndef HL_DETECT_H
#define HL_DETECT_H

#include <stdbool.h>

struct model_server { char url[64], model[256]; };

/*
 * Costs two refused connections when there is none.  When something listens, `command detect` is run to speak with it,
 * so that the caller, who lives long, need not keep an HTTP client.
 */
bool	 detect_ask(const char *command, struct model_server *ret);

#endif
