/*
 * helpline restore - puts a backup back: into an empty store, all of it or nothing.
 *
 * The file is read to its end first, so that one which was cut or changed anywhere changes nothing.  Then it is read again:
 * the store, the files, and last the keys; the keys that were there stay beside them under another name.  If that fails, what
 * was put into the store is taken out again.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup.h"
#include "base/clock.h"
#include "command.h"
#include "services/file.h"

#define USAGE "usage: helpline restore --from FILE [--key FILE] [--check] [--replace] [--json] [--state-dir DIR] [--env-file FILE]\n" \
	"       --check: only reads it; --replace: what the store has is removed first\n" \
	"       without a key, the passphrase is read from the terminal or from standard input"

struct restoring {
	struct backup_asked *asked;
	struct store	*store;
	struct vault	*vault;
	struct buf	 meta;
	struct archive_totals totals;
	bool		 begun;			/* something of it is in the store */
	bool		 new_keys;		/* others than those that were there */
	int64_t		 now_ms;		/* the store's */
};

/* ---- the store ---- */

static enum hl_err
put_items(void *arg, const char *key, enum stored_type type, const struct redis_arg *items, size_t count)
{
	struct restoring *r = arg;

	r->begun = true;
	return inventory_add(r->store, key, type, items, count);
}

/* What has expired since goes at once. */
static enum hl_err
put_expiry(void *arg, const char *key, int64_t expires_ms)
{
	struct restoring *r = arg;

	return expires_ms ? inventory_expire(r->store, key, expires_ms) : HL_OK;
}

/* Is there anything of somebody?  Sums and lists that are left of what is gone do not count. */
static bool
holds_anything(const struct inventory *v)
{
	static const char *const kinds[] = { "c:", "e:", "u:", "a:", "k:", "email:" };

	for (size_t i = 0; i < v->count; i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			if (strncmp(v->keys[i], kinds[k], strlen(kinds[k])) == 0)
				return true;
	return false;
}

static enum hl_err
remove_keys(struct restoring *r)
{
	struct inventory v;
	enum hl_err err = inventory_read(r->store, false, &v);

	for (size_t i = 0; i < v.count && err == HL_OK; i++)
		err = inventory_remove(r->store, v.keys[i]);
	inventory_free(&v);
	return err;
}

static enum hl_err
make_room(struct restoring *r)
{
	struct inventory v;
	enum hl_err err = inventory_read(r->store, false, &v);

	if (err)
		return err;
	if (holds_anything(&v) && !r->asked->replace) {
		buf_printf(&r->asked->problem, "the store is not empty: it has %zu keys; --replace removes them first", v.count);
		err = HL_CONFLICT;
	}
	inventory_free(&v);
	return err ? err : remove_keys(r);
}

/* ---- files ---- */

/* Files belong to whoever has the folder: the services, not root who puts them back. */
static void
give(const char *folder, const char *name)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (dir >= 0 && geteuid() == 0 && fstat(dir, &st) == 0)
		(void)!fchownat(dir, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
	if (dir >= 0)
		close(dir);
}

static enum hl_err
cannot(struct restoring *r, const char *path, const char *name)
{
	buf_reset(&r->asked->problem);
	buf_printf(&r->asked->problem, "%s/%s cannot be written: %s", path, name, strerror(errno));
	return HL_INTERNAL;
}

/* Makes the folders on the way to path that are missing; each is its parent's owner's. */
static void
make_folders(const char *path)
{
	char at[4400], parent[4400];

	snprintf(at, sizeof(at), "%s", path);
	for (char *slash = strchr(at + 1, '/'); ; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(at, 0755) == 0) {
			char *last = strrchr(at, '/');

			snprintf(parent, sizeof(parent), "%.*s", last ? (int)(last - at) + 1 : 1, last ? at : ".");
			give(parent, last ? last + 1 : at);
		}
		if (slash == NULL)
			return;
		*slash = '/';
	}
}

static bool
is_same(const char *path, const void *bytes, size_t len)
{
	struct file_view now;
	bool same = file_open(path, 65536, &now) == HL_OK;

	if (same) {
		same = now.len == len && memcmp(now.data, bytes, len) == 0;
		file_close(&now);
	}
	return same;
}

/* The one that was there is kept; the new one is its owner's alone. */
static enum hl_err
put_secret(struct restoring *r, const char *folder, const char *name, const void *bytes, size_t len)
{
	char path[4400], old[4500], fresh[4500];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (is_same(path, bytes, len))
		return HL_OK;
	snprintf(old, sizeof(old), "%s.before-%lld", path, (long long)(clock_wall_ms() / 1000));
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, bytes, len) == (ssize_t)len && fsync(fd) == 0;
	if (ok && link(path, old) != 0)
		ok = errno == ENOENT;
	if (ok)
		ok = rename(fresh, path) == 0;
	if (fd >= 0)
		close(fd);
	if (!ok)
		return cannot(r, folder, name);
	give(folder, name);
	r->new_keys = true;
	return HL_OK;
}

