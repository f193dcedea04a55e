/*
 * metrics.h - what a process counts of itself: numbers in memory, and no more.  No I/O, no lock, no allocation; to count
 * something costs a few nanoseconds.
 *
 * There is one board a process.  At first it is private; metrics_use() moves it to where others can read it (services/
 * metrics_file.h), which GET /metrics of the health program does for all processes of a computer.  Only its own process
 * writes, one thread of it; whoever reads sees each number whole, but not all of one moment.
 *
 * Nothing personal is counted, and nothing by name of anything that comes from outside: all labels are words of ours.
 */
#ifndef HL_METRICS_H
#define HL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long something took: upper bounds of the buckets in microseconds and, as Prometheus writes them, seconds.  What is longer is in one more. */
#define METRICS_BOUNDS(X)								\
	X(250, "0.00025")	X(500, "0.0005")	X(1000, "0.001")	X(2500, "0.0025")	\
	X(5000, "0.005")	X(10000, "0.01")	X(25000, "0.025")	X(50000, "0.05")	\
	X(100000, "0.1")	X(250000, "0.25")	X(500000, "0.5")	X(1000000, "1")		\
	X(2500000, "2.5")	X(5000000, "5")		X(10000000, "10")	X(30000000, "30")	\
	X(60000000, "60")

#define X(us, text) + 1
enum { METRICS_BUCKETS = 1 METRICS_BOUNDS(X) };
#undef X

struct spread { uint64_t sum_us, counts[METRICS_BUCKETS]; };

/*
 * Each table: our name, the family, its labels, whether it is told of each program (else summed over them), and what it
 * is.  Those of one family follow each other.
 */
#define METRICS_COUNTERS(X)										\
	X(TURN_ANSWERED, "helpline_turns_total", "outcome=\"answered\"", false, "Turns by what they came to")	\
	X(TURN_ESCALATED, "helpline_turns_total", "outcome=\"escalated\"", false, "")				\
	X(TURN_HANDED_OVER, "helpline_turns_total", "outcome=\"handed_over\"", false, "")			\
	X(TURN_FENCED, "helpline_turns_total", "outcome=\"fenced\"", false, "")					\
	X(TURN_FAILED, "helpline_turns_total", "outcome=\"failed\"", false, "")					\
	X(TURN_TAKEN_OVER, "helpline_turns_taken_over_total", "", false,					\
	    "Turns that a process died in, or did not end in time, and that another one took over")		\
	X(ESCALATED_KEYWORD, "helpline_escalations_total", "reason=\"keyword\"", false, "Answers that called a person, by the reason") \
	X(ESCALATED_ASKED, "helpline_escalations_total", "reason=\"asked_for_person\"", false, "")		\
	X(ESCALATED_DOUBT, "helpline_escalations_total", "reason=\"low_confidence\"", false, "")		\
	X(ESCALATED_MOOD, "helpline_escalations_total", "reason=\"sentiment\"", false, "")			\
	X(ESCALATED_NO_MODEL, "helpline_escalations_total", "reason=\"ai_unavailable\"", false, "")		\
	X(TOKENS_READ, "helpline_upstream_tokens_total", "provider=\"openai\",kind=\"prompt\"", false,		\
	    "Tokens that model servers say to have read and written")						\
	X(TOKENS_WRITTEN, "helpline_upstream_tokens_total", "provider=\"openai\",kind=\"completion\"", false, "") \
	X(TOKENS_READ_2, "helpline_upstream_tokens_total", "provider=\"fallback\",kind=\"prompt\"", false, "")	\
	X(TOKENS_WRITTEN_2, "helpline_upstream_tokens_total", "provider=\"fallback\",kind=\"completion\"", false, "") \
	X(TOKENS_READ_3, "helpline_upstream_tokens_total", "provider=\"gemini\",kind=\"prompt\"", false, "")	\
	X(TOKENS_WRITTEN_3, "helpline_upstream_tokens_total", "provider=\"gemini\",kind=\"completion\"", false, "") \
	X(REDIS_CONNECTIONS, "helpline_redis_connections_total", "", true, "Connections to Redis that were made, again and again if need be") \
	X(REDIS_ERROR_AWAY, "helpline_redis_errors_total", "kind=\"away\"", true, "Commands to Redis that failed: it could not be reached or did not answer, refused, or found a mistake") \
	X(REDIS_ERROR_REFUSED, "helpline_redis_errors_total", "kind=\"refused\"", true, "")			\
	X(REDIS_ERROR_WRONG, "helpline_redis_errors_total", "kind=\"wrong\"", true, "")				\
	X(SOCKET_OPENED, "helpline_sockets_opened_total", "", false, "Sockets that were opened")		\
	X(SOCKET_REFUSED, "helpline_sockets_refused_total", "", false, "Sockets that were refused because there are MAX_SOCKETS, or pushd ends") \
	X(SOCKET_EVENT, "helpline_socket_events_total", "outcome=\"answered\"", false, "What sockets said, by how the events program took it") \
	X(SOCKET_EVENT_REFUSED, "helpline_socket_events_total", "outcome=\"refused\"", false, "")		\
	X(SOCKET_EVENT_FAILED, "helpline_socket_events_total", "outcome=\"failed\"", false, "")			\
	X(LOG_ERRORS, "helpline_log_lines_total", "level=\"error\"", true, "Lines in the log that say something is wrong") \
	X(LOG_WARNINGS, "helpline_log_lines_total", "level=\"warn\"", true, "")					\
	X(PROCESS_STARTS, "helpline_process_starts_total", "", true, "Processes that were started")		\
	X(PROCESS_CRASHES, "helpline_process_crashes_total", "", true, "Processes whose place was found left without a goodbye") \
	X(PROCESS_CPU_US, "helpline_process_cpu_seconds_total", "", true, "Processor time, user and system")

