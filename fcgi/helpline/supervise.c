/*
 * helpline supervise - what ./run is: from a folder and the settings to a running system.  The part that root may be
 * needed for comes first, then the rights are given up, then everything is started.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "command.h"
#include "detect.h"
#include "keys.h"
#include "settings.h"
#include "stack.h"
#include "state.h"
#include "status.h"
#include "tree.h"

#define MIRROR_PAUSE_MS		1000
#define WANTED_DESCRIPTORS	65536
#define MOST_CONNECTIONS	20480	/* nginx prepares 400 bytes for each */
#define OTHER_DESCRIPTORS	64

struct launch {
	const char	*state_dir, *env_file;
	const char	*app;
	int		 port;
	bool		 port_given, detach;
	const char	*pushd;		/* how many; NULL: as PUSHD_COUNT says */
	int		 tell;
	struct state	 state;
	struct conf	 conf;
	struct front	 front;
	bool		 own_redis;
};

static int
parse_options(int argc, char **argv, struct launch *l)
{
	static const struct option options[] = {
		{ "state-dir", required_argument, NULL, 's' }, { "app", required_argument, NULL, 'a' },
		{ "env-file", required_argument, NULL, 'e' }, { "port", required_argument, NULL, 'p' },
		{ "detach", no_argument, NULL, 'd' }, { "pushd", required_argument, NULL, 'n' }, { NULL, 0, NULL, 0 }
	};
	char *end;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 's': l->state_dir = optarg; break;
		case 'a': l->app = optarg; break;
		case 'e': l->env_file = optarg; break;
		case 'd': l->detach = true; break;
		case 'n': l->pushd = optarg; break;
		case 'p':
			l->port = (int)strtol(optarg, &end, 10);
			if (end == optarg || *end || l->port < 0 || l->port > 65535)
				return complain(2, argv[0], "--port takes a number from 0 (any free one) to 65535");
			l->port_given = true;
			break;
		default: return 2;
		}
	if (l->state_dir == NULL || optind < argc)
		return complain(2, argv[0], "say where: --state-dir DIR");
	return 0;
}

static void
warn_of_name(const char *sentence, void *arg)
{
	(void)arg;
	fprintf(stderr, "Warning: %s\n", sentence);
}

/* ---- with root's rights, if they are there ---- */

static enum hl_err
load_settings(struct launch *l, struct buf *problem)
{
	enum hl_err err;

	if (l->pushd)
		setenv("PUSHD_COUNT", l->pushd, 1);
	unsetenv("PUSHD_INSTANCE");	/* each is told its own */
	settings_choose(l->state_dir, l->env_file);
	err = settings_load(l->env_file, &l->conf, problem);
	settings_misspelt(warn_of_name, NULL);
	if (err)
		return err;
	if (!l->port_given) {
		l->port = (int)l->conf.port;
		l->port_given = settings_port(&l->port);
	}
	l->own_redis = settings_own_redis(&l->conf);
	if (getenv("MONGODB_URI"))
		fprintf(stderr, "MONGODB_URI is set and not used: everything is kept in Redis.\n");
	return HL_OK;
}

static bool
is_knowledge(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && (strcmp(name + len - 3, ".md") == 0 || (len > 4 && strcmp(name + len - 4, ".txt") == 0));
}

/*
 * Lives as root beside the supervisor for as long as that does: it holds the other end of the pipe, and nobody else.  (The
 * kernel's signal at a parent's death does not reach a root process from a parent that has changed its user.)
 */
static void
mirror(const char *folder, int supervisor)
{
	struct buf problem = BUF_INIT(1024);
	struct pollfd end = { .fd = supervisor };

	signal(SIGINT, SIG_IGN);	/* Ctrl-C is for the supervisor */
	while (poll(&end, 1, MIRROR_PAUSE_MS) == 0) {
		buf_reset(&problem);
		if (tree_sync(folder, "knowledge", is_knowledge, &problem) != HL_OK)
			log_line(LOG_LEVEL_WARN, "knowledge", "problem", problem.data, NULL);
	}
	_exit(0);
}

/* A folder that only root can read is copied for the services, and the copy is kept fresh. */
static enum hl_err
share_knowledge(const struct launch *l, const char *folder, struct buf *problem)
{
	int ends[2];
	pid_t pid;

	if (tree_sync(folder, "knowledge", is_knowledge, problem) != HL_OK)
		return HL_INTERNAL;
	fprintf(stderr, "KNOWLEDGE_PATH is readable to root alone: a copy in %s/knowledge is used and kept fresh.\n",
	    l->state.path);
	if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return HL_INTERNAL;
	if (pid == 0) {
		close(ends[1]);
		mirror(folder, ends[0]);
	}
	close(ends[0]);			/* ends[1] stays open until we end */
	setenv("KNOWLEDGE_PATH", "knowledge", 1);
	return HL_OK;
}

