/*
 * helpline backup - all that the installation has, in one sealed file: the store, the sounds, the recordings, the images,
 * and the keys by which the store can be read.
 *
 * The store is read while it is in use.  Its server is asked to hold writes for that time, so that all of it is of one
 * moment; a large one is read without: then each conversation and each account is whole, but sums, lists and what changed
 * meanwhile may be of slightly different moments.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "backup.h"
#include "base/clock.h"
#include "command.h"
#include "paths.h"

#define USAGE "usage: helpline backup --to FILE [--key FILE] [--json] [--state-dir DIR] [--env-file FILE]\n" \
	"       helpline backup --make-key FILE\n" \
	"       without a key, a passphrase is read from the terminal or from standard input"

#define HOLD_MS		2500		/* clients give their connections up after 5000 */
#define HOLD_KEYS	20000		/* more are not read in that time */

void
backup_path(char **ret)
{
	free(*ret);
	*ret = path_absolute(optarg);
}

void
backup_free(struct backup_asked *a)
{
	free(a->file);
	free(a->key_file);
	free(a->make_key);
	conf_free(&a->conf);
	buf_free(&a->problem);
}

bool
backup_secret(struct backup_asked *a, bool new, struct vault_secret *ret)
{
	char again[sizeof(a->passphrase)] = "";
	bool same = true;

	*ret = (struct vault_secret){ .key_file = a->key_file };
	if (a->key_file)
		return true;
	ask_line("Passphrase: ", a->passphrase, sizeof(a->passphrase));
	if (new && ask_is_terminal()) {
		ask_line("Again: ", again, sizeof(again));
		same = strcmp(again, a->passphrase) == 0;
		explicit_bzero(again, sizeof(again));
	}
	ret->passphrase = a->passphrase;
	if (!same)
		buf_puts(&a->problem, "the two are not the same");
	else if (strlen(a->passphrase) < (new ? VAULT_PASSPHRASE_MIN : 1))
		buf_printf(&a->problem, "a passphrase of at least %d bytes is needed, or --key FILE", VAULT_PASSPHRASE_MIN);
	else if (strlen(a->passphrase) > VAULT_PASSPHRASE_MAX)
		buf_printf(&a->problem, "the passphrase may have %d bytes at most", VAULT_PASSPHRASE_MAX);
	return a->problem.len == 0;
}

/* ---- the store ---- */

struct saving {
	struct backup_asked *asked;
	struct store	*store;
	struct vault	*vault;
	struct archive_totals totals;
	bool		 held;			/* the server holds writes, by our clock … */
	int64_t		 held_until;
	bool		 at_once;		/* … and has from the first to the last key */
};

static enum hl_err
save_group(struct saving *s, const char *const *keys, size_t count)
{
	struct stored group[INVENTORY_STEP];
	enum hl_err err = inventory_get(s->store, keys, count, group);

	for (size_t i = 0; i < count && err == HL_OK; i++)
		if (!group[i].gone)
			err = archive_key(s->vault, &group[i], &s->totals);
	return err;
}

static void
release(struct saving *s)
{
	if (s->held)
		(void)!inventory_go_on(s->store);
	s->held = false;
}

/* What belongs together is read in one step, held or not. */
static enum hl_err
save_keys(struct saving *s, const struct inventory *v)
{
	enum hl_err err = HL_OK;

	for (size_t i = 0, n; i < v->count && err == HL_OK; i += n) {
		n = 1;
		while (n < INVENTORY_STEP && i + n < v->count && inventory_together(v->keys[i], v->keys[i + n]))
			n++;
		err = save_group(s, (const char *const *)v->keys + i, n);
		if (s->held && clock_mono_ms() > s->held_until) {
			s->at_once = false;
			release(s);
		}
	}
	return err;
}

/* A small store is read again while it is held. */
static enum hl_err
list_keys(struct saving *s, struct inventory *v)
{
	enum hl_err err = inventory_read(s->store, false, v);

	if (err || v->count > HOLD_KEYS)
		return err;
	s->held = inventory_hold(s->store, HOLD_MS) == HL_OK;
	s->held_until = clock_mono_ms() + HOLD_MS - 200;
	s->at_once = s->held;
	if (!s->held)
		return HL_OK;
	inventory_free(v);
	return inventory_read(s->store, false, v);
}

/* ---- files ---- */

