/*
 * conf.h - every setting, written once (conf.c's table).
 *
 * Settings are environment variables, and lines of the file that HELPLINE_CONFIG names (NAME=VALUE, as in a .env file):
 * what the environment has wins.  The table gives the parser, the defaults, `helpline config explain`, the manual page and
 * the README's table; a test holds them together.  What is wrong is told in a sentence that names the setting, where it
 * was read and what is allowed.
 */
#ifndef HL_CONF_H
#define HL_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define JWT_SECRET_MIN	32	/* bytes */
#define METRICS_TOKEN_MIN	16

enum conf_type { CONF_TEXT, CONF_SECRET, CONF_INT, CONF_REAL, CONF_SWITCH, CONF_URL };

/*   member              name                      type         default   low  high  meaning */
#define CONF_SETTINGS(X)											\
	X(port,			"PORT",			CONF_INT,	"3000",	1, 65535,			\
	    "Port that ./run listens on; if none is set and 3000 is taken, the next free one is used and reported")\
	X(environment,		"APP_ENV",		CONF_TEXT,	"development", 0, 64,			\
	    "Shown by /health; NODE_ENV is the old name")							\
	X(openai_key,		"OPENAI_API_KEY",	CONF_SECRET,	"",	0, 4096,			\
	    "Key of the model server; with neither this nor OPENAI_BASE_URL the offline responder answers")	\
	X(openai_url,		"OPENAI_BASE_URL",	CONF_URL,	"",	0, 2048,			\
	    "Any OpenAI-compatible server, with its version path; https://api.openai.com/v1 when only a key is set; none: stay offline even if ./run finds one on this computer") \
	X(openai_model,		"OPENAI_MODEL",		CONF_TEXT,	"gpt-4o-mini", 1, 256,			\
	    "Chat model")											\
	X(speech_url,		"SPEECH_BASE_URL",	CONF_URL,	"",	0, 2048,			\
	    "OpenAI-compatible server that speaks and hears, if that is another than OPENAI_BASE_URL")		\
	X(speech_key,		"SPEECH_API_KEY",	CONF_SECRET,	"",	0, 4096,			\
	    "Its key; OPENAI_API_KEY is never sent there")							\
	X(stt_model,		"OPENAI_STT_MODEL",	CONF_TEXT,	"whisper-1", 1, 256,			\
	    "Model that writes down what is said; none: recordings need a transcript of their own")		\
	X(tts_model,		"OPENAI_TTS_MODEL",	CONF_TEXT,	"tts-1",	0, 256,			\
	    "Model that says answers aloud; none: answers are not spoken")		\
	X(tts_voice,		"OPENAI_TTS_VOICE",	CONF_TEXT,	"alloy",	1, 64,			\
	    "Voice of agents that have none of their own")		\
	X(tts_format,		"OPENAI_TTS_FORMAT",	CONF_TEXT,	"mp3",	1, 8,			\
	    "Format of spoken answers: mp3 or wav")		\
	X(speech_delivery,		"SPEECH_DELIVERY",	CONF_TEXT,	"url",	1, 16,			\
	    "How sockets get speech that do not say it: url, at once, or base64 within the event, which then waits for it")		\
	X(fallback_key,		"FALLBACK_API_KEY",	CONF_SECRET,	"",	0, 4096,			\
	    "Key of the second model server, tried when the first fails")					\
	X(fallback_url,		"FALLBACK_BASE_URL",	CONF_URL,	"",	0, 2048,			\
	    "Second model server; https://api.openai.com/v1 when only its key is set")				\
	X(fallback_model,	"FALLBACK_MODEL",	CONF_TEXT,	"gpt-4o-mini", 1, 256,			\
	    "Model asked there")										\
	X(gemini_key,		"GEMINI_API_KEY",	CONF_SECRET,	"",	0, 4096,			\
	    "Shorthand: Gemini's OpenAI-compatible server as the second one")					\
	X(gemini_model,		"GEMINI_MODEL",		CONF_TEXT,	"gemini-2.5-flash", 1, 256,		\
	    "Model asked there")										\
	X(system_prompt,	"SYSTEM_PROMPT",	CONF_TEXT,	"",	0, 16384,			\
	    "What the assistant is told about itself; empty means the built-in text")				\
	X(turn_timeout_ms,	"TURN_TIMEOUT",		CONF_INT,	"60000", 100, 600000,			\
	    "Milliseconds that an answer may take, retries and the second server included")			\
	X(max_tokens,		"MAX_ANSWER_TOKENS",	CONF_INT,	"800",	16, 32768,			\
	    "Longest answer asked of the model, in tokens")							\
	X(history,		"MAX_CONVERSATION_HISTORY", CONF_INT,	"10",	1, 200,				\
	    "Messages sent to the model as context")								\
	X(redis_host,		"REDIS_HOST",		CONF_TEXT,	"localhost", 1, 255,			\
	    "Host of the Redis server")										\
	X(redis_port,		"REDIS_PORT",		CONF_INT,	"6379",	1, 65535,			\
	    "Its port")												\
	X(redis_password,	"REDIS_PASSWORD",	CONF_SECRET,	"",	0, 1024,			\
	    "Its password")											\
	X(redis_socket,		"REDIS_SOCKET",		CONF_TEXT,	"",	0, 4096,			\
	    "Unix socket of the Redis server; wins over REDIS_HOST")						\
	X(redis_url,		"REDIS_URL",		CONF_SECRET,	"",	0, 4096,			\
	    "redis://[user:password@]host[:port][/db] or unix:///path; wins over all others")	\
	X(redis_sentinels,	"REDIS_SENTINELS",	CONF_TEXT,	"",	0, 4096,			\
	    "Comma-separated sentinels (host:port, or unix sockets' paths) that know the Redis server; win over all others")\
	X(redis_master,		"REDIS_MASTER",		CONF_TEXT,	"mymaster", 1, 255,			\
	    "Name under which they know it")									\
	X(redis_replicas,	"REDIS_REPLICAS",	CONF_TEXT,	"",	0, 2,				\
	    "Replicas that must have a message before it is acknowledged; empty means 1 with REDIS_SENTINELS, else 0") \
	X(knowledge_path,	"KNOWLEDGE_PATH",	CONF_TEXT,	"",	0, 4096,			\
	    "Folder of Markdown and text files (.md, .markdown, .txt; of 2 MB, together of 64 MB) that answers draw on; empty means the sample")			\
	X(knowledge_index,	"KNOWLEDGE_INDEX",	CONF_TEXT,	"",	0, 4096,			\
	    "File of the search index; empty means in memory")							\
	X(escalation_confidence, "ESCALATION_CONFIDENCE", CONF_REAL,	"0.5",	0, 1,				\
	    "An answer below it is handed to a person")								\
	X(escalation_keywords,	"ESCALATION_KEYWORDS",	CONF_TEXT,	"",	0, 16384,			\
	    "Comma-separated words and phrases that hand over; empty means the default list, none means no keywords") \
	X(escalation_sentiment,	"ESCALATION_SENTIMENT",	CONF_TEXT,	"desk",	1, 8,				\
	    "Where a customer who is urgent, or negative twice in a row, is handed to a person: desk, all or off")	\
	X(session_timeout_ms,	"SESSION_TIMEOUT",	CONF_INT,	"1800000", 100, 31536000000,		\
	    "Milliseconds of inactivity after which a session is forgotten")					\
	X(escalation_keep_ms,	"ESCALATION_KEEP",	CONF_INT,	"2592000000", 1000, 31536000000,	\
	    "Milliseconds for which an open escalation keeps its conversation from being forgotten")		\
	X(daily_spend_limit,	"DAILY_SPEND_LIMIT",	CONF_TEXT,	"",	0, 64,				\
	    "Tokens (200000tokens) or money (5.00) a day, UTC; at the limit the model is not asked, nothing is said aloud or written down")		\
	X(public_spend_limit,	"PUBLIC_SPEND_LIMIT",	CONF_TEXT,	"",	0, 64,				\
	    "The same of one account, for conversations that its customers begin without a token; at the limit none begins")	\
	X(price_input,		"PRICE_INPUT",		CONF_REAL,	"0.15",	0, 100000,			\
	    "Money for a million tokens sent to the model, for DAILY_SPEND_LIMIT and analytics")		\
	X(price_output,		"PRICE_OUTPUT",		CONF_REAL,	"0.60",	0, 100000,			\
	    "Money for a million tokens that it writes")							\
	X(price_speech,		"PRICE_SPEECH",		CONF_REAL,	"15.00",	0, 100000,			\
	    "Money for a million characters that are said aloud; what is in the cache costs nothing")		\
	X(price_hearing,	"PRICE_HEARING",	CONF_REAL,	"0.006",	0, 100000,			\
	    "Money for a minute of sound that is written down")						\
	X(chat_owner,		"CHAT_OWNER",		CONF_TEXT,	"",	0, 254,				\
	    "Address of the account whose the chat API's sessions are: their analytics and escalations, also when its address changes; empty means the first administrator's")	\
	X(frontend_url,		"FRONTEND_URL",		CONF_TEXT,	"",	0, 8192,			\
	    "Comma-separated origins of pages elsewhere that may call; * allows all")				\
	X(rate_limits,		"RATE_LIMITS",		CONF_SWITCH,	"on",	0, 0,				\
	    "Limits by visitor, session and address; off for load tests or behind another limiter")		\
	X(rate_address,		"RATE_LIMIT_ADDRESS",	CONF_INT,	"2400",	1, 1000000,			\
	    "New sessions and messages a minute from one address; a quarter of them may come at once")								\
	X(rate_visitor,		"RATE_LIMIT_VISITOR",	CONF_INT,	"400",	1, 1000000,			\
	    "Messages a minute from one userId")								\
	X(rate_session,		"RATE_LIMIT_SESSION",	CONF_INT,	"200",	1, 1000000,			\
	    "Messages a minute in one session")									\
	X(rate_key,		"RATE_LIMIT_KEY",	CONF_INT,	"1200",	1, 1000000,			\
	    "Chat completions a minute with one API key")							\
	X(max_message,		"MAX_MESSAGE_BYTES",	CONF_INT,	"16384", 16, 131072,			\
	    "Longest message a customer may send, in bytes of UTF-8")						\
	X(max_waiting,		"MAX_WAITING_TURNS",	CONF_INT,	"12000", 1, 1000000,			\
	    "Answers that one program works on at once; past it messages are refused with 503")		\
	X(upstream_concurrency,	"UPSTREAM_CONCURRENCY",	CONF_INT,	"0",	0, 1000000,			\
	    "Requests that one program has under way at model servers; the rest wait, companies and visitors in turn; 0: no bound") \
	X(jwt_secret,		"JWT_SECRET",		CONF_SECRET,	"",	0, 1024,			\
	    "Signs access tokens, 32 bytes or more; ./run makes one")						\
	X(jwt_secret_previous,	"JWT_SECRET_PREVIOUS",	CONF_SECRET,	"",	0, 1024,			\
	    "The one before it: what it signed stays valid")							\
	X(bcrypt_cost,		"BCRYPT_COST",		CONF_INT,	"12",	4, 15,				\
	    "Cost of password hashes: each one more doubles the time of a sign-in, where others are renewed")		\
	X(jwt_expires_in,	"JWT_EXPIRES_IN",	CONF_TEXT,	"7d",	1, 16,				\
	    "How long an access token lives: 7d, 24h, 30m, or seconds")						\
	X(demo_name,		"DEMO_AGENT_NAME",	CONF_TEXT,	"Luna", 1, 100,			\
	    "Name of the call simulator's demonstration agent")				\
	X(demo_company,		"DEMO_AGENT_COMPANY",	CONF_TEXT,	"Lantern & Leaf", 1, 100,			\
	    "Its company; the sample knowledge is about this one")				\
	X(demo_personality,		"DEMO_AGENT_PERSONALITY",	CONF_TEXT,	"Warm, attentive and to the point", 0, 2000,			\
	    "How it is")				\
	X(demo_info,		"DEMO_AGENT_INFO",	CONF_TEXT,	"", 0, 16384,			\
	    "What it knows of its company beside the knowledge")				\
	X(max_file_size,		"MAX_FILE_SIZE",	CONF_TEXT,	"5MB", 1, 16,			\
	    "Largest file that may be sent: bytes, or with KB, MB")				\
	X(file_types,		"ALLOWED_FILE_TYPES",	CONF_TEXT,	"png,jpg,jpeg,gif", 1, 256,			\
	    "Comma-separated types of images that avatars may have: png, jpg, jpeg, gif, webp")				\
	X(avatar_path,		"AVATAR_PATH",	CONF_TEXT,	"/var/lib/helpline/avatars", 1, 4096,			\
	    "Folder of the images of agents and people; ./run keeps them in its state directory unless it is set")				\
	X(audio_path,		"AUDIO_PATH",	CONF_TEXT,	"/var/lib/helpline/audio",	1, 4096,			\
	    "Folder of spoken answers, not sealed; ./run keeps them in its state directory unless it is set")		\
	X(audio_cache,		"AUDIO_CACHE_SIZE",	CONF_INT,	"268435456",	0, 1000000000000000,			\
	    "Bytes of spoken sentences kept to be used again; those not used for longest go first")		\
	X(max_audio,		"MAX_AUDIO_BYTES",	CONF_INT,	"2147483648",	0, 1000000000000000,			\
	    "Bytes that all spoken answers and the cache may take; past it nothing new is spoken, text goes on")		\
	X(upload_path,		"UPLOAD_PATH",		CONF_TEXT,	"/var/lib/helpline/uploads", 1, 4096,	\
	    "Folder of the recordings that customers send; ./run keeps them in its state directory unless it is set")	\
	X(max_uploads,		"MAX_UPLOAD_BYTES",	CONF_INT,	"2000000000", 0, 1000000000000000,	\
	    "Bytes that all recordings together may take; past it none is taken, text goes on")		\
	X(max_recording_s,	"MAX_RECORDING_SECONDS", CONF_INT,	"300",	1, 14400,			\
	    "Longest recording that may be sent, where its file says how long it is")			\
	X(livekit_url,		"LIVEKIT_URL",		CONF_TEXT,	"",	0, 2048,			\
	    "Address of the LiveKit server (wss://, ws://, https:// or http://); LIVEKIT_WS_URL is another name")	\
	X(livekit_key,		"LIVEKIT_API_KEY",	CONF_TEXT,	"",	0, 256,				\
	    "Its API key; without these three the routes of /api/livekit answer 503, and all else works")	\
	X(livekit_secret,	"LIVEKIT_API_SECRET",	CONF_SECRET,	"",	0, 1024,			\
	    "The key's secret: signs tokens, and webhooks are checked with it")					\
	X(livekit_worker,	"LIVEKIT_WORKER",	CONF_TEXT,	"helpline", 1, 128,			\
	    "Name under which the voice workers that are sent into rooms have registered at LiveKit")		\
	X(secrets_dir,		"HELPLINE_SECRETS",	CONF_TEXT,	"/etc/helpline/secrets", 1, 4096,	\
	    "Folder of the sealing keys, mode 0700")								\
	X(front_socket,		"HELPLINE_FRONT",	CONF_TEXT,	"/run/helpline/front.sock", 1, 107,	\
	    "nginx's private unix socket, by which programs read what was uploaded")				\
	X(events_socket,	"HELPLINE_EVENTS",	CONF_TEXT,	"/run/helpline/events.sock", 1, 107,	\
	    "The events program's unix socket, by which pushd reaches it")					\
	X(metrics_file,		"METRICS_FILE",		CONF_TEXT,	"/run/helpline/metrics", 1, 4096,	\
	    "File in which the programs of this computer count together, for /metrics")			\
	X(metrics_token,	"METRICS_TOKEN",	CONF_SECRET,	"",	0, 1024,			\
	    "With it as bearer token /metrics answers from anywhere; without one this computer alone is answered") \
	X(ping_interval_ms,	"SOCKET_PING_INTERVAL",	CONF_INT,	"25000", 50, 600000,			\
	    "Milliseconds between two heartbeats of a socket")							\
	X(ping_timeout_ms,	"SOCKET_PING_TIMEOUT",	CONF_INT,	"20000", 50, 600000,			\
	    "Milliseconds a socket has to answer one")								\
	X(connect_timeout_ms,	"SOCKET_CONNECT_TIMEOUT", CONF_INT,	"45000", 50, 600000,			\
	    "Milliseconds a socket has to join a namespace")							\
	X(socket_max_payload,	"SOCKET_MAX_PAYLOAD",	CONF_INT,	"1000000", 1024, 16777216,		\
	    "Longest packet of a socket, in bytes")								\
	X(max_sockets,		"MAX_SOCKETS",		CONF_INT,	"20000", 1, 1000000,			\
	    "Sockets that one pushd holds; past it a new one gets 503")					\
	X(pushd_count,		"PUSHD_COUNT",		CONF_INT,	"1",	1, 8,				\
	    "How many pushd ./run starts; nginx routes each socket to the one that it began with")		\
	X(pushd_instance,	"PUSHD_INSTANCE",	CONF_INT,	"0",	0, 9,				\
	    "Which of several pushd this one is; ./run sets it, a service file of your own has to")		\
	X(max_calls,		"MAX_CALLS",		CONF_INT,	"200",	0, 10000,			\
	    "Live calls that the events program has at once; past it a new one is told that all lines are taken")	\
	X(call_patience_ms,	"CALL_PATIENCE",	CONF_INT,	"6000",	500, 60000,			\
	    "Milliseconds of silence after which a live call goes on without what a speech server was to say, or to write down")	\
	X(max_call_s,		"MAX_CALL_SECONDS",	CONF_INT,	"3600",	1, 86400,			\
	    "Seconds that a live call may last; what has been said by then is answered, and the call ends with a sentence")	\
	X(recovery_ms,		"SOCKET_RECOVERY",	CONF_INT,	"120000", 0, 3600000,			\
	    "Milliseconds for which pushd remembers a socket that was cut off; 0: not at all")			\
	X(log_level,		"LOG_LEVEL",		CONF_TEXT,	"info",	1, 16,				\
	    "error, warn, info or debug")

