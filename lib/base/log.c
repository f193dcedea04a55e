#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#define LINE_MAX_BYTES	8192u		/* the end of a longer line is lost, its line end is not */

static const char *program_name = "helpline";
static enum log_level most_wanted = LOG_LEVEL_INFO;

void
log_init(const char *program, enum log_level most)
{
	program_name = program;
	most_wanted = most;
}

static const char *const level_names[] = { "error", "warn", "info", "debug" };

enum log_level
log_level_named(const char *name)
{
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (strcmp(level_names[i], name) == 0)
			return (enum log_level)i;
	return LOG_LEVEL_INFO;
}

static void
add_value(struct buf *line, const char *v)
{
	size_t plain;

	if (v == NULL || *v == '\0') {
		buf_putc(line, '-');
		return;
	}
	for (plain = 0; v[plain] > ' ' && v[plain] != '"' && v[plain] != '=' && v[plain] != '\\'; plain++)
		;
	if (v[plain] == '\0')
		buf_add(line, v, plain);
	else
		buf_json(line, v, strlen(v));
}

void
log_line(enum log_level level, const char *event, ...)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES);
	char now[CLOCK_ISO_LEN + 1];
	const char *key;
	va_list ap;

	if (level > most_wanted)
		return;
	clock_iso(clock_wall_ms(), now);
	buf_printf(&line, "%s level=%s program=%s event=%s", now, level_names[level], program_name, event);
	va_start(ap, event);
	while ((key = va_arg(ap, const char *)) != NULL) {
		buf_printf(&line, " %s=", key);
		add_value(&line, va_arg(ap, const char *));
	}
	va_end(ap);
	if (buf_err(&line)) {
		line.err = HL_OK;
		line.max++;
	}
	buf_putc(&line, '\n');
	/* One write a line, so that lines of several processes do not mix; there is nowhere to report its failure. */
	if (line.len)
		(void)!write(STDERR_FILENO, line.data, line.len);
	buf_free(&line);
}
