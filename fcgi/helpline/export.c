/*
 * helpline export - all about one person: person.json and, in files/, what was recorded, said aloud, or sent as an image.  The
 * folder is new, and its owner's alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attached.h"
#include "base/clock.h"
#include "command.h"
#include "records/agent.h"
#include "records/api_key.h"
#include "records/calls.h"
#include "who.h"
#include "written.h"

#define USAGE "usage: helpline export --user ID|--email ADDRESS --to DIR [--json] [--state-dir DIR] [--env-file FILE]\n" \
	"       ID is an account's, or the userId with which sessions of the chat API were begun"

struct exporting {
	struct who	*who;
	struct store	*store;
	struct attached	 files;
	FILE		*file;		/* person.json */
	struct buf	 out;		/* what comes next in it */
	bool		 first;		/* in a list of file names */
	size_t		 copied;
};

static enum hl_err
cannot(struct exporting *x, const char *path)
{
	buf_reset(&x->who->problem);
	buf_printf(&x->who->problem, "%s cannot be written: %s", path, strerror(errno));
	return HL_INTERNAL;
}

/* What is in out is written, so that a person with many conversations needs no memory for all of them. */
static enum hl_err
flush(struct exporting *x)
{
	enum hl_err err = buf_err(&x->out);

	if (err == HL_OK && x->out.len && fwrite(x->out.data, x->out.len, 1, x->file) != 1)
		err = cannot(x, x->who->to);
	buf_reset(&x->out);
	return err;
}

/* ---- files ---- */

static bool
copy(int from, int to)
{
	char block[16384];
	ssize_t n;

	while ((n = read(from, block, sizeof(block))) > 0)
		for (ssize_t at = 0, w; at < n; at += w)
			if ((w = write(to, block + at, (size_t)(n - at))) < 0)
				return false;
	return n == 0;
}

/* Copies it, and names it in the list that is being written. */
static enum hl_err
take_file(void *arg, const char *path, const char *name)
{
	struct exporting *x = arg;
	char target[4700];
	int from = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), to;
	bool ok;

	if (from < 0)
		return HL_OK;		/* removed a moment ago */
	snprintf(target, sizeof(target), "%s/files/%s", x->who->to, name);
	to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	ok = to >= 0 && copy(from, to) && fsync(to) == 0;
	close(from);
	if (!ok) {
		enum hl_err err = cannot(x, target);

		if (to >= 0)
			close(to);
		return err;
	}
	close(to);
	if (!x->first)
		buf_putc(&x->out, ',');
	buf_printf(&x->out, "\"files/%s\"", name);
	x->first = false;
	x->copied++;
	return HL_OK;
}

static enum hl_err
take_avatar(struct exporting *x, const char *address)
{
	const char *name = who_avatar(address);
	char path[4700];
	enum hl_err err = HL_OK;

	buf_puts(&x->out, ",\"files\":[");
	x->first = true;
	snprintf(path, sizeof(path), "%s/%s", x->who->conf.avatar_path, name ? name : "");
	if (name)
		err = take_file(x, path, name);
	buf_putc(&x->out, ']');
	return err;
}

static enum hl_err
take_attached(struct exporting *x, const struct place *p, const struct entries *messages)
{
	enum hl_err err;

	buf_puts(&x->out, ",\"files\":[");
	x->first = true;
	err = attached_each(&x->files, p, messages, take_file, x);
	buf_putc(&x->out, ']');
	return err;
}

/* ---- records ---- */

static enum hl_err
write_account(struct exporting *x)
{
	const struct account *a = &x->who->b.account;
	enum hl_err err;

	if (!a->stored) {
		buf_puts(&x->out, "null");
		return HL_OK;
	}
	buf_puts(&x->out, "{\"id\":");
	buf_json_str(&x->out, a->id);
	buf_puts(&x->out, ",\"name\":");
	buf_json_str(&x->out, a->name);
	buf_puts(&x->out, ",\"email\":");
	buf_json_str(&x->out, a->email);
	buf_printf(&x->out, ",\"role\":\"%s\"", a->admin ? "admin" : "user");
	written_time(&x->out, "createdAt", a->created_ms);
	written_time(&x->out, "updatedAt", a->updated_ms);
	err = take_avatar(x, a->avatar);
	buf_putc(&x->out, '}');
	return err;
}

