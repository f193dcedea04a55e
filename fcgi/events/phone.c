/*
 * phone.c - where the live calls of this process arrive: a unix socket of its own beside nginx's private one, to which pushd
 * connects for each call (lib/loop/wire_pipe.h).  So a call stays with the process that has it while others are started and end.
 */
#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/background.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/pcm.h"
#include "base/str.h"
#include "events/events.h"
#include "loop/task.h"
#include "loop/wire_pipe.h"

#define SOCKET_NAME	"call-"
#define EXPECTED_MS	10000		/* a call that was granted is begun within it */
#define WAITING_MAX	(4u << 20)	/* bytes that pushd has not taken */
#define GOODBYE_MS	2000		/* for pushd to hang up */

/* A call that was granted and has not arrived. */
struct expected {
	struct expected	*next;
	char		 key[ID_LEN + 1];
	int64_t		 until_mono_ms;
	struct talk_who	 who;
	char		 conversation[ID_LEN + 1], account[CRYPTO_NAME_LEN + 1], payer[CRYPTO_NAME_LEN + 1];
	char		 address[64], socket[ID_LEN + 1], voice[64];
	char		*greeting;
};

struct phone {
	struct app	*app;
	struct talks	*talks;
	uv_pipe_t	 listener;
	char		 path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct expected	*expected;
	size_t		 expected_count;
	struct handset	*handsets;
	bool		 ended;
	struct task	*task;
};

/* A connection of pushd's. */
struct handset {
	struct wire_pipe *pipe;
	struct phone	*phone;
	struct handset	*next, **link;
	struct talk	*talk;		/* NULL: not begun, or over */
};

/* ---- a handset's end ---- */

static void
hang_up(void *arg)
{
	struct handset *s = arg;

	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	wire_pipe_close(s->pipe);
	if (s->talk)
		talk_close(s->talk);
	free(s);
}

/* ---- to pushd ---- */

/* Too slow a reader loses what does not fit: its call is at an end soon, by the silence of a dead connection. */
static void
send_frame(struct handset *s, const struct wire_frame *f)
{
	(void)!wire_pipe_send(s->pipe, WAITING_MAX, f);
}

static void
on_talk_event(void *arg, const char *json, size_t len)
{
	send_frame(arg, &(struct wire_frame){ .type = WIRE_EVENT, .data = json, .len = len });
}

static void
on_talk_audio(void *arg, const char *json, size_t len, const void *bytes, size_t n)
{
	send_frame(arg, &(struct wire_frame){ .type = WIRE_BINARY, .data = json, .len = len, .bytes = bytes, .bytes_len = n });
}

static void
on_talk_bye(void *arg, const char *json, size_t len)
{
	send_frame(arg, &(struct wire_frame){ .type = WIRE_BYE, .data = json, .len = len });
}

static void
say_goodbye(struct handset *s, const char *reason, const char *sentence)
{
	struct buf b = BUF_INIT(1024);

	buf_printf(&b, "[\"voice_ended\",{\"reason\":\"%s\",\"message\":", reason);
	buf_json_str(&b, sentence);
	buf_puts(&b, "}]");
	if (buf_err(&b) == HL_OK)
		send_frame(s, &(struct wire_frame){ .type = WIRE_BYE, .data = b.data, .len = b.len });
	buf_free(&b);
}

/* ---- what was granted ---- */

static void
expected_free(struct expected *e)
{
	free(e->greeting);
	free(e);
}

static struct expected *
take_expected(struct phone *p, const char *key, size_t len)
{
	struct expected **at = &p->expected, *e, *found = NULL;
	int64_t now = clock_mono_ms();

	while ((e = *at) != NULL) {
		bool it = !found && len == strlen(e->key) && memcmp(key, e->key, len) == 0;

		if (!it && now < e->until_mono_ms) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		p->expected_count--;
		if (it)
			found = e;
		else
			expected_free(e);
	}
	return found;
}

/* ---- from pushd ---- */

