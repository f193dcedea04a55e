/*
 * crypto.h - sealing and keyed names (libsodium).
 *
 * Sealing is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): key number (1 byte), nonce (24), ciphertext with tag (16).
 * The associated data binds a value to its place, so that it cannot be moved elsewhere.  Keyed names are BLAKE2b with a
 * key of their own, 128 bits as 22 characters of base64url: what appears in key names and channels instead of ids.
 */
#ifndef HL_CRYPTO_H
#define HL_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define CRYPTO_NAME_LEN	22

struct crypto;

/*
 * Reads DIR/seal.keys: lines "name KEY" and "seal N KEY" with 32 bytes in base64url each; the seal key with the highest
 * N seals, all open.  Refuses a file that others may read.  *problem gets the sentence on failure.
 */
enum hl_err crypto_open(const char *dir, struct crypto **ret, struct buf *problem) HL_MUST_CHECK;
void	 crypto_free(struct crypto *);

/* Makes DIR/seal.keys (0600, whole or not at all) unless it is there. */
enum hl_err crypto_make_keys(const char *dir, struct buf *problem) HL_MUST_CHECK;

enum hl_err crypto_seal(const struct crypto *, const char *place, const void *plain, size_t len, struct buf *out) HL_MUST_CHECK;
/* HL_INTERNAL: damaged, moved, or sealed with a key we do not have. */
enum hl_err crypto_unseal(const struct crypto *, const char *place, const void *sealed, size_t len, struct buf *out) HL_MUST_CHECK;

/* The keyed name of id for a purpose ("conversation", "address", …): different purposes give unrelated names. */
void	 crypto_name(const struct crypto *, const char *purpose, const char *id, size_t len, char out[CRYPTO_NAME_LEN + 1]);

#define CRYPTO_SHA256_LEN	32
void	 crypto_sha256(const void *, size_t, unsigned char out[CRYPTO_SHA256_LEN]);

int	 crypto_equal(const void *, const void *, size_t);	/* in constant time; 1 if equal */

#endif
