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
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/vad.h"
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
	uv_loop_t	*loop;
	uv_timer_t	 timer, end_timer;
	uv_pipe_t	 input;
	struct caller	*callers;
	struct samples	 share, first, stop;
	char		 problem[200];
	const char	*account, *agent;
	uint64_t	 begin_ns, random;
	unsigned	 count, opened, ready, begun, seconds, ramp_ms, piece_ms, interrupt, errors, gaps, stale, welcomed;
	double		 latest_ms;	/* that sound came behind its time */
	int		 port;
	bool		 going, greet;
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

	for (unsigned i = 0; i < a->count; i++) {
		struct caller *c = &a->callers[i];

		answers += c->answers;
		silent += !a->greet && (c->answers == 0 || (c->phase == WAITS && now - c->ended_ns > (uint64_t)PATIENCE_MS * 1000000));
	}
	printf("{\"event\":\"result\",\"answers\":%u,\"welcomed\":%u,\"gaps\":%u,\"latest\":%.3f,\"stale\":%u,\"unanswered\":%u,\"errors\":%u",
	    answers, a->welcomed, a->gaps, a->latest_ms, a->stale, silent, a->errors);
	samples_print("share", &a->share);
	samples_print("first", &a->first);
	samples_print("stop", &a->stop);
	if (a->errors) {
		struct buf text = BUF_INIT(REQUEST_MAX);

		buf_json_str(&text, a->problem);
		printf(",\"problem\":%s", text.data);
		buf_free(&text);
	}
	printf("}\n");
	exit(a->errors > 0);
}

static void
failed(struct caller *c, const char *why, size_t len)
{
	struct calls *a = c->all;

	if (a->errors++ == 0)
		snprintf(a->problem, sizeof(a->problem), "%.*s", (int)len, why ? why : "");
	if (!a->going) {
		fprintf(stderr, "calls: a conversation could not be had: %s\n", a->problem);
		exit(1);
	}
	c->lost = true;
}

/* ---- to Helpline ---- */

static void
say(struct caller *c, const char *text)
{
	struct buf out = BUF_INIT(REQUEST_MAX);

	frame_add(&out, FRAME_TEXT, text, strlen(text));
	wire_send(&c->wire, out.data, out.len);
	buf_free(&out);
}

static void
start_conversation(struct caller *c)
{
	char text[REQUEST_MAX / 2];

	snprintf(text, sizeof(text), "42[\"start_conversation\",{\"userId\":\"%s\",\"agentId\":\"%s\",\"isCallSimulator\":false}]",
	    c->all->account, c->all->agent);
	say(c, text);
}

static void
start_call(struct caller *c)
{
	char text[REQUEST_MAX / 2];

	c->calling = true;
	snprintf(text, sizeof(text), "421[\"voice_start\",{\"conversationId\":\"%s\",\"rate\":%u,\"greet\":%s}]", c->conversation, VAD_RATE,
	    c->all->greet ? "true" : "false");
	say(c, text);
}