static enum hl_err
save_file(struct saving *s, enum area a, int dir, const char *entry, const char *name)
{
	struct stat st;
	enum hl_err err = HL_OK;
	int fd = area_takes(a, name) ? openat(dir, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;

	if (fd < 0)
		return HL_OK;		/* none of ours, or removed a moment ago */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		err = archive_file(s->vault, a, name, fd, &s->totals);
	close(fd);
	return err;
}

static enum hl_err
save_folder(struct saving *s, enum area a, int fd, const char *prefix)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char name[ARCHIVE_NAME_MAX + 256];
	struct dirent *e;
	enum hl_err err = HL_OK;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return fd < 0 && errno == ENOENT ? HL_OK : HL_INTERNAL;
	}
	while (err == HL_OK && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%.127s%s%s", prefix, *prefix ? "/" : "", e->d_name);
		if (a == AREA_UPLOADS && *prefix == '\0') {
			int folder = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			err = folder < 0 ? HL_OK : save_folder(s, a, folder, e->d_name);
		} else
			err = save_file(s, a, dirfd(dir), e->d_name, name);
	}
	closedir(dir);
	return err;
}

/* After the store: what it names is there by now.  The keys come last, as they are the last to be put back. */
static enum hl_err
save_files(struct saving *s)
{
	char path[4200];
	enum hl_err err = HL_OK;

	for (enum area a = 0; a < AREAS && err == HL_OK; a++) {
		area_folder(&s->asked->conf, a, path, sizeof(path));
		err = save_folder(s, a, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "");
		if (err)
			buf_printf(&s->asked->problem, "%s cannot be read: %s", path, strerror(errno));
	}
	return err;
}

static enum hl_err
save(struct store *store, void *arg)
{
	struct saving *s = arg;
	struct inventory keys;
	enum hl_err err;

	s->store = store;
	err = list_keys(s, &keys);
	if (err == HL_OK)
		err = archive_begin(s->vault, s->at_once);
	if (err == HL_OK)
		err = save_keys(s, &keys);
	release(s);
	inventory_free(&keys);
	if (err == HL_OK)
		err = save_files(s);
	if (err == HL_OK)
		err = archive_end(s->vault, &s->totals);
	if (err == HL_OK)
		err = vault_finish(s->vault, &s->asked->problem);
	else if (err != HL_STORE && s->asked->problem.len == 0)
		buf_printf(&s->asked->problem, "%s cannot be written: %s", s->asked->file, errno ? strerror(errno) : err_text(err));
	return err;
}

/* ---- the command ---- */

static void
tell(const struct saving *s)
{
	const struct archive_totals *t = &s->totals;
	struct buf out = BUF_INIT(16384);

	if (s->asked->json) {
		buf_puts(&out, "{\"file\":");
		buf_json_str(&out, s->asked->file);
		buf_printf(&out, ",\"keys\":%lld,\"files\":%lld,\"bytes\":%lld,\"atOnce\":%s}", (long long)t->keys, (long long)t->files,
		    (long long)t->bytes, s->at_once ? "true" : "false");
		puts(out.data ? out.data : "{}");
		buf_free(&out);
		return;
	}
	printf("saved: %lld keys of the store, %lld files (%lld bytes)\n", (long long)t->keys, (long long)t->files, (long long)t->bytes);
	if (!s->at_once)
		printf("The store was not held for it: what changed meanwhile may be there in part, each conversation whole.\n");
}

static int
back_up(struct backup_asked *a)
{
	struct saving s = { .asked = a };
	struct vault_secret secret;
	enum hl_err err = books_settings(&a->place, &a->conf, &a->problem);

	if (err == HL_OK && !backup_secret(a, true, &secret))
		err = HL_BAD_REQUEST;
	if (err == HL_OK)
		err = vault_create(a->file, &secret, &s.vault, &a->problem);
	explicit_bzero(a->passphrase, sizeof(a->passphrase));
	if (err == HL_OK)
		err = books_open(&a->conf, save, &s, &a->problem);
	vault_close(s.vault);
	if (err)
		return complain(1, "backup", "%s", a->problem.len ? a->problem.data : err_text(err));
	tell(&s);
	return 0;
}

static bool
parse(int argc, char **argv, struct backup_asked *a)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' }, { "key", required_argument, NULL, 'k' },
		{ "make-key", required_argument, NULL, 'm' }, { "json", no_argument, NULL, 'j' },
		{ "state-dir", required_argument, NULL, 's' }, { "env-file", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 't': backup_path(&a->file); break;
		case 'k': backup_path(&a->key_file); break;
		case 'm': backup_path(&a->make_key); break;
		case 'j': a->json = true; break;
		case 's': a->place.state_dir = optarg; break;
		case 'f': a->place.env_file = optarg; break;
		default: return false;
		}
	return optind == argc && (a->file != NULL) != (a->make_key != NULL) && !(a->make_key && a->key_file);
}

int
cmd_backup(int argc, char **argv)
{
	struct backup_asked a = { .problem = BUF_INIT(8192) };
	int ret;

	if (!parse(argc, argv, &a))
		ret = complain(2, argv[0], "%s", USAGE);
	else if (a.make_key == NULL)
		ret = back_up(&a);
	else
		ret = vault_make_key(a.make_key, &a.problem) == HL_OK ? 0 : complain(1, argv[0], "%s", a.problem.data);
	backup_free(&a);
	return ret;
}
