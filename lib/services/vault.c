#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "services/vault.h"

#define MAGIC		"HLVAULT1"
#define PIECE		65536u
#define HEAD_BYTES	(8 + 4 + 4 + 8 + crypto_pwhash_SALTBYTES)
#define STREAM_HEAD	crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define TAG_ROOM	crypto_secretstream_xchacha20poly1305_ABYTES
#define KEY_BYTES	crypto_secretstream_xchacha20poly1305_KEYBYTES
#define KEY_WORD	"helpline-backup-key "
/* What a changed file may make us do at most. */
#define COST_MAX	10u
#define MEMORY_MAX	(UINT64_C(1) << 30)

enum { BY_KEY, BY_PASSPHRASE };

struct vault {
	FILE		*file;
	char		*path, *fresh;		/* fresh: its name until it is finished; NULL of one that is read */
	unsigned char	 head[HEAD_BYTES + STREAM_HEAD];
	unsigned char	 key[KEY_BYTES];
	crypto_secretstream_xchacha20poly1305_state state;
	unsigned char	 plain[PIECE], sealed[PIECE + TAG_ROOM];
	size_t		 len, at;		/* of plain */
	bool		 first, over;
};

static void
put_number(unsigned char *p, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t
get_number(const unsigned char *p, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = bytes; i > 0; i--)
		value = value << 8 | p[i - 1];
	return value;
}

/* ---- keys ---- */