static void
tell_played(struct caller *c, uint64_t now)
{
	char text[256];

	snprintf(text, sizeof(text), "42[\"voice_played\",{\"id\":\"%s\",\"ms\":%llu}]", c->sound,
	    (unsigned long long)(now - c->first_ns) / 1000000);
	say(c, text);
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
		if (!c->greeted && ++a->welcomed == a->count)
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

static bool
starts_with(const char *text, size_t len, const char *prefix)
{
	return len >= strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0;
}

static void
open_next(struct calls *a)
{
	if (a->opened < a->count)
		wire_connect(a->loop, &a->callers[a->opened++].wire, a->port);
}

static void
conversation_is_there(struct caller *c, const char *text, size_t len)
{
	text_in(text, len, "\"conversationId\":\"", c->conversation);
	c->ready = true;
	if (++c->all->ready == c->all->count)
		puts("{\"event\":\"ready\"}");
	open_next(c->all);
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
	if (starts_with(text, len, "451-[\"ai_audio\""))
		take_chunk(c, text, len);
	else if (starts_with(text, len, "42[\"ai_audio\""))
		hear_last(c, text, len);
	else if (starts_with(text, len, "42[\"speech_started\""))
		hear_stop(c, text, len);
	else if (starts_with(text, len, "42[\"transcript\""))
		hear_transcript(c, text, len);
	else if (starts_with(text, len, "42[\"voice_ready\""))
		call_is_there(c);
	else if (starts_with(text, len, "42[\"conversation_started\""))
		conversation_is_there(c, text, len);
	else if (starts_with(text, len, "42[\"error\"") || starts_with(text, len, "42[\"voice_ended\"") || starts_with(text, len, "44") ||
	    starts_with(text, len, "431[{\"ok\":false"))
		failed(c, text, len);
	else if (starts_with(text, len, "2"))
		say(c, "3");
	else if (starts_with(text, len, "0"))
		say(c, "40");
	else if (starts_with(text, len, "40"))
		start_conversation(c);
}

/* ---- the connection ---- */

static void
on_opened(struct wire *w)
{
	struct caller *c = (struct caller *)w;
	char text[512];
	int n = snprintf(text, sizeof(text), "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", c->all->port);

	wire_send(w, text, (size_t)n);
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

	if (c->http.status == 0) {	/* the handshake's answer has no body; frames may follow it at once */
		answer_feed(&c->http, bytes, len);
		if (c->http.status == 0)
			return;
		if (c->http.status != 101)
			failed(c, c->http.raw.data, c->http.raw.len);
		buf_add(&c->frames, c->http.raw.data, c->http.raw.len);
	} else
		buf_add(&c->frames, bytes, len);
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
	uint64_t now = uv_hrtime(), passed_ms = (now - a->begin_ns) / 1000000;

	while (a->begun < a->count && (uint64_t)a->begun * a->ramp_ms <= passed_ms * a->count)
		start_call(&a->callers[a->begun++]);
	for (unsigned i = 0; i < a->begun; i++) {
		struct caller *c = &a->callers[i];

		while (c->talking && !c->lost && now - c->begin_ns >= (c->sent / PER_MS + a->piece_ms) * 1000000)
			send_piece(c, now);
	}
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
	struct calls *a = stream->data;

	(void)bytes;
	if (n == 0 || a->going)
		return;
	a->going = true;
	a->begin_ns = uv_hrtime();
	uv_read_stop(stream);
	uv_timer_start(&a->end_timer, on_end, (uint64_t)a->seconds * 1000, 0);
	uv_timer_start(&a->timer, on_tick, 0, 1);
}

static int
start(struct calls *a)
{
	a->callers = calloc(a->count, sizeof(*a->callers));
	if (a->callers == NULL || uv_pipe_init(a->loop, &a->input, 0) != 0 || uv_pipe_open(&a->input, 0) != 0) {
		fprintf(stderr, "calls: standard input must be a pipe\n");
		return 1;
	}
	make_sounds(a);
	uv_timer_init(a->loop, &a->timer);
	uv_timer_init(a->loop, &a->end_timer);
	a->timer.data = a->end_timer.data = a->input.data = a;
	uv_read_start((uv_stream_t *)&a->input, on_alloc, on_input);
	for (unsigned i = 0; i < a->count; i++)
		a->callers[i] = (struct caller){
			.wire = { .opened = on_opened, .bytes = on_bytes, .ended = on_ended }, .all = a, .number = i,
			.http = { .raw = BUF_INIT(FRAMES_MAX), .body = BUF_INIT(FRAMES_MAX) }, .frames = BUF_INIT(FRAMES_MAX),
		};
	for (unsigned i = 0; i < OPENING; i++)
		open_next(a);
	return uv_run(a->loop, UV_RUN_DEFAULT);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", required_argument, NULL, 'p' }, { "users", required_argument, NULL, 'u' },
		{ "seconds", required_argument, NULL, 's' }, { "ramp", required_argument, NULL, 'r' },
		{ "piece", required_argument, NULL, 'l' }, { "interrupt", required_argument, NULL, 'i' },
		{ "account", required_argument, NULL, 'o' }, { "agent", required_argument, NULL, 'a' },
		{ "greet", no_argument, NULL, 'g' }, { NULL, 0, NULL, 0 }
	};
	struct calls a = { .loop = uv_default_loop(), .count = 1, .seconds = 10, .piece_ms = 40, .account = "", .agent = "" };
	int o;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'p': a.port = atoi(optarg); break;
		case 'u': a.count = (unsigned)atoi(optarg); break;
		case 's': a.seconds = (unsigned)atoi(optarg); break;
		case 'r': a.ramp_ms = (unsigned)atoi(optarg); break;
		case 'l': a.piece_ms = (unsigned)atoi(optarg); break;
		case 'i': a.interrupt = (unsigned)atoi(optarg); break;
		case 'o': a.account = optarg; break;
		case 'a': a.agent = optarg; break;
		case 'g': a.greet = true; break;
		default: return 2;
		}
	if (a.count == 0 || a.piece_ms == 0 || a.piece_ms > PIECE_MAX_MS)
		return 2;
	return start(&a);
}