struct conf {
#define CONF_MEMBER_CONF_TEXT(m)	const char *m;
#define CONF_MEMBER_CONF_SECRET(m)	const char *m;
#define CONF_MEMBER_CONF_URL(m)		const char *m;
#define CONF_MEMBER_CONF_INT(m)		int64_t m;
#define CONF_MEMBER_CONF_REAL(m)	double m;
#define CONF_MEMBER_CONF_SWITCH(m)	bool m;
#define X(member, name, type, value, low, high, meaning) CONF_MEMBER_##type(member)
	CONF_SETTINGS(X)
#undef X
	char	*storage;	/* the strings above point into it */
};

/* One thing that is wrong; all of it lives as long as the call that tells it. */
struct conf_wrong {
	const char	*name;		/* the setting; NULL: the file as a whole, or a line that is none */
	const char	*where;		/* "from the environment", "/etc/helpline/helpline.conf, line 3" */
	const char	*allowed;	/* what it must be; NULL if only the sentence says it */
	const char	*sentence;	/* all of it; never a secret's value */
};
typedef void conf_tell(const struct conf_wrong *, void *arg);

/* A conf_tell whose arg is a struct buf: the sentences, a line for each. */
void	 conf_tell_text(const struct conf_wrong *, void *arg);

/*
 * Reads HELPLINE_CONFIG's file, if that is set, and the environment.  Tells everything that is wrong, each value and what
 * contradicts another; then it fails, and there is nothing to free.  conf_load() collects the sentences in *problem.
 */
