#include <stdint.h>
#include <string.h>

#include "base/person.h"
#include "base/str.h"

#define LOCAL_MAX	64u	/* bytes before the @ (RFC 5321, section 4.5.3.1.1) */
#define LABEL_MAX	63u	/* of a domain (RFC 1035, section 2.3.4) */

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

void
person_trim(const char **text, size_t *len)
{
	while (*len > 0 && is_space(**text)) {
		++*text;
		--*len;
	}
	while (*len > 0 && is_space((*text)[*len - 1]))
		--*len;
}

/* ---- names ---- */

bool
person_char_ok(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == '<' || c == '>')
		return false;
	if (c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return false;		/* lines, paragraphs, directions */
	if (c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f))
		return false;		/* marks that nobody sees */
	if (c == 0x115f || c == 0x1160 || c == 0x2800 || c == 0x3164 || c == 0xffa0)
		return false;		/* letters and signs that are blank */
	return (c & 0xfffe) != 0xfffe && !(c >= 0xfdd0 && c <= 0xfdef) && !(c >= 0xe000 && c <= 0xf8ff) && c < 0xf0000;
}

bool
person_line_ok(const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end)
		if (!person_char_ok(utf8_next(&text, end)))
			return false;
	return true;
}

const char *
person_name_problem(const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	size_t count = 0;

	while (at < end && count <= PERSON_NAME_MAX) {
		(void)utf8_next(&at, end);
		count++;
	}
	if (str_blank(text, len) || count < PERSON_NAME_MIN || count > PERSON_NAME_MAX)
		return "The name must have 2 to 50 characters";
	return person_line_ok(text, len) ? NULL : "The name must be one line of plain text, without < and >";
}

/* ---- addresses ---- */

bool
person_email_fold(const char *text, size_t len, char out[PERSON_EMAIL_MAX + 1])
{
	person_trim(&text, &len);
	out[0] = '\0';
	if (len > PERSON_EMAIL_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
	out[len] = '\0';
	return true;
}

static bool
is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

/* Atoms with single dots between them (RFC 5322, section 3.4.1); what stands in quotes nobody's address has. */
static bool
local_ok(const char *text, size_t len)
{
	char before = '.';

	for (size_t i = 0; i < len; before = text[i++])
		if (text[i] == '.' ? before == '.' : !is_alnum(text[i]) && strchr("!#$%&'*+-/=?^_`{|}~", text[i]) == NULL)
			return false;
	return len > 0 && len <= LOCAL_MAX && before != '.';
}

static bool
label_ok(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && text[i] != '-')
			return false;
	return len > 0 && len <= LABEL_MAX && text[0] != '-' && text[len - 1] != '-';
}

/* Two labels or more; the last one is no number, or it were an IP address. */
static bool
domain_ok(const char *text)
{
	size_t labels = 0, len = 0;

	for (;; text += len + 1) {
		len = strcspn(text, ".");
		if (!label_ok(text, len))
			return false;
		labels++;
		if (text[len] == '\0')
			break;
	}
	return labels > 1 && len > 1 && strspn(text, "0123456789") < len;
}

const char *
person_email_problem(const char *text, size_t len)
{
	const char *at = memchr(text, '@', len);

	if (at && strlen(text) == len && local_ok(text, (size_t)(at - text)) && domain_ok(at + 1))
		return NULL;
	return "The email address is not valid";
}

/* ---- passwords ---- */

const char *
person_password_problem(const char *text, size_t len)
{
	const char *end = text + len;
	bool upper = false, lower = false, number = false;

	if (len < PERSON_PASSWORD_MIN || len > PERSON_PASSWORD_MAX)
		return "The password must have 6 to 72 bytes";
	while (text < end) {
		uint32_t c = utf8_next(&text, end);

		if (c >= '0' && c <= '9')
			number = true;
		else if (uni_fold(c) != c)
			upper = true;
		else if (uni_is_lower(c))
			lower = true;
	}
	if (upper && lower && number)
		return NULL;
	return "The password must have an upper-case letter, a lower-case letter and a digit";
}
