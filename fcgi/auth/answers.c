/*
 * answers.c - what is answered: an account, and the tokens of who has signed in.
 */
#include "api/auth.h"
#include "api/reply.h"
#include "auth/auth.h"

void
auth_write_user(struct buf *out, const struct account *a)
{
	char created[CLOCK_ISO_LEN + 1], updated[CLOCK_ISO_LEN + 1];

	clock_iso(a->created_ms, created);
	clock_iso(a->updated_ms, updated);
	buf_puts(out, "{\"_id\":");
	buf_json_str(out, a->id);
	buf_puts(out, ",\"name\":");
	buf_json_str(out, *a->name ? a->name : a->id);
	buf_puts(out, ",\"email\":");
	buf_json_str(out, a->email);
	buf_printf(out, ",\"role\":\"%s\"", a->admin ? "admin" : "user");
	if (*a->avatar) {
		buf_puts(out, ",\"avatar\":");
		buf_json_str(out, a->avatar);
	}
	if (a->stored)
		buf_printf(out, ",\"createdAt\":\"%s\",\"updatedAt\":\"%s\"", created, updated);
}

enum hl_err
auth_write_token(struct call *call, const struct account *a, struct buf *out)
{
	struct buf token = BUF_INIT(TOKEN_MAX);
	int64_t life_s;
	enum hl_err err = conf_duration(call->app->conf.jwt_expires_in, &life_s) ? HL_OK : HL_INTERNAL;

	if (err == HL_OK)
		err = account_token(&call->app->conf, a, life_s, &token);
	if (err == HL_OK)
		buf_printf(out, "\"token\":\"%s\"", token.data);
	buf_free(&token);
	return err;
}

enum hl_err
auth_reply_signed_in(struct call *call, int status, const struct account *a, const char *refresh)
{
	struct buf body = BUF_INIT(AUTH_ANSWER_MAX);
	enum hl_err err;

	buf_putc(&body, '{');
	err = auth_write_token(call, a, &body);
	buf_printf(&body, ",\"refreshToken\":\"%s\",\"user\":", refresh);
	auth_write_user(&body, a);
	buf_puts(&body, "}}");
	if (err == HL_OK)
		err = reply_json(call, status, &body);
	buf_free(&body);
	return err;
}
