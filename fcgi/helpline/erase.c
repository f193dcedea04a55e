/*
 * helpline erase - removes all about one person: from the store, from the folders of files, and from the files in which Redis
 * keeps the store.  Without --yes it only says what that would be.
 */
#include <stdio.h>
#include <string.h>

#include "attached.h"
#include "command.h"
#include "records/agent.h"
#include "records/inventory.h"
#include "services/file.h"
#include "services/uploads.h"
#include "who.h"

#define USAGE "usage: helpline erase --user ID|--email ADDRESS [--yes] [--json] [--state-dir DIR] [--env-file FILE]\n" \
	"       without --yes it only says what it would remove\n" \
	"       ID is an account's, or the userId with which sessions of the chat API were begun"

#define REWRITE_MS	120000

struct erasing {
	struct who	*who;
	size_t		 removed;
	bool		 rewritten;	/* Redis' own files are without it */
};

static enum hl_err
remove_files(struct store *s, struct attached *files, const struct place_list *l)
{
	enum hl_err err = HL_OK;

	for (size_t i = 0; i < l->count && err == HL_OK; i++) {
		struct entries messages;

		err = conversation_replay(s, &l->list[i], 0, &messages);
		if (err == HL_OK)
			attached_remove(files, &l->list[i], &messages);
		entries_free(&messages);
	}
	return err;
}

static void
remove_avatar(const struct conf *conf, const char *address)
{
	const char *name = who_avatar(address);

	if (name)
		file_remove(conf->avatar_path, name);
}

static enum hl_err
remove_avatars(struct store *s, const struct account *a)
{
	struct agents all = { 0 };
	enum hl_err err = a->stored ? agent_list(s, a->h, &all, NULL) : HL_OK;

	for (size_t i = 0; i < all.count; i++)
		remove_avatar(s->conf, all.list[i].avatar);
	agents_free(&all);
	if (err == HL_OK && a->stored)
		remove_avatar(s->conf, a->avatar);
	return err;
}

/*
 * Files go first: as long as the store has their names, a second attempt finds what a killed one has left.  What comes to a
 * conversation in between is swept later.
 */
static enum hl_err
erase(struct store *s, struct erasing *x)
{
	struct belongings *b = &x->who->b;
	struct attached files;
	enum hl_err err;

	attached_open(s->conf, &files);
	err = remove_files(s, &files, &b->sessions);
	if (err == HL_OK)
		err = remove_files(s, &files, &b->conversations);
	if (err == HL_OK)
		err = belongings_erase(s, b, &x->removed);
	for (size_t i = 0; err == HL_OK && i < b->conversations.count; i++)
		uploads_remove(s->conf->upload_path, b->conversations.list[i].h);
	attached_close(&files);
	return err;
}

static enum hl_err
work(struct store *s, void *arg)
{
	struct erasing *x = arg;
	struct who *w = x->who;
	enum hl_err err = who_find(s, w);

	if (err || !w->yes)
		return err;
	err = belongings_check(s, &w->b);
	if (err == HL_OK)
		err = remove_avatars(s, &w->b.account);
	if (err == HL_OK)
		err = erase(s, x);
	if (err == HL_OK)
		x->rewritten = inventory_rewrite(s, REWRITE_MS) == HL_OK;
	if (err == HL_CONFLICT)
		buf_puts(&w->problem, "this is the only administrator; make another one first (helpline users set-role)");
	if (err == HL_BUSY)
		buf_puts(&w->problem, "it is used at this moment, and something of it came again and again; try once more");
	return err;
}

static void
tell(const struct erasing *x)
{
	const struct who *w = x->who;
	const struct belongings *b = &w->b;

	if (w->json) {
		printf("{\"erased\":%s,\"account\":%s,\"sessions\":%zu,\"conversations\":%zu,\"escalations\":%zu,\"rewritten\":%s}\n",
		    w->yes ? "true" : "false", b->account.stored ? "true" : "false", b->sessions.count, b->conversations.count,
		    b->escalations.count, x->rewritten ? "true" : "false");
		return;
	}
	printf("%s: %s, %zu sessions, %zu conversations, %zu escalations, with their files\n", w->yes ? "erased" : "would erase",
	    b->account.stored ? "an account" : "no account", b->sessions.count, b->conversations.count, b->escalations.count);
	if (!w->yes)
		printf("Nothing was changed; say --yes to do it.\n");
	else
		printf("No key and no value in the store names this person any more.  Backups made before still hold it all.\n");
}

int
cmd_erase(int argc, char **argv)
{
	struct who w = { .problem = BUF_INIT(8192) };
	struct erasing x = { .who = &w };
	bool asked = who_parse(argc, argv, &w) && w.to == NULL;
	int ret = who_run(argv[0], USAGE, asked, &w, work, &x);

	if (ret == 0)
		tell(&x);
	if (ret == 0 && w.yes && !x.rewritten)
		ret = complain(1, argv[0], "Redis would not write its own files anew: they hold what was erased, sealed, until BGREWRITEAOF and "
		    "BGSAVE are done there");
	who_free(&w);
	return ret;
}
