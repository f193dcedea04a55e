#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/csv.h"

/* A comma, unless the row begins here. */
static void
next_cell(struct buf *row)
{
	if (row->len && row->data[row->len - 1] != '\n')
		buf_putc(row, ',');
}

static bool
is_formula(const char *text)
{
	static const char *const wide[] = { "\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0" };

	while (*text == ' ' || strncmp(text, "\xc2\xa0", 2) == 0)
		text += *text == ' ' ? 1 : 2;
	if (*text && strchr("=+-@\t\r\n", *text))
		return true;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
		if (strncmp(text, wide[i], 3) == 0)
			return true;
	return false;
}

/* Always quoted: so the end of a row is never one of a text, and next_cell() can tell. */
void
csv_text(struct buf *row, const char *text)
{
	next_cell(row);
	buf_putc(row, '"');
	if (text && is_formula(text))
		buf_putc(row, '\'');
	while (text && *text) {
		size_t plain = strcspn(text, "\"");

		buf_add(row, text, plain);
		text += plain;
		if (*text == '"') {
			buf_puts(row, "\"\"");
			text++;
		}
	}
	buf_putc(row, '"');
}

void
csv_int(struct buf *row, int64_t n)
{
	next_cell(row);
	buf_int(row, n);
}

void
csv_real(struct buf *row, double value, int digits)
{
	char text[64];
	size_t n;

	next_cell(row);
	if (!isfinite(value))
		return;
	n = (size_t)snprintf(text, sizeof(text), "%.*f", digits, value);
	while (digits > 0 && n > 1 && text[n - 1] == '0')
		n--;
	if (digits > 0 && text[n - 1] == '.')
		n--;
	buf_add(row, text, n);
}

void
csv_end(struct buf *row)
{
	buf_puts(row, "\r\n");
}
