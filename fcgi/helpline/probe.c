/*
 * helpline probe - a customer who asks one question at the front door: the REST API and a socket.  The word in
 * SECRETS/probe tells the chat program that nobody is waiting: the offline responder answers, nothing is paid for, and
 * the session is forgotten at once.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "client.h"
#include "command.h"
#include "keys.h"
#include "loop/task.h"

#define PAUSE_MS	10
#define CALL_MS		10000
#define HEADERS		3
#define PROBE_USER	"helpline-probe"

struct probe {
	const char	*address, *secrets;
	int64_t		 deadline;
	char		 header[96];
	char		 session[64];
	char		 socket[64];
	struct buf	 body;		/* of the last answer */
	struct buf	 problem;	/* what was wrong with it */
	bool		 ok;
};

/* One request.  True if its status is wanted and nothing is wrong; else problem says what happened. */
static bool
call(struct client *client, struct probe *p, const char *method, const char *path, const char *type, const char *body)
{
	char url[512], content_type[96];
	const char *const headers[HEADERS] = { p->header, body ? content_type : NULL, NULL };
	const struct http_request request = {
		.method = method, .url = url, .headers = headers, .body = body, .body_len = body ? strlen(body) : 0,
		.total_ms = CALL_MS, .max_body = CLIENT_MAX_BODY
	};
	enum hl_err err;
	int status;

	snprintf(url, sizeof(url), "%s%s", p->address, path);
	snprintf(content_type, sizeof(content_type), "Content-Type: %s", type);
	err = client_call(client, &request, &status, &p->body);
	if (err == HL_OK && status == 200)
		return true;
	buf_reset(&p->problem);
	buf_printf(&p->problem, "%s %.40s: ", method, path);
	if (err)
		buf_printf(&p->problem, "%s (%s)", err_text(err), http_problem(client->http));
	else
		buf_printf(&p->problem, "status %d: %.300s", status, p->body.data ? p->body.data : "");
	return false;
}

static bool
unexpected(struct probe *p, const char *what)
{
	buf_reset(&p->problem);
	buf_printf(&p->problem, "%s: unexpected answer: %.300s", what, p->body.data ? p->body.data : "");
	return false;
}

/* Copies a string member of the JSON object text. */
static bool
member(const char *text, size_t len, const char *name, char *out, size_t size)
{
	struct json *doc = NULL;
	const char *value = NULL;

	if (len && json_parse(text, len, &doc) == HL_OK)
		value = json_get_string(doc, name);
	if (value)
		snprintf(out, size, "%s", value);
	json_free(doc);
	return value != NULL;
}

static bool
is_ready(struct client *client, struct probe *p)
{
	return call(client, p, "GET", "/ready", NULL, NULL);
}

static bool
opens_session(struct client *client, struct probe *p)
{
	if (!call(client, p, "POST", "/api/v1/chat/session", "application/json", "{\"userId\":\"" PROBE_USER "\"}"))
		return false;
	return member(p->body.data, p->body.len, "sessionId", p->session, sizeof(p->session)) ||
	    unexpected(p, "POST session");
}

static bool
gets_answer(struct client *client, struct probe *p)
{
	char body[256], provider[32] = "";

	snprintf(body, sizeof(body), "{\"sessionId\":\"%s\",\"userId\":\"" PROBE_USER "\",\"message\":\"Hello?\"}", p->session);
	if (!call(client, p, "POST", "/api/v1/chat/message", "application/json", body))
		return false;
	return (member(p->body.data, p->body.len, "provider", provider, sizeof(provider)) &&
	    strcmp(provider, "offline") == 0) || unexpected(p, "POST message");
}

/* Engine.IO's open packet, Socket.IO's CONNECT and its answer, over long-polling. */
static bool
opens_socket(struct client *client, struct probe *p)
{
	char path[160];

	if (!call(client, p, "GET", "/socket.io/?EIO=4&transport=polling", NULL, NULL))
		return false;
	if (p->body.len < 2 || p->body.data[0] != '0' ||
	    !member(p->body.data + 1, p->body.len - 1, "sid", p->socket, sizeof(p->socket)))
		return unexpected(p, "GET /socket.io/");
	snprintf(path, sizeof(path), "/socket.io/?EIO=4&transport=polling&sid=%s", p->socket);
	if (!call(client, p, "POST", path, "text/plain;charset=UTF-8", "40") || !call(client, p, "GET", path, NULL, NULL))
		return false;
	if (p->body.len < 2 || strncmp(p->body.data, "40", 2) != 0)
		return unexpected(p, "the socket's CONNECT");
	return call(client, p, "POST", path, "text/plain;charset=UTF-8", "1");
}

static void
run_probe(struct client *client, void *arg)
{
	static bool (*const steps[])(struct client *, struct probe *) =
	    { is_ready, opens_session, gets_answer, opens_socket };
	struct probe *p = arg;
	size_t done = 0;

	while (done < sizeof(steps) / sizeof(steps[0]))
		if (steps[done](client, p))
			done++;
		else if (clock_mono_ms() > p->deadline || task_sleep(PAUSE_MS) != HL_OK)
			return;
	p->ok = true;
}

/* No word: the question is asked all the same, and answered by whoever answers customers. */
static void
read_word(struct probe *p)
{
	char path[4096], word[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/" KEYS_PROBE, p->secrets);
	f = fopen(path, "re");
	if (f && fgets(word, sizeof(word), f))
		word[strcspn(word, "\n")] = '\0';
	if (f)
		fclose(f);
	snprintf(p->header, sizeof(p->header), "X-Helpline-Probe: %s", word);
}

int
cmd_probe(int argc, char **argv)
{
	static const struct option options[] = {
		{ "address", required_argument, NULL, 'a' }, { "secrets", required_argument, NULL, 's' },
		{ "timeout", required_argument, NULL, 't' }, { "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 }
	};
	struct probe p = { .deadline = 10000, .body = BUF_INIT(CLIENT_MAX_BODY), .problem = BUF_INIT(2048) };
	int64_t begun = clock_mono_ms();
	bool json = false;
	int o, ret = 0;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'a': p.address = optarg; break;
		case 's': p.secrets = optarg; break;
		case 'j': json = true; break;
		case 't': p.deadline = atoll(optarg); break;
		default: return 2;
		}
	if (p.address == NULL || p.secrets == NULL || optind < argc)
		return complain(2, argv[0], "usage: helpline probe --address URL --secrets DIR [--timeout MS] [--json]");
	p.deadline += clock_mono_ms();
	read_word(&p);
	if (client_run(run_probe, &p) != HL_OK || !p.ok)
		ret = complain(1, argv[0], "%s", p.problem.data ? p.problem.data : "it did not work");
	if (json && ret == 0)
		printf("{\"answered\":true,\"ms\":%lld}\n", (long long)(clock_mono_ms() - begun));
	buf_free(&p.body);
	buf_free(&p.problem);
	return ret;
}
