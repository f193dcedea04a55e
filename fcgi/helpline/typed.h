/*
 * typed.h - ids on a command line: one in sixty-four begins with a dash, as an option does.
 */
#ifndef HL_TYPED_H
#define HL_TYPED_H

/*
 * Takes an id that begins with a dash out of the arguments, for getopt(3) not to see it: one that follows a word, so that it is
 * not an option's argument.  Borrowed; NULL: there is none.
 */
const char *typed_id(int *argc, char **argv);

#endif
