/*
 * helpline sweep - removes what nobody has any more: files of conversations, accounts and agents that are gone, and what
 * expired entries have left in lists.  For a timer; safe beside running programs, as nothing younger than a day is touched
 * (--age SECONDS: another time, for tests and for who has stopped them).
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

#include "attached.h"
#include "archive.h"
#include "base/clock.h"
#include "command.h"
#include "records/account.h"
#include "records/agent.h"
#include "records/escalation.h"
#include "records/inventory.h"
#include "services/file.h"
#include "services/uploads.h"
#include "who.h"

#define USAGE		"usage: helpline sweep [--age SECONDS] [--json] [--state-dir DIR] [--env-file FILE]"
#define AGE_S		86400
#define AGE_MAX		31536000

/* Names of files, those that are in use or those that are there. */
struct names { char **list; size_t count, room; };

struct sweeping {
	struct store	*store;
	struct conf	 conf;
	struct buf	 problem;
	struct books_place place;
	bool		 json;
	int64_t		 age_s;
	struct names	 sounds, images;	/* in use */
	size_t		 recordings, old_sounds, old_images;	/* removed */
};

static enum hl_err
add(struct names *n, const char *name)
{
	if (n->count == n->room) {
		size_t room = n->room ? 2 * n->room : 64;
		char **more = realloc(n->list, room * sizeof(*more));

		if (more == NULL)
			return HL_NO_MEMORY;
		n->list = more;
		n->room = room;
	}
	n->list[n->count] = strdup(name);
	return n->list[n->count] ? (n->count++, HL_OK) : HL_NO_MEMORY;
}

static void
names_free(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->list[i]);
	free(n->list);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
has(const struct names *sorted, const char *name)
{
	return sorted->count && bsearch(&name, sorted->list, sorted->count, sizeof(*sorted->list), compare);
}

/* ---- what is in use ---- */

/* The name behind kind, of a key that is kind and a name alone. */
static const char *
plain_name(const char *key, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(key, kind, len) == 0 && strchr(key + len, ':') == NULL ? key + len : NULL;
}

static enum hl_err
note_sounds(struct sweeping *x, const char *h)
{
	struct entries messages;
	struct place p;
	enum hl_err err;

	snprintf(p.h, sizeof(p.h), "%s", h);
	err = conversation_replay(x->store, &p, 0, &messages);
	for (size_t i = 0; i < messages.count && err == HL_OK; i++) {
		char file[SHELF_FILE_MAX];

		attached_sound(&messages.list[i], file);
		if (*file)
			err = add(&x->sounds, file);
	}
	entries_free(&messages);
	return err;
}

static enum hl_err
note_image(struct sweeping *x, const char *address)
{
	const char *name = who_avatar(address);

	return name ? add(&x->images, name) : HL_OK;
}

static enum hl_err
note_agent(struct sweeping *x, const char *h)
{
	struct agent a = { 0 };
	enum hl_err err = agent_load(x->store, h, &a);

	if (err == HL_OK)
		err = note_image(x, a.avatar);
	agent_clear(&a);
	return err == HL_NOT_FOUND ? HL_OK : err;
}

static enum hl_err
note_account(struct sweeping *x, const char *h)
{
	struct account a;
	enum hl_err err = account_load(x->store, h, &a);

	return err ? (err == HL_NOT_FOUND ? HL_OK : err) : note_image(x, a.avatar);
}

static enum hl_err
note_all(struct sweeping *x)
{
	static const struct { const char *kind; enum hl_err (*note)(struct sweeping *, const char *); } kinds[] = {
		{ "c:{0}:", note_sounds }, { AGENT_KEY, note_agent }, { "u:{0}:", note_account }
	};
	struct inventory v;
	enum hl_err err = inventory_read(x->store, false, &v);

	for (size_t i = 0; i < v.count && err == HL_OK; i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && err == HL_OK; k++) {
			const char *name = plain_name(v.keys[i], kinds[k].kind);

			if (name)
				err = kinds[k].note(x, name);
		}
	inventory_free(&v);
	if (x->sounds.count)
		qsort(x->sounds.list, x->sounds.count, sizeof(char *), compare);
	if (x->images.count)
		qsort(x->images.list, x->images.count, sizeof(char *), compare);
	return err;
}

/* ---- what is there ---- */

/* A sound is a link to a piece that may be much older: the link's time counts. */
static bool
is_old(const struct stat *st, int64_t age_s)
{
	int64_t now = clock_wall_ms() / 1000;

	return S_ISREG(st->st_mode) && now - st->st_mtime >= age_s && now - st->st_ctime >= age_s;
}

