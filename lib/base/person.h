/*
 * person.h - what people type about themselves: a name, an address, a password.  Every check takes time in proportion
 * to the text and no more.
 */
#ifndef HL_PERSON_H
#define HL_PERSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERSON_NAME_MIN		2	/* characters */
#define PERSON_NAME_MAX		50
#define PERSON_EMAIL_MAX	254	/* bytes (RFC 5321, section 4.5.3.1, less the angle brackets) */
#define PERSON_PASSWORD_MIN	6	/* bytes; bcrypt sees no more than 72 */
#define PERSON_PASSWORD_MAX	72

/* Each returns NULL, or the sentence that says what is wrong.  Texts are UTF-8. */
const char *person_name_problem(const char *, size_t);		/* trimmed */
const char *person_email_problem(const char *, size_t);		/* as person_email_fold() has left it */
const char *person_password_problem(const char *, size_t);

/* Trimmed and in lower case; false: it is longer than an address can be, and out is empty. */
bool	 person_email_fold(const char *, size_t, char out[PERSON_EMAIL_MAX + 1]);

/* Without white space around it: moves *text and *len. */
void	 person_trim(const char **text, size_t *len);

/*
 * Can this stand in one line of a page, as itself?  No control characters, none that change the direction of what
 * follows, no code points that are no characters, and no < or >: what is shown somewhere as HTML by mistake must not
 * be a tag.
 */
bool	 person_line_ok(const char *, size_t);
bool	 person_char_ok(uint32_t);

#endif
