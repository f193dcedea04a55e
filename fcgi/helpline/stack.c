/*
 * The supervisor's loop.  Everything it keeps is one struct; libuv calls back for three things: a child has ended, a
 * pause is over, somebody wants the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "child.h"
#include "logs.h"
#include "restart.h"
#include "settings.h"
#include "site.h"
#include "stack.h"
#include "status.h"

#define MAX_PUSHD	8	/* PUSHD_COUNT's limit */
#define MAX_CHILDREN	(PROGRAMS + MAX_PUSHD + 1)	/* Redis, nginx, and pushd is a program */
#define REDIS_WAIT_MS	2000
#define LOG_CHECK_MS	5000
#define GIVE_UP_STARTS	3	/* ends of one program before the system was ever ready */
#define SETTLE_MS	1000	/* a program that lives so long after its start will do */
#define DRAIN_MS	20000	/* for an old program to end, beyond what an answer may take */
#define PROBE_TIMEOUT	"60000"

/* ---- what there is to run ---- */

struct program { const char *name, *file, *fdnames, *sockets[2]; };

/* Of several pushd each but the first has sockets of its own: run/polls-1.sock. */
static const struct program programs[] = {
	{ "auth", "app/libexec/helpline/auth", "auth", { "run/auth.sock", NULL } },
	{ "chat", "app/libexec/helpline/chat", "chat", { "run/chat.sock", NULL } },
	{ "desk", "app/libexec/helpline/desk", "desk", { "run/desk.sock", NULL } },
	{ "events", "app/libexec/helpline/events", "events", { "run/events.sock", NULL } },
	{ "health", "app/libexec/helpline/health", "health", { "run/health.sock", NULL } },
	{ "pushd", "app/libexec/helpline/pushd", "polls:websocket", { "run/polls.sock", "run/ws.sock" } },
};
#define PROGRAMS	(sizeof(programs) / sizeof(programs[0]))

enum phase { PHASE_NGINX, PHASE_PROGRAMS, PHASE_REDIS, PHASES };

static const uint64_t phase_ms[PHASES] = { 2500, 5000, 5000 };	/* then SIGKILL */

/* A rolling restart. */
struct roll {
	struct child	*list[MAX_CHILDREN];	/* that are to be replaced, one after the other */
	size_t		 count, next;
	struct child	*now;			/* NULL: none under way */
	struct child	 old;			/* what ran before; pid 0 once it has ended */
	bool		 told;			/* to end */
	uv_timer_t	 timer;
};

struct stack {
	const struct stack_plan	*plan;
	uv_loop_t		*loop;
	char			**program_env, **bare_env;
	struct child		 children[MAX_CHILDREN];
	uv_timer_t		 again[MAX_CHILDREN];
	size_t			 count;
	struct child		 probe;
	struct roll		 roll;
	uv_signal_t		 signals[5];
	uv_timer_t		 log_timer, stop_timer;
	bool			 ready, stopping;
	unsigned		 phase;
	int			 exit_status;
	char			 address[64], redis_socket[4200], secrets[64];
};

/*
 * Loopback only through its socket; every write is on disk before it is acknowledged; nothing is evicted.  Redis enters
 * the folder "redis" before it makes its socket.  A limit turns a full memory into refusals that callers understand.  A
 * small hash is searched from its first field to its last; what Redis itself calls small, 512 of them, a conversation of
 * hundreds of messages feels: theirs are found by their ids.
 */
static const char *const redis_argv[] = {
	"redis-server", "--port", "0", "--unixsocket", "../run/redis.sock", "--unixsocketperm", "600", "--dir", "redis",
	"--daemonize", "no", "--logfile", "", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--latency-tracking", "no",
	"--maxmemory", "1gb", "--maxmemory-policy", "noeviction", "--databases", "1", "--tcp-backlog", "4096",
	"--hash-max-listpack-entries", "64", "--set-proc-title", "no", "--always-show-logo", "no", NULL
};
/* redis-server is a name of redis-check-rdb, which redis-tools has too: without the package that starts a service. */
static const char *const redis_files[] = { "redis-server", "valkey-server", "redis-check-rdb", NULL };

static const char *const nginx_argv[] = { "nginx", "-p", "./", "-c", "run/nginx.conf", "-e", "stderr", NULL };
static const char *const nginx_files[] = { "nginx", NULL };