enum hl_err conf_check(struct conf *, conf_tell *tell_one, void *arg) HL_MUST_CHECK;
enum hl_err conf_load(struct conf *, struct buf *problem) HL_MUST_CHECK;
void	 conf_free(struct conf *);

/* "7d", "24h", "30m", "45s" or "900", in seconds; false if it is no such thing, nothing, or more than ten years. */
bool	 conf_duration(const char *text, int64_t *ret_s);

/* "5MB", "512KB" or "5242880", in bytes; false if it is no such thing, nothing, or more than CONF_SIZE_MAX. */
#define CONF_SIZE_MAX	(64 * 1024 * 1024)
bool	 conf_size(const char *text, int64_t *ret);

/* "200000tokens", or "5.00", money in millionths; false if it is neither. */
bool	 conf_spend(const char *text, bool *ret_money, int64_t *ret_most);

/* Is a word (not case-sensitive) in a comma-separated list? */
bool	 conf_lists(const char *list, const char *word, size_t len);

/* Is any model server set?  If not, the offline responder answers. */
bool	 conf_has_model(const struct conf *);

/*
 * The server that speaks and hears, "" if there is none, and its key: SPEECH_BASE_URL and SPEECH_API_KEY, or else those of the
 * model server.
 */
const char *conf_speech_url(const struct conf *);
const char *conf_speech_key(const struct conf *);
bool	 conf_speaks(const struct conf *);		/* there is a server, and a model to say answers aloud */
bool	 conf_hears(const struct conf *);		/* … and one to write down what is said */

