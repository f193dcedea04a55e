/*
 * relay.h - questions to the events program: POST /push/event, by FastCGI on the socket where nginx, too, would reach it.
 */
#ifndef HL_RELAY_H
#define HL_RELAY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "services/fcgi_client.h"

struct relay {
	struct fcgi_client	*events;
	const struct conf	*conf;
	bool			 closing;	/* do not wait between attempts any more */
};

struct relay_reply {
	int		 status;	/* of HTTP; 0 if there was none */
	struct buf	 body;		/* of a 200 */
	struct buf	 message, code;	/* of anything else, as JSON strings */
};

#define RELAY_MAX_ANSWER	(16u << 20)

/*
 * Suspends.  address is the client's, for limits; "" for none.  With retry, 502, 503, 504 and broken
 * connections are tried again for about five seconds under the same request id, by which acceptance
 * de-duplicates. HL_OK: answered 200.  The caller frees the reply in any case.
 */
enum hl_err relay_ask(struct relay *, const char *address, const struct buf *body, bool retry,
    struct relay_reply *ret) HL_MUST_CHECK;
void	 relay_reply_free(struct relay_reply *);

#endif