/* As they are now, of processes that live. */
#define METRICS_GAUGES(X)										\
	X(REQUESTS_NOW, "helpline_http_requests_in_flight", "", true, "Requests that are being answered")	\
	X(TURNS_NOW, "helpline_turns_in_flight", "", false, "Turns that are being run")				\
	X(UPSTREAM_NOW, "helpline_upstream_requests_in_flight", "", false, "Requests under way at model servers") \
	X(UPSTREAM_WAITING, "helpline_upstream_requests_waiting", "", false, "Requests that wait for their turn at a model server (UPSTREAM_CONCURRENCY)") \
	X(LEFT_ALONE, "helpline_upstream_left_alone", "provider=\"openai\"", false, "Processes that leave a model server alone because it failed") \
	X(LEFT_ALONE_2, "helpline_upstream_left_alone", "provider=\"fallback\"", false, "")			\
	X(LEFT_ALONE_3, "helpline_upstream_left_alone", "provider=\"gemini\"", false, "")			\
	X(REDIS_UP, "helpline_redis_connected", "", true, "Processes that are connected to Redis")		\
	X(SOCKETS_NOW, "helpline_sockets", "", false, "Sockets that are open")					\
	X(CALLS_NOW, "helpline_calls", "", false, "Live calls that are open")					\
	X(TASKS_NOW, "helpline_tasks", "", true, "Tasks, of requests and in the background")			\
	X(MEMORY_BYTES, "helpline_process_resident_memory_bytes", "", true, "Memory in use")

#define METRICS_SPREADS(X)										\
	X(TOOK_TURN, "helpline_turn_duration_seconds", "", false, "From beginning a turn to its end")		\
	X(TOOK_FIRST_WORDS, "helpline_turn_first_words_seconds", "", false, "From beginning a turn to the first words that its model writes") \
	X(TOOK_REDIS, "helpline_redis_command_duration_seconds", "", true, "Commands and scripts, from sending to the reply") \
	X(TOOK_LOOP, "helpline_process_loop_delay_seconds", "", true, "How late a timer fires each second: how long others wait for what is being worked at")

