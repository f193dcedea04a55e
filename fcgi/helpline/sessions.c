/*
 * helpline sessions - the chat API's sessions, and conversations of the desk by their id: which there are, what was said, the
 * end of one.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attached.h"
#include "base/clock.h"
#include "base/str.h"
#include "books.h"
#include "command.h"
#include "typed.h"
#include "written.h"

#define USAGE "usage: helpline sessions list [--user ID] [--limit N]\n" \
	"       helpline sessions show ID\n" \
	"       helpline sessions end ID\n" \
	"       each with [--json] [--state-dir DIR] [--env-file FILE]\n" \
	"       list: of the chat API, the most recently used first, at most 100 unless told;\n" \
	"       end: a session is forgotten at once, a conversation of the desk is completed"

#define LIMIT		100
#define LIMIT_MAX	100000

struct sessions_asked {
	const char	*id, *user;
	size_t		 limit, shown;
	bool		 json, limited;
	struct books_place place;
	struct conf	 conf;
	struct buf	 out, problem;
};

/* ---- list ---- */

static void
list_one(struct sessions_asked *q, const struct session *x)
{
	const char *user = json_get_string(x->data, "userId");
	char at[CLOCK_ISO_LEN + 1];

	if (q->user && !str_equal(q->user, user))
		return;
	q->shown++;
	if (q->json) {
		if (q->out.len > 1)
			buf_putc(&q->out, ',');
		written_session(&q->out, x);
		buf_putc(&q->out, '}');
		return;
	}
	clock_iso(x->updated_ms, at);
	printf("%s  %.16s  %5lld messages  %-6s  ", x->id, at, (long long)x->seq, x->person ? "person" : *x->escalation_id ? "waits" : "ai");
	written_words(user ? user : "", user ? strlen(user) : 0);
	putchar('\n');
}

static enum hl_err
list(struct store *s, void *arg)
{
	static struct session page[SESSIONS_PAGE];
	struct sessions_asked *q = arg;
	size_t count, from = 0;
	bool more = true;
	enum hl_err err = HL_OK;

	buf_putc(&q->out, '[');
	for (; err == HL_OK && more && q->shown < q->limit; from += SESSIONS_PAGE) {
		err = sessions_list(s, from, page, &count, &more);
		for (size_t i = 0; i < count; i++) {
			if (err == HL_OK && q->shown < q->limit)
				list_one(q, &page[i]);
			session_clear(&page[i]);
		}
	}
	buf_putc(&q->out, ']');
	return err || !q->json ? err : written_print(&q->out);
}

/* ---- one ---- */

/* A session of the chat API or, if it is none, a conversation of the desk. */
struct one { struct session session; struct desk_conversation desk; struct entries messages; bool is_desk; };

static void
one_clear(struct one *f)
{
	session_clear(&f->session);
	desk_clear(&f->desk);
	entries_free(&f->messages);
}

static enum hl_err
find(struct store *s, struct sessions_asked *q, struct one *f)
{
	struct place p = conversation_place(s, q->id);
	enum hl_err err = session_at(s, &p, &f->session);

	if (err == HL_OK)
		err = conversation_replay(s, &p, 0, &f->messages);
	else if (err == HL_NOT_FOUND) {
		f->is_desk = true;
		err = desk_read(s, &(struct desk_access){ .admin = true }, q->id, 0, &f->desk);
	}
	if (err == HL_NOT_FOUND)
		buf_puts(&q->problem, "there is no session and no conversation with this id, or it has expired");
	return err;
}

static void
show_head(const struct one *f)
{
	const char *user = f->is_desk ? f->desk.user_id : json_get_string(f->session.data, "userId");
	char at[CLOCK_ISO_LEN + 1];

	clock_iso(f->is_desk ? f->desk.created_ms : f->session.created_ms, at);
	printf("%s of ", f->is_desk ? "conversation" : "session");
	written_words(user && *user ? user : "-", user && *user ? strlen(user) : 1);
	printf(", since %.16s, %s\n", at, f->is_desk ? desk_status_name(f->desk.status) : f->session.person ? "with a person" : "with the assistant");
}