static bool
is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static enum hl_err
put_file(void *arg, enum area a, const char *name, const void *bytes, size_t len)
{
	struct restoring *r = arg;
	char folder[4200], inner[4400];
	const char *slash = strchr(name, '/');

	area_folder(&r->asked->conf, a, folder, sizeof(folder));
	if (a == AREA_SECRETS)
		return put_secret(r, folder, name, bytes, len);
	snprintf(inner, sizeof(inner), "%s%s%.*s", folder, slash ? "/" : "", slash ? (int)(slash - name) : 0, name);
	make_folders(inner);
	if ((slash || a == AREA_AUDIO) && is_link(inner)) {
		errno = ELOOP;		/* it would lead to where nothing of ours is */
		return cannot(r, folder, name);
	}
	name = slash ? slash + 1 : name;
	if (file_keep(inner, name, bytes, len) != HL_OK)
		return cannot(r, inner, name);
	give(inner, name);
	return HL_OK;
}

/* ---- the command ---- */

static enum hl_err
read_through(struct restoring *r, const struct archive_calls *calls)
{
	enum hl_err err = archive_read(r->vault, calls, &r->meta, &r->totals);

	if (err == HL_BAD_REQUEST && r->asked->problem.len == 0)
		buf_printf(&r->asked->problem, "%s is damaged, or of another version: nothing was changed", r->asked->file);
	return err;
}

static enum hl_err
put_back(struct store *store, void *arg)
{
	struct restoring *r = arg;
	const struct archive_calls calls = { put_items, put_expiry, put_file, r };
	enum hl_err err;

	r->store = store;
	err = make_room(r);
	if (err == HL_OK)
		err = vault_rewind(r->vault);
	if (err == HL_OK)
		err = archive_read(r->vault, &calls, &r->meta, &r->totals);
	if (err && r->begun) {
		(void)!remove_keys(r);
		if (r->asked->problem.len == 0)
			buf_printf(&r->asked->problem, "it could not be put back: %s; the store is empty again", err_text(err));
	}
	return err;
}

static void
tell(const struct restoring *r)
{
	const struct archive_totals *t = &r->totals;
	struct buf out = BUF_INIT(65536);

	if (r->asked->json) {
		buf_printf(&out, "{\"checked\":true,\"restored\":%s,\"keys\":%lld,\"files\":%lld,\"bytes\":%lld,\"otherKeys\":%s,\"backup\":%s}",
		    r->asked->check ? "false" : "true", (long long)t->keys, (long long)t->files, (long long)t->bytes,
		    r->new_keys ? "true" : "false", r->meta.data);
		puts(out.data ? out.data : "{}");
		buf_free(&out);
		return;
	}
	printf("%s: %lld keys of the store, %lld files (%lld bytes)\n", r->asked->check ? "whole" : "restored", (long long)t->keys,
	    (long long)t->files, (long long)t->bytes);
	if (!r->asked->check)
		printf("Restart Helpline now: its programs know %s.\n", r->new_keys ? "other keys" : "what was there before");
}

static enum hl_err
restore(struct restoring *r)
{
	struct backup_asked *a = r->asked;
	const struct archive_calls none = { .arg = NULL };
	struct vault_secret secret;
	enum hl_err err = a->check ? HL_OK : books_settings(&a->place, &a->conf, &a->problem);

	if (err == HL_OK && !backup_secret(a, false, &secret))
		err = HL_BAD_REQUEST;
	if (err == HL_OK)
		err = vault_open(a->file, &secret, &r->vault, &a->problem);
	explicit_bzero(a->passphrase, sizeof(a->passphrase));
	if (err == HL_OK)
		err = read_through(r, &none);
	return err || a->check ? err : books_open(&a->conf, put_back, r, &a->problem);
}

static bool
parse(int argc, char **argv, struct backup_asked *a)
{
	static const struct option options[] = {
		{ "from", required_argument, NULL, 'F' }, { "key", required_argument, NULL, 'k' },
		{ "check", no_argument, NULL, 'c' }, { "replace", no_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
		{ "state-dir", required_argument, NULL, 's' }, { "env-file", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'F': backup_path(&a->file); break;
		case 'k': backup_path(&a->key_file); break;
		case 'c': a->check = true; break;
		case 'r': a->replace = true; break;
		case 'j': a->json = true; break;
		case 's': a->place.state_dir = optarg; break;
		case 'f': a->place.env_file = optarg; break;
		default: return false;
		}
	return optind == argc && a->file && !(a->check && a->replace);
}

int
cmd_restore(int argc, char **argv)
{
	struct backup_asked a = { .problem = BUF_INIT(8192) };
	struct restoring r = { .asked = &a, .meta = BUF_INIT(65536) };
	enum hl_err err;
	int ret = 0;

	if (!parse(argc, argv, &a)) {
		ret = complain(2, argv[0], "%s", USAGE);
		goto out;
	}
	err = restore(&r);
	if (err)
		ret = complain(1, argv[0], "%s", a.problem.len ? a.problem.data : err_text(err));
	else
		tell(&r);
out:
	vault_close(r.vault);
	buf_free(&r.meta);
	backup_free(&a);
	return ret;
}
