#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "site.h"

#define SHIPPED		"app/share/helpline/nginx"
#define FILE_MAX	65536u
#define ENTRIES		12
#define FORM_SLACK	65536	/* of a form beside the file in it */

/* What is written for a word of the shipped files. */
struct word { const char *word, *text; };

struct words {
	struct word	list[16];
	char		listen[256];
	char		connections[16];
	char		payload[32], upload[32], avatars[4200], uploads[4200], audio[4200];
};

static enum hl_err
failed(struct buf *problem, const char *name)
{
	buf_printf(problem, "nginx's configuration: %s: %s", name, strerror(errno));
	return HL_INTERNAL;
}

static void
fill_words(struct words *w, const struct front *front, unsigned connections, const struct conf *conf)
{
	const char *avatars = getenv("AVATAR_PATH"), *uploads = getenv("UPLOAD_PATH"), *audio = getenv("AUDIO_PATH");
	int64_t file_size = 0;
	int n = snprintf(w->listen, sizeof(w->listen), "listen 127.0.0.1:%d backlog=4096;", front->port);

	if (front->count > 1)
		snprintf(w->listen + n, sizeof(w->listen) - (size_t)n, "\n\t\tlisten [::1]:%d backlog=4096;", front->port);
	snprintf(w->connections, sizeof(w->connections), "%u", connections);
	snprintf(w->payload, sizeof(w->payload), "%" PRId64, conf->socket_max_payload + 100000);
	(void)conf_size(conf->max_file_size, &file_size);
	snprintf(w->upload, sizeof(w->upload), "%" PRId64, file_size + FORM_SLACK);
	snprintf(w->avatars, sizeof(w->avatars), "%s/", avatars);
	snprintf(w->uploads, sizeof(w->uploads), "%s/", uploads);
	snprintf(w->audio, sizeof(w->audio), "%s/", audio);
	const struct word list[] = {
		{ "@LISTEN@", w->listen },
		{ "@CONNECTIONS@", w->connections },
		{ "@RATE_LIMITS@", conf->rate_limits ? "on" : "off" },
		{ "1100000", w->payload },
		{ "5308416", w->upload },
		{ "/var/lib/helpline/avatars/", w->avatars },
		{ "/var/lib/helpline/uploads/", w->uploads },
		{ "/var/lib/helpline/audio/", w->audio },
		{ "/etc/nginx/helpline/", "nginx/" },		/* below the configuration's own folder */
		{ "/run/helpline/", "run/" },
		{ "/usr/share/helpline/", "app/share/helpline/" },
		{ NULL, NULL }
	};
	memcpy(w->list, list, sizeof(list));
}

static enum hl_err
read_text(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;
	char *p;

	if (fd < 0)
		return HL_INTERNAL;
	while ((p = buf_reserve(out, 4096)) != NULL && (n = read(fd, p, 4096)) > 0)
		buf_grow(out, (size_t)n);
	close(fd);
	return p == NULL || n < 0 ? HL_INTERNAL : HL_OK;
}

static enum hl_err
write_text(const char *path, const struct buf *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd < 0)
		return HL_INTERNAL;
	n = write(fd, text->data, text->len);
	close(fd);
	return n == (ssize_t)text->len ? HL_OK : HL_INTERNAL;
}

static void
replace(const struct word *words, const char *p, struct buf *out)
{
	while (*p) {
		const struct word *w = words;

		while (w->word && strncmp(p, w->word, strlen(w->word)) != 0)
			w++;
		if (w->word) {
			buf_puts(out, w->text);
			p += strlen(w->word);
		} else
			buf_putc(out, *p++);
	}
}

static enum hl_err
write_file(const struct words *w, const char *from, const char *to, struct buf *problem)
{
	struct buf text = BUF_INIT(FILE_MAX), done = BUF_INIT(FILE_MAX);
	enum hl_err err = read_text(from, &text);

	if (err == HL_OK && text.data) {
		replace(w->list, text.data, &done);
		err = buf_err(&done);
	}
	if (err == HL_OK)
		err = write_text(to, &done);
	if (err)
		err = failed(problem, to);
	buf_free(&text);
	buf_free(&done);
	return err;
}