static bool
begin(struct handset *s, const struct wire_frame *f)
{
	static const struct talk_io io = { on_talk_event, on_talk_audio, on_talk_bye };
	struct expected *e = take_expected(s->phone, f->data, f->len);
	enum hl_err err;

	if (e == NULL)
		return false;
	e->who.conversation_id = e->conversation;
	e->who.account = *e->account ? e->account : NULL;
	e->who.payer = *e->payer ? e->payer : NULL;
	e->who.address = e->address;
	e->who.socket = e->socket;
	e->who.voice = e->voice;
	e->who.greeting = e->greeting;
	err = talk_new(s->phone->talks, &e->who, &io, s, &s->talk);
	if (err)
		say_goodbye(s, err_code(err), err_text(err));
	expected_free(e);
	return true;
}

static void
take_played(struct talk *t, const struct json *payload)
{
	const char *id = json_get_string(payload, "id");
	int64_t ms;

	if (id == NULL || !json_integer(json_get(payload, "ms"), &ms))
		talk_refuse(t, HL_BAD_REQUEST, "voice_played needs id, and ms as a whole number");
	else
		talk_played(t, id, ms);
}

static void
take_rate(struct talk *t, const struct json *payload)
{
	int64_t rate;

	if (!json_integer(json_get(payload, "rate"), &rate) || rate < PCM_RATE_MIN || rate > PCM_RATE_MAX)
		talk_refuse(t, HL_BAD_REQUEST, "voice_rate: rate must be a whole number from 8000 to 48000");
	else
		talk_rate(t, (unsigned)rate);
}

static void
stop(struct handset *s)
{
	struct talk *t = s->talk;

	say_goodbye(s, "stopped", "The call is over");
	s->talk = NULL;
	talk_close(t);
}

static void
take_event(struct handset *s, const struct wire_frame *f)
{
	struct json *args;
	const char *name;

	if (json_parse(f->data, f->len, &args) != HL_OK) {	/* what a client sent; pushd reads only its frame */
		talk_refuse(s->talk, HL_BAD_REQUEST, "What came with this event cannot be read");
		return;
	}
	name = json_string(json_at(args, 0), NULL);
	if (str_equal(name, "voice_played"))
		take_played(s->talk, json_at(args, 1));
	else if (str_equal(name, "voice_rate"))
		take_rate(s->talk, json_at(args, 1));
	else if (str_equal(name, "voice_stop"))
		stop(s);
	else
		talk_refuse(s->talk, HL_BAD_REQUEST, "voice_audio needs samples: one binary argument");
	json_free(args);
}

/* False: this is not how pushd speaks. */
static bool
take_frame(void *arg, const struct wire_frame *f)
{
	struct handset *s = arg;

	if (f->type == WIRE_HELLO)
		return s->talk == NULL && begin(s, f);
	if (s->talk == NULL)
		return true;		/* on its way when the call ended */
	if (f->type == WIRE_SOUND)
		talk_sound(s->talk, f->data, f->len);
	else if (f->type == WIRE_EVENT)
		take_event(s, f);
	else
		return false;
	return true;
}

static void
on_connection(uv_stream_t *listener, int status)
{
	static const struct wire_pipe_calls calls = { take_frame, hang_up };
	struct phone *p = listener->data;
	struct handset *s = status < 0 ? NULL : calloc(1, sizeof(*s));

	if (s == NULL)
		return;
	if (wire_pipe_accept(listener, &calls, s, &s->pipe) != HL_OK) {
		free(s);
		return;
	}
	s->phone = p;
	s->next = p->handsets;
	s->link = &p->handsets;
	if (s->next)
		s->next->link = &s->next;
	p->handsets = s;
}

/* ---- the socket ---- */

static void
address_of(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, path, strnlen(path, sizeof(ret->sun_path) - 1));
}

