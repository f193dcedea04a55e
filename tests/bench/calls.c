/*
 * calls - many customers of one Helpline who call at once, and how long they wait beyond what the model's servers take.
 *
 *	calls --port N --users N --account ID --agent ID [--seconds S] [--ramp MS] [--piece MS] [--interrupt N] [--greet]
 *
 * Prints one JSON object a line: {"event":"ready"} when all have a conversation, then waits for a line on its standard
 * input, begins the calls spread over the ramp, and prints {"event":"result",...}: after so many seconds, or with --greet, which
 * only listens to the welcome, when all have heard it.
 *
 * Each one talks in real time, in pieces of so many milliseconds, as a microphone gives them: a second of voice, then
 * silence until he was answered; each N-th answer is interrupted while it is being said.  When a program must have noticed
 * that he began or ended is known exactly: the same detector runs here on the same samples.  Behind Helpline must be this
 * folder's upstream, whose transcripts and sounds tell what time it took itself (marks.h).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/vad.h"
#include "crowd.h"
#include "marks.h"
#include "samples.h"
#include "wire.h"

#define OPENING		32u	/* callers that prepare at the same time */
#define FRAMES_MAX	(1u << 20)
#define REQUEST_MAX	2048
#define PIECE_MAX_MS	100u
#define SAY_MS		1000u	/* of voice */
#define REST_MS		400u	/* before he says the next thing */
#define INTERRUPT_MS	1200u	/* of an answer, before he does */
#define PATIENCE_MS	20000u	/* for an answer */
#define PLAYER_MS	60	/* by which the page's player may be behind what it has */
#define PER_MS		(VAD_RATE / 1000)

enum phase { RESTS, SPEAKS, WAITS, LISTENS };

struct caller {
	struct wire	 wire;		/* first: a wire is its caller */
	struct calls	*all;
	struct answer	 http;
	struct buf	 frames;
	char		 conversation[64], sound[64], stale[64];	/* of what is being said; of what was interrupted */
	unsigned	 number, answers;
	bool		 ready, calling, talking, greeted, interrupts, lost;
	uint64_t	 begin_ns, sent;	/* samples */
	struct vad	 vad;
	enum phase	 phase;
	uint64_t	 say_from, say_until;	/* samples */
	uint64_t	 spoke_ns, ended_ns, next_ns;	/* his first sample's moment; the end's; when he says the next thing */
	uint64_t	 heard_ns;	/* the transcript's server took */
	uint64_t	 first_ns;	/* the answer's first sound came */
	double		 sound_ms;	/* of it that has come */
	unsigned	 index;
	bool		 attached;	/* the next frame is sound, of this chunk: */
	unsigned	 chunk_index, chunk_rate;
	double		 chunk_ms;
	char		 chunk_id[64];
};

struct calls {
	struct crowd	 crowd;		/* first: a crowd is its calls */
	struct caller	*callers;
	struct samples	 share, first, stop;
	const char	*account, *agent;
	uint64_t	 random;
	unsigned	 piece_ms, interrupt, gaps, stale, welcomed;
	double		 latest_ms;	/* that sound came behind its time */
	bool		 greet;
};

static int16_t voice[VAD_RATE], hush[VAD_RATE];

/* ---- sounds ---- */

static unsigned
random_of(struct calls *a, unsigned below)
{
	a->random = a->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(a->random >> 33) % below;
}

static void
make_sounds(struct calls *a)
{
	for (unsigned i = 0; i < VAD_RATE; i++) {
		double t = (double)i / VAD_RATE * 2 * M_PI;

		hush[i] = (int16_t)((int)random_of(a, 41) - 20);
		voice[i] = (int16_t)(6000 * sin(200 * t) + 3000 * sin(1700 * t) + 1500 * sin(3000 * t));
	}
}

/* ---- the end ---- */

static void
finish(struct calls *a)
{
	unsigned answers = 0, silent = 0;
	uint64_t now = uv_hrtime();

	for (unsigned i = 0; i < a->crowd.count; i++) {
		struct caller *c = &a->callers[i];

		answers += c->answers;
		silent += !a->greet && (c->answers == 0 || (c->phase == WAITS && now - c->ended_ns > (uint64_t)PATIENCE_MS * 1000000));
	}
	printf("{\"event\":\"result\",\"answers\":%u,\"welcomed\":%u,\"gaps\":%u,\"latest\":%.3f,\"stale\":%u,\"unanswered\":%u,\"errors\":%u",
	    answers, a->welcomed, a->gaps, a->latest_ms, a->stale, silent, a->crowd.errors);
	samples_print("share", &a->share);
	samples_print("first", &a->first);
	samples_print("stop", &a->stop);
	crowd_print_problem(&a->crowd);
	printf("}\n");
	exit(a->crowd.errors > 0);
}

