#include "loop/task.h"
#include "push/workers.h"

enum { IDLE, WAITING, RUNNING, RUNNING_AGAIN };

static void
append(struct workers *w, struct job *job)
{
	job->state = WAITING;
	job->next = NULL;
	if (w->head)
		w->last->next = job;
	else
		w->head = job;
	w->last = job;
}

static void
work(void *arg)
{
	struct workers *w = arg;
	struct job *job;

	w->running++;
	while ((job = w->head) != NULL) {
		w->head = job->next;
		job->state = RUNNING;
		if (!job->run(job))
			continue;
		if (job->state == RUNNING_AGAIN)
			append(w, job);		/* behind the others: nobody keeps a worker for himself */
		else
			job->state = IDLE;
	}
	w->running--;
}

void
workers_add(struct workers *w, struct job *job)
{
	enum hl_err err = HL_OK;

	if (job->state == RUNNING)
		job->state = RUNNING_AGAIN;
	if (job->state != IDLE)
		return;
	append(w, job);
	if (w->running < w->max)
		err = task_start(w->loop, work, w);
	(void)err;		/* no memory for one more: those that run get to it */
}

bool
job_is_idle(const struct job *job)
{
	return job->state == IDLE;
}
