/*
 * fcgi_record.h - FastCGI records as they are written (FastCGI 1.0, section 3.3), by the server and by the client.
 */
#ifndef HL_FCGI_RECORD_H
#define HL_FCGI_RECORD_H

#include <stddef.h>

#include <fastcgi.h>

#include "base/buf.h"

#define FCGI_RECORD_MAX	32768u		/* bytes of content that we put into one record; the protocol allows 65535 */

FCGI_Header fcgi_header(int type, int id, size_t len);
void	 fcgi_add_record(struct buf *, int type, int id, const void *content, size_t len);

#endif