/* The first of the names that is in PATH, or NULL; lives until the process ends. */
static const char *
find_program(const char *const *names)
{
	static char found[2][512];
	static size_t n;
	const char *dir, *end, *path = getenv("PATH");

	for (; *names; names++)
		for (dir = path ? path : "/usr/bin:/usr/sbin"; *dir; dir = *end ? end + 1 : end) {
			end = strchrnul(dir, ':');
			snprintf(found[n % 2], sizeof(found[0]), "%.*s/%s", (int)(end - dir), dir, *names);
			if (*dir == '/' && access(found[n % 2], X_OK) == 0)
				return found[n++ % 2];
		}
	return NULL;
}

static struct child *
add_child(struct stack *s, const char *name, const char *file, const char *const *argv, char **env, enum phase phase)
{
	struct child *c = &s->children[s->count++];

	*c = (struct child){
		.name = name, .file = file, .argv = argv, .env = env, .phase = phase, .stop_signal = SIGTERM,
		.death_signal = SIGTERM, .instance = -1
	};
	return c;
}

static enum hl_err
add_program(struct stack *s, const struct program *p, struct buf *problem)
{
	static const char *argv[PROGRAMS][2];
	enum hl_err err = HL_OK;
	struct child *c;

	argv[p - programs][0] = p->name;
	c = add_child(s, p->name, p->file, argv[p - programs], s->program_env, PHASE_PROGRAMS);
	c->death_signal = SIGKILL;	/* what they acknowledged is stored; nobody is left to wait for the rest */
	c->fdnames = p->fdnames;
	for (size_t i = 0; err == HL_OK && i < 2 && p->sockets[i]; i++)
		err = socket_unix(p->sockets[i], 0600, &c->fds[c->nfds++], problem);
	return err;
}

/* The first one is in the table of programs. */
static enum hl_err
add_pushd(struct stack *s, int instance, struct buf *problem)
{
	static char names[MAX_PUSHD][16], polls[MAX_PUSHD][32], websockets[MAX_PUSHD][32];
	static const char *argv[MAX_PUSHD][2];
	struct child *c;
	enum hl_err err;

	snprintf(names[instance], sizeof(names[0]), "pushd-%d", instance);
	snprintf(polls[instance], sizeof(polls[0]), "run/polls-%d.sock", instance);
	snprintf(websockets[instance], sizeof(websockets[0]), "run/ws-%d.sock", instance);
	argv[instance][0] = names[instance];
	c = add_child(s, names[instance], "app/libexec/helpline/pushd", argv[instance], s->program_env, PHASE_PROGRAMS);
	c->death_signal = SIGKILL;
	c->fdnames = "polls:websocket";
	c->instance = instance;
	err = socket_unix(polls[instance], 0600, &c->fds[c->nfds++], problem);
	return err ? err : socket_unix(websockets[instance], 0600, &c->fds[c->nfds++], problem);
}

static enum hl_err
add_nginx(struct stack *s, struct buf *problem)
{
	const struct front *front = s->plan->front;
	const char *file = find_program(nginx_files);
	struct child *c;

	if (file == NULL) {
		buf_puts(problem, "nginx is not installed");
		return HL_INTERNAL;
	}
	c = add_child(s, "nginx", file, nginx_argv, s->bare_env, PHASE_NGINX);
	c->stop_signal = SIGQUIT;	/* answers what it has begun */
	for (size_t i = 0; i < front->count; i++)
		c->fds[c->nfds++] = front->fds[i];
	return socket_unix("run/front.sock", 0660, &c->fds[c->nfds++], problem);
}

static enum hl_err
add_redis(struct stack *s, struct buf *problem)
{
	const char *file = find_program(redis_files);

	if (file == NULL) {
		buf_puts(problem, "Redis is not installed");
		return HL_INTERNAL;
	}
	(void)unlink("run/redis.sock");
	add_child(s, "redis", file, redis_argv, s->bare_env, PHASE_REDIS);
	return HL_OK;
}

static enum hl_err
add_children(struct stack *s, struct buf *problem)
{
	enum hl_err err = s->plan->own_redis ? add_redis(s, problem) : HL_OK;

	for (size_t i = 0; err == HL_OK && i < PROGRAMS; i++)
		err = add_program(s, &programs[i], problem);
	for (int i = 1; err == HL_OK && i < s->plan->conf->pushd_count; i++)
		err = add_pushd(s, i, problem);
	return err ? err : add_nginx(s, problem);
}

/* ---- the end, in order ---- */

static void
roll_end(struct stack *s, const char *result)
{
	uv_timer_stop(&s->roll.timer);
	s->roll.now = NULL;
	restart_answer(result);
}

static size_t
alive(const struct stack *s, unsigned phase)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->children[i].pid > 0 && s->children[i].phase == phase;
	return n + (s->roll.old.pid > 0 && phase == PHASE_PROGRAMS);
}

