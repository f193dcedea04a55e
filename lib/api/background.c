#include <stdlib.h>

#include "api/background.h"
#include "loop/task.h"

struct background {
	struct background *next;
	struct app	*app;
	struct task	*task;
	void		(*run)(void *);
	void		*arg;
	bool		 cancelled;
};

/* One that has not been told yet: those before it may have ended meanwhile. */
static struct background *
next_to_cancel(struct app *app)
{
	struct background *b = app->background.first;

	while (b && b->cancelled)
		b = b->next;
	return b;
}

static void
run_task(void *arg)
{
	struct background *b = arg, **at;
	struct app *app = b->app;

	b->task = task_self();
	b->run(b->arg);
	for (at = &app->background.first; *at != b; at = &(*at)->next)
		;
	*at = b->next;
	free(b);
	if (app->background.first == NULL && app->background.ended)
		app->background.ended(app->background.arg);
}

enum hl_err
background_start(struct app *app, void (*run)(void *), void *arg)
{
	struct background *b;

	if (app->background.ended)
		return HL_BUSY;
	b = malloc(sizeof(*b));
	if (b == NULL)
		return HL_NO_MEMORY;
	*b = (struct background){ .next = app->background.first, .app = app, .run = run, .arg = arg };
	app->background.first = b;
	if (task_start(app->loop, run_task, b) == HL_OK)
		return HL_OK;
	app->background.first = b->next;
	free(b);
	return HL_NO_MEMORY;
}

void
background_end(struct app *app, void (*done)(void *), void *arg)
{
	struct background *b;

	if (app->background.first == NULL) {
		done(arg);
		return;
	}
	app->background.ended = done;
	app->background.arg = arg;
	while ((b = next_to_cancel(app)) != NULL) {
		b->cancelled = true;
		task_cancel(b->task);
	}
}