/* Must be an absolute path: the state directory is about to be entered. */
static enum hl_err
find_knowledge(const struct launch *l, char **ret, struct buf *problem)
{
	struct stat st;

	*ret = NULL;
	if (*l->conf.knowledge_path == '\0')
		return HL_OK;
	*ret = realpath(l->conf.knowledge_path, NULL);
	if (*ret && (stat(*ret, &st) != 0 || S_ISDIR(st.st_mode)))
		return HL_OK;
	if (*ret)
		errno = ENOTDIR;
	buf_printf(problem, "KNOWLEDGE_PATH is %s, which cannot be read: %s", l->conf.knowledge_path, strerror(errno));
	return HL_BAD_REQUEST;
}

/* What is kept in files: the setting that names the folder, and the one in the state directory otherwise. */
static const struct { const char *setting, *own; } folders[] = {
	{ "AVATAR_PATH", "avatars" },
	{ "UPLOAD_PATH", "uploads" },
	{ "AUDIO_PATH", "audio" },
};
#define FOLDERS (sizeof(folders) / sizeof(folders[0]))

/* Likewise; those that are not there are made.  NULL: the one in the state directory. */
static enum hl_err
find_folders(char *ret[FOLDERS], struct buf *problem)
{
	for (size_t i = 0; i < FOLDERS; i++) {
		const char *path = getenv(folders[i].setting);

		if (path == NULL || *path == '\0')
			continue;
		if ((mkdir(path, 0755) == 0 || errno == EEXIST) && (ret[i] = realpath(path, NULL)) != NULL)
			continue;
		buf_printf(problem, "%s is %s, which cannot be used: %s", folders[i].setting, path, strerror(errno));
		return HL_BAD_REQUEST;
	}
	return HL_OK;
}

/* As the user that we are by now. */
static enum hl_err
set_folders(char *const found[FOLDERS], struct buf *problem)
{
	for (size_t i = 0; i < FOLDERS; i++) {
		setenv(folders[i].setting, found[i] ? found[i] : folders[i].own, 1);
		if (found[i] == NULL || access(found[i], R_OK | W_OK | X_OK) == 0)
			continue;
		buf_printf(problem, "%s is %s, where the programs may not write (chown %u)", folders[i].setting, found[i],
		    (unsigned)geteuid());
		return HL_BAD_REQUEST;
	}
	return HL_OK;
}

static enum hl_err
set_knowledge(const struct launch *l, const char *folder, struct buf *problem)
{
	if (folder == NULL)
		setenv("KNOWLEDGE_PATH", "app/share/helpline/knowledge", 1);
	else if (state_can_read(&l->state, folder, is_knowledge))
		setenv("KNOWLEDGE_PATH", folder, 1);
	else if (l->state.root)
		return share_knowledge(l, folder, problem);
	else {
		buf_printf(problem, "KNOWLEDGE_PATH is %s, and not everything in it may be read", folder);
		return HL_BAD_REQUEST;
	}
	setenv("KNOWLEDGE_INDEX", "run/knowledge.db", 0);
	return HL_OK;
}

static enum hl_err
open_front(struct launch *l, struct buf *problem)
{
	enum hl_err err = socket_front(l->port, l->port_given, &l->front, problem);

	if (err == HL_OK && l->port && l->front.port != l->port)
		fprintf(stderr, "Port %d is taken by another program; %d is used.\n", l->port, l->front.port);
	return err;
}

static unsigned
raise_limits(void)
{
	struct rlimit files = { WANTED_DESCRIPTORS, WANTED_DESCRIPTORS };

	if (geteuid() != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0) {
		if (getrlimit(RLIMIT_NOFILE, &files) != 0)
			return 1024;
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur > MOST_CONNECTIONS + OTHER_DESCRIPTORS)
		return MOST_CONNECTIONS;
	return files.rlim_cur > 512 ? (unsigned)files.rlim_cur - OTHER_DESCRIPTORS : 448;
}

/* ---- without them ---- */

static void
set_redis(const struct launch *l)
{
	if (!l->own_redis) {
		fprintf(stderr, "Redis: the server that the settings name is used.\n");
		return;
	}
	if (getenv("REDIS_HOST") || getenv("REDIS_PORT"))
		fprintf(stderr, "Redis: our own is used; for one at localhost:6379 set REDIS_URL=redis://localhost:6379\n");
	setenv("REDIS_SOCKET", "run/redis.sock", 1);
	unsetenv("REDIS_PASSWORD");
}

