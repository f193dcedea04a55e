#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/str.h"

#define FILE_MAX	65536u
#define TAKEN_MAX	256u
#define SENTENCE_MAX	4600
#define BYTE_ORDER_MARK	"\xef\xbb\xbf"

/* ---- where a value of the environment came from ---- */

/*
 * Beside the environment, which is the process's too: what was put there by conf_take().  A value is known by its address,
 * which setenv(3) does not use again; what somebody else has put there since is the environment's own.
 */
static struct {
	const char	*value;
	char		*file;
	unsigned	 line;
	enum conf_place	 place;
} taken[TAKEN_MAX];
static size_t taken_count;

enum hl_err
conf_take(const char *name, const char *value, enum conf_place place, const char *file, unsigned line)
{
	if (getenv(name))
		return HL_OK;
	if (setenv(name, value, 0) != 0)
		return HL_NO_MEMORY;
	if (taken_count == TAKEN_MAX)
		return HL_OK;		/* it is told as the environment's, that is all */
	taken[taken_count].file = strdup(file);
	if (taken[taken_count].file == NULL)
		return HL_NO_MEMORY;
	taken[taken_count].value = getenv(name);
	taken[taken_count].place = place;
	taken[taken_count++].line = line;
	return HL_OK;
}

void
conf_origin_of(const char *name, const char *value, struct conf_origin *ret)
{
	*ret = (struct conf_origin){ .place = CONF_ENVIRONMENT, .name = name };
	for (size_t i = 0; i < taken_count; i++)
		if (taken[i].value == value) {
			ret->place = taken[i].place;
			ret->file = taken[i].file;
			ret->line = taken[i].line;
			return;
		}
}

void
conf_origin_text(const struct conf_origin *origin, char *out, size_t size)
{
	switch (origin->place) {
	case CONF_DEFAULT:
		snprintf(out, size, "default");
		break;
	case CONF_ENVIRONMENT:
		snprintf(out, size, "from the environment");
		break;
	case CONF_FILE_LINE:
		snprintf(out, size, "%s, line %u", origin->file, origin->line);
		break;
	case CONF_CREDENTIAL:
		snprintf(out, size, "the credential %s", origin->file);
		break;
	}
}

/* ---- files ---- */

struct reading {
	const char	*path;
	bool		 strict;
	conf_tell	*tell;
	void		*arg;
	const char	*secret;		/* a setting in it that is one */
	unsigned	 line, *seen;		/* seen: the line of each setting, by its place in the table */
	enum hl_err	 err;
};

static void __attribute__((format(printf, 4, 5)))
wrong(struct reading *r, const char *name, unsigned line, const char *format, ...)
{
	char where[CONF_WHERE_MAX], what[512], sentence[SENTENCE_MAX + 512];
	const struct conf_wrong told = { name, where, NULL, sentence };
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	snprintf(where, sizeof(where), line ? "%s, line %u" : "%s", r->path, line);
	snprintf(sentence, sizeof(sentence), line ? "%s: %s" : "%s %s", where, what);
	r->err = HL_BAD_REQUEST;
	r->tell(&told, r->arg);
}

static bool
name_ok(const char *s, size_t len)
{
	if (len == 0 || (*s >= '0' && *s <= '9'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] != '_' && !(s[i] >= '0' && s[i] <= '9') && !((s[i] | 32) >= 'a' && (s[i] | 32) <= 'z'))
			return false;
	return true;
}

/* Nothing, or a comment behind a blank. */
static bool
ends_here(const char *p)
{
	size_t blanks = strspn(p, " \t");

	return p[blanks] == '\0' || (blanks && p[blanks] == '#');
}

/* Takes off quotes or a trailing comment, in place.  Returns false if no quote closes the value. */
static bool
unquote(char *v)
{
	char *end;
	size_t len;

	if (*v == '"' || *v == '\'') {
		for (end = strchr(v + 1, *v); end && !ends_here(end + 1); end = strchr(end + 1, *v))
			;
		if (end == NULL)
			return false;
		*end = '\0';
		memmove(v, v + 1, (size_t)(end - v));
		return true;
	}
	if ((end = strstr(v, " #")) != NULL || (end = strstr(v, "\t#")) != NULL)
		*end = '\0';
	len = strlen(v);
	while (len && (v[len - 1] == ' ' || v[len - 1] == '\t'))
		v[--len] = '\0';
	return true;
}

