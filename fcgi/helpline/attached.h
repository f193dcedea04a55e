/*
 * attached.h - the files of a conversation: what was said aloud of its messages, and what its customer recorded.
 */
#ifndef HL_ATTACHED_H
#define HL_ATTACHED_H

#include "records/conversation.h"
#include "services/shelf.h"

struct attached { const struct conf *conf; struct shelf *shelf; };

/* The folder of sounds may be missing: then there are none. */
void	 attached_open(const struct conf *, struct attached *ret);
void	 attached_close(struct attached *);

/* The file of a message's sound; "": it has none. */
void	 attached_sound(const struct entry *, char file[SHELF_FILE_MAX]);

/* Removes them. */
void	 attached_remove(struct attached *, const struct place *, const struct entries *);

/* Calls found(arg, path, name) for each that is there: where it lies, and what it may be called elsewhere. */
enum hl_err attached_each(const struct attached *, const struct place *, const struct entries *,
	    enum hl_err (*found)(void *arg, const char *path, const char *name), void *arg) HL_MUST_CHECK;

#endif