enum hl_err
vault_make_key(const char *path, struct buf *problem)
{
	unsigned char key[KEY_BYTES];
	char text[64], line[128];
	int fd, len;
	bool ok;

	if (sodium_init() < 0)
		return HL_NO_MEMORY;
	randombytes_buf(key, sizeof(key));
	sodium_bin2base64(text, sizeof(text), key, sizeof(key), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	len = snprintf(line, sizeof(line), KEY_WORD "%s\n", text);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, line, (size_t)len) == len && fsync(fd) == 0;
	if (!ok)
		buf_printf(problem, "%s cannot be made: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(text, sizeof(text));
	sodium_memzero(line, sizeof(line));
	return ok ? HL_OK : HL_INTERNAL;
}

static enum hl_err
read_key(const char *path, unsigned char key[KEY_BYTES], struct buf *problem)
{
	FILE *file = fopen(path, "re");
	char line[128] = "", text[64] = "";
	struct stat st;
	size_t n = 0;
	enum hl_err err = HL_BAD_REQUEST;

	if (file == NULL || fstat(fileno(file), &st) != 0)
		buf_printf(problem, "%s cannot be read: %s", path, strerror(errno));
	else if (st.st_mode & 077)
		buf_printf(problem, "%s can be read by others: chmod 600 it", path);
	else if (fgets(line, sizeof(line), file) == NULL || sscanf(line, KEY_WORD "%63s", text) != 1 ||
	    sodium_base642bin(key, KEY_BYTES, text, strlen(text), NULL, &n, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    n != KEY_BYTES)
		buf_printf(problem, "%s is no key file (helpline backup --make-key makes one)", path);
	else
		err = HL_OK;
	if (file)
		fclose(file);
	sodium_memzero(line, sizeof(line));
	sodium_memzero(text, sizeof(text));
	return err;
}

static enum hl_err
set_key(struct vault *v, const struct vault_secret *secret, struct buf *problem)
{
	uint64_t cost = get_number(v->head + 12, 4), memory = get_number(v->head + 16, 8);

	if ((v->head[8] == BY_PASSPHRASE) != (secret->passphrase != NULL)) {
		buf_printf(problem, "%s was sealed with a %s", v->path, v->head[8] == BY_PASSPHRASE ? "passphrase" :
		    "key file: name it with --key");
		return HL_FORBIDDEN;
	}
	if (secret->passphrase == NULL)
		return read_key(secret->key_file, v->key, problem);
	if (cost < crypto_pwhash_OPSLIMIT_MIN || cost > COST_MAX || memory < crypto_pwhash_MEMLIMIT_MIN || memory > MEMORY_MAX) {
		buf_printf(problem, "%s is damaged", v->path);
		return HL_BAD_REQUEST;
	}
	if (crypto_pwhash(v->key, KEY_BYTES, secret->passphrase, strlen(secret->passphrase), v->head + 24, cost,
	    (size_t)memory, crypto_pwhash_ALG_ARGON2ID13) == 0)
		return HL_OK;
	buf_puts(problem, "there is not enough memory to make a key of the passphrase");
	return HL_NO_MEMORY;
}

/* ---- both ways ---- */

static struct vault *
new_vault(const char *path)
{
	struct vault *v = sodium_init() < 0 ? NULL : sodium_malloc((sizeof(*v) + 15) / 16 * 16);

	if (v == NULL)
		return NULL;
	memset(v, 0, sizeof(*v));
	v->first = true;
	v->path = strdup(path);
	if (v->path)
		return v;
	sodium_free(v);
	return NULL;
}

void
vault_close(struct vault *v)
{
	if (v == NULL)
		return;
	if (v->file)
		fclose(v->file);
	if (v->fresh)
		(void)unlink(v->fresh);
	free(v->path);
	free(v->fresh);
	sodium_free(v);
}

/* ---- writing ---- */

static FILE *
open_fresh(struct vault *v)
{
	int fd = asprintf(&v->fresh, "%s.new", v->path) < 0 ? -1 :
	    open(v->fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (fd >= 0 && file == NULL)
		close(fd);
	if (fd < 0 && v->fresh) {	/* it is not ours */
		free(v->fresh);
		v->fresh = NULL;
	}
	return file;
}

enum hl_err
vault_create(const char *path, const struct vault_secret *secret, struct vault **ret, struct buf *problem)
{
	struct vault *v = new_vault(path);
	enum hl_err err;

	*ret = NULL;
	if (v == NULL)
		return HL_NO_MEMORY;
	memcpy(v->head, MAGIC, 8);
	v->head[8] = secret->passphrase ? BY_PASSPHRASE : BY_KEY;
	put_number(v->head + 12, crypto_pwhash_OPSLIMIT_MODERATE, 4);
	put_number(v->head + 16, crypto_pwhash_MEMLIMIT_MODERATE, 8);
	randombytes_buf(v->head + 24, crypto_pwhash_SALTBYTES);
	err = set_key(v, secret, problem);
	if (err)
		goto out;
	(void)crypto_secretstream_xchacha20poly1305_init_push(&v->state, v->head + HEAD_BYTES, v->key);
	v->file = open_fresh(v);
	if (v->file == NULL || fwrite(v->head, sizeof(v->head), 1, v->file) != 1) {
		err = HL_INTERNAL;
		buf_printf(problem, "%s.new cannot be written: %s", path, strerror(errno));
		goto out;
	}
	*ret = v;
	v = NULL;
out:
	vault_close(v);
	return err;
}

static enum hl_err
put_piece(struct vault *v, bool last)
{
	unsigned char length[4];
	unsigned char tag = last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;

	(void)crypto_secretstream_xchacha20poly1305_push(&v->state, v->sealed, NULL, v->plain, v->len, v->head,
	    v->first ? sizeof(v->head) : 0, tag);
	put_number(length, v->len + TAG_ROOM, sizeof(length));
	if (fwrite(length, sizeof(length), 1, v->file) != 1 || fwrite(v->sealed, v->len + TAG_ROOM, 1, v->file) != 1)
		return HL_INTERNAL;
	v->first = false;
	v->len = 0;
	return HL_OK;
}

enum hl_err
vault_write(struct vault *v, const void *bytes, size_t len)
{
	const char *p = bytes;
	enum hl_err err = HL_OK;

	while (len > 0 && err == HL_OK) {
		size_t n = PIECE - v->len < len ? PIECE - v->len : len;

		memcpy(v->plain + v->len, p, n);
		v->len += n;
		p += n;
		len -= n;
		if (v->len == PIECE)
			err = put_piece(v, false);
	}
	return err;
}

/* A name is on the disk when its folder is. */
static bool
sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[4200];
	int fd;
	bool ok;

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ok = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

enum hl_err
vault_finish(struct vault *v, struct buf *problem)
{
	bool ok = put_piece(v, true) == HL_OK && fflush(v->file) == 0 && fsync(fileno(v->file)) == 0 &&
	    rename(v->fresh, v->path) == 0;

	if (!ok) {
		buf_printf(problem, "%s cannot be written: %s", v->path, strerror(errno));
		return HL_INTERNAL;
	}
	free(v->fresh);
	v->fresh = NULL;
	if (sync_folder(v->path))
		return HL_OK;
	buf_printf(problem, "the folder of %s cannot be written: %s", v->path, strerror(errno));
	return HL_INTERNAL;
}

/* ---- reading ---- */

static enum hl_err
get_piece(struct vault *v)
{
	unsigned char length[4], tag;
	unsigned long long plain = 0;
	size_t n;

	if (v->over || fread(length, sizeof(length), 1, v->file) != 1)
		return HL_BAD_REQUEST;
	n = (size_t)get_number(length, sizeof(length));
	if (n < TAG_ROOM || n > sizeof(v->sealed) || fread(v->sealed, n, 1, v->file) != 1 ||
	    crypto_secretstream_xchacha20poly1305_pull(&v->state, v->plain, &plain, &tag, v->sealed, n, v->head,
	    v->first ? sizeof(v->head) : 0) != 0)
		return HL_BAD_REQUEST;
	v->over = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
	v->first = false;
	v->len = (size_t)plain;
	v->at = 0;
	return HL_OK;
}

enum hl_err
vault_rewind(struct vault *v)
{
	unsigned char head[sizeof(v->head)];

	rewind(v->file);
	v->first = true;
	v->over = false;
	v->len = v->at = 0;
	if (fread(head, sizeof(head), 1, v->file) != 1 || memcmp(head, v->head, sizeof(head)) != 0 ||
	    crypto_secretstream_xchacha20poly1305_init_pull(&v->state, v->head + HEAD_BYTES, v->key) != 0)
		return HL_BAD_REQUEST;
	return HL_OK;
}

enum hl_err
vault_open(const char *path, const struct vault_secret *secret, struct vault **ret, struct buf *problem)
{
	struct vault *v = new_vault(path);
	enum hl_err err = HL_BAD_REQUEST;

	*ret = NULL;
	if (v == NULL)
		return HL_NO_MEMORY;
	v->file = fopen(path, "re");
	if (v->file == NULL) {
		buf_printf(problem, "%s cannot be read: %s", path, strerror(errno));
		goto out;
	}
	if (fread(v->head, sizeof(v->head), 1, v->file) != 1 || memcmp(v->head, MAGIC, 8) != 0 || v->head[8] > BY_PASSPHRASE) {
		buf_printf(problem, "%s is no backup", path);
		goto out;
	}
	err = set_key(v, secret, problem);
	if (err == HL_OK)
		err = vault_rewind(v);
	if (err == HL_OK && get_piece(v) != HL_OK) {
		buf_printf(problem, "%s cannot be opened: this is not its %s, or its beginning is damaged", path,
		    secret->passphrase ? "passphrase" : "key");
		err = HL_FORBIDDEN;
	}
	if (err)
		goto out;
	*ret = v;
	v = NULL;
out:
	vault_close(v);
	return err;
}

enum hl_err
vault_read(struct vault *v, void *bytes, size_t len)
{
	char *p = bytes;

	while (len > 0) {
		size_t n;

		if (v->at == v->len && get_piece(v) != HL_OK)
			return HL_BAD_REQUEST;
		n = v->len - v->at < len ? v->len - v->at : len;
		memcpy(p, v->plain + v->at, n);
		v->at += n;
		p += n;
		len -= n;
	}
	return HL_OK;
}

bool
vault_is_over(struct vault *v)
{
	while (v->at == v->len && !v->over)
		if (get_piece(v) != HL_OK)
			return false;
	return v->over && v->at == v->len && fgetc(v->file) == EOF && !ferror(v->file);
}
