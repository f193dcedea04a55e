#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "command.h"
#include "state.h"
#include "status.h"

#define STATUS_MAX	65536u
#define STOP_WAIT_MS	20000

/* ---- the supervisor writes ---- */

static void
add_process(struct buf *out, const char *name, pid_t pid, unsigned restarts)
{
	buf_puts(out, out->len > 1 ? ",\n {\"name\":" : "{\"name\":");
	buf_json_str(out, name);
	buf_puts(out, ",\"pid\":");
	if (pid > 0)
		buf_int(out, pid);
	else
		buf_puts(out, "null");
	buf_printf(out, ",\"restarts\":%u", restarts);
}

static void
add_text(struct buf *out, const char *member, const char *text)
{
	buf_printf(out, ",\"%s\":", member);
	buf_json_str(out, text);
}

static void
add_child(struct buf *out, const struct status *s, const struct child *c)
{
	add_process(out, c->name, c->pid, c->restarts);
	if (strcmp(c->name, "nginx") == 0)
		add_text(out, "address", s->address);
	if (strcmp(c->name, "redis") == 0)
		add_text(out, "socket", s->redis_socket);
	buf_putc(out, '}');
}

enum hl_err
status_write(const struct status *s)
{
	struct buf out = BUF_INIT(STATUS_MAX);
	enum hl_err err = HL_INTERNAL;
	int fd = -1;

	buf_putc(&out, '[');
	for (size_t i = 0; i < s->count; i++)
		add_child(&out, s, &s->children[i]);
	add_process(&out, "supervisor", getpid(), 0);
	buf_puts(&out, "}]\n");
	if (buf_err(&out))
		goto out;
	fd = open(STATE_STATUS ".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, out.data, out.len) != (ssize_t)out.len || rename(STATE_STATUS ".new", STATE_STATUS) != 0)
		goto out;
	err = HL_OK;
out:
	if (fd >= 0)
		close(fd);
	buf_free(&out);
	return err;
}

/* ---- others read ---- */

static enum hl_err
read_status(struct buf *text, struct json **ret_doc)
{
	FILE *f = fopen(STATE_STATUS, "re");
	size_t n;
	char *p;

	*ret_doc = NULL;
	if (f == NULL)
		return HL_NOT_FOUND;
	while ((p = buf_reserve(text, 4096)) != NULL && (n = fread(p, 1, 4096, f)) > 0)
		buf_grow(text, n);
	fclose(f);
	return text->data ? json_parse(text->data, text->len, ret_doc) : HL_NOT_FOUND;
}

static const char *
find_member(const struct json *doc, const char *member)
{
	const char *text = NULL;

	for (size_t i = 0; text == NULL && i < json_length(doc); i++)
		text = json_get_string(json_at(doc, i), member);
	return text;
}

void
status_tell_running(const char *state_path, int pid)
{
	struct buf text = BUF_INIT(STATUS_MAX);
	struct json *doc = NULL;
	const char *address = NULL;

	if (read_status(&text, &doc) == HL_OK)
		address = find_member(doc, "address");
	printf("Helpline is already running at %s (process %d, state in %s)\n",
	    address ? address : "an address that is not known yet", pid, state_path);
	(void)fflush(stdout);	/* somebody may be told next that we are done */
	json_free(doc);
	buf_free(&text);
}

static void
print_table(const struct json *doc)
{
	const struct json *p;
	const char *extra;
	int64_t pid, restarts;

	printf("%-12s %8s %9s\n", "PROCESS", "PID", "RESTARTS");
	for (size_t i = 0; i < json_length(doc); i++) {
		p = json_at(doc, i);
		restarts = 0;
		extra = json_get_string(p, "address") ? json_get_string(p, "address") : json_get_string(p, "socket");
		(void)json_integer(json_get(p, "restarts"), &restarts);
		if (json_integer(json_get(p, "pid"), &pid))
			printf("%-12s %8" PRId64, json_get_string(p, "name"), pid);
		else
			printf("%-12s %8s", json_get_string(p, "name"), "-");
		printf(" %9" PRId64 "  %s\n", restarts, extra ? extra : "");
	}
}

struct place { const char *state_dir; bool json; };

static int
parse_place(int argc, char **argv, struct place *ret)
{
	static const struct option options[] = {
		{ "state-dir", required_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 }
	};
	int o;

	*ret = (struct place){ NULL, false };
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (o == 's')
			ret->state_dir = optarg;
		else if (o == 'j')
			ret->json = true;
		else
			return 2;
	if (ret->state_dir == NULL || optind < argc)
		return complain(2, argv[0], "say which system: --state-dir DIR");
	return 0;
}

int
cmd_status(int argc, char **argv)
{
	struct buf text = BUF_INIT(STATUS_MAX);
	struct json *doc = NULL;
	struct place place;
	int ret = parse_place(argc, argv, &place);

	if (ret)
		return ret;
	if (state_supervisor(place.state_dir) <= 0 || read_status(&text, &doc) != HL_OK) {
		puts(place.json ? "[]" : "Helpline is not running.");
		ret = 3;
	} else if (place.json)
		fwrite(text.data, 1, text.len, stdout);
	else
		print_table(doc);
	json_free(doc);
	buf_free(&text);
	return ret;
}

int
cmd_stop(int argc, char **argv)
{
	struct place place;
	int ret = parse_place(argc, argv, &place);
	pid_t pid;

	if (ret)
		return ret;
	pid = state_supervisor(place.state_dir);
	if (pid <= 0) {
		puts(place.json ? "{\"stopped\":false}" : "Helpline is not running.");
		return pid < 0 || state_end_left() ? 0 : complain(1, argv[0], "programs that a killed run left do not end");
	}
	if (kill(pid, SIGTERM) != 0)
		return complain(1, argv[0], "process %d cannot be ended: %s", (int)pid, strerror(errno));
	for (int ms = 0; ms < STOP_WAIT_MS; ms += 10) {
		if (state_supervisor(".") <= 0) {
			puts(place.json ? "{\"stopped\":true}" : "Helpline has ended.");
			return 0;
		}
		usleep(10000);
	}
	return complain(1, argv[0], "process %d does not end", (int)pid);
}