static enum hl_err
write_snippets(const struct words *w, struct buf *problem)
{
	DIR *list = opendir(SHIPPED);
	struct dirent *e;
	char from[512], to[512];
	enum hl_err err = HL_OK;

	if (list == NULL)
		return failed(problem, SHIPPED);
	while (err == HL_OK && (e = readdir(list)) != NULL) {
		if (strncmp(e->d_name, "helpline-", 9) != 0)
			continue;
		snprintf(from, sizeof(from), SHIPPED "/%s", e->d_name);
		snprintf(to, sizeof(to), "run/nginx/%s", e->d_name);
		err = write_file(w, from, to, problem);
	}
	closedir(list);
	return err;
}

/* ---- several pushd ---- */

/* Instances from first to last behind one name, listed as often as helpline-upstreams.conf says. */
static void
add_upstream(struct buf *out, const char *name, const char *socket, int first, int last, const char *more)
{
	buf_printf(out, "upstream helpline_%s {\n", name);
	for (int i = 0; i < ENTRIES; i++)
		for (int instance = first; instance <= last; instance++)
			if (instance)
				buf_printf(out, "\tserver unix:run/%s-%d.sock max_fails=0;\n", socket, instance);
			else
				buf_printf(out, "\tserver unix:run/%s.sock max_fails=0;\n", socket);
	buf_printf(out, "%s}\n\n", more);
}

static void
add_route(struct buf *out, const char *name, const char *socket, int count, const char *more)
{
	char one[32];

	buf_printf(out, "map $arg_sid $helpline_%s {\n\tdefault\thelpline_%s;\n", name, name);
	for (int i = 0; i < count; i++)
		buf_printf(out, "\t\"~^%d\"\thelpline_%s_%d;\n", i, name, i);
	buf_puts(out, "}\n\n");
	add_upstream(out, name, socket, 0, count - 1, more);
	for (int i = 0; i < count; i++) {
		snprintf(one, sizeof(one), "%s_%d", name, i);
		add_upstream(out, one, socket, i, i, more);
	}
}

/* What the shipped file, which is for one, says how to write. */
static enum hl_err
write_pushd(int count, struct buf *problem)
{
	static const char to[] = "run/nginx/helpline-pushd.conf";
	struct buf text = BUF_INIT(FILE_MAX);
	enum hl_err err;

	add_route(&text, "polls", "polls", count, "\tkeepalive 128;\n\tkeepalive_requests 1000000;\n");
	add_route(&text, "websockets", "ws", count, "");
	err = buf_err(&text);
	if (err == HL_OK)
		err = write_text(to, &text);
	buf_free(&text);
	return err ? failed(problem, to) : HL_OK;
}

/* ---- pages elsewhere ---- */

/* The origins of FRONTEND_URL, which are as conf.c checks them; what nginx would not read as a plain word none of them has. */
static void
add_origins(const char *at, struct buf *out)
{
	while (*(at += strspn(at, ", \t"))) {
		size_t len = strcspn(at, ", \t"), plain = len - (at[len - 1] == '/');

		if (strcspn(at, "\"\\$;{}\r\n") >= len)
			buf_printf(out, "\t\"%.*s\"\t\"%.*s\";\n", (int)plain, at, (int)plain, at);
		at += len;
	}
}

/* What the shipped file, in which there is none, says how to write. */
static enum hl_err
write_origins(const char *list, struct buf *problem)
{
	static const char to[] = "run/nginx/helpline-origins.conf";
	struct buf text = BUF_INIT(FILE_MAX);
	enum hl_err err;

	buf_puts(&text, "map $http_origin $helpline_origin {\n");
	if (strcmp(list, "*") == 0)
		buf_puts(&text, "\tdefault\t*;\n\t\"\"\t\"\";\n");
	else {
		buf_puts(&text, "\tdefault\t\"\";\n");
		add_origins(list, &text);
	}
	buf_puts(&text, "}\n");
	err = buf_err(&text);
	if (err == HL_OK)
		err = write_text(to, &text);
	buf_free(&text);
	return err ? failed(problem, to) : HL_OK;
}

enum hl_err
site_write(const struct front *front, unsigned connections, const struct conf *conf, struct buf *problem)
{
	struct words w;
	enum hl_err err;

	fill_words(&w, front, connections, conf);
	if (mkdir("run/nginx", 0700) != 0 && errno != EEXIST)
		return failed(problem, "run/nginx");
	err = write_snippets(&w, problem);
	if (err == HL_OK && conf->pushd_count > 1)
		err = write_pushd((int)conf->pushd_count, problem);
	if (err == HL_OK)
		err = write_origins(conf->frontend_url, problem);
	return err ? err : write_file(&w, SHIPPED "/run.conf.in", "run/nginx.conf", problem);
}
