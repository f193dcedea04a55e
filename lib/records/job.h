/*
 * job.h - long work over all that an account owns: one of a kind at a time, whose progress anybody can read.
 *
 * Each function is one Redis script, atomic, and suspends.
 *
 *   job:{S}:A:KIND  hash   A: keyed name of the account.  by: who does it (absent: nobody), until (ms), total, done, changed;
 *                          forgotten after a day
 *
 * Who does it says so with every step; one who has not for JOB_LEASE_MS is dead, and the next one may begin.  So what a job
 * does must be harmless when it is done again.
 */
#ifndef HL_JOB_H
#define HL_JOB_H

#include "records/conversation.h"

#define JOB_LEASE_MS	15000

struct job {
	char		 account[CRYPTO_NAME_LEN + 1];
	const char	*kind;		/* static: a word */
	char		 by[ID_LEN + 1];	/* its own name, from job_begin() */
	bool		 running;
	int64_t		 total, done, changed;
};

/* HL_CONFLICT: it is being done; *ret is its progress then. */
enum hl_err job_begin(struct store *, const char *account, const char *kind, int64_t total, struct job *ret) HL_MUST_CHECK;

/* Tells total, done and changed, and goes on holding it.  HL_CONFLICT: somebody else does it by now. */
enum hl_err job_step(struct store *, const struct job *) HL_MUST_CHECK;

/* The last step.  As job_step(), and it is nobody's any more. */
enum hl_err job_end(struct store *, const struct job *) HL_MUST_CHECK;

/* How far it is, or how far the last one came.  HL_NOT_FOUND: there was none in the last day. */
enum hl_err job_read(struct store *, const char *account, const char *kind, struct job *ret) HL_MUST_CHECK;

#endif
