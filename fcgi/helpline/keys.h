/*
 * keys.h - the secrets of an installation.
 */
#ifndef HL_KEYS_H
#define HL_KEYS_H

#include "base/buf.h"
#include "base/error.h"

#define KEYS_PROBE	"probe"	/* file of the word by which `helpline probe` is known to the chat program */

/* Makes what is missing in dir (0700, made if missing): sealing keys and the probe's word, 0600 each. */
enum hl_err keys_init(const char *dir, struct buf *problem) HL_MUST_CHECK;

#endif