static void
signal_phase(const struct stack *s, int signal)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->children[i].phase == s->phase)
			child_signal(&s->children[i], signal ? signal : s->children[i].stop_signal);
	if (s->phase == PHASE_PROGRAMS)
		child_signal(&s->roll.old, signal ? signal : SIGTERM);
}

static void
on_stop_timer(uv_timer_t *timer)
{
	const struct stack *s = timer->data;

	log_line(LOG_LEVEL_WARN, "stop", "outcome", "killed what did not end in time", NULL);
	signal_phase(s, SIGKILL);
}

static void
next_phase(struct stack *s)
{
	while (s->phase < PHASES && alive(s, s->phase) == 0)
		s->phase++;
	if (s->phase == PHASES) {
		uv_stop(s->loop);
		return;
	}
	uv_timer_start(&s->stop_timer, on_stop_timer, phase_ms[s->phase], 0);
	signal_phase(s, 0);
}

static void
stop(struct stack *s)
{
	if (s->stopping) {	/* asked twice: now */
		for (size_t i = 0; i < s->count; i++)
			if (s->children[i].phase != PHASE_REDIS)
				child_signal(&s->children[i], SIGKILL);
		return;
	}
	s->stopping = true;
	if (s->roll.now)
		roll_end(s, "it is being ended");
	child_signal(&s->probe, SIGKILL);
	for (size_t i = 0; i < s->count; i++)
		uv_timer_stop(&s->again[i]);
	next_phase(s);
}

static void
give_up(struct stack *s, const char *name)
{
	fprintf(stderr, "Helpline could not be started.\n");
	for (size_t i = 0; i < s->count; i++)
		if (name == NULL || strcmp(name, s->children[i].name) == 0)
			logs_show(s->children[i].name, s->children[i].log_start);
	fprintf(stderr, "The logs are in %s/log.\n", s->plan->state->path);
	s->exit_status = 1;
	stop(s);
}

/* ---- life ---- */

static void
write_status(const struct stack *s)
{
	const struct status status = {
		.address = s->address, .redis_socket = s->redis_socket, .children = s->children, .count = s->count
	};

	if (status_write(&status) != HL_OK)
		log_line(LOG_LEVEL_ERROR, "status", "problem", strerror(errno), NULL);
}

static void	 on_again(uv_timer_t *);

static void
start_again(struct stack *s, struct child *c)
{
	c->restarts++;
	if (child_start(c) != 0) {
		log_line(LOG_LEVEL_ERROR, "restart", "program", c->name, "problem", strerror(errno), NULL);
		uv_timer_start(&s->again[c - s->children], on_again, 1000, 0);
	}
	write_status(s);
}

static void
on_again(uv_timer_t *timer)
{
	struct stack *s = timer->data;

	start_again(s, &s->children[timer - s->again]);
}

/* ---- the rolling restart ---- */

static void	 roll_next(struct stack *);

static void
on_old_is_late(uv_timer_t *timer)
{
	const struct stack *s = timer->data;

	log_line(LOG_LEVEL_WARN, "restart", "program", s->roll.old.name, "outcome", "killed: it did not end in time", NULL);
	child_signal(&s->roll.old, SIGKILL);
}

static void
tell_old(struct stack *s)
{
	s->roll.told = true;
	child_signal(&s->roll.old, SIGTERM);
}

static void
on_settled(uv_timer_t *timer)
{
	struct stack *s = timer->data;

	if (!s->roll.told)
		tell_old(s);
	if (s->roll.old.pid == 0) {
		roll_next(s);
		return;
	}
	uv_timer_start(&s->roll.timer, on_old_is_late, (uint64_t)s->plan->conf->turn_timeout_ms + DRAIN_MS, 0);
}

static void
on_old_end(struct stack *s, int status)
{
	struct child *old = &s->roll.old;

	child_ended(old, status);
	if (s->stopping) {
		if (alive(s, s->phase) == 0)
			next_phase(s);
	} else if (s->roll.now && !uv_is_active((uv_handle_t *)&s->roll.timer)) {
		roll_next(s);
	} else if (s->roll.now && s->roll.timer.timer_cb == on_old_is_late) {
		uv_timer_stop(&s->roll.timer);
		roll_next(s);
	}
}

/*
 * The listening sockets are ours and stay.  A program is started beside the old one, which is told to end when the new one
 * has lived for a moment, and answers what it has begun.  Of pushd the old one is told first: each knows only its own
 * sessions, and the new one leaves polls to the old one until it has told its clients.  What arrives meanwhile waits in the
 * sockets' backlog.
 */
