/*
 * load - many customers of one Helpline, and how long they wait beyond what the model takes.
 *
 *	load rest|socket --port N --users N [--seconds S] [--ramp MS] [--settle MS] [--stream]
 *	load room --port N --users N --expect N
 *
 * Prints one JSON object a line: {"event":"ready"} when all have a session (and have joined it), then waits for a line
 * on its standard input; {"event":"full"} when all of them wait at once; and at the end {"event":"result",...}.  With
 * --seconds 0 nobody asks anything, and the result comes when the line does.  The users begin spread over the ramp;
 * delays are noted once they have settled.  Listeners in a room only count: the result comes when they have heard as
 * many events as are expected, all together.
 * Behind Helpline must be this folder's upstream: its answers tell what time it took itself.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "samples.h"

#define OPENING		64u		/* users that prepare at the same time */
#define PATIENCE_MS	60000u		/* for the last answers */
#define ANSWER_MAX	(1u << 20)
#define TICK_MS		1u

struct load {
	uv_loop_t	*loop;
	uv_timer_t	 timer, end_timer;
	uv_pipe_t	 input;
	const struct way *way;
	struct user	*users;
	struct samples	 added, tokens;	/* milliseconds */
	char		 problem[200];
	uint64_t	 begin_ns, end_ns;
	unsigned	 seconds, ramp_ms, settle_ms, count, opened, ready, begun, waiting, most_waiting;
	unsigned	 asked, answered, errors;
	uint64_t	 pieces;		/* tokens in all */
	uint64_t	 heard, expected;	/* events */
	int		 port;
	bool		 streams, going, ending, full;
};

bool
load_streams(const struct load *l)
{
	return l->streams;
}

int
load_port(const struct load *l)
{
	return l->port;
}

const char *
user_question(const struct user *u)
{
	static const char *const questions[] = {
		"How long does delivery to Austria take?", "Which payment methods do you accept?",
		"When is your shop open on Saturdays?", "How do I change the address of my order?",
		"Do your lamps come with a bulb?", "How long is a gift card valid?",
		"Where does your green tea come from?", "Can I send a lamp back after three weeks?",
	};

	return questions[(u->number + u->questions) % (sizeof(questions) / sizeof(questions[0]))];
}

const struct user *
load_first(const struct load *l)
{
	return &l->users[0];
}

/* ---- numbers ---- */

static void
add_sample(const struct load *l, struct samples *s, uint64_t now, double ms)
{
	if (now - l->begin_ns >= (uint64_t)l->settle_ms * 1000000)
		samples_add(s, ms);
}

static void
print_result(struct load *l)
{
	printf("{\"event\":\"result\",\"asked\":%u,\"answered\":%u,\"errors\":%u,\"mostWaiting\":%u,\"seconds\":%.3f,"
	    "\"pieces\":%llu,\"heard\":%llu", l->asked, l->answered, l->errors + l->waiting, l->most_waiting,
	    (double)(l->end_ns - l->begin_ns) / 1e9, (unsigned long long)l->pieces, (unsigned long long)l->heard);
	samples_print("added", &l->added);
	samples_print("tokens", &l->tokens);
	if (l->errors) {
		struct buf text = BUF_INIT(ANSWER_MAX);

		buf_json_str(&text, l->problem);
		printf(",\"problem\":%s", text.data);
		buf_free(&text);
	}
	printf("}\n");
}

/* ---- the users ---- */

/* The moment that the upstream wrote behind a mark, or 0. */
static uint64_t
moment(const char *at, const char *end)
{
	return at && at + 2 < end ? strtoull(at + 2, NULL, 10) : 0;
}

static const char *
last_of(const char *text, size_t len, const char *mark)
{
	const char *found = NULL, *at = text;

	while ((at = memmem(at, len - (size_t)(at - text), mark, strlen(mark))) != NULL)
		found = at++;
	return found;
}

