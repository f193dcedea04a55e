/*
 * keys.h - the secrets of an installation.
 */
#ifndef HL_KEYS_H
#define HL_KEYS_H

#include "base/buf.h"
#include "base/error.h"

#define KEYS_PROBE	"probe"	/* file of the word by which `helpline probe` is known to the chat program */
#define KEYS_JWT	"jwt"	/* file of a JWT_SECRET */

/* Makes what is missing in dir (0700, made if missing): sealing keys, the probe's word and a JWT_SECRET, 0600 each. */
enum hl_err keys_init(const char *dir, struct buf *problem) HL_MUST_CHECK;

/* helpline keys add, list and remove, which are about API keys (records/api_key.h). */
int	 api_keys_command(int argc, char **argv);

/* Sets JWT_SECRET in the environment to what is in dir's file, unless something else is set. */
enum hl_err keys_use_jwt(const char *dir, struct buf *problem) HL_MUST_CHECK;

#endif