/* What the table says, for people and for tests. */
struct conf_entry {
	const char	*name;
	enum conf_type	 type;
	const char	*value;		/* the default */
	double		 low, high;	/* of a number, or of a text's length */
	const char	*meaning;
};
const struct conf_entry *conf_entries(size_t *count);

/*
 * The setting that a name which is none was probably meant to be: at most two letters wrong, missing or too many.  NULL:
 * it is a setting, or like none.
 */
const char *conf_misspelt(const char *name, size_t len);

/* The entry of that name; the second one knows old names, too.  NULL if there is none. */
const struct conf_entry *conf_find(const char *name, size_t len);
const struct conf_entry *conf_find_any(const char *name);

/* ---- where values come from ---- */

#define CONF_FILE	"/etc/helpline/helpline.conf"	/* where the command looks if nothing names another */
#define CONF_WHERE_MAX	4352

enum conf_place { CONF_DEFAULT, CONF_ENVIRONMENT, CONF_FILE_LINE, CONF_CREDENTIAL };

struct conf_origin {
	enum conf_place	 place;
	const char	*name;		/* under which it is set: the old one, perhaps */
	const char	*file;		/* of CONF_FILE_LINE; of a credential its name */
	unsigned	 line;
};

/* The value in force as it was written, and where. */
const char *conf_value(const struct conf_entry *, struct conf_origin *);
void	 conf_origin_of(const char *name, const char *value, struct conf_origin *);
void	 conf_origin_text(const struct conf_origin *, char *out, size_t size);

