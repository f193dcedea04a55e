/*
 * helpline escalations - the people's side of the API from the command line: who waits, and what to do about it.
 *
 * Whoever may run it acts as an administrator, in the name of an account: the one that --as names, or the first
 * administrator's.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/person.h"
#include "base/str.h"
#include "books.h"
#include "command.h"
#include "typed.h"
#include "records/account.h"
#include "written.h"

#define USAGE "usage: helpline escalations list [--status open|taken]\n" \
	"       helpline escalations show ID\n" \
	"       helpline escalations take ID\n" \
	"       helpline escalations reply ID --text TEXT\n" \
	"       helpline escalations return ID [--text NOTE]\n" \
	"       helpline escalations close ID [--text RESOLUTION]\n" \
	"       each with [--as EMAIL] [--json] [--state-dir DIR] [--env-file FILE]; --text - reads standard input;\n" \
	"       without --as it is done in the first administrator's name"

#define WORDS_MAX	8192u		/* bytes of a note or a resolution, as the API has it */

struct asked {
	const struct action *action;
	const char	*id, *text, *as, *status;
	bool		 json;
	struct books_place place;
	struct conf	 conf;
	struct account	 who;
	struct escalation e;
	struct buf	 words, out, problem;
};

static enum hl_err
fail(struct asked *q, enum hl_err err, const char *format, const char *detail)
{
	buf_reset(&q->problem);
	buf_printf(&q->problem, format, detail);
	return err;
}

/* ---- showing ---- */

static void
show_line(const struct escalation *e)
{
	const char *words = json_get_string(e->data, "originalMessage");
	char at[CLOCK_ISO_LEN + 1];

	clock_iso(e->opened_ms, at);
	printf("%s  %.16s  %-8s  %-10s  ", e->id, at, e->status, e->reason);
	written_words(words ? words : "", words ? strcspn(words, "\n") : 0);
	putchar('\n');
}

static enum hl_err
print_record(struct asked *q, const struct entries *messages)
{
	if (!q->json) {
		show_line(&q->e);
		if (messages)
			written_show_messages(messages);
		return HL_OK;
	}
	escalation_write(&q->out, &q->e);
	if (messages)
		written_messages(&q->out, messages);
	buf_putc(&q->out, '}');
	return written_print(&q->out);
}

static enum hl_err
list(struct store *s, struct asked *q)
{
	struct escalations all;
	enum hl_err err = escalation_list(s, q->status ? q->status : "", &all);

	buf_putc(&q->out, '[');
	for (size_t i = 0; err == HL_OK && i < all.count; i++) {
		if (!q->json) {
			show_line(&all.list[i]);
			continue;
		}
		if (q->out.len > 1)
			buf_putc(&q->out, ',');
		escalation_write(&q->out, &all.list[i]);
		buf_putc(&q->out, '}');
	}
	buf_putc(&q->out, ']');
	if (err == HL_OK && q->json)
		err = written_print(&q->out);
	escalations_free(&all);
	return err;
}

static enum hl_err
show(struct store *s, struct asked *q)
{
	struct entries messages = { 0 };
	enum hl_err err = conversation_replay(s, &q->e.place, 0, &messages);

	if (err == HL_OK)
		err = print_record(q, &messages);
	entries_free(&messages);
	return err;
}

/* ---- doing ---- */

static enum hl_err
explain(struct asked *q, enum hl_err err)
{
	if (err == HL_TOO_LARGE)
		return fail(q, err, "this conversation is full%s", "");
	if (err != HL_CONFLICT)
		return err;
	if (str_equal(q->e.status, "open"))
		return fail(q, err, "nobody has taken this escalation: take it first%s", "");
	if (!str_equal(q->e.status, "taken"))
		return fail(q, err, "this escalation is over: it was %s", q->e.status);
	return fail(q, err, "%s has taken this escalation", q->e.taken_by.len ? q->e.taken_by.data : "somebody");
}

static enum hl_err
take(struct store *s, struct asked *q)
{
	enum hl_err err = explain(q, escalation_take(s, &q->e, &(struct staff){ q->who.id, true }));

	return err ? err : print_record(q, NULL);
}

static enum hl_err
reply(struct store *s, struct asked *q)
{
	char id[ID_LEN + 1];
	struct reply r = { .text = q->words.data, .len = q->words.len, .client_id = id };
	struct entry stored = { 0 };
	enum hl_err err;

	id_new(id);
	err = explain(q, escalation_reply(s, &q->e, &(struct staff){ q->who.id, true }, &r, &stored));
	if (err == HL_OK && q->json) {
		entry_write_desk(&q->out, &stored);
		err = written_print(&q->out);
	} else if (err == HL_OK)
		printf("said, as message %lld\n", (long long)stored.seq);
	entry_clear(&stored);
	return err;
}

static enum hl_err
give_back(struct store *s, struct asked *q)
{
	enum hl_err err = explain(q, escalation_return(s, &q->e, &(struct staff){ q->who.id, true }, q->text ? q->words.data : NULL));

	return err ? err : print_record(q, NULL);
}

static enum hl_err
close_it(struct store *s, struct asked *q)
{
	enum hl_err err = explain(q, escalation_close(s, &q->e, &(struct staff){ q->who.id, true }, q->text ? q->words.data : NULL));

	return err ? err : print_record(q, NULL);
}