static void
failed(struct caller *c, const char *why, size_t len)
{
	crowd_failed(&c->all->crowd, why, len, c->all->crowd.going);
	c->lost = true;
}

/* ---- to Helpline ---- */

static void
start_conversation(struct caller *c)
{
	char text[REQUEST_MAX / 2];

	snprintf(text, sizeof(text), "42[\"start_conversation\",{\"userId\":\"%s\",\"agentId\":\"%s\",\"isCallSimulator\":false}]",
	    c->all->account, c->all->agent);
	socket_say(&c->wire, text);
}

static void
start_call(struct caller *c)
{
	char text[REQUEST_MAX / 2];

	c->calling = true;
	snprintf(text, sizeof(text), "421[\"voice_start\",{\"conversationId\":\"%s\",\"rate\":%u,\"greet\":%s}]", c->conversation, VAD_RATE,
	    c->all->greet ? "true" : "false");
	socket_say(&c->wire, text);
}

static void
tell_played(struct caller *c, uint64_t now)
{
	char text[256];

	snprintf(text, sizeof(text), "42[\"voice_played\",{\"id\":\"%s\",\"ms\":%llu}]", c->sound,
	    (unsigned long long)(now - c->first_ns) / 1000000);
	socket_say(&c->wire, text);
}

/* ---- what he says ---- */

static void
begin_saying(struct caller *c)
{
	c->say_from = c->sent + random_of(c->all, c->all->piece_ms * PER_MS);
	c->say_until = c->say_from + SAY_MS * PER_MS;
	c->spoke_ns = 0;
	c->phase = SPEAKS;
}

/* The detector that the program has, on what is sent now. */
static void
follow(struct caller *c, const int16_t *samples, size_t n, uint64_t now)
{
	size_t used;

	for (size_t at = 0; at < n; at += used)
		if (vad_feed(&c->vad, samples + at, n - at, &used) == VAD_ENDS && c->phase == SPEAKS) {
			c->ended_ns = now;
			c->phase = WAITS;
		}
}

static void
send_piece(struct caller *c, uint64_t now)
{
	static const char head[] = "451-[\"voice_audio\",{\"_placeholder\":true,\"num\":0}]";
	int16_t samples[PIECE_MAX_MS * PER_MS];
	size_t n = c->all->piece_ms * PER_MS;
	struct buf out = BUF_INIT(4 * sizeof(samples));

	if (c->phase == RESTS && c->next_ns && now >= c->next_ns) {
		c->next_ns = 0;
		begin_saying(c);
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t at = c->sent + i;

		samples[i] = at >= c->say_from && at < c->say_until ? voice[at % VAD_RATE] : hush[at % VAD_RATE];
	}
	if (c->say_until && c->spoke_ns == 0 && c->sent + n > c->say_from)
		c->spoke_ns = now - (c->sent + n - c->say_from) * (1000000 / PER_MS);
	c->sent += n;
	frame_add(&out, FRAME_TEXT, head, sizeof(head) - 1);
	frame_add(&out, FRAME_BINARY, (const char *)samples, n * sizeof(*samples));
	follow(c, samples, n, now);
	wire_send(&c->wire, out.data, out.len);
	buf_free(&out);
}

/* ---- what he hears ---- */

