/*
 * echo - Engine.IO alone, with the push daemon's own transport under it: every message comes back.
 *
 *	echo POLLS_SOCKET WEBSOCKET_SOCKET
 */
#include <signal.h>

#include "push/transport.h"

#include "listen.h"

static enum hl_err
echo_open(void *arg, struct session *s)
{
	(void)arg;
	session_joined(s);
	return HL_OK;
}

static enum hl_err
echo_message(struct session *s, const char *bytes, size_t len, bool binary)
{
	struct buf b = BUF_INIT(len + 1);
	struct message *m;

	if (!binary)
		buf_putc(&b, '4');
	buf_add(&b, bytes, len);
	m = message_new(binary ? MESSAGE_BINARY : MESSAGE_TEXT, b.data, b.len);
	if (m)
		session_send(s, m);
	message_unref(m);
	buf_free(&b);
	return HL_OK;
}

static void
echo_closed(struct session *s)
{
	(void)s;
}

static const struct session_app echo = { echo_open, echo_message, NULL, echo_closed };
static struct transport transport;

static void
stop(void *arg)
{
	uv_stop(arg);
}

static void
on_term(uv_signal_t *sig, int number)
{
	(void)number;
	transport_drain(&transport, stop, sig->loop);
}

int
main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	struct buf problem = BUF_INIT(512);
	static struct conf conf;
	uv_signal_t term;

	if (argc != 3 || conf_load(&conf, &problem) != HL_OK) {
		fprintf(stderr, "echo: %s\n",
		    problem.data ? problem.data : "usage: echo POLLS_SOCKET WEBSOCKET_SOCKET");
		return 2;
	}
	if (transport_start(&transport, loop, &conf, listen_on(argv[1]), listen_on(argv[2]), &echo, NULL))
		return 1;
	uv_signal_init(loop, &term);
	uv_signal_start(&term, on_term, SIGTERM);
	uv_run(loop, UV_RUN_DEFAULT);
	conf_free(&conf);
	return 0;
}
