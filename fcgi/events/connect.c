/*
 * connect.c - who a socket is when it connects, and the rooms that are his.
 *
 * A client of the desk that was cut off cannot ask for what it missed: it knows no seq.  When pushd does not remember the
 * socket (it was restarted, or the client has come to another one), the offset that Socket.IO's client names tells the
 * conversation and how far it came, and the new socket goes on there.  Clients of the chat API name a seq to join-chat; what
 * they say before that is answered from the offset on.
 */
#include <string.h>
#include <strings.h>

#include "api/reply.h"
#include "base/clock.h"
#include "base/str.h"
#include "events/events.h"
#include "push/publication.h"
#include "records/account.h"
#include "records/chat_owner.h"
#include "records/desk.h"
#include "records/escalation.h"

#define LONGEST_MS	(INT64_C(10) * 365 * 86400 * 1000)

/* auth.token, or the header Authorization of the handshake; NULL: none came.  False: what came is no token. */
static bool
token_of(const struct call *call, const char **ret)
{
	const struct json *token = json_get(json_get(call->body, "auth"), "token");
	const char *header = json_get_string(call->body, "authorization");

	*ret = json_string(token, NULL);
	if (*ret && **ret)
		return true;
	if (json_kind(token) > JSON_NULL && *ret == NULL)
		return false;
	*ret = NULL;
	if (header && strncasecmp(header, "Bearer ", 7) == 0)
		*ret = header + 7 + strspn(header + 7, " ");
	return true;
}

static void
join_staff(struct buf *body, const char *room, const char *comma)
{
	buf_printf(body, "%s{\"room\":\"%s\",\"then\":{\"staff\":true}}", comma, room);
}

static void
join_account(struct buf *body, const char *h_or_f, const char *token)
{
	char room[ACCOUNT_ROOM_MAX], alias[ACCOUNT_ROOM_MAX];

	account_room(h_or_f, room, alias);
	buf_printf(body, "{\"room\":\"%s\",\"alias\":\"%s\",\"then\":{\"staff\":true", room, alias);
	if (token) {
		buf_puts(body, ",\"token\":");
		buf_json_str(body, token);
	}
	buf_puts(body, "}},");
}

/*
 * By these it is closed when the token is worth nothing any more.  So he is in them before he hears anything, or does not get
 * in; and when he is, the token is looked at once more.
 */
static void
join_what_ends_it(const struct account *who, const char *token, struct buf *body)
{
	if (*who->family)
		join_account(body, who->family, NULL);
	join_account(body, who->h, token);
}

/* A token's claim may be any number. */
static int64_t
lives_ms(const struct account *who)
{
	int64_t left_ms = who->expires_s * 1000 - clock_wall_ms();

	return left_ms > LONGEST_MS ? LONGEST_MS : left_ms < 0 ? 0 : left_ms;
}

/* The conversation in which a client was that comes back; id is "" for none. */
struct cut_off {
	char		 id[ID_LEN + 1];
	bool		 desk;
	struct place	 place;
	int64_t		 after;
};

/* It is open to him as one that he writes in. */
static enum hl_err
find_cut_off(struct call *call, const char *account, struct cut_off *ret)
{
	const char *offset = json_get_string(json_get(call->body, "auth"), "offset");
	struct desk_access who = { .account = account, .by_id = true };
	struct desk_conversation c;
	enum hl_err err;

	*ret->id = '\0';
	if (offset == NULL || !publication_offset_alias(offset, ret->id, &ret->after))
		return HL_OK;
	err = desk_read(&call->app->store, &who, ret->id, DESK_NO_MESSAGES, &c);
	ret->desk = err == HL_OK;
	if (err)
		return err == HL_NOT_FOUND ? HL_OK : err;
	ret->place = c.place;
	if (ret->after > c.seq)		/* a store that took over has less than was told */
		ret->after = c.seq;
	desk_clear(&c);
	return HL_OK;
}

/* An admin hears of every escalation, anybody else who is signed in of those of his own agents, CHAT_OWNER of sessions too. */
static enum hl_err
join_those_of(struct call *call, const struct account *who, struct buf *body)
{
	char room[CONVERSATION_KEY_MAX];
	bool chat = false;
	enum hl_err err = who->admin ? HL_OK : chat_owned_by(&call->app->store, who, &chat);

	if (err)
		return err;
	staff_room(who->h, room);
	if (who->admin || who->stored)
		join_staff(body, who->admin ? STAFF_ROOM : room, "");
	staff_room(STAFF_CHAT, room);
	if (chat)
		join_staff(body, room, ",");
	return HL_OK;
}

/* What is known of a socket that is in no room yet, with a comma behind it; of most it is nothing. */
static void
write_state(struct buf *out, const char *account, const struct cut_off *from)
{
	bool left = *from->id && !from->desk;

	if (account == NULL && !left)
		return;
	buf_puts(out, "\"state\":{");
	if (account)
		buf_printf(out, "\"account\":\"%s\"%s", account, left ? "," : "");
	if (left)
		buf_printf(out, "\"left\":\"%s\",\"after\":%lld", from->id, (long long)from->after);
	buf_puts(out, "},");
}

/* who is NULL for somebody without a token. */
static enum hl_err
let_in(struct call *call, const struct account *who, const char *token)
{
	const char *account = who && who->stored ? who->h : NULL;
	struct buf body = BUF_INIT(65536);
	struct cut_off from;
	enum hl_err err = find_cut_off(call, account, &from);

	if (err)
		return err;
	buf_putc(&body, '{');
	if (who)
		buf_printf(&body, "\"lives\":%lld,", (long long)lives_ms(who));
	write_state(&body, account, &from);
	buf_puts(&body, "\"back\":[");
	if (account)
		join_what_ends_it(who, token, &body);
	if (*from.id && from.desk) {
		push_begin_room(&body, &from.place, from.id);
		buf_printf(&body, ",\"then\":{\"desk\":\"%s\",\"after\":%lld,\"back\":true}}", from.id, (long long)from.after);
	} else if (account)
		body.len--;		/* the last comma */
	buf_puts(&body, "],");
	buf_puts(&body, "\"join\":[");
	if (who)
		err = join_those_of(call, who, &body);
	buf_puts(&body, "]}");
	if (err == HL_OK)
		err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

/* A token is not needed here; one that is sent must be good. */
enum hl_err
events_connect(struct call *call)
{
	struct account who = { 0 };
	const char *token;
	enum hl_err err;

	if (!str_equal(json_get_string(call->body, "nsp"), "/"))
		return push_text(call, "{\"refuse\":{\"message\":\"Invalid namespace\"}}");
	err = !token_of(call, &token) ? HL_UNAUTHORIZED : token ? account_verify(&call->app->store, token, &who) : HL_OK;
	if (err == HL_UNAUTHORIZED)
		return push_text(call, "{\"refuse\":{\"message\":\"This token is not valid here, or its time is over\","
		    "\"data\":{\"code\":\"unauthorized\"}}}");
	return err ? err : let_in(call, token ? &who : NULL, token);
}
