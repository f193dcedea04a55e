#include <string.h>
#include <strings.h>

#include "base/origin.h"

static bool
listed(const char *urls, const char *origin)
{
	size_t n = strlen(origin);

	while (*urls) {
		size_t len;

		urls += strspn(urls, ", \t");
		len = strcspn(urls, ", \t");
		/* People write a slash behind it; an origin has none. */
		if ((len == n || (len == n + 1 && urls[n] == '/')) && strncasecmp(urls, origin, n) == 0)
			return true;
		urls += len;
	}
	return false;
}

enum origin_verdict
origin_check(const char *frontend_urls, const char *origin, const char *host)
{
	const char *after_scheme;

	if (origin == NULL)
		return ORIGIN_NONE;
	after_scheme = strstr(origin, "://");
	if (host && after_scheme && strcasecmp(after_scheme + 3, host) == 0)
		return ORIGIN_OWN;
	if (strcmp(frontend_urls, "*") == 0)
		return ORIGIN_ANY;
	return listed(frontend_urls, origin) ? ORIGIN_LISTED : ORIGIN_REFUSED;
}

bool
origin_allowed(const char *frontend_urls, const char *origin, const char *host)
{
	return origin_check(frontend_urls, origin, host) != ORIGIN_REFUSED;
}
