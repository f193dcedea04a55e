#include "client.h"
#include "loop/task.h"

struct job {
	struct client	 client;
	void		(*work)(struct client *, void *);
	void		*arg;
};

static void
run_job(void *arg)
{
	struct job *job = arg;

	job->work(&job->client, job->arg);
	uv_stop(job->client.loop);
}

enum hl_err
client_run(void (*work)(struct client *, void *), void *arg)
{
	struct job job = { { uv_default_loop(), NULL }, work, arg };
	enum hl_err err = http_new(job.client.loop, &job.client.http);

	if (err)
		return err;
	err = task_start(job.client.loop, run_job, &job);
	if (err == HL_OK)
		uv_run(job.client.loop, UV_RUN_DEFAULT);
	http_free(job.client.http);
	uv_run(job.client.loop, UV_RUN_DEFAULT);	/* what is being closed is freed */
	uv_loop_close(job.client.loop);
	return err;
}

enum hl_err
client_call(struct client *client, const struct http_request *request, int *ret_status, struct buf *body)
{
	struct http_stream *stream = NULL;
	const char *data;
	enum hl_err err = http_open(client->http, request, &stream);
	size_t len;

	buf_reset(body);
	*ret_status = 0;
	if (err)
		goto out;
	*ret_status = http_status(stream);
	while ((err = http_read(stream, &data, &len)) == HL_OK && len)
		buf_add(body, data, len);
	if (err == HL_OK)
		err = buf_err(body);
out:
	http_close(stream);
	return err;
}
