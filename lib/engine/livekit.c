#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/livekit.h"
#include "services/jwt.h"

/* ---- settings ---- */

bool
livekit_is_set(const struct conf *conf, struct buf *missing)
{
	const struct { const char *name, *value; } settings[] = {
		{ "LIVEKIT_API_KEY", conf->livekit_key }, { "LIVEKIT_API_SECRET", conf->livekit_secret },
		{ "LIVEKIT_URL", conf->livekit_url },
	};
	const char *absent[3];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (*settings[i].value == '\0')
			absent[n++] = settings[i].name;
	for (size_t i = 0; i < n; i++)
		buf_printf(missing, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", absent[i]);
	return n == 0;
}

/* The address with "http" or "ws" as its scheme's beginning, and no slash at its end. */
static void
write_address(const struct conf *conf, const char *scheme, struct buf *out)
{
	const char *at = strchr(conf->livekit_url, ':');
	size_t len = at ? strlen(at) : 0;

	while (len > 0 && at[len - 1] == '/')
		len--;
	buf_puts(out, scheme);
	if (strncmp(conf->livekit_url, "https:", 6) == 0 || strncmp(conf->livekit_url, "wss:", 4) == 0)
		buf_putc(out, 's');
	buf_add(out, at ? at : "", len);
}

void
livekit_ws_url(const struct conf *conf, struct buf *out)
{
	write_address(conf, "ws", out);
}

/* ---- names ---- */

bool
livekit_name_valid(const char *name, size_t len)
{
	if (len == 0 || len > LIVEKIT_NAME_MAX || !utf8_valid(name, len) || str_blank(name, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f || name[i] == '/' || name[i] == '\\')
			return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

void
livekit_prefix(const struct crypto *crypto, const char *account, char out[LIVEKIT_PREFIX_LEN + 1])
{
	crypto_name(crypto, "livekit", account, strlen(account), out);
	memcpy(out + CRYPTO_NAME_LEN, "_", 2);
}

/* ---- tokens ---- */

static void
claim(struct buf *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_printf(out, ",\"%s\":", name);
	buf_json_str(out, value);
}

/* The member "video". */
static void
write_video(struct buf *out, const struct livekit_grant *g)
{
	const struct { bool on; const char *name; } grants[] = {
		{ g->join, "roomJoin" }, { g->admin, "roomAdmin" }, { g->create, "roomCreate" }, { g->list, "roomList" },
		{ g->record, "roomRecord" }, { g->join, "canPublish" }, { g->join, "canSubscribe" }, { g->join, "canPublishData" },
	};
	const char *comma = "";

	buf_puts(out, "\"video\":{");
	for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]); i++)
		if (grants[i].on) {
			buf_printf(out, "%s\"%s\":true", comma, grants[i].name);
			comma = ",";
		}
	claim(out, "room", g->room);
	buf_putc(out, '}');
}

enum hl_err
livekit_token(const struct conf *conf, const struct livekit_grant *g, int64_t now_s, int64_t life_s, struct buf *out)
{
	struct buf claims = BUF_INIT(TOKEN_MAX);
	enum hl_err err;

	buf_putc(&claims, '{');
	write_video(&claims, g);
	claim(&claims, "name", g->name);
	claim(&claims, "iss", conf->livekit_key);
	claim(&claims, "sub", g->identity);
	buf_printf(&claims, ",\"nbf\":%lld,\"exp\":%lld}", (long long)now_s, (long long)(now_s + life_s));
	err = buf_err(&claims);
	if (err == HL_OK)
		err = token_sign(conf->livekit_secret, claims.data, out);
	buf_free(&claims);
	return err;
}

/* ---- calls ---- */

void
livekit_answer_free(struct livekit_answer *a)
{
	buf_free(&a->text);
	buf_free(&a->problem);
}

