/*
 * origin.h - which pages may call (contract: FRONTEND_URL; RFC 6454 for what an origin is).
 */
#ifndef HL_ORIGIN_H
#define HL_ORIGIN_H

#include <stdbool.h>

enum origin_verdict {
	ORIGIN_NONE,		/* no Origin header: not a page, or our own GET */
	ORIGIN_OWN,		/* its host is the Host header's */
	ORIGIN_LISTED,		/* in FRONTEND_URL: echo it */
	ORIGIN_ANY,		/* FRONTEND_URL is * */
	ORIGIN_REFUSED
};

/* frontend_urls: comma-separated origins, or "*", or "".  origin and host are header values, or NULL. */
enum origin_verdict origin_check(const char *frontend_urls, const char *origin, const char *host);

/* True for everything but ORIGIN_REFUSED. */
bool	 origin_allowed(const char *frontend_urls, const char *origin, const char *host);

#endif
