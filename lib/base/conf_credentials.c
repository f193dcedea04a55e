#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"

#define CREDENTIAL_MAX	16384u

static void __attribute__((format(printf, 4, 5)))
wrong(const char *name, conf_tell *tell, void *arg, const char *format, ...)
{
	char where[CONF_WHERE_MAX], sentence[CONF_WHERE_MAX + 256];
	const struct conf_wrong told = { name, where, NULL, sentence };
	size_t n;
	va_list ap;

	snprintf(where, sizeof(where), "the credential %s", name);
	n = (size_t)snprintf(sentence, sizeof(sentence), "%s ", where);
	va_start(ap, format);
	vsnprintf(sentence + n, sizeof(sentence) - n, format, ap);
	va_end(ap);
	tell(&told, arg);
}

/* Without the end of the line that editors and echo put behind it. */
static enum hl_err
take(const char *name, struct buf *text, conf_tell *tell, void *arg)
{
	while (text->len && (text->data[text->len - 1] == '\n' || text->data[text->len - 1] == '\r'))
		text->len--;
	buf_putc(text, '\0');
	if (buf_err(text))
		return buf_err(text);
	if (strlen(text->data) + 1 != text->len) {
		wrong(name, tell, arg, "is no text: it holds a zero byte.");
		return HL_BAD_REQUEST;
	}
	return *text->data ? conf_take(name, text->data, CONF_CREDENTIAL, name, 0) : HL_OK;
}

/* Where systemd looks for those that units ask for by name; what a program has been handed is in a folder of its own. */
static const char *const stores[] = { "/etc/credstore", "/run/credstore", "/usr/lib/credstore", NULL };
static bool use_stores;

void
conf_use_credstore(void)
{
	use_stores = true;
}

static enum hl_err
read_one(const char *dir, const char *prefix, const char *name, conf_tell *tell, void *arg)
{
	struct buf text = BUF_INIT(CREDENTIAL_MAX);
	char path[4200], *p;
	enum hl_err err = HL_OK;
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/%s%s", dir, prefix, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || (*prefix && errno == EACCES)))
		return HL_OK;		/* there is none, or it is for root alone */
	while (fd >= 0 && (p = buf_reserve(&text, 1024)) != NULL && (n = read(fd, p, 1024)) > 0)
		buf_grow(&text, (size_t)n);
	if (fd < 0 || n < 0 || text.err == HL_TOO_LARGE) {
		wrong(name, tell, arg, "cannot be read: %s.", text.err ? "it is too long" : strerror(errno));
		err = HL_BAD_REQUEST;
	} else
		err = take(name, &text, tell, arg);
	if (fd >= 0)
		close(fd);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	return err;
}

enum hl_err
conf_read_credentials(conf_tell *tell, void *arg)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	const struct conf_entry *e;
	enum hl_err err = HL_OK, one;
	size_t count;

	e = conf_entries(&count);
	for (size_t i = 0; dir && *dir && err != HL_NO_MEMORY && i < count; i++) {
		if (e[i].type != CONF_SECRET || getenv(e[i].name))
			continue;
		one = read_one(dir, "", e[i].name, tell, arg);
		err = one ? one : err;
	}
	for (size_t s = 0; use_stores && !(dir && *dir) && stores[s]; s++)
		for (size_t i = 0; err != HL_NO_MEMORY && i < count; i++) {
			if (e[i].type != CONF_SECRET || getenv(e[i].name))
				continue;
			one = read_one(stores[s], "helpline.", e[i].name, tell, arg);
			err = one ? one : err;
		}
	return err;
}