/* https://twitchtv.github.io/twirp/docs/spec_v7.html#error-codes */
static const struct { const char *code; enum hl_err err; } codes[] = {
	{ "not_found", HL_NOT_FOUND },
	{ "invalid_argument", HL_BAD_REQUEST }, { "malformed", HL_BAD_REQUEST }, { "out_of_range", HL_BAD_REQUEST },
	{ "already_exists", HL_CONFLICT }, { "aborted", HL_CONFLICT }, { "failed_precondition", HL_CONFLICT },
	{ "resource_exhausted", HL_TOO_MANY }, { "unavailable", HL_BUSY },
	{ "canceled", HL_TIMEOUT }, { "deadline_exceeded", HL_TIMEOUT },
	/* Our key, our address, or LiveKit itself: nothing that the caller can do. */
	{ "unauthenticated", HL_UPSTREAM }, { "permission_denied", HL_UPSTREAM }, { "bad_route", HL_UPSTREAM },
	{ "unimplemented", HL_UPSTREAM }, { "internal", HL_UPSTREAM }, { "unknown", HL_UPSTREAM }, { "dataloss", HL_UPSTREAM },
};

enum hl_err
livekit_error(const char *code, int status)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(code, codes[i].code) == 0)
			return codes[i].err;
	switch (status) {		/* of something in between, which speaks no Twirp */
	case 429:
		return HL_TOO_MANY;
	case 503:
		return HL_BUSY;
	case 408:
	case 504:
		return HL_TIMEOUT;
	default:
		return HL_UPSTREAM;
	}
}

static enum hl_err
read_body(struct http_stream *s, struct buf *out)
{
	const char *data;
	size_t len;
	enum hl_err err;

	do {
		err = http_read(s, &data, &len);
		if (err == HL_OK)
			buf_add(out, data, len);
	} while (err == HL_OK && len > 0 && buf_err(out) == HL_OK);
	return err ? err : buf_err(out);
}

/* {"code":"not_found","msg":"…"}, plain text, or a page of somebody in between. */
static enum hl_err
refused(int status, struct livekit_answer *a)
{
	struct buf code = BUF_INIT(sizeof(a->code) - 1);

	if (json_view_open(a->text.data ? a->text.data : "", a->text.len, JSON_JS, &a->json) == HL_OK &&
	    json_view_string(json_view_get(a->json, "code"), &code) && buf_err(&code) == HL_OK && code.len)
		memcpy(a->code, code.data, code.len + 1);
	if (*a->code == '\0' || !json_view_string(json_view_get(a->json, "msg"), &a->problem) || a->problem.len == 0) {
		buf_reset(&a->problem);
		buf_printf(&a->problem, "status %d", status);
	}
	a->json = (struct json_view){ 0 };
	buf_free(&code);
	return livekit_error(a->code, status);
}

static enum hl_err
read_answer(struct http_stream *s, struct livekit_answer *a)
{
	int status = http_status(s);
	enum hl_err err = read_body(s, &a->text);

	if (err)
		return err == HL_TIMEOUT || err == HL_CANCELLED || err == HL_NO_MEMORY ? err : HL_UPSTREAM;
	if (status != 200)
		return refused(status, a);
	if (json_view_open(a->text.data ? a->text.data : "", a->text.len, JSON_JS, &a->json) == HL_OK &&
	    json_view_kind(a->json) == JSON_OBJECT)
		return HL_OK;
	buf_puts(&a->problem, "the answer is no JSON");
	return HL_UPSTREAM;
}

static enum hl_err
post(struct http *http, const char *url, const char *token, const struct buf *body, struct livekit_answer *a)
{
	struct buf bearer = BUF_INIT(TOKEN_MAX + 64);
	struct http_stream *stream = NULL;
	enum hl_err err;

	buf_printf(&bearer, "Authorization: Bearer %s", token);
	err = buf_err(&bearer);
	if (err == HL_OK) {
		const char *const headers[] = { "Content-Type: application/json", "Accept: application/json", bearer.data, NULL };
		const struct http_request r = { .method = "POST", .url = url, .headers = headers, .body = body->data,
			.body_len = body->len, .total_ms = LIVEKIT_CALL_MS, .max_body = LIVEKIT_ANSWER_MAX };

		err = http_open(http, &r, &stream);
		if (err == HL_OK)
			err = read_answer(stream, a);
		else
			buf_printf(&a->problem, "%.200s", http_problem(http));
	}
	http_close(stream);
	buf_free(&bearer);
	return err == HL_TOO_LARGE || (err == HL_BAD_REQUEST && *a->code == '\0') ? HL_UPSTREAM : err;	/* its fault, not the caller's */
}