static enum hl_err
write_agents(struct exporting *x)
{
	struct agents all = { 0 };
	enum hl_err err = x->who->b.account.stored ? agent_list(x->store, x->who->b.account.h, &all, NULL) : HL_OK;

	for (size_t i = 0; i < all.count && err == HL_OK; i++) {
		buf_puts(&x->out, i ? ",{\"agent\":" : "{\"agent\":");
		json_write(&x->out, all.list[i].data);
		written_time(&x->out, "createdAt", all.list[i].created_ms);
		written_time(&x->out, "updatedAt", all.list[i].updated_ms);
		err = take_avatar(x, all.list[i].avatar);
		buf_putc(&x->out, '}');
	}
	agents_free(&all);
	return err;
}

static enum hl_err
write_keys(struct exporting *x)
{
	static struct api_key keys[API_KEYS_PAGE];
	size_t from = 0, count;
	bool first = true;
	enum hl_err err;

	do {
		err = api_key_list(x->store, from, keys, &count);
		for (size_t i = 0; i < count && err == HL_OK; i++) {
			if (strcmp(keys[i].owner, x->who->b.account.h) != 0)
				continue;
			buf_puts(&x->out, first ? "{\"name\":" : ",{\"name\":");
			buf_json_str(&x->out, keys[i].name);
			written_time(&x->out, "createdAt", keys[i].created_ms);
			written_time(&x->out, "usedAt", keys[i].used_ms);
			buf_putc(&x->out, '}');
			first = false;
		}
		from += count;
	} while (err == HL_OK && count == API_KEYS_PAGE);
	return err;
}

static enum hl_err
write_session(struct exporting *x, const struct place *p)
{
	struct entries messages = { 0 };
	struct session s;
	enum hl_err err = session_at(x->store, p, &s);

	if (err == HL_OK)
		err = conversation_replay(x->store, p, 0, &messages);
	if (err == HL_OK) {
		written_session(&x->out, &s);
		written_messages(&x->out, &messages);
		err = take_attached(x, p, &messages);
		buf_putc(&x->out, '}');
	}
	session_clear(&s);
	entries_free(&messages);
	return err;
}

static void
write_calls(struct buf *out, const struct call_events *events)
{
	buf_puts(out, ",\"calls\":[");
	for (size_t i = 0; i < events->count; i++) {
		if (i)
			buf_putc(out, ',');
		buf_add(out, events->list[i].data, events->list[i].len);
	}
	buf_putc(out, ']');
}

static enum hl_err
write_conversation(struct exporting *x, const struct place *p)
{
	const struct desk_access access = { .account = x->who->b.account.h };
	struct desk_conversation c = { 0 };
	struct call_events calls = { 0 };
	struct entries messages = { 0 };
	char id[ID_LEN + 1];
	enum hl_err err = desk_id_at(x->store, p, id);

	if (err == HL_OK)
		err = *id ? desk_read(x->store, &access, id, DESK_NO_MESSAGES, &c) : HL_NOT_FOUND;
	if (err == HL_OK)
		err = conversation_replay(x->store, p, 0, &messages);
	if (err == HL_OK)
		err = calls_read(x->store, p, &calls);
	if (err == HL_OK) {
		written_conversation(&x->out, &c);
		written_messages(&x->out, &messages);
		write_calls(&x->out, &calls);
		err = take_attached(x, p, &messages);
		buf_putc(&x->out, '}');
	}
	desk_clear(&c);
	call_events_free(&calls);
	entries_free(&messages);
	return err;
}

static enum hl_err
write_escalation(struct exporting *x, const struct place *id)
{
	struct escalation e;
	enum hl_err err = escalation_read(x->store, id->h, &e);

	if (err == HL_OK) {
		escalation_write(&x->out, &e);
		buf_putc(&x->out, '}');
	}
	escalation_clear(&e);
	return err;
}

