#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/aloud.h"

#define LINE_MAX_BYTES	(1u << 20)

static const struct { const char *word; enum aloud way; } words[] = {
	{ "url", ALOUD_URL }, { "base64", ALOUD_DATA }, { "chunks", ALOUD_CHUNKS }, { "none", ALOUD_NOT },
};

bool
aloud_parse(const struct conf *conf, const char *word, enum aloud *ret)
{
	if (word == NULL || *word == '\0')
		word = conf->speech_delivery;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i].word) == 0) {
			*ret = words[i].way;
			return true;
		}
	return false;
}

enum aloud
aloud_of(const struct conf *conf, const struct entry *e)
{
	struct json_view said = e ? entry_member(e, "audio") : (struct json_view){ 0 };
	enum aloud way = ALOUD_URL;
	char word[16] = "";
	size_t len = 0;
	const char *plain = said.at ? json_view_plain(said, &len) : NULL;

	if (plain && len < sizeof(word))
		memcpy(word, plain, len);
	(void)aloud_parse(conf, word, &way);
	return way;
}

/* ---- ai_audio ---- */

struct telling {
	struct store	*store;
	const char	*type;
	struct place	 place;
	int64_t		 epoch;
	char		 id[ID_LEN + 1];
	unsigned	 attempt, index;
	bool		 begun, ended;
};

static void
tell(const struct telling *t, const void *bytes, size_t len, const char *end)
{
	struct buf line = BUF_INIT(LINE_MAX_BYTES);
	char room[CONVERSATION_KEY_MAX];

	conversation_room(&t->place, room);
	buf_printf(&line, "0 %lld -\n{\"args\":[\"ai_audio\",{\"id\":\"%s\",\"attempt\":%u,\"index\":%u,\"type\":\"%s\",%s,"
	    "\"audio\":{\"_placeholder\":true,\"num\":0}}],\"binary\":[\"", (long long)t->epoch, t->id, t->attempt, t->index, t->type, end);
	buf_base64(&line, bytes, len);
	buf_puts(&line, "\"]}");
	if (buf_err(&line) == HL_OK) {
		struct redis_arg args[] = { RA("PUBLISH"), RA(room), RAN(line.data, line.len) };

		redis_send(t->store->redis, args, 3);
	}
	buf_free(&line);
}

static void
on_sound(void *arg, unsigned attempt, unsigned index, const void *bytes, size_t len, bool last)
{
	struct telling *t = arg;

	t->begun = true;
	t->ended = last;
	t->attempt = attempt;
	t->index = index;
	tell(t, bytes, len, last ? "\"last\":true" : "\"last\":false");
}

static void
on_over(void *arg)
{
	struct telling *t = arg;

	if (t->begun && !t->ended) {
		t->index++;
		tell(t, "", 0, "\"last\":true,\"failed\":true");
	}
	free(t);
}

static struct speech *
begin_chunks(struct speaker *k, struct store *s, const struct place *place, int64_t epoch, const char *message_id, bool heard_only,
    const struct bill *bill)
{
	struct telling *t = calloc(1, sizeof(*t));
	struct speech_wish wish = { .message_id = message_id, .bill = *bill, .heard_only = heard_only, .sound = on_sound, .over = on_over, .arg = t };
	struct speech *speech;

	if (t == NULL)
		return NULL;
	*t = (struct telling){ .store = s, .type = speaker_type(k), .place = *place, .epoch = epoch };
	snprintf(t->id, sizeof(t->id), "%s", message_id);
	speech = speech_begin(k, &wish);
	if (speech == NULL)
		free(t);
	return speech;
}

struct speech *
aloud_begin(struct speaker *k, struct store *s, const struct place *place, int64_t epoch, const char *message_id, enum aloud way,
    const struct bill *bill)
{
	struct speech_wish wish = { .message_id = message_id, .bill = *bill };

	if (way == ALOUD_NOT)
		return NULL;
	return way == ALOUD_CHUNKS ? begin_chunks(k, s, place, epoch, message_id, false, bill) : speech_begin(k, &wish);
}

struct speech *
aloud_again(struct speaker *k, struct store *s, const struct place *place, const char *message_id, const struct bill *bill)
{
	return begin_chunks(k, s, place, 0, message_id, true, bill);
}

void
aloud_welcome(struct speaker *k, struct store *s, const struct bill *bill, const char *voice, const struct buf *text,
    struct welcome_sound *ret)
{
	struct speech_wish wish = { .message_id = ret->id, .bill = *bill };

	*ret = (struct welcome_sound){ 0 };
	id_new(ret->id);
	if (text->len == 0 || !speaker_ready(k) || !budget_allows_sound(s, bill))
		return;
	ret->speech = speech_begin(k, &wish);
	if (ret->speech == NULL)
		return;
	speech_end(ret->speech, voice, text->data, text->len);
	if (speech_has_file(ret->speech))
		speech_url(k, ret->id, ret->url);
}

void
aloud_write(struct buf *out, const char *url, const struct buf *bytes)
{
	if (*url == '\0')
		return;
	if (bytes == NULL || bytes->len == 0) {
		buf_printf(out, ",\"audioUrl\":\"%s\"", url);
		return;
	}
	buf_puts(out, ",\"audioData\":\"");
	buf_base64(out, bytes->data, bytes->len);
	buf_printf(out, "\",\"audioType\":\"%s\"", strstr(url, ".wav") ? "audio/wav" : "audio/mpeg");
}