enum hl_err
livekit_call(struct http *http, const struct conf *conf, const char *method, const struct livekit_grant *g,
    const struct buf *body, struct livekit_answer *ret)
{
	struct buf url = BUF_INIT(4096), token = BUF_INIT(TOKEN_MAX);
	enum hl_err err = buf_err(body);

	*ret = (struct livekit_answer){ .text = BUF_INIT(LIVEKIT_ANSWER_MAX), .problem = BUF_INIT(1024) };
	if (err == HL_OK)
		err = livekit_token(conf, g, clock_wall_ms() / 1000, LIVEKIT_CALL_LIFE_S, &token);
	write_address(conf, "http", &url);
	buf_printf(&url, "/twirp/livekit.%s", method);
	if (err == HL_OK)
		err = buf_err(&url);
	if (err == HL_OK)
		err = post(http, url.data, token.data, body, ret);
	buf_free(&url);
	buf_free(&token);
	return err;
}

/* ---- what it writes ---- */

/* creation_time is creationTime. */
static void
to_camel(const char *name, char out[64])
{
	size_t n = 0;

	for (; *name && n < 63; name++) {
		if (*name == '_' && name[1])
			out[n++] = (char)(*++name - 'a' + 'A');
		else
			out[n++] = *name;
	}
	out[n] = '\0';
}

struct json_view
livekit_get(struct json_view object, const char *name)
{
	struct json_view v = json_view_get(object, name);
	char camel[64];

	if (v.at || strchr(name, '_') == NULL)
		return v;
	to_camel(name, camel);
	return json_view_get(object, camel);
}

int64_t
livekit_number(struct json_view object, const char *name)
{
	struct json_view v = livekit_get(object, name);
	int64_t n = 0;
	size_t len;
	const char *text = json_view_plain(v, &len);

	if (json_view_kind(v) == JSON_STRING)	/* without its quotes it is one */
		v = text ? (struct json_view){ text, text + len } : (struct json_view){ 0 };
	return v.at && v.end > v.at && (*v.at == '-' || (*v.at >= '0' && *v.at <= '9')) && json_view_integer(v, &n) ? n : 0;
}

/* ---- webhooks ---- */

/* Is the claim the hash of the body? */
static bool
is_hash(const char *claim, size_t claim_len, const void *body, size_t len)
{
	unsigned char hash[CRYPTO_SHA256_LEN];
	struct buf text = BUF_INIT(64);
	bool same;

	crypto_sha256(body, len, hash);
	buf_base64(&text, hash, sizeof(hash));
	same = claim && buf_err(&text) == HL_OK && claim_len == text.len && crypto_equal(claim, text.data, text.len);
	buf_free(&text);
	return same;
}

enum hl_err
livekit_webhook_check(const struct conf *conf, const char *authorization, const void *body, size_t len, int64_t now_s)
{
	const struct token_rules rules = { .secrets = { conf->livekit_secret }, .issuer = conf->livekit_key, .now_s = now_s,
		.leeway_s = LIVEKIT_LEEWAY_S };
	struct json *claims = NULL;
	const char *hash;
	size_t hash_len = 0;
	enum hl_err err = authorization ? token_check(&rules, authorization, &claims) : HL_UNAUTHORIZED;

	if (err)
		return err;
	hash = json_string(json_get(claims, "sha256"), &hash_len);
	if (!is_hash(hash, hash_len, body, len))
		err = HL_UNAUTHORIZED;
	json_free(claims);
	return err;
}