/* What has expired meanwhile is left out. */
static enum hl_err
write_list(struct exporting *x, const char *name, const struct place_list *l, enum hl_err (*write)(struct exporting *, const struct place *))
{
	bool first = true;
	enum hl_err err = HL_OK;

	buf_printf(&x->out, ",\n\"%s\":[", name);
	for (size_t i = 0; i < l->count && err == HL_OK; i++) {
		size_t before = x->out.len;

		buf_puts(&x->out, first ? "\n" : ",\n");
		err = write(x, &l->list[i]);
		if (err == HL_NOT_FOUND) {
			x->out.len = before;
			err = HL_OK;
			continue;
		}
		first = false;
		if (err == HL_OK)
			err = flush(x);
	}
	buf_putc(&x->out, ']');
	return err;
}

static enum hl_err
write_person(struct exporting *x)
{
	const struct belongings *b = &x->who->b;
	char now[CLOCK_ISO_LEN + 1];
	enum hl_err err;

	clock_iso(clock_wall_ms(), now);
	buf_printf(&x->out, "{\"exportedAt\":\"%s\",\n\"userId\":", now);
	buf_json_str(&x->out, b->user_id);
	buf_puts(&x->out, ",\n\"account\":");
	err = write_account(x);
	buf_puts(&x->out, ",\n\"agents\":[");
	if (err == HL_OK)
		err = write_agents(x);
	buf_puts(&x->out, "],\n\"apiKeys\":[");
	if (err == HL_OK)
		err = write_keys(x);
	buf_putc(&x->out, ']');
	if (err == HL_OK)
		err = write_list(x, "sessions", &b->sessions, write_session);
	if (err == HL_OK)
		err = write_list(x, "conversations", &b->conversations, write_conversation);
	if (err == HL_OK)
		err = write_list(x, "escalations", &b->escalations, write_escalation);
	buf_printf(&x->out, ",\n\"escalationsTaken\":%zu}\n", b->taken.count);
	return err ? err : flush(x);
}

/* ---- the command ---- */

static enum hl_err
make_folder(struct exporting *x)
{
	char path[4400];
	int fd;

	if (mkdir(x->who->to, 0700) != 0) {
		bool there = errno == EEXIST;
		enum hl_err err = cannot(x, x->who->to);

		if (there)
			buf_puts(&x->who->problem, "; name a folder that is not there yet");
		return err;
	}
	snprintf(path, sizeof(path), "%s/files", x->who->to);
	if (mkdir(path, 0700) != 0)
		return cannot(x, path);
	snprintf(path, sizeof(path), "%s/person.json", x->who->to);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	x->file = fd < 0 ? NULL : fdopen(fd, "w");
	return x->file ? HL_OK : cannot(x, path);
}

static enum hl_err
work(struct store *s, void *arg)
{
	struct exporting *x = arg;
	enum hl_err err = who_find(s, x->who);

	x->store = s;
	attached_open(s->conf, &x->files);
	if (err == HL_OK)
		err = make_folder(x);
	if (err == HL_OK)
		err = write_person(x);
	if (x->file && fclose(x->file) != 0 && err == HL_OK)
		err = cannot(x, x->who->to);
	attached_close(&x->files);
	return err;
}

static void
tell(struct exporting *x)
{
	const struct belongings *b = &x->who->b;

	buf_reset(&x->out);
	if (!x->who->json) {
		printf("written to %s: %s, %zu sessions, %zu conversations, %zu escalations, %zu files\n", x->who->to,
		    b->account.stored ? "an account" : "no account", b->sessions.count, b->conversations.count, b->escalations.count, x->copied);
		return;
	}
	buf_puts(&x->out, "{\"folder\":");
	buf_json_str(&x->out, x->who->to);
	buf_printf(&x->out, ",\"account\":%s,\"sessions\":%zu,\"conversations\":%zu,\"escalations\":%zu,\"files\":%zu}",
	    b->account.stored ? "true" : "false", b->sessions.count, b->conversations.count, b->escalations.count, x->copied);
	(void)!written_print(&x->out);
}

int
cmd_export(int argc, char **argv)
{
	struct who w = { .problem = BUF_INIT(8192) };
	struct exporting x = { .who = &w, .out = BUF_INIT(WRITTEN_MAX) };
	bool asked = who_parse(argc, argv, &w) && w.to && !w.yes;
	int ret = who_run(argv[0], USAGE, asked, &w, work, &x);

	if (ret == 0)
		tell(&x);
	buf_free(&x.out);
	who_free(&w);
	return ret;
}
