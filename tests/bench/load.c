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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"
#include "load.h"
#include "samples.h"

#define OPENING		64u		/* users that prepare at the same time */
#define PATIENCE_MS	60000u		/* for the last answers */
#define ANSWER_MAX	(1u << 20)
#define TICK_MS		1u

struct load {
	struct crowd	 crowd;		/* first: a crowd is its load */
	const struct way *way;
	struct user	*users;
	struct samples	 added, tokens;	/* milliseconds */
	uint64_t	 end_ns;
	unsigned	 settle_ms, waiting, most_waiting;
	unsigned	 asked, answered;
	uint64_t	 pieces;		/* tokens in all */
	uint64_t	 heard, expected;	/* events */
	bool		 streams, ending, full;
};

bool
load_streams(const struct load *l)
{
	return l->streams;
}

int
load_port(const struct load *l)
{
	return l->crowd.port;
}

/* No two customers say the same: each question names an order of its own. */
void
user_question(const struct user *u, char ret[QUESTION_MAX])
{
	static const char *const questions[] = {
		"How long does delivery to Austria take?", "Which payment methods do you accept?",
		"When is your shop open on Saturdays?", "How do I change the address of my order?",
		"Do your lamps come with a bulb?", "How long is a gift card valid?",
		"Where does your green tea come from?", "Can I send a lamp back after three weeks?",
	};

	snprintf(ret, QUESTION_MAX, "%s It is about order %u.", questions[(u->number + u->questions) % (sizeof(questions) /
	    sizeof(questions[0]))], 100000 + u->number * 10007 + u->questions);
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
	if (now - l->crowd.begin_ns >= (uint64_t)l->settle_ms * 1000000)
		samples_add(s, ms);
}

static void
print_result(struct load *l)
{
	printf("{\"event\":\"result\",\"asked\":%u,\"answered\":%u,\"errors\":%u,\"mostWaiting\":%u,\"seconds\":%.3f,"
	    "\"pieces\":%llu,\"heard\":%llu", l->asked, l->answered, l->crowd.errors + l->waiting, l->most_waiting,
	    (double)(l->end_ns - l->crowd.begin_ns) / 1e9, (unsigned long long)l->pieces, (unsigned long long)l->heard);
	samples_print("added", &l->added);
	samples_print("tokens", &l->tokens);
	crowd_print_problem(&l->crowd);
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
	if (l->waiting == l->crowd.count && !l->full) {
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
	crowd_ready(&u->load->crowd);
	crowd_open(&u->load->crowd, u->load->way->ask == NULL && u->number == 0 ? OPENING : 1);
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
	crowd_failed(&u->load->crowd, why, len, u->ready);
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
	exit(l->crowd.errors > 0);
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
	uv_timer_start(&l->crowd.end_timer, on_patience_over, PATIENCE_MS, 0);
	maybe_done(l);
}

/* Lets those begin whose moment has come. */
static void
on_tick(uv_timer_t *timer)
{
	struct load *l = timer->data;
	unsigned i;

	while (crowd_next(&l->crowd, &i))
		if (!l->users[i].lost)
			ask(&l->users[i]);
	if (l->crowd.begun == l->crowd.count)
		uv_timer_stop(timer);
}

static void
go(struct crowd *crowd, bool ended)
{
	struct load *l = (struct load *)crowd;

	if (ended || (crowd->seconds == 0 && l->way->ask))
		finish(l);
	if (l->way->ask == NULL) {
		uv_timer_start(&crowd->end_timer, on_patience_over, PATIENCE_MS, 0);
		return;
	}
	uv_timer_start(&crowd->end_timer, on_end, (uint64_t)crowd->seconds * 1000, 0);
	uv_timer_start(&crowd->timer, on_tick, 0, TICK_MS);
}

static struct wire *
wire_of(struct crowd *crowd, unsigned number)
{
	struct load *l = (struct load *)crowd;
	struct user *u = &l->users[number];

	*u = (struct user){
		.wire = { .opened = on_opened, .bytes = on_bytes, .ended = on_ended }, .load = l, .number = number,
		.answer = { .raw = BUF_INIT(ANSWER_MAX), .body = BUF_INIT(ANSWER_MAX) }, .frames = BUF_INIT(ANSWER_MAX),
	};
	return &u->wire;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		CROWD_OPTIONS,
		{ "settle", required_argument, NULL, 'w' }, { "expect", required_argument, NULL, 'x' },
		{ "stream", no_argument, NULL, 'e' }, { NULL, 0, NULL, 0 }
	};
	static const struct way *const ways[] = { &way_rest, &way_socket, &way_room };
	struct load l = { .crowd = { .name = "load", .wire = wire_of, .go = go, .loop = uv_default_loop(), .count = 1 } };
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'w': l.settle_ms = (unsigned)atoi(optarg); break;
		case 'x': l.expected = strtoull(optarg, NULL, 10); break;
		case 'e': l.streams = true; break;
		default:
			if (!crowd_option(&l.crowd, o, optarg))
				return 2;
		}
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (optind < argc && strcmp(argv[optind], ways[i]->name) == 0)
			l.way = ways[i];
	if (l.way == NULL || l.crowd.count == 0)
		return 2;
	l.users = calloc(l.crowd.count, sizeof(*l.users));
	if (l.users == NULL)
		return 1;
	/* The sockets of a room join what the first one makes. */
	return crowd_run(&l.crowd, l.way->ask ? OPENING : 1);
}