static enum hl_err
show(struct store *s, void *arg)
{
	struct sessions_asked *q = arg;
	struct one f = { .is_desk = false };
	enum hl_err err = find(s, q, &f);
	const struct entries *messages = f.is_desk ? &f.desk.messages : &f.messages;

	if (err == HL_OK && q->json) {
		if (f.is_desk)
			written_conversation(&q->out, &f.desk);
		else
			written_session(&q->out, &f.session);
		written_messages(&q->out, messages);
		buf_putc(&q->out, '}');
		err = written_print(&q->out);
	} else if (err == HL_OK) {
		show_head(&f);
		written_show_messages(messages);
	}
	one_clear(&f);
	return err;
}

static enum hl_err
complete(struct store *s, const struct one *f)
{
	const struct desk_access owner = { .account = f->desk.account };
	struct desk_conversation after;
	enum hl_err err = desk_change(s, &owner, f->desk.id, &(struct desk_change){ .set_status = true, .status = DESK_COMPLETED }, &after);

	desk_clear(&after);
	return err;
}

static enum hl_err
end(struct store *s, void *arg)
{
	struct sessions_asked *q = arg;
	struct one f = { .is_desk = false };
	struct attached files;
	enum hl_err err = find(s, q, &f);

	if (err == HL_OK && f.is_desk)
		err = complete(s, &f);
	else if (err == HL_OK) {
		err = session_end(s, &f.session.place);
		attached_open(s->conf, &files);
		if (err == HL_OK)
			attached_remove(&files, &f.session.place, &f.messages);
		attached_close(&files);
	}
	if (err == HL_OK && q->json)
		printf("{\"id\":\"%s\",\"ended\":\"%s\"}\n", q->id, f.is_desk ? "completed" : "forgotten");
	else if (err == HL_OK)
		printf("%s\n", f.is_desk ? "completed" : "forgotten");
	one_clear(&f);
	return err;
}

/* ---- what was asked ---- */

static const struct action {
	const char	*name;
	enum hl_err	(*run)(struct store *, void *);
	bool		 one;
} actions[] = { { "list", list, false }, { "show", show, true }, { "end", end, true } };

static bool
take_limit(const char *text, size_t *ret)
{
	char *end_at;
	long n;

	errno = 0;
	n = strtol(text, &end_at, 10);
	*ret = (size_t)n;
	return errno == 0 && *text && *end_at == '\0' && n >= 1 && n <= LIMIT_MAX;
}

static const struct action *
parse(int argc, char **argv, struct sessions_asked *q)
{
	static const struct option options[] = {
		{ "user", required_argument, NULL, 'u' }, { "limit", required_argument, NULL, 'l' }, { "json", no_argument, NULL, 'j' },
		{ "state-dir", required_argument, NULL, 's' }, { "env-file", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 }
	};
	const char *id = typed_id(&argc, argv);
	const struct action *a = NULL;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'u': q->user = optarg; break;
		case 'l':
			q->limited = true;
			if (!take_limit(optarg, &q->limit)) {
				complain(2, "sessions", "--limit takes a number from 1 to %d, not \"%s\"", LIMIT_MAX, optarg);
				return NULL;
			}
			break;
		case 'j': q->json = true; break;
		case 's': q->place.state_dir = optarg; break;
		case 'f': q->place.env_file = optarg; break;
		default: return NULL;
		}
	for (size_t i = 0; optind < argc && i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, argv[optind]) == 0)
			a = &actions[i];
	if (a == NULL || argc - optind + (id != NULL) != (a->one ? 2 : 1) || (a->one && (q->user || q->limited)))
		return NULL;
	q->id = id || !a->one ? id : argv[optind + 1];
	return a;
}

int
cmd_sessions(int argc, char **argv)
{
	struct sessions_asked q = { .limit = LIMIT, .out = BUF_INIT(WRITTEN_MAX), .problem = BUF_INIT(4096) };
	const struct action *a = parse(argc, argv, &q);
	enum hl_err err;

	if (a == NULL)
		return complain(2, argv[0], "%s", USAGE);
	err = books_settings(&q.place, &q.conf, &q.problem);
	if (err == HL_OK)
		err = books_open(&q.conf, a->run, &q, &q.problem);
	if (err)
		complain(1, argv[0], "%s", q.problem.len ? q.problem.data : err_text(err));
	conf_free(&q.conf);
	buf_free(&q.out);
	buf_free(&q.problem);
	return err ? 1 : 0;
}