static uint64_t
number_in(const char *text, size_t len, const char *name)
{
	const char *at = memmem(text, len, name, strlen(name));

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void
text_in(const char *text, size_t len, const char *name, char out[64])
{
	const char *at = memmem(text, len, name, strlen(name));

	snprintf(out, 64, "%.*s", at ? (int)strcspn(at + strlen(name), "\"") : 0, at ? at + strlen(name) : "");
}

static void
note_first(struct caller *c, const struct marks *m, uint64_t now)
{
	uint64_t theirs = c->heard_ns + (m->chat_sent_ns - m->chat_asked_ns) + (m->speech_sent_ns - m->speech_asked_ns);

	if (m->magic != MARKS_MAGIC || c->ended_ns == 0 || c->heard_ns == 0 || m->chat_asked_ns < c->ended_ns)
		return;
	samples_add(&c->all->share, ((double)(now - c->ended_ns) - (double)theirs) / 1e6);
	samples_add(&c->all->first, (double)(now - m->speech_sent_ns) / 1e6);
}

static void
hear_first(struct caller *c, const char *bytes, size_t len, uint64_t now)
{
	struct marks m = { 0 };

	memcpy(&m, bytes, len < sizeof(m) ? len : sizeof(m));
	note_first(c, &m, now);
	memcpy(c->sound, c->chunk_id, sizeof(c->sound));
	c->first_ns = now;
	c->sound_ms = 0;
	c->index = 0;
	c->answers++;
	c->interrupts = c->all->interrupt && !c->all->greet && (c->answers + c->number) % c->all->interrupt == 0;
	c->phase = c->interrupts ? RESTS : LISTENS;
	c->next_ns = c->interrupts ? now + (uint64_t)INTERRUPT_MS * 1000000 : 0;
}

/* Was it there when what came before it had been played? */
static void
hear_sound(struct caller *c, const char *bytes, size_t len)
{
	uint64_t now = uv_hrtime();
	double late;

	if (*c->stale && strcmp(c->chunk_id, c->stale) == 0) {
		c->all->stale++;
		return;
	}
	if (strcmp(c->chunk_id, c->sound) != 0)
		hear_first(c, bytes, len, now);
	late = (double)(now - c->first_ns) / 1e6 - c->sound_ms;
	if (late > c->all->latest_ms)
		c->all->latest_ms = late;
	if (late > PLAYER_MS || c->chunk_index != c->index || fabs(c->chunk_ms - c->sound_ms) > 2.0 + c->index)
		c->all->gaps++;
	c->index++;
	c->sound_ms += (double)len / 2 * 1000 / (c->chunk_rate ? c->chunk_rate : 1);
}

static void
take_chunk(struct caller *c, const char *text, size_t len)
{
	text_in(text, len, "\"id\":\"", c->chunk_id);
	c->chunk_index = (unsigned)number_in(text, len, "\"index\":");
	c->chunk_rate = (unsigned)number_in(text, len, "\"rate\":");
	c->chunk_ms = (double)number_in(text, len, "\"ms\":");
	c->attached = true;
}

/* That was all of the answer. */
static void
hear_last(struct caller *c, const char *text, size_t len)
{
	struct calls *a = c->all;

	text_in(text, len, "\"id\":\"", c->chunk_id);
	if (strcmp(c->chunk_id, c->sound) != 0)
		return;
	if (a->greet) {
		if (!c->greeted && ++a->welcomed == a->crowd.count)
			finish(a);
		c->greeted = true;
	} else if (c->phase == LISTENS) {
		c->next_ns = c->first_ns + (uint64_t)((c->sound_ms + REST_MS) * 1e6);
		c->phase = RESTS;
	}
}

static void
hear_stop(struct caller *c, const char *text, size_t len)
{
	uint64_t now = uv_hrtime();
	char id[64];

	text_in(text, len, "\"id\":\"", id);
	if (*id == '\0' || strcmp(id, c->sound) != 0 || !c->interrupts)
		return;
	samples_add(&c->all->stop, (double)(now - c->spoke_ns) / 1e6);
	tell_played(c, now);
	memcpy(c->stale, id, sizeof(c->stale));
	c->interrupts = false;
}

static void
hear_transcript(struct caller *c, const char *text, size_t len)
{
	uint64_t came = number_in(text, len, "@t"), wrote = number_in(text, len, "@w");

	if (memmem(text, len, "\"final\":true", 12) && wrote >= came && came > 0)
		c->heard_ns = wrote - came;
}

static void
conversation_is_there(struct caller *c, const char *text, size_t len)
{
	text_in(text, len, "\"conversationId\":\"", c->conversation);
	c->ready = true;
	crowd_ready(&c->all->crowd);
	crowd_open(&c->all->crowd, 1);
}

static void
call_is_there(struct caller *c)
{
	vad_init(&c->vad);
	c->talking = !c->all->greet;
	c->begin_ns = uv_hrtime();
	c->next_ns = c->begin_ns + (uint64_t)REST_MS * 1000000;
}

static void
take_packet(struct caller *c, const char *text, size_t len)
{
	if (text_starts(text, len, "451-[\"ai_audio\""))
		take_chunk(c, text, len);
	else if (text_starts(text, len, "42[\"ai_audio\""))
		hear_last(c, text, len);
	else if (text_starts(text, len, "42[\"speech_started\""))
		hear_stop(c, text, len);
	else if (text_starts(text, len, "42[\"transcript\""))
		hear_transcript(c, text, len);
	else if (text_starts(text, len, "42[\"voice_ready\""))
		call_is_there(c);
	else if (text_starts(text, len, "42[\"conversation_started\""))
		conversation_is_there(c, text, len);
	else if (text_starts(text, len, "42[\"error\"") || text_starts(text, len, "42[\"voice_ended\"") || text_starts(text, len, "44") ||
	    text_starts(text, len, "431[{\"ok\":false"))
		failed(c, text, len);
	else if (text_starts(text, len, "2"))
		socket_say(&c->wire, "3");
	else if (text_starts(text, len, "0"))
		socket_say(&c->wire, "40");
	else if (text_starts(text, len, "40"))
		start_conversation(c);
}

/* ---- the connection ---- */

static void
on_opened(struct wire *w)
{
	socket_open(w, ((struct caller *)w)->all->crowd.port);
}

static void
take_frames(struct caller *c)
{
	const char *bytes;
	size_t at = 0, len, used;

	while ((used = frame_take(&c->frames, at, &bytes, &len)) > 0) {
		if (c->attached) {
			c->attached = false;
			hear_sound(c, bytes, len);
		} else
			take_packet(c, bytes, len);
		at += used;
	}
	buf_consume(&c->frames, at);
}

static void
on_bytes(struct wire *w, const char *bytes, size_t len)
{
	struct caller *c = (struct caller *)w;

	if (!socket_feed(&c->http, &c->frames, bytes, len)) {
		failed(c, c->http.raw.data, c->http.raw.len);
		return;
	}
	take_frames(c);
}

static void
on_ended(struct wire *w, const char *why)
{
	failed((struct caller *)w, why, strlen(why));
}

/* ---- the run ---- */

static void
on_end(uv_timer_t *timer)
{
	finish(timer->data);
}

static void
on_tick(uv_timer_t *timer)
{
	struct calls *a = timer->data;
	unsigned begins;
	uint64_t now;

	while (crowd_next(&a->crowd, &begins))
		start_call(&a->callers[begins]);
	now = uv_hrtime();
	for (unsigned i = 0; i < a->crowd.begun; i++) {
		struct caller *c = &a->callers[i];

		while (c->talking && !c->lost && now - c->begin_ns >= (c->sent / PER_MS + a->piece_ms) * 1000000)
			send_piece(c, now);
	}
}

static void
go(struct crowd *crowd, bool ended)
{
	(void)ended;
	uv_timer_start(&crowd->end_timer, on_end, (uint64_t)crowd->seconds * 1000, 0);
	uv_timer_start(&crowd->timer, on_tick, 0, 1);
}

static struct wire *
wire_of(struct crowd *crowd, unsigned number)
{
	struct calls *a = (struct calls *)crowd;
	struct caller *c = &a->callers[number];

	*c = (struct caller){
		.wire = { .opened = on_opened, .bytes = on_bytes, .ended = on_ended }, .all = a, .number = number,
		.http = { .raw = BUF_INIT(FRAMES_MAX), .body = BUF_INIT(FRAMES_MAX) }, .frames = BUF_INIT(FRAMES_MAX),
	};
	return &c->wire;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		CROWD_OPTIONS,
		{ "piece", required_argument, NULL, 'l' }, { "interrupt", required_argument, NULL, 'i' },
		{ "account", required_argument, NULL, 'o' }, { "agent", required_argument, NULL, 'a' },
		{ "greet", no_argument, NULL, 'g' }, { NULL, 0, NULL, 0 }
	};
	struct calls a = {
		.crowd = { .name = "calls", .wire = wire_of, .go = go, .loop = uv_default_loop(), .count = 1, .seconds = 10 },
		.piece_ms = 40, .account = "", .agent = "",
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'l': a.piece_ms = (unsigned)atoi(optarg); break;
		case 'i': a.interrupt = (unsigned)atoi(optarg); break;
		case 'o': a.account = optarg; break;
		case 'a': a.agent = optarg; break;
		case 'g': a.greet = true; break;
		default:
			if (!crowd_option(&a.crowd, o, optarg))
				return 2;
		}
	if (a.crowd.count == 0 || a.piece_ms == 0 || a.piece_ms > PIECE_MAX_MS)
		return 2;
	a.callers = calloc(a.crowd.count, sizeof(*a.callers));
	if (a.callers == NULL)
		return 1;
	make_sounds(&a);
	return crowd_run(&a.crowd, OPENING);
}