/* Of Helpline's own file more is asked than of a .env file, which other programs may read, too. */
static bool
name_is_wrong(struct reading *r, const char *name)
{
	const struct conf_entry *first, *e = conf_find(name, strlen(name));
	const char *meant = conf_misspelt(name, strlen(name));
	unsigned *seen;
	size_t count;

	if (e == NULL && (meant == NULL || !r->strict))
		return false;
	if (e == NULL) {
		wrong(r, name, r->line, "%s is no setting; is %s meant?", name, meant);
		return true;
	}
	first = conf_entries(&count);
	seen = &r->seen[e - first];
	if (*seen)
		wrong(r, name, r->line, "%s is set a second time; line %u has it already.", name, *seen);
	else
		*seen = r->line;
	return *seen != r->line;
}

static void
take_value(struct reading *r, const char *name, char *value)
{
	const struct conf_entry *e = conf_find_any(name);

	if (!unquote(value)) {
		wrong(r, name, r->line, "the quote of %s is not closed.", name);
		return;
	}
	if (e && conf_is_secret(e, value) && r->secret == NULL)
		r->secret = e->name;
	if (!name_is_wrong(r, name) && conf_take(name, value, CONF_FILE_LINE, r->path, r->line) != HL_OK)
		r->err = HL_NO_MEMORY;
}

/* One line without its end. */
static void
take_line(struct reading *r, char *line)
{
	char *eq, *value;
	size_t len;

	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return;
	if (strncmp(line, "export ", 7) == 0)
		line += 7 + strspn(line + 7, " ");
	eq = strchr(line, '=');
	len = eq ? (size_t)(eq - line) : 0;
	while (len && line[len - 1] == ' ')
		len--;
	if (eq == NULL || !name_ok(line, len)) {
		wrong(r, NULL, r->line, "expected NAME=VALUE.");
		return;
	}
	line[len] = '\0';
	value = eq + 1 + strspn(eq + 1, " \t");
	if (*value == '#' && value > eq + 1)
		*value = '\0';
	take_value(r, line, value);
}

/* What is open is what is judged: another file of this name does not matter any more. */
static void
read_file(struct reading *r, struct buf *out, struct stat *st)
{
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | (r->strict ? O_NONBLOCK : 0));
	ssize_t n = 0;
	char *p;

	if (fd < 0 || fstat(fd, st) != 0)
		wrong(r, NULL, 0, "cannot be read: %s%s.", strerror(errno), !r->strict ? "" : errno == EACCES ?
		    " (it is for root and the programs' user: sudo)" : " (HELPLINE_CONFIG names it)");
	else if (r->strict && !S_ISREG(st->st_mode))
		wrong(r, NULL, 0, "is not a file.");
	if (r->err)
		goto out;
	while ((p = buf_reserve(out, 4096)) != NULL && (n = read(fd, p, 4096)) > 0)
		buf_grow(out, (size_t)n);
	if (out->err == HL_NO_MEMORY)
		r->err = HL_NO_MEMORY;
	else if (buf_err(out) || n < 0)
		wrong(r, NULL, 0, "cannot be read, or is larger than %u bytes.", FILE_MAX);
	else if (out->len && memchr(out->data, '\0', out->len))
		wrong(r, NULL, 0, "is no text: it holds a zero byte.");
out:
	if (fd >= 0)
		close(fd);
}

static void
judge_rights(struct reading *r, const struct stat *st)
{
	if (st->st_mode & S_IWOTH)
		wrong(r, NULL, 0, "can be written by anybody: chmod 640 it.");
	else if ((st->st_mode & S_IROTH) && r->secret)
		wrong(r, r->secret, 0, "can be read by anybody, and %s in it is a secret: chmod 640 it.", r->secret);
	if (geteuid() == 0 && st->st_uid != 0)
		wrong(r, NULL, 0, "belongs to user %lu, and root would go by it: chown root it.", (unsigned long)st->st_uid);
}

enum hl_err
conf_read_file(const char *path, bool strict, conf_tell *tell, void *arg)
{
	struct buf text = BUF_INIT(FILE_MAX);
	struct reading r = { .path = path, .strict = strict, .tell = tell, .arg = arg };
	struct stat st = { .st_mode = 0 };
	char *line, *next;
	size_t count;

	(void)conf_entries(&count);
	r.seen = calloc(count, sizeof(*r.seen));
	if (r.seen == NULL)
		return HL_NO_MEMORY;
	read_file(&r, &text, &st);
	line = r.err ? NULL : text.data;
	if (line && strncmp(line, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		line += strlen(BYTE_ORDER_MARK);	/* some editors begin with it, and show nothing */
	for (; line && *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		line[strcspn(line, "\r")] = '\0';
		r.line++;
		take_line(&r, line);
	}
	if (strict)
		judge_rights(&r, &st);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	free(r.seen);
	return r.err;
}

enum hl_err
conf_load_file(const char *path, struct buf *problem)
{
	return conf_read_file(path, false, conf_tell_text, problem);
}
