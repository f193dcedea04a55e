/*
 * site.h - nginx's configuration for the state directory, from the snippets that are shipped.
 */
#ifndef HL_SITE_H
#define HL_SITE_H

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "sockets.h"

/* Writes run/nginx.conf and run/nginx/, from app/share/helpline/nginx/. */
enum hl_err site_write(const struct front *, unsigned connections, const struct conf *, struct buf *problem) HL_MUST_CHECK;

#endif
