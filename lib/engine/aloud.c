#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/aloud.h"
#include "loop/task.h"
#include "records/desk.h"

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
	struct speech_wish wish = { .message_id = message_id, .place = place, .bill = *bill, .heard_only = heard_only,
	    .sound = on_sound, .over = on_over, .arg = t };
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
	struct speech_wish wish = { .message_id = message_id, .place = place, .bill = *bill };

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

/* ---- once more ---- */

struct removal { struct shelf *shelf; const char *file; };

static void
remove_sound(void *arg)
{
	struct removal *r = arg;

	shelf_remove(r->shelf, r->file);
}

/* NULL: it is not stored, or has another sound by now. */
static const struct entry *
message_of(const struct entries *messages, const char *id, const char *file)
{
	struct buf url = BUF_INIT(SPEECH_URL_MAX);
	const struct entry *found = NULL;

	for (size_t i = 0; found == NULL && i < messages->count; i++)
		if (strcmp(messages->list[i].id, id) == 0 && json_view_string(entry_member(&messages->list[i], "audioUrl"), &url) &&
		    url.len && speech_file(url.data) && strcmp(speech_file(url.data), file) == 0)
			found = &messages->list[i];
	buf_free(&url);
	return found;
}

/* Whoever deletes the conversation removes what it finds: what was begun after that is dropped here. */
static enum hl_err
say_once_more(struct speaker *k, struct store *s, const struct desk_conversation *c, const char *voice, const struct entry *e)
{
	struct speech_wish wish = { .message_id = e->id, .place = &c->place, .bill = bill_of(c->account, c->agent, c->anonymous) };
	struct speech *speech = speech_begin(k, &wish);
	char id[ID_LEN + 1] = "";
	const char *text;
	enum hl_err err;
	size_t len;

	if (speech == NULL)
		return HL_BUSY;
	text = entry_content(e, &len);
	speech_end(speech, voice, text, len);
	(void)speech_has_file(speech);		/* if not, somebody else makes it at this moment */
	err = desk_id_at(s, &c->place, id);
	if (err == HL_OK && *id)
		speech_leave(speech);
	else
		speech_drop(speech);
	return err == HL_OK && *id == '\0' ? HL_NOT_FOUND : err;
}

static enum hl_err
read_ordered(struct store *s, const struct speech_order *o, struct desk_conversation *ret)
{
	struct desk_access all = { .admin = true };
	char id[ID_LEN + 1] = "";
	enum hl_err err = desk_id_at(s, &o->place, id);

	if (err == HL_OK && *id == '\0')
		err = HL_NOT_FOUND;
	return err ? err : desk_read(s, &all, id, 0, ret);
}

enum hl_err
aloud_owed(struct speaker *k, struct store *s, const char *file)
{
	struct removal gone = { .shelf = speaker_shelf(k), .file = file };
	struct desk_conversation c = { 0 };
	const struct entry *e = NULL;
	struct speech_order order;
	enum hl_err err = speech_ordered(k, file, &order);

	if (err)
		return err;
	err = read_ordered(s, &order, &c);
	if (err == HL_OK)
		e = message_of(&c.messages, order.message_id, file);
	if (e)
		err = speaker_ready(k) ? say_once_more(k, s, &c, order.voice, e) : HL_BUSY;
	else if (err == HL_OK)
		err = HL_NOT_FOUND;
	if (err == HL_NOT_FOUND && task_work(remove_sound, &gone) != HL_OK)
		err = HL_BUSY;
	desk_clear(&c);
	return err;
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