/* Is that value one that nobody may see?  An address of Redis is one only with a password in it. */
bool	 conf_is_secret(const struct conf_entry *, const char *value);

/* Sets name in the environment, unless it is there, and remembers where it was read (file is copied). */
enum hl_err conf_take(const char *name, const char *value, enum conf_place, const char *file, unsigned line) HL_MUST_CHECK;

/*
 * A file of NAME=VALUE lines (# comments; optional "export "; single or double quotes; CRLF; a byte order mark): sets what the environment
 * does not have yet.  A line that cannot be understood is told with its number.  strict, which Helpline's own file is
 * read: names that look misspelt and settings that are there twice are refused, and so is a file that anybody may write,
 * or read although a secret is in it, and one of somebody else's that root would go by (judged by the open descriptor).
 */
enum hl_err conf_read_file(const char *path, bool strict, conf_tell *tell, void *arg) HL_MUST_CHECK;

/* The same, not strict, for a .env file. */
enum hl_err conf_load_file(const char *path, struct buf *problem) HL_MUST_CHECK;

/*
 * Secrets that systemd hands over (LoadCredential=NAME:FILE): files of $CREDENTIALS_DIRECTORY with the names of settings.  The
 * environment wins over them, and they over the settings file.  conf_check() does it.
 */
enum hl_err conf_read_credentials(conf_tell *tell, void *arg) HL_MUST_CHECK;

/*
 * For who is no service: conf_read_credentials() then looks where systemd does (/etc/credstore/helpline.NAME …), as far as that
 * may be read, so that the command goes by the settings by which the services go.
 */
void	 conf_use_credstore(void);

#endif
