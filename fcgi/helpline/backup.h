/*
 * backup.h - what helpline backup and helpline restore have in common.
 */
#ifndef HL_BACKUP_H
#define HL_BACKUP_H

#include "archive.h"
#include "books.h"

struct backup_asked {
	char		*file;			/* --to, --from; absolute, as the next two */
	char		*key_file, *make_key;
	bool		 check, replace, json;
	struct books_place place;
	char		 passphrase[VAULT_PASSPHRASE_MAX + 2];
	struct conf	 conf;
	struct buf	 problem;
};

/* Takes optarg, made absolute. */
void	 backup_path(char **ret);
void	 backup_free(struct backup_asked *);

/* What the secret is: a key file, or a passphrase that is asked for, twice if it is a new one.  False: problem says why. */
bool	 backup_secret(struct backup_asked *, bool new, struct vault_secret *ret);

#endif
