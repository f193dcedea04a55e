#include <string.h>

#include "base/clock.h"
#include "loop/wire_pipe.h"
#include "push/answer.h"
#include "push/client.h"
#include "push/line.h"

#define TOLD_AGAIN_MS	1000

/* ---- its end ---- */

void
line_close(struct socket *s)
{
	wire_pipe_close(s->line);
	s->line = NULL;
}

static void
tell(struct socket *s, const char *args, size_t len)
{
	struct span none = { NULL, 0 };

	(void)!socket_args(s, SIO_EVENT, none, (struct span){ args, len });
}

static void
tell_ended(struct socket *s, const char *reason)
{
	struct buf b = BUF_INIT(256);

	buf_printf(&b, "[\"voice_ended\",{\"reason\":\"%s\",\"message\":\"%s\"}]", reason, strcmp(reason, "no_call") == 0 ?
	    "There is no call; begin one with voice_start" : "The call was interrupted; begin it again");
	if (buf_err(&b) == HL_OK)
		tell(s, b.data, b.len);
	buf_free(&b);
}

static void
line_lost(void *arg)
{
	struct socket *s = arg;

	line_close(s);
	tell_ended(s, "begin_again");
}

/* ---- from the process ---- */

/* An event with one attachment, as two messages. */
static enum hl_err
tell_binary(struct socket *s, const struct wire_frame *f)
{
	struct sio_packet packet = { .type = SIO_BINARY_EVENT, .attachments = 1, .nsp = nsp_of(s), .data = { f->data, f->len } };
	struct buf text = BUF_INIT(WIRE_MAX);
	struct message *head = NULL, *body = NULL;
	enum hl_err err;

	buf_putc(&text, '4');
	sio_encode(&text, &packet);
	err = buf_err(&text);
	if (err == HL_OK) {
		head = message_new(MESSAGE_TEXT, text.data, text.len);
		body = message_new(MESSAGE_BINARY, f->bytes, f->bytes_len);
		err = head && body ? HL_OK : HL_NO_MEMORY;
	}
	if (err == HL_OK && !s->left && s->client->session) {
		session_send(s->client->session, head);
		session_send(s->client->session, body);
	}
	message_unref(head);
	message_unref(body);
	buf_free(&text);
	return err;
}

/* False: the line is at its end. */
static bool
take_frame(void *arg, const struct wire_frame *f)
{
	struct socket *s = arg;

	switch (f->type) {
	case WIRE_EVENT:
		tell(s, f->data, f->len);
		return true;
	case WIRE_BINARY:
		return tell_binary(s, f) == HL_OK;
	case WIRE_BYE:
		line_close(s);
		tell(s, f->data, f->len);
		return true;
	default:
		return false;
	}
}

/* ---- to the process ---- */

static void
send_frame(struct socket *s, enum wire_type type, const char *data, size_t len)
{
	if (wire_pipe_send(s->line, LINE_WAITING_MAX, &(struct wire_frame){ .type = type, .data = data, .len = len }) != HL_OK)
		line_lost(s);
}

enum hl_err
line_open(struct socket *s, struct span where)
{
	static const struct wire_pipe_calls calls = { take_frame, line_lost };
	struct buf path = BUF_INIT(256), key = BUF_INIT(256);
	enum hl_err err = HL_UPSTREAM;

	line_close(s);
	if (!span_text(span_member(where, "socket"), &path) || !span_text(span_member(where, "key"), &key) || s->left)
		goto out;
	err = wire_pipe_connect(s->client->hub->questions.loop, path.data, &calls, s, &s->line);
	if (err == HL_OK)
		send_frame(s, WIRE_HELLO, key.data, key.len);
out:
	buf_free(&path);
	buf_free(&key);
	return err;
}

/* ---- from the client ---- */

static bool
is_voice(struct span name)
{
	static const char *const names[] = { "\"voice_audio\"", "\"voice_played\"", "\"voice_rate\"", "\"voice_stop\"" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (name.len == strlen(names[i]) && memcmp(name.p, names[i], name.len) == 0)
			return true;
	return false;
}

static const char too_large[] = "[\"error\",{\"message\":\"voice_audio: a piece of sound is a second at most\",\"code\":\"too_large\"}]";

/* Who sends on after the end of a call is told so now and then; who is about to begin one, not. */
static void
no_call(struct socket *s)
{
	int64_t now = clock_mono_ms();

	if (!job_is_idle(&s->job) || (s->told_no_call_ms && now - s->told_no_call_ms < TOLD_AGAIN_MS))
		return;
	s->told_no_call_ms = now;
	tell_ended(s, "no_call");
}

bool
line_takes(struct socket *s, const struct sio_packet *k)
{
	struct span sound;

	if (!is_voice(k->name))
		return false;
	if (s->line == NULL) {
		no_call(s);
	} else if (k->attachments == 1) {
		sound = sio_attachment(&s->client->decoder, 0);
		if (sound.len < WIRE_MAX)
			send_frame(s, WIRE_SOUND, sound.p, sound.len);
		else
			tell(s, too_large, sizeof(too_large) - 1);
	} else if (k->data.len < WIRE_MAX) {
		send_frame(s, WIRE_EVENT, k->data.p, k->data.len);
	}
	if (k->id.len && !s->left)
		(void)!socket_args(s, SIO_ACK, k->id, (struct span)SPAN("[{\"ok\":true}]"));
	return true;
}
