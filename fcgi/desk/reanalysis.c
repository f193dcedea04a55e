/*
 * POST and GET /api/conversations/reanalyze-sentiment: moods and intents of all of an account's conversations by the rules,
 * whatever was found before.
 *
 * It runs behind the request, which waits for it for a while.  Doing it twice does no harm: what was cut off by the end of the
 * program is done by asking again.
 */
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/background.h"
#include "api/reply.h"
#include "desk/conversations.h"
#include "engine/outcome.h"
#include "loop/task.h"
#include "records/job.h"

#define KIND		"sentiment"
#define PATIENCE_MS	5000	/* of the request that began it */
#define PAGE		25	/* conversations between two steps */

/* Held by the task that does it and by the request that waits for it. */
struct analysis {
	struct app	*app;
	struct job	 job;
	struct outcome	 outcome;
	struct task	*waiting;	/* the request's; NULL: it has gone */
	bool		 ended;
	unsigned	 holders;
};

static void
analysis_leave(struct analysis *a)
{
	if (--a->holders == 0)
		free(a);
}

/* ---- the work ---- */

/* A page that has grown too large holds the last messages only of some. */
static enum hl_err
find_outcome(struct analysis *a, const struct desk_conversation *c)
{
	struct desk_conversation whole = { 0 };
	enum hl_err err = HL_OK;

	if (c->cut)
		err = desk_read(&a->app->store, &(struct desk_access){ .account = a->job.account }, c->id, 0, &whole);
	if (err == HL_OK)
		outcome_of(c->cut ? &whole.messages : &c->messages, true, &a->outcome);
	desk_clear(&whole);
	return err;
}

static enum hl_err
analyse_one(struct analysis *a, const struct desk_conversation *c)
{
	const struct outcome *o = &a->outcome;
	struct desk_conversation changed = { 0 };
	enum hl_err err = find_outcome(a, c);

	a->job.done++;
	if (err)
		return err == HL_NOT_FOUND ? HL_OK : err;	/* deleted meanwhile */
	if (!o->written || (o->sentiment == c->sentiment && o->intents == c->intents))
		return HL_OK;
	err = desk_change(&a->app->store, &(struct desk_access){ .account = a->job.account }, c->id,
	    &(struct desk_change){ .set_insight = true, .sentiment = o->sentiment, .intents = o->intents, .if_seq = c->seq }, &changed);
	desk_clear(&changed);
	if (err == HL_OK)
		a->job.changed++;
	return err == HL_NOT_FOUND || err == HL_CONFLICT ? HL_OK : err;	/* what was written meanwhile has found something itself */
}

/* The page that begins at the cursor, which becomes the next one's; "": that was the last. */
static enum hl_err
analyse_page(struct analysis *a, char cursor[DESK_CURSOR_MAX])
{
	struct desk_query query = { .account = a->job.account, .cursor = *cursor ? cursor : NULL, .limit = PAGE };
	struct desk_page page = { 0 };
	enum hl_err err = desk_list(&a->app->store, &query, &page);

	for (size_t i = 0; i < page.count && err == HL_OK; i++)
		err = analyse_one(a, &page.list[i]);
	if (err == HL_OK)
		memcpy(cursor, page.cursor, DESK_CURSOR_MAX);
	desk_page_free(&page);
	return err;
}

static void
analyse_all(struct analysis *a)
{
	char cursor[DESK_CURSOR_MAX] = "";
	enum hl_err err;

	do {
		err = analyse_page(a, cursor);
		if (err == HL_OK)
			err = job_step(&a->app->store, &a->job);
	} while (err == HL_OK && *cursor && !task_cancelled());
	if (err == HL_CONFLICT)
		return;				/* another process does it by now */
	if (err == HL_OK && *cursor == '\0')
		a->job.total = a->job.done;	/* some came or went meanwhile */
	err = job_end(&a->app->store, &a->job);
	(void)err;				/* then its lease runs out */
}

static void
run(void *arg)
{
	struct analysis *a = arg;

	analyse_all(a);
	a->job.running = false;
	a->ended = true;
	if (a->waiting)
		task_wake(a->waiting);
	analysis_leave(a);
}

/* ---- the answers ---- */

static void
write_sentence(struct buf *out, const struct job *j)
{
	if (j->running)
		buf_printf(out, "%lld of %lld conversations have been looked at so far", (long long)j->done, (long long)j->total);
	else if (j->done < j->total)
		buf_printf(out, "The last analysis was cut off at %lld of %lld conversations; ask for it again", (long long)j->done,
		    (long long)j->total);
	else
		buf_printf(out, "%lld of %lld conversations changed", (long long)j->changed, (long long)j->total);
}

static enum hl_err
reply_job(struct call *call, const struct job *j)
{
	struct buf body = BUF_INIT(1024);
	enum hl_err err;

	buf_puts(&body, "{\"success\":true,\"message\":\"");
	write_sentence(&body, j);
	buf_printf(&body, "\",\"totalConversations\":%lld,\"updatedConversations\":%lld,\"analyzedConversations\":%lld,\"running\":%s}",
	    (long long)j->total, (long long)j->changed, (long long)j->done, j->running ? "true" : "false");
	err = reply_json(call, j->running ? 202 : 200, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
begin(struct call *call, const struct account *who, struct analysis *a)
{
	struct store *s = &call->app->store;
	struct desk_stats stats = { 0 };
	enum hl_err err = desk_stats(s, who->h, &stats);

	a->app = call->app;
	if (err == HL_OK)
		err = job_begin(s, who->h, KIND, stats.calls, &a->job);
	desk_stats_free(&stats);
	return err;
}

/* Begun; what a client that has gone does not stop. */
static enum hl_err
wait_for_it(struct call *call, struct analysis *a)
{
	enum hl_err err;

	a->holders++;
	a->waiting = task_self();
	err = background_start(call->app, run, a);
	if (err) {
		a->holders--;
		return job_end(&call->app->store, &a->job) == HL_OK ? err : HL_STORE;
	}
	if (!a->ended)
		err = task_wait_flag(&a->ended, PATIENCE_MS);
	a->waiting = NULL;
	return err == HL_TIMEOUT ? HL_OK : err;
}

enum hl_err
reanalysis_post(struct call *call)
{
	struct analysis *a = calloc(1, sizeof(*a));
	struct account who;
	enum hl_err err = a ? call_owner(call, &who) : HL_NO_MEMORY;

	if (a == NULL)
		return err;
	a->holders = 1;
	if (err == HL_OK)
		err = begin(call, &who, a);
	if (err == HL_OK)
		err = wait_for_it(call, a);
	if (err == HL_OK || err == HL_CONFLICT)
		err = reply_job(call, &a->job);
	analysis_leave(a);
	return err;
}

enum hl_err
reanalysis_get(struct call *call)
{
	struct account who;
	struct job job;
	enum hl_err err = call_owner(call, &who);

	if (err)
		return err;
	err = job_read(&call->app->store, who.h, KIND, &job);
	if (err == HL_NOT_FOUND)
		err = call_fail(call, err, "Nothing was analysed again in the last day");
	return err ? err : reply_job(call, &job);
}
