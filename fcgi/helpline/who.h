/*
 * who.h - the one person that helpline export and helpline erase are about.
 */
#ifndef HL_WHO_H
#define HL_WHO_H

#include "books.h"
#include "records/belongings.h"

struct who {
	const char	*user, *email_text;	/* --user, --email: one of them */
	char		*to;			/* --to, absolute */
	bool		 yes, json;
	struct books_place place;
	char		 email[ACCOUNT_EMAIL_MAX + 1];
	char		 user_id[ACCOUNT_ID_MAX + 1];
	struct conf	 conf;
	struct belongings b;
	struct buf	 problem;
};

/* Options.  False: asked wrongly, or the value of one is wrong, which problem says then. */
bool	 who_parse(int argc, char **argv, struct who *);
void	 who_free(struct who *);

/*
 * Settings, store, and work(arg) in a task.  asked: all that is needed was said.  Returns 0, or the exit status after it has
 * complained in the name of the command.
 */
int	 who_run(const char *command, const char *usage, bool asked, struct who *,
	    enum hl_err (*work)(struct store *, void *), void *arg);

/* Fills in b.  HL_NOT_FOUND: problem says so. */
enum hl_err who_find(struct store *, struct who *) HL_MUST_CHECK;

/* The file behind the address of an image that was sent to us, or NULL. */
const char *who_avatar(const char *address);

#endif