/* Files in folder that are old enough and not in use. */
static enum hl_err
list_old(const char *folder, int64_t age_s, const struct names *used, struct names *ret)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	struct stat st;
	enum hl_err err = HL_OK;

	while (dir && err == HL_OK && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.' && !has(used, e->d_name) && fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    is_old(&st, age_s))
			err = add(ret, e->d_name);
	if (dir)
		closedir(dir);
	return err;
}

static enum hl_err
sweep_sounds(struct sweeping *x)
{
	struct names old = { 0 };
	struct attached files;
	char folder[4200];
	enum hl_err err;

	area_folder(&x->conf, AREA_AUDIO, folder, sizeof(folder));
	attached_open(&x->conf, &files);
	err = files.shelf ? list_old(folder, x->age_s, &x->sounds, &old) : HL_OK;
	for (size_t i = 0; i < old.count && err == HL_OK; i++, x->old_sounds++)
		shelf_remove(files.shelf, old.list[i]);
	if (files.shelf)
		shelf_tend(files.shelf);
	attached_close(&files);
	names_free(&old);
	return err;
}

static enum hl_err
sweep_images(struct sweeping *x)
{
	struct names old = { 0 };
	enum hl_err err = list_old(x->conf.avatar_path, x->age_s, &x->images, &old);

	for (size_t i = 0; i < old.count && err == HL_OK; i++) {
		if (!area_takes(AREA_AVATARS, old.list[i]))
			continue;
		file_remove(x->conf.avatar_path, old.list[i]);
		x->old_images++;
	}
	names_free(&old);
	return err;
}

struct folders { struct names names; enum hl_err err; };

static bool
note_folder(void *arg, const char *folder)
{
	struct folders *f = arg;

	if (f->err == HL_OK)
		f->err = add(&f->names, folder);
	return true;
}

static enum hl_err
sweep_recordings(struct sweeping *x)
{
	struct folders f = { .err = HL_OK };
	enum hl_err err;

	uploads_sweep(x->conf.upload_path, x->age_s, note_folder, &f);
	err = f.err;
	for (size_t i = 0; i < f.names.count && err == HL_OK; i++) {
		struct ownership owner;
		struct place p;

		snprintf(p.h, sizeof(p.h), "%s", f.names.list[i]);
		err = conversation_owner(x->store, &p, &owner);
		if (err != HL_NOT_FOUND)
			continue;
		uploads_remove(x->conf.upload_path, p.h);
		x->recordings++;
		err = HL_OK;
	}
	names_free(&f.names);
	return err;
}

/* Reading the lists forgets what has expired. */
static enum hl_err
sweep_lists(struct sweeping *x)
{
	struct escalations open;
	int64_t active;
	enum hl_err err = escalation_list(x->store, "", &open);

	escalations_free(&open);
	return err ? err : conversation_count_active(x->store, &active);
}

static enum hl_err
work(struct store *s, void *arg)
{
	struct sweeping *x = arg;
	enum hl_err err;

	x->store = s;
	err = note_all(x);
	if (err == HL_OK)
		err = sweep_sounds(x);
	if (err == HL_OK)
		err = sweep_images(x);
	if (err == HL_OK)
		err = sweep_recordings(x);
	return err ? err : sweep_lists(x);
}

/* ---- the command ---- */

static bool
take_age(const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtol(text, &end, 10);
	return errno == 0 && *text && *end == '\0' && *ret >= 0 && *ret <= AGE_MAX;
}

static bool
parse(int argc, char **argv, struct sweeping *x)
{
	static const struct option options[] = {
		{ "age", required_argument, NULL, 'a' }, { "json", no_argument, NULL, 'j' }, { "state-dir", required_argument, NULL, 's' },
		{ "env-file", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'a':
			if (!take_age(optarg, &x->age_s))
				return false;
			break;
		case 'j': x->json = true; break;
		case 's': x->place.state_dir = optarg; break;
		case 'f': x->place.env_file = optarg; break;
		default: return false;
		}
	return optind == argc;
}

int
cmd_sweep(int argc, char **argv)
{
	struct sweeping x = { .problem = BUF_INIT(4096), .age_s = AGE_S };
	enum hl_err err;

	if (!parse(argc, argv, &x))
		return complain(2, argv[0], "%s", USAGE);
	err = books_settings(&x.place, &x.conf, &x.problem);
	if (err == HL_OK)
		err = books_open(&x.conf, work, &x, &x.problem);
	if (err)
		complain(1, argv[0], "%s", x.problem.len ? x.problem.data : err_text(err));
	else
		printf(x.json ? "{\"recordings\":%zu,\"sounds\":%zu,\"images\":%zu}\n" :
		    "removed: recordings of %zu conversations, %zu sounds, %zu images\n", x.recordings, x.old_sounds, x.old_images);
	names_free(&x.sounds);
	names_free(&x.images);
	conf_free(&x.conf);
	buf_free(&x.problem);
	return err ? 1 : 0;
}
