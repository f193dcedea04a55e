/*
 * keys.h - what the files of this floor share: the names of keys, arguments and replies of scripts.  Not for others.
 */
#ifndef HL_KEYS_H
#define HL_KEYS_H

#include "base/str.h"
#include "records/conversation.h"

#define SHARD		"{0}"		/* one shard until an installation has more */
#define DUE_KEY		"due:" SHARD
#define ACTIVE_KEY	"active:" SHARD
#define OPEN_KEY	"open:" SHARD
#define HOLDERS_KEY	"holders:" SHARD

#define LOG_BYTES_MAX	4194304	/* of a conversation's messages; then it is full */

#define ENTRY_MAX	(512u * 1024)	/* bytes of what one seal opens to */

struct keys {
	char	 c[CONVERSATION_KEY_MAX], log[CONVERSATION_KEY_MAX], seen[CONVERSATION_KEY_MAX];
};

void	 keys_of(const struct place *, struct keys *);

/* A number as an argument; the text lives in the caller's buffer. */
struct number { char text[STR_INT_MAX]; };

struct redis_arg number_arg(struct number *, int64_t);
struct redis_arg buf_arg(const struct buf *);
struct redis_arg holder_arg(const struct store *);	/* in whose name the store takes leases */

/* A script's first word, and what the words of refusal mean. */
bool	 said(const struct redis_reply *, const char *word);
enum hl_err refusal(const struct redis_reply *) HL_MUST_CHECK;

/* An escalation's record lives no shorter than its conversation, or that would be a person's whom nobody can ask. */
static inline int64_t
escalation_keep_ms(const struct store *s)
{
	return s->conf->escalation_keep_ms > s->conf->session_timeout_ms ? s->conf->escalation_keep_ms : s->conf->session_timeout_ms;
}

/* The sealed part of a conversation's record. */
enum hl_err open_data(const struct store *, const struct keys *, const struct redis_reply *, struct json **ret) HL_MUST_CHECK;
enum hl_err open_data_text(const struct store *, const struct keys *, const struct redis_reply *, struct buf *ret) HL_MUST_CHECK;
void	 user_name(const struct store *, const char *user_id, char out[CRYPTO_NAME_LEN + 1]);

/* A person's note to the assistant, sealed for the conversation's record. */
enum hl_err note_seal(const struct store *, const struct keys *, const char *note, struct buf *out) HL_MUST_CHECK;
enum hl_err note_open(const struct store *, const struct keys *, const struct redis_reply *, struct buf *out) HL_MUST_CHECK;

/* Keys and intervals of the limits that apply. */
struct limit_args {
	char		 keys[4][CONVERSATION_KEY_MAX];
	struct number	 intervals[4];
	struct redis_arg key[4], interval[4];
	size_t		 count;
};

void	 limit_args(const struct store *, const struct limits *, struct limit_args *);

/* The log from an index to another, as LRANGE counts. */
enum hl_err read_log(struct store *, const struct keys *, int64_t from, int64_t to, const struct redis_reply **reply) HL_MUST_CHECK;

#endif