static void
roll_next(struct stack *s)
{
	struct roll *r = &s->roll;
	struct child *c = NULL;

	while (r->next < r->count && (c = r->list[r->next++])->pid == 0)
		c = NULL;	/* it is about to be started as it is */
	if (c == NULL || r->next > r->count) {
		roll_end(s, "");
		return;
	}
	r->now = c;
	r->old = *c;
	r->told = false;
	if (strcmp(c->fdnames, "polls:websocket") == 0)
		tell_old(s);
	c->restarts++;
	if (child_start(c) != 0) {
		roll_end(s, "no process is to be had");
		c->pid = r->old.pid;
		r->old.pid = 0;
	} else
		uv_timer_start(&r->timer, on_settled, SETTLE_MS, 0);
	write_status(s);
}

static bool
is_called(const struct child *c, const char *name)
{
	size_t n = strlen(name);

	return n == 0 || (strncmp(c->name, name, n) == 0 && (c->name[n] == '\0' || c->name[n] == '-'));
}

static void
on_restart_signal(uv_signal_t *handle, int signal)
{
	struct stack *s = handle->data;
	struct roll *r = &s->roll;
	char name[64];

	(void)signal;
	if (!restart_asked(name, sizeof(name)) || r->now)
		return;
	r->count = r->next = 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->children[i].phase == PHASE_PROGRAMS && is_called(&s->children[i], name))
			r->list[r->count++] = &s->children[i];
	if (!s->ready || s->stopping || r->old.pid > 0)
		restart_answer("it is not ready");
	else if (r->count == 0)
		restart_answer("there is no such program");
	else
		roll_next(s);
}

/* A new one that ends at once: the old one goes on, if it has not been told to end. */
static bool
roll_failed(struct stack *s, struct child *c, const char *outcome)
{
	char result[128];

	if (s->roll.now != c || s->roll.timer.timer_cb != on_settled || !uv_is_active((uv_handle_t *)&s->roll.timer))
		return false;
	snprintf(result, sizeof(result), "the new %s %s", c->name, outcome);
	roll_end(s, result);
	if (s->roll.told || s->roll.old.pid == 0)
		return false;
	c->pid = s->roll.old.pid;
	s->roll.old.pid = 0;
	write_status(s);
	return true;
}

/* ---- */

static void
on_child_end(struct stack *s, struct child *c, int status)
{
	int64_t pause = child_ended(c, status);
	char outcome[64];

	if (s->stopping) {
		write_status(s);
		if (alive(s, s->phase) == 0)
			next_phase(s);
		return;
	}
	child_outcome(c, outcome, sizeof(outcome));
	log_line(LOG_LEVEL_WARN, "restart", "program", c->name, "why", outcome, NULL);
	if (roll_failed(s, c, outcome))
		return;
	if (!s->ready && c->restarts + 1 >= GIVE_UP_STARTS) {
		fprintf(stderr, "%s %s each time it was started.\n", c->name, outcome);
		give_up(s, c->name);
	} else if (pause == 0)
		start_again(s, c);
	else {
		write_status(s);
		uv_timer_start(&s->again[c - s->children], on_again, (uint64_t)pause, 0);
	}
}

