/*
 * vault.h - one sealed file, written and read as a stream (libsodium's secretstream: XChaCha20-Poly1305).  Blocking: for a
 * command, or the thread pool.
 *
 *   "HLVAULT1", kind (1 byte: 0 key, 1 passphrase), 3 zero bytes, cost (4), memory (8, both little-endian), salt (16);
 *   the stream's header (24); then pieces: length (4, little-endian), sealed bytes.  The first piece is bound to all that
 *   stands before it, the last is marked as the last: a file that was cut or changed anywhere is seen to be so.
 *
 * The key is 32 random bytes of a file that only its owner reads, or made of a passphrase by Argon2id.
 */
#ifndef HL_VAULT_H
#define HL_VAULT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define VAULT_PASSPHRASE_MIN	12	/* bytes */
#define VAULT_PASSPHRASE_MAX	1024

struct vault;

/* One of the two; the passphrase is forgotten by the caller (sodium_memzero). */
struct vault_secret { const char *passphrase; const char *key_file; };

/* A new key in a new file (0600).  Here and below *problem gets the sentence on failure. */
enum hl_err vault_make_key(const char *path, struct buf *problem) HL_MUST_CHECK;

/* What is written is at path, whole and on the disk, after vault_finish(), and before that not at all. */
enum hl_err vault_create(const char *path, const struct vault_secret *, struct vault **ret, struct buf *problem) HL_MUST_CHECK;
enum hl_err vault_write(struct vault *, const void *, size_t) HL_MUST_CHECK;		/* HL_INTERNAL: errno says why */
enum hl_err vault_finish(struct vault *, struct buf *problem) HL_MUST_CHECK;

/* HL_FORBIDDEN: another key or passphrase, or the file's beginning was changed. */
enum hl_err vault_open(const char *path, const struct vault_secret *, struct vault **ret, struct buf *problem) HL_MUST_CHECK;
enum hl_err vault_read(struct vault *, void *, size_t) HL_MUST_CHECK;	/* exactly so much.  HL_BAD_REQUEST: it was cut or changed */
bool	 vault_is_over(struct vault *);		/* all was read, and the file ends there */
enum hl_err vault_rewind(struct vault *) HL_MUST_CHECK;			/* to read it again */

void	 vault_close(struct vault *);		/* one that was not finished is removed.  NULL is allowed */

#endif
