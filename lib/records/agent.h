/*
 * agent.h - the agents of an account: who answers a company's customers, and with what words.
 *
 * Each function below is one Redis script, atomic, and suspends.  Keys (S the shard, H a keyed name; no id is in a key):
 *
 *   a:{S}:H         hash  H = crypto_name("agent", id).  clear: ow owner (the account's H), cr, up (ms), v version (raised by
 *                         each change of d), nc conversations begun with it, lc when the last one began (ms), both counted
 *                         by LUA_AGENT_BEGUN; sealed: d = all that a person said of it, id included, cn its company as the
 *                         account's numbers name it (desk.h)
 *   u:{S}:H:agents  zset  an account's agents (H) by the time they were made
 *   u:{S}:H         hash  the account (account.h); here: av version, one more with each change of any of its agents,
 *                         ab bytes of what they hold
 *
 * Whose account is gone has no agents that can be listed or changed; its agents still load for conversations under way.
 */
#ifndef HL_AGENT_H
#define HL_AGENT_H

#include "base/json.h"
#include "records/conversation.h"

#define AGENTS_MAX		500			/* of an account */
#define AGENTS_BYTES_MAX	(8u * 1024 * 1024)	/* of an account's agents, sealed */
#define AGENT_BYTES_MAX		(192u * 1024)		/* of one, as JSON */

/* Texts are borrowed: of data, or of whoever made it.  NULL is "not said"; name and company are always there. */
struct agent {
	char		 id[ID_LEN + 1];
	char		 h[CRYPTO_NAME_LEN + 1];	/* its keyed name */
	char		 owner[CRYPTO_NAME_LEN + 1];	/* its account's */
	int64_t		 created_ms, updated_ms, version;
	int64_t		 calls, last_call_ms;		/* conversations begun with it; 0: none yet */
	const char	*name, *company, *personality, *company_info, *system_prompt;
	const char	*style;				/* formal, casual, friendly, professional */
	const char	*voice;
	const char	*avatar;			/* an address, or a path of ours: /public/avatars/… */
	const struct json *prompts, *aliases;		/* arrays of strings */
	int64_t		 max_tokens;			/* of an answer; 0: MAX_ANSWER_TOKENS */
	double		 temperature;			/* 0…2; negative: the model's own */
	bool		 inactive;			/* takes no new conversations */
	bool		 no_public_start;		/* nor without a token */
	struct json	*data;				/* what the texts point into; NULL of one not read */
};
void	 agent_clear(struct agent *);

struct agents { struct agent *list; size_t count; };
void	 agents_free(struct agents *);

/* May a new conversation begin with it? */
bool	 agent_takes_calls(const struct agent *, bool with_token);

/* The keyed name of an id: any bytes will do. */
void	 agent_name(const struct store *, const char *id, char out[CRYPTO_NAME_LEN + 1]);

/* owner: the account's keyed name, or NULL for anybody's.  HL_NOT_FOUND: no id, unknown, or another's. */
enum hl_err agent_read(struct store *, const char *owner, const char *id, struct agent *ret) HL_MUST_CHECK;

/* By its keyed name, as a conversation has it (field ag).  HL_NOT_FOUND: deleted. */
enum hl_err agent_load(struct store *, const char *h, struct agent *ret) HL_MUST_CHECK;

/* All of an account, newest first.  ret_version (may be NULL) is the account's av: unchanged, and so is the list. */
enum hl_err agent_list(struct store *, const char *owner, struct agents *ret, int64_t *ret_version) HL_MUST_CHECK;

/* The account's av alone, for whoever has the list already. */
enum hl_err agent_version(struct store *, const char *owner, int64_t *ret) HL_MUST_CHECK;

/*
 * Stores a new agent with the texts of *a, and fills in id, h, owner, times and version.  HL_TOO_LARGE: the account has as
 * many agents as it may, or they hold too much.  HL_NOT_FOUND: there is no such account.  once
 * names the request: twice with it is one agent, with other texts HL_UNPROCESSABLE; "": it has no name.
 */
enum hl_err agent_create(struct store *, const char *owner, const char *once, struct agent *a) HL_MUST_CHECK;

/*
 * Stores the texts of *a, read before, in place of what is there; fills in updated_ms and version.  HL_CONFLICT: it has been
 * changed since it was read: read it again.  HL_NOT_FOUND: deleted meanwhile.  HL_TOO_LARGE as above.
 */
enum hl_err agent_change(struct store *, struct agent *a) HL_MUST_CHECK;

/* Its conversations stay, go on without it, and are another version now (desk_version()).  Deleted already is no error. */
enum hl_err agent_delete(struct store *, const struct agent *a) HL_MUST_CHECK;

/* Counts a test call of the account: HL_TOO_MANY, and *retry_ms says when to try again. */
enum hl_err agent_count_trial(struct store *, const char *owner, int64_t *retry_ms) HL_MUST_CHECK;

/*
 * For the script that begins a conversation with an agent: counts it.  key: the Lua expression of the agent's key (of this
 * shard, from AGENT_KEY); now: of the time in ms.  An agent deleted meanwhile is not brought back.
 */
#define AGENT_KEY	"a:{0}:"
#define LUA_AGENT_BEGUN(key, now)							\
	"if redis.call('EXISTS', " key ") == 1 then "					\
	"  redis.call('HINCRBY', " key ", 'nc', 1) "					\
	"  redis.call('HSET', " key ", 'lc', " now ") "				\
	"end "

/* Its company, sealed: as it is now, not as it was when the caller read it; otherwise: of an agent that is gone. */
#define LUA_AGENT_COMPANY(key, otherwise)	"(redis.call('HGET', " key ", 'cn') or " otherwise ")"

#endif