/* From here on nobody waits at the terminal: what is said goes into a log of its own. */
static void
let_go(const struct stack *s)
{
	int fd = open("log/supervisor.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		log_line(LOG_LEVEL_ERROR, "log", "problem", strerror(errno), NULL);
	if (fd >= 0)
		close(fd);
	prctl(PR_SET_PDEATHSIG, 0);
	(void)!write(s->plan->tell, "", 1);
	close(s->plan->tell);
}

static void
on_probe_end(struct stack *s, int status)
{
	s->probe.pid = 0;
	if (s->stopping)
		return;
	if (status != 0) {
		give_up(s, NULL);
		return;
	}
	s->ready = true;
	printf("Helpline is ready: %s\n", s->address);
	fflush(stdout);
	if (s->plan->tell >= 0)
		let_go(s);
}

static void
on_sigchld(uv_signal_t *handle, int signal)
{
	struct stack *s = handle->data;
	int status;

	(void)signal;
	for (size_t i = 0; i < s->count; i++)
		if (s->children[i].pid > 0 && waitpid(s->children[i].pid, &status, WNOHANG) == s->children[i].pid)
			on_child_end(s, &s->children[i], status);
	if (s->roll.old.pid > 0 && waitpid(s->roll.old.pid, &status, WNOHANG) == s->roll.old.pid)
		on_old_end(s, status);
	if (s->probe.pid > 0 && waitpid(s->probe.pid, &status, WNOHANG) == s->probe.pid)
		on_probe_end(s, status);
}

static void
on_end_signal(uv_signal_t *handle, int signal)
{
	struct stack *s = handle->data;

	if (signal == SIGINT)
		fputs("\n", stderr);
	stop(s);
}

static void
on_log_timer(uv_timer_t *timer)
{
	(void)timer;
	logs_bound();
}

static void
watch(struct stack *s)
{
	static const struct { int number; uv_signal_cb call; } wanted[] = {
		{ SIGCHLD, on_sigchld }, { SIGTERM, on_end_signal }, { SIGINT, on_end_signal }, { SIGHUP, on_end_signal },
		{ SIGUSR2, on_restart_signal },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		uv_signal_init(s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], wanted[i].call, wanted[i].number);
	}
	for (size_t i = 0; i < MAX_CHILDREN; i++) {
		uv_timer_init(s->loop, &s->again[i]);
		s->again[i].data = s;
	}
	uv_timer_init(s->loop, &s->roll.timer);
	s->roll.timer.data = s;
	uv_timer_init(s->loop, &s->stop_timer);
	s->stop_timer.data = s;
	uv_timer_init(s->loop, &s->log_timer);
	uv_timer_start(&s->log_timer, on_log_timer, LOG_CHECK_MS, LOG_CHECK_MS);
}

/* ---- the beginning ---- */

/* The programs would find a Redis that is not there yet, and wait longer than it takes. */
static void
wait_for_redis(void)
{
	for (int ms = 0; ms < REDIS_WAIT_MS && !socket_unix_answers("run/redis.sock"); ms++)
		usleep(1000);
}

static int
start_probe(struct stack *s)
{
	static const char *argv[] = { "helpline", "probe", "--secrets", "secrets", "--timeout", PROBE_TIMEOUT,
	    "--address", NULL, NULL };

	argv[7] = s->address;
	s->probe = (struct child){
		.name = "probe", .file = "app/bin/helpline", .argv = argv, .env = s->program_env, .plain = true,
		.death_signal = SIGKILL
	};
	return child_start(&s->probe);
}

static enum hl_err
start_all(struct stack *s, struct buf *problem)
{
	for (size_t i = 0; i < s->count; i++) {
		if (child_start(&s->children[i]) != 0) {
			buf_printf(problem, "%s cannot be started: %s", s->children[i].name, strerror(errno));
			return HL_INTERNAL;
		}
		if (strcmp(s->children[i].name, "redis") == 0)
			wait_for_redis();
	}
	write_status(s);
	return start_probe(s) == 0 ? HL_OK : HL_INTERNAL;
}

static enum hl_err
prepare(struct stack *s, const struct stack_plan *plan, struct buf *problem)
{
	enum hl_err err;

	s->plan = plan;
	s->loop = uv_default_loop();
	s->program_env = settings_environment();
	s->bare_env = settings_bare_environment();
	if (s->program_env == NULL || s->bare_env == NULL)
		return HL_NO_MEMORY;
	snprintf(s->address, sizeof(s->address), "http://127.0.0.1:%d", plan->front->port);
	snprintf(s->redis_socket, sizeof(s->redis_socket), "%s/run/redis.sock", plan->state->path);
	restart_answer("");	/* of a wish that a killed supervisor left */
	err = site_write(plan->front, plan->connections, plan->conf, problem);
	return err ? err : add_children(s, problem);
}

static void
close_handle(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void
finish(struct stack *s)
{
	(void)unlink(STATE_STATUS);
	uv_walk(s->loop, close_handle, NULL);
	uv_run(s->loop, UV_RUN_DEFAULT);
	uv_loop_close(s->loop);
}

int
stack_run(const struct stack_plan *plan)
{
	static struct stack s;
	struct buf problem = BUF_INIT(1024);
	enum hl_err err = prepare(&s, plan, &problem);

	if (err == HL_OK) {
		watch(&s);
		if (plan->tell >= 0)	/* if whoever waits is interrupted, so are we */
			prctl(PR_SET_PDEATHSIG, SIGTERM);
		err = start_all(&s, &problem);
		if (err)
			stop(&s);
		uv_run(s.loop, UV_RUN_DEFAULT);
		finish(&s);
	}
	if (err) {
		fprintf(stderr, "Helpline could not be started: %s\n", problem.data ? problem.data : err_text(err));
		s.exit_status = 1;
	}
	buf_free(&problem);
	return s.exit_status;
}
