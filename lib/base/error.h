/*
 * error.h - every way a call can fail, written once.
 *
 * Library functions return one of these; lib/api/reply.c turns it into a status and a problem document, and the
 * program's log line names it.  Nothing else interprets the numbers.
 */
#ifndef HL_ERROR_H
#define HL_ERROR_H

#define HL_MUST_CHECK	__attribute__((warn_unused_result))

/*   name              status  code                  what it means, for the person who reads it */
#define HL_ERRORS(X)								\
	X(HL_OK,		200, "ok",			"Done")			\
	X(HL_BAD_REQUEST,	400, "bad_request",		"The request is not valid")	\
	X(HL_BAD_JSON,		400, "bad_json",		"The body is not valid JSON")	\
	X(HL_UNAUTHORIZED,	401, "unauthorized",		"Sign in first")		\
	X(HL_FORBIDDEN,		403, "forbidden",		"This is not yours to use")	\
	X(HL_NOT_FOUND,		404, "not_found",		"There is nothing here")	\
	X(HL_METHOD,		405, "method_not_allowed",	"This address does not take that method") \
	X(HL_CONFLICT,		409, "conflict",		"It has changed in the meantime") \
	X(HL_TOO_LARGE,		413, "too_large",		"The request is too large")	\
	X(HL_MEDIA_TYPE,	415, "unsupported_media_type",	"Send application/json")	\
	X(HL_UNPROCESSABLE,	422, "unprocessable",		"The request contradicts an earlier one") \
	X(HL_TOO_MANY,		429, "too_many_requests",	"Too many requests; wait a moment and try again") \
	X(HL_CANCELLED,		499, "cancelled",		"The client went away")		\
	X(HL_INTERNAL,		500, "internal",		"Something went wrong here; it has been logged") \
	X(HL_UPSTREAM,		502, "upstream",		"The service behind this one failed") \
	X(HL_STORE,		503, "store_unavailable",	"The store cannot be reached; try again in a moment") \
	X(HL_NOT_SET_UP,	503, "not_set_up",		"This part is not set up here")	\
	X(HL_BUSY,		503, "busy",			"Too much is waiting; try again in a moment") \
	X(HL_NO_MEMORY,		503, "out_of_memory",		"Out of memory; try again in a moment") \
	X(HL_TIMEOUT,		504, "timeout",			"It took too long")

enum hl_err {
#define X(name, status, code, text) name,
	HL_ERRORS(X)
#undef X
	HL_ERR_COUNT
};

int		 err_status(enum hl_err);	/* the HTTP status */
const char	*err_code(enum hl_err);		/* a stable word for programs */
const char	*err_text(enum hl_err);		/* a sentence for people, without a full stop */

#endif
