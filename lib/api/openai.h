/*
 * openai.h - what is special about addresses below /v1/: they speak as OpenAI's API does, so that its clients understand them.
 */
#ifndef HL_OPENAI_H
#define HL_OPENAI_H

#include "api/call.h"
#include "records/api_key.h"

bool	 openai_path(const char *path);

/* {"error":{"message","type","param","code"}}, with the headers that its clients look at.  reply_problem() calls it. */
void	 openai_write_error(const struct call *, enum hl_err, struct buf *body);
void	 openai_write_headers(const struct call *, enum hl_err, struct buf *headers);

/* Authorization: Bearer KEY.  counts: a request that costs something (RATE_LIMIT_KEY).  HL_UNAUTHORIZED, HL_TOO_MANY.  Suspends. */
enum hl_err openai_key(struct call *, bool counts, struct api_key *ret) HL_MUST_CHECK;

/* A parameter of the body ("messages[0].role") that is wrong; code is OpenAI's word, or NULL.  HL_BAD_REQUEST. */
enum hl_err openai_fail(struct call *, const char *param, const char *code, const char *, ...)
	    __attribute__((format(printf, 4, 5))) HL_MUST_CHECK;

#endif