/* Sockets of processes that were killed. */
static void
sweep(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *d;

	while (dir && (d = readdir(dir)) != NULL) {
		struct sockaddr_un a;
		char path[sizeof(a.sun_path)];
		int fd;

		if (strncmp(d->d_name, SOCKET_NAME, strlen(SOCKET_NAME)) != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", folder, d->d_name) >= (int)sizeof(path))
			continue;
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		address_of(path, &a);
		if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == ECONNREFUSED)
			unlink(path);
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
}

static enum hl_err
listen_here(struct phone *p)
{
	char folder[128];
	int n;

	snprintf(folder, sizeof(folder), "%s", p->app->conf.front_socket);
	dirname(folder);
	sweep(folder);
	n = snprintf(p->path, sizeof(p->path), "%s/" SOCKET_NAME "%d", folder, (int)getpid());
	if (n < 0 || n >= (int)sizeof(p->path) || uv_pipe_init(p->app->loop, &p->listener, 0) != 0)
		return HL_INTERNAL;
	p->listener.data = p;
	unlink(p->path);
	if (uv_pipe_bind(&p->listener, p->path) == 0 && chmod(p->path, 0600) == 0 &&
	    uv_listen((uv_stream_t *)&p->listener, 128, on_connection) == 0)
		return HL_OK;
	log_line(LOG_LEVEL_ERROR, "phone", "path", p->path, "problem", strerror(errno), NULL);
	return HL_INTERNAL;
}

/* ---- the end ---- */

static void
on_talks_ended(void *arg)
{
	struct phone *p = arg;

	p->ended = true;
	task_wake(p->task);
}

static void
on_listener_closed(uv_handle_t *h)
{
	struct phone *p = h->data;

	talks_free(p->talks);
	free(p);
}

static void
phone_end(struct phone *p)
{
	struct expected *e;

	unlink(p->path);
	while ((e = p->expected) != NULL) {
		p->expected = e->next;
		expected_free(e);
	}
	p->app->phone = NULL;
	uv_close((uv_handle_t *)&p->listener, on_listener_closed);
}

/* Until the program ends: then all calls do, and are told to begin again. */
static void
watch(void *arg)
{
	struct phone *p = arg;

	p->task = task_self();
	while (task_sleep(INT32_MAX) == HL_OK)
		;
	task_uncancel();
	talks_end(p->talks, on_talks_ended, p);
	(void)!task_wait_flag(&p->ended, GOODBYE_MS);
	while (p->handsets)
		hang_up(p->handsets);
	while (!p->ended)
		(void)!task_wait_flag(&p->ended, INT32_MAX);
	phone_end(p);
}

static enum hl_err
phone_open(struct app *app)
{
	struct phone *p = calloc(1, sizeof(*p));
	enum hl_err err = HL_NO_MEMORY;

	if (p == NULL)
		return err;
	p->app = app;
	err = talks_new(app->loop, &app->conf, app->engine, &p->talks);
	if (err == HL_OK)
		err = listen_here(p);
	if (err == HL_OK) {
		app->phone = p;
		err = background_start(app, watch, p);
		if (err)
			phone_end(p);
		return err;
	}
	talks_free(p->talks);
	if (p->listener.data)
		p->talks = NULL, uv_close((uv_handle_t *)&p->listener, on_listener_closed);
	else
		free(p);
	return err;
}

/* ---- granting ---- */

enum hl_err
phone_expect(struct app *app, const struct talk_who *who, char ret_key[ID_LEN + 1], const char **ret_path)
{
	struct expected *e;
	enum hl_err err = app->phone ? HL_OK : phone_open(app);

	if (err)
		return err;
	(void)take_expected(app->phone, "", 0);		/* whose time is over */
	if (talks_count(app->phone->talks) + app->phone->expected_count >= (size_t)app->conf.max_calls)
		return HL_BUSY;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return HL_NO_MEMORY;
	id_new(e->key);
	strcpy(ret_key, e->key);
	e->until_mono_ms = clock_mono_ms() + EXPECTED_MS;
	e->who.rate = who->rate;
	e->who.bill = who->bill;
	snprintf(e->conversation, sizeof(e->conversation), "%s", who->conversation_id);
	snprintf(e->account, sizeof(e->account), "%s", who->account ? who->account : "");
	snprintf(e->payer, sizeof(e->payer), "%s", who->payer ? who->payer : "");
	snprintf(e->address, sizeof(e->address), "%s", who->address);
	snprintf(e->socket, sizeof(e->socket), "%s", who->socket);
	snprintf(e->voice, sizeof(e->voice), "%s", who->voice);
	e->greeting = who->greeting ? strdup(who->greeting) : NULL;
	e->next = app->phone->expected;
	app->phone->expected = e;
	app->phone->expected_count++;
	*ret_path = app->phone->path;
	return HL_OK;
}
