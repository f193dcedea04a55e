#include <stdio.h>
#include <stdlib.h>

#include "crowd.h"

#define PROBLEM_MAX	2048

bool
crowd_option(struct crowd *c, int option, const char *value)
{
	switch (option) {
	case 'p': c->port = atoi(value); break;
	case 'u': c->count = (unsigned)atoi(value); break;
	case 's': c->seconds = (unsigned)atoi(value); break;
	case 'r': c->ramp_ms = (unsigned)atoi(value); break;
	default: return false;
	}
	return true;
}

/* ---- preparing ---- */

void
crowd_open(struct crowd *c, unsigned more)
{
	for (; more > 0 && c->opened < c->count; more--)
		wire_connect(c->loop, c->wire(c, c->opened++), c->port);
}

void
crowd_ready(struct crowd *c)
{
	if (++c->ready == c->count)
		puts("{\"event\":\"ready\"}");
}

/* ---- the run ---- */

bool
crowd_next(struct crowd *c, unsigned *ret_number)
{
	uint64_t passed_ms = (uv_hrtime() - c->begin_ns) / 1000000;

	if (c->begun >= c->count || (uint64_t)c->begun * c->ramp_ms > passed_ms * c->count)
		return false;
	*ret_number = c->begun++;
	return true;
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	static char bytes[256];

	(void)handle;
	(void)suggested;
	*ret = uv_buf_init(bytes, sizeof(bytes));
}

static void
on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct crowd *c = stream->data;

	(void)bytes;
	if (n == 0 || c->going)
		return;
	c->going = true;
	c->begin_ns = uv_hrtime();
	uv_read_stop(stream);
	c->go(c, n < 0);
}

int
crowd_run(struct crowd *c, unsigned opening)
{
	if (uv_pipe_init(c->loop, &c->input, 0) != 0 || uv_pipe_open(&c->input, 0) != 0) {
		fprintf(stderr, "%s: standard input must be a pipe\n", c->name);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	uv_timer_init(c->loop, &c->timer);
	uv_timer_init(c->loop, &c->end_timer);
	c->timer.data = c->end_timer.data = c->input.data = c;
	uv_read_start((uv_stream_t *)&c->input, on_alloc, on_input);
	crowd_open(c, opening);
	return uv_run(c->loop, UV_RUN_DEFAULT);
}

/* ---- problems ---- */

void
crowd_failed(struct crowd *c, const char *why, size_t len, bool prepared)
{
	if (c->errors++ == 0)
		snprintf(c->problem, sizeof(c->problem), "%.*s", (int)len, why ? why : "");
	if (prepared)
		return;
	fprintf(stderr, "%s: somebody could not be prepared: %s\n", c->name, c->problem);
	exit(1);
}

void
crowd_print_problem(const struct crowd *c)
{
	struct buf text = BUF_INIT(PROBLEM_MAX);

	if (c->errors == 0)
		return;
	buf_json_str(&text, c->problem);
	printf(",\"problem\":%s", text.data);
	buf_free(&text);
}
