#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "client.h"
#include "command.h"
#include "detect.h"
#include "sockets.h"

#define CONNECT_MS	100
#define ANSWER_MS	300

static const int ports[] = { 11434, 8080 };	/* Ollama, llama.cpp */
#define PORTS	(sizeof(ports) / sizeof(ports[0]))

struct detection {
	struct model_server	 found;
	bool			 done;
};

/* {"data":[{"id":"…"}]} is what tells a model server from whatever else listens there. */
static bool
first_model(const struct buf *body, struct model_server *found)
{
	struct json *doc = NULL;
	const char *id = NULL;

	if (body->len && json_parse(body->data, body->len, &doc) == HL_OK)
		id = json_get_string(json_at(json_get(doc, "data"), 0), "id");
	if (id && strchr(id, '\n') == NULL)
		snprintf(found->model, sizeof(found->model), "%s", id);
	json_free(doc);
	return found->model[0] != '\0';
}

static bool
ask_port(struct client *client, struct detection *d, int port)
{
	struct buf body = BUF_INIT(CLIENT_MAX_BODY);
	char url[96];
	const struct http_request request = {
		.method = "GET", .url = url, .connect_ms = CONNECT_MS, .total_ms = ANSWER_MS, .max_body = CLIENT_MAX_BODY
	};
	int status;
	bool ok = false;

	snprintf(d->found.url, sizeof(d->found.url), "http://127.0.0.1:%d/v1", port);
	snprintf(url, sizeof(url), "%s/models", d->found.url);
	if (client_call(client, &request, &status, &body) == HL_OK && status == 200)
		ok = first_model(&body, &d->found);
	buf_free(&body);
	return ok;
}

static void
run_detection(struct client *client, void *arg)
{
	struct detection *d = arg;

	for (size_t i = 0; !d->done && i < PORTS; i++)
		d->done = socket_answers(ports[i], CONNECT_MS) && ask_port(client, d, ports[i]);
}

static void
print_json(const struct model_server *found)
{
	struct buf out = BUF_INIT(CLIENT_MAX_BODY);

	buf_puts(&out, "{\"url\":");
	buf_json_str(&out, found->url);
	buf_puts(&out, ",\"model\":");
	buf_json_str(&out, found->model);
	buf_puts(&out, "}\n");
	if (buf_err(&out) == HL_OK)
		fputs(out.data, stdout);
	buf_free(&out);
}

int
cmd_detect(int argc, char **argv)
{
	struct detection d = { .done = false };
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;

	if (argc > 1 && !json)
		return complain(2, argv[0], "it takes no arguments but --json");
	if (client_run(run_detection, &d) != HL_OK)
		return complain(2, argv[0], "out of memory");
	if (!d.done)
		return complain(1, argv[0], "no OpenAI-compatible server answers on this computer");
	if (json)
		print_json(&d.found);
	else
		printf("%s\n%s\n", d.found.url, d.found.model);
	return 0;
}

static bool
read_line(FILE *f, char *text, int size)
{
	if (fgets(text, size, f) == NULL || *text == '\n')
		return false;
	text[strcspn(text, "\n")] = '\0';
	return true;
}

bool
detect_ask(const char *command, struct model_server *ret)
{
	char line[512];
	FILE *f;
	bool ok = false;

	for (size_t i = 0; !ok && i < PORTS; i++)
		ok = socket_answers(ports[i], CONNECT_MS);
	if (!ok)
		return false;
	snprintf(line, sizeof(line), "%s detect 2>/dev/null", command);
	f = popen(line, "re");	/* NOLINT(cert-env33-c): the command is ours */
	if (f == NULL)
		return false;
	ok = read_line(f, ret->url, sizeof(ret->url)) && read_line(f, ret->model, sizeof(ret->model));
	return pclose(f) == 0 && ok;
}
