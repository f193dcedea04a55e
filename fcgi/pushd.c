/*
 * pushd - sockets: Engine.IO and Socket.IO over long-polling and WebSocket.  It knows nothing of chat; see
 * lib/push.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "push/push.h"
#include "services/listen.h"
#include "services/metrics_file.h"
#include "services/notify.h"
#include "services/renew.h"

#define DRAIN_MS	20000

static struct push push;

static void
drain(void *arg)
{
	(void)arg;
	push_drain(&push);
}

static void
on_signal(uv_signal_t *signal, int number)
{
	(void)number;
	uv_signal_stop(signal);
	notify_stopping(DRAIN_MS);
	push_drain(&push);
}

int
main(int argc, char **argv)
{
	static struct conf conf;
	static uv_signal_t term, interrupt;
	static struct metrics_file *metrics;
	struct buf problem = BUF_INIT(4096);
	uv_loop_t *loop = uv_default_loop();
	static int sockets[2];		/* polls by FastCGI, WebSockets */

	renew_remember(argv);
	if (argc > 1) {
		printf("helpline-pushd %s\nusage: pushd [--version | --help]\nIt takes its two listening sockets from systemd "
		    "or helpline supervise, and its settings from the\nenvironment (helpline config explain lists them).\n",
		    PACKAGE_VERSION);
		return argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "--help") == 0) ? 0
		    : 2;
	}
	if (conf_load(&conf, &problem) != HL_OK || listen_take(2, sockets, &problem) != HL_OK ||
	    push_start(&push, loop, &conf, sockets[0], sockets[1]) != HL_OK) {
		fprintf(stderr, "pushd: %s\n", problem.len ? problem.data : "cannot start");
		buf_free(&problem);
		conf_free(&conf);
		return 2;
	}
	log_init("pushd", log_level_named(conf.log_level));
	metrics = metrics_file_open(loop, conf.metrics_file, "pushd", NULL, 0, &problem);
	if (metrics == NULL)
		log_line(LOG_LEVEL_WARN, "metrics", "problem", problem.len ? problem.data : NULL, NULL);
	uv_signal_init(loop, &term);
	uv_signal_init(loop, &interrupt);
	uv_signal_start(&term, on_signal, SIGTERM);
	uv_signal_start(&interrupt, on_signal, SIGINT);
	renew_on_hangup(loop, sockets, 2, drain, NULL);
	log_line(LOG_LEVEL_INFO, "ready", "version", PACKAGE_VERSION, NULL);
	notify_ready(loop);
	uv_run(loop, UV_RUN_DEFAULT);
	log_line(LOG_LEVEL_INFO, "stopped", NULL);
	metrics_file_close(metrics);
	renew_end();
	push_free(&push);
	conf_free(&conf);
	buf_free(&problem);
	return 0;
}