static void
open_next(struct load *l)
{
	if (l->opened < l->count)
		wire_connect(l->loop, &l->users[l->opened++].wire, l->port);
}

static void
open_some(struct load *l)
{
	for (unsigned i = 0; i < OPENING; i++)
		open_next(l);
}

static void	 maybe_done(struct load *);
static void	 finish(struct load *);

static void
ask(struct user *u)
{
	struct load *l = u->load;

	u->waiting = true;
	u->questions++;
	l->asked++;
	if (++l->waiting > l->most_waiting)
		l->most_waiting = l->waiting;
	u->asked_ns = uv_hrtime();
	l->way->ask(u);
	if (l->waiting == l->count && !l->full) {
		l->full = true;
		puts("{\"event\":\"full\"}");
	}
}

/* An answer is there, or will never be. */
static void
settled(struct user *u)
{
	struct load *l = u->load;

	u->waiting = false;
	l->waiting--;
	if (!l->ending && !u->lost)
		ask(u);
	else
		maybe_done(l);
}

void
user_ready(struct user *u, const char *text, size_t len)
{
	const char *at = memmem(text, len, "\"sessionId\":\"", 13);

	if (at == NULL || u->ready)
		return;
	snprintf(u->session, sizeof(u->session), "%.*s", (int)strcspn(at + 13, "\""), at + 13);
	u->ready = true;
	if (++u->load->ready == u->load->count)
		puts("{\"event\":\"ready\"}");
	if (u->load->way->ask == NULL && u->number == 0)
		open_some(u->load);
	else
		open_next(u->load);
}

void
user_heard(struct user *u)
{
	if (++u->load->heard == u->load->expected)
		finish(u->load);
}

void
user_delta(struct user *u, const char *text, size_t len)
{
	uint64_t now = uv_hrtime();
	const char *at = text, *end = text + len;

	while (at < end && (at = memmem(at, (size_t)(end - at), "@s", 2)) != NULL) {
		add_sample(u->load, &u->load->tokens, now, (double)(now - moment(at, end)) / 1e6);
		u->load->pieces++;
		at += 2;
	}
}

void
user_answered(struct user *u, const char *text, size_t len)
{
	uint64_t now = uv_hrtime(), came, wrote;

	if (!u->waiting)
		return;
	came = moment(memmem(text, len, "#r", 2), text + len);
	wrote = moment(last_of(text, len, "@s"), text + len);
	if (came < u->asked_ns || wrote < came) {
		user_failed(u, text, len);
		return;
	}
	u->load->answered++;
	add_sample(u->load, &u->load->added, now, (double)((now - u->asked_ns) - (wrote - came)) / 1e6);
	settled(u);
}

void
user_failed(struct user *u, const char *why, size_t len)
{
	struct load *l = u->load;

	if (l->errors++ == 0)
		snprintf(l->problem, sizeof(l->problem), "%.*s", (int)len, why ? why : "");
	if (!u->ready) {
		fprintf(stderr, "load: a session could not be had: %s\n", l->problem);
		exit(1);
	}
	if (u->waiting)
		settled(u);
}

static void
on_opened(struct wire *w)
{
	struct user *u = (struct user *)w;

	u->load->way->prepare(u);
}

static void
on_bytes(struct wire *w, const char *bytes, size_t len)
{
	struct user *u = (struct user *)w;

	u->load->way->bytes(u, bytes, len);
}

static void
on_ended(struct wire *w, const char *why)
{
	struct user *u = (struct user *)w;

	u->lost = true;
	user_failed(u, why, strlen(why));
}

/* ---- the run ---- */

static void
finish(struct load *l)
{
	l->end_ns = uv_hrtime();
	print_result(l);
	exit(l->errors > 0);
}

static void
maybe_done(struct load *l)
{
	if (l->ending && l->waiting == 0)
		finish(l);
}

static void
on_patience_over(uv_timer_t *timer)
{
	finish(timer->data);
}