/* Requests to servers of others. */
#define METRICS_PROVIDERS(X)	X(OPENAI, "openai") X(FALLBACK, "fallback") X(GEMINI, "gemini") X(SPEECH, "speech") X(HEARING, "hearing")
#define METRICS_OUTCOMES(X)	X(OK, "ok") X(REFUSED, "refused") X(LIMITED, "rate_limited") X(FAILED, "failed") X(BROKEN, "broken")	\
	X(TIMEOUT, "timeout") X(CANCELLED, "cancelled")

#define X(name, family, labels, each, help) M_##name,
enum metric_counter { METRICS_COUNTERS(X) M_COUNTERS };
enum metric_gauge { METRICS_GAUGES(X) M_GAUGES };
enum metric_spread { METRICS_SPREADS(X) M_SPREADS };
#undef X
#define X(name, text) M_BY_##name,
enum metric_provider { METRICS_PROVIDERS(X) M_PROVIDERS };
#undef X
#define X(name, text) M_END_##name,
enum metric_outcome { METRICS_OUTCOMES(X) M_OUTCOMES };
#undef X

/* ---- the board ---- */

#define METRICS_PROGRAM_MAX	16u
#define METRICS_VERSION_MAX	32u
#define METRICS_ROUTE_MAX	80u	/* bytes of "METHOD path" with their NUL */
#define METRICS_ROUTES		96u
#define METRICS_STATUSES	26u	/* see metrics_status(); the last one is for all others */

struct metrics_route { uint64_t statuses[METRICS_STATUSES]; struct spread took; };

struct metrics {
	char		 program[METRICS_PROGRAM_MAX];	/* "": nobody has used it yet */
	char		 version[METRICS_VERSION_MAX];
	int64_t		 started_ms;		/* wall clock */
	int64_t		 beat_ms;		/* when it last said that it lives, wall clock */
	int64_t		 ended;			/* not 0: it said goodbye */
	uint64_t	 counters[M_COUNTERS];
	int64_t		 gauges[M_GAUGES];
	struct spread	 spreads[M_SPREADS];
	struct spread	 upstream[M_PROVIDERS][M_OUTCOMES];
	uint32_t	 route_count;
	char		 routes[METRICS_ROUTES][METRICS_ROUTE_MAX];
	struct metrics_route requests[METRICS_ROUTES];	/* the first one is for what is no route */
};

extern struct metrics *metrics_own;		/* never NULL */

/* From now on numbers go there.  What was counted before is added. */
void	 metrics_use(struct metrics *);

static inline void
metrics_add(uint64_t *to, uint64_t by)
{
	__atomic_store_n(to, __atomic_load_n(to, __ATOMIC_RELAXED) + by, __ATOMIC_RELAXED);
}

static inline void
metrics_count(enum metric_counter what, int64_t by)
{
	if (by > 0)
		metrics_add(&metrics_own->counters[what], (uint64_t)by);
}

static inline void
metrics_set(enum metric_gauge what, int64_t value)
{
	__atomic_store_n(&metrics_own->gauges[what], value, __ATOMIC_RELAXED);
}

static inline void
metrics_change(enum metric_gauge what, int64_t by)
{
	metrics_set(what, metrics_own->gauges[what] + by);
}

/* Microseconds; negative is 0. */
void	 metrics_took(enum metric_spread, int64_t us);
void	 metrics_upstream(enum metric_provider, enum metric_outcome, int64_t us);

/* route: its number in the program's table and one, 0 for none of them; too high a number is none. */
void	 metrics_request(size_t route, int status, int64_t us);
int	 metrics_status(size_t at);		/* which the counts of a route are of; 0: any other */

enum metric_outcome metrics_outcome_of(int status);	/* of HTTP, of a server's answer */
const char *metrics_provider_name(enum metric_provider);
const char *metrics_outcome_name(enum metric_outcome);
enum metric_provider metrics_provider_named(const char *);	/* M_PROVIDERS: none of them */

#endif
