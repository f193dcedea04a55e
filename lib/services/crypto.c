#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/random.h"
#include "services/crypto.h"

#define KEY_BYTES	crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_BYTES	crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES	crypto_aead_xchacha20poly1305_ietf_ABYTES
#define NAME_BYTES	16
#define KEY_NUMBERS	256


struct crypto {
	unsigned char	 name_key[KEY_BYTES];
	unsigned char	 seal[KEY_NUMBERS][KEY_BYTES];
	bool		 known[KEY_NUMBERS];
	unsigned char	 newest;
};

/* ---- the key file ---- */

static bool
decode_key(const char *text, unsigned char key[KEY_BYTES])
{
	size_t n;

	return sodium_base642bin(key, KEY_BYTES, text, strlen(text), NULL, &n, NULL,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 && n == KEY_BYTES;
}

/* One line of the file; false if it is none of ours. */
static bool
take_line(struct crypto *c, const char *line, bool *have_name, bool *have_seal)
{
	char text[64];
	unsigned n;

	if (*line == '\0' || *line == '#')
		return true;
	if (sscanf(line, "name %63s", text) == 1) {
		*have_name = decode_key(text, c->name_key);
		return *have_name;
	}
	if (sscanf(line, "seal %u %63s", &n, text) != 2 || n >= KEY_NUMBERS || !decode_key(text, c->seal[n]))
		return false;
	c->known[n] = true;
	if (!*have_seal || n > c->newest)
		c->newest = (unsigned char)n;
	*have_seal = true;
	return true;
}

static enum hl_err
read_keys(struct crypto *c, FILE *file, const char *path, struct buf *problem)
{
	bool have_name = false, have_seal = false, good = true;
	char line[256];

	while (good && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\r\n")] = '\0';
		good = take_line(c, line, &have_name, &have_seal);
	}
	sodium_memzero(line, sizeof(line));
	if (good && have_name && have_seal)
		return HL_OK;
	buf_printf(problem, "%s is not a key file (helpline keys init makes one).", path);
	return HL_BAD_REQUEST;
}

/* Whom systemd lets read them is in an access list, whose mask looks like the rights of a group. */
static bool
is_credential(const char *dir)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");

	return credentials && strcmp(dir, credentials) == 0;
}

enum hl_err
crypto_open(const char *dir, struct crypto **ret, struct buf *problem)
{
	struct crypto *c = NULL;
	char path[4200];
	struct stat st;
	FILE *file = NULL;
	enum hl_err err = HL_BAD_REQUEST;

	*ret = NULL;
	snprintf(path, sizeof(path), "%s/seal.keys", dir);
	if (sodium_init() < 0 || (c = sodium_malloc(sizeof(*c))) == NULL) {
		buf_puts(problem, "Out of memory for the keys.");
		return HL_NO_MEMORY;
	}
	memset(c, 0, sizeof(*c));
	file = fopen(path, "re");
	if (file == NULL || fstat(fileno(file), &st) != 0) {
		buf_printf(problem, "%s cannot be read: %s (HELPLINE_SECRETS names its folder; helpline keys init makes it).",
		    path, strerror(errno));
		goto out;
	}
	if (st.st_mode & (is_credential(dir) ? 007 : 077)) {
		buf_printf(problem, "%s can be read by others: chmod 600 it.", path);
		goto out;
	}
	err = read_keys(c, file, path, problem);
	if (err)
		goto out;
	*ret = c;
	c = NULL;
out:
	if (file)
		fclose(file);
	crypto_free(c);
	return err;
}

void
crypto_free(struct crypto *c)
{
	sodium_free(c);
}

static void
print_key(FILE *file, const char *label)
{
	unsigned char key[KEY_BYTES];
	char text[64];

	randombytes_buf(key, sizeof(key));
	sodium_bin2base64(text, sizeof(text), key, sizeof(key), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	fprintf(file, "%s %s\n", label, text);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(text, sizeof(text));
}

enum hl_err
crypto_make_keys(const char *dir, struct buf *problem)
{
	char path[4200], temp[4300];
	FILE *file;
	int fd, failed;

	snprintf(path, sizeof(path), "%s/seal.keys", dir);
	snprintf(temp, sizeof(temp), "%s.%ld", path, (long)getpid());
	if (access(path, F_OK) == 0)
		return HL_OK;
	fd = sodium_init() < 0 ? -1 : open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (file == NULL)
		goto fail;
	print_key(file, "name");
	print_key(file, "seal 1");
	failed = fflush(file) != 0 || fsync(fd) != 0;
	if (fclose(file) != 0 || failed)
		goto fail;
	/* link() and not rename(): of two that start at once the first one's keys stay. */
	if (link(temp, path) != 0 && errno != EEXIST)
		goto fail;
	unlink(temp);
	return HL_OK;
fail:
	buf_printf(problem, "%s cannot be written: %s.", path, strerror(errno));
	unlink(temp);
	return HL_BAD_REQUEST;
}

/* ---- sealing ---- */

enum hl_err
crypto_seal(const struct crypto *c, const char *place, const void *plain, size_t len, struct buf *out)
{
	unsigned char *p = (unsigned char *)buf_reserve(out, 1 + NONCE_BYTES + len + TAG_BYTES);

	if (p == NULL)
		return buf_err(out);
	p[0] = c->newest;
	random_bytes(p + 1, NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(p + 1 + NONCE_BYTES, NULL, plain, len, (const unsigned char *)place,
	    strlen(place), NULL, p + 1, c->seal[c->newest]);
	buf_grow(out, 1 + NONCE_BYTES + len + TAG_BYTES);
	return HL_OK;
}

enum hl_err
crypto_unseal(const struct crypto *c, const char *place, const void *sealed, size_t len, struct buf *out)
{
	const unsigned char *s = sealed;
	unsigned char *p;
	size_t plain;

	if (len < 1 + NONCE_BYTES + TAG_BYTES || !c->known[s[0]])
		return HL_INTERNAL;
	plain = len - 1 - NONCE_BYTES - TAG_BYTES;
	p = (unsigned char *)buf_reserve(out, plain);
	if (p == NULL)
		return buf_err(out);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(p, NULL, NULL, s + 1 + NONCE_BYTES, plain + TAG_BYTES,
	    (const unsigned char *)place, strlen(place), s + 1, c->seal[s[0]]) != 0)
		return HL_INTERNAL;
	buf_grow(out, plain);
	return HL_OK;
}

void
crypto_name(const struct crypto *c, const char *purpose, const char *id, size_t len, char out[CRYPTO_NAME_LEN + 1])
{
	crypto_generichash_state state;
	unsigned char name[NAME_BYTES];

	crypto_generichash_init(&state, c->name_key, sizeof(c->name_key), sizeof(name));
	crypto_generichash_update(&state, (const unsigned char *)purpose, strlen(purpose) + 1);
	crypto_generichash_update(&state, (const unsigned char *)id, len);
	crypto_generichash_final(&state, name, sizeof(name));
	sodium_bin2base64(out, CRYPTO_NAME_LEN + 1, name, sizeof(name), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

void
crypto_sha256(const void *bytes, size_t len, unsigned char out[CRYPTO_SHA256_LEN])
{
	crypto_hash_sha256(out, bytes, len);
}

int
crypto_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}