static void
on_end(uv_timer_t *timer)
{
	struct load *l = timer->data;

	l->ending = true;
	uv_timer_start(&l->end_timer, on_patience_over, PATIENCE_MS, 0);
	maybe_done(l);
}

/* Lets those begin whose moment has come. */
static void
on_tick(uv_timer_t *timer)
{
	struct load *l = timer->data;
	uint64_t passed_ms = (uv_hrtime() - l->begin_ns) / 1000000;

	while (l->begun < l->count && (uint64_t)l->begun * l->ramp_ms <= passed_ms * l->count)
		if (!l->users[l->begun++].lost)
			ask(&l->users[l->begun - 1]);
	if (l->begun == l->count)
		uv_timer_stop(timer);
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	static char bytes[256];

	(void)handle;
	(void)suggested;
	*ret = uv_buf_init(bytes, sizeof(bytes));
}

static void
on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
	struct load *l = stream->data;

	(void)bytes;
	if (n == 0 || l->going)
		return;
	l->going = true;
	l->begin_ns = uv_hrtime();
	if (n < 0 || (l->seconds == 0 && l->way->ask))
		finish(l);
	uv_read_stop(stream);
	if (l->way->ask == NULL) {
		uv_timer_start(&l->end_timer, on_patience_over, PATIENCE_MS, 0);
		return;
	}
	uv_timer_start(&l->end_timer, on_end, (uint64_t)l->seconds * 1000, 0);
	uv_timer_start(&l->timer, on_tick, 0, TICK_MS);
}

static int
start(struct load *l)
{
	l->users = calloc(l->count, sizeof(*l->users));
	if (l->users == NULL || uv_pipe_init(l->loop, &l->input, 0) != 0 || uv_pipe_open(&l->input, 0) != 0) {
		fprintf(stderr, "load: standard input must be a pipe\n");
		return 1;
	}
	uv_timer_init(l->loop, &l->timer);
	uv_timer_init(l->loop, &l->end_timer);
	l->timer.data = l->end_timer.data = l->input.data = l;
	uv_read_start((uv_stream_t *)&l->input, on_alloc, on_input);
	for (unsigned i = 0; i < l->count; i++) {
		l->users[i] = (struct user){
			.wire = { .opened = on_opened, .bytes = on_bytes, .ended = on_ended }, .load = l, .number = i,
			.answer = { .raw = BUF_INIT(ANSWER_MAX), .body = BUF_INIT(ANSWER_MAX) },
			.frames = BUF_INIT(ANSWER_MAX),
		};
	}
	if (l->way->ask)
		open_some(l);
	else
		open_next(l);
	return uv_run(l->loop, UV_RUN_DEFAULT);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' }, { "users", required_argument, NULL, 'u' },
		{ "seconds", required_argument, NULL, 's' }, { "ramp", required_argument, NULL, 'r' },
		{ "settle", required_argument, NULL, 'w' }, { "expect", required_argument, NULL, 'x' },
		{ "stream", no_argument, NULL, 'e' }, { NULL, 0, NULL, 0 }
	};
	static const struct way *const ways[] = { &way_rest, &way_socket, &way_room };
	struct load l = { .loop = uv_default_loop(), .count = 1 };
	int o;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'p': l.port = atoi(optarg); break;
		case 'u': l.count = (unsigned)atoi(optarg); break;
		case 's': l.seconds = (unsigned)atoi(optarg); break;
		case 'r': l.ramp_ms = (unsigned)atoi(optarg); break;
		case 'w': l.settle_ms = (unsigned)atoi(optarg); break;
		case 'x': l.expected = strtoull(optarg, NULL, 10); break;
		case 'e': l.streams = true; break;
		default: return 2;
		}
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (optind < argc && strcmp(argv[optind], ways[i]->name) == 0)
			l.way = ways[i];
	if (l.way == NULL || l.count == 0)
		return 2;
	return start(&l);
}