/* ---- what was asked ---- */

enum text { NO_TEXT, MAY_HAVE_TEXT, NEEDS_TEXT };

static const struct action {
	const char	*name;
	enum hl_err	(*run)(struct store *, struct asked *);
	bool		 one, acts;
	enum text	 text;
} actions[] = {
	{ "list", list, false, false, NO_TEXT },
	{ "show", show, true, false, NO_TEXT },
	{ "take", take, true, true, NO_TEXT },
	{ "reply", reply, true, true, NEEDS_TEXT },
	{ "return", give_back, true, true, MAY_HAVE_TEXT },
	{ "close", close_it, true, true, MAY_HAVE_TEXT },
};

static enum hl_err
find_who(struct store *s, struct asked *q)
{
	char email[ACCOUNT_EMAIL_MAX + 1], h[CRYPTO_NAME_LEN + 1];
	enum hl_err err;

	if (q->as) {
		err = person_email_fold(q->as, strlen(q->as), email) ? account_find(s, email, &q->who) : HL_NOT_FOUND;
		return err == HL_NOT_FOUND ? fail(q, err, "there is no account with the address %s", q->as) : err;
	}
	err = account_first(s, h);
	if (err == HL_OK)
		err = account_load(s, h, &q->who);
	return err == HL_NOT_FOUND ? fail(q, err, "there is no administrator yet, so say in whose name: --as EMAIL; helpline users add "
	    "makes accounts%s", "") : err;
}

static enum hl_err
work(struct store *s, void *arg)
{
	struct asked *q = arg;
	enum hl_err err = q->action->acts ? find_who(s, q) : HL_OK;

	if (err == HL_OK && q->action->one) {
		err = escalation_read(s, q->id, &q->e);
		if (err == HL_NOT_FOUND)
			(void)fail(q, err, "there is no such escalation, or it has expired%s", "");
	}
	return err ? err : q->action->run(s, q);
}

static bool
take_action(struct asked *q, const char *name)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, name) == 0)
			q->action = &actions[i];
	return q->action != NULL;
}

static bool
parse(int argc, char **argv, struct asked *q)
{
	static const struct option options[] = {
		{ "status", required_argument, NULL, 'S' }, { "text", required_argument, NULL, 't' }, { "as", required_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' }, { "state-dir", required_argument, NULL, 's' },
		{ "env-file", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 }
	};
	const char *id = typed_id(&argc, argv);
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'S':
			q->status = optarg;
			if (strcmp(optarg, "open") != 0 && strcmp(optarg, "taken") != 0) {
				complain(2, "escalations", "--status takes open or taken, not \"%s\": what is over is in no list", optarg);
				return false;
			}
			break;
		case 't': q->text = optarg; break;
		case 'a': q->as = optarg; break;
		case 'j': q->json = true; break;
		case 's': q->place.state_dir = optarg; break;
		case 'f': q->place.env_file = optarg; break;
		default: return false;
		}
	if (optind == argc || !take_action(q, argv[optind]) || argc - optind + (id != NULL) != (q->action->one ? 2 : 1))
		return false;
	q->id = id || !q->action->one ? id : argv[optind + 1];
	return (q->status == NULL || !q->action->one) &&
	    (q->action->acts || q->as == NULL) && (q->text != NULL || q->action->text != NEEDS_TEXT) &&
	    (q->text == NULL || q->action->text != NO_TEXT);
}

/* The words, from the command line or standard input.  What is wrong with them, or NULL. */
static const char *
read_words(struct asked *q)
{
	char block[4096];
	size_t n;

	if (q->text == NULL)
		return NULL;
	q->words.max = q->action->text == NEEDS_TEXT ? (size_t)q->conf.max_message : WORDS_MAX;
	if (strcmp(q->text, "-") != 0)
		buf_puts(&q->words, q->text);
	else
		while ((n = fread(block, 1, sizeof(block), stdin)) > 0)
			buf_add(&q->words, block, n);
	if (buf_err(&q->words) != HL_OK)
		return "the text is too long";
	if (q->words.data == NULL || str_blank(q->words.data, q->words.len))
		return "the text is empty";
	return utf8_valid(q->words.data, q->words.len) && strlen(q->words.data) == q->words.len ? NULL : "the text must be UTF-8";
}

int
cmd_escalations(int argc, char **argv)
{
	struct asked q = { .out = BUF_INIT(WRITTEN_MAX), .problem = BUF_INIT(4096) };
	const char *wrong;
	enum hl_err err;

	if (!parse(argc, argv, &q))
		return complain(2, argv[0], "%s", USAGE);
	err = books_settings(&q.place, &q.conf, &q.problem);
	wrong = err ? NULL : read_words(&q);
	if (wrong)
		err = fail(&q, HL_BAD_REQUEST, "%s", wrong);
	if (err == HL_OK)
		err = books_open(&q.conf, work, &q, &q.problem);
	if (err)
		complain(1, argv[0], "%s", q.problem.len ? q.problem.data : err_text(err));
	escalation_clear(&q.e);
	conf_free(&q.conf);
	buf_free(&q.words);
	buf_free(&q.out);
	buf_free(&q.problem);
	return err ? 1 : 0;
}
