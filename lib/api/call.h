/*
 * call.h - one HTTP request as a handler sees it, and the program that it belongs to.
 */
#ifndef HL_CALL_H
#define HL_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/origin.h"
#include "engine/turn.h"
#include "services/crypto.h"
#include "services/fcgi.h"
#include "services/redis.h"

#define SEGMENT_MAX	256

/* What handlers share; made once by program_main(). */
#define REQUEST_ID_MAX	128u

struct app {
	const char	*name;
	uv_loop_t	*loop;
	struct conf	 conf;
	struct redis	*redis;		/* if the program asked for it … */
	struct crypto	*crypto;
	struct store	 store;
	struct engine	*engine;	/* … likewise */
	char		 probe_token[64];	/* "" if there is none */
	struct metrics_file *metrics;	/* metrics_file.h; may be NULL */
	struct kept	*kept;		/* kept.h; NULL until somebody keeps something */
	int64_t		 completions;	/* under way (MAX_WAITING_TURNS) */
	struct phone	*phone;		/* of the events program: where live calls arrive; NULL until there is one */
	struct {	/* background.h */
		struct background *first;
		void	(*ended)(void *);	/* NULL until the program is to end */
		void	*arg;
	} background;
};

struct call {
	struct app	*app;
	struct fcgi_request *fcgi;
	const char	*method, *path;
	const char	*address;	/* the client's, as nginx says */
	const char	*request_id;	/* nginx's, unchanged when it retries */
	char		 shown_id[REQUEST_ID_MAX + 1];	/* X-Request-Id: the caller's if it is one, else our own */
	enum origin_verdict origin;
	char		 segment[SEGMENT_MAX];	/* what stands for ":name" in the route's path … */
	char		 segment2[SEGMENT_MAX];	/* … and for the second one */
	struct json	*body;
	struct buf	 problem;	/* a sentence for the client; empty: the error's own */
	struct buf	 fields;	/* "name":"sentence",… of the members that are wrong; mostly empty */
	char		 allow[32];	/* methods, with HL_METHOD */
	int64_t		 retry_ms;	/* with HL_TOO_MANY and 503 */
	struct {	/* of addresses that speak as OpenAI's (openai.h): what an error says besides */
		char	 param[64];
		const char *code, *type;	/* instead of the usual ones; NULL */
		bool	 again_never;		/* asking again will not help */
	} openai;
	bool		 answered;	/* headers are out */
	int		 status;	/* that they said; 0: they are not out */
};

typedef enum hl_err (*call_handler)(struct call *);

/* Sets the sentence and returns err. */
enum hl_err call_fail(struct call *, enum hl_err, const char *, ...) __attribute__((format(printf, 3, 4))) HL_MUST_CHECK;

/* One more member of the body that is wrong; the first one's sentence is also the problem's.  HL_BAD_REQUEST. */
enum hl_err call_wrong_field(struct call *, const char *name, const char *sentence) HL_MUST_CHECK;

/* Passes err on, with the sentence for what lib/records said of a session. */
enum hl_err call_session_error(struct call *, enum hl_err) HL_MUST_CHECK;
enum hl_err call_conversation_error(struct call *, enum hl_err) HL_MUST_CHECK;	/* the same, of the desk's */

#endif
