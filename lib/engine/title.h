/*
 * title.h - what a conversation is called: three to six words without quotation marks, whatever was written or printed.
 * No I/O, no memory.
 *
 * Words are what stands between spaces.  Of a word remain letters and digits of any script with their marks, and within it
 * - . / & + @ and the apostrophe (as U+02BC, which is a letter): no markup, nothing invisible, no direction marks.  A script
 * that is written without spaces has long words; one or two words get "Conversation about" before them.
 */
#ifndef HL_TITLE_H
#define HL_TITLE_H

#include <stdbool.h>
#include <stddef.h>

#define TITLE_MAX	400	/* bytes of UTF-8 */

/* Of a model's words.  False, and out is "": there are no words in it. */
bool	 title_clean(const char *printed, size_t len, char out[TITLE_MAX + 1]);

/* By rules, of a customer's words: greetings are left out, and what comes after a sentence that is long enough. */
void	 title_of(const char *message, size_t len, char out[TITLE_MAX + 1]);

/* One of title_of()'s for want of words: the next message may give a better one. */
bool	 title_is_vague(const char *title);

#endif
