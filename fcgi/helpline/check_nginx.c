/*
 * What nginx would do, as `nginx -T` shows its configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define SHOWN_MAX	(8u << 20)
#define WORDS_MAX	64
#define GROUPS_MAX	128

struct shown {
	struct check	*c;
	bool		 knows_us;
	char		 user[64], group[64];
	int64_t		 connections;
	unsigned	 sockets, wrong_before;
	gid_t		 groups[GROUPS_MAX];
	int		 ngroups;
	uid_t		 uid;
	char		 last_socket[108];
};

/* ---- nginx -T ---- */

static void
become_nginx(const struct check *c, int out)
{
	char path[4200];
	const char *own = getenv("PATH");
	int none = open("/dev/null", O_RDWR | O_CLOEXEC);

	snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin:/usr/local/sbin", own ? own : "/usr/bin:/bin");
	setenv("PATH", path, 1);
	if (none < 0 || dup2(none, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(none, STDERR_FILENO) < 0)
		_exit(126);
	if (c->nginx_conf)
		execlp("nginx", "nginx", "-T", "-c", c->nginx_conf, (char *)NULL);
	else
		execlp("nginx", "nginx", "-T", (char *)NULL);
	_exit(127);
}

/* 0: it is in *text; else what nginx ended with, 127 if there is none. */
static int
run_nginx(const struct check *c, struct buf *text)
{
	int ends[2], status = 0;
	ssize_t n = 1;
	pid_t pid;
	char *p;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return 126;
	pid = fork();
	if (pid == 0)
		become_nginx(c, ends[1]);
	close(ends[1]);
	while (pid > 0 && n > 0 && (p = buf_reserve(text, 65536)) != NULL)
		if ((n = read(ends[0], p, 65536)) > 0)
			buf_grow(text, (size_t)n);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/* ---- who may connect ---- */

static void
find_groups(struct shown *s)
{
	const struct passwd *pw = getpwnam(*s->user ? s->user : "nobody");
	const struct group *gr = *s->group ? getgrnam(s->group) : NULL;

	s->ngroups = 0;
	if (pw == NULL)
		return;
	s->uid = pw->pw_uid;
	s->ngroups = GROUPS_MAX;
	if (getgrouplist(pw->pw_name, gr ? gr->gr_gid : pw->pw_gid, s->groups, &s->ngroups) < 0)
		s->ngroups = GROUPS_MAX;
}

static bool
may(const struct shown *s, const struct stat *st, mode_t right)
{
	if (st->st_uid == s->uid)
		return st->st_mode & (right << 6);
	for (int i = 0; i < s->ngroups; i++)
		if (s->groups[i] == st->st_gid)
			return st->st_mode & (right << 3);
	return st->st_mode & right;
}

/* NULL, or what stands in the way. */
static const char *
in_the_way(const struct shown *s, const char *path, char folder[108])
{
	struct stat st;

	snprintf(folder, 108, "%s", path);
	if (stat(path, &st) != 0)
		return errno == ENOENT ? "it is not there" : strerror(errno);
	if (!may(s, &st, 2))
		return "its rights";
	while (strrchr(folder, '/') > folder) {
		*strrchr(folder, '/') = '\0';
		if (stat(folder, &st) == 0 && !may(s, &st, 1))
			return "the rights of its folder";
	}
	return NULL;
}

static void
check_upstream(struct shown *s, const char *path)
{
	char folder[108];
	const char *why;

	if (strcmp(path, s->last_socket) == 0)
		return;		/* each stands there many times */
	snprintf(s->last_socket, sizeof(s->last_socket), "%s", path);
	s->sockets++;
	if (s->ngroups == 0)
		return;
	why = in_the_way(s, path, folder);
	if (why)
		found(s->c, "nginx.socket", FOUND_WRONG,
		    "Its user must be in the socket's group: see SocketGroup= of the unit; tmpfiles.d makes the folder.",
		    "nginx (user %s) cannot connect to %s: %s", *s->user ? s->user : "nobody", path, why);
}

/* ---- directives ---- */

static bool
has_word(char *const words[], size_t count, const char *word)
{
	for (size_t i = 1; i < count; i++)
		if (strcasecmp(words[i], word) == 0)
			return true;
	return false;
}

/* Those that say who nginx is stand before what is judged by it. */
static void
take_directive(struct shown *s, char *const words[], size_t count)
{
	const char *name = words[0];

	if (strcmp(name, "user") == 0 && count > 1) {
		snprintf(s->user, sizeof(s->user), "%s", words[1]);
		snprintf(s->group, sizeof(s->group), "%s", count > 2 ? words[2] : "");
		find_groups(s);
	} else if (strcmp(name, "worker_connections") == 0 && count > 1)
		s->connections = strtoll(words[1], NULL, 10);
	else if (strcmp(name, "upstream") == 0 && count > 1 && strcmp(words[1], "helpline_chat") == 0)
		s->knows_us = true;
	else if (strcmp(name, "server") == 0 && count > 1 && strncmp(words[1], "unix:", 5) == 0 && strstr(words[1], "helpline"))
		check_upstream(s, words[1] + 5);
	else if ((strcmp(name, "fastcgi_ignore_headers") == 0 || strcmp(name, "proxy_ignore_headers") == 0) &&
	    has_word(words, count, "X-Accel-Buffering"))
		found(s->c, "nginx.buffering", FOUND_WRONG, "Take X-Accel-Buffering out of it, or say fastcgi_buffering off there.",
		    "nginx keeps streamed answers back until they are whole: %s X-Accel-Buffering", name);
	else if (strcmp(name, "gzip_types") == 0 && (has_word(words, count, "text/event-stream") || has_word(words, count, "*")))
		found(s->c, "nginx.buffering", FOUND_WRONG, "Take it out of gzip_types.",
		    "nginx keeps streamed answers back to compress them: gzip_types %s", has_word(words, count, "*") ? "*" : "text/event-stream");
}

/* The end of the word that begins at p, quoted or not; it is cut off there, and its quotes are taken off it. */
static char *
cut_word(char *p, char **ret_word, char *ret_after)
{
	char quote = *p == '"' || *p == '\'' ? *p++ : '\0', *end = p;

	while (*end && (quote ? *end != quote : strchr(" \t\r\n;{}", *end) == NULL))
		end += *end == '\\' && end[1] ? 2 : 1;
	*ret_word = p;
	*ret_after = quote ? ' ' : *end;
	if (*end)
		*end++ = '\0';
	return end;
}

/* A directive ends with ; or before { or }; a comment goes to the end of its line. */
static void
read_shown(struct shown *s, char *text)
{
	char *words[WORDS_MAX], *word, after;
	size_t count = 0;

	for (char *p = text; *p; ) {
		after = *p;
		if (*p == '#') {
			p += strcspn(p, "\n");
			continue;
		}
		if (strchr(" \t\r\n;{}", *p))
			p++;
		else {
			p = cut_word(p, &word, &after);
			if (count < WORDS_MAX)
				words[count++] = word;
		}
		if (after == ';' || after == '{' || after == '}') {
			if (count)
				take_directive(s, words, count);
			count = 0;
		}
	}
}

/* ---- */

static void
judge(struct shown *s)
{
	struct check *c = s->c;

	if (!s->knows_us) {
		found(c, "nginx.included", FOUND_WRONG,
		    "Take the include lines of helpline.conf (below the data folder's nginx/) into your site, and reload nginx.",
		    "nginx does not know of Helpline");
		return;
	}
	if (c->wrong == s->wrong_before)
		found(c, "nginx.included", FOUND_OK, NULL, "nginx knows of Helpline, by %u sockets", s->sockets);
	if (s->connections && s->connections < 2 * c->conf.max_sockets)
		found(c, "nginx.connections", FOUND_NOTE, NULL,
		    "Each worker of nginx has %" PRId64 " connections (worker_connections): %" PRId64 " sockets or waiting requests, two for each",
		    s->connections, s->connections / 2);
}

void
check_nginx(struct check *c)
{
	struct buf text = BUF_INIT(SHOWN_MAX);
	struct shown s = { .c = c, .wrong_before = c->wrong };
	int status = run_nginx(c, &text);

	if (status == 127)
		found(c, "nginx.installed", FOUND_WRONG, "Install nginx, and include Helpline's snippets in a site.", "nginx is not installed");
	else if (status && geteuid() == 0)
		found(c, "nginx.shown", FOUND_WRONG, "nginx -t says which line: until it is mended, nginx takes no change and cannot start again.",
		    "nginx finds a mistake in its configuration");
	else if (status || buf_err(&text))
		found(c, "nginx.shown", FOUND_UNKNOWN, "Ask as root; if nginx -t fails, mend that first.",
		    "nginx -T does not show its configuration: buffering and sockets are not checked");
	else {
		find_groups(&s);
		if (text.data)
			read_shown(&s, text.data);
		judge(&s);
	}
	buf_free(&text);
}
