#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/trace.h"

#define LINE_MAX_BYTES	8192u		/* the end of a longer line is lost, its line end is not */

static const char *program_name = "helpline";
static enum log_level most_wanted = LOG_LEVEL_INFO;
static bool to_journal;

/* systemd.exec(5): device and inode of the stream, by which a program whose standard error was changed finds out. */
static bool
is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	    st.st_dev == device && st.st_ino == inode;
}

void
log_init(const char *program, enum log_level most)
{
	program_name = program;
	most_wanted = most;
	to_journal = is_journal();
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

static void
begin_line(struct buf *line, enum log_level level)
{
	static const int priorities[] = { 3, 4, 6, 7 };		/* of syslog(3) */
	char now[CLOCK_ISO_LEN + 1];

	if (to_journal) {
		buf_printf(line, "<%d>", priorities[level]);
		return;
	}
	clock_iso(clock_wall_ms(), now);
	buf_puts(line, now);
	buf_putc(line, ' ');
}

static void
add_trace(struct buf *line, bool request_named)
{
	struct trace *t = trace_now();

	if (t == NULL)
		return;
	if (!request_named && t->request[0]) {
		buf_puts(line, " request_id=");
		add_value(line, t->request);
	}
	buf_printf(line, " trace=%s", trace_id(t));
}

void
log_line(enum log_level level, const char *event, ...)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES);
	bool request_named = false;
	const char *key;
	va_list ap;

	if (level <= LOG_LEVEL_WARN)
		metrics_count(level == LOG_LEVEL_ERROR ? M_LOG_ERRORS : M_LOG_WARNINGS, 1);
	if (level > most_wanted)
		return;
	begin_line(&line, level);
	buf_printf(&line, "level=%s program=%s event=%s", level_names[level], program_name, event);
	va_start(ap, event);
	while ((key = va_arg(ap, const char *)) != NULL) {
		request_named = request_named || strcmp(key, "request_id") == 0;
		buf_printf(&line, " %s=", key);
		add_value(&line, va_arg(ap, const char *));
	}
	va_end(ap);
	add_trace(&line, request_named);
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