static void
set_model(const struct launch *l)
{
	const char *url = getenv("OPENAI_BASE_URL");
	struct model_server found;

	if (settings_model(&l->conf)) {
		fprintf(stderr, "AI model: %s\n", *l->conf.openai_key || *l->conf.openai_url ? l->conf.openai_model :
		    *l->conf.fallback_key || *l->conf.fallback_url ? l->conf.fallback_model : l->conf.gemini_model);
		return;
	}
	if (url && strcmp(url, "none") == 0) {
		fprintf(stderr, "No AI model, as OPENAI_BASE_URL=none says: the offline responder answers from the knowledge.\n");
		return;
	}
	if (!detect_ask("app/bin/helpline", &found)) {
		fprintf(stderr, "No AI model connected: the offline responder answers from the knowledge "
		    "(OPENAI_API_KEY or OPENAI_BASE_URL connects one).\n");
		return;
	}
	setenv("OPENAI_BASE_URL", found.url, 1);
	setenv("OPENAI_MODEL", found.model, 0);
	fprintf(stderr, "AI model: %s, from the server found at %s\n", getenv("OPENAI_MODEL"), found.url);
}

static void
set_places(const struct launch *l)
{
	char port[16];

	snprintf(port, sizeof(port), "%d", l->front.port);
	setenv("PORT", port, 1);
	setenv("HELPLINE_SECRETS", "secrets", 1);
	setenv("HELPLINE_FRONT", "run/front.sock", 1);
	setenv("HELPLINE_EVENTS", "run/events.sock", 1);
	setenv("METRICS_FILE", "run/metrics", 1);
}

/* ---- */

/* New keys would open nothing of what our own Redis has stored, and everything would seem well. */
static enum hl_err
miss_keys(const struct launch *l, struct buf *problem)
{
	if (access("redis/appendonlydir", F_OK) != 0 || access("secrets/seal.keys", F_OK) == 0 || errno != ENOENT)
		return HL_OK;
	buf_printf(problem, "secrets/seal.keys is gone from %s, and what is stored there can be read with it alone: put it back "
	    "(what helpline backup made has it), or remove the folder redis there to begin anew", l->state.path);
	return HL_BAD_REQUEST;
}

/* Up to the point where only starting is left.  HL_CONFLICT: it runs already. */
static enum hl_err
prepare(struct launch *l, unsigned *ret_connections, struct buf *problem)
{
	char *knowledge = NULL, *found[FOLDERS] = { NULL };
	enum hl_err err;

	if ((err = load_settings(l, problem)) != HL_OK || (err = find_knowledge(l, &knowledge, problem)) != HL_OK ||
	    (err = find_folders(found, problem)) != HL_OK)
		goto out;
	umask(077);
	err = state_open(&l->state, l->state_dir, problem);
	if (err)
		goto out;
	if ((l->app && (err = tree_sync(l->app, "app", NULL, problem)) != HL_OK) ||
	    (err = set_knowledge(l, knowledge, problem)) != HL_OK || (err = open_front(l, problem)) != HL_OK)
		goto out;
	*ret_connections = raise_limits();
	if ((err = state_drop_root(&l->state, problem)) != HL_OK || (err = miss_keys(l, problem)) != HL_OK ||
	    (err = keys_init("secrets", problem)) != HL_OK ||
	    (err = keys_use_jwt("secrets", problem)) != HL_OK || (err = set_folders(found, problem)) != HL_OK)
		goto out;
	set_redis(l);
	set_model(l);
	set_places(l);
out:
	free(knowledge);
	for (size_t i = 0; i < FOLDERS; i++)
		free(found[i]);
	return err;
}

static int
launch(struct launch *l)
{
	struct buf problem = BUF_INIT(4096);
	struct stack_plan plan = { .state = &l->state, .conf = &l->conf, .front = &l->front, .tell = l->tell };
	enum hl_err err = prepare(l, &plan.connections, &problem);
	int ret = 1;

	if (err == HL_CONFLICT && l->state.path[0] && l->front.count == 0) {
		status_tell_running(l->state.path, (int)state_supervisor("."));
		if (l->tell >= 0)
			(void)!write(l->tell, "", 1);
		ret = 0;
	} else if (err)
		complain(1, "supervise", "%s", problem.data ? problem.data : err_text(err));
	else {
		plan.own_redis = l->own_redis;
		ret = stack_run(&plan);
	}
	conf_free(&l->conf);
	buf_free(&problem);
	return ret;
}

/* The parent waits for the byte that says "ready", or for the end without it. */
static int
detach(struct launch *l)
{
	int ends[2];
	char byte;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return complain(1, "supervise", "%s", strerror(errno));
	if (pid == 0) {
		close(ends[0]);
		setsid();
		l->tell = ends[1];
		exit(launch(l));
	}
	close(ends[1]);
	do
		n = read(ends[0], &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : 1;
}

int
cmd_supervise(int argc, char **argv)
{
	struct launch l = { .tell = -1, .state = { .lock = -1 } };
	int ret = parse_options(argc, argv, &l);
	char *app = NULL;

	if (ret)
		return ret;
	if (l.app && (l.app = app = realpath(l.app, NULL)) == NULL)
		return complain(1, argv[0], "--app: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	log_init("supervisor", LOG_LEVEL_INFO);
	ret = l.detach ? detach(&l) : launch(&l);
	free(app);
	return ret;
}
